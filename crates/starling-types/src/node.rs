//! What a node says it can do, and whose trouble a failure is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{KindCode, MemoryBytes, Po2};

/// What a node says it can do. It is believed only as far as its results bear it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Memory for all of its tasks together.
    pub memory: MemoryBytes,
    /// The kinds of task that it takes.
    pub kinds: BTreeSet<KindCode>,
    /// The largest segment that it proves. It says nothing of keccak proofs, nor of lifting a receipt.
    pub po2_max: Po2,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// Milliseconds of reference-core work that *one slot* does in a second of wall time: 1000 is one
    /// reference core. Zero means unknown.
    pub speed_permille: u32,
}

/// Whose trouble a failure is, by the word of who failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// The task needs more memory than its prover may use.
    Memory,
    /// The node's disk is full: it can take no task that needs room, whichever it is.
    Disk,
    /// The node's otherwise: a crash, a deadline missed. Another node may well succeed.
    Node,
    /// An input could not be had, or was not what its reference says.
    Input,
    /// The inputs are there, and cannot be proved: it would fail elsewhere too.
    Task,
}
