//! The pump of one job: what happens goes to its core, what the core decides is done here. It decides nothing.
//!
//! Everything comes in through [`Runner::run`], in one task: what the source puts out, what nodes say, what the log and the
//! checks answer, and time (`hear.rs`). Whatever takes long or touches the disk runs beside it and comes back as an event
//! (`act.rs`).

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use starling_job::{End, Event, JobCore, SourceRun};
use starling_store::{BlobStore, EventLog};
use starling_types::Millis;
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    JobError, JobProgress,
    check::Checker,
    look::Looks,
    meter::Meter,
    peers::Peers,
    system::{Delivery, PutOut, Running as _, System},
    translate::{error_of, millis},
};

mod act;
mod hear;
mod show;
mod wanted;

use wanted::Wanted;

/// Records on their way to the log, beyond which neither nodes nor the source are listened to: as many as the log writes in
/// one transaction. Each is about a kilobyte.
const RECORDS_UNDER_WAY_MAX: usize = 1024;

/// One run of one job.
pub(crate) struct Runner<'a, S: System> {
    core: JobCore<S>,
    log: Arc<EventLog>,
    blobs: BlobStore,
    checker: Checker,
    peers: Peers,
    looks: Looks,
    watchers: &'a watch::Sender<JobProgress>,
    meter: Meter,
    begin: S::Begin,
    source: Wanted<S::Running>,
    /// What runs beside the loop, and comes back as an event.
    beside: JoinSet<Beside<S>>,
    /// Stops what is being put together.
    delivery: Option<DropGuard>,
    done: Option<Done<S>>,
    started: Instant,
    end: Option<End<S>>,
}

/// What comes back from beside the loop: nearly always an event.
#[allow(clippy::large_enum_variant)]
enum Beside<S: System> {
    Event(Event<S>),
    Started(SourceRun, S::Running),
    Delivered(Box<Delivery<S>>),
}

/// What a job that is done hands over.
pub(crate) struct Done<S: System> {
    pub(crate) delivered: S::Delivered,
    /// Whether something of it could not be kept for want of room.
    pub(crate) lacks_room: bool,
}

/// What a [`Runner`] is made of.
pub(crate) struct Parts<'a, S: System> {
    pub(crate) checker: Checker,
    pub(crate) blobs: BlobStore,
    pub(crate) log: Arc<EventLog>,
    pub(crate) begin: S::Begin,
    pub(crate) peers: Peers,
    pub(crate) watchers: &'a watch::Sender<JobProgress>,
}

impl<'a, S: System> Runner<'a, S> {
    /// A runner around this core.
    pub(crate) fn new(core: JobCore<S>, parts: Parts<'a, S>) -> Self {
        let Parts { checker, blobs, log, begin, peers, watchers } = parts;
        Self {
            core,
            log,
            blobs,
            checker,
            peers,
            looks: Looks::default(),
            watchers,
            meter: Meter::default(),
            begin,
            source: Wanted::default(),
            beside: JoinSet::new(),
            delivery: None,
            done: None,
            started: Instant::now(),
            end: None,
        }
    }

    /// Runs the job until it is done, or an error, or `stop`.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<Done<S>, JobError> {
        let mut ticks = tokio::time::interval(show::PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stopped = false;
        self.tell(Event::Begin);
        loop {
            if let Some(end) = self.end.take() {
                return match error_of(end, self.core.state()) {
                    Some(error) => Err(error),
                    None => self.done.take().ok_or_else(|| JobError::Died {
                        what: "the delivery of a job",
                        detail: "the job is done, and nothing was delivered".into(),
                    }),
                };
            }
            let listens = self.core.record_count() < RECORDS_UNDER_WAY_MAX;
            let wakeup = self.core.next_wakeup();
            tokio::select! {
                () = stop.cancelled(), if !is_stopped => {
                    is_stopped = true;
                    self.tell(Event::Stop);
                }
                (run, emitted) = next_of::<S>(&mut self.source), if listens => {
                    self.on_emitted(run, emitted);
                }
                Some(event) = self.peers.next(), if listens => self.on_peer(event),
                Some(beside) = self.beside.join_next() => match beside {
                    Ok(Beside::Event(event)) => self.tell(event),
                    Ok(Beside::Started(run, source)) => {
                        self.source.started(run, source);
                    }
                    Ok(Beside::Delivered(delivery)) => self.on_delivered(*delivery),
                    Err(error) => return Err(JobError::Died {
                        what: "what ran beside the job",
                        detail: error.to_string(),
                    }),
                },
                () = sleep_until(self.started, wakeup) => self.tell(Event::Tick),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Tells the nodes, those that come later included, that there is no work for them.
    pub(crate) fn take_leave(&mut self, message: &str) {
        self.peers.say_goodbye(message);
    }

    fn tell(&mut self, event: Event<S>) {
        // What the core hears of its actions waits until all of them are done: the log takes them in their order.
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.meter.event();
            for action in self.core.handle(millis(self.started.elapsed()), event) {
                events.extend(self.act(action));
            }
        }
    }
}

/// What the source puts out next, `None` when it has died; never, when there is none.
async fn next_of<S: System>(source: &mut Wanted<S::Running>) -> (SourceRun, Option<PutOut<S>>) {
    match source.running() {
        Some((run, source)) => (run, source.next().await),
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
