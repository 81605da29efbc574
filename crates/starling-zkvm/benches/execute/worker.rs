//! A process that measures one thing once.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use risc0_binfmt::{Page, ProgramBinary};
use risc0_circuit_rv32im::{MAX_INSN_CYCLES, MAX_INSN_CYCLES_LOWER_PO2, execute as published};
use rustix::time::{ClockId, clock_gettime};
use starling_image::Image;
use starling_rv32im::execute as ours;
use starling_zkvm::{Guest, execute};

use crate::{
    guests,
    replay::{Answers, Replay},
};

/// The first argument of a worker; a [`Work`], a guest, a po2 and a file with [`Answers`] follow.
pub const FLAG: &str = "--worker";

/// What the blobs of segments are compressed with.
const ZSTD_LEVEL: i32 = 3;

/// What a worker does.
#[derive(Clone, Copy)]
pub enum Work {
    /// Loads the guest and runs RISC Zero's executor, dropping its segments.
    Published,
    /// The same with ours.
    Ours,
    /// Loads the guest, runs RISC Zero's executor and encodes the segments.
    PublishedExecute,
    /// The same with ours, as a job does it.
    OurExecute,
    /// Hashes what the execution wrote, segment by segment, with nothing beside it.
    Hashing,
}

impl Work {
    pub const ALL: [Self; 5] =
        [Self::Published, Self::Ours, Self::PublishedExecute, Self::OurExecute, Self::Hashing];

    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Ours => "ours",
            Self::PublishedExecute => "published-execute",
            Self::OurExecute => "our-execute",
            Self::Hashing => "hashing",
        }
    }
}

/// What a worker measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub wall_s: f64,
    /// CPU time of the thread that interprets.
    pub interpreter_cpu_s: f64,
    /// CPU time of everything else: loading, hashing, and encoding where there is any.
    pub beside_cpu_s: f64,
    pub peak_mib: f64,
    pub cycles: f64,
}

impl Measured {
    fn numbers(&self) -> [f64; 5] {
        let Self { wall_s, interpreter_cpu_s, beside_cpu_s, peak_mib, cycles } = *self;
        [wall_s, interpreter_cpu_s, beside_cpu_s, peak_mib, cycles]
    }

    fn of([wall_s, interpreter_cpu_s, beside_cpu_s, peak_mib, cycles]: [f64; 5]) -> Self {
        Self { wall_s, interpreter_cpu_s, beside_cpu_s, peak_mib, cycles }
    }

    pub fn print(&self) {
        println!("{}", self.numbers().map(|number| number.to_string()).join(" "));
    }

    pub fn parse(line: &str) -> Self {
        let numbers: Vec<f64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Self::of(numbers.try_into().unwrap())
    }

    /// The median of each number.
    pub fn median(all: &[Self]) -> Self {
        Self::of(std::array::from_fn(|at| {
            let mut numbers: Vec<f64> = all.iter().map(|measured| measured.numbers()[at]).collect();
            numbers.sort_by(f64::total_cmp);
            numbers[numbers.len() / 2]
        }))
    }
}

/// Does the work and says what it took.
pub fn run(work: Work, guest: &str, po2: u32, answers: &Path) -> Measured {
    let program = guests::program(guest);
    let answers: Answers = bincode::deserialize(&std::fs::read(answers).unwrap()).unwrap();
    let host = Replay::new(answers);
    match work {
        Work::Published => run_published(&program, &host, po2, |_| Ok(())),
        Work::Ours => run_ours(&program, &host, po2, |_| Ok(())).0,
        Work::PublishedExecute => run_published(&program, &host, po2, |segment| {
            zstd::bulk::compress(&bincode::serialize(&segment)?, ZSTD_LEVEL)?;
            Ok(())
        }),
        Work::OurExecute => {
            let options = guests::options(guest, po2);
            measure(|clock| {
                let guest = Guest::parse(program).unwrap();
                clock.interpret(|| {
                    let execution = execute(&guest, options, |_| Ok(()), &AtomicBool::new(false));
                    execution.unwrap().user_cycles
                })
            })
        }
        Work::Hashing => hash(&program, &host, po2),
    }
}

fn max_insn_cycles(po2: u32) -> usize {
    if po2 >= 15 { MAX_INSN_CYCLES } else { MAX_INSN_CYCLES_LOWER_PO2 }
}

fn run_published(
    program: &[u8],
    host: &Replay,
    po2: u32,
    take: impl FnMut(published::Segment) -> anyhow::Result<()> + Send,
) -> Measured {
    measure(|clock| {
        let image = ProgramBinary::decode(program).unwrap().to_image().unwrap();
        let mut executor = published::Executor::new(image, host, None, vec![], None);
        clock.interpret(|| {
            let none = published::CycleLimit::None;
            let result = executor.run(po2 as usize, max_insn_cycles(po2), none, take);
            result.unwrap().user_cycles
        })
    })
}

fn load(program: &[u8]) -> Image {
    let binary = ProgramBinary::decode(program).unwrap();
    Image::of_program(binary.user_elf, binary.kernel_elf).unwrap()
}

/// The memory after it, too.
fn run_ours(
    program: &[u8],
    host: &Replay,
    po2: u32,
    take: impl FnMut(ours::Segment) -> anyhow::Result<()> + Send,
) -> (Measured, Image) {
    let mut post_image = Image::default();
    let measured = measure(|clock| {
        let mut executor = ours::Executor::new(load(program), host, None, vec![], None);
        clock.interpret(|| {
            let none = ours::CycleLimit::None;
            let result = executor.run(po2 as usize, max_insn_cycles(po2), none, take).unwrap();
            post_image = result.post_image;
            result.user_cycles
        })
    });
    (measured, post_image)
}

/// The pages after each segment are those before the next that touches them.
fn hash(program: &[u8], host: &Replay, po2: u32) -> Measured {
    let mut segments: Vec<BTreeMap<u32, Page>> = Vec::new();
    let keep = |segment: ours::Segment| {
        segments.push(segment.partial_image.pages().clone());
        Ok(())
    };
    let (_, post_image) = run_ours(program, host, po2, keep);
    let mut after = post_image.pages().clone();
    for pages in segments.iter_mut().rev() {
        for (index, page) in pages {
            let before = after.insert(*index, page.clone());
            *page = before.unwrap_or_default();
        }
    }
    measure(|_| {
        let mut image = load(program);
        image.update_digests();
        for pages in segments {
            pages.into_iter().for_each(|(index, page)| image.set_page(index, page));
            image.update_digests();
        }
        0
    })
}

/// Tells the interpreter's time from the rest.
#[derive(Default)]
struct Clock {
    interpreter: Duration,
}

impl Clock {
    /// Runs an execution, which interprets on this thread.
    fn interpret<R>(&mut self, execution: impl FnOnce() -> R) -> R {
        let started = cpu_time(ClockId::ThreadCPUTime);
        let result = execution();
        self.interpreter += cpu_time(ClockId::ThreadCPUTime) - started;
        result
    }
}

/// Measures work that returns its cycles.
fn measure(work: impl FnOnce(&mut Clock) -> u64) -> Measured {
    // Threads are started before.
    rayon::join(|| (), || ());
    forget_peak_memory();
    let mut clock = Clock::default();
    let (started, cpu_started) = (Instant::now(), cpu_time(ClockId::ProcessCPUTime));
    let cycles = work(&mut clock);
    let wall = started.elapsed();
    let cpu = cpu_time(ClockId::ProcessCPUTime) - cpu_started;
    Measured {
        wall_s: wall.as_secs_f64(),
        interpreter_cpu_s: clock.interpreter.as_secs_f64(),
        beside_cpu_s: cpu.saturating_sub(clock.interpreter).as_secs_f64(),
        peak_mib: peak_memory_kib().unwrap_or_default() as f64 / 1024.0,
        cycles: cycles as f64,
    }
}

fn cpu_time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Begins to measure [`peak_memory_kib`] anew. Linux alone has this.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process held at a time, where the system tells.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}
