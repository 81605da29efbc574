//! What a node needs to prove for a fake system.

use std::path::Path;

use starling_child::ProverConfig;
use starling_node::{Need, SystemProver};
use starling_types::{KindCode, MemoryBytes, Millis, Profile};

use crate::jobs::KIND_END;

/// The prover of a fake system: `program` is `starling-fake-prover`, `manners` are a text of [`Manners`](crate::Manners).
pub fn fake_prover(program: &Path, system: &str, manners: &str) -> SystemProver {
    let need =
        Need { memory: MemoryBytes::from_mib(64), profile: Profile::Usual, work: Millis(100) };
    SystemProver {
        prover: ProverConfig {
            params: manners.into(),
            ..ProverConfig::new(system, program, [system.into()])
        },
        needs: (1..KIND_END).map(|kind| ((KindCode(kind), None), need)).collect(),
        size_of: |_, _| Some(None),
    }
}
