//! The pump of one job: what happens goes to its core, what the core decides is done here. It decides nothing.
//!
//! Everything comes in through [`Runner::run`], in one task: what the source puts out, what nodes say, what the log and the
//! checks answer, and time. Whatever takes long or touches the disk runs beside it and comes back as an event.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use starling_job::{Config, ConnectionId, End, Event, JobCore, SourceRun, Word};
use starling_net::Net;
use starling_plan::Outcome;
use starling_store::BlobStore;
use starling_types::Millis;
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    JobError, Progress, ZkvmScript,
    check::Checker,
    execution::{ExecutionEvent, ExecutionThread},
    journal::JobJournal,
    peers::{PeerEvent, PeerEvents, Peers},
    source::JobSource,
    translate::{millis, outcome_of, word_of},
};

mod act;

/// How often watchers hear of the progress.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// Records on their way to the log, beyond which neither nodes nor the source are listened to: as many as the log writes in
/// one transaction. Each is about a kilobyte.
const RECORDS_UNDER_WAY_MAX: usize = 1024;

/// How long a job may wait, and on what.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long there may be no node that can take a ready task.
    pub node_wait: Duration,
    /// How long the job may take in this run.
    pub timeout: Option<Duration>,
}

/// One run of one job.
pub(crate) struct Runner<'a> {
    core: JobCore<ZkvmScript>,
    journal: &'a mut JobJournal,
    blobs: BlobStore,
    checker: Checker,
    peers: Peers,
    peer_events: &'a mut PeerEvents,
    progress: &'a watch::Sender<Progress>,
    source: JobSource,
    /// The run of the source that is wanted: it may not have been started yet.
    wanted: Option<SourceRun>,
    execution: Option<(SourceRun, ExecutionThread)>,
    /// What runs beside the loop, and comes back as an event.
    beside: JoinSet<Beside>,
    started: Instant,
    end: Option<End<ZkvmScript>>,
}

/// What comes back from beside the loop: nearly always an event.
#[allow(clippy::large_enum_variant)]
enum Beside {
    Event(Event<ZkvmScript>),
    Started(SourceRun, ExecutionThread),
}

/// What a [`Runner`] is made of.
pub(crate) struct Parts<'a> {
    pub(crate) net: Net,
    pub(crate) blobs: BlobStore,
    pub(crate) journal: &'a mut JobJournal,
    pub(crate) source: JobSource,
    pub(crate) peer_events: &'a mut PeerEvents,
    pub(crate) progress: &'a watch::Sender<Progress>,
    pub(crate) patience: Patience,
    pub(crate) seed: u64,
}

impl<'a> Runner<'a> {
    /// A runner of the job as its log tells it.
    pub(crate) fn new(parts: Parts<'a>) -> Result<Self, JobError> {
        let Parts { net, blobs, journal, source, peer_events, progress, patience, seed } = parts;
        let config = Config {
            scheduler: starling_sched::Config::default(),
            node_wait: millis(patience.node_wait),
            timeout: patience.timeout.map(millis),
            seed,
        };
        let state = journal.state().clone();
        Ok(Self {
            peers: Peers::new(state.id, state.request.zkvm.clone()),
            core: JobCore::new(config, state)?,
            journal,
            checker: Checker::new(net, blobs.clone()),
            blobs,
            peer_events,
            progress,
            source,
            wanted: None,
            execution: None,
            beside: JoinSet::new(),
            started: Instant::now(),
            end: None,
        })
    }

    /// Runs the job until all receipts are there, or an error, or `stop`.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<Outcome, JobError> {
        let mut ticks = tokio::time::interval(PROGRESS_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stopped = false;
        self.tell(Event::Begin);
        loop {
            if let Some(end) = self.end.take() {
                return outcome_of(end, self.core.state().id);
            }
            let listens = self.core.record_count() < RECORDS_UNDER_WAY_MAX;
            let wakeup = self.core.next_wakeup();
            tokio::select! {
                () = stop.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    self.tell(Event::Stop);
                }
                (run, event) = next_of(&mut self.execution), if listens => {
                    self.on_execution(run, event);
                }
                Some(event) = self.peer_events.recv(), if listens => self.on_peer(event),
                Some(beside) = self.beside.join_next() => match beside {
                    Ok(Beside::Event(event)) => self.tell(event),
                    Ok(Beside::Started(run, thread)) => {
                        self.execution = Some((run, thread)).filter(|_| self.wanted == Some(run));
                    }
                    Err(error) => return Err(JobError::Died {
                        what: "what ran beside the job",
                        detail: error.to_string(),
                    }),
                },
                () = sleep_until(self.started, wakeup) => self.tell(Event::Tick),
                _ = ticks.tick() => {
                    self.progress.send_replace(self.core.status().into());
                }
            }
        }
    }

    /// Takes leave of the nodes, and hands the job's state back to its journal.
    pub(crate) fn finish(mut self, message: &str) {
        self.peers.say_goodbye(message);
        self.journal.resume(self.core.into_state());
    }

    fn tell(&mut self, event: Event<ZkvmScript>) {
        // What the core hears of its actions waits until all of them are done: the log takes them in their order.
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.core.handle(millis(self.started.elapsed()), event) {
                events.extend(self.act(action));
            }
        }
    }

    fn on_peer(&mut self, event: PeerEvent) {
        let said = |node, generation, word| {
            let connection = ConnectionId(generation);
            Event::NodeSaid { node, connection, word }
        };
        match event {
            PeerEvent::Joined(joined) => {
                let (node, capability) = (joined.node, joined.capability.clone());
                let connection = ConnectionId(joined.generation);
                self.peers.insert(joined);
                self.tell(Event::NodeConnected { node, connection, capability });
            }
            PeerEvent::Asked { node, generation, count, answer } => {
                (0..count).for_each(|_| self.tell(said(node, generation, Word::WorkRequested)));
                drop(answer);
            }
            PeerEvent::Withdrawn { node, generation } => {
                self.tell(said(node, generation, Word::RequestsWithdrawn));
            }
            PeerEvent::Said { node, generation, message, _room } => {
                if let Some(word) = word_of(node, message) {
                    self.tell(said(node, generation, word));
                }
            }
            PeerEvent::Left { node, generation } => {
                self.peers.remove(node, generation);
                self.tell(Event::NodeGone { node, connection: ConnectionId(generation) });
            }
        }
    }
}

/// The next event of the execution, `None` when its thread has died; never, when there is none.
async fn next_of(
    execution: &mut Option<(SourceRun, ExecutionThread)>,
) -> (SourceRun, Option<ExecutionEvent>) {
    match execution {
        Some((run, thread)) => (*run, thread.next().await),
        None => std::future::pending().await,
    }
}

async fn sleep_until(started: Instant, wakeup: Option<Millis>) {
    match wakeup {
        Some(Millis(at)) => {
            tokio::time::sleep_until((started + Duration::from_millis(at)).into()).await;
        }
        None => std::future::pending().await,
    }
}
