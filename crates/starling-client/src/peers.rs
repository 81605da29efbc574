//! The nodes that are connected: one session task each, and the table through which the loop speaks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rand::RngExt as _;
use starling_net::{ClientSession, JobHandle, Net, Source};
use starling_proto::{
    ClientMessage, GoodbyeReason, Grant, Hello, Input, LeaseId, NodeMessage, PeerAddr, Welcome,
};
use starling_sched::{Lease, RevokeReason};
use starling_types::{BlobRef, Capability, Epoch, JobId, NodeId, Po2, Reference};
use starling_zkvm::TaskArguments;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Messages that may wait for a node. A node that lets more pile up has stopped reading.
const OUTBOX_MAX: usize = 64;

/// How long a node may take to introduce itself.
const HELLO_TIMEOUT: Duration = Duration::from_secs(20);

/// What a session tells the event loop.
pub(crate) enum PeerEvent {
    /// A node has introduced itself.
    Joined(Joined),
    /// It said something.
    Said { node: NodeId, generation: u64, message: NodeMessage },
    /// Its connection is gone.
    Left { node: NodeId, generation: u64, reason: String },
}

/// A node that has introduced itself.
pub(crate) struct Joined {
    pub(crate) node: NodeId,
    /// Which of the node's connections this is: the newest counts.
    pub(crate) generation: u64,
    pub(crate) capability: Capability,
    outbox: mpsc::Sender<ClientMessage>,
    handle: JobHandle,
    addr: PeerAddr,
}

/// The connected nodes.
pub(crate) struct Peers {
    /// The job that they work for, and the system of all its tasks.
    job: JobId,
    system: String,
    peers: BTreeMap<NodeId, Peer>,
}

struct Peer {
    generation: u64,
    outbox: mpsc::Sender<ClientMessage>,
    handle: JobHandle,
    addr: PeerAddr,
    /// Results of this node that were accepted: it can hand them to others.
    held: BTreeSet<Reference>,
}

impl Peers {
    /// Nobody yet.
    pub(crate) fn new(job: JobId, system: String) -> Self {
        Self { job, system, peers: BTreeMap::new() }
    }

    /// Takes a node in; an older connection of it is dropped, which closes it. Says whether there was one.
    pub(crate) fn insert(&mut self, joined: Joined) -> bool {
        let Joined { node, generation, outbox, handle, addr, .. } = joined;
        let peer = Peer { generation, outbox, handle, addr, held: BTreeSet::new() };
        self.peers.insert(node, peer).is_some()
    }

    /// Drops the node if `generation` is its newest connection; says whether it was.
    pub(crate) fn remove(&mut self, node: NodeId, generation: u64) -> bool {
        let current = self.is_current(node, generation);
        if current {
            self.peers.remove(&node);
        }
        current
    }

    /// Whether `generation` is the node's newest connection.
    pub(crate) fn is_current(&self, node: NodeId, generation: u64) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.generation == generation)
    }

    /// Where to fetch what `node` made.
    pub(crate) fn source(&self, node: NodeId) -> Option<Source> {
        let peer = self.peers.get(&node)?;
        Some(Source::via(peer.addr.clone(), peer.handle.clone()))
    }

    /// Notes that `node` holds `blob`.
    pub(crate) fn holds(&mut self, node: NodeId, blob: BlobRef) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.held.insert(blob.reference);
        }
    }

    /// Sends a lease; `po2` is the largest segment that it concerns, `work_claims` whether the job counts work.
    pub(crate) fn grant(&mut self, node: NodeId, lease: Lease, po2: Po2, work_claims: bool) {
        let inputs = lease
            .inputs
            .iter()
            .map(|input| Input {
                blob: input.blob,
                holders: input
                    .holders
                    .iter()
                    .filter_map(|holder| self.peers.get(holder))
                    .filter(|peer| peer.held.contains(&input.blob.reference))
                    .map(|peer| peer.addr.clone())
                    .collect(),
            })
            .collect();
        let Lease { epoch, task, renew_within, deadline, ahead, .. } = lease;
        let grant = Grant {
            lease: self.lease(epoch),
            system: self.system.clone(),
            task,
            arguments: TaskArguments { po2_max: po2, work_claims }.encode(),
            inputs,
            renew_within,
            deadline,
            ahead,
        };
        self.send(node, ClientMessage::Grant(grant));
    }

    /// Tells the node to stop working on a lease.
    pub(crate) fn revoke(&mut self, node: NodeId, epoch: Epoch, reason: RevokeReason) {
        let reason = match reason {
            RevokeReason::NotNeeded => "the task is done",
            RevokeReason::InputRevoked => "what the task reads is taken back",
            RevokeReason::DeadlinePassed => "its deadline has passed",
            RevokeReason::Replaced => "others do the task by now",
            RevokeReason::Dismissed => "a result of this node was refused",
            RevokeReason::JobOver => "the job is over",
        };
        let lease = self.lease(epoch);
        self.send(node, ClientMessage::Revoke { lease, reason: reason.into() });
    }

    /// Tells the node that a lease which it names is unknown here.
    pub(crate) fn disown(&mut self, node: NodeId, epoch: Epoch) {
        let (lease, reason) = (self.lease(epoch), "nobody here knows of it".into());
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
        self.send_goodbye(node, GoodbyeReason::Dismissed, message);
        // Without its outbox the session ends, whether or not the node takes the hint.
        self.peers.remove(&node);
    }

    /// Says goodbye to every node: for good, or because the job starts over, so that they come back.
    pub(crate) fn say_goodbye(&mut self, starts_over: bool, message: &str) {
        for node in self.peers.keys().copied().collect::<Vec<_>>() {
            let reason = match starts_over {
                true => GoodbyeReason::JobOver { job: self.job },
                false => GoodbyeReason::ShuttingDown,
            };
            self.send_goodbye(node, reason, message);
        }
        // The sessions end once their outboxes are closed and empty.
        self.peers.clear();
    }

    fn lease(&self, epoch: Epoch) -> LeaseId {
        LeaseId { job: self.job, epoch }
    }

    fn send_goodbye(&mut self, node: NodeId, reason: GoodbyeReason, message: &str) {
        self.send(node, ClientMessage::Goodbye { reason, message: message.to_owned() });
    }

    fn send(&mut self, node: NodeId, message: ClientMessage) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if peer.outbox.try_send(message).is_err() {
            // Without its outbox, its session ends and reports that the node left.
            tracing::debug!(node = %format_args!("{node:#}"), "a node does not read what it is sent");
            peer.outbox = mpsc::channel(1).0;
        }
    }
}

/// Takes in nodes until the endpoint is closed. Their sessions are among `sessions`, and end when nobody listens to
/// `events`, or when the node is dropped from [`Peers`]: what was queued for it before is sent first.
pub(crate) async fn accept(
    net: Net,
    job: JobId,
    zkvm: String,
    events: mpsc::Sender<PeerEvent>,
    sessions: TaskTracker,
) {
    let generations = AtomicU64::new(0);
    let client = Client { job, system: zkvm, run: rand::rng().random() };
    while let Some(connection) = net.accept_job().await {
        let generation = generations.fetch_add(1, Ordering::Relaxed);
        sessions.spawn(session(connection, generation, client.clone(), events.clone()));
    }
}

/// What a session tells its node of this client.
#[derive(Clone)]
struct Client {
    job: JobId,
    system: String,
    /// Which run of the client this is.
    run: u64,
}

async fn session(
    mut connection: ClientSession,
    generation: u64,
    Client { job, system, run }: Client,
    events: mpsc::Sender<PeerEvent>,
) {
    let node = connection.peer();
    let introduction = tokio::select! {
        introduction = tokio::time::timeout(HELLO_TIMEOUT, connection.recv()) => introduction,
        () = events.closed() => return,
    };
    let hello = match introduction {
        Ok(Ok(Some(NodeMessage::Hello(hello)))) => hello,
        other => {
            tracing::debug!(node = %format_args!("{node:#}"), ?other, "a node did not introduce itself");
            return;
        }
    };
    let Some(capability) = introduced(&hello, &system) else {
        let theirs: Vec<_> = hello.systems.iter().map(|offer| offer.system.as_str()).collect();
        let theirs = theirs.join(", ");
        let message = format!("this job is proved with {system}, the node proves with {theirs}");
        tracing::warn!(node = %format_args!("{node:#}"), message, "turned a node away");
        let reason = GoodbyeReason::WrongSystem;
        let _ = connection.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    };
    let welcome = Welcome { agent: agent(), run };
    if connection.send(&ClientMessage::Welcome(welcome)).await.is_err() {
        return;
    }
    let (outbox, mut messages) = mpsc::channel(OUTBOX_MAX);
    let joined = Joined {
        node,
        generation,
        capability,
        outbox,
        handle: connection.handle(),
        addr: connection.peer_addr(),
    };
    if events.send(PeerEvent::Joined(joined)).await.is_err() {
        return;
    }
    let reason = loop {
        tokio::select! {
            biased;
            // First, so that a node hears that the job is over before what it says finds nobody.
            message = messages.recv() => {
                let Some(message) = message else { break "this client broke the session off".to_owned() };
                if let Err(error) = connection.send(&message).await {
                    break error.to_string();
                }
            }
            received = connection.recv() => match received {
                Ok(Some(message)) => {
                    if !pass_on(node, generation, job, message, &events).await {
                        break "the job is over".to_owned();
                    }
                }
                Ok(None) => break "it closed the connection".to_owned(),
                Err(error) => break error.to_string(),
            },
        }
    };
    // What is queued is still sent; the connection closes with the session.
    drop(connection);
    // Nobody listens any more when the job is over.
    let _ = events.send(PeerEvent::Left { node, generation, reason }).await;
}

/// What this program calls itself to peers.
fn agent() -> String {
    concat!("starling ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Passes on what a node said of this job; says whether anybody listens.
async fn pass_on(
    node: NodeId,
    generation: u64,
    job: JobId,
    message: NodeMessage,
    events: &mpsc::Sender<PeerEvent>,
) -> bool {
    !concerns(&message, job)
        || events.send(PeerEvent::Said { node, generation, message }).await.is_ok()
}

/// Whether a message is about `job`, or about none.
fn concerns(message: &NodeMessage, job: JobId) -> bool {
    match message {
        NodeMessage::Renew { lease, .. } | NodeMessage::Decline { lease } => lease.job == job,
        NodeMessage::Done(done) => done.lease.job == job,
        NodeMessage::Failed(failure) => failure.lease.job == job,
        NodeMessage::Hello(_) | NodeMessage::WorkRequested | NodeMessage::Leaving { .. } => true,
    }
}

/// What a node can do of `system`; `None` when it does not offer it.
fn introduced(hello: &Hello, system: &str) -> Option<Capability> {
    let offer = hello.systems.iter().find(|offer| offer.system == system)?;
    let &Hello { memory, slots, speed_permille, .. } = hello;
    Some(Capability { memory, kinds: offer.kinds.clone(), slots, speed_permille })
}
