//! A job in virtual time: a shell that writes the log late, a disk that loses blobs, nodes of several habits. Everything
//! comes from one seed.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used)]

mod scripts;

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use starling_job::{
    Action, Config, ConnectionId, End, Event, Fault, GroupId, JobCore, JobEvent, JobState, Note,
    RecordId, Script, Shortage, SourceRun, Verdict, Word,
};
use starling_sched::{Lease, RevokeReason, TaskFailure};
use starling_types::{
    BlobRef, Capability, Epoch, FailureClass, KindCode, MemoryBytes, MemoryTable, Millis, NodeId,
    Reference, Task,
};

pub use scripts::*;

/// How often a node says that it still works.
const RENEWAL_MS: u64 = 5_000;

/// When a node asks again that says nothing of what it has: its lease has expired by then.
const MUTE_MS: u64 = 21_000;

/// What a node says that refuses a task.
pub const REFUSAL: &str = "it makes no sense to me";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Honest,
    /// Reports false results.
    Lying,
    /// Takes a lease and is never heard again.
    Hung,
    /// Takes each lease, says nothing of it, and asks for the next once that has expired.
    Mute,
    /// Is connected and never asks for work.
    Silent,
    /// Asks for work, and takes none that it gets.
    Declining,
    /// Works for ten minutes on each task, and says so.
    Slow,
    /// Works on its task for ever, and says so.
    Endless,
    /// Goes away in the middle of each task, and comes back over a new connection.
    Leaving,
    /// Fails each task like this.
    Refusing(FailureClass),
}

#[derive(Debug)]
struct Peer {
    habit: Habit,
    connection: ConnectionId,
    leases: BTreeMap<Epoch, Lease>,
}

#[derive(Debug)]
enum Pending<S: Fake> {
    Event(Event<S>),
    /// The log has written this.
    Written(RecordId),
    /// The source stores and puts out the piece of this number.
    PutOut(SourceRun, u32),
    /// A result was fetched and checked.
    Checked(Epoch, Verdict<S>),
    Look(Vec<BlobRef>),
    Done(NodeId, Epoch),
    Declined(NodeId, Epoch),
    Asked(NodeId),
    Renewed(NodeId, Epoch),
    Group(GroupId),
    /// What was proved is put together.
    PutTogether,
    Leave(NodeId),
    Join(NodeId),
}

/// How the log answers.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// The longest that a write takes.
    pub delay_ms_max: u64,
    /// From which record on writing fails.
    pub fails_at: Option<u64>,
}

/// How many blobs fit on the disk.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// When the source still finds room.
    pub source: usize,
    /// When results do.
    pub results: usize,
    /// Whether what is in the way is the job's own.
    pub is_own: bool,
}

impl Room {
    /// A disk that is never full.
    pub const ALL: Self = Self { source: usize::MAX, results: usize::MAX, is_own: false };

    fn shortage(self, reason: &str) -> Shortage {
        Shortage { reason: reason.into(), is_own: self.is_own }
    }
}

type Unwritten<S> =
    (Vec<JobEvent<<S as Script>::Event>>, Vec<BlobRef>, Option<BTreeSet<Reference>>);

pub struct World<S: Fake> {
    pub core: JobCore<S>,
    pub now: Millis,
    /// What is in the log, in order: what a killed client finds again.
    pub log: Vec<JobEvent<S::Event>>,
    pub disk: BTreeSet<Reference>,
    /// What the disk had when the log had so many events.
    pub disks: Vec<BTreeSet<Reference>>,
    /// Whether `disks` is kept.
    pub keeps_disks: bool,
    /// What the log keeps.
    pub roots: BTreeSet<Reference>,
    pub collections: usize,
    /// Whether they remove anything.
    pub collects: bool,
    pub end: Option<End<S>>,
    pub notes: Vec<Note>,
    /// Every lease: the task, to whom.
    pub granted: Vec<(NodeId, Task)>,
    pub last_epoch: Epoch,
    pub checks: usize,
    pub voided: Vec<NodeId>,
    pub dismissed: Vec<NodeId>,
    pub revoked: Vec<(NodeId, Epoch, RevokeReason)>,
    /// The group that is checked, and its results.
    pub group: Option<(GroupId, Vec<(Task, BlobRef)>)>,
    pub groups: usize,
    /// How long a group's check takes; for ever without it.
    pub group_ms: Option<u64>,
    /// How often something was put together, and whether that goes on.
    pub deliveries: usize,
    pub is_delivering: bool,
    /// How long that takes; for ever without it.
    pub delivery_ms: Option<u64>,
    pub looks: usize,
    /// Whether what is to be judged can be read.
    pub is_readable: bool,
    pub judged: usize,
    pub source_runs: u32,
    /// Which story each run of the source tells; the last for all others.
    pub stories: Vec<u8>,
    pub event_count: usize,
    pub log_is: Log,
    pub room: Room,
    /// The most blobs that were ever on the disk.
    pub disk_max: usize,
    unwritten: BTreeMap<RecordId, Unwritten<S>>,
    written: BTreeSet<RecordId>,
    recorded: BTreeSet<Reference>,
    script: S,
    peers: BTreeMap<NodeId, Peer>,
    connections: u64,
    queue: BTreeMap<(Millis, u64), Pending<S>>,
    sent: u64,
    rng: ChaCha8Rng,
}

pub fn config() -> Config {
    Config {
        // The nodes here have one slot and begin with whatever they are granted.
        scheduler: starling_sched::Config { leases_ahead: false, ..Default::default() },
        node_wait: Millis(120_000),
        timeout: None,
        seed: 7,
    }
}

pub fn node(name: u8) -> NodeId {
    NodeId([name; 32])
}

pub fn capability() -> Capability {
    Capability {
        memory: MemoryBytes::from_mib(4096),
        kinds: (0..32).map(|kind| (KindCode(kind), MemoryTable::default())).collect(),
        slots: 1,
        speed_permille: 1000,
    }
}

/// The job that a log tells of, taken up anew: what a client does before a run.
pub fn taken_up<S: Fake>(script: &S, log: &[JobEvent<S::Event>]) -> JobState<S> {
    let mut state = JobState::new(script.clone());
    for event in log {
        state.apply(event).unwrap();
    }
    let incarnation = state.incarnation.next();
    state.apply(&JobEvent::ClientStarted { incarnation }).unwrap();
    state
}

impl<S: Fake> World<S> {
    /// A job of which nothing is known yet.
    pub fn new(script: S) -> Self {
        Self::resumed(script, config(), &[], BTreeSet::new())
    }

    /// The job of this log, with what is on the disk.
    pub fn resumed(
        script: S,
        config: Config,
        log: &[JobEvent<S::Event>],
        mut disk: BTreeSet<Reference>,
    ) -> Self {
        let state = taken_up(&script, log);
        let mut whole = log.to_vec();
        whole.push(JobEvent::ClientStarted { incarnation: state.incarnation });
        disk.extend(script.given().iter().map(|blob| blob.reference));
        let whole_length = whole.len();
        let mut recorded: BTreeSet<Reference> = log.iter().filter_map(accepted).collect();
        recorded.extend(script.given().iter().map(|blob| blob.reference));
        recorded.extend(script.logged(log).iter().map(|blob| blob.reference));
        Self {
            core: JobCore::new(config, state).unwrap(),
            now: Millis(0),
            log: whole,
            roots: disk.clone(),
            disks: vec![disk.clone(); whole_length + 1],
            keeps_disks: true,
            collections: 0,
            collects: true,
            disk,
            end: None,
            notes: Vec::new(),
            granted: Vec::new(),
            last_epoch: Epoch(0),
            checks: 0,
            voided: Vec::new(),
            dismissed: Vec::new(),
            revoked: Vec::new(),
            deliveries: 0,
            is_delivering: false,
            delivery_ms: Some(0),
            group: None,
            groups: 0,
            group_ms: Some(1_000),
            looks: 0,
            is_readable: true,
            judged: 0,
            source_runs: 0,
            stories: vec![0],
            event_count: 0,
            log_is: Log { delay_ms_max: 0, fails_at: None },
            room: Room::ALL,
            disk_max: 0,
            unwritten: BTreeMap::new(),
            written: BTreeSet::new(),
            recorded,
            script,
            peers: BTreeMap::new(),
            connections: 0,
            queue: BTreeMap::new(),
            sent: 0,
            rng: ChaCha8Rng::seed_from_u64(1),
        }
    }

    pub fn add(&mut self, name: u8, habit: Habit) {
        self.add_later(name, habit, 0);
    }

    pub fn add_later(&mut self, name: u8, habit: Habit, delay_ms: u64) {
        let peer = Peer { habit, connection: ConnectionId(0), leases: BTreeMap::new() };
        self.peers.insert(node(name), peer);
        self.push(delay_ms, Pending::Join(node(name)));
    }

    /// From now on the node behaves like this.
    pub fn turn(&mut self, name: u8, habit: Habit) {
        self.peers.get_mut(&node(name)).unwrap().habit = habit;
    }

    pub fn with(mut self, habits: &[Habit]) -> Self {
        for (name, habit) in (1..).zip(habits) {
            self.add(name, *habit);
        }
        self
    }

    /// Begins, and lets the world run to the job's end.
    pub fn run(&mut self) -> &End<S> {
        self.begin();
        self.go_on_until(|_| false);
        self.end.as_ref().expect("the job ends in an hour")
    }

    pub fn begin(&mut self) {
        self.tell(Event::Begin);
    }

    /// Lets the world run until `stop` or the end of the job, for a day at most.
    pub fn go_on_until(&mut self, stop: impl Fn(&Self) -> bool) {
        const DAY: Millis = Millis(86_400_000);
        while self.end.is_none() && !stop(self) && self.now < DAY {
            let next = self.queue.first_key_value().map(|(key, _)| key.0);
            let wakeup = self.core.next_wakeup();
            if let Some(wakeup) = wakeup {
                // It may be due now, where what has just happened at this moment was not the core's to hear.
                assert!(wakeup >= self.now, "a wake-up was missed");
            }
            match (next, wakeup) {
                (Some(next), wakeup) if wakeup.is_none_or(|wakeup| next <= wakeup) => {
                    self.now = next;
                    let (_, pending) = self.queue.pop_first().unwrap();
                    self.step(pending);
                }
                (_, Some(wakeup)) => {
                    self.now = wakeup;
                    self.tell(Event::Tick);
                    let again = self.core.next_wakeup();
                    assert!(again.is_none_or(|at| at > self.now), "it would come for ever");
                }
                (Some(_) | None, None) => return,
            }
        }
    }

    pub fn tell(&mut self, event: Event<S>) {
        self.event_count += 1;
        for action in self.core.handle(self.now, event) {
            assert!(self.end.is_none(), "nothing follows the end: {action:?}");
            self.act(action);
        }
    }

    /// Says what is false of the group as it was when its check began.
    pub fn judge_group(&mut self) {
        let (group, results) = self.group.take().expect("a group is checked");
        let is_false = |(_, blob): &&(Task, BlobRef)| is_false(*blob);
        let false_ones = results.iter().filter(is_false).map(|(task, _)| *task).collect();
        let judged = results.len();
        self.tell(Event::GroupChecked { group, judged, false_ones, lost: None });
    }

    /// Takes a blob off the disk.
    pub fn lose(&mut self, blob: BlobRef) {
        assert!(self.disk.remove(&blob.reference), "{blob:?} was there");
    }

    pub fn connection(&self, name: u8) -> ConnectionId {
        self.peers[&node(name)].connection
    }

    /// Whether no node works on anything.
    pub fn nodes_are_idle(&self) -> bool {
        self.peers.values().all(|peer| peer.leases.is_empty())
    }

    /// Whether the log has such an event to write.
    pub fn is_on_its_way(&self, is_such: impl Fn(&JobEvent<S::Event>) -> bool) -> bool {
        self.unwritten.values().any(|(events, ..)| events.iter().any(&is_such))
    }

    pub fn accepted_count(&self) -> usize {
        self.core.state().accepted.len()
    }

    fn push(&mut self, delay_ms: u64, pending: Pending<S>) {
        self.sent += 1;
        self.queue.insert((self.now + Millis(delay_ms), self.sent), pending);
    }

    fn say(&mut self, name: NodeId, word: Word) {
        if let Some(peer) = self.peers.get(&name) {
            let connection = peer.connection;
            self.tell(Event::NodeSaid { node: name, connection, word });
        }
    }

    fn step(&mut self, pending: Pending<S>) {
        match pending {
            Pending::Event(event) => self.tell(event),
            Pending::Written(id) => self.write(id),
            Pending::Checked(epoch, verdict) => {
                let verdict = match verdict {
                    Verdict::Accepted(blob) | Verdict::Provisional(blob)
                        if !self.store(blob, self.room.results) =>
                    {
                        let shortage = self.room.shortage("the disk is full of results");
                        Verdict::LacksRoom { shortage }
                    }
                    verdict => verdict,
                };
                self.tell(Event::Checked { epoch, verdict });
            }
            Pending::Look(blobs) => {
                let is_there = |blob: &&BlobRef| self.disk.contains(&blob.reference);
                let pins: Vec<BlobRef> = blobs.iter().filter(is_there).copied().collect();
                let gone = blobs.iter().filter(|blob| !is_there(blob));
                let gone = gone.map(|blob| blob.reference).collect();
                self.tell(Event::Looked { blobs, gone, pins });
            }
            Pending::PutOut(run, number) => self.put_out(run, number),
            Pending::Join(name) => {
                let Some(peer) = self.peers.get_mut(&name) else { return };
                self.connections += 1;
                peer.connection = ConnectionId(self.connections);
                let connection = peer.connection;
                self.tell(Event::NodeConnected {
                    node: name,
                    connection,
                    capability: capability(),
                });
                if self.peers[&name].habit != Habit::Silent {
                    self.say(name, Word::WorkRequested);
                }
            }
            Pending::Asked(name) => self.say(name, Word::WorkRequested),
            Pending::Declined(name, epoch) => {
                self.say(name, Word::Declined { epoch, busy: false });
                self.say(name, Word::WorkRequested);
            }
            Pending::Renewed(name, epoch) => {
                let is_held = |world: &Self| world.peers.get(&name)?.leases.get(&epoch).map(|_| ());
                if is_held(self).is_some() {
                    self.say(name, Word::Renewed { epoch, done_permille: 0, waits: false });
                    self.push(RENEWAL_MS, Pending::Renewed(name, epoch));
                }
            }
            Pending::Leave(name) => {
                let Some(peer) = self.peers.get_mut(&name) else { return };
                peer.leases.clear();
                let connection = peer.connection;
                self.tell(Event::NodeGone { node: name, connection });
                self.push(3_000, Pending::Join(name));
            }
            Pending::Done(name, epoch) => self.finish(name, epoch),
            Pending::PutTogether => {
                let live = self.core.live_blobs();
                self.tell(match live.iter().all(|blob| self.disk.contains(&blob.reference)) {
                    true => Event::Delivered { done: S::done(), pins: Vec::new() },
                    false => Event::NotDelivered { error: Trouble(LOST) },
                });
            }
            Pending::Group(id) => {
                if self.group.as_ref().is_some_and(|(group, _)| *group == id) {
                    self.judge_group();
                }
            }
        }
    }

    fn finish(&mut self, name: NodeId, epoch: Epoch) {
        let Some(peer) = self.peers.get_mut(&name) else { return };
        let Some(lease) = peer.leases.remove(&epoch) else { return };
        let is_there =
            |input: &starling_sched::LeaseInput| self.disk.contains(&input.blob.reference);
        let word = if let Habit::Refusing(class) = peer.habit {
            Word::Failed { epoch, failure: TaskFailure { class, message: REFUSAL.to_owned() } }
        } else if lease.inputs.iter().all(is_there) {
            let salt = if S::SALTED { name.0[0] ^ epoch.0 as u8 } else { 0 };
            // What is made of something false is false.
            let reads_false = lease.inputs.iter().any(|input| is_false(input.blob));
            let matter = if peer.habit == Habit::Lying || reads_false { FALSE } else { 0 };
            Word::Done { epoch, blob: result_of(lease.task, salt, matter) }
        } else {
            let (class, message) = (FailureClass::Input, "not served".to_owned());
            Word::Failed { epoch, failure: TaskFailure { class, message } }
        };
        self.say(name, word);
        self.say(name, Word::WorkRequested);
    }

    fn put_out(&mut self, run: SourceRun, number: u32) {
        let story = *self.stories.get(run.0 as usize - 1).or(self.stories.last()).unwrap();
        let Some((piece, blob)) = self.script.told(story, number) else { return };
        if run.0 == self.source_runs {
            if !self.store(blob, self.room.source) {
                let shortage = self.room.shortage("the disk is full of segments");
                self.tell(Event::SourceLacksRoom { run, shortage });
                return self.push(250, Pending::PutOut(run, number));
            }
            self.tell(Event::Emitted { run, piece, pins: vec![blob] });
            self.push(1_000, Pending::PutOut(run, number + 1));
        }
    }

    /// Whether there was room for the blob. As in the client, what nobody holds goes before there is said to be none.
    fn store(&mut self, blob: BlobRef, count_max: usize) -> bool {
        if self.disk.len() >= count_max {
            self.collect();
        }
        let has_room = self.disk.len() < count_max || self.disk.contains(&blob.reference);
        if has_room {
            self.disk.insert(blob.reference);
            self.disk_max = self.disk_max.max(self.disk.len());
        }
        has_room
    }

    fn collect(&mut self) {
        let unwritten = self.unwritten.values().flat_map(|(_, pins, _)| pins);
        let pinned = unwritten.copied().chain(self.core.held_blobs());
        let pinned: BTreeSet<_> = pinned.map(|blob| blob.reference).collect();
        self.disk.retain(|blob| self.roots.contains(blob) || pinned.contains(blob));
    }

    fn write(&mut self, id: RecordId) {
        if self.log_is.fails_at.is_some_and(|first| id.0 >= first) {
            let error = Trouble(if Some(id.0) == self.log_is.fails_at { "full" } else { "late" });
            return self.tell(Event::NotRecorded { id, error });
        }
        self.written.insert(id);
        // The log's order is that of the records, whatever the order of its answers.
        while let Some(entry) =
            self.unwritten.first_entry().filter(|e| self.written.contains(e.key()))
        {
            let (events, pins, keep) = entry.remove();
            if let Some(keep) = keep {
                self.roots.retain(|blob| keep.contains(blob));
            }
            self.roots.extend(pins.iter().map(|pin| pin.reference));
            self.recorded.extend(pins.iter().map(|pin| pin.reference));
            self.log.extend(events);
            if self.keeps_disks {
                self.disks.resize(self.log.len() + 1, self.disk.clone());
            }
        }
        self.tell(Event::Recorded { id });
    }

    fn act(&mut self, action: Action<S>) {
        match action {
            Action::Record { id, events, pins, keep } => {
                self.unwritten.insert(id, (events, pins, keep));
                let delay = self.rng.next_u64() % (self.log_is.delay_ms_max + 1);
                self.push(delay, Pending::Written(id));
            }
            Action::Grant { node, lease, .. } => self.take_lease(node, lease),
            Action::Revoke { node, epoch, reason } => {
                self.revoked.push((node, epoch, reason));
                self.drop_leases(node, |other| other == epoch);
            }
            Action::Disown { node, epoch } => self.drop_leases(node, |other| other == epoch),
            Action::Tell { blob, verdict, .. } => {
                let is_logged = self.recorded.contains(&blob.reference);
                assert!(verdict.is_err() || is_logged, "told of a result before it is in the log");
            }
            Action::Dismiss { node, .. } => {
                self.dismissed.push(node);
                self.peers.remove(&node);
            }
            Action::Void { node } => {
                self.voided.push(node);
                self.drop_leases(node, |_| true);
            }
            Action::Check { epoch, task, blob, expected, .. } => {
                assert_eq!(task, expected);
                self.checks += 1;
                let salt = blob.reference.0[30];
                let verdict = if S::PROVISIONAL {
                    Verdict::Provisional(blob)
                } else if blob == result_of(task, salt, 0) {
                    Verdict::Accepted(blob)
                } else {
                    Verdict::Refused { reason: "it is false".into() }
                };
                self.push(20, Pending::Checked(epoch, verdict));
            }
            Action::Look { blobs } => {
                self.looks += 1;
                self.push(50, Pending::Look(blobs));
            }
            Action::Collect => {
                self.collections += 1;
                if self.collects {
                    self.collect();
                }
            }
            Action::Judge { task, inputs } => {
                self.judged += 1;
                let lost =
                    |blob: Reference| (!self.disk.contains(&blob)).then_some(Fault::Lost(blob));
                let faults = inputs.iter().filter_map(|input| lost(input.blob.reference)).collect();
                let is_whole = self.is_readable;
                let faults = if is_whole { faults } else { Vec::new() };
                self.push(50, Pending::Event(Event::Judged { task, faults, is_whole }));
            }
            Action::CheckGroup { group, results } => {
                assert!(self.group.is_none(), "one group at a time");
                self.groups += 1;
                let read = results.iter().inspect(|result| {
                    let is_there = self.disk.contains(&result.blob.reference);
                    assert!(is_there, "{} is to be checked and was let go", result.task);
                });
                self.group = Some((group, read.map(|result| (result.task, result.blob)).collect()));
                if let Some(delay_ms) = self.group_ms {
                    self.push(delay_ms, Pending::Group(group));
                }
            }
            Action::StartSource { run } => {
                self.source_runs = run.0;
                self.push(1_000, Pending::PutOut(run, 0));
            }
            Action::StopSource => {}
            Action::Deliver { .. } => {
                assert!(self.unwritten.is_empty(), "what is put together is in the log");
                self.deliveries += 1;
                self.is_delivering = true;
                self.let_nodes_go();
                if let Some(delay_ms) = self.delivery_ms {
                    self.push(delay_ms, Pending::PutTogether);
                }
            }
            Action::CallNodes => {
                self.is_delivering = false;
                for name in self.peers.keys().copied().collect::<Vec<_>>() {
                    self.push(1, Pending::Join(name));
                }
            }
            Action::StopDelivery => self.is_delivering = false,
            Action::Say(note) => self.notes.push(note),
            Action::End(end) => self.end = Some(end),
        }
    }

    /// They stay, and say nothing more to this job: what they say came over connections that it has no more.
    fn let_nodes_go(&mut self) {
        for peer in self.peers.values_mut() {
            peer.leases.clear();
            peer.connection = ConnectionId(0);
        }
    }

    fn take_lease(&mut self, name: NodeId, lease: Lease) {
        self.granted.push((name, lease.task));
        self.last_epoch = lease.epoch;
        for input in &lease.inputs {
            let is_durable = self.recorded.contains(&input.blob.reference);
            assert!(is_durable, "{} reads what is not in the log", lease.task);
        }
        let Some(peer) = self.peers.get_mut(&name) else { return };
        let epoch = lease.epoch;
        peer.leases.insert(epoch, lease);
        match peer.habit {
            Habit::Honest | Habit::Lying | Habit::Refusing(_) => {
                self.push(WORK.0, Pending::Done(name, epoch));
            }
            Habit::Hung | Habit::Silent => {}
            Habit::Mute => self.push(MUTE_MS, Pending::Asked(name)),
            Habit::Declining => self.push(50, Pending::Declined(name, epoch)),
            Habit::Endless => self.push(RENEWAL_MS, Pending::Renewed(name, epoch)),
            Habit::Slow => {
                self.push(RENEWAL_MS, Pending::Renewed(name, epoch));
                self.push(600_000, Pending::Done(name, epoch));
            }
            Habit::Leaving => self.push(WORK.0 / 2, Pending::Leave(name)),
        }
    }

    /// A node stops working on some leases; it has slots free then.
    fn drop_leases(&mut self, name: NodeId, is_dropped: impl Fn(Epoch) -> bool) {
        let Some(peer) = self.peers.get_mut(&name) else { return };
        let before = peer.leases.len();
        peer.leases.retain(|epoch, _| !is_dropped(*epoch));
        for _ in peer.leases.len()..before {
            let connection = self.peers[&name].connection;
            let word = Word::WorkRequested;
            self.push(1, Pending::Event(Event::NodeSaid { node: name, connection, word }));
        }
    }
}

fn accepted<E>(event: &JobEvent<E>) -> Option<Reference> {
    match event {
        JobEvent::ResultAccepted { blob, .. } => Some(blob.reference),
        _ => None,
    }
}
