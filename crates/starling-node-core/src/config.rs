//! What a node is: what it offers, and what its own prover needs.

use std::collections::BTreeMap;

use starling_proto::Offer;
use starling_types::{KindCode, MemoryBytes, MemoryTable, Millis, Po2, Profile, Task};

/// What a node is and may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// The program and its version.
    pub agent: String,
    /// What it proves; at least one.
    pub systems: Vec<System>,
    /// What proving may use, over all slots.
    pub memory: MemoryBytes,
    /// Tasks proved at the same time; at least one.
    pub slots: u32,
    /// The speed that is claimed until one is measured, in thousandths of the reference core's.
    pub speed_guess_permille: u32,
    /// What results that are kept for others may take on the disk, in bytes.
    pub results_bytes_max: u64,
    /// What the spread of redials is drawn from, so that nodes cut off together do not come back together.
    pub seed: u64,
}

/// A proof system, and what of it the node does.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name.
    pub name: String,
    /// What tasks need of this node's prover. What is not in it is neither offered nor taken.
    pub needs: Needs,
    /// Reads a task and its arguments: the po2 that its cost depends on, `None` within where it depends on none; `None`
    /// without for what is no task of the system.
    pub size_of: fn(Task, &[u8]) -> Option<Option<Po2>>,
}

/// What one task needs of this node's prover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The memory.
    pub memory: MemoryBytes,
    /// How it is traded for time: so much of it is what `memory` says.
    pub profile: Profile,
    /// The work, in milliseconds of the reference core: what speeds are counted in.
    pub work: Millis,
}

/// What tasks need, by kind and by the po2 that this depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    table: BTreeMap<(KindCode, Option<Po2>), Need>,
}

impl Needs {
    /// What a task of this kind and size needs; `None` for one that is not taken.
    pub fn of(&self, kind: KindCode, po2: Option<Po2>) -> Option<Need> {
        self.table.get(&(kind, po2)).copied()
    }

    /// As a client is told.
    fn stated(&self) -> BTreeMap<KindCode, MemoryTable> {
        let mut kinds = BTreeMap::<KindCode, MemoryTable>::new();
        for (&(kind, po2), need) in &self.table {
            let table = kinds.entry(kind).or_default();
            match po2 {
                Some(po2) => drop(table.by_po2.insert(po2, need.memory)),
                None => table.any = Some(need.memory),
            }
        }
        kinds
    }
}

impl FromIterator<((KindCode, Option<Po2>), Need)> for Needs {
    fn from_iter<T: IntoIterator<Item = ((KindCode, Option<Po2>), Need)>>(needs: T) -> Self {
        Self { table: needs.into_iter().collect() }
    }
}

impl System {
    /// What of it is offered.
    pub(crate) fn offer(&self) -> Offer {
        Offer { system: self.name.clone(), kinds: self.needs.stated() }
    }

    /// What a task needs here; `None` for one that is not taken.
    pub(crate) fn need(&self, task: Task, arguments: &[u8]) -> Option<Need> {
        self.needs.of(task.kind, (self.size_of)(task, arguments)?)
    }
}

impl Config {
    /// What the task of a grant needs here; `None` for one that is not taken.
    pub(crate) fn need(&self, system: &str, task: Task, arguments: &[u8]) -> Option<Need> {
        self.systems.iter().find(|ours| ours.name == system)?.need(task, arguments)
    }
}
