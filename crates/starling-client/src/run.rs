//! One job from its log to its receipt: the execution and the delivery around the event loop, which is the [`Runner`]'s.

use std::{io, time::Duration};

use rand::RngExt as _;
use starling_net::Net;
use starling_swarm::reference_of;
use starling_types::{BlobRef, JobId, Reference};
use starling_zkvm::{ExecuteOptions, Guest, PovwJob, receipt::read_receipt, zkvm};
use tokio_util::sync::CancellationToken;

use crate::{
    Client, Delivered, GuestRun, JobError, JobEvent, JobPhase, JobState, RunOptions, Source,
    StateError,
    advertise::Board,
    deliver,
    execution::ExecutionThread,
    journal::{JobJournal, unix_ms},
    options::GuestOutput,
    pool::Pool,
    runner::{End, Parts, Runner},
};

/// How many times in one run an execution that differs from the log is begun anew. With seeded
/// randomness it does not happen at all; a guest that never repeats itself must not loop for ever.
const DIVERGENCES_MAX: u32 = 1;

/// A run of a job, and what it shares with others.
pub(crate) struct Job {
    pub(crate) client: Client,
    pub(crate) net: Net,
    pub(crate) pool: Pool,
    pub(crate) board: Board,
    pub(crate) options: RunOptions,
    pub(crate) stop: CancellationToken,
}

/// Where the pieces of a job come from that has not run to its end.
pub(crate) enum Begin {
    /// This client makes them.
    Own,
    /// A host program makes them.
    Elsewhere(ExecutionThread),
    /// They have been made.
    Nothing,
}

/// `work`, which waits for the disk or computes, where no other task waits for it.
///
/// # Errors
/// When it panics; it is `what` to people.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| JobError::Died { what, detail: error.to_string() })
}

impl Job {
    /// Runs the job to its receipt.
    pub(crate) async fn run(&self, id: JobId, begin: Begin) -> Result<Delivered, JobError> {
        let client = self.client.clone();
        let opened = blocking("the log of a job", move || client.take_up(id)).await??;
        let mut journal = match opened {
            TakenUp::Done(delivered) => return Ok(*delivered),
            TakenUp::Open(journal) => journal,
        };
        let proved = {
            let _posted = self.board.post(id, journal.state().request.clone());
            self.prove(&mut journal, begin).await
        };
        let (client, progress) = (self.client.clone(), self.options.progress.clone());
        let finish = move || {
            let delivered = proved.and_then(|outcome| {
                progress.send_modify(|now| now.delivering = true);
                client.deliver(&mut journal, &outcome)
            });
            if let Err(error) = &delivered
                && error.is_final()
            {
                // A full disk must not hide why the job failed.
                let failed = JobEvent::Failed { message: error.to_string() };
                if let Err(error) = journal.record(failed, []) {
                    tracing::warn!(%error, "the failure could not be logged");
                }
            }
            delivered
        };
        blocking("the delivery", finish).await?
    }

    async fn prove(
        &self,
        journal: &mut JobJournal,
        mut begin: Begin,
    ) -> Result<starling_plan::Outcome, JobError> {
        let Self { client, net, pool, options, stop, .. } = self;
        let (job, system) = (journal.state().id, journal.state().request.zkvm.clone());
        let mut seat = pool.open(job, system, options.weight, options.deadline);
        let mut divergences = 0;
        loop {
            let (checked, state) = (client.clone(), journal.state().clone());
            let execution =
                blocking("a look at what is stored", move || checked.needs_execution(&state))
                    .await??
                    .then(|| client.begin(journal.state(), &mut begin, &options.guest_output))
                    .transpose()?;
            let parts = Parts {
                net: net.clone(),
                blobs: client.blobs.clone(),
                journal,
                execution,
                peer_events: &mut seat.events,
                progress: &options.progress,
                patience: options.patience.clone(),
                seed: rand::rng().random(),
            };
            let mut runner = Runner::new(parts)?;
            let end = runner.run(stop).await;
            let starts_over =
                matches!(end, Ok(End::Diverged { .. })) && divergences < DIVERGENCES_MAX;
            runner.finish(
                starts_over,
                match &end {
                    Ok(End::Proved(_)) => "the job is proved",
                    Ok(End::Diverged { .. }) => "the guest does not execute the same way again",
                    Err(_) => "the job is stopped",
                },
            );
            match end {
                Ok(End::Proved(outcome)) => return Ok(outcome),
                Ok(End::Diverged { reason }) if starts_over => {
                    divergences += 1;
                    tracing::warn!(
                        reason,
                        "the guest did not execute the same way again; the job starts over"
                    );
                    journal.record(JobEvent::Restarted { reason }, [])?;
                    // The new run of the scheduler must not give out the lease numbers of the old one.
                    let incarnation = journal.state().incarnation + 1;
                    journal.record(JobEvent::ClientStarted { incarnation }, [])?;
                }
                Ok(End::Diverged { reason }) => return Err(JobError::Diverged { reason }),
                Err(error) => return Err(error),
            }
        }
    }
}

/// A job that was taken up.
enum TakenUp {
    /// It is to be run.
    Open(JobJournal),
    /// It was done before.
    Done(Box<Delivered>),
}

impl Client {
    /// Opens the log of a job and notes that it runs. Blocks.
    fn take_up(&self, id: JobId) -> Result<TakenUp, JobError> {
        let mut journal = JobJournal::open(self.log.clone(), id)?;
        match journal.state().phase.clone() {
            JobPhase::Cancelled => return Err(JobError::Cancelled { job: id }),
            JobPhase::Done { receipt, work_receipt, seconds } => {
                tracing::info!(job = %format_args!("{id:#}"), "the job is done already");
                let state = journal.state();
                let stored = deliver::stored(state, &self.blobs, receipt, work_receipt)?;
                // Guest and input were stored once more to find the job.
                self.blobs.collect()?;
                return Ok(TakenUp::Done(Box::new(deliver::delivered(state, stored, seconds)?)));
            }
            JobPhase::Open | JobPhase::Failed { .. } => {}
        }
        let theirs = &journal.state().request.zkvm;
        if *theirs != zkvm() {
            return Err(JobError::OtherRelease { job: id, theirs: theirs.clone(), ours: zkvm() });
        }
        let incarnation = journal.state().incarnation + 1;
        journal.record(JobEvent::ClientStarted { incarnation }, [])?;
        Ok(TakenUp::Open(journal))
    }

    /// Whether the guest has to run: it has not ended yet, or something of what it left is lost.
    fn needs_execution(&self, state: &JobState) -> Result<bool, JobError> {
        let Some(summary) = &state.execution else { return Ok(true) };
        let segments = state.segments.iter().map(|segment| segment.blob);
        let keccaks = state.keccaks.iter().map(|keccak| keccak.blob);
        for blob in [summary.journal].into_iter().chain(segments).chain(keccaks) {
            if self.blobs.pin(blob.reference)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Starts what the job's tasks come from.
    fn begin(
        &self,
        state: &JobState,
        begin: &mut Begin,
        output: &GuestOutput,
    ) -> Result<ExecutionThread, JobError> {
        match (&state.request.source, std::mem::replace(begin, Begin::Nothing)) {
            (Source::Guest(run), Begin::Own) => {
                // An execution that diverges is begun once more.
                *begin = Begin::Own;
                self.execute(state, run, output.writer())
            }
            (Source::Receipt { receipt }, same) => {
                *begin = same;
                self.take_apart(state, *receipt)
            }
            (Source::Host(_), Begin::Elsewhere(execution)) => Ok(execution),
            _ => Err(JobError::HostGone { job: state.id }),
        }
    }

    fn execute(
        &self,
        state: &JobState,
        run: &GuestRun,
        guest_output: Box<dyn io::Write + Send>,
    ) -> Result<ExecutionThread, JobError> {
        let missing = |what: &str| JobError::BlobMissing { what: what.into(), job: state.id };
        let guest = self.blobs.get(run.guest.reference, run.guest.size_bytes)?;
        let guest = guest.ok_or_else(|| missing("the guest"))?;
        let input = self.blobs.open_blob(run.input.reference)?;
        let input = input.ok_or_else(|| missing("the input"))?;
        let guest = Guest::parse(guest)?;
        let mut seed = [0; 32];
        hex::decode_to_slice(&state.seed, &mut seed).map_err(|error| StateError::Unreadable {
            job: state.id,
            seq: 1,
            detail: format!("the seed: {error}"),
        })?;
        let options = ExecuteOptions {
            input: Box::new(io::BufReader::new(input)),
            args: run.args.clone(),
            env: run.env.clone(),
            assumptions: run.assumptions.iter().map(|given| given.id).collect(),
            segment_po2: run.segment_po2,
            keccak_po2: run.keccak_po2.get(),
            cycle_limit: run.cycle_limit,
            seed,
            povw: run.work_log.map(|log_id| PovwJob { log_id, job: povw_job_number(&seed) }),
            guest_output,
        };
        Ok(ExecutionThread::start(guest, options, run.assumptions.clone(), self.blobs.clone()))
    }

    fn take_apart(&self, state: &JobState, receipt: BlobRef) -> Result<ExecutionThread, JobError> {
        let file = self.blobs.open_blob(receipt.reference)?;
        let file = file.ok_or_else(|| JobError::BlobMissing {
            what: "the receipt to compress".into(),
            job: state.id,
        })?;
        Ok(ExecutionThread::open(read_receipt(file.path())?, self.blobs.clone()))
    }

    /// Puts the receipt together, keeps it as a blob and closes the job. Blocks.
    fn deliver(
        &self,
        journal: &mut JobJournal,
        outcome: &starling_plan::Outcome,
    ) -> Result<Delivered, JobError> {
        let assembled = deliver::assemble(journal.state(), &self.blobs, outcome)?;
        let seconds = age(journal.state()).as_secs_f64();
        let receipt = deliver::keep_receipt(&self.blobs, &assembled)?;
        let work_receipt = deliver::keep_work_receipt(&self.blobs, &assembled)?;
        let done = JobEvent::Done {
            receipt: receipt.blob,
            work_receipt: work_receipt.as_ref().map(|kept| kept.blob),
            seconds,
        };
        let is_kept = receipt.pin.is_some();
        journal
            .record(done, receipt.pin.into_iter().chain(work_receipt.and_then(|kept| kept.pin)))?;
        self.blobs.collect()?;
        // There was no room for it before, and there may be now.
        if !is_kept {
            let pin = deliver::keep_receipt(&self.blobs, &assembled)?.pin;
            self.log.root(journal.state().id.into()).add(pin)?;
        }
        deliver::delivered(journal.state(), assembled, seconds)
    }
}

/// How long ago the job was asked for.
fn age(state: &JobState) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(state.created_at_ms))
}

/// The number of a job within its work log. It follows from the job's secret, which is drawn once for a job,
/// so that a resumed job counts the same work, and no other job does.
fn povw_job_number(seed: &[u8; 32]) -> u64 {
    let mut text = b"starling povw job ".to_vec();
    text.extend(seed);
    let Reference(digest) = reference_of(&text);
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests;
