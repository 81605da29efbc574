//! One proof of a segment: the circuit's protocol around a [`Session`].

use super::error::SegmentError;
use super::witness::{BIGINT_COLUMNS, Witness};
use crate::circuits::{GroupKind, RV32IM};
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
    let po2 = witness.po2();
    let (isa, pool) = (engine.isa(), engine.pool());
    let [of_data, of_accum] = [GroupKind::Data, GroupKind::Accum].map(|kind| RV32IM.group(kind));

    let mut data = pool.take(RV32IM.columns(of_data) << po2);
    let globals = phase("witness", || witness.fill_data(&mut data))?;

    let mut session = Session::new(engine, &RV32IM, po2);
    RV32IM.open(session.transcript(), engine.suite(), po2, &globals);
    // Programs are in memory, not in the circuit: what the verifier knows of the rows is nothing.
    phase("commit code", || session.commit_zero(RV32IM.group(GroupKind::Code)));
    phase("commit data", || session.commit_to_recall(of_data, data));

    let mix = RV32IM.draw_mix(session.transcript());
    let mut accum = pool.take_filled(RV32IM.columns(of_accum) << po2, 0);
    phase("accum", || {
        let point = *mix.last_chunk().expect("the mix ends with an extension element");
        witness.fill_bigint(point, &mut accum[..BIGINT_COLUMNS << po2])?;
        session.recall(of_data, |data| {
            accumulate(isa, po2, data, &globals, &mix, &mut accum, unset);
        });
        Ok::<_, SegmentError>(())
    })?;
    phase("commit accum", || match unset {
        Unset::Zero => session.commit(of_accum, accum),
        Unset::Stock => session.commit_any(of_accum, accum),
    });

    session.finish(&[&mix, &globals]).map_err(|_| SegmentError::Trace)
}

/// What a proof of a segment with 2^po2 rows wants of memory, on the threads of the current rayon pool. What the
/// [`Witness`] holds comes on top.
pub fn demand(po2: usize) -> Demand {
    RV32IM.demand(po2, rayon::current_num_threads(), |kind| match kind {
        GroupKind::Code => Held::Zero,
        GroupKind::Data => Held::Recalled,
        GroupKind::Accum => Held::Own,
    })
}
