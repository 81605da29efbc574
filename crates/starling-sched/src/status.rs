//! What a person may want to know while a job runs.

use starling_types::{Millis, Progress};

use crate::WaitReason;

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
    /// How far the plan has come, with what nodes say of themselves.
    pub progress: Progress,
    /// Why a ready task waits, if one does.
    pub waiting: Option<WaitReason>,
    /// How long the work known so far should still take all nodes together; `None` without nodes. While
    /// the execution runs, this grows with each segment.
    pub eta_ms: Option<Millis>,
}
