//! A plan of rounds: sets of independent tasks, each of which is complete before the next is named from outside, since what
//! it asks follows from the results (a challenge of a transcript).
//!
//! Tasks are numbered through all rounds, and a number is never used again: should a result prove false, the rounds after
//! its own are void and are named anew under new numbers, so that a late result of theirs is told from one that counts.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{
    BlobRef, INPUT_COUNT_MAX, IndexRange, KindCode, Progress, Reference, Stage, Task,
};

use crate::{Accepted, Certainty, Class, Demand, Plan, PlanError, Revoked, TaskSpec};

/// A task of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTask {
    /// Its class: a place in the demands that the plan was made with.
    pub class: Class,
    /// What it reads.
    pub inputs: Vec<BlobRef>,
}

/// What comes from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundsInput {
    /// The next round; at least one task.
    Round(Vec<RoundTask>),
    /// There are no more rounds: the results of the last are delivered.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Running,
    Accepted(BlobRef, Certainty),
}

#[derive(Debug, Clone)]
struct Entry {
    class: Class,
    round: u32,
    inputs: Vec<BlobRef>,
    state: State,
}

impl Entry {
    fn is_final(&self) -> bool {
        matches!(self.state, State::Accepted(_, Certainty::Final))
    }

    fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted(..))
    }

    fn result(&self) -> Option<BlobRef> {
        match self.state {
            State::Accepted(blob, _) => Some(blob),
            State::Ready | State::Running => None,
        }
    }
}

/// The plan.
#[derive(Debug, Clone)]
pub struct RoundsPlan {
    demands: Vec<Demand>,
    /// The tasks of rounds that are not void, by number.
    entries: BTreeMap<u32, Entry>,
    /// The number of the next task.
    next: u32,
    /// How many rounds there are.
    round_count: u32,
    /// How many tasks are not accepted for good.
    open_count: u32,
    has_ended: bool,
    /// By class, the tasks that can be started.
    ready: BTreeMap<Class, BTreeSet<u32>>,
    missing: BTreeSet<Reference>,
    /// Which tasks read a blob.
    by_input: BTreeSet<(Reference, u32)>,
    /// Which tasks' result a blob is.
    by_result: BTreeSet<(Reference, u32)>,
}

impl RoundsPlan {
    /// A plan of which no round is named yet, with what the tasks of each class need.
    pub fn new(demands: Vec<Demand>) -> Self {
        Self {
            demands,
            entries: BTreeMap::new(),
            next: 0,
            round_count: 0,
            open_count: 0,
            has_ended: false,
            ready: BTreeMap::new(),
            missing: BTreeSet::new(),
            by_input: BTreeSet::new(),
            by_result: BTreeSet::new(),
        }
    }

    /// How many rounds are named.
    pub fn round_count(&self) -> u32 {
        self.round_count
    }

    /// The results of the last round in the order of its tasks, once all are accepted for good: the next is named from
    /// them.
    pub fn complete_round(&self) -> Option<Vec<BlobRef>> {
        let last = self.round_count.checked_sub(1)?;
        let is_open = self.open_count > 0;
        (!is_open).then(|| self.of_round(last).filter_map(|(_, entry)| entry.result()).collect())
    }

    fn of_round(&self, round: u32) -> impl Iterator<Item = (u32, &Entry)> {
        let from_last = self.entries.iter().rev();
        let mut of_round: Vec<_> = from_last
            .skip_while(move |(_, entry)| entry.round > round)
            .take_while(move |(_, entry)| entry.round == round)
            .map(|(index, entry)| (*index, entry))
            .collect();
        of_round.reverse();
        of_round.into_iter()
    }

    fn add_round(&mut self, tasks: Vec<RoundTask>) -> Result<(), PlanError> {
        let wrong = |detail| Err(PlanError::RoundOutOfTurn { round: self.round_count, detail });
        if self.has_ended {
            return wrong("the last round was named");
        }
        if self.open_count > 0 {
            return wrong("the round before is not complete");
        }
        if tasks.is_empty() || tasks.iter().any(|task| task.class.0 as usize >= self.demands.len())
        {
            return wrong("it has no task, or one of an unknown class");
        }
        if tasks.iter().any(|task| task.inputs.len() > INPUT_COUNT_MAX) {
            return wrong("one of its tasks has more inputs than a node takes");
        }
        if u32::try_from(tasks.len()).ok().and_then(|count| self.next.checked_add(count)).is_none()
        {
            return wrong("there are no numbers left");
        }
        for RoundTask { class, inputs } in tasks {
            self.by_input.extend(inputs.iter().map(|input| (input.reference, self.next)));
            let entry = Entry { class, round: self.round_count, inputs, state: State::Ready };
            self.entries.insert(self.next, entry);
            self.open_count += 1;
            self.list(self.next);
            self.next += 1;
        }
        self.round_count += 1;
        Ok(())
    }

    fn index_of(&self, task: Task) -> Result<u32, PlanError> {
        let index = task.range.start();
        let entry = self.entries.get(&index).filter(|_| task.range.count() == 1);
        let is_it = entry.is_some_and(|entry| self.kind(entry.class) == Some(task.kind));
        is_it.then_some(index).ok_or(PlanError::NoSuchTask { task })
    }

    fn kind(&self, class: Class) -> Option<KindCode> {
        self.demands.get(usize::from(class.0)).map(|demand| demand.kind)
    }

    fn ready_spec(&self, index: u32) -> Option<TaskSpec> {
        let entry = self.entries.get(&index)?;
        let is_missing = entry.inputs.iter().any(|input| self.missing.contains(&input.reference));
        if entry.state != State::Ready || is_missing {
            return None;
        }
        let demand = self.demands.get(usize::from(entry.class.0))?;
        let id = Task { kind: demand.kind, range: IndexRange::single(index) };
        Some(TaskSpec { id, po2: demand.po2, inputs: entry.inputs.clone() })
    }

    /// Sets a task's state, if it has another that `from` allows.
    fn change(&mut self, index: u32, to: State, from: impl Fn(&Entry) -> bool) -> bool {
        let Some(entry) = self.entries.get_mut(&index).filter(|entry| from(entry)) else {
            return false;
        };
        let was_final = entry.is_final();
        if let Some(blob) = entry.result() {
            self.by_result.remove(&(blob.reference, index));
        }
        entry.state = to;
        if let Some(blob) = entry.result() {
            self.by_result.insert((blob.reference, index));
        }
        self.open_count += u32::from(was_final);
        self.open_count -= u32::from(entry.is_final());
        self.list(index);
        true
    }

    fn list(&mut self, index: u32) {
        let Some(class) = self.entries.get(&index).map(|entry| entry.class) else { return };
        let is_ready = self.ready_spec(index).is_some();
        let ready = self.ready.entry(class).or_default();
        if is_ready {
            ready.insert(index);
        } else {
            ready.remove(&index);
        }
    }

    /// Takes the result of a task back, and all rounds after its own.
    fn revoke_index(&mut self, index: u32) -> Option<Revoked> {
        let round = self.entries.get(&index).filter(|entry| entry.is_accepted())?.round;
        let mut revoked = Revoked::default();
        while let Some((last, entry)) = self.entries.pop_last() {
            if entry.round <= round {
                self.entries.insert(last, entry);
                break;
            }
            self.open_count -= u32::from(!entry.is_final());
            for input in &entry.inputs {
                self.by_input.remove(&(input.reference, last));
            }
            if let Some(blob) = entry.result() {
                self.by_result.remove(&(blob.reference, last));
            }
            if let Some(ready) = self.ready.get_mut(&entry.class) {
                ready.remove(&last);
            }
            if let (State::Running, Some(kind)) = (entry.state, self.kind(entry.class)) {
                revoked.dissolved.push(Task { kind, range: IndexRange::single(last) });
            }
        }
        self.round_count = round + 1;
        self.has_ended = false;
        self.change(index, State::Ready, |_| true);
        let entry = self.entries.get(&index)?;
        revoked.reread = entry.inputs.clone();
        Some(revoked)
    }

    fn set_missing(&mut self, blob: Reference, is_missing: bool) {
        let readers: Vec<u32> = of_blob(&self.by_input, blob).collect();
        if is_missing && !readers.is_empty() {
            self.missing.insert(blob);
        } else {
            self.missing.remove(&blob);
        }
        readers.into_iter().for_each(|index| self.list(index));
    }

    /// Whether the plan may still read or deliver a result.
    fn is_live(&self, blob: Reference) -> bool {
        let last = self.round_count.saturating_sub(1);
        let entry = |index: u32| self.entries.get(&index);
        let is_kept = |entry: &Entry| !self.has_ended || entry.round == last;
        of_blob(&self.by_result, blob).filter_map(entry).any(is_kept)
            || of_blob(&self.by_input, blob).filter_map(entry).any(|entry| !entry.is_final())
    }
}

/// The tasks that are listed under a blob.
fn of_blob(listed: &BTreeSet<(Reference, u32)>, blob: Reference) -> impl Iterator<Item = u32> + '_ {
    listed.range((blob, 0)..=(blob, u32::MAX)).map(|(_, index)| *index)
}

impl Plan for RoundsPlan {
    type Input = RoundsInput;
    type Outcome = Vec<BlobRef>;

    fn demands(&self) -> &[Demand] {
        &self.demands
    }

    fn input(&mut self, input: RoundsInput) -> Result<(), PlanError> {
        match input {
            RoundsInput::Round(tasks) => self.add_round(tasks),
            RoundsInput::End if self.round_count == 0 || self.open_count > 0 => {
                let detail = "the round before is not complete";
                Err(PlanError::RoundOutOfTurn { round: self.round_count, detail })
            }
            RoundsInput::End => {
                self.has_ended = true;
                Ok(())
            }
        }
    }

    fn ready(&self, class: Class) -> impl Iterator<Item = TaskSpec> + '_ {
        let ready = self.ready.get(&class).into_iter().flatten();
        ready.filter_map(|index| self.ready_spec(*index))
    }

    fn start(&mut self, task: Task) -> Result<TaskSpec, PlanError> {
        let index = self.index_of(task)?;
        let spec = self.ready_spec(index).ok_or(PlanError::NotReady { task })?;
        self.change(index, State::Running, |_| true);
        Ok(spec)
    }

    fn release(&mut self, task: Task) -> Result<(), PlanError> {
        let index = self.index_of(task)?;
        let did_run = self.change(index, State::Ready, |entry| entry.state == State::Running);
        did_run.then_some(()).ok_or(PlanError::NotRunning { task })
    }

    fn accept(
        &mut self,
        task: Task,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Result<Accepted, PlanError> {
        let index = self.index_of(task)?;
        let accepted = State::Accepted(blob, certainty);
        Ok(match self.change(index, accepted, |entry| !entry.is_accepted()) {
            true => Accepted::New,
            false => Accepted::AlreadyAccepted,
        })
    }

    fn confirm(&mut self, task: Task) -> Result<(), PlanError> {
        let index = self.index_of(task)?;
        let entry = self.entries.get(&index).filter(|entry| !entry.is_final());
        let blob = entry.and_then(Entry::result).ok_or(PlanError::NotAccepted { task })?;
        self.change(index, State::Accepted(blob, Certainty::Final), |_| true);
        Ok(())
    }

    fn restore(
        &mut self,
        task: Task,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Result<Accepted, PlanError> {
        self.accept(task, blob, certainty)
    }

    fn revoke(&mut self, task: Task) -> Result<Revoked, PlanError> {
        let index = self.index_of(task)?;
        self.revoke_index(index).ok_or(PlanError::NotAccepted { task })
    }

    fn lost(&mut self, blob: Reference) -> Revoked {
        let made = of_blob(&self.by_result, blob).next();
        match made.filter(|_| self.is_live(blob)) {
            Some(index) => self.revoke_index(index).unwrap_or_default(),
            None => {
                self.set_missing(blob, true);
                Revoked::default()
            }
        }
    }

    fn found(&mut self, blob: Reference) {
        self.set_missing(blob, false);
    }

    fn is_accepted(&self, task: Task) -> bool {
        let index = self.index_of(task).ok();
        index.and_then(|index| self.entries.get(&index)).is_some_and(Entry::is_accepted)
    }

    fn is_needed(&self, _class: Class) -> bool {
        true
    }

    fn left(&self, class: Class) -> u32 {
        let last = self.round_count.saturating_sub(1);
        let open = self.of_round(last).filter(|(_, entry)| !entry.is_accepted());
        open.filter(|(_, entry)| entry.class == class).count() as u32
    }

    fn progress(&self) -> Progress {
        let stage = |(place, demand): (u8, &Demand)| {
            let of_class = self.entries.values().filter(|entry| entry.class == Class(place));
            Stage {
                kind: demand.kind,
                name: demand.name.to_owned(),
                accepted: of_class.clone().filter(|entry| entry.is_accepted()).count() as u32,
                total: of_class.count() as u32,
                partly_permille: 0,
            }
        };
        let running = self.entries.values().filter(|entry| entry.state == State::Running);
        Progress {
            stages: (0..).zip(&self.demands).map(stage).collect(),
            is_final: self.has_ended,
            running: running.count() as u32,
        }
    }

    /// Until the end is named, a later round may read any result; then the last round's are delivered. Inputs are read by
    /// what is not accepted for good.
    fn live_blobs(&self) -> Vec<BlobRef> {
        let last = self.round_count.saturating_sub(1);
        let mut live = Vec::new();
        for entry in self.entries.values() {
            if !entry.is_final() {
                live.extend(&entry.inputs);
            }
            if !self.has_ended || entry.round == last {
                live.extend(entry.result());
            }
        }
        live
    }

    fn outcome(&self) -> Option<Vec<BlobRef>> {
        if self.has_ended { self.complete_round() } else { None }
    }
}
