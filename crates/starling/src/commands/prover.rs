//! `starling prover`: the process that a node supervises.

use starling_zkvm::prover::{self, Phases};

use crate::exit::CommandResult;

pub fn run(phases: Phases) -> CommandResult {
    Ok(prover::serve(phases)?)
}
