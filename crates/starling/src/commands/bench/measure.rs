//! Measuring single tasks: each in a fresh prover process, on segments of the SHA-256 chain.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context, anyhow};
use starling_child::{InputFile, ProverConfig, ProverProcess, SandboxPolicy, TaskWork, WorkReport};
use starling_types::{IndexRange, Po2, Profile, TaskId};
use starling_zkvm::{Backend, Emitted, TaskArguments, execute};
use tempfile::TempDir;

use crate::{commands::node::prover_config, exit::Exit, machine, yardstick};

/// No measured task takes longer: po2 22 on one slow core.
const TASK_DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// What is measured: a prover, in one of its profiles, on so many threads.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub backend: Backend,
    pub profile: Profile,
    pub threads: u32,
    pub sandbox: SandboxPolicy,
    /// Vectors of the fast prover, the widest when absent.
    pub vectors: Option<&'static str>,
}

/// What recursion costs: it does not depend on the segments' size.
pub struct Recursion {
    /// Of the combined task that proves a segment of the given po2 and lifts its receipt.
    pub lift: WorkReport,
    pub join: WorkReport,
}

/// Measures the proof of one segment of `po2`.
pub async fn prove(po2: Po2, setup: Setup) -> Result<WorkReport, Exit> {
    let bench = Bench::new(po2, setup)?;
    let [segment, _] = bench.made(Bench::two_segments).await?;
    bench.prove(TaskId::Prove(0), vec![segment]).await
}

/// Measures the combined task that proves a segment of `po2` and lifts its receipt.
pub async fn lift(po2: Po2, setup: Setup) -> Result<WorkReport, Exit> {
    let bench = Bench::new(po2, setup)?;
    let [segment, _] = bench.made(Bench::two_segments).await?;
    bench.prove(TaskId::Lift(0), vec![segment]).await
}

/// Measures a lift and a join of segments of `po2`.
pub async fn recursion(po2: Po2, setup: Setup) -> Result<Recursion, Exit> {
    let bench = Bench::new(po2, setup)?;
    let [left, right] = bench.made(Bench::two_segments).await?;
    let lift = bench.prove(TaskId::Lift(0), vec![left]).await?;
    bench.prove(TaskId::Lift(1), vec![right]).await?;
    let range = IndexRange::new(0, 2).ok_or_else(|| anyhow!("0..2 is a range"))?;
    let lifted = vec![bench.output(TaskId::Lift(0)), bench.output(TaskId::Lift(1))];
    let join = bench.prove(TaskId::Join(range), lifted).await?;
    Ok(Recursion { lift, join })
}

/// Measures a keccak proof of `po2`, lifted, with as many permutations as fit.
pub async fn keccak(po2: Po2, setup: Setup) -> Result<WorkReport, Exit> {
    let bench = Bench::new(po2, setup)?;
    let request = bench.made(Bench::keccak_request).await?;
    bench.prove(TaskId::Keccak(0), vec![request]).await
}

/// Keeps the prover on as many cores as it has threads: RISC Zero's C++ parts ask the system for their number
/// and nobody else. Only where `taskset` is; elsewhere a measurement of one thread is of somewhat more.
fn pinned(config: ProverConfig, threads: u32) -> ProverConfig {
    if threads >= machine::cores() || !has_taskset() {
        return config;
    }
    match machine::first_cores(threads) {
        Some(cores) => run_by_taskset(config, cores),
        None => config,
    }
}

fn has_taskset() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("taskset").is_file())
}

fn run_by_taskset(mut config: ProverConfig, cores: String) -> ProverConfig {
    let program = std::mem::replace(&mut config.program, "taskset".into());
    let first = ["--cpu-list".into(), cores, program.display().to_string()];
    config.args.splice(0..0, first);
    // Where it is found; its own environment is what the prover's will be.
    config.env.extend(std::env::var("PATH").map(|path| ("PATH".to_owned(), path)));
    config
}

#[derive(Clone)]
struct Bench {
    dir: Arc<TempDir>,
    po2: Po2,
    setup: Setup,
}

impl Bench {
    fn new(po2: Po2, setup: Setup) -> Result<Self, Exit> {
        let dir = tempfile::tempdir().context("can't make a temporary folder")?;
        Ok(Self { dir: Arc::new(dir), po2, setup })
    }

    /// What `make` makes for a measurement: it computes, where no task waits for it.
    async fn made<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Self) -> Result<T, Exit> + Send + 'static,
    ) -> Result<T, Exit> {
        let bench = self.clone();
        let made = tokio::task::spawn_blocking(move || make(&bench)).await;
        made.context("what is to be measured was not made")?
    }

    /// The first two segments of a chain that fills more than two, so that both are of full size.
    fn two_segments(&self) -> Result<[PathBuf; 2], Exit> {
        let links = yardstick::links_for(2, self.po2);
        let options = yardstick::execute_options(links, self.po2, [0; 32]);
        let mut paths = Vec::new();
        let keep = |emitted| {
            if let Emitted::Segment(segment) = emitted
                && segment.index < 2
            {
                let path = self.dir.path().join(format!("segment-{}", segment.index));
                std::fs::write(&path, &segment.bytes)?;
                paths.push(path);
            }
            Ok(())
        };
        execute(&yardstick::guest()?, options, keep, &AtomicBool::new(false))?;
        paths.try_into().map_err(|_| {
            let text = format!("a chain of {links} links fills one segment of po2 {}", self.po2);
            anyhow!(text).into()
        })
    }

    /// A full batch of keccak permutations.
    fn keccak_request(&self) -> Result<PathBuf, Exit> {
        let options = yardstick::keccak_options(self.po2, [0; 32]);
        let path = self.dir.path().join("keccak");
        let keep = |emitted| {
            if let Emitted::Keccak(request) = emitted
                && request.index == 0
            {
                std::fs::write(&path, &request.bytes)?;
            }
            Ok(())
        };
        execute(&yardstick::keccak_guest()?, options, keep, &AtomicBool::new(false))?;
        Ok(path)
    }

    fn output(&self, task: TaskId) -> PathBuf {
        self.dir.path().join(task.to_string().replace('/', "-"))
    }

    async fn prove(&self, task: TaskId, inputs: Vec<PathBuf>) -> Result<WorkReport, Exit> {
        let Setup { backend, profile, threads, sandbox, vectors } = self.setup;
        let mut config = prover_config(Some(threads), backend, sandbox)?;
        config.env.extend(vectors.map(|vectors| ("STARLING_ISA".into(), vectors.into())));
        let mut prover = ProverProcess::new(pinned(config, threads));
        let work = TaskWork {
            task: task.into(),
            arguments: TaskArguments { po2_max: self.po2, work_claims: false }.encode(),
            inputs: inputs.into_iter().map(InputFile::input).collect(),
            output: self.output(task),
            profile,
            memory_limit: None,
        };
        Ok(prover.run(&work, TASK_DEADLINE).await?)
    }
}
