//! One job from its log to its receipt: the network, local nodes, the execution and the delivery around
//! the event loop, which is the [`Runner`]'s.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use rand::RngExt as _;
use starling_net::{Net, NetConfig};
use starling_proto::{PeerAddr, Ticket};
use starling_types::JobId;
use starling_zkvm::zkvm;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Client, Delivery, JobError, JobEvent, JobPhase, LocalNodes, Patience, Progress, ZkvmEvent,
    advertise::advertise,
    deliver,
    execution::ExecutionThread,
    journal::{JobJournal, unix_ms},
    local, peers,
    runner::{PEER_EVENTS_MAX, Parts, Runner},
    source::{Begin, JobSource},
};

/// How long the sessions with nodes may take to end: what is queued for a node that reads is sent at once.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a job finds its nodes, and when it gives up.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Nodes to tell of the job; they tell others.
    pub join: Vec<PeerAddr>,
    /// Nodes to start on this machine.
    pub local: Option<LocalNodes>,
    /// Whether nodes elsewhere can come: otherwise the client stays on the loopback interface.
    pub reachable: bool,
    /// The UDP address to bind; any free port when `None`.
    pub bind: Option<std::net::SocketAddr>,
    /// A relay for machines that can't reach each other.
    pub relay: Option<String>,
    /// Told the client's ticket, when nodes elsewhere can come.
    pub announce: fn(&Ticket),
    /// When to give up.
    pub patience: Patience,
    /// Where the receipt goes.
    pub receipt: PathBuf,
}

impl RunOptions {
    /// How long a job waits for a node that can take a task, unless it says otherwise.
    pub const NODE_WAIT: Duration = Duration::from_secs(120);

    /// With these nodes on this machine and nobody else.
    pub fn on_this_machine(nodes: LocalNodes) -> Self {
        Self {
            join: Vec::new(),
            local: Some(nodes),
            reachable: false,
            bind: None,
            relay: None,
            announce: |_| {},
            patience: Patience { node_wait: Self::NODE_WAIT, timeout: None },
            receipt: PathBuf::from("receipt"),
        }
    }
}

impl Client {
    /// Runs the job to its receipt. What the guest prints goes to `guest_output`.
    ///
    /// # Errors
    /// [`JobError`]; unless it says otherwise, running the job again goes on where this run stopped.
    pub async fn run(
        &self,
        id: JobId,
        options: RunOptions,
        guest_output: impl Write + Send + Clone + 'static,
        progress: &watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<Delivery, JobError> {
        // A guest may run more than once.
        let begin = Begin::Own(Box::new(move || Box::new(guest_output.clone())));
        self.run_with(id, options, begin, progress, stop).await
    }

    /// Runs the job of a host program, which tells of its execution through `execution`.
    ///
    /// # Errors
    /// As [`Self::run`], but a job whose execution did not come to its end can't go on.
    pub(crate) async fn run_of_host(
        &self,
        id: JobId,
        options: RunOptions,
        execution: ExecutionThread,
        progress: &watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<Delivery, JobError> {
        let begin = Begin::Elsewhere(Some(execution));
        self.run_with(id, options, begin, progress, stop).await
    }

    async fn run_with(
        &self,
        id: JobId,
        options: RunOptions,
        begin: Begin,
        progress: &watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<Delivery, JobError> {
        let mut journal = JobJournal::open(self.log.clone(), id)?;
        match journal.state().phase.clone() {
            JobPhase::Cancelled => return Err(JobError::Cancelled { job: id }),
            JobPhase::Done { receipt, work_receipt, seconds } => {
                tracing::info!(job = %format_args!("{id:#}"), "the job is done already");
                let stored = deliver::stored(journal.state(), &self.blobs, receipt, work_receipt)?;
                // Guest and input were stored once more to find the job.
                self.blobs.collect()?;
                return deliver::write(journal.state(), &stored, &options.receipt, seconds);
            }
            JobPhase::Open | JobPhase::Failed { .. } => {}
        }
        let theirs = &journal.state().request.zkvm;
        if *theirs != zkvm() {
            return Err(JobError::OtherRelease { job: id, theirs: theirs.clone(), ours: zkvm() });
        }
        let incarnation = journal.state().incarnation + 1;
        journal.record(JobEvent::ClientStarted { incarnation }, [])?;
        let result = self.run_open(&mut journal, options, begin, progress, stop).await;
        if let Err(error) = &result
            && error.is_final()
        {
            // A full disk must not hide why the job failed.
            if let Err(error) = journal.record(JobEvent::Failed { message: error.to_string() }, [])
            {
                tracing::warn!(%error, "the failure could not be logged");
            }
        }
        result
    }

    async fn run_open(
        &self,
        journal: &mut JobJournal,
        options: RunOptions,
        begin: Begin,
        progress: &watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<Delivery, JobError> {
        let net = Net::bind(
            NetConfig {
                // Kept, so that with a fixed address the ticket of a client that is resumed stays good.
                secret_key: self.dir.load_or_create_key(|| rand::rng().random())?,
                bind: options.bind,
                loopback_only: !options.reachable,
                relay: options.relay.clone(),
            },
            self.blobs.clone(),
        )
        .await?;
        let helpers = CancellationToken::new();
        let local = options.local.clone().map(|nodes| {
            let (ticket, dir) = (net.ticket(), self.dir.path().to_owned());
            tokio::spawn(local::run(nodes, ticket, dir, helpers.clone()))
        });
        if options.reachable {
            (options.announce)(&net.ticket());
        }
        let advertised = (!options.join.is_empty()).then(|| {
            tokio::spawn(advertise(net.clone(), journal.state().clone(), options.join.clone()))
        });

        let outcome = self.prove(journal, &net, &options, begin, progress, &stop).await;
        helpers.cancel();
        if let Some(advertised) = advertised {
            advertised.abort();
        }
        let delivered = match outcome {
            Ok(outcome) => {
                progress.send_modify(|now| now.delivering = true);
                tokio::task::block_in_place(|| self.deliver(journal, &outcome, &options.receipt))
            }
            Err(error) => Err(error),
        };
        if let Some(local) = local {
            match local.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "local nodes"),
                Err(error) => tracing::warn!(%error, "local nodes"),
            }
        }
        net.close().await;
        delivered
    }

    async fn prove(
        &self,
        journal: &mut JobJournal,
        net: &Net,
        options: &RunOptions,
        begin: Begin,
        progress: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<starling_plan::Outcome, JobError> {
        let zkvm = zkvm();
        let (events_in, mut events) = mpsc::channel(PEER_EVENTS_MAX);
        let job = journal.state().id;
        let sessions = TaskTracker::new();
        let accepting =
            tokio::spawn(peers::accept(net.clone(), job, zkvm, events_in, sessions.clone()));
        let parts = Parts {
            net: net.clone(),
            blobs: self.blobs.clone(),
            journal,
            source: JobSource { blobs: self.blobs.clone(), begin },
            peer_events: &mut events,
            progress,
            patience: options.patience.clone(),
            seed: rand::rng().random(),
        };
        let mut runner = Runner::new(parts)?;
        let result = runner.run(stop).await;
        runner.finish(if result.is_ok() { "the job is proved" } else { "the job is stopped" });
        accepting.abort();
        // Nodes hear how it ended before the endpoint closes under their sessions.
        drop(events);
        sessions.close();
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, sessions.wait()).await;
        result
    }

    fn deliver(
        &self,
        journal: &mut JobJournal,
        outcome: &starling_plan::Outcome,
        path: &Path,
    ) -> Result<Delivery, JobError> {
        let assembled = deliver::assemble(journal.state(), &self.blobs, outcome)?;
        let elapsed_ms = unix_ms().saturating_sub(journal.state().created_at_ms);
        let seconds = elapsed_ms as f64 / 1000.0;
        let delivery = deliver::write(journal.state(), &assembled, path, seconds)?;
        let work_path = delivery.work_receipt.as_deref();
        let receipt = deliver::keep(&self.blobs, path)?;
        let work_receipt = work_path.map(|path| deliver::keep(&self.blobs, path)).transpose()?;
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
            let pin = deliver::keep(&self.blobs, path)?.pin;
            self.log.root(journal.state().id.into()).add(pin)?;
        }
        Ok(delivery)
    }
}
