//! The prover processes of one slot: one for each system, of which one is warm.
//!
//! A task is a function from bytes to bytes, and a process is one host of it, with its files in `scratch.rs`. A browser's worker
//! would be another, without processes and files.

use std::{collections::BTreeMap, sync::Arc};

use starling_child::{ProverConfig, ProverProcess};
use starling_types::SystemName;
use tokio::sync::Mutex;

/// Those of one slot: held by the task that proves in it.
pub(crate) type SharedProvers = Arc<Mutex<SlotProvers>>;

/// Each system's, by its name.
#[derive(Debug)]
pub(crate) struct SlotProvers(BTreeMap<SystemName, ProverProcess>);

impl SlotProvers {
    /// None is started before it is needed.
    pub(crate) fn new(provers: &[ProverConfig]) -> Self {
        let prover =
            |config: &ProverConfig| (config.system.clone(), ProverProcess::new(config.clone()));
        Self(provers.iter().map(prover).collect())
    }

    /// The prover for a system. All others are ended: the slot's memory is for one.
    pub(crate) fn of(&mut self, system: &SystemName) -> Option<&mut ProverProcess> {
        for (name, other) in &mut self.0 {
            if name != system {
                other.stop();
            }
        }
        self.0.get_mut(system)
    }
}
