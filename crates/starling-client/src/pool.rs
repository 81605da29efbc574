//! The connected nodes: one session with each, for all jobs of this client.
//!
//! What a node says of a lease goes to the job that the lease names. A request for work goes to the [`Dispatcher`], which
//! says whose turn it is. Jobs come by [`Pool::open`], are introduced to every node that proves their system, and speak
//! through their [`Peers`](crate::peers::Peers). The pool alone keeps a session open: whatever jobs do, a node that is let
//! go is gone.

mod merit;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::RngExt as _;
use starling_job::ConnectionId;
use starling_net::{ClientSession, Net, SessionHandle};
use starling_proto::{ClientMessage, GoodbyeReason, Hello, LeaseId, NodeMessage, PeerAddr};
use starling_sched::{DispatchAction, Dispatcher, Terms};
use starling_types::{ClientRun, JobId, Millis, NodeId, SystemName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use self::merit::{Away, Merit, Use};
use crate::{
    lines,
    peers::{Joined, PeerEvent, PeerEvents, introduced},
};

/// How long the sessions with nodes may take to end: what is queued for a node that reads is sent at once.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Nodes that have come and that some job has not heard of yet, at most: twice as many as there are connections at a time, so that
/// all may come back at once. Beyond that they are turned away for the time being. It bounds what waits for a job that is slow:
/// of each node that came and each that was there before, it hears at most once more, that the node left.
const COMINGS_WAITING_MAX: usize = 2048;

/// A node that showed that it works for a job does so for this long, by what is known: it renews its leases more often.
const SERVED_FOR: Millis = Millis(20_000);

/// What a node is told that comes then.
const TURMOIL: &str = "too many nodes come and go";

/// Dismissed nodes that are remembered: the oldest is forgotten first. A key costs nothing, so this bounds memory, not lies.
const DISMISSED_MAX: usize = 65_536;

/// The connected nodes. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    /// The systems that this client's jobs may have.
    systems: Vec<SystemName>,
    /// Which run of the client this is.
    run: ClientRun,
    started: Instant,
    closing: CancellationToken,
    sessions: TaskTracker,
    /// Room for nodes that jobs have not heard of yet.
    comings: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dispatcher: Dispatcher,
    nodes: BTreeMap<NodeId, Node>,
    jobs: BTreeMap<JobId, Job>,
    connections: u64,
    dismissed: Dismissed,
    away: Away,
    /// Events whose job is gone. They are dropped outside of the lock, which their answers take.
    undelivered: Vec<PeerEvent>,
}

/// The nodes that some job broke with, oldest first.
#[derive(Default)]
struct Dismissed {
    nodes: BTreeSet<NodeId>,
    order: VecDeque<NodeId>,
}

struct Node {
    /// Which of the node's connections this is.
    connection: ConnectionId,
    hello: Hello,
    outbox: mpsc::Sender<ClientMessage>,
    handle: SessionHandle,
    addr: PeerAddr,
    merit: Merit,
}

struct Job {
    system: SystemName,
    events: mpsc::UnboundedSender<PeerEvent>,
    /// When a node last showed that it works for it.
    served_at: Option<Millis>,
}

/// A job's place in the pool. When it is dropped, the job is told of nothing any more.
pub(crate) struct Seat {
    pool: Pool,
    job: JobId,
    /// What the job is told.
    pub(crate) events: PeerEvents,
}

/// A job's way to a node, over one connection.
#[derive(Clone)]
pub(crate) struct Link {
    pool: Pool,
    job: JobId,
    node: NodeId,
    connection: ConnectionId,
}

/// To be dropped when the job has done with an offer what it can do now.
pub(crate) struct Answer {
    pool: Pool,
    node: NodeId,
    /// Of which of the node's connections the offer was: what is answered late says nothing of a later one.
    connection: ConnectionId,
    job: JobId,
}

/// Room for one more message of a node, or for one more node; free again when jobs have handled it.
pub(crate) type Room = OwnedSemaphorePermit;

impl Pool {
    /// Nobody yet. Nodes that prove none of `systems` are turned away.
    pub(crate) fn new(systems: Vec<SystemName>) -> Self {
        let shared = Shared {
            systems,
            run: ClientRun(rand::rng().random()),
            started: Instant::now(),
            closing: CancellationToken::new(),
            sessions: TaskTracker::new(),
            comings: Arc::new(Semaphore::new(COMINGS_WAITING_MAX)),
            state: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes in nodes until the endpoint is closed.
    pub(crate) async fn accept(self, net: Net) {
        while let Some(connection) = net.accept_job().await {
            let node = connection.peer();
            let span = tracing::info_span!("session", node = %format_args!("{node:#}"));
            let session = session::session(self.clone(), connection).instrument(span);
            self.shared.sessions.spawn(session);
        }
    }

    /// Says goodbye to every node, and waits a little for them to hear it.
    pub(crate) async fn close(&self, message: &str) {
        self.shared.closing.cancel();
        self.with(|state| {
            let reason = GoodbyeReason::ShuttingDown;
            for node in state.nodes.values_mut() {
                node.send(ClientMessage::Goodbye { reason, message: message.to_owned() });
            }
            // The sessions end once their outboxes are closed and empty.
            for node in state.nodes.keys().copied().collect::<Vec<_>>() {
                state.remove(node, "this client ends");
            }
        });
        self.shared.sessions.close();
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, self.shared.sessions.wait()).await;
    }

    /// A place for a job of `system`, which is introduced to all nodes. `deadline` counts from now.
    pub(crate) fn open(
        &self,
        job: JobId,
        system: SystemName,
        weight: u32,
        deadline: Option<Duration>,
    ) -> Seat {
        let (sender, events) = mpsc::unbounded_channel();
        let now = self.now();
        let deadline = deadline.map(|within| now + Millis(within.as_millis() as u64));
        self.with(|state| {
            state.dispatcher.open(job, Terms { weight, deadline });
            state.jobs.insert(job, Job { system, events: sender, served_at: None });
            for node in state.nodes.keys().copied().collect::<Vec<_>>() {
                self.introduce(state, node, job, None);
            }
        });
        Seat { pool: self.clone(), job, events }
    }

    /// Tells a job of a node, if they have a system in common.
    fn introduce(&self, state: &mut State, node: NodeId, job: JobId, _room: Option<Arc<Room>>) {
        let (Some(at), Some(of)) = (state.nodes.get(&node), state.jobs.get(&job)) else { return };
        let Some(capability) = introduced(&at.hello, &of.system) else { return };
        let connection = at.connection;
        let link = Link { pool: self.clone(), job, node, connection };
        let (addr, handle) = (at.addr.clone(), at.handle.clone());
        let joined = Joined { node, connection, capability, link, handle, addr, _room };
        state.tell(job, PeerEvent::Joined(joined));
        let actions = state.dispatcher.introduce(self.now(), node, job);
        self.act(state, actions);
    }

    /// Takes a node in; an older connection of it is closed. The name of the new one. `room` is free again when all jobs have
    /// heard of it.
    fn join(
        &self,
        id: NodeId,
        hello: Hello,
        outbox: mpsc::Sender<ClientMessage>,
        session: &ClientSession,
        room: Room,
    ) -> ConnectionId {
        let room = Arc::new(room);
        self.with(|state| {
            state.connections += 1;
            let connection = ConnectionId(state.connections);
            state.dispatcher.join(id, hello.slots);
            let (handle, addr) = (session.handle(), session.peer_addr());
            // An older connection of it may still be taken for the newest.
            let older = state.nodes.remove(&id).map(|older| older.merit);
            let merit = older.unwrap_or_else(|| state.away.take(id));
            let node = Node { connection, hello, outbox, handle, addr, merit };
            if lines::one_more() {
                tracing::info!(node = %format_args!("{id:#}"), memory = %node.hello.memory, slots = node.hello.slots, "a node joined");
            }
            state.nodes.insert(id, node);
            for job in state.jobs.keys().copied().collect::<Vec<_>>() {
                self.introduce(state, id, job, Some(room.clone()));
            }
            connection
        })
    }

    fn left(&self, node: NodeId, connection: ConnectionId, reason: &str) {
        self.with(|state| {
            // An old connection of a node that has come back says nothing about the node.
            if state.is_current(node, connection) {
                state.remove(node, reason);
            }
        });
    }

    /// Passes on what a node said.
    fn said(&self, node: NodeId, connection: ConnectionId, message: NodeMessage, room: Room) {
        self.with(|state| {
            if !state.is_current(node, connection) {
                return;
            }
            if let Some(node) = state.nodes.get_mut(&node)
                && node.count(|merit| merit.said(&message)).is_some()
                && let Some(job) = job_of(&message)
            {
                state.note_served(job, self.now());
            }
            let job = match &message {
                NodeMessage::WorkRequested => {
                    let actions = state.dispatcher.work_requested(self.now(), node);
                    return self.act(state, actions);
                }
                // The connection closes next, and that is what counts.
                NodeMessage::Hello(_) | NodeMessage::Leaving { .. } => return,
                message => job_of(message),
            };
            if let Some(job) = job {
                self.pass_on(state, node, connection, job, message, &Arc::new(room));
            }
        });
    }

    fn pass_on(
        &self,
        state: &mut State,
        node: NodeId,
        connection: ConnectionId,
        job: JobId,
        message: NodeMessage,
        room: &Arc<Room>,
    ) {
        if state.jobs.contains_key(&job) {
            let _room = room.clone();
            return state.tell(job, PeerEvent::Said { node, connection, message, _room });
        }
        // Nobody waits for it: the node need not work on.
        let answer = match message {
            NodeMessage::Renew { lease, .. } => {
                ClientMessage::Revoke { lease, reason: OVER.to_owned() }
            }
            NodeMessage::Done(done) => ClientMessage::Verdict {
                lease: done.lease,
                accepted: false,
                reason: OVER.to_owned(),
            },
            _ => return,
        };
        if let Some(node) = state.nodes.get_mut(&node) {
            node.send(answer);
        }
    }

    /// Does what the dispatcher asks for.
    fn act(&self, state: &mut State, actions: Vec<DispatchAction>) {
        for action in actions {
            let (DispatchAction::Offer { node, job, .. } | DispatchAction::Withdraw { node, job }) =
                action;
            let Some(connection) = state.nodes.get(&node).map(|node| node.connection) else {
                continue;
            };
            let event = match action {
                DispatchAction::Offer { count, .. } => {
                    let answer = Answer { pool: self.clone(), node, connection, job };
                    PeerEvent::Asked { node, connection, count, answer }
                }
                DispatchAction::Withdraw { .. } => PeerEvent::Withdrawn { node, connection },
            };
            state.tell(job, event);
        }
    }

    fn now(&self) -> Millis {
        Millis(self.shared.started.elapsed().as_millis() as u64)
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        // Nothing under the lock panics half-way through a change.
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let undelivered = std::mem::take(&mut state.undelivered);
        drop(state);
        drop(undelivered);
        result
    }
}

/// What a node is told that works for a job which is not there.
const OVER: &str = "the job is over";

/// The job that a message is about.
fn job_of(message: &NodeMessage) -> Option<JobId> {
    let lease: &LeaseId = match message {
        NodeMessage::Renew { lease, .. } | NodeMessage::Decline { lease, .. } => lease,
        NodeMessage::Done(done) => &done.lease,
        NodeMessage::Failed(failure) => &failure.lease,
        _ => return None,
    };
    Some(lease.job)
}

impl Dismissed {
    fn add(&mut self, node: NodeId) {
        if !self.nodes.insert(node) {
            return;
        }
        self.order.push_back(node);
        if self.order.len() > DISMISSED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.nodes.remove(&oldest);
        }
    }
}

impl State {
    fn is_current(&self, node: NodeId, connection: ConnectionId) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.connection == connection)
    }

    /// A node has shown that it works for a job.
    fn note_served(&mut self, job: JobId, now: Millis) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.served_at = Some(now);
        }
    }

    /// Whether nodes work for others than `job`.
    fn others_are_served(&self, job: JobId, now: Millis) -> bool {
        let others = self.jobs.iter().filter(|(other, _)| **other != job);
        others.filter_map(|(_, other)| other.served_at).any(|at| now.since(at) < SERVED_FOR)
    }

    fn tell(&mut self, job: JobId, event: PeerEvent) {
        let Some(to) = self.jobs.get(&job) else { return self.undelivered.push(event) };
        if let Err(error) = to.events.send(event) {
            self.undelivered.push(error.0);
        }
    }

    /// Lets a node go; its session ends when what is queued for it is sent.
    fn remove(&mut self, node: NodeId, reason: &str) {
        let Some(gone) = self.nodes.remove(&node) else { return };
        if lines::one_more() {
            tracing::info!(node = %format_args!("{node:#}"), reason, "a node left");
        }
        self.away.add(node, gone.merit);
        self.dispatcher.leave(node);
        for job in self.jobs.keys().copied().collect::<Vec<_>>() {
            self.tell(job, PeerEvent::Left { node, connection: gone.connection });
        }
    }
}

impl Node {
    /// Whether what it is told says that it delivered something.
    fn send(&mut self, message: ClientMessage) -> bool {
        let has_delivered = self.count(|merit| merit.told(&message)) == Some(Use::Delivered);
        if self.outbox.try_send(message).is_err() {
            // Without its outbox, its session ends and reports that the node left.
            tracing::debug!(peer = ?self.addr.node_id, "a node does not read what it is sent");
            self.outbox = mpsc::channel(1).0;
        }
        has_delivered
    }

    /// Lets it keep its place among the connections for what it does.
    fn count(&mut self, note: impl FnOnce(&mut Merit) -> Option<Use>) -> Option<Use> {
        let done = note(&mut self.merit);
        match done {
            Some(Use::Works) => self.handle.peer_works(),
            Some(Use::Delivered) => self.handle.peer_delivered(),
            None => {}
        }
        done
    }
}

impl Seat {
    /// Whether nodes work for other jobs of this client.
    pub(crate) fn others_are_served(&self) -> bool {
        let Self { pool, job, .. } = self;
        pool.with(|state| state.others_are_served(*job, pool.now()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { pool, job, .. } = self;
        pool.with(|state| {
            state.jobs.remove(job);
            let actions = state.dispatcher.close(pool.now(), *job);
            pool.act(state, actions);
        });
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Self { pool, node, connection, job } = self;
        pool.with(|state| {
            if !state.is_current(*node, *connection) {
                return;
            }
            let actions = state.dispatcher.answered(pool.now(), *node, *job);
            pool.act(state, actions);
        });
    }
}

impl Link {
    /// Sends a message, if the connection is still the node's newest.
    pub(crate) fn send(&self, message: ClientMessage) {
        self.pool.with(|state| {
            if state.is_current(self.node, self.connection)
                && let Some(node) = state.nodes.get_mut(&self.node)
                && node.send(message)
            {
                state.note_served(self.job, self.pool.now());
            }
        });
    }

    /// Takes one of the node's requests for a task of `work`; false when no other is open: then nothing may be granted.
    pub(crate) fn take_request(&self, work: Millis) -> bool {
        let Self { pool, job, node, connection } = self;
        pool.with(|state| {
            if !state.is_current(*node, *connection) {
                return false;
            }
            let granted = state.dispatcher.granted(pool.now(), *node, *job, work);
            granted.map(|actions| pool.act(state, actions)).is_ok()
        })
    }

    /// Grants the node a task of `work` that it did not ask for; false when it has other jobs to ask for work.
    pub(crate) fn go_ahead(&self, work: Millis) -> bool {
        self.pool.with(|state| {
            state.is_current(self.node, self.connection)
                && state.dispatcher.granted_ahead(self.node, self.job, work).is_ok()
        })
    }

    /// Breaks with the node, for all jobs: a liar lies to any of them.
    pub(crate) fn dismiss(&self, message: &str) {
        let reason = GoodbyeReason::Dismissed;
        self.send(ClientMessage::Goodbye { reason, message: message.to_owned() });
        self.pool.with(|state| state.dismissed.add(self.node));
        self.pool.left(self.node, self.connection, message);
    }
}

#[cfg(test)]
mod tests;
