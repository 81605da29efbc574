//! `starling prover SYSTEM`: the process that a node supervises, one for each proof system.

use starling_child::{Phases, Prover as _, serve};
use starling_zkvm::prover::RiscZero;

use crate::exit::{CommandResult, Exit};

pub fn run(system: &str, phases: Phases) -> CommandResult {
    if system != RiscZero::system().as_str() {
        return Err(Exit::usage(anyhow::anyhow!(
            "this build proves for {}, not for {system}",
            RiscZero::system()
        )));
    }
    Ok(serve::<RiscZero>(phases)?)
}
