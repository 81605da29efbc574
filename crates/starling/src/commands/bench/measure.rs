//! Measuring single tasks: each in a fresh prover process, on segments of the SHA-256 chain.

use std::{io, path::PathBuf, sync::atomic::AtomicBool, time::Duration};

use anyhow::{Context, anyhow};
use starling_types::{Po2, SegmentRange, TaskId};
use starling_zkvm::{ExecuteOptions, ProverProcess, Work, WorkReport, execute};
use tempfile::TempDir;

use crate::{commands::node::prover_config, exit::Exit, yardstick};

/// No measured task takes longer: po2 22 on one slow core.
const TASK_DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// What the tasks of segments of one po2 cost.
pub struct Measured {
    pub prove: WorkReport,
    /// Of the combined task: its `prove_ms` and `lift_ms` are apart.
    pub lift: WorkReport,
    pub join: WorkReport,
}

/// Measures each kind of task once, with `threads` threads.
pub async fn measure(po2: Po2, threads: u32) -> Result<Measured, Exit> {
    let bench =
        Bench { dir: tempfile::tempdir().context("can't make a temporary folder")?, po2, threads };
    let segments = tokio::task::block_in_place(|| bench.two_segments())?;
    let prove = bench.prove(TaskId::Prove(0), vec![segments[0].clone()]).await?;
    let lift = bench.prove(TaskId::Lift(0), vec![segments[0].clone()]).await?;
    bench.prove(TaskId::Lift(1), vec![segments[1].clone()]).await?;
    let range = SegmentRange::new(0, 2).ok_or_else(|| anyhow!("0..2 is a range"))?;
    let lifted = vec![bench.output(TaskId::Lift(0)), bench.output(TaskId::Lift(1))];
    let join = bench.prove(TaskId::Join(range), lifted).await?;
    Ok(Measured { prove, lift, join })
}

struct Bench {
    dir: TempDir,
    po2: Po2,
    threads: u32,
}

impl Bench {
    /// The first two segments of a chain that fills more than two, so that both are of full size.
    fn two_segments(&self) -> Result<Vec<PathBuf>, Exit> {
        let links = yardstick::links_for(2, self.po2);
        let options = ExecuteOptions {
            input: Box::new(io::Cursor::new(yardstick::input(links))),
            segment_po2: self.po2,
            cycle_limit: None,
            seed: [0; 32],
            guest_output: Box::new(io::sink()),
        };
        let mut paths = Vec::new();
        execute(
            &yardstick::guest()?,
            options,
            |segment| {
                if segment.index < 2 {
                    let path = self.dir.path().join(format!("segment-{}", segment.index));
                    std::fs::write(&path, &segment.bytes)?;
                    paths.push(path);
                }
                Ok(())
            },
            &AtomicBool::new(false),
        )?;
        if paths.len() < 2 {
            let text = format!("a chain of {links} links fills one segment of po2 {}", self.po2);
            return Err(anyhow!(text).into());
        }
        Ok(paths)
    }

    fn output(&self, task: TaskId) -> PathBuf {
        self.dir.path().join(task.to_string().replace('/', "-"))
    }

    async fn prove(&self, task: TaskId, inputs: Vec<PathBuf>) -> Result<WorkReport, Exit> {
        let mut prover = ProverProcess::new(prover_config(Some(self.threads))?);
        let work = Work { task, inputs, output: self.output(task), po2_max: self.po2 };
        Ok(prover.run(&work, TASK_DEADLINE).await?)
    }
}
