//! A tiny proof of one's own, to see that proving works here and how fast.

use std::{io, path::Path, sync::atomic::AtomicBool, time::Duration};

use starling_child::{InputFile, ProveFailure, ProverProcess, TaskWork};
use starling_types::{MemoryBytes, Po2, Profile, TaskId};
use thiserror::Error;

use crate::{
    Emitted, ExecuteError, ExecuteOptions, Expected, Guest, Refusal, SegmentOut, TaskArguments,
    execute, prover::step, verify_task,
};

/// What the self-test found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    /// The size of the segment that was proved.
    pub po2: Po2,
    /// Time to prove the segment.
    pub prove_ms: u64,
    /// Time to lift its receipt.
    pub lift_ms: u64,
    /// The prover's peak of memory, where the system tells.
    pub peak_memory: Option<MemoryBytes>,
}

/// Why the self-test failed.
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// The guest did not run.
    #[error("the self-test's guest does not run: {0}")]
    Execute(#[from] ExecuteError),
    /// The prover failed.
    #[error("the self-test's proof failed: {0}")]
    Prove(#[from] ProveFailure),
    /// What the prover made does not verify.
    #[error("the self-test's receipt does not verify: {0}")]
    Verify(#[from] Refusal),
    /// The files in between could not be written or read.
    #[error("the self-test cannot use {folder}: {source}")]
    Files {
        /// The folder in use.
        folder: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Executes `guest`, proves and lifts its first segment in `prover` as `profile` says, and verifies the receipt.
///
/// `folder` takes the segment and the receipt for as long as the test runs.
///
/// # Errors
/// [`SelfTestError`] says which step failed.
pub async fn self_test(
    guest: Guest,
    options: ExecuteOptions,
    prover: &mut ProverProcess,
    profile: Profile,
    folder: &Path,
    deadline: Duration,
) -> Result<SelfTest, SelfTestError> {
    let files = |source| SelfTestError::Files { folder: folder.into(), source };
    let segment = tokio::task::spawn_blocking(move || first_segment(&guest, options))
        .await
        .map_err(|error| files(io::Error::other(error)))??;

    let scratch = tempfile::tempdir_in(folder).map_err(files)?;
    let input = scratch.path().join("segment");
    let output = scratch.path().join("receipt");
    std::fs::write(&input, &segment.bytes).map_err(files)?;
    let task = TaskId::Lift(segment.index);
    let work = TaskWork {
        task: task.into(),
        arguments: TaskArguments { po2_max: segment.po2, work_claims: false }.encode(),
        inputs: vec![InputFile::input(input)],
        output: output.clone(),
        profile,
        memory_limit: None,
    };
    let report = prover.run(&work, deadline).await?;
    let expected = Expected::Claim(segment.claim);
    verify_task(task, &std::fs::read(&output).map_err(files)?, &expected)?;
    Ok(SelfTest {
        po2: segment.po2,
        prove_ms: report.step_ms(step::PROVE),
        lift_ms: report.step_ms(step::LIFT),
        peak_memory: report.peak_memory,
    })
}

fn first_segment(guest: &Guest, options: ExecuteOptions) -> Result<SegmentOut, ExecuteError> {
    let mut first = None;
    let keep = |emitted| {
        if let Emitted::Segment(segment) = emitted {
            first.get_or_insert(segment);
        }
        Ok(())
    };
    execute(guest, options, keep, &AtomicBool::new(false))?;
    first.ok_or_else(|| ExecuteError::ExecutorPanicked { message: "no segment".into() })
}
