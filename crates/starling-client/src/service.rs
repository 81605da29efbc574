//! A client that runs: its endpoint, its nodes, and any number of jobs at once.
//!
//! A [`Service`] owns what jobs share: the data directory, the endpoint, the connected nodes (`pool.rs`) and those that
//! it started on this machine. [`Service::submit`] runs a job beside the others and gives a [`JobHandle`], which is a
//! way to watch and to stop the job and nothing more: the job goes on when it is dropped. When the service is dropped,
//! everything stops: jobs can be gone on with, nodes are told, and those that it started end.
//!
//! It needs a tokio runtime to live on, and blocks none of its threads.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rand::RngExt as _;
use starling_job::JobEvent;
use starling_net::{Net, NetConfig, node_id_of};
use starling_proto::Ticket;
use starling_store::{JobKey, LogReader, StoredEvent};
use starling_types::{JobId, NodeId};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    JobError, JobProgress, NetworkOptions, RunOptions, StateError,
    advertise::{Board, advertise},
    check::Checker,
    client::Client,
    local,
    pool::Pool,
    run::{Job, blocking},
    runs::{END_TIMEOUT, Entered},
    system::System,
};

/// How a job ended.
pub type Outcome<S> = Result<Arc<<S as System>::Delivered>, Arc<JobError>>;

/// Why nodes are let go when the service ends.
const GOODBYE: &str = "this client ends";

/// Runs jobs of one system. It needs a tokio runtime to live on, and blocks none of its threads.
pub struct Service<S: System> {
    shared: Arc<Shared<S>>,
    /// Cancelled when everything has ended.
    closed: CancellationToken,
}

struct Shared<S: System> {
    client: Client<S>,
    net: Net,
    /// One for all jobs, so that many take no more of this machine at a time than one does.
    checker: Checker,
    pool: Pool,
    board: Board,
    /// The nodes that this client has started.
    own_nodes: BTreeSet<NodeId>,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Jobs may be submitted from any thread.
    runtime: Handle,
}

/// A job that runs, or ran. Clones are of the same run.
#[derive(Debug, Clone)]
pub struct JobHandle<S: System> {
    id: JobId,
    progress: watch::Receiver<JobProgress>,
    outcome: watch::Receiver<Option<Outcome<S>>>,
    stop: CancellationToken,
    giving_up: Arc<GivingUp>,
    /// A handle that is kept keeps the directory from nobody.
    log: Arc<LogReader>,
}

#[derive(Debug, Default)]
struct GivingUp {
    /// Whether the job is to be given up, not only stopped.
    asked: AtomicBool,
    freed_bytes: AtomicU64,
}

impl<S: System> Service<S> {
    /// Opens the endpoint of `client`, starts the nodes on this machine, and lets others come.
    ///
    /// # Errors
    /// When the endpoint can't be opened, or the client is to join itself.
    pub async fn start(client: Client<S>, network: NetworkOptions) -> Result<Self, JobError> {
        let is_closed = network.is_closed();
        let NetworkOptions { join, local, reachable, bind, external, relay } = network;
        let keys = local::Keys::new(local.as_ref().map_or(0, |nodes| nodes.count));
        let own_nodes = keys.ids();
        // Kept, so that with a fixed address the ticket of a client that is started anew stays good.
        let dir = client.dir.clone();
        let key = move || dir.load_or_create_key(|| rand::rng().random());
        let secret_key = blocking("the client's key", key).await??;
        let id = node_id_of(&secret_key);
        if join.iter().any(|peer| peer.node_id == id) {
            return Err(JobError::OwnTicket { id });
        }
        let only = is_closed.then(|| own_nodes.clone());
        let config =
            NetConfig { secret_key, bind, external, loopback_only: !reachable, relay, only };
        let net = Net::bind(config, client.blobs.clone()).await?;
        let (pool, board) = (Pool::new(S::systems()), Board::default());
        let stop = CancellationToken::new();
        let accepting = tokio::spawn(pool.clone().accept(net.clone()));
        let advertising =
            (!join.is_empty()).then(|| tokio::spawn(advertise(net.clone(), board.clone(), join)));
        let local = local.map(|nodes| {
            let dir = client.dir.path().to_owned();
            // They fetch from each other.
            let only = is_closed.then(|| own_nodes.iter().copied().chain([net.id()]).collect());
            tokio::spawn(local::run(nodes, keys, net.ticket(), only, dir, stop.clone()))
        });
        let shared = Arc::new(Shared {
            checker: Checker::new(net.clone(), client.blobs.clone()),
            client,
            net: net.clone(),
            pool: pool.clone(),
            board,
            own_nodes,
            stop: stop.clone(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        });
        let tasks = shared.tasks.clone();
        let closed = CancellationToken::new();
        let at_last = closed.clone().drop_guard();
        tokio::spawn(async move {
            let _at_last = at_last;
            stop.cancelled().await;
            tasks.close();
            tasks.wait().await;
            accepting.abort();
            if let Some(advertising) = advertising {
                advertising.abort();
            }
            pool.close(GOODBYE).await;
            if let Some(local) = local {
                match local.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "local nodes"),
                    Err(error) => tracing::warn!(%error, "local nodes"),
                }
            }
            net.close().await;
        });
        Ok(Self { shared, closed })
    }

    /// The data directory and its jobs.
    pub fn client(&self) -> &Client<S> {
        &self.shared.client
    }

    /// With which nodes come to this client.
    pub fn ticket(&self) -> Ticket {
        self.shared.net.ticket()
    }

    /// Runs a job of the data directory ([`Client::create`]) beside the others. One that runs already goes on as it was
    /// asked for first; one that was told to end does so first, and begins again then.
    pub fn submit(&self, job: JobId, options: RunOptions) -> JobHandle<S> {
        let begin = S::begin(&options);
        self.shared.submit(job, options, begin)
    }

    /// Runs a job whose source begins otherwise: that of a host program, which can't go on in another run.
    pub(crate) fn submit_begun(
        &self,
        job: JobId,
        options: RunOptions,
        begin: S::Begin,
    ) -> JobHandle<S> {
        self.shared.submit(job, options, begin)
    }

    /// The jobs that run.
    pub fn running(&self) -> Vec<JobHandle<S>> {
        self.shared.client.runs.all()
    }

    /// Gives a job up, whether it runs or not, and frees what only it holds; the bytes freed. What came to harm of a log goes with
    /// it.
    ///
    /// # Errors
    /// When there is no such job.
    pub async fn cancel(&self, key: impl Into<JobKey>) -> Result<u64, JobError> {
        let key = key.into();
        let running = key.job().and_then(|job| self.shared.client.runs.of(job));
        if let Some(running) = running {
            running.cancel();
            return match running.result().await {
                Err(error) if matches!(*error, JobError::Cancelled { .. }) => {
                    Ok(running.giving_up.freed_bytes.load(Ordering::Relaxed))
                }
                // It ended at the same time, one way or the other.
                _ => self.cancel_idle(key).await,
            };
        }
        self.cancel_idle(key).await
    }

    async fn cancel_idle(&self, key: JobKey) -> Result<u64, JobError> {
        let client = self.shared.client.clone();
        blocking("the end of a job", move || client.cancel(key)).await?
    }

    /// Stops all jobs, takes leave of the nodes and waits until everything has ended. Dropping the service does the
    /// same without waiting.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.closed.cancelled().await;
    }

    /// The directory that is owned.
    pub fn data_dir(&self) -> &Path {
        self.shared.client.dir.path()
    }
}

impl<S: System> Drop for Service<S> {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl<S: System> Shared<S> {
    fn submit(self: &Arc<Self>, id: JobId, options: RunOptions, begin: S::Begin) -> JobHandle<S> {
        let (ended, outcome) = watch::channel(None);
        let handle = JobHandle {
            id,
            progress: options.progress.subscribe(),
            outcome,
            stop: options.stop.child_token(),
            giving_up: Arc::default(),
            log: self.client.log.reader(),
        };
        let before = match self.client.runs.enter(&handle) {
            Entered::Known(running) => return running,
            Entered::After(before) => before,
        };
        let (shared, ours) = (self.clone(), handle.clone());
        let task = async move {
            // A task of its own, so that a panic of it is an outcome, too.
            let span = tracing::info_span!("job", id = %format_args!("{id:#}"));
            let (shared_by, theirs) = (shared.clone(), ours.clone());
            let run = async move {
                shared_by.wait_for(&theirs, before).await?;
                shared_by.run(theirs, options, begin).await
            };
            let outcome = tokio::spawn(run.instrument(span)).await.unwrap_or_else(|error| {
                let detail = error.to_string();
                Err(Arc::new(JobError::Died { what: "the task of a job", detail }))
            });
            shared.client.runs.leave(&ours);
            ended.send_replace(Some(outcome));
        };
        self.tasks.spawn_on(task, &self.runtime);
        handle
    }

    /// Waits until nobody has the job's log any more: neither the run before, which was told to end, nor who makes the job.
    async fn wait_for(
        &self,
        handle: &JobHandle<S>,
        before: Option<JobHandle<S>>,
    ) -> Result<(), JobError> {
        let job = handle.id;
        if let Some(before) = before {
            let ended = tokio::time::timeout(END_TIMEOUT, before.result()).await;
            ended.map_err(|_| JobError::Running { job })?.ok();
        }
        // The one before may have waited in vain, for one that still has it.
        let (runs, handle) = (self.client.runs.clone(), handle.clone());
        let taken = move || runs.take_log(&handle, END_TIMEOUT);
        blocking("the log of a job", taken).await?.map_err(|_| JobError::Running { job })
    }

    async fn run(
        self: Arc<Self>,
        handle: JobHandle<S>,
        options: RunOptions,
        begin: S::Begin,
    ) -> Outcome<S> {
        let Self { client, checker, pool, board, .. } = &*self;
        let id = handle.id;
        if self.stop.is_cancelled() {
            return Err(Arc::new(JobError::Interrupted { job: id }));
        }
        let stop = handle.stop.clone();
        let job = Job {
            client: client.clone(),
            checker: checker.clone(),
            pool: pool.clone(),
            board: board.clone(),
            own_nodes: self.own_nodes.clone(),
            options,
            stop: stop.clone(),
        };
        let running = job.run(id, begin);
        tokio::pin!(running);
        let outcome = tokio::select! {
            outcome = &mut running => outcome,
            () = self.stop.cancelled() => {
                stop.cancel();
                running.await
            }
        };
        if handle.giving_up.asked.load(Ordering::Relaxed) {
            let client = client.clone();
            let freed_bytes = blocking("the end of a job", move || client.give_up(id)).await??;
            handle.giving_up.freed_bytes.store(freed_bytes, Ordering::Relaxed);
            return Err(Arc::new(JobError::Cancelled { job: id }));
        }
        Ok(Arc::new(outcome?))
    }
}

#[cfg(test)]
impl<S: System> JobHandle<S> {
    /// A run that does nothing.
    pub(crate) fn of_nothing(id: JobId, log: Arc<LogReader>) -> Self {
        let (progress, outcome) =
            (watch::channel(JobProgress::default()).1, watch::channel(None).1);
        Self {
            id,
            progress,
            outcome,
            stop: CancellationToken::new(),
            giving_up: Arc::default(),
            log,
        }
    }
}

impl<S: System> JobHandle<S> {
    /// The job.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<JobProgress> {
        self.progress.clone()
    }

    /// Whether this run was asked for with options that have this `progress`; not so where the job ran already.
    pub fn is_told_by(&self, progress: &watch::Sender<JobProgress>) -> bool {
        progress.subscribe().same_channel(&self.progress)
    }

    /// What the job's log says after its event numbered `after_seq`, with the events' numbers: all of it after 0.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn events(&self, after_seq: u64) -> Result<Vec<(u64, JobEvent<S::Event>)>, JobError> {
        let (log, job) = (self.log.clone(), self.id);
        let read = move || {
            let events = log.read_from(job, after_seq)?;
            let known = |stored: StoredEvent| {
                let seq = stored.seq;
                let event = serde_json::from_str(&stored.body).map_err(|error| {
                    StateError::Unreadable { job, seq, detail: error.to_string() }
                })?;
                Ok((seq, event))
            };
            events.into_iter().map(known).collect()
        };
        blocking("a look into the log", read).await?
    }

    /// Whether the run was told to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Whether both are of the same run.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.giving_up, &other.giving_up)
    }

    /// Stops this run of the job. Submitting it again goes on with it.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Gives the job up: it ends, and what only it holds is freed.
    pub fn cancel(&self) {
        self.giving_up.asked.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }

    /// How it ended, once it has.
    ///
    /// # Errors
    /// [`JobError`]; unless it says otherwise, submitting the job again goes on where this run stopped.
    pub async fn result(&self) -> Outcome<S> {
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // Its runtime is gone, and the job with it.
            Ok(None) | Err(_) => Err(Arc::new(JobError::Interrupted { job: self.id })),
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
