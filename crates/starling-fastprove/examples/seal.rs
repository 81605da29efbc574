//! What a proof costs beside its witness and its constraints, and what its memory costs: seals random columns of a
//! circuit's shape, with constraints that cost nothing, by the fastest plan for a given memory, and prints the time
//! of each step and the memory that it took.
//!
//! `cargo run --release -p starling-fastprove --example seal -- CIRCUIT PO2 BUDGET_MIB REPEATS`, where CIRCUIT is
//! `recursion` or `rv32im`; threads by RAYON_NUM_THREADS, vectors by STARLING_ISA.

use std::sync::Arc;
use std::time::Instant;

use risc0_zkp::adapter::TapsProvider as _;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::taps::TapSet;
use starling_babybear::vector::{Isa, P};
use starling_fastprove::stark::{
    Buffer, Circuit, Demand, Engine, EvalCheck, Group, Held, MemoryPlan, Pool, Session,
};

/// A circuit's columns, without its constraints.
struct Unconstrained {
    taps: &'static TapSet<'static>,
    /// In the order of the commitments; the index of each group and how it gets into the proof.
    groups: [(usize, Held); 3],
}

impl Circuit for Unconstrained {
    fn taps(&self) -> &TapSet<'_> {
        self.taps
    }

    fn eval_check(&self, call: EvalCheck<'_>) {
        let data = call.groups[2];
        let (values, _) = data.split_at(call.check.len());
        call.check.copy_from_slice(values);
    }
}

fn main() {
    let argument = |at| std::env::args().nth(at);
    let number = |at, default| argument(at).map_or(default, |text| text.parse().expect("a number"));
    let (po2, budget_mib, repeats) = (number(2, 18), number(3, usize::MAX >> 20), number(4, 3));
    let circuit = match argument(1).as_deref() {
        Some("rv32im") => Unconstrained {
            taps: risc0_circuit_rv32im::CircuitImpl.get_taps(),
            groups: [(1, Held::Zero), (2, Held::Recalled), (0, Held::Own)],
        },
        None | Some("recursion") => Unconstrained {
            taps: risc0_circuit_recursion::CIRCUIT.get_taps(),
            groups: [(1, Held::Shared { cosets_kept: 0 }), (2, Held::Own), (0, Held::Own)],
        },
        Some(other) => panic!("no circuit is called {other}"),
    };

    let threads = rayon::current_num_threads();
    let demand = Demand::new(circuit.taps, po2, &circuit.groups, threads);
    let plan = MemoryPlan::for_budget(&demand, budget_mib << 20);
    let said = demand.peak_bytes(plan);
    let pool = Pool::new(said);
    let engine = Engine::new(Isa::best(), Poseidon2HashSuite::new_suite(), pool.clone());
    let engine = engine.with_plan(plan);
    // What proofs share keeps no values, as in the frugal profile.
    let sharing = Engine::new(Isa::best(), Poseidon2HashSuite::new_suite(), pool.clone());
    let sharing = sharing.with_plan(MemoryPlan::LEAST);
    eprintln!("{engine:?}, {threads} threads, 2^{po2} rows, {plan:?}, {} MiB said", said >> 20);
    let trace = |group| random(&pool, circuit.taps.group_size(group) << po2);

    let ready = circuit.groups.map(|(index, held)| {
        matches!(held, Held::Shared { .. }).then(|| {
            let columns = circuit.taps.group_size(index);
            Arc::new(Group::from_trace(&sharing, trace(index), columns))
        })
    });
    for _ in 0..repeats {
        let mut session = Session::new(&engine, &circuit, po2);
        let mut steps = Steps::default();
        let mut recalled = None;
        for ((index, held), ready) in circuit.groups.into_iter().zip(&ready) {
            if let Some(ready) = ready {
                session.commit_ready(index, ready.clone());
                continue;
            }
            if held == Held::Zero {
                session.commit_zero(index);
                continue;
            }
            let columns = trace(index);
            if let Some(before) = recalled.take() {
                steps.time("recall", || session.recall(before, |trace| assert!(trace[0] < P)));
            }
            if held == Held::Recalled {
                recalled = Some(index);
                steps.time("commit", || session.commit_to_recall(index, columns));
            } else {
                steps.time("commit", || session.commit(index, columns));
            }
        }
        let seal = steps.time("finish", || session.finish(&[])).expect("claims fit the columns");
        eprintln!("{steps}; {} words; {}", seal.len(), memory(&pool));
    }
}

/// How long steps took, in seconds.
#[derive(Default)]
struct Steps(Vec<(&'static str, f64)>);

impl Steps {
    fn time<T>(&mut self, name: &'static str, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        self.0.push((name, start.elapsed().as_secs_f64()));
        result
    }
}

impl std::fmt::Display for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, seconds) in &self.0 {
            write!(f, "{name} {seconds:.3} s, ")?;
        }
        write!(f, "in all {:.3} s", self.0.iter().map(|(_, seconds)| seconds).sum::<f64>())
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
