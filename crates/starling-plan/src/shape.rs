//! What a job's receipts become, and which of its tasks follow from that.

use starling_types::{TaskId, TaskKind};

/// What a job's receipts become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanShape {
    /// Each segment proved; nothing joined, nothing resolved.
    Composite,
    /// Each segment proved and lifted; all joined to one, and its assumptions resolved.
    Succinct,
    /// As succinct, of segments that are proved already: each segment receipt lifted.
    Compress,
}

impl PlanShape {
    /// The kind of the tasks that each begin with one segment, or its receipt.
    pub fn leaf_kind(self) -> TaskKind {
        self.leaf(0).kind()
    }

    /// The task that begins with the segment `index`, or its receipt.
    pub fn leaf(self, index: u32) -> TaskId {
        match self {
            Self::Composite => TaskId::Prove(index),
            Self::Succinct => TaskId::Lift(index),
            Self::Compress => TaskId::LiftReceipt(index),
        }
    }

    /// Whether the receipts of all segments become one.
    pub fn ends_in_one(self) -> bool {
        self != Self::Composite
    }
}
