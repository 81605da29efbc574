//! The event loop of one job: executes, lets the scheduler decide, does what it decides.
//!
//! Everything that happens comes in through [`Runner::run`], in one task: what the execution emits,
//! what nodes say, what checks of results find, and time. Each becomes an event of the pure scheduler,
//! and each action of the scheduler becomes I/O here. What must survive a crash is in the log before
//! the scheduler hears of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use starling_cost::CostModel;
use starling_net::Net;
use starling_plan::{Outcome, PlanShape, ZkvmInput, ZkvmPlan};
use starling_proto::NodeMessage;
use starling_sched::{Action, Config, Failure, Scheduler};
use starling_store::BlobStore;
use starling_types::{
    BlobRef, Epoch, IndexRange, Millis, NodeId, Po2, ReceiptKind, Reference, Stage, Task, TaskId,
    TaskKind,
};
use starling_zkvm::{AssumptionId, ExecuteError, Execution, ExitCode};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    AssumedFrom, ExecutionSummary, Given, JobError, JobEvent, JobRequest, JobState, Progress,
    Source,
    check::{Checker, Verdict},
    execution::{Ended, ExecutionEvent, ExecutionThread},
    journal::JobJournal,
    judge::{Fault, Judged, look_again},
    peers::{PeerEvent, Peers},
};

type Event = starling_sched::Event<ZkvmInput>;

/// How often watchers hear of the progress, and the waiting time is looked at.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// Peer events that may wait for the loop; a session that would exceed it waits in turn.
pub(crate) const PEER_EVENTS_MAX: usize = 1024;

/// What is said of the size of tasks that have none, in jobs without segments.
const PO2_UNSIZED: Po2 = Po2::SMALLEST;

/// How long a job may wait, and on what.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long there may be no node that can take a ready task.
    pub node_wait: Duration,
    /// How long the job may take in this run.
    pub timeout: Option<Duration>,
}

/// How the event loop ended.
pub(crate) enum End {
    /// All receipts are there.
    Proved(Outcome),
    /// The execution went another way than the one that the log tells of: start over.
    Diverged { reason: String },
}

/// One run of one job.
pub(crate) struct Runner<'a> {
    blobs: BlobStore,
    journal: &'a mut JobJournal,
    execution: Option<ExecutionThread>,
    peers: Peers,
    peer_events: &'a mut mpsc::Receiver<PeerEvent>,
    progress: &'a watch::Sender<Progress>,
    patience: Patience,
    started: Instant,
    scheduler: Scheduler<ZkvmPlan>,
    checks: JoinSet<(Epoch, NodeId, TaskId, BlobRef, Verdict)>,
    checker: Checker,
    /// Tasks that several nodes refuse, whose inputs are looked at again.
    judgements: JoinSet<(Judged, Vec<Fault>)>,
    /// Since when a ready task has been waiting for a node, and why.
    waiting: Option<(Instant, String)>,
    /// How the job ended, once it has.
    outcome: Option<Result<Outcome, JobError>>,
}

/// What a [`Runner`] is made of.
pub(crate) struct Parts<'a> {
    pub(crate) net: Net,
    pub(crate) blobs: BlobStore,
    pub(crate) journal: &'a mut JobJournal,
    pub(crate) execution: Option<ExecutionThread>,
    pub(crate) peer_events: &'a mut mpsc::Receiver<PeerEvent>,
    pub(crate) progress: &'a watch::Sender<Progress>,
    pub(crate) patience: Patience,
    pub(crate) seed: u64,
}

impl<'a> Runner<'a> {
    /// A runner of the job as its log tells it.
    pub(crate) fn new(parts: Parts<'a>) -> Result<Self, JobError> {
        let Parts { net, blobs, journal, execution, peer_events, progress, patience, seed } = parts;
        let plan = replay(journal.state(), &blobs)?;
        let incarnation = journal.state().incarnation;
        let peers = Peers::new(journal.state().id, journal.state().request.zkvm.clone());
        let scheduler = Scheduler::new(Config::default(), plan, incarnation, seed);
        Ok(Self {
            checker: Checker::new(net, blobs.clone()),
            blobs,
            journal,
            execution,
            peers,
            peer_events,
            progress,
            patience,
            started: Instant::now(),
            scheduler,
            checks: JoinSet::new(),
            judgements: JoinSet::new(),
            waiting: None,
            outcome: None,
        })
    }

    /// Runs the job until all receipts are there, or an error, or `stop`.
    pub(crate) async fn run(&mut self, stop: &CancellationToken) -> Result<End, JobError> {
        let mut ticks = tokio::time::interval(PROGRESS_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The plan of a resumed job may be complete already.
        self.tell(Event::Tick);
        loop {
            if let Some(outcome) = self.outcome.take() {
                return outcome.map(End::Proved);
            }
            let wakeup = self.scheduler.next_wakeup();
            tokio::select! {
                () = stop.cancelled() => {
                    return Err(JobError::Interrupted { job: self.journal.state().id });
                }
                event = next_of(&mut self.execution) => {
                    let event = event.ok_or_else(|| JobError::Died {
                        what: "the execution",
                        detail: "its thread ended without a word".into(),
                    })?;
                    if let Some(reason) = self.on_execution(event)? {
                        return Ok(End::Diverged { reason });
                    }
                }
                Some(event) = self.peer_events.recv() => self.on_peer(event),
                Some(checked) = self.checks.join_next() => {
                    let checked = checked.map_err(|error| JobError::Died {
                        what: "the check of a result",
                        detail: error.to_string(),
                    })?;
                    self.on_checked(checked)?;
                }
                Some(judged) = self.judgements.join_next() => {
                    let judged = judged.map_err(|error| JobError::Died {
                        what: "the second look at a task",
                        detail: error.to_string(),
                    })?;
                    self.on_judged(judged)?;
                }
                () = sleep_until(self.started, wakeup) => self.tell(Event::Tick),
                _ = ticks.tick() => {
                    self.report_progress();
                    self.check_patience()?;
                }
            }
        }
    }

    /// Takes leave of the nodes: for good, or because the job starts over.
    pub(crate) fn finish(mut self, starts_over: bool, message: &str) {
        self.peers.say_goodbye(starts_over, message);
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    /// Tells the scheduler of `event` and does what it asks for.
    fn tell(&mut self, event: Event) {
        for action in self.scheduler.handle(self.now(), event) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action<Outcome>) {
        match action {
            Action::Grant { node, lease } => {
                tracing::debug!(task = %named(lease.task), node = %format_args!("{node:#}"), epoch = %lease.epoch, "granted");
                let request = &self.journal.state().request;
                // A task that is no segment and no keccak proof has no size of its own.
                let po2 = lease.po2.or(request.segment_po2()).unwrap_or(PO2_UNSIZED);
                let counts_work = request.counts_work();
                self.peers.grant(node, lease, po2, counts_work);
            }
            Action::Revoke { node, epoch, task, reason } => {
                tracing::debug!(task = %named(task), node = %format_args!("{node:#}"), %epoch, ?reason, "revoked");
                self.peers.revoke(node, epoch, reason);
            }
            Action::Disown { node, epoch } => self.peers.disown(node, epoch),
            Action::CheckResult { node, epoch, task, blob } => {
                self.check(node, epoch, named(task), blob);
            }
            Action::Judge { task, inputs, nodes, message } => {
                let judged = Judged { task: named(task), inputs, nodes, message };
                let look = look_again(self.blobs.clone(), self.journal.state(), judged);
                self.judgements.spawn(look);
            }
            Action::Reread { blobs } => {
                let is_gone = |blob: &BlobRef| is_gone(&self.blobs, blob);
                let gone: Vec<BlobRef> = blobs.into_iter().filter(is_gone).collect();
                gone.into_iter().for_each(|blob| self.lose(blob.reference));
            }
            Action::Dismiss { node, reason } => {
                tracing::warn!(node = %format_args!("{node:#}"), reason, "dismissed a node");
                self.peers.dismiss(node, &reason);
            }
            Action::Expired { node, epoch, task, reason } => {
                tracing::info!(task = %named(task), node = %format_args!("{node:#}"), %epoch, ?reason, "a lease expired; the task goes elsewhere");
            }
            Action::Revived { node, epoch, task } => {
                tracing::info!(task = %named(task), node = %format_args!("{node:#}"), %epoch, "an expired lease is back");
            }
            Action::Ignored { reason } => tracing::debug!(%reason, "ignored"),
            Action::Waiting { reason } => {
                let since = self.waiting.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                self.waiting = Some((since, reason.to_string()));
            }
            Action::WaitingOver => self.waiting = None,
            Action::JobProved { outcome } => self.outcome = Some(Ok(outcome)),
            Action::JobFailed { reason } => self.outcome = Some(Err(reason.into())),
        }
    }

    /// Returns why the execution diverged from the log, if it did.
    fn on_execution(&mut self, event: ExecutionEvent) -> Result<Option<String>, JobError> {
        match event {
            ExecutionEvent::Segment { index, po2, blob, claim, work } => {
                // Segments of an execution that was cut short come again, byte for byte, since the
                // guest's randomness is seeded. It is checked, not assumed.
                if let Some(known) = self.journal.state().segments.get(index as usize) {
                    let same = known.blob == *blob && known.claim == claim;
                    let differs = (!same).then(|| differs("segment", index, known.blob, *blob));
                    self.tell(Event::BlobFound { blob: blob.reference });
                    return Ok(differs);
                }
                let (blob, pin) = (blob.blob(), blob);
                let stored = JobEvent::SegmentStored { index, po2, blob, claim, work };
                self.journal.record(stored, [pin])?;
                self.tell(Event::Input(ZkvmInput::Segment { index, po2, blob }));
            }
            ExecutionEvent::Keccak { index, po2, blob, assumption } => {
                if let Some(known) = self.journal.state().keccaks.get(index as usize) {
                    let same = known.blob == *blob && known.assumption == assumption;
                    let differs = (!same).then(|| differs("keccak", index, known.blob, *blob));
                    self.tell(Event::BlobFound { blob: blob.reference });
                    return Ok(differs);
                }
                let (blob, pin) = (blob.blob(), blob);
                let stored = JobEvent::KeccakStored { index, po2, blob, assumption };
                self.journal.record(stored, [pin])?;
                self.tell(Event::Input(ZkvmInput::Keccak { index, po2, blob }));
            }
            ExecutionEvent::Ended(ended) => {
                let thread = self.execution.take();
                let ended = ended.map_err(unwrap_sink)?;
                if let Some(error) = self.guest_failure(&ended.execution, thread) {
                    return Err(error);
                }
                return self.end_execution(ended);
            }
        }
        Ok(None)
    }

    /// Why the job goes no further though the guest has ended: it says that it failed, and nobody asked for a
    /// proof of that. A guest that paused with code zero has not failed.
    fn guest_failure(
        &self,
        execution: &Execution,
        thread: Option<ExecutionThread>,
    ) -> Option<JobError> {
        let request = &self.journal.state().request;
        let is_composite = request.receipt_kind == ReceiptKind::Composite;
        if matches!(execution.exit_code, ExitCode::Paused(_)) && !is_composite {
            return Some(JobError::PausedNotComposite { kind: request.receipt_kind });
        }
        let ended_well = matches!(execution.exit_code, ExitCode::Halted(0) | ExitCode::Paused(0));
        if ended_well || self.journal.state().request.proves_guest_errors() {
            return None;
        }
        Some(JobError::GuestFailed {
            exit: format!("{:?}", execution.exit_code),
            journal: execution.journal.clone(),
            output: thread.map(|thread| thread.output.text()).unwrap_or_default(),
        })
    }

    /// Returns why the execution diverged from the log, if it did.
    fn end_execution(&mut self, ended: Ended) -> Result<Option<String>, JobError> {
        let Ended { execution, keccak_count, given, mut pins } = ended;
        let state = self.journal.state();
        let counts = [
            ("segments", state.segments.len(), execution.segment_count),
            ("keccak requests", state.keccaks.len(), keccak_count),
        ];
        if let Some((what, known, now)) =
            counts.into_iter().find(|(_, known, now)| *known > *now as usize)
        {
            return Ok(Some(format!("there were {known} {what}, now there are {now}")));
        }
        if state.execution.is_some() {
            // It ran again only to bring lost blobs back.
            self.blobs.put(&execution.journal)?;
            return Ok(None);
        }
        let assumed = assumed_from(state, execution.assumptions(), &given)?;
        let journal = self.blobs.put(&execution.journal)?;
        let summary = ExecutionSummary {
            exit_code: execution.exit_code,
            segment_count: execution.segment_count,
            keccak_count,
            journal: journal.blob(),
            output: execution.output,
            assumed: assumed.clone(),
            user_cycles: execution.user_cycles,
            total_cycles: execution.total_cycles,
        };
        pins.push(journal);
        self.journal.record(JobEvent::ExecutionEnded(summary), pins)?;
        tracing::info!(
            segments = execution.segment_count,
            keccaks = keccak_count,
            assumptions = assumed.len(),
            user_cycles = execution.user_cycles,
            total_cycles = execution.total_cycles,
            "the guest has run to its end"
        );
        let assumed = assumed.into_iter().map(Into::into).collect();
        self.tell(Event::Input(ZkvmInput::End { assumed }));
        Ok(None)
    }

    fn on_peer(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Joined(joined) => {
                let (node, capability) = (joined.node, joined.capability.clone());
                tracing::info!(node = %format_args!("{node:#}"), memory = %capability.memory, slots = capability.slots, "a node joined");
                // A node that comes back has nothing of what its old connection was granted, though that
                // connection may not have been found dead yet.
                if self.peers.insert(joined) {
                    self.tell(Event::NodeLeft { node });
                }
                self.tell(Event::NodeJoined { node, capability });
            }
            PeerEvent::Left { node, generation, reason } => {
                // An old connection of a node that has come back says nothing about the node.
                if self.peers.remove(node, generation) {
                    tracing::info!(node = %format_args!("{node:#}"), reason, "a node left");
                    self.tell(Event::NodeLeft { node });
                }
            }
            PeerEvent::Said { node, generation, message } => {
                if self.peers.is_current(node, generation) {
                    self.on_message(node, message);
                }
            }
        }
    }

    fn on_message(&mut self, node: NodeId, message: NodeMessage) {
        let event = match message {
            NodeMessage::WorkRequested => Event::WorkRequested { node },
            NodeMessage::Renew { lease, done_permille, waits } => {
                Event::LeaseRenewed { node, epoch: lease.epoch, done_permille, waits }
            }
            NodeMessage::Decline { lease } => Event::LeaseDeclined { node, epoch: lease.epoch },
            NodeMessage::Done(done) => {
                tracing::debug!(node = %format_args!("{node:#}"), epoch = %done.lease.epoch, prove_ms = done.prove_ms, peak = %done.peak_memory, "a result was reported");
                Event::ResultReported { node, epoch: done.lease.epoch, blob: done.result }
            }
            NodeMessage::Failed(failure) => {
                tracing::warn!(node = %format_args!("{node:#}"), epoch = %failure.lease.epoch, message = failure.message, "a node failed at a task");
                let starling_proto::Failure { lease, class, message } = failure;
                Event::TaskFailed { node, epoch: lease.epoch, failure: Failure { class, message } }
            }
            // The connection closes next, and that is what counts.
            NodeMessage::Leaving { .. } | NodeMessage::Hello(_) => return,
        };
        self.tell(event);
    }

    fn check(&mut self, node: NodeId, epoch: Epoch, task: TaskId, blob: BlobRef) {
        let expected = self
            .journal
            .state()
            .expected(task)
            .expect("the plan makes tasks of what is in the log only");
        let source = self.peers.source(node);
        let check = self.checker.check(node, source, task, blob, expected);
        self.checks.spawn(async move { (epoch, node, task, blob, check.await) });
    }

    fn on_checked(
        &mut self,
        (epoch, node, task, blob, verdict): (Epoch, NodeId, TaskId, BlobRef, Verdict),
    ) -> Result<(), JobError> {
        if !self.scheduler.awaits(epoch) {
            tracing::debug!(%task, "a result was checked in vain: what it was made of is taken back");
            return Ok(());
        }
        match verdict {
            Verdict::Accepted(pin) => {
                // Two copies of one task may finish at the same time: the log keeps the first.
                if !self.journal.state().accepted.contains(&(task, blob)) {
                    self.journal.record(JobEvent::accepted(task, blob, node), [pin])?;
                }
                self.peers.holds(node, blob);
                self.peers.verdict(node, epoch, Ok(()));
                tracing::debug!(%task, node = %format_args!("{node:#}"), "accepted");
                self.tell(Event::ResultAccepted { epoch, blob });
            }
            Verdict::Refused { reason } => {
                tracing::warn!(%task, node = %format_args!("{node:#}"), reason, "a result was refused");
                self.peers.verdict(node, epoch, Err(&reason));
                self.tell(Event::ResultRefused { epoch, reason });
            }
            Verdict::Unfetchable { reason } => {
                tracing::warn!(%task, node = %format_args!("{node:#}"), reason, "a result could not be fetched");
                self.peers.verdict(node, epoch, Err(&reason));
                self.tell(Event::ResultUnfetchable { epoch, reason });
            }
            Verdict::NoSpace(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Tells the scheduler of a blob that is gone. A receipt is made again in this run; what the execution put out is made
    /// by the next, which begins with the execution.
    fn lose(&mut self, blob: Reference) {
        let state = self.journal.state();
        let is_result = state.accepted.iter().any(|(_, accepted)| accepted.reference == blob);
        if !is_result && self.execution.is_none() {
            let what = format!("blob {blob:#}");
            self.outcome = Some(Err(JobError::BlobMissing { what, job: state.id }));
        }
        self.tell(Event::BlobLost { blob });
    }

    fn on_judged(&mut self, (judged, faults): (Judged, Vec<Fault>)) -> Result<(), JobError> {
        let task = judged.task;
        tracing::warn!(%task, ?faults, "looked again at a task that nodes refuse");
        let is_sound = faults.is_empty();
        for fault in faults {
            match fault {
                Fault::Lost(blob) => self.lose(blob),
                Fault::False(task) => {
                    self.journal.record(JobEvent::ResultRevoked { task: task.to_string() }, [])?;
                    self.tell(Event::ResultRevoked { task: task.into() });
                }
            }
        }
        let state = self.journal.state();
        let has_proved = |node: &NodeId| state.receipts_by_node.contains_key(&node.to_string());
        // Strangers are not believed as long as nobody who has proved something agrees with them.
        self.tell(match is_sound && judged.nodes.iter().any(has_proved) {
            true => Event::JudgedUnprovable { task: task.into(), message: judged.message },
            false => Event::JudgedSound { task: task.into() },
        });
        Ok(())
    }

    fn report_progress(&self) {
        let status = self.scheduler.status();
        let stage = |kind: TaskKind| status.progress.stage(kind.code()).cloned();
        let state = self.journal.state();
        let [leaves, joins, keccaks, resolves] = [
            plan_shape(&state.request).leaf_kind(),
            TaskKind::Join,
            TaskKind::Keccak,
            TaskKind::Resolve,
        ]
        .map(|kind| stage(kind).unwrap_or_else(|| nothing_of(kind)));
        self.progress.send_replace(Progress {
            segments: leaves.total,
            executed: status.progress.is_final,
            leaves_accepted: leaves.accepted,
            leaves_partly_permille: leaves.partly_permille,
            joins_accepted: joins.accepted,
            joins_partly_permille: joins.partly_permille,
            joins_total: joins.total,
            keccaks_accepted: keccaks.accepted,
            keccaks_partly_permille: keccaks.partly_permille,
            keccaks_total: keccaks.total,
            resolves_accepted: resolves.accepted,
            resolves_partly_permille: resolves.partly_permille,
            resolves_total: resolves.total,
            nodes: status.node_count as u32,
            nodes_busy: status.busy_node_count as u32,
            eta: status.eta_ms,
            waiting: self.waiting.as_ref().map(|(_, reason)| reason.clone()),
            delivering: false,
        });
    }

    fn check_patience(&self) -> Result<(), JobError> {
        if let Some(limit) = self.patience.timeout
            && self.started.elapsed() >= limit
        {
            return Err(JobError::OutOfTime { limit, job: self.journal.state().id });
        }
        if let Some((since, reason)) = &self.waiting
            && since.elapsed() >= self.patience.node_wait
        {
            return Err(JobError::NoCapacity { waited: since.elapsed(), reason: reason.clone() });
        }
        Ok(())
    }
}

/// The task as the zkVM calls it.
fn named(task: Task) -> TaskId {
    TaskId::try_from(task).expect("the zkVM's plan makes the zkVM's tasks")
}

fn nothing_of(kind: TaskKind) -> Stage {
    Stage { kind: kind.code(), name: kind.name().into(), accepted: 0, total: 0, partly_permille: 0 }
}

/// Where the receipts of what the guest assumed come from, in the order of its list.
fn assumed_from(
    state: &JobState,
    assumptions: &[AssumptionId],
    given: &[Given],
) -> Result<Vec<AssumedFrom>, JobError> {
    let keccaks = IndexRange::new(0, state.keccaks.len() as u32).and_then(|all| state.united(all));
    let find = |assumed: &AssumptionId| {
        if let Some(given) = given.iter().find(|given| assumed.is_resolved_by(&given.id)) {
            return Ok(AssumedFrom::Given(given.blob));
        }
        if keccaks.is_some_and(|root| assumed.is_resolved_by(&root)) {
            return Ok(AssumedFrom::Keccak);
        }
        Err(JobError::Unresolved { claim: assumed.claim.to_string() })
    };
    assumptions.iter().map(find).collect()
}

fn differs(what: &str, index: u32, known: BlobRef, now: BlobRef) -> String {
    format!("{what} {index} was {:#}, is now {:#}", known.reference, now.reference)
}

/// The plan of a job, as far as its log tells and its blobs are there.
pub(crate) fn replay(state: &JobState, blobs: &BlobStore) -> Result<ZkvmPlan, JobError> {
    let cost = |kind, po2| CostModel::ADMISSION.cost(kind, po2);
    let mut plan = ZkvmPlan::new(plan_shape(&state.request), cost);
    if state.request.counts_work() {
        plan = plan.counting_work();
    }
    for (index, segment) in (0..).zip(&state.segments) {
        plan.add_segment(index, segment.po2, segment.blob)?;
    }
    for (index, keccak) in (0..).zip(&state.keccaks) {
        plan.add_keccak(index, keccak.po2, keccak.blob)?;
    }
    // Before the receipts: which tasks there are at the end depends on it.
    if let Some(summary) = &state.execution {
        plan.end_execution(summary.assumed.iter().copied().map(Into::into).collect())?;
    }
    for (task, blob) in &state.accepted {
        // A receipt that was lost or damaged on the disk is made again, and with it those above it.
        if blobs.pin(blob.reference)?.is_none() {
            tracing::warn!(%task, "an accepted receipt is no longer in the store and is made again");
        } else if let Err(error) = plan.restore(*task, *blob) {
            tracing::warn!(%task, %error, "an accepted receipt is made again");
        }
    }
    // What is missing is not offered before the execution has made it again.
    let mut missing = BTreeSet::new();
    loop {
        let gone: Vec<BlobRef> = plan.live_blobs().filter(|blob| is_gone(blobs, blob)).collect();
        let found_count = missing.len();
        missing.extend(gone.iter().map(|blob| blob.reference));
        if missing.len() == found_count {
            return Ok(plan);
        }
        for blob in gone {
            plan.lost(blob.reference);
        }
    }
}

/// Whether a blob can't be had from the store: it is not there, or is not what its name says.
fn is_gone(blobs: &BlobStore, blob: &BlobRef) -> bool {
    !matches!(blobs.pin(blob.reference), Ok(Some(_)))
}

/// What the receipts of a job become.
pub(crate) fn plan_shape(request: &JobRequest) -> PlanShape {
    match (&request.source, request.receipt_kind) {
        (Source::Receipt { .. }, _) => PlanShape::Compress,
        (_, ReceiptKind::Composite) => PlanShape::Composite,
        (_, ReceiptKind::Succinct | ReceiptKind::Groth16) => PlanShape::Succinct,
    }
}

/// A full disk stops an execution from within: say so instead of naming the messenger.
fn unwrap_sink(error: JobError) -> JobError {
    match error {
        JobError::Execute(ExecuteError::Sink(error)) => {
            match error.downcast::<starling_store::StoreError>() {
                Ok(store) => (*store).into(),
                Err(error) => ExecuteError::Sink(error).into(),
            }
        }
        error => error,
    }
}

/// The next event of the execution, `None` when its thread has died; never, when there is none.
async fn next_of(execution: &mut Option<ExecutionThread>) -> Option<ExecutionEvent> {
    match execution {
        Some(thread) => thread.next().await,
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
