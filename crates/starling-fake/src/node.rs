//! What a node needs to prove for a fake system.

use std::path::Path;

use starling_child::ProverConfig;
use starling_node::{Figures, SystemProver};
use starling_plan::TaskCost;
use starling_types::{KindCode, MemoryBytes, Need, Profile};

use crate::jobs::{COST, KIND_END};

/// What a prover may allocate: its figure is made up, a process has its own.
const MEMORY_LIMIT: MemoryBytes = MemoryBytes::from_mib(336);

/// The prover of a fake system: `program` is `starling-fake-prover`, `manners` are a text of [`Manners`](crate::Manners).
pub fn fake_prover(program: &Path, system: &str, manners: &str) -> SystemProver {
    let TaskCost { memory, work } = COST;
    let need = Need { memory, limit: MEMORY_LIMIT, profile: Profile::Usual, work };
    SystemProver {
        prover: ProverConfig {
            params: manners.into(),
            ..ProverConfig::new(system, program, [system.into()])
        },
        figures: Figures {
            needs: (1..KIND_END).map(|kind| ((KindCode(kind), None), need)).collect(),
            size_of: |_, _| Some(None),
            // What a kind is depends on the plan, which a node does not know.
            name_of: |task| task.to_string(),
            revision: 1,
            speed_guess_permille: 1000,
        },
    }
}
