//! A client as small as can be, for what the real one does to nobody: the real scheduler, sessions and fetches, and checks
//! that compare.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use starling_fake::{Expected, SYSTEMS, Sum};
use starling_net::{ClientSession, Net, PeerAddr, SessionHandle, SessionSender, Source};
use starling_plan::{MergesPlan, Plan};
use starling_proto::{ClientMessage, GoodbyeReason, Grant, Input, LeaseId, NodeMessage, Welcome};
use starling_sched::{Action, Config, Event, Judgement, Scheduler, TaskFailure};
use starling_store::{BlobStore, DiskBudget, Pin};
use starling_types::{
    BlobRef, Capability, ClientRun, Epoch, Incarnation, JobId, Millis, NodeId, Reference, Role,
    Task,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{loopback, soon};

/// The largest blob that is read.
const BLOB_BYTES_MAX: u64 = 64 << 20;

const JOB: JobId = JobId([9; 16]);

/// What the result of each task must be.
type MustBe = dyn Fn(Task) -> Option<Sum> + Send + Sync;

/// What becomes of results.
#[derive(Clone)]
pub(crate) struct Checks {
    must_be: Arc<MustBe>,
}

impl Checks {
    pub(crate) fn new(must_be: impl Fn(Task) -> Option<Sum> + Send + Sync + 'static) -> Self {
        Self { must_be: Arc::new(must_be) }
    }

    /// Of a job of wide merges over `raw`.
    pub(crate) fn of_merges(raw: &[Vec<u8>]) -> Self {
        let expected = Expected::of(raw.iter().map(Vec::as_slice));
        let whole = starling_types::IndexRange::new(0, raw.len() as u32).unwrap();
        Self::new(move |task| match task.kind {
            MergesPlan::FINISH => expected.sum(whole).map(Sum::finish),
            _ => expected.sum(task.range),
        })
    }

    /// Whether `blob` is what it must be.
    pub(crate) fn judge(&self, task: Task, blob: &[u8]) -> Result<(), String> {
        let sum =
            (self.must_be)(task).ok_or_else(|| format!("{task} is nothing that was asked for"))?;
        sum.compare(blob).map_err(|error| error.to_string())
    }
}

/// What happens to the client.
enum Happened {
    Joined { node: NodeId, generation: u64, capability: Capability, peer: Box<Peer> },
    Said { node: NodeId, generation: u64, message: NodeMessage },
    Left { node: NodeId, generation: u64 },
    Checked { epoch: Epoch, task: Task, blob: BlobRef, outcome: Result<Pin, Fault> },
}

/// Why a result is not taken.
enum Fault {
    Unfetchable(String),
    False(String),
}

struct Peer {
    generation: u64,
    addr: PeerAddr,
    handle: SessionHandle,
    sender: SessionSender<ClientMessage>,
}

/// What a test wants to know afterwards.
#[derive(Default)]
pub(crate) struct Seen {
    /// The tasks in the order in which they were granted, and to whom.
    pub(crate) granted: Vec<(Task, NodeId)>,
    /// The leases that were granted ahead.
    pub(crate) ahead: BTreeSet<Epoch>,
    /// What nodes said, in order.
    pub(crate) said: Vec<NodeMessage>,
    /// What was accepted, in order, and from which lease.
    pub(crate) accepted: Vec<(Task, BlobRef, Epoch)>,
    pub(crate) dismissed: BTreeSet<NodeId>,
    pub(crate) failures: Vec<TaskFailure>,
    /// How many results could not be had.
    pub(crate) unfetchable_count: usize,
    pub(crate) joined: Vec<NodeId>,
    /// Blobs that were found to be damaged here.
    pub(crate) damaged: Vec<Reference>,
}

/// The client.
pub(crate) struct Client<P: Plan> {
    pub(crate) net: Net,
    pub(crate) blobs: BlobStore,
    pub(crate) seen: Seen,
    pub(crate) scheduler: Scheduler<P>,
    pub(crate) system: &'static str,
    checks: Checks,
    /// What the job is about.
    raw: Vec<Vec<u8>>,
    /// What each task reads besides, as a challenge.
    challenge: Option<BlobRef>,
    /// Everything that the client has, so that it stays.
    pins: Vec<Pin>,
    started: Instant,
    peers: BTreeMap<NodeId, Peer>,
    happenings: mpsc::Sender<Happened>,
    happened: mpsc::Receiver<Happened>,
    outcome: Option<P::Outcome>,
    dir: TempDir,
}

pub(crate) fn config() -> Config {
    // Machines that build and test at the same time are slow, never minutes.
    Config { deadline_min: Millis(20_000), ..Config::default() }
}

impl<P> Client<P>
where
    P: Plan + Send + 'static,
    P::Input: Send,
    P::Outcome: Send + Clone,
{
    /// A client of a job over `raw`.
    pub(crate) async fn new(
        key: u8,
        raw: &[Vec<u8>],
        checks: Checks,
        plan: impl FnOnce(&[BlobRef]) -> P,
    ) -> Self {
        Self::with(config(), key, raw, checks, plan).await
    }

    /// A client of a job over `raw`, with these limits.
    pub(crate) async fn with(
        config: Config,
        key: u8,
        raw: &[Vec<u8>],
        checks: Checks,
        plan: impl FnOnce(&[BlobRef]) -> P,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
        let blobs = BlobStore::open(dir.path(), budget).unwrap();
        let pins: Vec<Pin> = raw.iter().map(|raw| blobs.put(raw).unwrap()).collect();
        let inputs: Vec<BlobRef> = pins.iter().map(Pin::blob).collect();
        let net = Net::bind(loopback(key), blobs.clone()).await.unwrap();
        let plan = plan(&inputs);
        let (happenings, happened) = mpsc::channel(1024);
        tokio::spawn(accept(net.clone(), happenings.clone()));
        Self {
            scheduler: Scheduler::new(config, plan, Incarnation(1), 7),
            net,
            blobs,
            seen: Seen::default(),
            system: SYSTEMS[0],
            checks,
            raw: raw.to_vec(),
            challenge: None,
            pins,
            started: Instant::now(),
            peers: BTreeMap::new(),
            happenings,
            happened,
            outcome: None,
            dir,
        }
    }

    pub(crate) fn addr(&self) -> PeerAddr {
        self.net.addr()
    }

    /// Tells the scheduler and does what it says.
    pub(crate) async fn tell(&mut self, event: Event<P::Input>) {
        let now = Millis(self.started.elapsed().as_millis() as u64);
        for action in self.scheduler.handle(now, event) {
            self.act(action).await;
        }
    }

    /// Goes on until `enough` says so.
    pub(crate) async fn run_until(&mut self, enough: impl Fn(&Self) -> bool) {
        soon(async {
            while !enough(self) {
                self.step().await;
            }
        })
        .await;
    }

    /// Goes on until everything is proved, and says goodbye to all.
    pub(crate) async fn finish(&mut self) -> P::Outcome {
        self.run_until(|client| client.outcome.is_some()).await;
        self.say_goodbye().await;
        self.outcome.clone().unwrap()
    }

    /// Ends with all nodes, in good order.
    pub(crate) async fn say_goodbye(&mut self) {
        for (_, peer) in std::mem::take(&mut self.peers) {
            let message = "the client ends".into();
            let goodbye = ClientMessage::Goodbye { reason: GoodbyeReason::ShuttingDown, message };
            let _ = peer.sender.send(&goodbye).await;
        }
    }

    /// From now on each task reads this as well, as a challenge.
    pub(crate) fn challenge(&mut self, challenge: &[u8]) {
        let pin = self.blobs.put(challenge).unwrap();
        self.challenge = Some(pin.blob());
        self.pins.push(pin);
    }

    /// Closes the connection to a node as if it had broken.
    pub(crate) fn cut_off(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }

    /// A blob that the client has, read.
    pub(crate) fn read(&self, blob: BlobRef) -> Vec<u8> {
        self.blobs.get(blob.reference, BLOB_BYTES_MAX).unwrap().unwrap()
    }

    /// How often a task was granted.
    pub(crate) fn grants_of(&self, task: Task) -> usize {
        self.seen.granted.iter().filter(|(granted, _)| *granted == task).count()
    }

    async fn step(&mut self) {
        let wakeup = self.scheduler.next_wakeup();
        let now_ms = self.started.elapsed().as_millis() as u64;
        let wait_ms = wakeup.map_or(1000, |at| at.0.saturating_sub(now_ms)).clamp(1, 1000);
        tokio::select! {
            happened = self.happened.recv() => self.take(happened.unwrap()).await,
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => self.tell(Event::Tick).await,
        }
    }

    async fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Joined { node, generation, capability, peer } => {
                if self.peers.insert(node, *peer).is_none_or(|old| old.generation < generation) {
                    self.seen.joined.push(node);
                    self.tell(Event::NodeJoined { node, capability }).await;
                }
            }
            Happened::Left { node, generation } => {
                let is_current = self.is_current(node, generation);
                if is_current || !self.peers.contains_key(&node) {
                    self.peers.remove(&node);
                    self.tell(Event::NodeLeft { node }).await;
                }
            }
            Happened::Said { node, generation, message } => {
                if self.is_current(node, generation) {
                    self.hear(node, message).await;
                }
            }
            Happened::Checked { epoch, task, blob, outcome } => match outcome {
                Ok(pin) => {
                    self.pins.push(pin);
                    // What is late is told, and no part of the log.
                    if self.scheduler.awaits(epoch) {
                        self.seen.accepted.push((task, blob, epoch));
                    }
                    self.tell(Event::ResultAccepted { epoch, blob }).await;
                }
                Err(Fault::False(reason)) => {
                    self.tell(Event::ResultRefused { epoch, reason }).await
                }
                Err(Fault::Unfetchable(reason)) => {
                    self.seen.unfetchable_count += 1;
                    self.tell(Event::ResultUnfetchable { epoch, reason }).await;
                }
            },
        }
    }

    fn is_current(&self, node: NodeId, generation: u64) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.generation == generation)
    }

    async fn hear(&mut self, node: NodeId, message: NodeMessage) {
        self.seen.said.push(message.clone());
        let event = match message {
            NodeMessage::WorkRequested => Event::WorkRequested { node },
            NodeMessage::Renew { lease, done_permille, waits } => {
                Event::LeaseRenewed { node, epoch: lease.epoch, done_permille, waits }
            }
            NodeMessage::Decline { lease, busy } => {
                Event::LeaseDeclined { node, epoch: lease.epoch, busy }
            }
            NodeMessage::Done(done) => {
                Event::ResultReported { node, epoch: done.lease.epoch, blob: done.result }
            }
            NodeMessage::Failed(failed) => {
                let failure = TaskFailure { class: failed.class, message: failed.message };
                self.seen.failures.push(failure.clone());
                Event::TaskFailed { node, epoch: failed.lease.epoch, failure }
            }
            NodeMessage::Hello(_) | NodeMessage::Leaving { .. } => return,
        };
        self.tell(event).await;
    }

    async fn act(&mut self, action: Action<P::Outcome>) {
        match action {
            Action::Grant { node, lease } => {
                self.seen.granted.push((lease.task, node));
                if lease.ahead {
                    self.seen.ahead.insert(lease.epoch);
                }
                let grant = Grant {
                    lease: LeaseId { job: JOB, epoch: lease.epoch },
                    system: self.system.into(),
                    task: lease.task,
                    arguments: vec![],
                    inputs: lease
                        .inputs
                        .iter()
                        .map(|input| (Role::Input, input.blob))
                        .chain(self.challenge.map(|blob| (Role::Challenge, blob)))
                        .map(|(role, blob)| Input { blob, role, holders: vec![] })
                        .collect(),
                    renew_within: lease.renew_within,
                    deadline: lease.deadline,
                    ahead: lease.ahead,
                };
                self.send(node, ClientMessage::Grant(grant)).await;
            }
            Action::Revoke { node, epoch, reason, .. } => {
                let lease = LeaseId { job: JOB, epoch };
                let revoke = ClientMessage::Revoke { lease, reason: format!("{reason:?}") };
                self.send(node, revoke).await;
            }
            Action::Disown { node, epoch } => {
                let lease = LeaseId { job: JOB, epoch };
                let revoke = ClientMessage::Revoke { lease, reason: "unknown".into() };
                self.send(node, revoke).await;
            }
            Action::CheckResult { node, epoch, task, blob } => {
                let Some(peer) = self.peers.get(&node) else { return };
                let source = Source::via(peer.addr.clone(), peer.handle.clone());
                let (net, blobs) = (self.net.clone(), self.blobs.clone());
                let (checks, happenings) = (self.checks.clone(), self.happenings.clone());
                tokio::spawn(async move {
                    let outcome = check(&net, &blobs, &checks, task, blob, source).await;
                    let _ = happenings.send(Happened::Checked { epoch, task, blob, outcome }).await;
                });
            }
            Action::Dismiss { node, reason } => {
                self.seen.dismissed.insert(node);
                let reason =
                    ClientMessage::Goodbye { reason: GoodbyeReason::Dismissed, message: reason };
                self.send(node, reason).await;
                self.peers.remove(&node);
            }
            // Boxed, since what is told leads to more to do.
            Action::Judge { task, inputs } => Box::pin(self.look_at(task, &inputs)).await,
            Action::JobProved { outcome } => self.outcome = Some(outcome),
            Action::JobFailed { error } => panic!("the job failed: {error}"),
            Action::Reread { .. }
            | Action::Expired { .. }
            | Action::Revived { .. }
            | Action::Ignored { .. }
            | Action::Disbelieved { .. }
            | Action::Waiting { .. }
            | Action::WaitingOver => {}
        }
    }

    /// Several nodes refuse a task: looks at its inputs, and puts those that are damaged here again.
    async fn look_at(&mut self, task: Task, inputs: &[BlobRef]) {
        let is_damaged =
            |input: &&BlobRef| self.blobs.pin(input.reference).ok().flatten().is_none();
        let damaged: Vec<BlobRef> = inputs.iter().filter(is_damaged).copied().collect();
        if damaged.is_empty() {
            let judgement = Judgement::Sound;
            return self.tell(Event::Judged { task, judgement }).await;
        }
        for BlobRef { reference: blob, .. } in damaged {
            self.seen.damaged.push(blob);
            self.tell(Event::BlobLost { blob }).await;
            // Whatever of them is raw data; a result is made again by others.
            let again: Vec<Pin> = self.raw.iter().map(|raw| self.blobs.put(raw).unwrap()).collect();
            let is_here = again.iter().any(|pin| pin.reference == blob);
            self.pins.extend(again);
            if is_here {
                self.tell(Event::BlobFound { blob }).await;
            }
        }
    }

    /// Changes a byte of a blob on the client's disk.
    pub(crate) fn damage(&self, blob: BlobRef) {
        let bytes = self.read(blob);
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if std::fs::read(&path).unwrap() == bytes {
                    let mut damaged = bytes.clone();
                    damaged[0] ^= 1;
                    std::fs::write(&path, damaged).unwrap();
                    return;
                }
            }
        }
        panic!("there is no file of {blob:?}");
    }

    async fn send(&mut self, node: NodeId, message: ClientMessage) {
        if let Some(peer) = self.peers.get(&node) {
            let _ = peer.sender.send(&message).await;
        }
    }
}

async fn check(
    net: &Net,
    blobs: &BlobStore,
    checks: &Checks,
    task: Task,
    blob: BlobRef,
    source: Source,
) -> Result<Pin, Fault> {
    let fetched = net.fetch(blob, &[source]).await;
    let pin = fetched.map_err(|error| Fault::Unfetchable(error.to_string()))?.pin;
    let bytes = blobs.get(blob.reference, BLOB_BYTES_MAX);
    let bytes = bytes.ok().flatten().ok_or_else(|| Fault::Unfetchable("it is gone".into()))?;
    checks.judge(task, &bytes).map_err(Fault::False)?;
    Ok(pin)
}

/// Takes in nodes until the endpoint is closed.
async fn accept(net: Net, happenings: mpsc::Sender<Happened>) {
    let mut generation = 0;
    while let Some(session) = net.accept_job().await {
        generation += 1;
        tokio::spawn(converse(session, generation, happenings.clone()));
    }
}

async fn converse(mut session: ClientSession, generation: u64, happenings: mpsc::Sender<Happened>) {
    let node = session.peer();
    let Ok(Some(NodeMessage::Hello(hello))) = session.recv().await else { return };
    let Some(offer) = hello.systems.iter().find(|offer| SYSTEMS.contains(&offer.system.as_str()))
    else {
        let message = "the job is fake".to_owned();
        let reason = GoodbyeReason::WrongSystem;
        let _ = session.send(&ClientMessage::Goodbye { reason, message }).await;
        return;
    };
    let capability = Capability {
        memory: hello.memory,
        kinds: offer.kinds.clone(),
        slots: hello.slots,
        speed_permille: offer.speed_permille,
    };
    let welcome = Welcome { run: ClientRun(1) };
    if session.send(&ClientMessage::Welcome(welcome)).await.is_err() {
        return;
    }
    let (addr, handle) = (session.peer_addr(), session.handle());
    let (sender, mut receiver) = session.split();
    let peer = Peer { generation, addr, handle: handle.clone(), sender };
    // Nobody listens any more once the client is dead.
    let peer = Box::new(peer);
    if happenings.send(Happened::Joined { node, generation, capability, peer }).await.is_err() {
        return;
    }
    loop {
        let message = tokio::select! {
            received = receiver.recv() => received,
            () = happenings.closed() => return,
        };
        let Ok(Some(message)) = message else { break };
        if happenings.send(Happened::Said { node, generation, message }).await.is_err() {
            return;
        }
    }
    let _ = happenings.send(Happened::Left { node, generation }).await;
}
