//! The whole table: every instruction set beside stock, on one core and on all.
//!
//! Each prover is a process of its own, kept on its cores, that does one proof whenever it is told to on its stdin.
//! In a round all of them prove in turn, so that what slows the machine down slows all of them down. They wait
//! meanwhile, with up to a gigabyte each.

use std::io::{BufRead as _, BufReader, Lines, Write as _, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use risc0_zkvm::{ProverOpts, get_prover_server};
use starling_babybear::vector::Isa;
use starling_fastprove::recursion::{Options, Prover};

use crate::{forget_peak_memory, peak_memory, support};

/// The first argument of a process that proves; the second is [`STOCK`] or the name of an instruction set.
pub const WORKER: &str = "--worker";

/// The stock prover.
const STOCK: &str = "stock";

const LIFT: &str = "lift";
const JOIN: &str = "join";

/// Measures and prints everything. The lines of stderr tell how far it is.
pub fn print(rounds: usize) {
    let rounds = rounds.max(1);
    // Made by the first run on a machine, which no worker should do.
    support::segments();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads = vec![1, cores];
    threads.dedup();
    println!("| cores | vectors | lift | stock | ratio | join | stock | ratio | peak memory |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for threads in threads {
        measure(threads, cores, rounds);
    }
    println!(
        "\nmedians of {rounds} rounds (least to most); the stock prover's peak is in its own row"
    );
}

fn measure(threads: usize, cores: usize, rounds: usize) {
    let mut names: Vec<&str> = Isa::available().map(Isa::name).collect();
    names.reverse();
    names.push(STOCK);
    let mut workers: Vec<Worker> =
        names.into_iter().map(|name| Worker::start(name, threads, cores)).collect();
    for round in 1..=rounds {
        for worker in &mut workers {
            let (name, lift, join) = (worker.name, worker.prove(LIFT), worker.prove(JOIN));
            eprintln!("{threads} threads, round {round}: {name} {lift:.2} s, {join:.2} s");
        }
    }
    let stock = workers.pop().unwrap();
    for worker in workers.iter().chain([&stock]) {
        let columns =
            [(&worker.lifts, &stock.lifts), (&worker.joins, &stock.joins)].map(|(times, stock)| {
                let (times, stock) = (Spread::of(times), Spread::of(stock));
                format!("{times} | {stock} | {:.1}", stock.median / times.median)
            });
        let peak = worker.peak_kib as f64 * 1024.0 / 1e9;
        println!("| {threads} | {} | {} | {peak:.2} GB |", worker.name, columns.join(" | "));
    }
}

/// A median with its range.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(seconds: &[f64]) -> Self {
        let mut sorted = seconds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[half],
            _ => (sorted[half - 1] + sorted[half]) / 2.0,
        };
        Self { least: sorted[0], median, most: sorted[sorted.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} s ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}

/// A process that proves when told to.
struct Worker {
    name: &'static str,
    process: Child,
    /// Closed to end the process.
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// What proofs took, in seconds.
    lifts: Vec<f64>,
    joins: Vec<f64>,
    peak_kib: u64,
}

impl Worker {
    fn start(name: &'static str, threads: usize, cores: usize) -> Self {
        let program = std::env::current_exe().unwrap();
        // The stock prover's C++ parts ask the system for the number of cores and nobody else.
        let mut command = if threads < cores && cfg!(target_os = "linux") {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &format!("0-{}", threads - 1)]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let mut process = command
            .args([WORKER, name])
            .env("RAYON_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`taskset` (of util-linux) starts");
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut worker = Self {
            name,
            process,
            orders,
            answers,
            lifts: Vec::new(),
            joins: Vec::new(),
            peak_kib: 0,
        };
        // It is ready when it says so, and waits without using a core while the next one gets ready.
        worker.answers.next().expect("a worker gets ready").unwrap();
        worker
    }

    /// Has it prove, and returns what that took.
    fn prove(&mut self, task: &str) -> f64 {
        writeln!(self.orders.as_mut().unwrap(), "{task}").unwrap();
        let answer = self.answers.next().expect("a worker answers").unwrap();
        let (seconds, peak) = answer.split_once(' ').unwrap();
        let seconds = seconds.parse().unwrap();
        self.peak_kib = self.peak_kib.max(peak.parse().unwrap());
        if task == LIFT {
            self.lifts.push(seconds)
        } else {
            self.joins.push(seconds)
        }
        seconds
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.wait();
    }
}

/// What a worker does until its stdin ends. An answer is the time of a proof in seconds and the peak of memory in KiB.
pub fn work(prover: &str) {
    let segments = support::segments();
    // The quickest prover makes what is joined.
    let [left, right] = {
        let prover = Prover::new(Options::default(), starling_programs::words, rand::random);
        [0, 1].map(|at| prover.lift(&segments.session[at]).unwrap())
    };
    if prover == STOCK {
        let stock = get_prover_server(&ProverOpts::succinct()).unwrap();
        answer(|task| {
            match task {
                LIFT => drop(stock.lift(&segments.session[0]).unwrap()),
                _ => drop(stock.join(&left, &right).unwrap()),
            };
        });
    } else {
        let isa = Isa::available().find(|isa| isa.name() == prover).unwrap();
        let options = Options { isa, ..Options::default() };
        let prover = Prover::new(options, starling_programs::words, rand::random);
        let prove = |task: &str| match task {
            LIFT => drop(prover.lift(&segments.session[0]).unwrap()),
            _ => drop(prover.join(&left, &right).unwrap()),
        };
        // Programs are made ready before the first proof.
        prove(LIFT);
        prove(JOIN);
        answer(prove);
    }
}

fn answer(prove: impl Fn(&str)) {
    println!("ready");
    for task in stdin().lines() {
        forget_peak_memory();
        let started = Instant::now();
        prove(&task.unwrap());
        println!("{} {}", started.elapsed().as_secs_f64(), peak_memory().unwrap_or(0));
    }
}
