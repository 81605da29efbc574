//! Where a job's tasks come from: a guest that is run here, one that a host program runs, a receipt that is taken apart.

use std::io::{BufReader, Write};

use starling_store::{BlobStore, Pin};
use starling_swarm::reference_of;
use starling_types::{BlobRef, JobSeed, ReceiptKind, Reference};
use starling_zkvm::{ExecuteOptions, Execution, ExitCode, Guest, PovwJob, receipt::read_receipt};

use crate::{
    Arguments, ArgumentsIn, ExecutionSummary, GuestRun, JobError, Subject, ZkvmPiece, ZkvmScript,
    execution::{Ended, ExecutionThread},
    options::GuestOutput,
    room::JobRoom,
    system::Start,
    zkvm::result_size_bytes,
};

/// What starts a job's source, as often as it is needed.
pub struct JobSource {
    pub(crate) begin: Begin,
    /// Where what a guest prints goes, each time that it runs.
    pub(crate) output: GuestOutput,
}

/// Where the pieces come from.
pub(crate) enum Begin {
    /// This client makes them.
    Own,
    /// A host program makes them, once.
    Elsewhere(Option<ExecutionThread>),
}

impl JobSource {
    /// The source of `job`, from its beginning: it reads the guest and hashes what is read.
    pub(crate) fn start(&mut self, job: &ZkvmScript, blobs: &BlobStore) -> Start<ExecutionThread> {
        let (blobs, job) = (blobs.clone(), job.asked());
        match (&mut self.begin, job.request.source.clone()) {
            (Begin::Own, Subject::Guest(run)) => {
                let output = self.output.writer();
                Box::new(move || execute(&blobs, &job, &run, output))
            }
            (_, Subject::Receipt { receipt }) => {
                Box::new(move || take_apart(&blobs, &job, receipt))
            }
            (Begin::Elsewhere(thread), Subject::Host(_)) => {
                let thread = thread.take().ok_or(JobError::HostGone { job: job.id });
                Box::new(move || thread)
            }
            _ => Box::new(move || Err(JobError::HostGone { job: job.id })),
        }
    }
}

/// Starts the guest.
pub(crate) fn execute(
    blobs: &BlobStore,
    job: &ZkvmScript,
    run: &GuestRun,
    guest_output: Box<dyn Write + Send>,
) -> Result<ExecutionThread, JobError> {
    let missing = |what: &str| JobError::AskedMissing { what: what.into(), job: job.id };
    let guest = blobs.get(run.guest.reference, run.guest.size_bytes)?;
    let guest = guest.ok_or_else(|| missing("the guest"))?;
    let input = blobs.open_blob(run.input.reference)?;
    let input = input.ok_or_else(|| missing("the input"))?;
    let Arguments { args, env } = match &run.arguments {
        ArgumentsIn::Log(arguments) => arguments.clone(),
        ArgumentsIn::Blob(blob) => {
            let bytes = blobs.get(blob.reference, blob.size_bytes)?;
            let arguments = bytes.and_then(|bytes| Arguments::decode(&bytes));
            arguments.ok_or_else(|| missing("what the guest is told"))?
        }
    };
    let guest = Guest::parse(guest)?;
    let options = ExecuteOptions {
        input: Box::new(BufReader::new(input)),
        args,
        env,
        assumptions: run.assumptions.iter().map(|given| given.id).collect(),
        segment_po2: run.segment_po2,
        keccak_po2: run.keccak_po2.get(),
        cycle_limit: run.cycle_limit,
        seed: job.seed.0,
        povw: run.work_log.map(|log_id| PovwJob { log_id, job: povw_job_number(job.seed) }),
        guest_output,
    };
    Ok(ExecutionThread::start(guest, options, run.assumptions.clone(), room_of(job, blobs)))
}

fn take_apart(
    blobs: &BlobStore,
    job: &ZkvmScript,
    receipt: BlobRef,
) -> Result<ExecutionThread, JobError> {
    let file = blobs.open_blob(receipt.reference)?;
    let file = file.ok_or_else(|| JobError::AskedMissing {
        what: "the receipt to compress".into(),
        job: job.id,
    })?;
    Ok(ExecutionThread::open(read_receipt(file.path())?, room_of(job, blobs)))
}

/// Where a job puts what its source puts out.
fn room_of(job: &ZkvmScript, blobs: &BlobStore) -> JobRoom {
    JobRoom::new(blobs.clone(), job.id, result_size_bytes(job.request.receipt_kind))
}

/// The number of a job within its work log. It follows from the job's secret, which is drawn once for a job,
/// so that a resumed job counts the same work, and no other job does.
fn povw_job_number(seed: JobSeed) -> u64 {
    let mut text = b"starling povw job ".to_vec();
    text.extend(seed.0);
    let Reference(digest) = reference_of(&text);
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(number)
}

/// What the end of an execution is to the job's log. `printed` is the last of what the guest printed.
///
/// # Errors
/// When the guest says that it failed, and nobody asked for a proof of that.
pub(crate) fn ended(
    job: &ZkvmScript,
    ended: Ended,
    printed: String,
) -> Result<(ZkvmPiece, Vec<Pin>), JobError> {
    let Ended { execution, journal, keccak_count, given, mut pins } = ended;
    if let Some(failure) = guest_failure(job, &execution, printed) {
        return Err(failure);
    }
    tracing::info!(
        segments = execution.segment_count,
        keccaks = keccak_count,
        assumptions = execution.assumptions().len(),
        user_cycles = execution.user_cycles,
        total_cycles = execution.total_cycles,
        "the guest has run to its end"
    );
    let summary = ExecutionSummary {
        exit_code: execution.exit_code,
        segment_count: execution.segment_count,
        keccak_count,
        journal: journal.blob(),
        output: execution.output,
        assumed: Vec::new(),
        user_cycles: execution.user_cycles,
        total_cycles: execution.total_cycles,
    };
    pins.push(journal);
    Ok((ZkvmPiece::Ended { summary, given }, pins))
}

/// Why the job goes no further though the guest has ended. A guest that paused with code zero has not failed.
fn guest_failure(job: &ZkvmScript, execution: &Execution, printed: String) -> Option<JobError> {
    let is_composite = job.request.receipt_kind == ReceiptKind::Composite;
    if matches!(execution.exit_code, ExitCode::Paused(_)) && !is_composite {
        return Some(JobError::PausedNotComposite { kind: job.request.receipt_kind });
    }
    let ended_well = matches!(execution.exit_code, ExitCode::Halted(0) | ExitCode::Paused(0));
    if ended_well || job.request.proves_guest_errors() {
        return None;
    }
    Some(JobError::GuestFailed {
        exit: format!("{:?}", execution.exit_code),
        journal: execution.journal.clone(),
        output: printed,
    })
}

#[cfg(test)]
mod tests;
