//! Lift and join, step by step, beside the stock prover in the same run.
//!
//! ```text
//! cargo bench -p starling-fastprove --bench recursion -- [--threads N] [--rounds N] [--cosets N] [--stock ROUNDS]
//! ```
//!
//! `STARLING_ISA` chooses other vectors than the widest. The stock prover takes its threads from the process:
//! `RAYON_NUM_THREADS=1 taskset -c 1` in front of the command gives both provers one core.

#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use risc0_zkvm::{ProverOpts, get_prover_server};
use starling_babybear::vector::Isa;
use starling_fastprove::recursion::{Options, Prover};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let threads = number("--threads").unwrap_or(Options::default().threads);
    let rounds: usize = number("--rounds").unwrap_or(3).max(1);
    let cosets_kept = number("--cosets").unwrap_or(Options::default().cosets_kept);
    let segments = support::segments();
    println!("{} threads, {} vectors, {rounds} rounds", threads, Isa::best().name());

    let phases = Phases::default();
    tracing::subscriber::set_global_default(phases.clone()).unwrap();
    let prover = Prover::new(Options { threads, cosets_kept, ..Options::default() }).unwrap();
    let [left, right] = [0, 1].map(|at| prover.lift(&segments.session[at]).unwrap());
    prover.join(&left, &right).unwrap();
    phases.take();

    let fast_lift =
        measure("lift", rounds, &phases, || drop(prover.lift(&segments.session[0]).unwrap()));
    let fast_join = measure("join", rounds, &phases, || drop(prover.join(&left, &right).unwrap()));
    drop(prover);
    if let Some(rounds) = number("--stock") {
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
    // The peak of resident memory begins anew. Linux alone has this.
    let _ = fs::write("/proc/self/clear_refs", "5");
    for _ in 0..rounds {
        let started = Instant::now();
        work();
        all.push((started.elapsed(), phases.take()));
    }
    all.sort();
    let [first, last] = [&all[0], &all[rounds - 1]].map(|(took, _)| took.as_secs_f64());
    let (took, steps) = all.swap_remove(rounds / 2);
    println!(
        "\n{name}: {:.2} s, median of {rounds} rounds from {first:.2} to {last:.2} s; peak memory {}",
        took.as_secs_f64(),
        peak_memory()
    );
    for (name, took) in steps {
        println!("  {name:<14} {:>8.1} ms", 1e3 * took.as_secs_f64());
    }
    took
}

fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or("unknown".into(), |peak| peak.trim().into())
}

/// Adds up the time in each phase, without the phases inside of it.
#[derive(Clone, Default)]
struct Phases(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    names: HashMap<u64, &'static str>,
    /// The phases that were entered and not yet left: which, when, and how long phases inside of them took.
    open: Vec<(u64, Instant, Duration)>,
    totals: Vec<(&'static str, Duration)>,
}

impl Phases {
    fn take(&self) -> Vec<(&'static str, Duration)> {
        std::mem::take(&mut self.0.lock().unwrap().totals)
    }
}

/// The name of a phase. Its field has one of a few values, so it can be kept for ever.
struct Name(&'static str);

impl Visit for Name {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.0 = value.to_owned().leak();
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Phases {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "phase"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut name = Name("");
        attributes.record(&mut name);
        let mut state = self.0.lock().unwrap();
        state.next += 1;
        let id = state.next;
        state.names.insert(id, name.0);
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        self.0.lock().unwrap().open.push((id.into_u64(), Instant::now(), Duration::ZERO));
    }

    fn exit(&self, id: &Id) {
        let mut state = self.0.lock().unwrap();
        let (open, entered, inside) = state.open.pop().unwrap();
        assert_eq!(open, id.into_u64(), "phases are nested, on one thread");
        let took = entered.elapsed();
        if let Some((_, _, inside)) = state.open.last_mut() {
            *inside += took;
        }
        let name = state.names[&open];
        match state.totals.iter_mut().find(|(known, _)| *known == name) {
            Some((_, total)) => *total += took - inside,
            None => state.totals.push((name, took - inside)),
        }
    }
}
