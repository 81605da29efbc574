//! Lift and join in one process, phase by phase, and the stock prover after them.

use std::time::{Duration, Instant};

use risc0_zkvm::{ProverOpts, get_prover_server};
use starling_babybear::vector::Isa;
use starling_fastprove::recursion::{Options, Profile, Prover};
use starling_fastprove::stark::MemoryPlan;

use crate::phases::Phases;
use crate::{cpu_seconds, forget_peak_memory, peak_memory, support};

/// Measures with so many threads, in so many rounds, keeping so many cosets or in the frugal profile, beside so many
/// rounds of stock.
pub fn print([threads, rounds, cosets, frugal, stock_rounds]: [Option<usize>; 5]) {
    let mut options = Options::default();
    if frugal.is_some_and(|flag| flag > 0) {
        options = options.with_profile(Profile::Frugal);
    }
    // The global pool, before anything uses it.
    let threads = threads.unwrap_or(0);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let threads = rayon::current_num_threads();
    let rounds = rounds.unwrap_or(3).max(1);
    let cosets_kept = cosets.unwrap_or(options.plan.cosets_kept);
    let plan = MemoryPlan { cosets_kept, ..options.plan };
    let segments = support::segments();
    println!("{} threads, {} vectors, {rounds} rounds", threads, Isa::best().name());

    let phases = Phases::default();
    tracing::subscriber::set_global_default(phases.clone()).unwrap();
    let options = Options { plan, ..options };
    let prover = Prover::new(options, starling_programs::words, rand::random);
    let [left, right] = [0, 1].map(|at| prover.lift(&segments.session[at]).unwrap());
    prover.join(&left, &right).unwrap();
    phases.take();

    let fast_lift =
        measure("lift", rounds, &phases, || drop(prover.lift(&segments.session[0]).unwrap()));
    let fast_join = measure("join", rounds, &phases, || drop(prover.join(&left, &right).unwrap()));
    drop(prover);
    if let Some(rounds) = stock_rounds.filter(|&rounds| rounds > 0) {
        let stock = get_prover_server(&ProverOpts::succinct()).unwrap();
        let lift = || drop(stock.lift(&segments.session[0]).unwrap());
        let stock_lift = measure("stock lift", rounds, &phases, lift);
        let stock_join =
            measure("stock join", rounds, &phases, || drop(stock.join(&left, &right).unwrap()));
        let ratio = |stock: Duration, fast: Duration| stock.as_secs_f64() / fast.as_secs_f64();
        println!("\nlift {:.1} times as fast as stock", ratio(stock_lift, fast_lift));
        println!("join {:.1} times as fast as stock", ratio(stock_join, fast_join));
    }
}

/// Prints the median of `rounds` rounds, its phases, and the peak of memory; how long it took.
fn measure(name: &str, rounds: usize, phases: &Phases, work: impl Fn()) -> Duration {
    let mut all = Vec::new();
    forget_peak_memory();
    let cpu_before = cpu_seconds();
    for _ in 0..rounds {
        let started = Instant::now();
        work();
        all.push((started.elapsed(), phases.take()));
    }
    let cpu = cpu_before.and_then(|before| Some((cpu_seconds()? - before) / rounds as f64));
    all.sort();
    let [first, last] = [&all[0], &all[rounds - 1]].map(|(took, _)| took.as_secs_f64());
    let (took, steps) = all.swap_remove(rounds / 2);
    println!(
        "\n{name}: {:.2} s, median of {rounds} rounds from {first:.2} to {last:.2} s; {} CPU-s each; peak memory {}",
        took.as_secs_f64(),
        cpu.map_or("unknown".into(), |seconds| format!("{seconds:.2}")),
        peak_memory().map_or("unknown".into(), |kib| format!("{} MiB", kib >> 10))
    );
    for (name, took) in steps {
        println!("  {name:<14} {:>8.1} ms", 1e3 * took.as_secs_f64());
    }
    took
}
