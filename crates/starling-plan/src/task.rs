//! What goes out of a plan: task descriptions, outcomes and counts.

use starling_types::{BlobRef, Po2, TaskId};

/// A task, with all that a prover needs for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec {
    /// The task's name.
    pub id: TaskId,
    /// The po2 of the segment to prove; `None` for a join, whose cost does not depend on segments.
    pub po2: Option<Po2>,
    /// What the task reads: one segment, or the left and the right receipt of a join.
    pub inputs: Vec<BlobRef>,
    /// The segment at which the right receipt of a join starts; `None` for a leaf.
    pub split: Option<u32>,
}

/// What became of a receipt that was handed to [`Plan::accept`](crate::Plan::accept).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The receipt is the task's result from now on.
    New,
    /// The task had a result before: this one is not needed and nothing changed.
    AlreadyAccepted,
    /// The ranges that the join was made of have been joined otherwise, or are being joined otherwise:
    /// this one is not needed and nothing changed.
    Superseded,
}

/// The receipts that a finished plan delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// One segment receipt for each segment, in segment order.
    Composite(Vec<BlobRef>),
    /// The one receipt that covers all segments.
    Succinct(BlobRef),
}

/// How far a plan has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Segments that the execution has delivered so far.
    pub segments_known: u32,
    /// Whether `segments_known` is final.
    pub execution_ended: bool,
    /// Segments whose receipt is accepted.
    pub leaves_accepted: u32,
    /// Joins whose receipt is accepted.
    pub joins_accepted: u32,
    /// Joins that the segments known so far need in all: one fewer than segments; none for composite jobs.
    pub joins_total: u32,
    /// Tasks started and neither accepted nor released.
    pub running: u32,
}

impl Progress {
    /// Joins that are still to be accepted for the segments known so far.
    pub fn joins_left(&self) -> u32 {
        self.joins_total - self.joins_accepted
    }
}
