//! One proof of a recursion program: the circuit's protocol around a [`Session`].

use risc0_circuit_recursion::{
    CircuitImpl, REGISTER_GROUP_ACCUM, REGISTER_GROUP_CTRL, REGISTER_GROUP_DATA,
};
use risc0_zkp::adapter::{CircuitInfo as _, PROOF_SYSTEM_INFO};
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::circuit::Recursion;
use super::error::ProveError;
use super::library::Ready;
use super::machine::Run;
use super::witness::{accum, data};
use crate::phase::phase;
use crate::stark::{Engine, Session};

/// What a proof of a recursion program is, without what it means.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The seal.
    pub seal: Vec<u32>,
    /// What the program put out.
    pub output: Vec<u32>,
}

/// Proves `run`, in which `ready`'s program accepted its input, on the threads of the current rayon pool.
pub(crate) fn prove(engine: &Engine, ready: &Ready, run: Run) -> Result<Proof, ProveError> {
    let program = &ready.program;
    let rows = 1 << program.po2();

    let mut session = Session::new(engine, &Recursion, program.po2());
    let hashfn = &engine.suite().hashfn;
    let mut header = run.globals.to_vec();
    // Not in Montgomery form, here alone.
    header.push(Elem::new_raw(program.po2() as u32));
    let transcript = session.transcript();
    transcript.commit(&hashfn.hash_elem_slice(&PROOF_SYSTEM_INFO.encode()));
    transcript.commit(&hashfn.hash_elem_slice(&CircuitImpl::CIRCUIT_INFO.encode()));
    transcript.commit(&hashfn.hash_elem_slice(&header));
    transcript.write_field_elem_slice(&header);

    session.commit_ready(REGISTER_GROUP_CTRL, ready.control.clone());
    let mut columns = engine.pool().take(data::DATA_COLUMNS * rows);
    phase("data", || data::fill(program, &run, &mut columns));
    phase("commit data", || session.commit(REGISTER_GROUP_DATA, columns));

    let mix: [Elem; accum::MIX_ELEMENTS] =
        std::array::from_fn(|_| session.transcript().random_elem());
    let mut columns = engine.pool().take(accum::ACCUM_COLUMNS * rows);
    phase("accum", || accum::fill(program, &run, &mix, &mut columns));
    phase("commit accum", || session.commit(REGISTER_GROUP_ACCUM, columns));

    // The memory is not needed any more, and the proof takes the most memory at its end.
    let Run { output, globals, memory, uses } = run;
    drop((memory, uses));
    let words =
        |elements: &[Elem]| elements.iter().map(Elem::as_u32_montgomery).collect::<Vec<_>>();
    let seal = session.finish(&[&words(&mix), &words(&globals)]);
    let seal = seal.map_err(|_| ProveError::Trace { program: program.name().into() })?;
    Ok(Proof { seal, output })
}
