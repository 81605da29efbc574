//! What a plan refuses.

use starling_types::{Po2, Task, TaskId, TaskKind};
use thiserror::Error;

use crate::class::{KECCAK_PO2_MAX, KECCAK_PO2_MIN};

/// A call that the plan cannot follow; it changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Segments must come in order, each once.
    #[error(
        "segment {actual} came where segment {expected} was due: segments are planned in order"
    )]
    SegmentOutOfOrder {
        /// The index that was due.
        expected: u32,
        /// The index that came.
        actual: u32,
    },
    /// Keccak requests must come in order, each once.
    #[error("keccak request {actual} came where {expected} was due: requests are planned in order")]
    KeccakOutOfOrder {
        /// The index that was due.
        expected: u32,
        /// The index that came.
        actual: u32,
    },
    /// A keccak request of a size that the circuit has no program for.
    #[error("keccak request {index} has po2 {po2}, expected {KECCAK_PO2_MIN} to {KECCAK_PO2_MAX}")]
    KeccakPo2 {
        /// The index of the request.
        index: u32,
        /// Its po2.
        po2: Po2,
    },
    /// A segment or a keccak request came after the end.
    #[error("the input of {task} came after the execution had ended")]
    ExecutionEnded {
        /// The task that would begin with it.
        task: TaskId,
    },
    /// An execution has at least one segment.
    #[error("the execution ended without a segment: nothing to prove")]
    NoSegments,
    /// A keccak root is assumed, and no keccak proof was asked for.
    #[error("the execution assumes a keccak root but made no keccak request")]
    NoKeccaks,
    /// The execution ended twice, with other assumptions the second time.
    #[error(
        "the execution ended again with {actual_count} assumptions that are not the {count} of the first time"
    )]
    EndedOtherwise {
        /// How many assumptions there are.
        count: usize,
        /// How many were named the second time.
        actual_count: usize,
    },
    /// The plan has no such task.
    #[error(
        "{task} is not a task of this {leaf_kind} job of {segment_count} segments, {keccak_count} keccak requests \
         and {resolve_count} resolves so far"
    )]
    UnknownTask {
        /// The task as named.
        task: TaskId,
        /// The kind of the plan's leaves.
        leaf_kind: TaskKind,
        /// How many segments are known.
        segment_count: u32,
        /// How many keccak requests are known.
        keccak_count: u32,
        /// How many resolves are known: none before the execution has ended.
        resolve_count: u32,
    },
    /// The plan has no such task.
    #[error("{task} is not a task of this plan, as far as it is known")]
    NoSuchTask {
        /// The task as named.
        task: Task,
    },
    /// The task has no result of its own that could be taken back or made final.
    #[error("{task} has no accepted result of its own")]
    NotAccepted {
        /// The task as named.
        task: Task,
    },
    /// A round was named before the last was complete, or none is left to be named, or nobody could prove it.
    #[error("round {round} can't be planned: {detail}")]
    RoundOutOfTurn {
        /// The round's number, from 0.
        round: u32,
        /// What was wrong, for people.
        detail: &'static str,
    },
    /// The task cannot be started: it runs, is accepted, is not needed, or lacks an input.
    #[error("{task} is not ready: it runs, is accepted, is not needed, or lacks an input")]
    NotReady {
        /// The task as named.
        task: Task,
    },
    /// The task was not started, or is accepted or released already.
    #[error("{task} is not running")]
    NotRunning {
        /// The task as named.
        task: Task,
    },
    /// Receipts are restored before anything is started.
    #[error("{task} cannot be restored while {running_count} tasks run: restore first, then start")]
    RestoredTooLate {
        /// The task as named.
        task: Task,
        /// How many tasks run.
        running_count: u32,
    },
}
