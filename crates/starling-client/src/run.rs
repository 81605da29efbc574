//! One job from its log to what it delivers: what comes before and after the event loop, which is the [`Runner`]'s.

use std::{collections::BTreeSet, time::Instant};

use rand::RngExt as _;
use starling_job::{Config, JobCore, JobEvent, JobState};
use starling_sched::Believed;
use starling_types::{JobId, NodeId, SystemName};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    JobError, RunOptions,
    advertise::Board,
    check::Checker,
    client::Client,
    journal::JobJournal,
    peers::Peers,
    pool::Pool,
    runner::{Done, Parts, Runner},
    system::{JobStage, System},
    translate::millis,
};

/// A run of a job, and what it shares with others.
pub(crate) struct Job<S: System> {
    pub(crate) client: Client<S>,
    pub(crate) checker: Checker,
    pub(crate) pool: Pool,
    pub(crate) board: Board,
    /// Whose word on their speed counts.
    pub(crate) own_nodes: BTreeSet<NodeId>,
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

/// As [`blocking`], for work that may take minutes and can't be interrupted everywhere: on a thread of its own, for which not
/// even the end of the runtime waits.
pub(crate) async fn apart<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JobError> {
    let (span, (done, waiting)) = (Span::current(), oneshot::channel());
    let died = |detail| JobError::Died { what, detail };
    let thread = std::thread::Builder::new().name(what.into()).spawn(move || {
        // Nobody may wait for it any more.
        let _ = done.send(span.in_scope(work));
    });
    thread.map_err(|error| died(error.to_string()))?;
    waiting.await.map_err(|_| died("its thread panicked".into()))
}

impl<S: System> Job<S> {
    /// Runs the job to its end.
    pub(crate) async fn run(&self, id: JobId, begin: S::Begin) -> Result<S::Delivered, JobError> {
        let client = self.client.clone();
        match blocking("the log of a job", move || client.take_up(id)).await?? {
            TakenUp::Done(state) => self.deliver_again(*state).await,
            TakenUp::Open(state) => {
                let Done { delivered, lacks_room } = self.prove(*state, begin).await?;
                let client = self.client.clone();
                let cleared = move || client.clear_up(id, delivered, lacks_room);
                blocking("the end of a job", cleared).await
            }
        }
    }

    async fn prove(&self, state: JobState<S>, begin: S::Begin) -> Result<Done<S>, JobError> {
        let Self { client, checker, pool, board, own_nodes, options, stop } = self;
        let (job, system) = (state.id(), state.system());
        let advert = state.advert();
        let config = Config {
            scheduler: starling_sched::Config {
                believed: Believed::Only(own_nodes.clone()),
                ..starling_sched::Config::default()
            },
            node_wait: millis(options.patience.node_wait),
            timeout: options.patience.timeout.map(millis),
            seed: rand::rng().random(),
        };
        let replayed = apart("the plan of a job", move || JobCore::new(config, state));
        let core = tokio::select! {
            core = replayed => core??,
            () = stop.cancelled() => return Err(JobError::Interrupted { job }),
        };
        let (began, weight, deadline) = (Instant::now(), options.weight, options.deadline);
        let (pool, board, named) = (pool.clone(), board.clone(), system.clone());
        let seats = Box::new(move || {
            let left = deadline.map(|within| within.saturating_sub(began.elapsed()));
            (pool.open(job, named.clone(), weight, left), board.post(job, advert.clone()))
        });
        let parts = Parts {
            checker: checker.clone(),
            blobs: client.blobs.clone(),
            log: client.log.clone(),
            begin,
            peers: Peers::new(job, system).seated(seats),
            watchers: &options.progress,
        };
        let mut runner = Runner::new(core, parts);
        let result = runner.run(stop).await;
        runner.take_leave("the job is stopped");
        result
    }

    /// What a job delivered that was done before, read and looked at again.
    async fn deliver_again(&self, state: JobState<S>) -> Result<S::Delivered, JobError> {
        let (job, blobs) = (state.id(), self.client.blobs.clone());
        let read = apart("what a job delivered", move || {
            let delivered = S::delivered(&state, &blobs);
            // What it was asked with was stored once more to find the job.
            if let Err(error) = blobs.collect() {
                tracing::warn!(%error, "can't remove the files that a job which was already done was asked with");
            }
            delivered
        });
        tokio::select! {
            delivered = read => delivered?,
            () = self.stop.cancelled() => Err(JobError::Interrupted { job }),
        }
    }
}

/// A job that was taken up.
enum TakenUp<S: System> {
    /// It is to be run.
    Open(Box<JobState<S>>),
    /// It was done before.
    Done(Box<JobState<S>>),
}

impl<S: System> Client<S> {
    /// Opens the log of a job and notes that it runs. Blocks.
    fn take_up(&self, id: JobId) -> Result<TakenUp<S>, JobError> {
        let mut journal = JobJournal::<S>::open(self.log.clone(), id)?;
        match journal.state().stage() {
            JobStage::Cancelled => return Err(JobError::Cancelled { job: id }),
            JobStage::Done => {
                tracing::info!("the job is done already");
                return Ok(TakenUp::Done(Box::new(journal.into_state())));
            }
            JobStage::Open => {}
        }
        let (theirs, ours) = (journal.state().system(), S::systems());
        if !ours.contains(&theirs) {
            let ours = SystemName::listed(&ours);
            return Err(JobError::OtherRelease { job: id, theirs, ours });
        }
        let incarnation = journal.state().incarnation.next();
        journal.record(JobEvent::ClientStarted { incarnation }, [])?;
        Ok(TakenUp::Open(Box::new(journal.into_state())))
    }

    /// Lets go of what only the run of a job that is done needed, and keeps what there was no room for before. Blocks.
    fn clear_up(&self, id: JobId, delivered: S::Delivered, lacks_room: bool) -> S::Delivered {
        let cleared = self.blobs.collect().map_err(JobError::from).and_then(|_| {
            if lacks_room {
                let pin = S::keep(&delivered, &self.blobs)?;
                self.log.root(id.into()).add(pin)?;
            }
            Ok(())
        });
        if let Err(error) = cleared {
            tracing::warn!(%error, "can't clear up after a job that is done");
        }
        delivered
    }
}
