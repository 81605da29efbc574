//! One proof: the circuit's protocol around a [`Session`].

use super::layout::COLUMNS;
use super::witness::Trace;
use super::{KeccakError, State, permutations_max};
use crate::circuits::{GroupKind, KECCAK};
use crate::phase::phase;
use crate::stark::{Demand, Engine, Held, Session};

/// Proves the permutations of `inputs` in 2^po2 rows, on the threads of the current rayon pool: the seal, which is not
/// verified here. `engine` has to hash with Poseidon2 for it to be one that RISC Zero's programs lift.
///
/// # Errors
/// When there is no proof of so many permutations or rows ([`permutations_max`](super::permutations_max)), or what was
/// computed does not fit together: a fault of this machine or of this crate.
pub fn prove(engine: &Engine, inputs: &[State], po2: usize) -> Result<Vec<u32>, KeccakError> {
    let trace = phase("preflight", || Trace::new(inputs, po2))?;
    let globals = trace.globals();

    let mut session = Session::new(engine, &KECCAK, po2);
    KECCAK.open(session.transcript(), engine.suite(), po2, &globals);
    // The groups beside the data are a column of zeros each.
    session.commit_zero(KECCAK.group(GroupKind::Code));
    let mut columns = engine.pool().take(COLUMNS << po2);
    phase("witness", || trace.fill(&mut columns));
    phase("commit data", || session.commit(KECCAK.group(GroupKind::Data), columns));
    let mix = KECCAK.draw_mix(session.transcript());
    session.commit_zero(KECCAK.group(GroupKind::Accum));
    session.finish(&[&mix, &globals]).map_err(|_| KeccakError::Trace)
}

/// What a proof with 2^po2 rows wants of memory, on the threads of the current rayon pool. [`prove`] holds nothing beside
/// it that counts: a few megabytes while the columns are filled, which is before the most is in use.
///
/// # Errors
/// When no proof has so many rows.
pub fn demand(po2: usize) -> Result<Demand, KeccakError> {
    permutations_max(po2)?;
    Ok(KECCAK.demand(po2, rayon::current_num_threads(), |kind| match kind {
        GroupKind::Data => Held::Own,
        GroupKind::Code | GroupKind::Accum => Held::Zero,
    }))
}
