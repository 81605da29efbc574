//! Execution beside RISC Zero's: how fast instructions are interpreted, what hashing of memory takes, and how much of
//! that is waited for.
//!
//! ```text
//! cargo bench -p starling-zkvm --features published --bench execute [-- [--rounds N] [--po2 N] [GUEST...]]
//! ```
//!
//! prints a table of the medians. Guests are `evm-1` and `sha-chain-1000`, which compute, `touch-MIB`, which writes a
//! word into each page of so much memory, and `bss-MIB`, which only asks for it zeroed.
//!
//! Each measurement is a process of its own ([`worker`]), so that none works in memory that another has left; in a round
//! all of them run in turn, so that what slows the machine down slows all of them down.

#![allow(clippy::unwrap_used)]

mod guests;
#[path = "../../tests/replay/mod.rs"]
mod replay;
#[path = "../../tests/tiny/mod.rs"]
mod tiny;
mod worker;

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::atomic::AtomicBool,
};

use starling_zkvm::{Emitted, Guest, codec::decode_segment, execute, execute::SinkError};

use worker::{Measured, Work};

const GUESTS: [&str; 4] = ["evm-1", "sha-chain-1000", "touch-256", "bss-100"];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [worker::FLAG, work, guest, po2, answers] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        let work = Work::ALL.into_iter().find(|known| known.name() == work).unwrap();
        worker::run(work, guest, po2.parse().unwrap(), Path::new(answers)).print();
        return ExitCode::SUCCESS;
    }
    let (mut rounds, mut po2, mut guests) = (3, 18, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|number| number.parse().ok());
        match word.as_str() {
            "--rounds" => rounds = number().filter(|&rounds| rounds > 0).unwrap_or(rounds),
            "--po2" => po2 = number().unwrap_or(po2 as usize) as u32,
            guest if guests::is_known(guest) => guests.push(guest),
            _ => {
                eprintln!(
                    "usage: [--rounds N] [--po2 N] [evm-1|sha-chain-1000|touch-MIB|bss-MIB ...]"
                );
                return ExitCode::from(2);
            }
        }
    }
    if guests.is_empty() {
        guests = GUESTS.to_vec();
    }
    print_table(&guests, rounds, po2);
    ExitCode::SUCCESS
}

fn print_table(guests: &[&str], rounds: usize, po2: u32) {
    println!(
        "| guest | cycles | interpretation | hashing, published | ours | times | its share | execute, published | ours | \
         / interpretation | hashing alone, all cores | execute / that | peak, published | ours |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for guest in guests {
        measure(guest, rounds, po2);
    }
    println!(
        "\nmedians of {rounds} rounds at po2 {po2}, {} threads; interpretation and hashing in CPU-seconds, the latter with \
         loading, its share in that of both; execute in seconds, from the guest's bytes to the last encoded segment",
        std::thread::available_parallelism().map_or(1, usize::from)
    );
}

fn measure(guest: &str, rounds: usize, po2: u32) {
    let folder = tempfile::tempdir().unwrap();
    let answers = folder.path().join("answers");
    std::fs::write(&answers, bincode::serialize(&answers_of(guest, po2)).unwrap()).unwrap();

    let mut all = Work::ALL.map(|_| Vec::new());
    for round in 1..=rounds {
        for (work, measured) in Work::ALL.into_iter().zip(&mut all) {
            let started = worker_of(work, guest, po2, &answers);
            eprintln!("{guest}, round {round}, {}: {started:?}", work.name());
            measured.push(started);
        }
    }
    let [published, ours, published_execute, our_execute, hashing] =
        all.map(|measured| Measured::median(&measured));
    let share = |measured: &Measured| {
        100.0 * measured.beside_cpu_s / (measured.beside_cpu_s + measured.interpreter_cpu_s)
    };
    let interpretation = ours.interpreter_cpu_s;
    println!(
        "| {guest} | {:.2} M | {interpretation:.3} s, {:.1} MHz | {:.3} s | {:.3} s | {:.1} | {:.0} -> {:.0} % | \
         {:.3} s | {:.3} s | {:.2} | {:.3} s | {:.2} | {:.0} MiB | {:.0} MiB |",
        ours.cycles / 1e6,
        ours.cycles / 1e6 / interpretation,
        published.beside_cpu_s,
        ours.beside_cpu_s,
        published.beside_cpu_s / ours.beside_cpu_s,
        share(&published),
        share(&ours),
        published_execute.wall_s,
        our_execute.wall_s,
        our_execute.wall_s / interpretation,
        hashing.wall_s,
        our_execute.wall_s / hashing.wall_s,
        published_execute.peak_mib,
        our_execute.peak_mib,
    );
}

/// What the guest's host answers, taken from an execution.
fn answers_of(guest: &str, po2: u32) -> replay::Answers {
    let program = Guest::parse(guests::program(guest)).unwrap();
    let mut segments = Vec::new();
    let keep = |emitted| -> Result<(), SinkError> {
        if let Emitted::Segment(segment) = emitted {
            let mut circuit = decode_segment(&segment.bytes)?.circuit;
            circuit.partial_image = Default::default();
            segments.push(circuit);
        }
        Ok(())
    };
    execute(&program, guests::options(guest, po2), keep, &AtomicBool::new(false)).unwrap();
    replay::answers(&segments)
}

fn worker_of(work: Work, guest: &str, po2: u32, answers: &Path) -> Measured {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([worker::FLAG, work.name(), guest, &po2.to_string()]).arg(answers);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{} of {guest}", work.name());
    Measured::parse(&String::from_utf8(output.stdout).unwrap())
}
