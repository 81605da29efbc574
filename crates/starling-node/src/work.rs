//! What is done for a lease: fetch an input, prove, store the result. Each ends in one event.

use std::time::Duration;

use n0_future::time::Instant;
use starling_blobs::{Pin, StoreError};
use starling_child::{InputFile, ProveFailure, TaskWork, TimeLimits};
use starling_net::{FetchError, Net, Source};
use starling_node_core::{Event, InputFailure, Order, ProofFailure, ProofReport, WorkId};
use starling_types::{BlobRef, FailureClass, Millis};
use tokio::sync::mpsc;

use crate::{disk::Disk, provers::SharedProvers, scratch::Scratch};

/// What all work needs.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) net: Net,
    pub(crate) disk: Disk,
    pub(crate) scratch: Scratch,
}

/// How something that was done for a lease ended, and what keeps the blob that it brought, to be kept when the core is told.
pub(crate) struct Ended {
    pub(crate) event: Event,
    pub(crate) pin: Option<Pin>,
}

impl From<Event> for Ended {
    fn from(event: Event) -> Self {
        Self { event, pin: None }
    }
}

impl Bench {
    /// Brings a blob into the store.
    pub(crate) async fn fetch(self, work: WorkId, blob: BlobRef, sources: Vec<Source>) -> Ended {
        self.disk.settled().await;
        let cause = match self.net.fetch(blob, &sources).await {
            Ok(report) => {
                // One line, however many: who they are is the client's word.
                if let Some(first) = report.liars.first() {
                    let count = report.liars.len();
                    tracing::warn!(first = %format_args!("{first:#}"), count, "holders of an input sent wrong bytes");
                }
                return Ended { event: Event::Fetched { work }, pin: Some(report.pin) };
            }
            Err(FetchError::Store(StoreError::NoSpace(_))) => InputFailure::NoRoom,
            Err(FetchError::Store(error)) => InputFailure::Storage(error.to_string()),
            // The client itself is named last.
            Err(error)
                if sources.last().is_some_and(|client| error.is_busy(client.peer.node_id)) =>
            {
                InputFailure::Busy
            }
            Err(error) => InputFailure::Unavailable(error.to_string()),
        };
        Event::NotFetched { work, cause }.into()
    }

    /// Proves. Dropping the future ends the prover.
    pub(crate) async fn prove(
        self,
        work: WorkId,
        provers: SharedProvers,
        order: Order,
        events: mpsc::Sender<Event>,
    ) -> Ended {
        self.prove_at(work, provers, order, events).await.into()
    }

    async fn prove_at(
        self,
        work: WorkId,
        provers: SharedProvers,
        order: Order,
        events: mpsc::Sender<Event>,
    ) -> Event {
        // Kept until the proof is made.
        let (roles, blobs): (Vec<_>, Vec<_>) = order.inputs.into_iter().unzip();
        let files = match self.scratch.open(blobs).await {
            Ok(files) => files,
            Err(message) => {
                return Event::NotProved { work, cause: ProofFailure::Node(message) };
            }
        };
        let task = TaskWork {
            task: order.task,
            arguments: order.arguments,
            inputs: roles
                .into_iter()
                .zip(&files)
                .map(|(role, file)| InputFile { role, path: file.path().into() })
                .collect(),
            output: self.scratch.output(work),
            profile: order.profile,
            memory_limit: Some(order.memory_limit),
        };
        let tell = |done_permille| {
            // The next is as good when nobody has read the last.
            let _ = events.try_send(Event::GotOn { work, done_permille });
        };
        let started = Instant::now();
        let limits = TimeLimits {
            standstill: Duration::from_millis(order.standstill_max.0),
            total: Duration::from_millis(order.time_left.0),
        };
        let mut provers = provers.lock().await;
        let Some(prover) = provers.of(&order.system) else {
            let message = format!("this node has no prover for {}", order.system);
            return Event::NotProved { work, cause: ProofFailure::Node(message) };
        };
        let proved = prover.run_watched(&task, limits, tell).await;
        match proved {
            Ok(report) => {
                let report = ProofReport {
                    elapsed: Millis(started.elapsed().as_millis() as u64),
                    peak_memory: report.peak_memory.unwrap_or_default(),
                    reproved: report.reproved,
                };
                Event::Proved { work, report }
            }
            Err(failure) => Event::NotProved { work, cause: cause_of(&failure) },
        }
    }

    /// Stores a proof. Not to be cancelled: the name of what is stored must be known.
    pub(crate) async fn publish(self, work: WorkId) -> Ended {
        match self.scratch.store(work).await {
            Ok(pin) => {
                let event = Event::Published { work, result: pin.blob() };
                Ended { event, pin: Some(pin) }
            }
            Err(cause) => Event::NotPublished { work, cause }.into(),
        }
    }
}

fn cause_of(failure: &ProveFailure) -> ProofFailure {
    let message = failure.to_string();
    match failure {
        ProveFailure::Killed { .. } => ProofFailure::Killed(message),
        ProveFailure::OutOfMemory { .. }
        | ProveFailure::Refused { class: FailureClass::Memory, .. } => {
            ProofFailure::OutOfMemory(message)
        }
        ProveFailure::Refused { class: FailureClass::Input, .. } => ProofFailure::Input(message),
        ProveFailure::Refused { class: FailureClass::Task, .. } => ProofFailure::Task(message),
        _ => ProofFailure::Node(message),
    }
}
