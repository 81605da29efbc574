//! One job from its log to its receipt: the network, local nodes, the execution and the delivery around
//! the event loop, which is the [`Runner`]'s.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use rand::RngExt as _;
use starling_net::{Net, NetConfig};
use starling_proto::{PeerAddr, Ticket};
use starling_types::{BlobRef, JobId};
use starling_zkvm::{ExecuteOptions, Guest, zkvm};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Client, Delivery, JobError, JobEvent, JobPhase, JobState, LocalNodes, Patience, Progress,
    StateError,
    advertise::advertise,
    deliver,
    execution::ExecutionThread,
    journal::{JobJournal, unix_ms},
    local, peers,
    runner::{End, PEER_EVENTS_MAX, Parts, Runner},
};

/// How many times in one run an execution that differs from the log is begun anew. With seeded
/// randomness it does not happen at all; a guest that never repeats itself must not loop for ever.
const DIVERGENCES_MAX: u32 = 1;

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
        let mut journal = JobJournal::open(self.log.clone(), id)?;
        match journal.state().phase.clone() {
            JobPhase::Cancelled => return Err(JobError::Cancelled { job: id }),
            JobPhase::Done { receipt, seconds } => {
                tracing::info!(job = %format_args!("{id:#}"), "the job is done already");
                let receipt = deliver::stored(journal.state(), &self.blobs, receipt)?;
                // Guest and input were stored once more to find the job.
                self.collect_garbage()?;
                return deliver::write(journal.state(), &receipt, &options.receipt, seconds);
            }
            JobPhase::Open | JobPhase::Failed { .. } => {}
        }
        let theirs = &journal.state().request.zkvm;
        if *theirs != zkvm() {
            return Err(JobError::OtherRelease { job: id, theirs: theirs.clone(), ours: zkvm() });
        }
        let incarnation = journal.state().incarnation + 1;
        journal.record(JobEvent::ClientStarted { incarnation })?;
        let result = self.run_open(&mut journal, options, guest_output, progress, stop).await;
        if let Err(error) = &result
            && error.is_final()
        {
            // A full disk must not hide why the job failed.
            if let Err(error) = journal.record(JobEvent::Failed { message: error.to_string() }) {
                tracing::warn!(%error, "the failure could not be logged");
            }
        }
        result
    }

    async fn run_open(
        &self,
        journal: &mut JobJournal,
        options: RunOptions,
        guest_output: impl Write + Send + Clone + 'static,
        progress: &watch::Sender<Progress>,
        stop: CancellationToken,
    ) -> Result<Delivery, JobError> {
        let guest = self.guest(journal.state())?;
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

        let outcome =
            self.prove(journal, &guest, &net, &options, guest_output, progress, &stop).await;
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

    #[allow(clippy::too_many_arguments)]
    async fn prove(
        &self,
        journal: &mut JobJournal,
        guest: &Guest,
        net: &Net,
        options: &RunOptions,
        guest_output: impl Write + Send + Clone + 'static,
        progress: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<starling_plan::Outcome, JobError> {
        let zkvm = zkvm();
        let (events_in, mut events) = mpsc::channel(PEER_EVENTS_MAX);
        let job = journal.state().id;
        let accepting = tokio::spawn(peers::accept(net.clone(), job, zkvm, events_in));
        let mut divergences = 0;
        let result = loop {
            let execution = self
                .needs_execution(journal.state())
                .then(|| self.execute(journal.state(), guest, guest_output.clone()))
                .transpose()?;
            let parts = Parts {
                net: net.clone(),
                blobs: self.blobs.clone(),
                journal,
                execution,
                peer_events: &mut events,
                progress,
                patience: options.patience.clone(),
                seed: rand::rng().random(),
            };
            let mut runner = Runner::new(parts)?;
            let end = runner.run(stop).await;
            runner.finish(match &end {
                Ok(End::Proved(_)) => "the job is proved",
                Ok(End::Diverged { .. }) => "the job starts over",
                Err(_) => "the job is stopped",
            });
            match end {
                Ok(End::Proved(outcome)) => break Ok(outcome),
                Ok(End::Diverged { reason }) if divergences < DIVERGENCES_MAX => {
                    divergences += 1;
                    tracing::warn!(
                        reason,
                        "the guest did not execute the same way again; the job starts over"
                    );
                    journal.record(JobEvent::Restarted { reason })?;
                    // The new run of the scheduler must not give out the lease numbers of the old one.
                    let incarnation = journal.state().incarnation + 1;
                    journal.record(JobEvent::ClientStarted { incarnation })?;
                }
                Ok(End::Diverged { reason }) => break Err(JobError::Diverged { reason }),
                Err(error) => break Err(error),
            }
        };
        accepting.abort();
        result
    }

    /// Whether the guest has to run: it has not ended yet, or something of what it left is lost.
    fn needs_execution(&self, state: &JobState) -> bool {
        let is_here = |blob: &BlobRef| self.blobs.blob(blob.reference).is_some();
        match &state.execution {
            None => true,
            Some(summary) => {
                !is_here(&summary.journal)
                    || !state.segments.iter().all(|segment| is_here(&segment.blob))
            }
        }
    }

    fn guest(&self, state: &JobState) -> Result<Guest, JobError> {
        let blob = state.request.guest;
        let bytes = self
            .blobs
            .get(blob.reference, blob.size_bytes)?
            .ok_or_else(|| JobError::BlobMissing { what: "the guest".into(), job: state.id })?;
        Ok(Guest::parse(bytes)?)
    }

    fn execute(
        &self,
        state: &JobState,
        guest: &Guest,
        guest_output: impl Write + Send + 'static,
    ) -> Result<ExecutionThread, JobError> {
        let input = self
            .blobs
            .open_read(state.request.input.reference)?
            .ok_or_else(|| JobError::BlobMissing { what: "the input".into(), job: state.id })?;
        let mut seed = [0; 32];
        hex::decode_to_slice(&state.seed, &mut seed).map_err(|error| StateError::Unreadable {
            job: state.id,
            seq: 1,
            detail: format!("the seed: {error}"),
        })?;
        let options = ExecuteOptions {
            input: Box::new(io::BufReader::new(input.1)),
            segment_po2: state.request.segment_po2,
            cycle_limit: state.request.cycle_limit,
            seed,
            guest_output: Box::new(guest_output),
        };
        Ok(ExecutionThread::start(guest.clone(), options, self.blobs.clone()))
    }

    fn deliver(
        &self,
        journal: &mut JobJournal,
        outcome: &starling_plan::Outcome,
        path: &Path,
    ) -> Result<Delivery, JobError> {
        let receipt = deliver::assemble(journal.state(), &self.blobs, outcome)?;
        let elapsed_ms = unix_ms().saturating_sub(journal.state().created_at_ms);
        let seconds = elapsed_ms as f64 / 1000.0;
        let delivery = deliver::write(journal.state(), &receipt, path, seconds)?;
        let kept = deliver::keep(&self.blobs, path)?;
        journal.record(JobEvent::Done { receipt: kept, seconds })?;
        self.collect_garbage()?;
        // There was no room for it before, and there may be now.
        if self.blobs.blob(kept.reference).is_none() {
            deliver::keep(&self.blobs, path)?;
        }
        Ok(delivery)
    }
}
