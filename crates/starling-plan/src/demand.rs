//! What tasks need of a node that does them.

use starling_types::{KindCode, MemoryBytes, Millis, Po2};

/// What one task needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskCost {
    /// The most memory that the prover process holds at any time.
    pub memory: MemoryBytes,
    /// CPU time on the reference core.
    pub work: Millis,
}

/// A class of a plan's tasks: its place in [`Plan::demands`](crate::Plan::demands). The tasks of one class all need the
/// same, so what fits is decided for a class, not for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u8);

/// What the tasks of one class need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Their kind.
    pub kind: KindCode,
    /// The kind's name, for people.
    pub name: &'static str,
    /// The memory and the work of each.
    pub cost: TaskCost,
    /// What their cost depends on, where it does.
    pub po2: Option<Po2>,
    /// Whether they read what other tasks made.
    pub reads_results: bool,
    /// How they follow each other, for estimates.
    pub order: Order,
}

/// How the tasks of one class follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All side by side, at the bottom of the tree with this number.
    Leaves(u8),
    /// A tree of merges of so many each, above the leaves with this number.
    Merges {
        /// The number of the leaves.
        tree: u8,
        /// How many are merged at once.
        width: u32,
    },
    /// One after the other, when all trees are done.
    Chain,
}
