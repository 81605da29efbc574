//! The connected nodes as one job sees them: how it is told of them, and how it speaks to them.

use std::{collections::BTreeMap, sync::Arc};

use starling_job::ConnectionId;
use starling_net::{SessionHandle, Source};
use starling_proto::{
    ClientMessage, GoodbyeReason, Grant, Hello, Input, LeaseId, NodeMessage, Offer, PeerAddr,
};
use starling_sched::{Lease, RevokeReason};
use starling_types::{Capability, Epoch, JobId, NodeId, Role, SystemName};
use tokio::sync::mpsc;

use crate::{
    advertise::Posted,
    pool::{Answer, Link, Room, Seat},
    system::Told,
};

/// What a job is told of nodes, in order. What waits here is bounded by the pool: messages by each node's room, nodes that come by
/// the room that all have together, those that leave by those that came. Requests are offered one at a time of each node.
pub(crate) type PeerEvents = mpsc::UnboundedReceiver<PeerEvent>;

/// What a job is told of nodes.
pub(crate) enum PeerEvent {
    /// A node that proves the job's system is there.
    Joined(Joined),
    /// It asks for `count` leases. `answer` is to be dropped when the job has granted what it can grant now.
    Asked { node: NodeId, connection: ConnectionId, count: u32, answer: Answer },
    /// It asks for none any more: another job was quicker.
    Withdrawn { node: NodeId, connection: ConnectionId },
    /// It said something of one of the job's leases.
    Said { node: NodeId, connection: ConnectionId, message: NodeMessage, _room: Arc<Room> },
    /// Its connection is gone.
    Left { node: NodeId, connection: ConnectionId },
}

/// A node that has introduced itself.
pub(crate) struct Joined {
    pub(crate) node: NodeId,
    /// Which of the node's connections this is: the newest counts.
    pub(crate) connection: ConnectionId,
    pub(crate) capability: Capability,
    pub(crate) link: Link,
    pub(crate) handle: SessionHandle,
    pub(crate) addr: PeerAddr,
    /// For a node that has just come.
    pub(crate) _room: Option<Arc<Room>>,
}

/// The connected nodes, as far as they work for one job.
pub(crate) struct Peers {
    /// Where the job is told of them, and what tells others of the job: as long as there is work for nodes.
    seat: Option<(Seat, Posted)>,
    seats: Option<Seats>,
    /// The job that they work for, and the system of all its tasks.
    job: JobId,
    system: SystemName,
    peers: BTreeMap<NodeId, Peer>,
}

/// Makes a place for the job in the pool and on the board, as often as there is work for nodes anew.
pub(crate) type Seats = Box<dyn Fn() -> (Seat, Posted) + Send>;

struct Peer {
    connection: ConnectionId,
    link: Link,
    handle: SessionHandle,
    addr: PeerAddr,
}

impl Peers {
    /// Nobody yet.
    pub(crate) fn new(job: JobId, system: SystemName) -> Self {
        Self { seat: None, seats: None, job, system, peers: BTreeMap::new() }
    }

    /// As it is, of a job that takes its seats from here, the first at once.
    pub(crate) fn seated(self, seats: Seats) -> Self {
        Self { seat: Some(seats()), seats: Some(seats), ..self }
    }

    /// From now on the job is told of nodes again, and they of it.
    pub(crate) fn call(&mut self) {
        // One that is there is given up first: the pool knows a job by its name.
        self.seat = None;
        self.seat = self.seats.as_ref().map(|seats| seats());
    }

    /// What the job is told next. Never anything, when there is no work for nodes; `None` when the pool is gone.
    pub(crate) async fn next(&mut self) -> Option<PeerEvent> {
        match &mut self.seat {
            Some((seat, _)) => seat.events.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Whether nodes work for other jobs of this client.
    pub(crate) fn serve_others(&self) -> bool {
        self.seat.as_ref().is_some_and(|(seat, _)| seat.others_are_served())
    }

    /// Takes a node in, in the place of an older connection of it.
    pub(crate) fn insert(&mut self, joined: Joined) {
        let Joined { node, connection, link, handle, addr, .. } = joined;
        let peer = Peer { connection, link, handle, addr };
        self.peers.insert(node, peer);
    }

    /// Drops the node if `connection` is its newest connection.
    pub(crate) fn remove(&mut self, node: NodeId, connection: ConnectionId) {
        if self.peers.get(&node).is_some_and(|peer| peer.connection == connection) {
            self.peers.remove(&node);
        }
    }

    /// Where to fetch what `node` made.
    pub(crate) fn source(&self, node: NodeId) -> Option<Source> {
        let peer = self.peers.get(&node)?;
        Some(Source::via(peer.addr.clone(), peer.handle.clone()))
    }

    /// Sends a lease, with the addresses of the holders that the scheduler names. False when another job has the node's slot: the lease was not sent, and is to be returned to the
    /// scheduler.
    #[must_use]
    pub(crate) fn grant(&mut self, node: NodeId, lease: Lease, told: Told) -> bool {
        let Told { arguments, work } = told;
        let is_free = |peer: &Peer| match lease.ahead {
            true => peer.link.go_ahead(work),
            false => peer.link.take_request(work),
        };
        if !self.peers.get(&node).is_some_and(is_free) {
            return false;
        }
        let inputs = lease
            .inputs
            .iter()
            .map(|input| Input {
                blob: input.blob,
                // No system here has challenges that are blobs.
                role: Role::Input,
                holders: input
                    .holders
                    .iter()
                    .filter_map(|holder| self.peers.get(holder))
                    .map(|peer| peer.addr.clone())
                    .collect(),
            })
            .collect();
        let Lease { epoch, task, renew_within, deadline, ahead, .. } = lease;
        let grant = Grant {
            lease: self.lease(epoch),
            system: self.system.clone(),
            task,
            arguments,
            inputs,
            renew_within,
            deadline,
            ahead,
        };
        self.send(node, ClientMessage::Grant(grant));
        true
    }

    /// Tells the node to stop working on a lease.
    pub(crate) fn revoke(&mut self, node: NodeId, epoch: Epoch, reason: RevokeReason) {
        let reason = match reason {
            RevokeReason::NotNeeded => "the task is done",
            RevokeReason::InputRevoked => "an input of the task was revoked",
            RevokeReason::DeadlinePassed => "its deadline has passed",
            RevokeReason::Replaced => "other nodes do the task now",
            RevokeReason::Dismissed => "a result of this node was refused",
            RevokeReason::JobOver => "the job is over",
        };
        let lease = self.lease(epoch);
        self.send(node, ClientMessage::Revoke { lease, reason: reason.into() });
    }

    /// Tells the node that a lease which it names is unknown here.
    pub(crate) fn disown(&mut self, node: NodeId, epoch: Epoch) {
        let (lease, reason) = (self.lease(epoch), "this client does not know the lease".into());
        self.send(node, ClientMessage::Revoke { lease, reason });
    }

    /// Tells the node what became of its result.
    pub(crate) fn verdict(&mut self, node: NodeId, epoch: Epoch, verdict: Result<(), &str>) {
        let (accepted, reason) = match verdict {
            Ok(()) => (true, String::new()),
            Err(reason) => (false, reason.to_owned()),
        };
        let lease = self.lease(epoch);
        self.send(node, ClientMessage::Verdict { lease, accepted, reason });
    }

    /// Breaks with the node.
    pub(crate) fn dismiss(&mut self, node: NodeId, message: &str) {
        if let Some(peer) = self.peers.remove(&node) {
            peer.link.dismiss(message);
        }
    }

    /// Tells the node that its leases of this job are void. It stays.
    pub(crate) fn void(&mut self, node: NodeId) {
        let reason = GoodbyeReason::JobOver { job: self.job };
        self.send(node, ClientMessage::Goodbye { reason, message: "the job starts over".into() });
    }

    /// Tells every node that there is no work for it any more, and hears of none that come later. They stay, for other jobs.
    pub(crate) fn say_goodbye(&mut self, message: &str) {
        self.seat = None;
        let reason = GoodbyeReason::JobOver { job: self.job };
        for peer in std::mem::take(&mut self.peers).into_values() {
            peer.link.send(ClientMessage::Goodbye { reason, message: message.to_owned() });
        }
    }

    fn lease(&self, epoch: Epoch) -> LeaseId {
        LeaseId { job: self.job, epoch }
    }

    fn send(&mut self, node: NodeId, message: ClientMessage) {
        if let Some(peer) = self.peers.get(&node) {
            peer.link.send(message);
        }
    }
}

/// What a node can do of `system`; `None` when it does not offer it.
pub(crate) fn introduced(hello: &Hello, system: &SystemName) -> Option<Capability> {
    let offer = hello.systems.iter().find(|offer| offer.system == *system)?;
    let &Hello { memory, slots, .. } = hello;
    let Offer { kinds, speed_permille, .. } = offer.clone();
    Some(Capability { memory, kinds, slots, speed_permille })
}
