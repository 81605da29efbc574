//! `starling prover`: the process that a node supervises.

use starling_zkvm::prover;

use crate::{args::ProverArgs, exit::CommandResult};

pub fn run(_args: &ProverArgs) -> CommandResult {
    Ok(prover::serve()?)
}
