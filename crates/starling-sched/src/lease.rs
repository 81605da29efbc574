//! The leases of a job: those that stand, those that ended, and which tasks could use a backup.
//!
//! A task in flight has one lease or, with backups, several. A lease *runs* until its node reports a
//! result, then its result is *checked*: the node is free, and no clock runs any more. One that was granted *ahead* has to be
//! renewed, and its other clocks begin with its node's word that it has a slot.

use std::collections::{BTreeMap, BTreeSet};

use starling_plan::{Class, TaskSpec};
use starling_types::{Epoch, Incarnation, MemoryBytes, Millis, NodeId, Task};

/// Candidates for a backup that are weighed for one asker, from either end of the order. The best is
/// nearly always the first; a few more are enough to pass over those that the asker itself holds.
const BACKUP_CANDIDATES: usize = 4;

/// How long a stranger's result may be on its way to be judged before another node may do its task as well. Two
/// seconds: on most lines a result and its check take less, and one that comes byte by byte, or not at all, takes as long as its
/// maker likes. It is what each promise costs a job; who has a slow line loses nothing, since the first result counts.
const CHECK_PATIENCE: Millis = Millis(2_000);

/// All of a task, in thousandths.
pub(crate) const DONE_PERMILLE: u32 = 1000;

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// Its node has no slot for it yet, and fetches its inputs.
    Ahead,
    Running,
    Checking {
        reported_at: Millis,
    },
}

/// The times of a lease that its node's speed sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// When it was granted; of one ahead, when it began.
    pub(crate) granted_at: Millis,
    /// When it should be done, by the node's speed.
    pub(crate) expected_at: Millis,
    /// From when on an idle node may back it up.
    pub(crate) backup_at: Millis,
    pub(crate) deadline_at: Millis,
}

/// A lease, as the scheduler keeps it.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRecord {
    pub(crate) node: NodeId,
    pub(crate) task: Task,
    pub(crate) class: Class,
    pub(crate) memory: MemoryBytes,
    pub(crate) terms: Terms,
    /// When it expires unless it is renewed.
    pub(crate) renew_by: Millis,
    pub(crate) state: LeaseState,
    /// How far its node says that it is: at most [`DONE_PERMILLE`]. Nothing is decided by it.
    pub(crate) done_permille: u32,
    /// Whether it runs late, or its node is silent.
    pub(crate) needs_backup: bool,
    /// Whether its node has said since that it works on it.
    pub(crate) is_heard_of: bool,
    /// Whether anything spoke for its node when it was granted.
    pub(crate) is_vouched: bool,
    /// Whether its node was told to stop. It does, whatever of its was on its way here by then.
    pub(crate) is_revoked: bool,
}

impl LeaseRecord {
    pub(crate) fn is_running(&self) -> bool {
        self.state == LeaseState::Running
    }

    pub(crate) fn is_ahead(&self) -> bool {
        self.state == LeaseState::Ahead
    }

    /// Whether there is no result of it yet.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, LeaseState::Checking { .. })
    }

    /// Whether somebody is at work for it: its node, by its word, or who checks its result.
    fn is_worked_on(&self) -> bool {
        match self.state {
            LeaseState::Ahead => false,
            LeaseState::Running => self.is_heard_of,
            LeaseState::Checking { .. } => true,
        }
    }

    /// Whether it is a stranger's whose result is long on its way: nobody knows whether it comes.
    pub(crate) fn is_stuck(&self) -> bool {
        !self.is_open() && !self.is_vouched && self.needs_backup
    }

    fn ends_at(&self) -> Millis {
        if self.is_ahead() { self.renew_by } else { self.renew_by.min(self.terms.deadline_at) }
    }

    /// When it should be done, given that it is not yet. What has overrun its time is guessed to need as
    /// long again as it has run.
    fn finish_guess(&self, now: Millis) -> Millis {
        let Terms { expected_at, granted_at, .. } = self.terms;
        if expected_at > now { expected_at } else { now + now.since(granted_at) }
    }
}

/// Who asks for a backup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) node: NodeId,
    /// Whether anything speaks for it.
    pub(crate) is_vouched: bool,
    /// When it would be done.
    pub(crate) done_at: Millis,
}

/// A task that is started in the plan.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) spec: TaskSpec,
    /// The leases on it; never empty.
    pub(crate) copies: Vec<Epoch>,
}

/// The leases of a job.
#[derive(Debug, Clone)]
pub(crate) struct Leases {
    incarnation: Incarnation,
    minted_count: u32,
    copies_max: usize,
    past_max: usize,
    standing: BTreeMap<Epoch, LeaseRecord>,
    in_flight: BTreeMap<Task, Flight>,
    /// Leases that ended though their nodes may still work on them, oldest forgotten first.
    past: BTreeMap<Epoch, LeaseRecord>,
    /// When to look at each running lease next: no later than it ends. A renewal does not move this, so
    /// that heartbeats cost nothing; the lease is looked at once too often instead.
    look_at: BTreeMap<Epoch, Millis>,
    looks: BTreeSet<(Millis, Epoch)>,
    /// When each running lease becomes late.
    backups_at: BTreeSet<(Millis, Epoch)>,
    /// By class, the running leases that need a backup and may have one, by when they should be done.
    late: Vec<BTreeSet<(Millis, Epoch)>>,
    /// And those that may have one of a node that something speaks for only: what strangers keep.
    held_up: Vec<BTreeSet<(Millis, Epoch)>>,
    /// By class, the leases that were granted ahead and have not begun.
    ahead: Vec<BTreeSet<Epoch>>,
    open_count: usize,
    /// How many somebody is at work for.
    worked_on_count: usize,
}

impl Leases {
    pub(crate) fn new(
        class_count: usize,
        incarnation: Incarnation,
        copies_max: u32,
        past_max: usize,
    ) -> Self {
        Self {
            incarnation,
            minted_count: 0,
            copies_max: copies_max as usize,
            past_max,
            standing: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            past: BTreeMap::new(),
            look_at: BTreeMap::new(),
            looks: BTreeSet::new(),
            backups_at: BTreeSet::new(),
            late: vec![BTreeSet::new(); class_count],
            held_up: vec![BTreeSet::new(); class_count],
            ahead: vec![BTreeSet::new(); class_count],
            open_count: 0,
            worked_on_count: 0,
        }
    }

    /// A number that no lease of this job had before, in this run of the client or in an earlier one.
    pub(crate) fn mint(&mut self) -> Epoch {
        self.minted_count =
            self.minted_count.checked_add(1).expect("one run grants fewer than 2^32 leases");
        Epoch(u64::from(self.incarnation.0) << 32 | u64::from(self.minted_count))
    }

    pub(crate) fn get(&self, epoch: Epoch) -> Option<&LeaseRecord> {
        self.standing.get(&epoch)
    }

    pub(crate) fn past(&self, epoch: Epoch) -> Option<&LeaseRecord> {
        self.past.get(&epoch)
    }

    pub(crate) fn flight(&self, task: Task) -> Option<&Flight> {
        self.in_flight.get(&task)
    }

    pub(crate) fn standing(&self) -> impl Iterator<Item = (Epoch, &LeaseRecord)> {
        self.standing.iter().map(|(epoch, record)| (*epoch, record))
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open_count
    }

    pub(crate) fn checking_count(&self) -> usize {
        self.standing.len() - self.open_count
    }

    /// How many stand that somebody is at work for, by what its node has said since it was granted.
    pub(crate) fn worked_on_count(&self) -> usize {
        self.worked_on_count
    }

    /// How many stand that nobody is known to be at work for.
    pub(crate) fn unheard_count(&self) -> usize {
        self.standing.len() - self.worked_on_count
    }

    /// Whether one stands that was granted before this time and that its node has said nothing of yet.
    pub(crate) fn is_any_unheard_since(&self, granted_before: Millis) -> bool {
        let is_unheard = |record: &LeaseRecord| record.is_running() && !record.is_heard_of;
        let mut standing = self.standing.values();
        standing.any(|record| is_unheard(record) && record.terms.granted_at < granted_before)
    }

    /// The leases of this class that were granted ahead, the last first.
    pub(crate) fn ahead(&self, class: Class) -> impl Iterator<Item = (Epoch, &LeaseRecord)> {
        let epochs = self.ahead[usize::from(class.0)].iter().rev();
        epochs.filter_map(|epoch| Some((*epoch, self.standing.get(epoch)?)))
    }

    /// Whether another node may work on the task: `is_vouched` is whether anything speaks for it. Strangers keep out other
    /// strangers and nobody else; so a task has twice [`copies_max`](crate::Config::copies_max) leases at most.
    pub(crate) fn may_copy(&self, task: Task, is_vouched: bool) -> bool {
        self.in_flight.get(&task).is_none_or(|flight| {
            let open = flight.copies.iter().filter_map(|copy| self.standing.get(copy));
            let open = open.filter(|record| record.is_open() && (record.is_vouched || !is_vouched));
            open.count() < self.copies_max
        })
    }

    /// Adds a lease on a task that is started in the plan.
    pub(crate) fn open(&mut self, epoch: Epoch, spec: TaskSpec, record: LeaseRecord) {
        let task = record.task;
        let flight =
            self.in_flight.entry(task).or_insert_with(|| Flight { spec, copies: Vec::new() });
        flight.copies.push(epoch);
        self.worked_on_count += usize::from(record.is_worked_on());
        self.standing.insert(epoch, record);
        self.start_clocks(epoch);
        self.list_late(task);
    }

    /// A lease that was granted ahead has a slot now.
    pub(crate) fn begin(&mut self, epoch: Epoch, terms: Terms) {
        self.stop_clocks(epoch);
        self.edit(epoch, |record| (record.state, record.terms) = (LeaseState::Running, terms));
        self.start_clocks(epoch);
    }

    /// Ends a lease. Whether it was the task's last: the task is then no longer in flight.
    pub(crate) fn close(&mut self, epoch: Epoch) -> Option<(LeaseRecord, bool)> {
        self.stop_clocks(epoch);
        let record = self.standing.remove(&epoch)?;
        self.worked_on_count -= usize::from(record.is_worked_on());
        let flight = self.in_flight.get_mut(&record.task)?;
        flight.copies.retain(|copy| *copy != epoch);
        let was_last = flight.copies.is_empty();
        if was_last {
            self.in_flight.remove(&record.task);
        } else {
            self.list_late(record.task);
        }
        Some((record, was_last))
    }

    /// Ends all leases of a task.
    pub(crate) fn close_task(&mut self, task: Task) -> Vec<(Epoch, LeaseRecord)> {
        let copies =
            self.in_flight.get(&task).map_or_else(Vec::new, |flight| flight.copies.clone());
        copies.into_iter().filter_map(|copy| Some((copy, self.close(copy)?.0))).collect()
    }

    /// Keeps an ended lease in mind, since its node may still work on it.
    pub(crate) fn remember(&mut self, epoch: Epoch, record: LeaseRecord) {
        self.past.insert(epoch, record);
        if self.past.len() > self.past_max {
            self.past.pop_first();
        }
    }

    pub(crate) fn forget(&mut self, epoch: Epoch) -> Option<LeaseRecord> {
        self.past.remove(&epoch)
    }

    /// Notes a sign of life.
    pub(crate) fn renew(&mut self, epoch: Epoch, renew_by: Millis) {
        self.edit(epoch, |record| {
            record.renew_by = record.renew_by.max(renew_by);
            record.is_heard_of = true;
        });
    }

    /// Changes a lease that stands.
    fn edit(&mut self, epoch: Epoch, change: impl FnOnce(&mut LeaseRecord)) {
        let Some(record) = self.standing.get_mut(&epoch) else { return };
        self.worked_on_count -= usize::from(record.is_worked_on());
        change(record);
        self.worked_on_count += usize::from(record.is_worked_on());
    }

    /// Gives a running lease more time, since nobody else could do its task.
    pub(crate) fn extend_deadline(&mut self, epoch: Epoch, deadline_at: Millis) {
        let Some(record) = self.standing.get_mut(&epoch) else { return };
        record.terms.deadline_at = record.terms.deadline_at.max(deadline_at);
        let ends_at = record.ends_at();
        self.look_at.insert(epoch, ends_at);
        self.looks.insert((ends_at, epoch));
    }

    /// Notes how far a node says that it is: never less far than it said before.
    pub(crate) fn get_on(&mut self, epoch: Epoch, done_permille: u32) {
        if let Some(record) = self.standing.get_mut(&epoch) {
            record.done_permille = record.done_permille.max(done_permille.min(DONE_PERMILLE));
        }
    }

    /// The class of each task in flight, and how far the farthest of its leases is. Its node is done with one whose
    /// result is being checked.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = (Class, u32)> {
        self.in_flight.values().filter_map(|flight| {
            let copies = flight.copies.iter().filter_map(|copy| self.standing.get(copy));
            let done = |copy: &LeaseRecord| match copy.state {
                LeaseState::Ahead | LeaseState::Running => copy.done_permille,
                LeaseState::Checking { .. } => DONE_PERMILLE,
            };
            copies.map(|copy| (copy.class, done(copy))).max_by_key(|(_, done)| *done)
        })
    }

    /// From running to checking.
    pub(crate) fn report(&mut self, epoch: Epoch, now: Millis) {
        self.stop_clocks(epoch);
        self.edit(epoch, |record| record.state = LeaseState::Checking { reported_at: now });
        self.start_clocks(epoch);
        if let Some(record) = self.standing.get(&epoch) {
            self.list_late(record.task);
        }
    }

    /// The running leases that have expired, or passed their deadline, at `now`.
    pub(crate) fn take_ended(&mut self, now: Millis) -> Vec<Epoch> {
        let mut ended = Vec::new();
        while let Some((_, epoch)) = self.looks.first().copied().filter(|look| look.0 <= now) {
            self.looks.pop_first();
            let Some(record) = self.standing.get(&epoch) else { continue };
            if record.ends_at() <= now {
                self.look_at.remove(&epoch);
                ended.push(epoch);
            } else {
                self.look_at.insert(epoch, record.ends_at());
                self.looks.insert((record.ends_at(), epoch));
            }
        }
        ended
    }

    /// Marks the running leases that are late at `now`.
    pub(crate) fn mark_late(&mut self, now: Millis) {
        while let Some((_, epoch)) = self.backups_at.first().copied().filter(|due| due.0 <= now) {
            self.backups_at.pop_first();
            self.mark_needing_backup(epoch);
        }
    }

    pub(crate) fn mark_needing_backup(&mut self, epoch: Epoch) {
        if let Some(record) = self.standing.get_mut(&epoch) {
            record.needs_backup = true;
            let task = record.task;
            self.list_late(task);
        }
    }

    /// When the next running lease may end or become late.
    pub(crate) fn next_wakeup(&self) -> Option<Millis> {
        let firsts = [self.looks.first(), self.backups_at.first()];
        firsts.into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// The late task that an asker saves most time on, of those that it may have; `None` if none.
    pub(crate) fn straggler(
        &self,
        class: Class,
        asker: Asker,
        now: Millis,
        may: impl Fn(Task) -> bool,
    ) -> Option<Task> {
        let Asker { node: asker, is_vouched, done_at } = asker;
        let index = usize::from(class.0);
        let held_up = is_vouched.then_some(&self.held_up[index]);
        let lists = || [Some(&self.late[index]), held_up].into_iter().flatten();
        let overdue_longest = lists().flat_map(|late| late.iter().take(BACKUP_CANDIDATES));
        let due_last = lists().flat_map(|late| late.iter().rev().take(BACKUP_CANDIDATES));
        let candidates = overdue_longest.chain(due_last).filter_map(|(_, epoch)| {
            let record = self.standing.get(epoch)?;
            let copies = &self.in_flight.get(&record.task)?.copies;
            let mut copies = copies.iter().filter_map(|copy| self.standing.get(copy));
            let finish = record.finish_guess(now);
            // When strangers are done, if they ever are, nobody knows; and of a result that is long on its way whether it comes.
            let gains = finish > done_at
                || !record.is_open()
                || is_vouched && copies.clone().all(|copy| !copy.is_vouched);
            let holds = copies.any(|copy| copy.node == asker);
            (gains && !holds && may(record.task)).then_some((finish, record.task))
        });
        candidates.max().map(|(_, task)| task)
    }

    /// Puts a lease into everything that looks at the time. While its result is checked, nothing does but where that is a
    /// stranger's.
    fn start_clocks(&mut self, epoch: Epoch) {
        let Some(record) = self.standing.get_mut(&epoch) else { return };
        if let LeaseState::Checking { reported_at } = record.state {
            record.needs_backup = false;
            record.terms.backup_at = reported_at + CHECK_PATIENCE;
            if !record.is_vouched {
                self.backups_at.insert((record.terms.backup_at, epoch));
            }
            return;
        }
        self.open_count += 1;
        self.look_at.insert(epoch, record.ends_at());
        self.looks.insert((record.ends_at(), epoch));
        if record.is_ahead() {
            self.ahead[usize::from(record.class.0)].insert(epoch);
        } else {
            self.backups_at.insert((record.terms.backup_at, epoch));
        }
    }

    /// Takes a lease out of it.
    fn stop_clocks(&mut self, epoch: Epoch) {
        let Some(record) = self.standing.get(&epoch) else { return };
        self.open_count -= usize::from(record.is_open());
        self.ahead[usize::from(record.class.0)].remove(&epoch);
        self.backups_at.remove(&(record.terms.backup_at, epoch));
        let (index, at) = (usize::from(record.class.0), (record.terms.expected_at, epoch));
        self.late[index].remove(&at);
        self.held_up[index].remove(&at);
        if let Some(at) = self.look_at.remove(&epoch) {
            self.looks.remove(&(at, epoch));
        }
    }

    /// Puts the leases of a task into a set of those that may have a backup, or takes them out. A task
    /// whose result is being checked needs none: it is about to be done, unless that is a stranger's and takes long. One that only
    /// strangers have may have one at once, of a node that something speaks for: those may never mean to end it.
    fn list_late(&mut self, task: Task) {
        let Some(flight) = self.in_flight.get(&task) else { return };
        let is_vouched =
            |copy: &&Epoch| self.standing.get(copy).is_some_and(|copy| copy.is_vouched);
        let vouched_count = flight.copies.iter().filter(is_vouched).count();
        let is_undone = |copy: &Epoch| {
            self.standing.get(copy).is_some_and(|copy| copy.is_running() || copy.is_stuck())
        };
        let is_late = flight.copies.len() < self.copies_max && flight.copies.iter().all(is_undone);
        let is_held_up = vouched_count < self.copies_max && flight.copies.iter().all(is_undone);
        for epoch in &flight.copies {
            let is_known = |record: &&LeaseRecord| !record.is_ahead();
            let Some(record) = self.standing.get(epoch).filter(is_known) else { continue };
            let (index, at) = (usize::from(record.class.0), (record.terms.expected_at, *epoch));
            let is_late = is_late && record.needs_backup;
            // What strangers keep has been taken care of once one that something speaks for has it as well.
            let is_due = match vouched_count {
                0 => true,
                _ => record.is_vouched && record.needs_backup,
            };
            let is_held_up = !is_late && is_held_up && is_due;
            let sets = [(&mut self.late[index], is_late), (&mut self.held_up[index], is_held_up)];
            for (set, has_place) in sets {
                match has_place {
                    true => set.insert(at),
                    false => set.remove(&at),
                };
            }
        }
    }
}
