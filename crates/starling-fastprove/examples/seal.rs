//! What a recursion proof costs beside its witness and its constraints: seals random columns of the recursion
//! circuit's shape, with constraints that cost nothing, and prints the time of each step and the memory.
//!
//! `cargo run --release -p starling-fastprove --example seal -- PO2 COSETS_KEPT REPEATS POOL_MIB`; threads by
//! RAYON_NUM_THREADS, vectors by STARLING_ISA.

use std::sync::Arc;
use std::time::Instant;

use risc0_circuit_recursion::{
    CircuitImpl, REGISTER_GROUP_ACCUM, REGISTER_GROUP_CTRL, REGISTER_GROUP_DATA,
};
use risc0_zkp::adapter::TapsProvider as _;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::taps::TapSet;
use starling_babybear::vector::{Isa, P};
use starling_fastprove::stark::{Buffer, Circuit, Engine, EvalCheck, Group, Pool, Session};

struct Unconstrained;

impl Circuit for Unconstrained {
    fn taps(&self) -> &TapSet<'_> {
        CircuitImpl::new().get_taps()
    }

    fn eval_check(&self, call: EvalCheck<'_>) {
        call.check.copy_from_slice(&call.groups[0][..call.check.len()]);
    }
}

fn main() {
    let number = |at, default| {
        std::env::args().nth(at).map_or(default, |text| text.parse().expect("a number"))
    };
    let (po2, cosets, repeats) = (number(1, 18), number(2, 4), number(3, 3));

    let pool = Pool::new(number(4, 1024) << 20);
    let engine = Engine::new(Isa::best(), Poseidon2HashSuite::new_suite(), pool.clone());
    let engine = engine.keep_cosets(cosets);
    eprintln!(
        "{engine:?}, {} threads, 2^{po2} rows, {cosets} cosets kept",
        rayon::current_num_threads()
    );
    let columns = |group| Unconstrained.taps().group_size(group);
    let trace = |group| random(&pool, columns(group) << po2);

    let start = Instant::now();
    let mut ctrl =
        Group::from_trace(&engine, trace(REGISTER_GROUP_CTRL), columns(REGISTER_GROUP_CTRL));
    eprintln!("control group, once: {:.3} s", start.elapsed().as_secs_f64());
    ctrl.forget_evaluations();
    let ctrl = Arc::new(ctrl);
    for _ in 0..repeats {
        let [data, accum] = [REGISTER_GROUP_DATA, REGISTER_GROUP_ACCUM].map(trace);
        let start = Instant::now();
        let mut session = Session::new(&engine, &Unconstrained, po2);
        session.commit_ready(REGISTER_GROUP_CTRL, ctrl.clone());
        session.commit(REGISTER_GROUP_DATA, data);
        let committed_data = start.elapsed();
        session.commit(REGISTER_GROUP_ACCUM, accum);
        let committed = start.elapsed();
        let seal = session.finish(&[]).expect("the claims fit the columns");
        let total = start.elapsed();
        eprintln!(
            "data {:.3} s, accum {:.3} s, finish {:.3} s, in all {:.3} s; {} words; {}",
            committed_data.as_secs_f64(),
            (committed - committed_data).as_secs_f64(),
            (total - committed).as_secs_f64(),
            total.as_secs_f64(),
            seal.len(),
            memory(&pool),
        );
    }
}

/// Pseudo-random elements, from a generator that costs less than what is measured.
fn random(pool: &Pool, len: usize) -> Buffer {
    let mut buffer = pool.take(len);
    let mut state = 1_u32;
    for word in buffer.iter_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *word = (state >> 1) % P;
    }
    buffer
}

fn memory(pool: &Pool) -> String {
    let peak = |status: String| -> Option<String> {
        let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
        Some(line.split_whitespace().nth(1)?.to_owned())
    };
    let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(peak);
    format!(
        "peak: {} MiB from the pool, {} KiB resident",
        pool.stock().peak_bytes >> 20,
        resident.unwrap_or_else(|| "unknown".to_owned()),
    )
}
