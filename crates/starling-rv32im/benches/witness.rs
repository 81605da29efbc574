//! What the witness of a segment costs, on one thread: CPU time of each step, and the most memory that the process had.
//!
//! `cargo bench -p starling-rv32im --bench witness -- [po2] [guest] [input]`, the defaults being `16 sha-chain.bin
//! sha-chain-100.bin`: takes the first segment of the run. Reads Linux's `/proc`.

use std::{env, fs, path::Path};

use risc0_zkvm::{ExecutorEnv, ExecutorImpl, Output};
use starling_rv32im::{DATA_COLUMNS, SegmentWitness, SessionSegment};

/// Each step's figure is the median of so many.
const RUNS: usize = 5;

fn main() {
    let mut arguments = env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let po2 = arguments.next().map_or(16, |po2| po2.parse().expect("po2 is a number"));
    let guest = arguments.next().unwrap_or_else(|| "sha-chain.bin".to_owned());
    let input = arguments.next().unwrap_or_else(|| "sha-chain-100.bin".to_owned());
    let bytes = first_segment(&guest, &input, po2);
    let segment: SessionSegment<Output> = bincode::deserialize(&bytes).expect("a segment");
    let segment = segment.inner;
    let rows = f64::from(1_u32 << segment.po2);
    println!("{guest} {input}, po2 {}", segment.po2);

    let one = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    one.expect("a pool").install(|| {
        let mut figures = [vec![], vec![], vec![]];
        let before = resident("VmRSS");
        let mut preflight = 0;
        let mut data = vec![0; DATA_COLUMNS << segment.po2];
        let mut accum = vec![0; 23 << segment.po2];
        for run in 0..RUNS {
            let mut seconds = |step: usize, begin| figures[step].push(cpu_seconds() - begin);
            let begin = cpu_seconds();
            let mut witness = SegmentWitness::new(&segment, [1, 2, 3, 4]).expect("it runs");
            seconds(0, begin);
            if run == 0 {
                preflight = resident("VmRSS").saturating_sub(before);
            }
            let begin = cpu_seconds();
            witness.fill_data(&mut data).expect("it has a witness");
            seconds(1, begin);
            let begin = cpu_seconds();
            witness.fill_bigint([5, 6, 7, 8], &mut accum).expect("its equations hold");
            seconds(2, begin);
        }
        for (name, mut seconds) in ["preflight", "data", "big integers"].into_iter().zip(figures) {
            seconds.sort_by(f64::total_cmp);
            let median = seconds[RUNS / 2];
            println!("{name}: {median:.3} s, {:.2} us a row", median * 1e6 / rows);
        }
        println!("preflight keeps {:.0} bytes a row", preflight as f64 * 1024.0 / rows);
        println!("peak of the process: {} MiB", resident("VmHWM") >> 10);
    });
}

/// The first segment of a run, as it travels.
fn first_segment(guest: &str, input: &str, po2: u32) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    let program = fs::read(folder.join("bin").join(guest)).expect("a shipped guest");
    let input = fs::read(folder.join("inputs").join(input)).expect("a shipped input");
    let env = ExecutorEnv::builder().stdin(&input[..]).segment_limit_po2(po2).build();
    let session = ExecutorImpl::from_elf(env.expect("an environment"), &program)
        .and_then(|mut executor| executor.run())
        .expect("it executes");
    let segment = session.segments[0].resolve().expect("a segment in memory");
    bincode::serialize(&segment).expect("it serializes")
}

/// CPU time of this thread, in seconds.
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// A figure of the process's memory, in KiB.
fn resident(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a known figure");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("KiB")
}
