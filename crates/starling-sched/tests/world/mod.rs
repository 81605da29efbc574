//! A made-up network in virtual time: nodes of several habits, a client shell that checks results, and
//! messages that are late, doubled, out of order or lost. Everything comes from one seed.

#![allow(dead_code, reason = "each test program uses a part")]

mod job;

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use starling_plan::{Outcome, ZkvmInput};
use starling_sched::{Believed, Config, Judgement, Lease, TaskFailure};
use starling_types::{
    Capability, Epoch, FailureClass, Incarnation, MemoryBytes, Millis, NodeId, Task, TaskKind,
};

use crate::common::{self, Action, Event, Scheduler};

pub use job::Job;
use job::{made_here, receipt};

const HEARTBEAT: u64 = 5000;
/// Leases and results that are not judged, for each slot of a node that has proved something.
const UNJUDGED_PER_SLOT_MAX: u32 = 4;
/// The last byte of a receipt's name says what is the matter with it.
const FALSE: u8 = 1;
const UNFETCHABLE: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Honest,
    /// Ten times slower than it says.
    Slow,
    /// Takes a lease and is not heard for minutes; may come back with the result.
    Silent,
    /// Its connection goes down in the middle of a task.
    Dying,
    /// Reports false results.
    Lying,
    /// Its prover fails, in all ways.
    Crashing,
    /// Reports results and does not serve them.
    Withholding,
    /// Asks for work and declines it.
    Declining,
    /// Takes whatever it gets, says that it works on it, and never ends.
    Stalling,
}

pub const HABITS: [Habit; 9] = [
    Habit::Honest,
    Habit::Slow,
    Habit::Silent,
    Habit::Dying,
    Habit::Lying,
    Habit::Crashing,
    Habit::Withholding,
    Habit::Declining,
    Habit::Stalling,
];

struct Peer {
    habit: Habit,
    capability: Capability,
    is_connected: bool,
    quiet_until: Millis,
    running: BTreeMap<Epoch, Lease>,
    /// Leases that were granted ahead, with the time at which their inputs are there.
    ahead: BTreeMap<Epoch, (Lease, Millis)>,
}

#[derive(Debug, Clone)]
enum Pending {
    ToScheduler(Event),
    Grant(NodeId, Lease),
    Revoke(NodeId, Epoch),
    Heartbeat(NodeId),
    HalfDone(NodeId, Epoch),
    Done(NodeId, Epoch),
    Rejoin(NodeId),
    Wakeup,
}

/// What the scheduler's own words imply: who works on what.
#[derive(Default)]
struct Ledger {
    epochs: BTreeSet<Epoch>,
    live: BTreeMap<Epoch, (NodeId, Task, MemoryBytes)>,
    /// Those of the live that were granted ahead and have not begun.
    ahead: BTreeSet<Epoch>,
    leases: BTreeMap<Epoch, (NodeId, Task, MemoryBytes)>,
    /// Leases whose results wait for judgement.
    unjudged: BTreeSet<Epoch>,
    /// Nodes of which a result was accepted.
    proved: BTreeSet<NodeId>,
    /// Leases of nodes that something spoke for.
    vouched: BTreeSet<Epoch>,
    accepted: BTreeSet<Task>,
}

pub struct World {
    pub scheduler: Scheduler,
    pub now: Millis,
    pub outcome: Option<Outcome>,
    /// Every action, for comparing runs.
    pub history: Vec<Action>,
    pub event_count: usize,
    /// The time that slots have spent on proofs.
    pub proving_ms: u64,
    /// How far all nodes say they are, whenever they are asked.
    pub hint_permille: u32,
    /// How long the inputs of a task take to come, in milliseconds.
    pub fetch_ms: u64,
    config: Config,
    peers: BTreeMap<NodeId, Peer>,
    queue: BTreeMap<(Millis, u64), Pending>,
    sent_count: u64,
    rng: ChaCha8Rng,
    is_faulty: bool,
    /// The earliest wake-up on its way.
    wakeup_at: Option<Millis>,
    ledger: Ledger,
}

pub fn node_id(name: u32) -> NodeId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&name.to_be_bytes());
    NodeId(id)
}

pub fn capability(memory_mib: u64, speed_permille: u32, slots: u32) -> Capability {
    Capability {
        memory: MemoryBytes::from_mib(memory_mib),
        kinds: common::kinds(&TaskKind::ALL),
        slots,
        speed_permille,
    }
}

impl Peer {
    fn has_room(&self, lease: &Lease) -> bool {
        let used: u64 = self.running.values().map(|lease| lease.memory.0).sum();
        (self.running.len() as u32) < self.capability.slots
            && used + lease.memory.0 <= self.capability.memory.0
    }
}

impl World {
    /// A job that is executed from now on, its keccak requests mixed among the segments.
    pub fn new(config: Config, job: &Job, seed: u64) -> Self {
        let mut world = Self {
            scheduler: Scheduler::new(config.clone(), job.plan(), Incarnation(1), seed),
            now: Millis(0),
            outcome: None,
            history: Vec::new(),
            event_count: 0,
            proving_ms: 0,
            hint_permille: 0,
            fetch_ms: 0,
            config,
            peers: BTreeMap::new(),
            queue: BTreeMap::new(),
            sent_count: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            is_faulty: true,
            wakeup_at: None,
            ledger: Ledger::default(),
        };
        for (index, po2) in (0..).zip(&job.po2s) {
            let stored =
                Event::Input(ZkvmInput::Segment { index, po2: *po2, blob: made_here(0, index) });
            world.push(u64::from(index) * 1000, Pending::ToScheduler(stored));
        }
        for (index, po2) in (0..).zip(&job.keccak_po2s) {
            let stored =
                Event::Input(ZkvmInput::Keccak { index, po2: *po2, blob: made_here(1, index) });
            world.push(u64::from(index) * 1000 + 500, Pending::ToScheduler(stored));
        }
        let ended = Event::Input(ZkvmInput::End { assumed: job.assumed() });
        world.push(job.execution().0, Pending::ToScheduler(ended));
        world
    }

    pub fn add(&mut self, name: u32, habit: Habit, capability: Capability) {
        let id = node_id(name);
        let (running, ahead) = (BTreeMap::new(), BTreeMap::new());
        let quiet_until = Millis(0);
        let peer = Peer { habit, capability, is_connected: false, quiet_until, running, ahead };
        self.peers.insert(id, peer);
        let delay = self.dice(3000);
        self.push(delay, Pending::Rejoin(id));
    }

    /// From now on no message is lost or late, and all nodes are gone.
    pub fn heal(&mut self) {
        self.is_faulty = false;
        for id in std::mem::take(&mut self.peers).into_keys() {
            self.push(0, Pending::ToScheduler(Event::NodeLeft { node: id }));
        }
    }

    /// Lets the world run until the outcome, the time or the count of events is reached.
    pub fn run(&mut self, until: Millis, event_count_max: usize) {
        while self.outcome.is_none() && self.event_count < event_count_max {
            let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until)
            else {
                break;
            };
            self.now = entry.key().0;
            let pending = entry.remove();
            self.step(pending);
            self.event_count += 1;
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.rng.next_u64() % sides
    }

    fn push(&mut self, delay: u64, pending: Pending) {
        self.sent_count += 1;
        self.queue.insert((self.now + Millis(delay), self.sent_count), pending);
    }

    /// Sends something over a network that may lose, double and delay it.
    fn send(&mut self, pending: Pending) {
        let copies = match self.dice(20) {
            0 if self.is_faulty => 0,
            1 | 2 if self.is_faulty => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let is_late = self.is_faulty && self.dice(20) == 0;
            let delay = if is_late { self.dice(60_000) } else { self.dice(200) };
            self.push(delay, pending.clone());
        }
    }

    fn tell(&mut self, event: Event) {
        self.send(Pending::ToScheduler(event));
    }

    fn step(&mut self, pending: Pending) {
        match pending {
            Pending::ToScheduler(event) => self.deliver(event),
            Pending::Wakeup => self.deliver(Event::Tick),
            Pending::Grant(id, lease) => self.take_lease(id, lease),
            Pending::Revoke(id, epoch) => {
                let Some(peer) = self.peers.get_mut(&id) else { return };
                peer.ahead.remove(&epoch);
                if peer.running.remove(&epoch).is_some() {
                    self.slot_freed(id);
                }
            }
            Pending::Heartbeat(id) => self.beat(id),
            Pending::HalfDone(id, epoch) => self.trouble(id, epoch),
            Pending::Done(id, epoch) => self.done(id, epoch),
            Pending::Rejoin(id) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.is_connected = true;
                    let capability = peer.capability.clone();
                    self.push(0, Pending::ToScheduler(Event::NodeJoined { node: id, capability }));
                    self.push(1, Pending::Heartbeat(id));
                }
            }
        }
    }

    fn beat(&mut self, id: NodeId) {
        let Some(peer) = self.peers.get(&id).filter(|peer| peer.is_connected) else { return };
        if peer.quiet_until <= self.now {
            let has_slot =
                (peer.running.len() as u32) < peer.capability.slots && peer.ahead.is_empty();
            let running = peer.running.keys().map(|epoch| (*epoch, false));
            let all = running.chain(peer.ahead.keys().map(|epoch| (*epoch, true)));
            for (epoch, waits) in all.collect::<Vec<_>>() {
                let done_permille = self.hint_permille;
                self.tell(Event::LeaseRenewed { node: id, epoch, done_permille, waits });
            }
            match has_slot {
                true => self.tell(Event::WorkRequested { node: id }),
                false => self.begin_ahead(id),
            }
        }
        self.push(HEARTBEAT, Pending::Heartbeat(id));
    }

    fn take_lease(&mut self, id: NodeId, lease: Lease) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.is_connected) else { return };
        let epoch = lease.epoch;
        let fetched_at = self.now + Millis(self.fetch_ms);
        if lease.ahead && peer.habit != Habit::Declining {
            peer.ahead.insert(epoch, (lease, fetched_at));
            return self.begin_ahead(id);
        }
        if !peer.has_room(&lease) || peer.habit == Habit::Declining {
            return self.tell(Event::LeaseDeclined { node: id, epoch, busy: true });
        }
        if peer.habit == Habit::Silent {
            peer.quiet_until = self.now + Millis(120_000);
        }
        self.run_lease(id, lease, fetched_at);
    }

    fn run_lease(&mut self, id: NodeId, lease: Lease, fetched_at: Millis) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let slowness = if peer.habit == Habit::Slow { 10 } else { 1 };
        let work = common::cost(common::named(lease.task).kind(), lease.po2).work.0;
        let wall = work * 1000 / u64::from(peer.capability.speed_permille) * slowness;
        let (epoch, fetching) = (lease.epoch, fetched_at.since(self.now).0);
        self.proving_ms += wall;
        peer.running.insert(epoch, lease);
        if self.peers[&id].habit == Habit::Stalling {
            return;
        }
        self.push(fetching + wall / 2, Pending::HalfDone(id, epoch));
        self.push(fetching + wall, Pending::Done(id, epoch));
    }

    /// Begins with what was granted ahead and fits now.
    fn begin_ahead(&mut self, id: NodeId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let fits = peer.ahead.iter().find(|(_, (lease, _))| peer.has_room(lease));
        let Some(epoch) = fits.map(|(epoch, _)| *epoch) else { return };
        let Some((lease, fetched_at)) = peer.ahead.remove(&epoch) else { return };
        self.tell(Event::LeaseRenewed { node: id, epoch, done_permille: 0, waits: false });
        self.run_lease(id, lease, fetched_at);
    }

    /// A slot is free: what was granted ahead begins, or work is asked for.
    fn slot_freed(&mut self, id: NodeId) {
        let Some(peer) = self.peers.get(&id) else { return };
        match peer.ahead.is_empty() {
            true => self.tell(Event::WorkRequested { node: id }),
            false => self.begin_ahead(id),
        }
    }

    fn trouble(&mut self, id: NodeId, epoch: Epoch) {
        let die = self.dice(8) as usize;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(lease) = peer.running.get(&epoch) else { return };
        let task = lease.task;
        match peer.habit {
            Habit::Dying => {
                peer.is_connected = false;
                peer.running.clear();
                peer.ahead.clear();
                self.push(0, Pending::ToScheduler(Event::NodeLeft { node: id }));
                let away = 10_000 + self.dice(60_000);
                self.push(away, Pending::Rejoin(id));
            }
            Habit::Crashing => {
                use FailureClass::{Input, Memory, Node, Task};
                peer.running.remove(&epoch);
                let class = [Node, Node, Node, Input, Input, Task, Task, Memory][die];
                let failure = TaskFailure { class, message: "crashed".to_owned() };
                self.tell(Event::TaskFailed { node: id, epoch, failure });
            }
            Habit::Lying => {
                peer.running.remove(&epoch);
                self.tell(Event::ResultReported {
                    node: id,
                    epoch,
                    blob: receipt(common::named(task), FALSE),
                });
            }
            _ => {}
        }
    }

    fn done(&mut self, id: NodeId, epoch: Epoch) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(lease) = peer.running.remove(&epoch) else { return };
        let matter = if peer.habit == Habit::Withholding { UNFETCHABLE } else { 0 };
        let blob = receipt(common::named(lease.task), matter);
        self.tell(Event::ResultReported { node: id, epoch, blob });
        self.slot_freed(id);
    }

    fn deliver(&mut self, event: Event) {
        let actions = self.scheduler.handle(self.now, event.clone());
        let are_believed = self.config.believed == Believed::All;
        self.ledger.note(&event, &actions, &self.peers, are_believed);
        for action in &actions {
            self.act(action.clone());
        }
        // Only a lease that begins can break a bound.
        let begun = |action: &Action| match action {
            Action::Grant { node, .. } | Action::Revived { node, .. } => Some(*node),
            _ => None,
        };
        let begun: BTreeSet<NodeId> = actions.iter().filter_map(begun).collect();
        if !begun.is_empty() {
            self.ledger.check(&self.peers, &self.config, &begun);
        }
        if let Some(wakeup) = self.scheduler.next_wakeup() {
            assert!(wakeup > self.now, "a wakeup that is due should have been handled");
            if self.wakeup_at.is_none_or(|at| at <= self.now || wakeup < at) {
                self.wakeup_at = Some(wakeup);
                self.push(wakeup.since(self.now).0, Pending::Wakeup);
            }
        }
        self.history.extend(actions);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Grant { node, lease } => self.send(Pending::Grant(node, lease)),
            Action::Revoke { node, epoch, .. } | Action::Disown { node, epoch } => {
                self.send(Pending::Revoke(node, epoch));
            }
            Action::CheckResult { epoch, task, blob, .. } => {
                let event = if blob == receipt(common::named(task), 0) {
                    Event::ResultAccepted { epoch, blob }
                } else if blob == receipt(common::named(task), UNFETCHABLE) {
                    Event::ResultUnfetchable { epoch, reason: "withheld".to_owned() }
                } else {
                    Event::ResultRefused { epoch, reason: "false".to_owned() }
                };
                let delay = 10 + self.dice(500);
                self.push(delay, Pending::ToScheduler(event));
            }
            Action::Judge { task, .. } => self.push(
                10,
                Pending::ToScheduler(Event::Judged { task, judgement: Judgement::Sound }),
            ),
            Action::JobProved { outcome } => self.outcome = Some(outcome),
            Action::JobFailed { error } => panic!("the job failed: {error}"),
            _ => {}
        }
    }
}

impl Ledger {
    fn note(
        &mut self,
        event: &Event,
        actions: &[Action],
        peers: &BTreeMap<NodeId, Peer>,
        are_believed: bool,
    ) {
        match event {
            // It begins if it fits: what says that a slot is free may be late.
            Event::LeaseRenewed { node, epoch, waits: false, .. }
                if self.ahead.contains(epoch)
                    && self.live.get(epoch).is_some_and(|lease| lease.0 == *node) =>
            {
                self.ahead.remove(epoch);
                let (count, memory, _) = self.held(*node);
                let fits = peers.get(node).is_some_and(|peer| {
                    count <= peer.capability.slots && memory <= peer.capability.memory.0
                });
                if !fits {
                    self.ahead.insert(*epoch);
                }
            }
            Event::LeaseDeclined { node, epoch, .. } | Event::TaskFailed { node, epoch, .. }
                if self.live.get(epoch).is_some_and(|lease| lease.0 == *node) =>
            {
                self.live.remove(epoch);
            }
            Event::ResultAccepted { epoch, .. }
                if !matches!(actions.first(), Some(Action::Ignored { .. })) =>
            {
                let task = self.leases[epoch].1;
                assert!(self.accepted.insert(task), "{task} was accepted twice");
                self.proved.insert(self.leases[epoch].0);
                // Nor are other results of the task of any use.
                let leases = &self.leases;
                self.unjudged.retain(|epoch| leases[epoch].1 != task);
            }
            Event::ResultRefused { epoch, .. } | Event::ResultUnfetchable { epoch, .. } => {
                self.unjudged.remove(epoch);
            }
            _ => {}
        }
        for action in actions {
            match action {
                Action::Grant { node, lease } => {
                    assert!(self.epochs.insert(lease.epoch), "{} was used before", lease.epoch);
                    let is_accepted = self.accepted.contains(&lease.task);
                    assert!(!is_accepted, "{} has a result", lease.task);
                    if are_believed || self.proved.contains(node) {
                        self.vouched.insert(lease.epoch);
                    }
                    let entry = (*node, lease.task, lease.memory);
                    self.leases.insert(lease.epoch, entry);
                    self.live.insert(lease.epoch, entry);
                    if lease.ahead {
                        self.ahead.insert(lease.epoch);
                    }
                }
                Action::Revived { epoch, node, .. } => {
                    match are_believed || self.proved.contains(node) {
                        true => self.vouched.insert(*epoch),
                        false => self.vouched.remove(epoch),
                    };
                    self.live.insert(*epoch, self.leases[epoch]);
                    if matches!(event, Event::LeaseRenewed { waits: true, .. }) {
                        self.ahead.insert(*epoch);
                    } else {
                        self.ahead.remove(epoch);
                    }
                }
                Action::CheckResult { epoch, .. } => {
                    self.live.remove(epoch);
                    self.unjudged.insert(*epoch);
                }
                Action::Expired { epoch, .. } | Action::Revoke { epoch, .. } => {
                    self.live.remove(epoch);
                }
                _ => {}
            }
        }
    }

    /// How many leases of a node have begun, their memory, and how many have not.
    fn held(&self, node: NodeId) -> (u32, u64, u32) {
        let of_node = self.live.iter().filter(|(_, lease)| lease.0 == node);
        of_node.fold((0, 0, 0), |(count, memory, ahead), (epoch, lease)| {
            match self.ahead.contains(epoch) {
                true => (count, memory, ahead + 1),
                false => (count + 1, memory + lease.2.0, ahead),
            }
        })
    }

    /// `begun` are the nodes that have just got something.
    fn check(&self, peers: &BTreeMap<NodeId, Peer>, config: &Config, begun: &BTreeSet<NodeId>) {
        let mut by_task: BTreeMap<Task, (u32, u32)> = BTreeMap::new();
        for (epoch, (_, task, _)) in &self.live {
            let (all, vouched) = by_task.entry(*task).or_default();
            *all += 1;
            *vouched += u32::from(self.vouched.contains(epoch));
        }
        for (node, peer) in peers {
            let (count, memory, ahead) = self.held(*node);
            assert!(count <= peer.capability.slots, "{node:?} holds {count} leases");
            assert!(memory <= peer.capability.memory.0, "{node:?} holds {memory} bytes");
            assert!(ahead <= peer.capability.slots, "{node:?} holds {ahead} leases ahead");
            let unjudged = self.unjudged.iter().filter(|epoch| self.leases[*epoch].0 == *node);
            let unjudged = unjudged.count() as u32;
            let per_slot = if self.proved.contains(node) { UNJUDGED_PER_SLOT_MAX } else { 1 };
            let open_max = peer.capability.slots * per_slot;
            assert!(unjudged <= open_max, "{node:?} has {unjudged} results that are not judged");
            // A late result counts as well, of one that has other work by then; but it gets no more.
            let open = count + ahead + unjudged;
            let may = open <= open_max || !begun.contains(node);
            assert!(may, "{node:?} got more and has {open} open");
        }
        for (task, (all, vouched)) in by_task {
            // Of those that something speaks for so many, and of others as many again.
            let strangers = all - vouched;
            let is_bounded = vouched <= config.copies_max && strangers <= config.copies_max;
            assert!(is_bounded, "{task} has {all} leases, {vouched} of them vouched for");
        }
    }
}
