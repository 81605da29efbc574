//! The zkVM's plan.
//!
//! **Leaves** exist from the moment their segment or keccak request does and are ready at once. **Joins are
//! bound late:** which two neighbouring receipts are joined is decided when a worker is there to join them,
//! not when they become ready. Pairing on arrival fixes pairs that leave a receipt without a partner (of
//! three neighbours, the third waits for a whole further level), and on few workers that costs a whole
//! task's time: five equal leaves take two workers six steps when paired on arrival, five when paired on
//! demand. It also makes a lost join cheap: it dissolves, and its inputs pair anew with whatever is there by
//! then. Unions have no such choice: the guest has fixed their tree.
//!
//! **Leaves go before joins** (Hu's algorithm: in an in-tree of equal tasks, taking the ready task that
//! is farthest from the root is optimal, and leaves are the farthest). A worker that can hold none of
//! the ready leaves may take a join all the same.
//!
//! **Resolves** follow when all segments are one receipt, one after the other, since each takes the first
//! assumption from what the one before left.
//!
//! **Keccak proofs are needed** while the execution runs, since it may yet assume their root, and afterwards only
//! if it did. A task that is not needed is neither offered nor waited for.

use std::iter;

use starling_types::{BlobRef, IndexRange, Po2, TaskId, TaskKind};

use crate::{
    Accepted, Assumed, Certainty, Counts, Demand, Outcome, PlanError, PlanShape, TaskClass,
    TaskCost, TaskSpec,
    class::{KECCAK_PO2_MAX, KECCAK_PO2_MIN},
    joins::Joins,
    leaves::Leaves,
    resolves::Resolves,
    unions::Unions,
};

mod revoke;
mod uniform;

pub use uniform::ZkvmInput;

/// The growing task graph of one job.
#[derive(Debug, Clone)]
pub struct ZkvmPlan {
    shape: PlanShape,
    demands: Vec<Demand>,
    segments: Leaves<Po2>,
    joins: Joins,
    keccaks: Leaves<Po2>,
    unions: Unions,
    resolves: Resolves,
}

impl ZkvmPlan {
    /// The plan of a job of which no segment is known yet. `cost` says what a task of a kind needs, by its po2 where it
    /// has one.
    pub fn new(shape: PlanShape, cost: impl Fn(TaskKind, Option<Po2>) -> TaskCost) -> Self {
        Self {
            shape,
            demands: TaskClass::by_precedence().map(|class| class.demand(shape, &cost)).collect(),
            segments: Leaves::default(),
            joins: Joins::binary(),
            keccaks: Leaves::default(),
            unions: Unions::default(),
            resolves: Resolves::default(),
        }
    }

    /// The plan of a job that counts its work: it ends with an unwrap. Composite jobs have nothing to unwrap:
    /// their segment receipts say what each was worth.
    #[must_use]
    pub fn counting_work(mut self) -> Self {
        if self.shape.ends_in_one() {
            self.resolves.count_work();
        }
        self
    }

    /// What the job's receipts become.
    pub fn shape(&self) -> PlanShape {
        self.shape
    }

    /// Adds the next segment, or segment receipt. Its leaf is ready at once.
    pub fn add_segment(&mut self, index: u32, po2: Po2, input: BlobRef) -> Result<(), PlanError> {
        if self.has_ended() {
            return Err(PlanError::ExecutionEnded { task: self.shape.leaf(index) });
        }
        if !self.segments.push(index, po2, input) {
            let expected = self.segments.count();
            return Err(PlanError::SegmentOutOfOrder { expected, actual: index });
        }
        Ok(())
    }

    /// Adds the next keccak request. Its leaf is ready at once.
    pub fn add_keccak(&mut self, index: u32, po2: Po2, request: BlobRef) -> Result<(), PlanError> {
        if self.has_ended() {
            return Err(PlanError::ExecutionEnded { task: TaskId::Keccak(index) });
        }
        if !(KECCAK_PO2_MIN..=KECCAK_PO2_MAX).contains(&po2.get()) {
            return Err(PlanError::KeccakPo2 { index, po2 });
        }
        if !self.keccaks.push(index, po2, request) {
            let expected = self.keccaks.count();
            return Err(PlanError::KeccakOutOfOrder { expected, actual: index });
        }
        Ok(())
    }

    /// Marks the numbers of segments and keccak requests as final, and says where the receipts of the
    /// assumptions come from, in the order of the last segment's list, head first. Saying the same twice is
    /// harmless.
    pub fn end_execution(&mut self, assumed: Vec<Assumed>) -> Result<(), PlanError> {
        if let Some(first) = self.resolves.assumed() {
            let (count, actual_count) = (first.len(), assumed.len());
            let is_same = first == assumed;
            return is_same.then_some(()).ok_or(PlanError::EndedOtherwise { count, actual_count });
        }
        if self.segments.count() == 0 {
            return Err(PlanError::NoSegments);
        }
        if self.keccaks.count() == 0 && assumed.contains(&Assumed::Keccak) {
            return Err(PlanError::NoKeccaks);
        }
        self.unions.end(self.keccaks.count());
        self.resolves.end(assumed);
        self.begin_resolves();
        Ok(())
    }

    /// The task that a worker should take, given the classes of which it can hold one: of the first class by
    /// precedence that has a ready task.
    pub fn next_task(&self, fits: impl Fn(TaskClass) -> bool) -> Option<TaskSpec<TaskId>> {
        self.ready_classes().find(|class| fits(*class)).and_then(|class| self.next(class))
    }

    /// The classes of which a task is ready, by precedence.
    pub fn ready_classes(&self) -> impl Iterator<Item = TaskClass> + '_ {
        TaskClass::by_precedence().filter(|class| self.is_ready(*class))
    }

    /// Whether [`Self::next`] has an answer.
    pub fn is_ready(&self, class: TaskClass) -> bool {
        self.ready_ids(class).next().is_some()
    }

    /// The task of this class to start next.
    pub fn next(&self, class: TaskClass) -> Option<TaskSpec<TaskId>> {
        self.ready(class).next()
    }

    /// The tasks of this class that can be started, each as if those before it were started: leaves in order; the best
    /// joins; the smallest unions; the only resolve.
    pub fn ready(&self, class: TaskClass) -> impl Iterator<Item = TaskSpec<TaskId>> + '_ {
        self.ready_ids(class).filter_map(|task| self.ready_spec(task))
    }

    fn ready_ids(&self, class: TaskClass) -> Box<dyn Iterator<Item = TaskId> + '_> {
        match class {
            TaskClass::Leaf(po2) => {
                Box::new(self.segments.ready(po2).map(|index| self.shape.leaf(index)))
            }
            TaskClass::Keccak(_) | TaskClass::Union if !self.needs_keccaks() => {
                Box::new(iter::empty())
            }
            TaskClass::Keccak(po2) => Box::new(self.keccaks.ready(po2).map(TaskId::Keccak)),
            TaskClass::Union => Box::new(self.unions.ready().map(TaskId::Union)),
            TaskClass::Join if !self.shape.ends_in_one() => Box::new(iter::empty()),
            TaskClass::Join => Box::new(self.joins.ready().map(TaskId::Join)),
            TaskClass::Resolve | TaskClass::Unwrap => {
                let next = self.resolves.next(self.unions.root()).map(|(task, _)| task);
                let is_of_class = move |task: &TaskId| task.kind() == class.kind(self.shape);
                Box::new(next.filter(is_of_class).into_iter())
            }
        }
    }

    /// The description of a task that can be started; `None` when it can't.
    fn ready_spec(&self, task: TaskId) -> Option<TaskSpec<TaskId>> {
        let leaf = |(po2, input)| TaskSpec { id: task, po2: Some(po2), inputs: vec![input] };
        let inner = |inputs| TaskSpec { id: task, po2: None, inputs };
        match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                self.segments.ready_input(index).map(leaf)
            }
            TaskId::Keccak(_) | TaskId::Union(_) if !self.needs_keccaks() => None,
            TaskId::Keccak(index) => self.keccaks.ready_input(index).map(leaf),
            TaskId::Union(range) => {
                let inputs = self.unions.inputs(range)?;
                Some(inner(inputs.to_vec()))
            }
            TaskId::Join(range) => {
                let pieces = self.joins.inputs(range)?;
                Some(inner(pieces.iter().map(|piece| piece.blob).collect()))
            }
            TaskId::Resolve(_) | TaskId::Unwrap => {
                let (next, inputs) = self.resolves.next(self.unions.root())?;
                (next == task).then(|| inner(inputs))
            }
        }
    }

    /// Starts a task that is ready.
    pub fn start(&mut self, task: TaskId) -> Result<TaskSpec<TaskId>, PlanError> {
        self.check_known(task)?;
        let spec = self.ready_spec(task).ok_or(PlanError::NotReady { task: task.into() })?;
        let has_started = match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                self.segments.start(index)
            }
            TaskId::Join(range) => self.joins.start(range),
            TaskId::Keccak(index) => self.keccaks.start(index),
            TaskId::Union(range) => self.unions.start(range),
            TaskId::Resolve(_) | TaskId::Unwrap => self.resolves.start(task, self.unions.root()),
        };
        assert!(has_started, "{task} has a description, so it is ready");
        Ok(spec)
    }

    /// Gives a running task up: it is ready again; but a join dissolves, and its inputs may pair anew.
    pub fn release(&mut self, task: TaskId) -> Result<(), PlanError> {
        self.check_known(task)?;
        let did_run = match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                self.segments.release(index)
            }
            TaskId::Join(range) => self.joins.release(range),
            TaskId::Keccak(index) => self.keccaks.release(index),
            TaskId::Union(range) => self.unions.release(range),
            TaskId::Resolve(_) | TaskId::Unwrap => self.resolves.release(task),
        };
        did_run.then_some(()).ok_or(PlanError::NotRunning { task: task.into() })
    }

    /// Takes a verified receipt as the result of `task`, whether the task runs, was released meanwhile or
    /// was never started. Only a join can be superseded; of other tasks the inputs must be accepted.
    pub fn accept(&mut self, task: TaskId, receipt: BlobRef) -> Result<Accepted, PlanError> {
        self.check_known(task)?;
        let accepted = match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                Some(self.accept_leaf(index, receipt))
            }
            TaskId::Join(range) => Some(self.joins.accept(range, receipt, Certainty::Final)),
            TaskId::Keccak(index) => Some(self.accept_keccak(index, receipt)),
            TaskId::Union(range) => self.unions.accept(range, receipt),
            TaskId::Resolve(_) | TaskId::Unwrap => {
                self.resolves.accept(task, receipt, self.unions.root())
            }
        };
        self.begin_resolves();
        accepted.ok_or(PlanError::NotReady { task: task.into() })
    }

    /// Replays a receipt that an earlier run of the client accepted, once all segments, keccak requests and the
    /// end of the execution are told, as far as they are known. The order does not matter: a receipt may come
    /// before what it was made of, which is then covered by it and never asked for again. Only the unwrapped
    /// receipt covers nothing, since the work receipt that it was made of is delivered beside it.
    pub fn restore(&mut self, task: TaskId, receipt: BlobRef) -> Result<Accepted, PlanError> {
        self.check_known(task)?;
        let running_count = self.running_count();
        if running_count > 0 {
            return Err(PlanError::RestoredTooLate { task: task.into(), running_count });
        }
        let accepted = match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                self.accept_leaf(index, receipt)
            }
            // Whatever was joined has been resolved since.
            TaskId::Join(range) if self.resolves.has_begun() && !self.joins.is_accepted(range) => {
                Accepted::Superseded
            }
            TaskId::Join(range) => {
                let accepted = self.joins.restore(range, receipt, Certainty::Final);
                if accepted == Accepted::New {
                    self.segments.cover(range);
                }
                accepted
            }
            TaskId::Keccak(index) => self.accept_keccak(index, receipt),
            TaskId::Union(range) => {
                self.keccaks.cover(range);
                self.unions.restore(range, receipt)
            }
            TaskId::Resolve(_) => {
                if let Some(all) = self.all_segments() {
                    self.segments.cover(all);
                }
                self.joins.clear();
                self.resolves.restore(task, receipt)
            }
            TaskId::Unwrap => self.resolves.restore(task, receipt),
        };
        self.begin_resolves();
        Ok(accepted)
    }

    fn accept_leaf(&mut self, index: u32, receipt: BlobRef) -> Accepted {
        if !self.segments.accept(index, Certainty::Final) {
            return Accepted::AlreadyAccepted;
        }
        self.joins.add_leaf(index, receipt, Certainty::Final);
        Accepted::New
    }

    fn accept_keccak(&mut self, index: u32, receipt: BlobRef) -> Accepted {
        if !self.keccaks.accept(index, Certainty::Final) {
            return Accepted::AlreadyAccepted;
        }
        self.unions.add_leaf(index, receipt);
        Accepted::New
    }

    /// Hands the receipt of all segments over to be resolved, once it is there.
    fn begin_resolves(&mut self) {
        if !self.has_ended() || !self.shape.ends_in_one() || self.resolves.has_begun() {
            return;
        }
        if let Some(receipt) = self.all_segments().and_then(|all| self.joins.take(all)) {
            self.resolves.begin(receipt);
        }
    }

    /// Whether a receipt of the task was accepted, or one that covers it was restored.
    pub fn is_accepted(&self, task: TaskId) -> bool {
        match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                self.segments.is_accepted(index)
            }
            TaskId::Join(range) => self.joins.is_accepted(range),
            TaskId::Keccak(index) => self.keccaks.is_accepted(index),
            TaskId::Union(range) => self.unions.is_accepted(range),
            TaskId::Resolve(_) | TaskId::Unwrap => self.resolves.is_accepted(task),
        }
    }

    /// The receipts to deliver, once the execution has ended and all that is needed is proved.
    pub fn outcome(&self) -> Option<Outcome> {
        self.resolves.assumed()?;
        if self.shape.ends_in_one() {
            return self.resolves.outcome();
        }
        if self.segments.accepted_count() < self.segments.count() {
            return None;
        }
        let keccak = match self.resolves.assumes_keccaks() {
            true => Some(self.unions.root()?),
            false => None,
        };
        Some(Outcome::Composite { segments: self.joins.receipts().collect(), keccak })
    }

    /// Whether the job assumes the root of its keccak proofs and has not resolved it, or may yet assume it.
    pub fn needs_keccaks(&self) -> bool {
        self.resolves.needs_keccaks()
    }

    /// How far the plan has come.
    pub fn counts(&self) -> Counts {
        let segments_known = self.segments.count();
        let leaves_accepted = self.segments.accepted_count();
        let (joins_total, joins_accepted) = match self.shape.ends_in_one() {
            false => (0, 0),
            true => {
                let total = segments_known.saturating_sub(1);
                let has_all = self.resolves.has_begun();
                let joined = leaves_accepted - self.joins.piece_count();
                (total, if has_all { total } else { joined })
            }
        };
        let keccaks_known = self.keccaks.count();
        let unions_total = keccaks_known.saturating_sub(1);
        let (keccaks_accepted, unions_accepted) = match self.needs_keccaks() {
            false => (keccaks_known, unions_total),
            true => {
                let accepted = self.keccaks.accepted_count();
                (accepted, self.unions.accepted_count(accepted))
            }
        };
        Counts {
            segments_known,
            execution_ended: self.has_ended(),
            leaves_accepted,
            joins_accepted,
            joins_total,
            keccaks_known,
            keccaks_accepted,
            unions_accepted,
            unions_total,
            resolves_accepted: self.resolves.resolved_count(),
            resolves_total: self.resolve_count(),
            running: self.running_count(),
        }
    }

    /// How many tasks of this class are still to be accepted, as far as they are known.
    pub fn left(&self, class: TaskClass) -> u32 {
        match class {
            TaskClass::Leaf(po2) => self.segments.left(po2),
            TaskClass::Keccak(_) if !self.needs_keccaks() => 0,
            TaskClass::Keccak(po2) => self.keccaks.left(po2),
            TaskClass::Union => self.counts().unions_left(),
            TaskClass::Join => self.counts().joins_left(),
            TaskClass::Resolve => self.counts().resolves_left(),
            TaskClass::Unwrap => self.resolves.is_unwrap_left().into(),
        }
    }

    /// The blobs that the plan may still read or deliver, in no particular order: all others are done with.
    /// Receipts of given assumptions are among them only once the execution has ended: before, the plan does
    /// not know which there are.
    pub fn live_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let keccaks = self.keccaks.inputs_left().chain(self.unions.live_blobs());
        self.segments
            .inputs_left()
            .chain(self.joins.live_blobs())
            .chain(keccaks.filter(|_| self.needs_keccaks()))
            .chain(self.resolves.live_blobs())
    }

    /// Whether the numbers of segments and keccak requests, and what is assumed, are final.
    fn has_ended(&self) -> bool {
        self.resolves.assumed().is_some()
    }

    fn all_segments(&self) -> Option<IndexRange> {
        IndexRange::new(0, self.segments.count())
    }

    /// How many resolves the job has, as far as that is known. Composite jobs leave assumptions as they are.
    fn resolve_count(&self) -> u32 {
        if self.shape.ends_in_one() { self.resolves.count() } else { 0 }
    }

    fn running_count(&self) -> u32 {
        self.segments.running_count()
            + self.joins.running_count()
            + self.keccaks.running_count()
            + self.unions.running_count()
            + self.resolves.running_count()
    }

    fn check_known(&self, task: TaskId) -> Result<(), PlanError> {
        let (segment_count, keccak_count) = (self.segments.count(), self.keccaks.count());
        let resolve_count = self.resolve_count();
        let is_known = match task {
            TaskId::Prove(index) | TaskId::Lift(index) | TaskId::LiftReceipt(index) => {
                task == self.shape.leaf(index) && index < segment_count
            }
            TaskId::Join(range) => {
                self.shape.ends_in_one() && range.count() > 1 && range.end() <= segment_count
            }
            TaskId::Keccak(index) => index < keccak_count,
            TaskId::Union(range) => self.unions.is_union(range, keccak_count),
            TaskId::Resolve(index) => index < resolve_count,
            TaskId::Unwrap => self.resolves.counts_work(),
        };
        let leaf_kind = self.shape.leaf_kind();
        is_known.then_some(()).ok_or(PlanError::UnknownTask {
            task,
            leaf_kind,
            segment_count,
            keccak_count,
            resolve_count,
        })
    }
}
