//! One connected node: what it said, what it has shown, and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use starling_plan::{Class, Demand};
use starling_types::{Capability, Epoch, MemoryBytes, Millis};

use crate::class::{ClassSet, Demands};

/// The fastest that a slot is believed to be: a thousand reference cores. A larger number is a lie, and
/// would only serve to draw leases.
pub(crate) const SPEED_PERMILLE_MAX: u32 = 1_000_000;

/// By which part of itself a node's ceiling of memory falls and rises: slowly, since one death of a prover proves little.
const MEMORY_STEP: u64 = 8;

/// A node that states so many times what a task needs is not held unable to do that one task.
const MEMORY_PLENTY: u64 = 2;

/// How long a ceiling stands before it rises. Ten minutes: a proof or two of a program that shares the machine.
const MEMORY_RECOVERY: Millis = Millis(600_000);

/// The weight of a node's past speed against its latest result, which has weight one. Three: two or three
/// results correct a wrong start, one outlier does not.
const SPEED_PAST_WEIGHT: u64 = 3;

/// How often a node may decline work for having other work by then, at no cost: a client is asked again by a node that
/// waits every few seconds at most, for each slot. A node that does so without end gets as little as one that fails.
const EXCUSES_MAX: u32 = 8;

/// How many leases, and results that are not judged yet, a node has for each of its slots at most once it has proved something;
/// one that has not has one. Four: while one is proved, one may be on its way here, one be checked, and one wait behind those of
/// others. Where checks fall further behind than that, more work would not bring the job to its end any sooner.
const UNJUDGED_PER_SLOT_MAX: u64 = 4;

/// How many it has at most while it has proved nothing, however many slots it says that it has; each result that is accepted
/// lets it have as many again.
const UNPROVED_MAX: u64 = 4;

/// From so many failures of a class in a row on, nothing is expected of a node's next try until that has lasted longer than all of
/// them. Three: one may be a prover that somebody killed, two one machine's bad moment.
const FAILURES_MAX: u32 = 3;

/// How many times as long as by what it had shown before a node's deadlines get by being missed, in all, until a result of it is
/// accepted. Eight: a machine that is shared or throttled is often two times slower than it measured, seldom eight; and who takes
/// tasks to keep them has each for as long as that.
const OVERRUN_FACTOR_MAX: u32 = 8;

/// In how long a time.
const EXCUSES_PERIOD: Millis = Millis(60_000);

/// A node gets nothing of a class for a while, since it failed at it.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    strikes: u32,
    /// `None` once the pause is over; the strikes still count for the next.
    until: Option<Millis>,
}

/// A node failed at tasks of a class, and at nothing else of it since.
#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    /// How long the longest try took.
    longest: Millis,
}

/// How often a node left with leases that it has not taken up again.
#[derive(Debug, Clone, Default)]
struct Desertions {
    count: u32,
    /// It gets nothing until then; `None` once that is over.
    until: Option<Millis>,
    /// What it left with the last time, as far as it has not taken that up again.
    leases: BTreeSet<Epoch>,
}

/// What a node has shown, as opposed to said. It outlasts its connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// It ran out of memory: what it is asked to hold for a while.
    memory_max: Option<MemoryBytes>,
    /// When it last did, for the ceiling to rise again.
    memory_noted_at: Millis,
    /// How many of its results were accepted.
    accepted_count: u32,
    /// The speed of its slots by its own results, and by the deadlines that it missed since the last of them.
    speed_permille: Option<u32>,
    /// The least that missed deadlines make of that.
    overrun_permille_min: Option<u32>,
    pauses: BTreeMap<Class, Pause>,
    failures: BTreeMap<Class, Failures>,
    desertions: Desertions,
    /// How often it declined work for having other work, since when.
    excuses: (u32, Millis),
    /// Its results that could not be had, since one was accepted.
    unfetchable_count: u32,
}

/// A connected node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    capability: Capability,
    /// Whether it is one of the client's own.
    is_believed: bool,
    /// By class, the memory that it takes by the node's own statement; `None` for what it does not take.
    needs: Vec<Option<MemoryBytes>>,
    pub(crate) shown: Shown,
    /// Requests for work that are not granted yet.
    pub(crate) open_requests: u32,
    /// Whether it let a lease expire and was not heard since.
    pub(crate) is_silent: bool,
    /// The leases that it works on.
    pub(crate) leases: BTreeMap<Epoch, Held>,
    /// Those that it was granted ahead and that have no slot yet.
    pub(crate) ahead: BTreeSet<Epoch>,
    /// Its results that are not judged yet; kept by [`Nodes`](crate::nodes::Nodes), since it outlasts its connection.
    pub(crate) unjudged_count: u32,
    /// Whether it gave one of those back since a result of it was accepted: it has no room for more.
    declined_ahead: bool,
    memory_used: MemoryBytes,
    /// Where the node stands; kept by [`Nodes`](crate::nodes::Nodes).
    pub(crate) standing: Standing,
}

/// A lease in a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    memory: MemoryBytes,
    /// When it should be done.
    expected_at: Millis,
}

/// Who gets a task first of those that wait for it: the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Rank {
    /// Whether anything speaks for it: keys are free, so that a stranger comes after all that have shown something.
    is_vouched: bool,
    /// Of strangers: whether it has nothing yet. It gets a second task when no other waits.
    has_nothing: bool,
    speed_permille: u32,
}

/// All of a node that decides where it stands in the sets of [`Nodes`](crate::nodes::Nodes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    pub(crate) rank: Rank,
    /// The classes of which it would take a task now.
    pub(crate) waiting: ClassSet,
    /// The classes of which it could take a task if it were idle.
    pub(crate) capable: ClassSet,
    /// Those of them at which it has only failed lately.
    pub(crate) failing: ClassSet,
    pub(crate) speed_permille: u32,
    pub(crate) slots: u32,
    pub(crate) memory: MemoryBytes,
    /// The classes whose kind it takes, of whatever size.
    pub(crate) kinds: ClassSet,
    /// The classes that it takes, if it has the memory.
    pub(crate) takes: ClassSet,
    /// The classes of which it would take a task ahead.
    pub(crate) ahead: ClassSet,
    /// When a slot of it should be free; where none is taken, never.
    pub(crate) frees_at: Millis,
}

impl Shown {
    /// Whether there is anything in it to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.memory_max.is_none()
            && self.accepted_count == 0
            && self.speed_permille.is_none()
            && self.pauses.is_empty()
            && self.failures.is_empty()
            && self.desertions.count == 0
            && self.excuses.0 == 0
            && self.unfetchable_count == 0
    }

    /// A result of it could not be had: how many in a row that makes.
    pub(crate) fn unfetchable(&mut self) -> u32 {
        self.unfetchable_count = self.unfetchable_count.saturating_add(1);
        self.unfetchable_count
    }

    /// A try at a task of this class has failed, after so long.
    pub(crate) fn failed(&mut self, class: Class, lasted: Millis) {
        let failures = self.failures.entry(class).or_default();
        failures.count = failures.count.saturating_add(1);
        failures.longest = failures.longest.max(lasted);
    }

    /// Counts a failure of this class and pauses it until the time that `until` makes of the strikes, or for longer where it
    /// is paused for longer.
    pub(crate) fn pause(&mut self, class: Class, until: impl FnOnce(u32) -> Millis) -> Millis {
        let pause = self.pauses.entry(class).or_default();
        pause.strikes = pause.strikes.saturating_add(1);
        let until = pause.until.unwrap_or_default().max(until(pause.strikes));
        pause.until = Some(until);
        until
    }

    /// It left with these leases: until the time that `until` makes of how often it did so, it gets none.
    pub(crate) fn deserted(&mut self, leases: Vec<Epoch>, until: impl FnOnce(u32) -> Millis) {
        let desertions = &mut self.desertions;
        desertions.count = desertions.count.saturating_add(1);
        desertions.until = Some(until(desertions.count));
        desertions.leases = leases.into_iter().collect();
    }

    /// It has taken a lease up again. Once it has all that it left with, it has deserted nothing: its connection broke.
    pub(crate) fn took_up(&mut self, lease: Epoch) {
        let desertions = &mut self.desertions;
        if desertions.leases.remove(&lease) && desertions.leases.is_empty() {
            desertions.count = desertions.count.saturating_sub(1);
            desertions.until = None;
        }
    }
}

impl Node {
    pub(crate) fn new(
        capability: Capability,
        is_believed: bool,
        shown: Shown,
        demands: &Demands,
    ) -> Self {
        Self {
            needs: needs(&capability, demands),
            capability,
            is_believed,
            shown,
            open_requests: 0,
            is_silent: false,
            leases: BTreeMap::new(),
            ahead: BTreeSet::new(),
            unjudged_count: 0,
            declined_ahead: false,
            memory_used: MemoryBytes(0),
            standing: Standing::default(),
        }
    }

    /// Takes a new statement of what the node can do. Requests made under the old one are void.
    pub(crate) fn restate(&mut self, capability: Capability, demands: &Demands) {
        self.needs = needs(&capability, demands);
        self.capability = capability;
        self.open_requests = 0;
        self.is_silent = false;
    }

    pub(crate) fn slots(&self) -> u32 {
        self.capability.slots.max(1)
    }

    /// The speed of one slot, in permille of the reference core.
    pub(crate) fn speed_permille(&self) -> u32 {
        self.shown.speed_permille.unwrap_or(self.capability.speed_permille)
    }

    /// All the memory that its leases may take together.
    pub(crate) fn memory(&self) -> MemoryBytes {
        self.capability.memory.min(self.shown.memory_max.unwrap_or(self.capability.memory))
    }

    /// Whether a slot and this much memory are free.
    pub(crate) fn has_room(&self, memory: MemoryBytes) -> bool {
        (self.leases.len() as u64) < u64::from(self.slots())
            && self.memory_used.0.saturating_add(memory.0) <= self.memory().0
    }

    /// Whether it may have one more lease, by what it has shown: nobody gets much work whose first results nobody has seen.
    pub(crate) fn may_take(&self) -> bool {
        let held = self.leases.len() + self.ahead.len();
        (held as u64) + u64::from(self.unjudged_count) < self.open_max()
    }

    /// Whether one more late result of it is judged: it may have let many leases go, and come back.
    pub(crate) fn may_report(&self) -> bool {
        u64::from(self.unjudged_count) < self.open_max()
    }

    /// How many leases and unjudged results it may have together.
    fn open_max(&self) -> u64 {
        let per_slot = if self.has_proved() { UNJUDGED_PER_SLOT_MAX } else { 1 };
        let shown = UNPROVED_MAX * (1 + u64::from(self.shown.accepted_count));
        shown.min(u64::from(self.slots()) * per_slot)
    }

    /// All leases that it holds, with a slot or without.
    pub(crate) fn held(&self) -> Vec<Epoch> {
        self.leases.keys().chain(&self.ahead).copied().collect()
    }

    pub(crate) fn open_ahead(&mut self, epoch: Epoch) {
        self.ahead.insert(epoch);
    }

    /// Whether there is room for one more lease ahead: one for each that it works on.
    pub(crate) fn has_room_ahead(&self) -> bool {
        self.ahead.len() < self.leases.len()
    }

    /// Whether it may go on with one that it was granted ahead before its connection broke: it says so before it says what
    /// it works on.
    pub(crate) fn may_hold_ahead(&self) -> bool {
        (self.ahead.len() as u64) < u64::from(self.slots())
    }

    /// It gave back a lease that it was granted ahead.
    pub(crate) fn declined_ahead(&mut self) {
        self.declined_ahead = true;
    }

    /// It declined work for having other work by `now`: whether that is nobody's fault.
    pub(crate) fn excuse(&mut self, now: Millis) -> bool {
        let (count, since) = &mut self.shown.excuses;
        if *count == 0 || now.since(*since) >= EXCUSES_PERIOD {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        *count <= EXCUSES_MAX
    }

    /// A lease has a slot, whether it was granted ahead or not.
    pub(crate) fn open_lease(&mut self, epoch: Epoch, memory: MemoryBytes, expected_at: Millis) {
        self.ahead.remove(&epoch);
        self.leases.insert(epoch, Held { memory, expected_at });
        self.memory_used = MemoryBytes(self.memory_used.0.saturating_add(memory.0));
    }

    pub(crate) fn close_lease(&mut self, epoch: Epoch) {
        self.ahead.remove(&epoch);
        if let Some(Held { memory, .. }) = self.leases.remove(&epoch) {
            self.memory_used.0 -= memory.0;
        }
    }

    /// It ran out of memory with a task that may take `task`. That may be somebody else's doing, so its ceiling falls by an
    /// eighth, and not below the task alone while it states several times as much.
    pub(crate) fn ran_out_of_memory(&mut self, task: MemoryBytes, now: Millis) {
        let memory = self.memory().0;
        let states_plenty = self.capability.memory.0 / MEMORY_PLENTY >= task.0;
        let least = if states_plenty { task.0 } else { 0 };
        let less = (memory - memory / MEMORY_STEP).min(self.memory_used.0.saturating_sub(1));
        self.shown.memory_max = Some(MemoryBytes(less.max(least)));
        self.shown.memory_noted_at = now;
    }

    /// Whether its ceiling may rise at `now`; it rises by an eighth.
    pub(crate) fn recover_memory(&mut self, now: Millis) {
        let Some(max) = self.shown.memory_max else { return };
        if now.since(self.shown.memory_noted_at) < MEMORY_RECOVERY {
            return;
        }
        self.shown.memory_noted_at = now;
        let more = max.0.saturating_add(max.0 / MEMORY_STEP + 1);
        self.shown.memory_max = Some(MemoryBytes(more)).filter(|max| *max < self.capability.memory);
    }

    /// When its ceiling may rise next.
    pub(crate) fn memory_recovers_at(&self) -> Option<Millis> {
        self.shown.memory_max.map(|_| self.shown.memory_noted_at + MEMORY_RECOVERY)
    }

    /// Whether a result of it was ever accepted.
    pub(crate) fn has_proved(&self) -> bool {
        self.shown.accepted_count > 0
    }

    /// Whether anything speaks for it: it is the client's own, or a result of it was accepted.
    pub(crate) fn is_vouched(&self) -> bool {
        self.is_believed || self.has_proved()
    }

    fn rank(&self) -> Rank {
        let is_vouched = self.is_vouched();
        let has_nothing =
            self.leases.is_empty() && self.ahead.is_empty() && self.unjudged_count == 0;
        let has_nothing = has_nothing && !is_vouched;
        Rank { is_vouched, has_nothing, speed_permille: self.speed_permille() }
    }

    /// Whether it has only failed at tasks of this class lately, more often than bad luck explains.
    pub(crate) fn fails_at(&self, class: Class) -> bool {
        self.shown.failures.get(&class).is_some_and(|failures| failures.count >= FAILURES_MAX)
    }

    /// Whether a try at a task of this class has lasted longer than all that failed: it may come to something.
    pub(crate) fn outlasts_failures(&self, class: Class, lasted: Millis) -> bool {
        self.shown.failures.get(&class).is_none_or(|failures| lasted > failures.longest)
    }

    /// It did `work` in `wall` time, and well as far as is known.
    pub(crate) fn succeeded(&mut self, class: Class, work: Millis, wall: Millis) {
        self.shown.pauses.remove(&class);
        self.shown.failures.remove(&class);
        self.shown.desertions = Desertions::default();
        self.shown.unfetchable_count = 0;
        self.declined_ahead = false;
        let latest = work.0.saturating_mul(1000) / wall.0.max(1);
        let latest = latest.clamp(1, u64::from(SPEED_PERMILLE_MAX));
        let past = u64::from(self.speed_permille());
        let speed = (past * SPEED_PAST_WEIGHT + latest) / (SPEED_PAST_WEIGHT + 1);
        self.shown.speed_permille = Some(speed.max(1) as u32);
        self.shown.overrun_permille_min = None;
    }

    /// A result of it counts for good.
    pub(crate) fn proved(&mut self) {
        self.shown.accepted_count = self.shown.accepted_count.saturating_add(1);
    }

    /// It was not done with `work` in `wall` time: it is slower than that, as far as that is believed.
    pub(crate) fn overran(&mut self, work: Millis, wall: Millis) {
        let speed = self.speed_permille();
        let least = *self
            .shown
            .overrun_permille_min
            .get_or_insert_with(|| (speed / OVERRUN_FACTOR_MAX).max(1));
        let at_most = work.0.saturating_mul(1000) / wall.0.max(1);
        let at_most = u32::try_from(at_most).unwrap_or(u32::MAX).max(least);
        self.shown.speed_permille = Some(speed.min(at_most));
    }

    /// The memory that a task of this class takes there; `None` when it takes none such.
    pub(crate) fn need(&self, class: Class) -> Option<MemoryBytes> {
        self.needs.get(usize::from(class.0)).copied().flatten()
    }

    /// Where the node should stand.
    pub(crate) fn standing(&self, demands: &Demands) -> Standing {
        let memory = self.memory();
        let is_capable = |class: &Class| self.need(*class).is_some_and(|need| need <= memory);
        let capable: ClassSet = demands.classes().filter(is_capable).collect();
        let is_waiting = self.open_requests > 0 && !self.is_silent && self.may_take();
        let has_deserted = self.shown.desertions.until.is_some();
        let is_paused = |class| {
            has_deserted || self.shown.pauses.get(&class).is_some_and(|pause| pause.until.is_some())
        };
        let waiting = demands.classes().filter(|class| {
            is_waiting
                && capable.contains(*class)
                && !is_paused(*class)
                && self.need(*class).is_some_and(|need| self.has_room(need))
        });
        // Nobody that has shown nothing holds work that it does not do.
        let takes_ahead = self.has_proved()
            && self.may_take()
            && self.has_room_ahead()
            && !self.is_silent
            && !self.declined_ahead;
        // One that has room is about to ask for work: what it was granted ahead would be in that slot when the answer comes.
        let is_full = |class| self.need(class).is_some_and(|need| !self.has_room(need));
        let is_ahead = |class: &Class| {
            takes_ahead && capable.contains(*class) && !is_paused(*class) && is_full(*class)
        };
        Standing {
            ahead: demands.classes().filter(is_ahead).collect(),
            frees_at: self.leases.values().map(|held| held.expected_at).min().unwrap_or_default(),
            waiting: waiting.collect(),
            failing: demands
                .classes()
                .filter(|class| capable.contains(*class) && self.fails_at(*class))
                .collect(),
            capable,
            rank: self.rank(),
            speed_permille: self.speed_permille(),
            slots: self.slots(),
            memory,
            kinds: demands
                .iter()
                .filter(|(_, demand)| self.capability.kinds.contains_key(&demand.kind))
                .map(|(class, _)| class)
                .collect(),
            takes: demands.classes().filter(|class| self.need(*class).is_some()).collect(),
        }
    }

    /// Ends the pauses that are over at `now`.
    pub(crate) fn end_pauses(&mut self, now: Millis) {
        for pause in self.shown.pauses.values_mut() {
            pause.until = pause.until.filter(|until| *until > now);
        }
        let desertions = &mut self.shown.desertions;
        desertions.until = desertions.until.filter(|until| *until > now);
    }

    /// The ends of the pauses that are not over.
    pub(crate) fn pause_ends(&self) -> impl Iterator<Item = Millis> + '_ {
        let pauses = self.shown.pauses.values().filter_map(|pause| pause.until);
        pauses.chain(self.shown.desertions.until)
    }
}

/// What the node says that its prover takes for each class; what the plan's costs say where it says nothing.
fn needs(capability: &Capability, demands: &Demands) -> Vec<Option<MemoryBytes>> {
    let need = |demand: &Demand| {
        capability.kinds.get(&demand.kind)?.memory(demand.po2, demand.cost.memory)
    };
    demands.iter().map(|(_, demand)| need(demand)).collect()
}
