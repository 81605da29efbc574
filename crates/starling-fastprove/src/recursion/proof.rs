//! One proof of a recursion program: the circuit's protocol around a [`Session`].

use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::Seed;
use super::error::ProveError;
use super::library::Ready;
use super::machine::Run;
use super::witness::{Noise, accum, data};
use crate::circuits::{GroupKind, RECURSION};
use crate::phase::phase;
use crate::stark::{Engine, Session};

/// Proves `run`, in which `ready`'s program accepted its input, on the threads of the current rayon pool: the seal. All that
/// is random in it follows from `seed`.
pub(crate) fn prove(
    engine: &Engine,
    ready: &Ready,
    run: Run,
    seed: Seed,
) -> Result<Vec<u32>, ProveError> {
    let (program, noise) = (&ready.program, Noise::new(seed));
    let rows = 1 << program.po2();

    let globals: Vec<u32> = run.globals.iter().map(Elem::as_u32_montgomery).collect();

    let mut session = Session::new(engine, &RECURSION, program.po2());
    RECURSION.open(session.transcript(), engine.suite(), program.po2(), &globals);

    session.commit_ready(RECURSION.group(GroupKind::Code), ready.control.clone());
    let mut columns = engine.pool().take(data::DATA_COLUMNS * rows);
    phase("data", || data::fill(program, &run, &noise, &mut columns));
    phase("commit data", || session.commit(RECURSION.group(GroupKind::Data), columns));

    let mix_words = RECURSION.draw_mix(session.transcript());
    let mix: [Elem; accum::MIX_ELEMENTS] = std::array::from_fn(|at| Elem::new_raw(mix_words[at]));
    let mut columns = engine.pool().take(accum::ACCUM_COLUMNS * rows);
    phase("accum", || accum::fill(program, &run, &mix, &noise, &mut columns));
    phase("commit accum", || session.commit(RECURSION.group(GroupKind::Accum), columns));

    // The memory is not needed any more, and the proof takes the most memory at its end.
    drop(run);
    let seal = session.finish(&[&mix_words, &globals]);
    seal.map_err(|_| ProveError::Trace { program: program.name().into() })
}
