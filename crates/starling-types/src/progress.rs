//! How far a job is.

use serde::{Deserialize, Serialize};

use crate::KindCode;

/// How far the tasks of one kind are. What is no longer needed counts as accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The kind.
    pub kind: KindCode,
    /// Its name.
    pub name: String,
    /// How many are accepted.
    pub accepted: u32,
    /// How many there are, as far as they are known.
    pub total: u32,
    /// What nodes say they have done of others, all together, in thousandths of one.
    pub partly_permille: u64,
}

/// How far a job is, stage by stage, in the order in which it goes through them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The stages.
    pub stages: Vec<Stage>,
    /// Whether no more tasks will become known.
    pub is_final: bool,
    /// Tasks that are started and neither accepted nor given up.
    pub running: u32,
}

impl Progress {
    /// The stage of this kind.
    pub fn stage(&self, kind: KindCode) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.kind == kind)
    }
}
