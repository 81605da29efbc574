//! A keccak proof by us and by the stock prover, in one run: CPU-seconds of both and their ratio, our phases, and the
//! memory of this process before the stock prover has been at it.
//!
//! `cargo run --release -p starling-fastprove --features stock --example stock_keccak -- PO2 REPEATS BUDGET_MIB STOCK`:
//! STOCK 0 leaves the stock prover out. Threads by RAYON_NUM_THREADS.
#![allow(clippy::unwrap_used)]

#[path = "../benches/recursion/phases.rs"]
mod phases;

use std::fs::read_to_string;

use phases::Phases;
use risc0_circuit_keccak::prove::keccak_prover;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use starling_babybear::vector::Isa;
use starling_fastprove::keccak::{self, State};
use starling_fastprove::stark::{Engine, MemoryPlan, Pool};

/// Of a second, as the kernel counts time for us.
const TICKS: f64 = 100.0;

fn main() {
    let number = |at, default: usize| {
        std::env::args().nth(at).map_or(default, |text| text.parse().expect("a number"))
    };
    let (po2, repeats, budget_mib) = (number(1, 14), number(2, 3), number(3, 1024));
    let stock = (number(4, 1) != 0).then(|| keccak_prover().unwrap());

    let inputs = vec![[0x0123_4567_89ab_cdef; 25]; keccak::permutations_max(po2).unwrap()];
    let plan = MemoryPlan::for_budget(&keccak::demand(po2).unwrap(), budget_mib << 20);
    let engine = Engine::new(Isa::best(), Poseidon2HashSuite::new_suite(), Pool::new(0));
    let engine = engine.with_plan(plan);
    let threads = rayon::current_num_threads();
    println!("{engine:?}, {threads} threads, 2^{po2} rows, {plan:?}");

    let phases = Phases::default();
    tracing::subscriber::set_global_default(phases.clone()).unwrap();
    for _ in 0..repeats {
        let (seal, ours) = timed(|| keccak::prove(&engine, &inputs, po2).unwrap());
        println!("ours {ours:.2} CPU-s; {}", memory());
        for (name, took) in phases.take() {
            println!("  {name}: {:.3} s", took.as_secs_f64());
        }
        if let Some(stock) = &stock {
            compare(&inputs, po2, ours, &seal, |inputs, po2| stock.prove(inputs, po2).unwrap());
        }
    }
}

fn compare(
    inputs: &[State],
    po2: usize,
    ours: f64,
    seal: &[u32],
    prove: impl Fn(&[State], usize) -> Vec<u32>,
) {
    let (expected, stock) = timed(|| prove(inputs, po2));
    assert!(seal == expected, "the seals differ");
    println!("stock {stock:.2} CPU-s, {:.1} times ours", stock / ours);
}

/// What `work` returns, and the CPU-seconds that all threads of this process spent meanwhile.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = cpu_seconds();
    let result = work();
    (result, cpu_seconds() - before)
}

fn cpu_seconds() -> f64 {
    let stat = read_to_string("/proc/self/stat").unwrap();
    // User and system time are the 14th and 15th fields; the second, a name, may have spaces.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS
}

fn memory() -> String {
    let status = read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    format!("peak {} MiB", kib >> 10)
}
