//! What a node is: what it offers, and what its own prover needs.

use std::collections::BTreeMap;

use starling_proto::System;
use starling_types::{MemoryBytes, Millis, Po2, Profile, TaskKind};

/// What a node is and may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// The program and its version.
    pub agent: String,
    /// What it proves.
    pub systems: Vec<System>,
    /// What proving may use, over all slots.
    pub memory: MemoryBytes,
    /// Tasks proved at the same time; at least one.
    pub slots: u32,
    /// The largest segment to prove.
    pub po2_max: Po2,
    /// What tasks need of this node's prover. What is not in it is not taken.
    pub needs: Needs,
    /// The speed that is claimed until one is measured, in thousandths of the reference core's.
    pub speed_guess_permille: u32,
    /// What results that are kept for others may take on the disk, in bytes.
    pub results_bytes_max: u64,
    /// What the spread of redials is drawn from, so that nodes cut off together do not come back together.
    pub seed: u64,
}

/// What one task needs of a prover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Memory with everything kept.
    pub usual: MemoryBytes,
    /// The least memory.
    pub frugal: MemoryBytes,
    /// The work, in milliseconds of the reference core: what speeds are counted in.
    pub work: Millis,
}

impl Need {
    /// The ways to prove the task and their memory, the preferred first: with everything kept if that fits into
    /// `share`, a slot's part of the memory.
    pub(crate) fn profiles(&self, share: MemoryBytes) -> Vec<(Profile, MemoryBytes)> {
        let mut profiles = vec![(Profile::Frugal, self.frugal)];
        if self.usual <= share {
            profiles.insert(0, (Profile::Usual, self.usual));
        }
        profiles
    }
}

/// What tasks need, by kind and po2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    table: BTreeMap<(TaskKind, Po2), Need>,
}

impl Needs {
    /// What a task of this kind needs whose grant names `po2`; `None` for one that the prover has not.
    pub fn of(&self, kind: TaskKind, po2: Po2) -> Option<Need> {
        self.table.get(&(kind, po2)).copied()
    }
}

impl FromIterator<((TaskKind, Po2), Need)> for Needs {
    fn from_iter<T: IntoIterator<Item = ((TaskKind, Po2), Need)>>(needs: T) -> Self {
        Self { table: needs.into_iter().collect() }
    }
}
