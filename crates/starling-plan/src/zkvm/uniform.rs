//! The zkVM's plan as any plan.

use starling_types::{BlobRef, Po2, Progress, Reference, Stage, Task, TaskId, TaskKind};

use super::ZkvmPlan;
use crate::{
    Accepted, Assumed, Certainty, Class, Demand, Order, Outcome, Plan, PlanError, PlanShape,
    Revoked, TaskClass, TaskCost, TaskSpec,
};

/// What an execution puts out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZkvmInput {
    /// A segment, or a segment receipt, is durably stored.
    Segment {
        /// Its number: one more than the last.
        index: u32,
        /// The po2 at which it is proved.
        po2: Po2,
        /// Its blob.
        blob: BlobRef,
    },
    /// A keccak request is durably stored.
    Keccak {
        /// Its number: one more than the last.
        index: u32,
        /// The po2 at which it is proved.
        po2: Po2,
        /// Its blob.
        blob: BlobRef,
    },
    /// The execution ended: there are no more segments, nor keccak requests.
    End {
        /// Where the receipts of its assumptions come from, in list order, head first.
        assumed: Vec<Assumed>,
    },
}

impl TaskClass {
    pub(super) fn demand(
        self,
        shape: PlanShape,
        cost: impl Fn(TaskKind, Option<Po2>) -> TaskCost,
    ) -> Demand {
        let kind = self.kind(shape);
        Demand {
            kind: kind.code(),
            name: kind.name(),
            cost: cost(kind, self.po2()),
            po2: self.po2(),
            reads_results: !matches!(self, Self::Leaf(_) | Self::Keccak(_)),
            order: match self {
                Self::Leaf(_) => Order::Leaves(0),
                Self::Keccak(_) => Order::Leaves(1),
                Self::Join => Order::Merges { tree: 0, width: 2 },
                Self::Union => Order::Merges { tree: 1, width: 2 },
                Self::Resolve | Self::Unwrap => Order::Chain,
            },
        }
    }
}

fn named(task: Task) -> Result<TaskId, PlanError> {
    TaskId::try_from(task).map_err(|_| PlanError::NoSuchTask { task })
}

impl Plan for ZkvmPlan {
    type Input = ZkvmInput;
    type Outcome = Outcome;

    fn demands(&self) -> &[Demand] {
        &self.demands
    }

    fn input(&mut self, input: ZkvmInput) -> Result<(), PlanError> {
        match input {
            ZkvmInput::Segment { index, po2, blob } => self.add_segment(index, po2, blob),
            ZkvmInput::Keccak { index, po2, blob } => self.add_keccak(index, po2, blob),
            ZkvmInput::End { assumed } => self.end_execution(assumed),
        }
    }

    fn ready(&self, class: Class) -> impl Iterator<Item = TaskSpec> + '_ {
        let ready = TaskClass::at(class).map(|class| self.ready(class).map(TaskSpec::uniform));
        ready.into_iter().flatten()
    }

    fn is_ready(&self, class: Class) -> bool {
        TaskClass::at(class).is_some_and(|class| self.is_ready(class))
    }

    fn start(&mut self, task: Task) -> Result<TaskSpec, PlanError> {
        self.start(named(task)?).map(TaskSpec::uniform)
    }

    fn release(&mut self, task: Task) -> Result<(), PlanError> {
        self.release(named(task)?)
    }

    /// A receipt is checked for itself, so it is final, whatever `_certainty` says.
    fn accept(
        &mut self,
        task: Task,
        blob: BlobRef,
        _certainty: Certainty,
    ) -> Result<Accepted, PlanError> {
        self.accept(named(task)?, blob)
    }

    /// Nothing is provisional.
    fn confirm(&mut self, task: Task) -> Result<(), PlanError> {
        Err(PlanError::NotAccepted { task })
    }

    fn restore(
        &mut self,
        task: Task,
        blob: BlobRef,
        _certainty: Certainty,
    ) -> Result<Accepted, PlanError> {
        self.restore(named(task)?, blob)
    }

    fn revoke(&mut self, task: Task) -> Result<Revoked, PlanError> {
        self.revoke(named(task)?)
    }

    fn lost(&mut self, blob: Reference) -> Revoked {
        self.lost(blob)
    }

    fn found(&mut self, blob: Reference) {
        self.found(blob);
    }

    fn is_accepted(&self, task: Task) -> bool {
        TaskId::try_from(task).is_ok_and(|task| self.is_accepted(task))
    }

    fn is_needed(&self, class: Class) -> bool {
        let serves_keccak =
            matches!(TaskClass::at(class), Some(TaskClass::Keccak(_) | TaskClass::Union));
        !serves_keccak || self.needs_keccaks()
    }

    fn left(&self, class: Class) -> u32 {
        TaskClass::at(class).map_or(0, |class| self.left(class))
    }

    fn progress(&self) -> Progress {
        let counts = self.counts();
        let stage = |kind: TaskKind, accepted, total| Stage {
            kind: kind.code(),
            name: kind.name().to_owned(),
            accepted,
            total,
            partly_permille: 0,
        };
        let unwraps = u32::from(self.resolves.counts_work());
        let unwrapped = unwraps - u32::from(self.resolves.is_unwrap_left());
        Progress {
            stages: vec![
                stage(self.shape.leaf_kind(), counts.leaves_accepted, counts.segments_known),
                stage(TaskKind::Join, counts.joins_accepted, counts.joins_total),
                stage(TaskKind::Keccak, counts.keccaks_accepted, counts.keccaks_known),
                stage(TaskKind::Union, counts.unions_accepted, counts.unions_total),
                stage(TaskKind::Resolve, counts.resolves_accepted, counts.resolves_total),
                stage(TaskKind::Unwrap, unwrapped, unwraps),
            ],
            is_final: counts.execution_ended,
            running: counts.running,
        }
    }

    fn live_blobs(&self) -> Vec<BlobRef> {
        self.live_blobs().collect()
    }

    fn outcome(&self) -> Option<Outcome> {
        self.outcome()
    }
}
