//! How many events a second the whole loop of a job takes: core, scheduler, a real log in SQLite on the disk of the temporary
//! directory, nodes that answer at once, and checks that only compare. `cargo bench -p starling-job`; `TMPDIR` chooses
//! another disk.

#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::disallowed_methods)]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/world/scripts.rs"]
mod scripts;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use scripts::{Fake as _, Piece, Segments, Trouble, proved, result_of};
use starling_job::{
    Action, Config, ConnectionId, End, Event, JobCore, JobEvent, JobState, SourceRun, Verdict, Word,
};
use starling_store::{Entry, EventLog};
use starling_types::{
    BlobRef, Capability, Incarnation, JobId, KindCode, MemoryBytes, MemoryTable, Millis, NodeId,
};
use tokio::task::JoinSet;

/// The segments of one job: some 10 days of proving on one core.
const SEGMENT_COUNT: u32 = 10_000;

/// Nodes that answer as soon as they are asked: each has one result on its way through check and log.
const NODE_COUNT: u8 = 250;

/// As in the client: records under way, beyond which the source waits.
const RECORDS_UNDER_WAY_MAX: usize = 1024;

/// How long it is measured, in whole jobs.
const MEASURED: Duration = Duration::from_secs(20);

struct Job {
    core: JobCore<Segments>,
    script: Segments,
    log: EventLog,
    id: JobId,
    started: Instant,
    queue: VecDeque<Event<Segments>>,
    beside: JoinSet<Event<Segments>>,
    /// The run of the source and its next piece.
    source: Option<(SourceRun, u32)>,
    end: Option<End<Segments>>,
    event_count: u64,
    logged_count: u64,
}

fn kind(piece: &Piece) -> &'static str {
    match piece {
        Piece::Segment { .. } => "segment",
        Piece::Ended { .. } => "ended",
        Piece::Done => "done",
    }
}

impl Job {
    fn new(log: EventLog, number: u8) -> Self {
        let script = Segments::new(SEGMENT_COUNT);
        let mut state = JobState::new(script.clone());
        state.apply(&JobEvent::ClientStarted { incarnation: Incarnation(1) }).unwrap();
        let config = Config {
            scheduler: starling_sched::Config { leases_ahead: false, ..Default::default() },
            node_wait: Millis(120_000),
            timeout: None,
            seed: 1,
        };
        let capability = Capability {
            memory: MemoryBytes::from_mib(4096),
            kinds: (0..32).map(|kind| (KindCode(kind), MemoryTable::default())).collect(),
            slots: 1,
            speed_permille: 1000,
        };
        let nodes = (0..NODE_COUNT).map(|name| NodeId([name; 32]));
        let connection = ConnectionId(1);
        let greeted = nodes.flat_map(|node| {
            let capability = capability.clone();
            let word = Word::WorkRequested;
            [
                Event::NodeConnected { node, connection, capability },
                Event::NodeSaid { node, connection, word },
            ]
        });
        Self {
            core: JobCore::new(config, state).unwrap(),
            script,
            log,
            id: JobId([number; 16]),
            started: Instant::now(),
            queue: std::iter::once(Event::Begin).chain(greeted).collect(),
            beside: JoinSet::new(),
            source: None,
            end: None,
            event_count: 0,
            logged_count: 0,
        }
    }

    async fn run(&mut self) {
        while self.end.is_none() {
            while let Some(Ok(event)) = self.beside.try_join_next() {
                self.tell(event);
            }
            if let Some(event) = self.queue.pop_front() {
                self.tell(event);
            } else if let Some(event) = self.next_piece() {
                self.tell(event);
            } else if let Some(event) = self.beside.join_next().await {
                self.tell(event.unwrap());
            }
        }
    }

    fn next_piece(&mut self) -> Option<Event<Segments>> {
        if self.core.record_count() >= RECORDS_UNDER_WAY_MAX {
            return None;
        }
        let (run, next) = self.source.as_mut()?;
        let (piece, blob) = self.script.told(0, *next)?;
        *next += 1;
        Some(Event::Emitted { run: *run, piece, pins: vec![blob] })
    }

    fn tell(&mut self, event: Event<Segments>) {
        self.event_count += 1;
        let now = Millis(self.started.elapsed().as_millis() as u64);
        for action in self.core.handle(now, event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action<Segments>) {
        match action {
            Action::Record { id, events, keep, .. } => {
                let mut entry = Entry::of_job(self.id, 0);
                if let Some(keep) = keep {
                    entry = entry.holding_only(keep);
                }
                for event in &events {
                    entry = entry.event(event.kind(kind), event).unwrap();
                    self.logged_count += 1;
                }
                let written = self.log.hand_over(entry);
                self.beside.spawn(async move {
                    match written.await {
                        Ok(_) => Event::Recorded { id },
                        Err(_) => Event::NotRecorded { id, error: Trouble("not written") },
                    }
                });
            }
            Action::Grant { node, lease, .. } => {
                let (epoch, blob) = (lease.epoch, result_of(lease.task, 0, 0));
                let connection = ConnectionId(1);
                for word in [Word::Done { epoch, blob }, Word::WorkRequested] {
                    self.queue.push_back(Event::NodeSaid { node, connection, word });
                }
            }
            Action::Check { epoch, task, blob, .. } => {
                self.beside.spawn(async move {
                    Event::Checked { epoch, verdict: verdict(blob, result_of(task, 0, 0)) }
                });
            }
            Action::StartSource { run } => self.source = Some((run, 0)),
            Action::Deliver { .. } => {
                self.queue.push_back(Event::Delivered { done: Piece::Done, pins: Vec::new() });
            }
            Action::End(end) => self.end = Some(end),
            _ => {}
        }
    }
}

fn verdict(blob: BlobRef, right: BlobRef) -> Verdict<Segments> {
    if blob == right {
        return Verdict::Accepted(blob);
    }
    Verdict::Refused { reason: "false".into() }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let started = Instant::now();
    let (mut jobs, mut events, mut logged) = (0, 0, 0);
    while started.elapsed() < MEASURED {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::open(&dir.path().join("starling.db")).unwrap();
        let mut job = Job::new(log, jobs);
        job.run().await;
        let Some(End::Proved(outcome)) = &job.end else { panic!("{:?}", job.end) };
        assert_eq!(*outcome, proved(SEGMENT_COUNT));
        (jobs, events, logged) = (jobs + 1, events + job.event_count, logged + job.logged_count);
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = |count: u64| count as f64 / seconds;
    println!(
        "{jobs} jobs of {SEGMENT_COUNT} segments over {NODE_COUNT} nodes: {:.0} events/s, of which {:.0} logged",
        rate(events),
        rate(logged)
    );
}
