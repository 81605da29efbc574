//! One job from its log to what it delivers: what comes before and after the event loop, which is the [`Runner`]'s.

use rand::RngExt as _;
use starling_job::{JobEvent, OutcomeOf};
use starling_net::Net;
use starling_types::JobId;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    JobError, RunOptions,
    advertise::Board,
    client::Client,
    journal::JobJournal,
    pool::Pool,
    runner::{Parts, Runner},
    system::{Delivery, Stage, System},
};

/// A run of a job, and what it shares with others.
pub(crate) struct Job<S: System> {
    pub(crate) client: Client<S>,
    pub(crate) net: Net,
    pub(crate) pool: Pool,
    pub(crate) board: Board,
    pub(crate) options: RunOptions,
    pub(crate) stop: CancellationToken,
}

/// `work`, which waits for the disk or computes, where no other task waits for it; in the same span.
///
/// # Errors
/// When it panics; it is `what` to people.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let span = Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|error| JobError::Died { what, detail: error.to_string() })
}

impl<S: System> Job<S> {
    /// Runs the job to its end.
    pub(crate) async fn run(&self, id: JobId, begin: S::Begin) -> Result<S::Delivered, JobError> {
        let client = self.client.clone();
        let opened = blocking("the log of a job", move || client.take_up(id)).await??;
        let mut journal = match opened {
            TakenUp::Done(delivered) => return Ok(delivered),
            TakenUp::Open(journal) => journal,
        };
        let proved = {
            let _posted = self.board.post(id, journal.state().advert());
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
        journal: &mut JobJournal<S>,
        begin: S::Begin,
    ) -> Result<OutcomeOf<S>, JobError> {
        let Self { client, net, pool, options, stop, .. } = self;
        let (job, system) = (journal.state().id(), journal.state().system().to_owned());
        let mut seat = pool.open(job, system, options.weight, options.deadline);
        let parts = Parts {
            net: net.clone(),
            blobs: client.blobs.clone(),
            journal,
            begin,
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
#[allow(clippy::large_enum_variant)]
enum TakenUp<S: System> {
    /// It is to be run.
    Open(Box<JobJournal<S>>),
    /// It was done before.
    Done(S::Delivered),
}

impl<S: System> Client<S> {
    /// Opens the log of a job and notes that it runs. Blocks.
    fn take_up(&self, id: JobId) -> Result<TakenUp<S>, JobError> {
        let mut journal = JobJournal::<S>::open(self.log.clone(), id)?;
        match journal.state().stage() {
            Stage::Cancelled => return Err(JobError::Cancelled { job: id }),
            Stage::Done => {
                tracing::info!("the job is done already");
                let delivered = S::delivered(journal.state(), &self.blobs)?;
                // What it was asked with was stored once more to find the job.
                self.blobs.collect()?;
                return Ok(TakenUp::Done(delivered));
            }
            Stage::Open => {}
        }
        let (theirs, ours) = (journal.state().system(), S::systems());
        if !ours.iter().any(|system| system == theirs) {
            let (theirs, ours) = (theirs.to_owned(), ours.join(", "));
            return Err(JobError::OtherRelease { job: id, theirs, ours });
        }
        let incarnation = journal.state().incarnation + 1;
        journal.record(JobEvent::ClientStarted { incarnation }, [])?;
        Ok(TakenUp::Open(Box::new(journal)))
    }

    /// Puts together what was proved and closes the job. Blocks.
    fn deliver(
        &self,
        journal: &mut JobJournal<S>,
        outcome: &OutcomeOf<S>,
    ) -> Result<S::Delivered, JobError> {
        let delivery = S::deliver(journal.state(), &self.blobs, outcome)?;
        let Delivery { done, pins, lacks_room, delivered } = delivery;
        journal.record(done, pins)?;
        self.blobs.collect()?;
        // There was no room for it before, and there may be now.
        if lacks_room {
            let pin = S::keep(&delivered, &self.blobs)?;
            self.log.root(journal.state().id().into()).add(pin)?;
        }
        Ok(delivered)
    }
}
