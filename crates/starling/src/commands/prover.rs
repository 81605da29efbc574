//! `starling prover`: the process that a node supervises.

use starling_zkvm::prover;

use crate::exit::CommandResult;

pub fn run() -> CommandResult {
    Ok(prover::serve()?)
}
