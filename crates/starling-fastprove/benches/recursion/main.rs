//! Lift and join beside the stock prover, measured in one run.
//!
//! ```text
//! cargo bench -p starling-fastprove --features stock --bench recursion -- --table [--rounds N]
//! ```
//!
//! prints the table of `BENCHMARKS.md`: every instruction set of this machine, on one core and on all, beside the stock
//! prover on as many ([`table`]). Without `--table`, one configuration phase by phase ([`steps`]):
//!
//! ```text
//! cargo bench -p starling-fastprove --features stock --bench recursion -- [--threads N] [--rounds N] [--cosets N] [--stock ROUNDS]
//! ```
//!
//! There `STARLING_ISA` chooses other vectors than the widest, and `RAYON_NUM_THREADS=1 taskset -c 0` in front of the
//! command gives both provers one core: the stock prover takes its threads from the process.

#![allow(clippy::unwrap_used)]

mod phases;
mod steps;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [table::WORKER, prover] => table::work(prover),
        ["--table", options @ ..] => match numbers(["--rounds"], options) {
            Some([rounds]) => table::print(rounds.unwrap_or(3)),
            None => return usage(),
        },
        options => match numbers(["--threads", "--rounds", "--cosets", "--stock"], options) {
            Some(numbers) => steps::print(numbers),
            None => return usage(),
        },
    }
    ExitCode::SUCCESS
}

/// The numbers after each of `names`, or nothing if there is anything else in `words`.
fn numbers<const N: usize>(names: [&str; N], words: &[&str]) -> Option<[Option<usize>; N]> {
    let mut numbers = [None; N];
    let (pairs, []) = words.as_chunks::<2>() else { return None };
    for [name, number] in pairs {
        let at = names.iter().position(|known| known == name)?;
        numbers[at] = Some(number.parse().ok()?);
    }
    Some(numbers)
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: --table [--rounds N], or [--threads N] [--rounds N] [--cosets N] [--stock ROUNDS]"
    );
    ExitCode::from(2)
}

/// Begins to measure [`peak_memory`] anew. Linux alone has this.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process held at a time, in KiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}
