//! What a person may want to know while a job runs.

use starling_plan::Progress;
use starling_types::Millis;

use crate::WaitReason;

/// What is done of tasks that have no accepted result, in thousandths of a task, all tasks of a kind together.
///
/// It is what nodes say of themselves, each thousand at most for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartlyDone {
    /// Of the leaves.
    pub leaves_permille: u64,
    /// Of the joins.
    pub joins_permille: u64,
    /// Of the keccak proofs.
    pub keccaks_permille: u64,
    /// Of the resolves.
    pub resolves_permille: u64,
}

/// A snapshot of a scheduler, for progress bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Nodes that are connected and not dismissed.
    pub node_count: usize,
    /// Of those, nodes that work on a lease.
    pub busy_node_count: usize,
    /// Leases that nodes work on, backups included.
    pub lease_count: usize,
    /// Results that the shell is checking.
    pub checking_count: usize,
    /// How far the plan has come.
    pub progress: Progress,
    /// How far the tasks are that are not accepted yet, as their nodes say.
    pub partly_done: PartlyDone,
    /// Why a ready task waits, if one does.
    pub waiting: Option<WaitReason>,
    /// How long the work known so far should still take all nodes together; `None` without nodes. While
    /// the execution runs, this grows with each segment.
    pub eta_ms: Option<Millis>,
}
