//! OpenVM proves a guest on this machine's CPU: one proof of constant size, verified.
//!
//! ```text
//! openvm-chain keys FILE HEIGHT                         makes keys; polynomials of 2^HEIGHT values at most
//! openvm-chain prove FILE GUEST LINKS SEGMENT_BYTES     proves so many links
//! ```
//!
//! Keys are made in a process of their own, so that the peak of the other is that of proving.

use std::{env, fs, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail};
use openvm_sdk::{
    CpuSdk, StdIn,
    config::{AggregationSystemParams, AppConfig},
    fs::{read_object_from_file, write_object_to_file},
    keygen::SdkCachedProvingKey,
};
use openvm_sdk_config::SdkVmConfig;
use openvm_stark_sdk::config::app_params_with_100_bits_security;
use openvm_transpiler::{elf::Elf, openvm_platform::memory::MEM_SIZE};
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["keys", file, height] => make_keys(file, height.parse()?),
        ["prove", file, guest, links, bytes] => prove(file, guest, links.parse()?, bytes.parse()?),
        _ => bail!("usage: openvm-chain keys FILE HEIGHT | prove FILE GUEST LINKS SEGMENT_BYTES"),
    }
}

fn make_keys(file: &str, height: usize) -> Result<()> {
    let app = AppConfig::riscv32(app_params_with_100_bits_security(height));
    let sdk = CpuSdk::new(app, AggregationSystemParams::default()).map_err(failed)?;
    sdk.app_pk();
    sdk.agg_prover();
    write_object_to_file(file, sdk.cached_proving_key().map_err(failed)?).map_err(failed)
}

fn prove(file: &str, guest: &str, links: u32, segment_bytes: usize) -> Result<()> {
    let mut keys: SdkCachedProvingKey<SdkVmConfig> = read_object_from_file(file).map_err(failed)?;
    let vm = Arc::get_mut(&mut keys.app_pk.app_vm_pk).context("the key is in use")?;
    vm.vm_config.system.config.set_segmentation_max_memory(segment_bytes);
    let sdk = CpuSdk::builder().app_pk(keys.app_pk).agg_pk(keys.agg_pk).build().map_err(failed)?;
    let guest = Elf::decode(&fs::read(guest)?, MEM_SIZE as u32).map_err(failed)?;

    let clock = Clock::start();
    let mut prover = sdk.prover(guest).map_err(failed)?;
    clock.print("set up");

    let clock = Clock::start();
    let input = StdIn::from_bytes(&links.to_le_bytes());
    let (proof, _) = prover.prove(input, &[]).map_err(failed)?;
    clock.print("proved");

    let key = sdk.agg_vk().as_ref().clone();
    CpuSdk::verify_proof(key, prover.generate_baseline(), &proof).map_err(failed)?;
    println!("verified; peak {} MiB", peak_kib()? / 1024);
    Ok(())
}

/// Its errors are of another crate.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

struct Clock {
    wall: Instant,
    cpu_s: f64,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu_s: cpu_s() }
    }

    fn print(&self, done: &str) {
        let wall_s = self.wall.elapsed().as_secs_f64();
        println!("{done} in {wall_s:.1} s, {:.0} CPU-s", cpu_s() - self.cpu_s);
    }
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
