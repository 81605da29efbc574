//! One proof of a segment: the circuit's protocol around a [`Session`].

use super::error::SegmentError;
use super::witness::{BIGINT_COLUMNS, Witness};
use crate::circuits::RV32IM;
use crate::phase::phase;
use crate::rv32im::accum::{Unset, accumulate};
use crate::stark::{Demand, Engine, Held, Session};

/// Proves the segment that `witness` is of, on the threads of the current rayon pool; its seal. Nothing is verified:
/// [`receipt`](super::receipt()) does that. `unset` says what stands in cells that no constraint determines: zero, but to
/// compare seals with the stock prover's.
///
/// # Errors
/// When the segment has no witness, or one that breaks the constraints.
pub fn prove(
    engine: &Engine,
    witness: &mut impl Witness,
    unset: Unset,
) -> Result<Vec<u32>, SegmentError> {
    let (po2, groups) = (witness.po2(), RV32IM.groups);
    let (isa, pool) = (engine.isa(), engine.pool());

    let mut data = pool.take(RV32IM.columns(groups.data) << po2);
    let globals = phase("witness", || witness.fill_data(&mut data))?;

    let mut session = Session::new(engine, &RV32IM, po2);
    RV32IM.open(session.transcript(), engine.suite(), po2, &globals);
    // Programs are in memory, not in the circuit: what the verifier knows of the rows is nothing.
    phase("commit code", || session.commit_zero(groups.code));
    phase("commit data", || session.commit_to_recall(groups.data, data));

    let mix = RV32IM.draw_mix(session.transcript());
    let mut accum = pool.take_filled(RV32IM.columns(groups.accum) << po2, 0);
    phase("accum", || {
        let point = *mix.last_chunk().expect("the mix ends with an extension element");
        witness.fill_bigint(point, &mut accum[..BIGINT_COLUMNS << po2])?;
        session.recall(groups.data, |data| {
            accumulate(isa, po2, data, &globals, &mix, &mut accum, unset);
        });
        Ok::<_, SegmentError>(())
    })?;
    phase("commit accum", || match unset {
        Unset::Zero => session.commit(groups.accum, accum),
        Unset::Stock => session.commit_any(groups.accum, accum),
    });

    session.finish(&[&mix, &globals]).map_err(|_| SegmentError::Trace)
}

/// What a proof of a segment with 2^po2 rows wants of memory, on the threads of the current rayon pool. What the
/// [`Witness`] holds comes on top.
pub fn demand(po2: usize) -> Demand {
    let groups = RV32IM.groups;
    let held =
        [(groups.code, Held::Zero), (groups.data, Held::Recalled), (groups.accum, Held::Own)];
    Demand::new(RV32IM.taps(), po2, &held, rayon::current_num_threads())
}
