//! A plan of wide merges: leaves that are known at once, late-bound merges of up to so many neighbours, and one task at the
//! end. Results may be provisional.

use starling_types::{
    BlobRef, INPUT_COUNT_MAX, IndexRange, KindCode, Progress, Reference, Stage, Task,
};

use crate::{
    Accepted, Certainty, Class, Demand, Order, Plan, PlanError, Revoked, TaskCost, TaskSpec,
    joins::Joins, leaves::Leaves,
};

/// What a plan of wide merges is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergesShape {
    /// The most neighbours that are merged at once: at least two, at most [`INPUT_COUNT_MAX`].
    pub width: u32,
    /// What each leaf needs.
    pub leaf: TaskCost,
    /// What each merge needs.
    pub merge: TaskCost,
    /// What the finish needs.
    pub finish: TaskCost,
}

/// The plan.
#[derive(Debug, Clone)]
pub struct MergesPlan {
    demands: [Demand; 3],
    leaves: Leaves<()>,
    joins: Joins,
    finish: Finish,
}

/// Where the last task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    /// The results are not one, or it waits.
    Waiting,
    Running,
    Done(BlobRef, Certainty),
}

/// The plan gets nothing after its leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoInput {}

const LEAF: Class = Class(0);
const MERGE: Class = Class(1);
const FINISH: Class = Class(2);

impl MergesPlan {
    /// The kind of a leaf.
    pub const LEAF: KindCode = KindCode(1);
    /// The kind of a merge.
    pub const MERGE: KindCode = KindCode(2);
    /// The kind of the last task.
    pub const FINISH: KindCode = KindCode(3);

    /// The plan of these leaves. One at least, else nothing is ever done.
    ///
    /// # Panics
    /// When merges are wider than any node takes: a plan's shape is code of ours.
    pub fn new(shape: &MergesShape, inputs: &[BlobRef]) -> Self {
        let width = shape.width;
        assert!(width as usize <= INPUT_COUNT_MAX, "a merge of {width} has too many inputs");
        let demand = |kind, name, cost, reads_results, order| Demand {
            kind,
            name,
            cost,
            po2: None,
            reads_results,
            order,
        };
        let merges = Order::Merges { tree: 0, width: shape.width };
        let mut leaves = Leaves::default();
        for (index, input) in (0..).zip(inputs) {
            leaves.push(index, (), *input);
        }
        Self {
            demands: [
                demand(Self::LEAF, "leaf", shape.leaf, false, Order::Leaves(0)),
                demand(Self::MERGE, "merge", shape.merge, true, merges),
                demand(Self::FINISH, "finish", shape.finish, true, Order::Chain),
            ],
            leaves,
            joins: Joins::wide(shape.width),
            finish: Finish::Waiting,
        }
    }

    fn whole(&self) -> Option<IndexRange> {
        IndexRange::new(0, self.leaves.count())
    }

    /// The result of all leaves, once there is one.
    fn root(&self) -> Option<BlobRef> {
        self.joins.standing(self.whole()?)
    }

    fn class_of(&self, task: Task) -> Result<Class, PlanError> {
        let range = task.range;
        let is_within = range.end() <= self.leaves.count();
        match task.kind {
            Self::LEAF if is_within && range.count() == 1 => Ok(LEAF),
            Self::MERGE if is_within && range.count() > 1 => Ok(MERGE),
            Self::FINISH if range == IndexRange::single(0) => Ok(FINISH),
            _ => Err(PlanError::NoSuchTask { task }),
        }
    }

    fn spec(&self, task: Task) -> Option<TaskSpec> {
        let spec = |inputs| TaskSpec { id: task, po2: None, inputs };
        match self.class_of(task).ok()? {
            LEAF => {
                let (_, input) = self.leaves.ready_input(task.range.start())?;
                Some(spec(vec![input]))
            }
            MERGE => {
                let pieces = self.joins.inputs(task.range)?;
                Some(spec(pieces.iter().map(|piece| piece.blob).collect()))
            }
            _ => {
                let root = self.root().filter(|_| self.finish == Finish::Waiting)?;
                Some(spec(vec![root]))
            }
        }
    }

    /// The result of all leaves fell: what read it falls with it.
    fn unfinish(&mut self) -> Option<Task> {
        let was = std::mem::replace(&mut self.finish, Finish::Waiting);
        (was == Finish::Running).then(finish)
    }

    fn revoke_range(&mut self, range: IndexRange) -> Option<Revoked> {
        let had_root = self.root();
        let dissolved = self.joins.revoke(range)?;
        let bare: Vec<BlobRef> =
            dissolved.bare.iter().filter_map(|index| self.leaves.revoke(*index)).collect();
        let mut revoked = Revoked::default();
        if had_root.is_some() {
            revoked.dissolved.extend(self.unfinish());
        }
        revoked.note(dissolved, bare, merge);
        Some(revoked)
    }
}

fn leaf(index: u32) -> Task {
    Task { kind: MergesPlan::LEAF, range: IndexRange::single(index) }
}

fn merge(range: IndexRange) -> Task {
    Task { kind: MergesPlan::MERGE, range }
}

fn finish() -> Task {
    Task { kind: MergesPlan::FINISH, range: IndexRange::single(0) }
}

impl Plan for MergesPlan {
    type Input = NoInput;
    type Outcome = BlobRef;

    fn demands(&self) -> &[Demand] {
        &self.demands
    }

    fn input(&mut self, input: NoInput) -> Result<(), PlanError> {
        match input {}
    }

    fn ready(&self, class: Class) -> impl Iterator<Item = TaskSpec> + '_ {
        let tasks: Box<dyn Iterator<Item = Task> + '_> = match class {
            LEAF => Box::new(self.leaves.ready(()).map(leaf)),
            MERGE => Box::new(self.joins.ready().map(merge)),
            FINISH => Box::new(std::iter::once(finish())),
            _ => Box::new(std::iter::empty()),
        };
        tasks.filter_map(|task| self.spec(task))
    }

    fn start(&mut self, task: Task) -> Result<TaskSpec, PlanError> {
        let class = self.class_of(task)?;
        let spec = self.spec(task).ok_or(PlanError::NotReady { task })?;
        match class {
            LEAF => drop(self.leaves.start(task.range.start())),
            MERGE => drop(self.joins.start(task.range)),
            _ => self.finish = Finish::Running,
        }
        Ok(spec)
    }

    fn release(&mut self, task: Task) -> Result<(), PlanError> {
        let did_run = match self.class_of(task)? {
            LEAF => self.leaves.release(task.range.start()),
            MERGE => self.joins.release(task.range),
            _ => {
                let did_run = self.finish == Finish::Running;
                if did_run {
                    self.finish = Finish::Waiting;
                }
                did_run
            }
        };
        did_run.then_some(()).ok_or(PlanError::NotRunning { task })
    }

    fn accept(
        &mut self,
        task: Task,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Result<Accepted, PlanError> {
        Ok(match self.class_of(task)? {
            LEAF => {
                let index = task.range.start();
                if !self.leaves.accept(index, certainty) {
                    return Ok(Accepted::AlreadyAccepted);
                }
                self.joins.add_leaf(index, blob, certainty);
                Accepted::New
            }
            MERGE => self.joins.accept(task.range, blob, certainty),
            _ if matches!(self.finish, Finish::Done(..)) => Accepted::AlreadyAccepted,
            _ if self.root().is_none() => Accepted::Superseded,
            _ => {
                self.finish = Finish::Done(blob, certainty);
                Accepted::New
            }
        })
    }

    fn confirm(&mut self, task: Task) -> Result<(), PlanError> {
        let is_confirmed = match self.class_of(task)? {
            LEAF => self.leaves.confirm(task.range.start()) && self.joins.confirm(task.range),
            MERGE => self.joins.confirm(task.range),
            _ => match &mut self.finish {
                Finish::Done(_, certainty @ Certainty::Provisional) => {
                    *certainty = Certainty::Final;
                    true
                }
                _ => false,
            },
        };
        is_confirmed.then_some(()).ok_or(PlanError::NotAccepted { task })
    }

    fn restore(
        &mut self,
        task: Task,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Result<Accepted, PlanError> {
        match self.class_of(task)? {
            MERGE => {
                let accepted = self.joins.restore(task.range, blob, certainty);
                if accepted == Accepted::New {
                    self.leaves.cover(task.range);
                }
                Ok(accepted)
            }
            _ => self.accept(task, blob, certainty),
        }
    }

    fn revoke(&mut self, task: Task) -> Result<Revoked, PlanError> {
        let revoked = match self.class_of(task)? {
            LEAF | MERGE => self.revoke_range(task.range),
            _ => matches!(self.finish, Finish::Done(..)).then(|| {
                self.finish = Finish::Waiting;
                Revoked { reread: self.root().into_iter().collect(), ..Revoked::default() }
            }),
        };
        revoked.ok_or(PlanError::NotAccepted { task })
    }

    fn lost(&mut self, blob: Reference) -> Revoked {
        self.leaves.set_missing(blob, true);
        let mut revoked = Revoked::default();
        if matches!(self.finish, Finish::Done(done, _) if done.reference == blob) {
            revoked.add(self.revoke(finish()).unwrap_or_default());
        }
        let is_read = !matches!(self.finish, Finish::Done(_, Certainty::Final));
        for range in self.joins.read_with(blob) {
            if is_read || self.joins.is_provisional(range) {
                revoked.add(self.revoke_range(range).unwrap_or_default());
            }
        }
        revoked
    }

    fn found(&mut self, blob: Reference) {
        self.leaves.set_missing(blob, false);
    }

    fn is_accepted(&self, task: Task) -> bool {
        match self.class_of(task) {
            Ok(LEAF) => self.leaves.is_accepted(task.range.start()),
            Ok(MERGE) => self.joins.is_accepted(task.range),
            Ok(_) => matches!(self.finish, Finish::Done(..)),
            Err(_) => false,
        }
    }

    fn is_needed(&self, _class: Class) -> bool {
        true
    }

    /// Of merges the least that are left: as wide as may be.
    fn left(&self, class: Class) -> u32 {
        match class {
            LEAF => self.leaves.left(()),
            MERGE => {
                let Order::Merges { width, .. } = self.demands[1].order else { return 0 };
                let pieces = self.leaves.left(()) + self.joins.piece_count();
                pieces.saturating_sub(1).div_ceil(width.max(2) - 1)
            }
            _ => u32::from(!matches!(self.finish, Finish::Done(..))),
        }
    }

    fn progress(&self) -> Progress {
        let count = self.leaves.count();
        let accepted = self.leaves.accepted_count();
        let is_done = u32::from(matches!(self.finish, Finish::Done(..)));
        let stage = |demand: &Demand, accepted, total| Stage {
            kind: demand.kind,
            name: demand.name.to_owned(),
            accepted,
            total,
            partly_permille: 0,
        };
        let [leaf, merge, finish] = &self.demands;
        // How many merges there are depends on how they fall, so what is counted is what they have merged.
        let merged = accepted - self.joins.piece_count();
        Progress {
            stages: vec![
                stage(leaf, accepted, count),
                stage(merge, merged, count.saturating_sub(1)),
                stage(finish, is_done, 1),
            ],
            is_final: true,
            running: self.leaves.running_count()
                + self.joins.running_count()
                + u32::from(self.finish == Finish::Running),
        }
    }

    fn live_blobs(&self) -> Vec<BlobRef> {
        let done = match self.finish {
            Finish::Done(blob, _) => Some(blob),
            _ => None,
        };
        let is_read = !matches!(self.finish, Finish::Done(_, Certainty::Final));
        let root = self.root().filter(|_| !is_read).map(|root| root.reference);
        let results = self.joins.live_blobs();
        self.leaves
            .inputs_left()
            .chain(results.filter(|blob| Some(blob.reference) != root))
            .chain(self.joins.provisional())
            .chain(done)
            .collect()
    }

    fn outcome(&self) -> Option<BlobRef> {
        let Finish::Done(blob, Certainty::Final) = self.finish else { return None };
        let provisional = self.leaves.provisional_count() + self.joins.provisional_count();
        (provisional == 0).then_some(blob)
    }
}
