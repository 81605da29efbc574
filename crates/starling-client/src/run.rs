//! One job from its log to its receipt: the execution and the delivery around the event loop, which is the [`Runner`]'s.

use std::time::Duration;

use rand::RngExt as _;
use starling_net::Net;
use starling_types::JobId;
use starling_zkvm::zkvm;
use tokio_util::sync::CancellationToken;

use crate::{
    Client, Delivered, JobError, JobEvent, JobPhase, JobState, RunOptions, ZkvmEvent,
    advertise::Board,
    deliver,
    journal::{JobJournal, unix_ms},
    pool::Pool,
    runner::{Parts, Runner},
    source::{Begin, JobSource},
};

/// A run of a job, and what it shares with others.
pub(crate) struct Job {
    pub(crate) client: Client,
    pub(crate) net: Net,
    pub(crate) pool: Pool,
    pub(crate) board: Board,
    pub(crate) options: RunOptions,
    pub(crate) stop: CancellationToken,
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
        begin: Begin,
    ) -> Result<starling_plan::Outcome, JobError> {
        let Self { client, net, pool, options, stop, .. } = self;
        let (job, system) = (journal.state().id, journal.state().request.zkvm.clone());
        let mut seat = pool.open(job, system, options.weight, options.deadline);
        let parts = Parts {
            net: net.clone(),
            blobs: client.blobs.clone(),
            journal,
            source: JobSource {
                blobs: client.blobs.clone(),
                begin,
                output: options.guest_output.clone(),
            },
            peer_events: &mut seat.events,
            progress: &options.progress,
            patience: options.patience.clone(),
            seed: rand::rng().random(),
        };
        let mut runner = Runner::new(parts)?;
        let result = runner.run(stop).await;
        runner.finish(if result.is_ok() { "the job is proved" } else { "the job is stopped" });
        result
    }
}

/// A job that was taken up.
enum TakenUp {
    /// It is to be run.
    Open(Box<JobJournal>),
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
        Ok(TakenUp::Open(Box::new(journal)))
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
        let done = ZkvmEvent::Done {
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
