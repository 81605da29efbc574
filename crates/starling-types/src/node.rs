//! What a node says it can do, and whose trouble a failure is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{KindCode, MemoryBytes, Po2};

/// What a node says it can do. It is believed only as far as its results bear it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Memory for all of its tasks together.
    pub memory: MemoryBytes,
    /// The kinds of task that it takes, and what its prover needs for each.
    pub kinds: BTreeMap<KindCode, MemoryTable>,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// Milliseconds of reference-core work that *one slot* does in a second of wall time: 1000 is one
    /// reference core. Zero means unknown.
    pub speed_permille: u32,
}

/// The memory that a prover takes for a task of one kind, by the po2 that this depends on: what it is neither listed for
/// nor covered by [`any`](Self::any) is not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryTable {
    /// For tasks of this po2.
    pub by_po2: BTreeMap<Po2, MemoryBytes>,
    /// For all others.
    pub any: Option<MemoryBytes>,
}

impl MemoryTable {
    /// What a task takes whose cost model says `otherwise`, which counts where nothing is stated at all; `None` for a task
    /// that is not taken.
    pub fn memory(&self, po2: Option<Po2>, otherwise: MemoryBytes) -> Option<MemoryBytes> {
        if self.by_po2.is_empty() && self.any.is_none() {
            return Some(otherwise);
        }
        po2.and_then(|po2| self.by_po2.get(&po2).copied()).or(self.any)
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_table_says_what_is_taken_and_an_empty_one_leaves_it_to_the_cost_model() {
        let [small, large] = [14, 18].map(|po2| Some(Po2::try_from(po2).unwrap()));
        let model = MemoryBytes(100);
        let memory = |table: &MemoryTable| [None, small, large].map(|po2| table.memory(po2, model));
        assert_eq!(memory(&MemoryTable::default()), [Some(model); 3]);
        let sized = [(small.unwrap(), MemoryBytes(7))].into();
        let listed = MemoryTable { by_po2: sized, any: None };
        assert_eq!(memory(&listed), [None, Some(MemoryBytes(7)), None]);
        let any = Some(MemoryBytes(9));
        assert_eq!(memory(&MemoryTable { any, ..listed }), [any, Some(MemoryBytes(7)), any]);
    }
}
