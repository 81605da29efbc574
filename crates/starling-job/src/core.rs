//! The core itself: takes events, passes time, returns actions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use starling_plan::{Plan, PlanError};
use starling_sched::{Scheduler, Status, WaitReason};
use starling_types::{BlobRef, Epoch, Incarnation, Millis, NodeId, Reference, Task};

use crate::{
    Action, Config, End, Event, JobEvent, JobState, Note, Script, Trouble as _, Verdict,
    config::DELIVERIES_MAX,
    groups::Groups,
    kept::Kept,
    nodes::Connected,
    records::{Records, Then},
    results::Reported,
    room::Room,
    script::{InputOf, OutcomeOf},
    source::SourceState,
};

/// The incarnation of a job's first run.
const FIRST_INCARNATION: Incarnation = Incarnation(1);

/// Where a run of a job stands.
#[derive(Debug)]
pub(crate) enum Phase<S: Script> {
    /// What is there is looked at; nothing is given out.
    Beginning,
    /// Tasks are given out and results taken.
    Working,
    /// That the job starts over is being logged.
    StartingOver,
    /// All is proved, and is put together.
    Delivering(OutcomeOf<S>),
    /// It has ended, but for what is on its way to the log.
    Ending(End<S>),
    /// Nothing follows.
    Over,
}

/// One run of one job.
#[derive(Debug)]
pub struct JobCore<S: Script> {
    pub(crate) config: Config,
    pub(crate) now: Millis,
    pub(crate) phase: Phase<S>,
    /// Shared with what puts the job together, so that nobody copies it.
    pub(crate) state: Arc<JobState<S>>,
    pub(crate) scheduler: Scheduler<S::Plan>,
    pub(crate) nodes: BTreeMap<NodeId, Connected>,
    pub(crate) records: Records<S>,
    pub(crate) source: SourceState<S>,
    /// What the source put out and is gone.
    pub(crate) lost: BTreeSet<Reference>,
    /// Blobs that are being looked at.
    pub(crate) looking: BTreeSet<Reference>,
    /// Tasks that are looked at since several nodes refuse them.
    pub(crate) judging: BTreeSet<Task>,
    /// Tasks whose result is on its way to the log.
    pub(crate) accepting: BTreeSet<Task>,
    /// Results that are being checked, by lease.
    pub(crate) checking: BTreeMap<Epoch, Reported>,
    /// What checks found while something was about to be taken back.
    pub(crate) held: Vec<(Epoch, Verdict<S>)>,
    /// What counts for now and is being checked.
    pub(crate) groups: Groups,
    /// Since when a ready task has been waiting for a node, and why.
    pub(crate) waiting: Option<(Millis, WaitReason)>,
    /// When a node was last known to work for another job of the same client.
    others_served_at: Option<Millis>,
    /// How much the log keeps that is done with.
    pub(crate) kept: Kept,
    /// What waits for room on the disk.
    pub(crate) room: Room,
    /// What is to be delivered, once nothing is lost any more and all is in the log.
    pub(crate) proved: Option<OutcomeOf<S>>,
    /// How often it was to be put together.
    deliveries: u32,
    actions: Vec<Action<S>>,
}

impl<S: Script> JobCore<S> {
    /// A run of the job that its log tells of. That it was taken up is in the log already: no earlier run had the state's
    /// incarnation. [`Event::Begin`] sets it going. What the log tells is told to a plan, which takes as long as the log is.
    ///
    /// # Errors
    /// When the log's own inputs contradict each other.
    pub fn new(config: Config, state: JobState<S>) -> Result<Self, PlanError> {
        let replayed = state.replay()?;
        let notes = replayed.refused.into_iter();
        let notes = notes.map(|(task, error)| Action::Say(Note::NotRestored { task, error }));
        let incarnation = state.incarnation;
        let scheduler =
            Scheduler::new(config.scheduler.clone(), replayed.plan, incarnation, config.seed);
        Ok(Self {
            config,
            now: Millis(0),
            phase: Phase::Beginning,
            state: Arc::new(state),
            scheduler,
            nodes: BTreeMap::new(),
            records: Records::default(),
            source: SourceState::default(),
            lost: BTreeSet::new(),
            looking: BTreeSet::new(),
            judging: BTreeSet::new(),
            accepting: BTreeSet::new(),
            checking: BTreeMap::new(),
            held: Vec::new(),
            groups: Groups::default(),
            waiting: None,
            others_served_at: None,
            kept: Kept::default(),
            room: Room::default(),
            proved: None,
            deliveries: 0,
            actions: notes.collect(),
        })
    }

    /// Takes what happened at `now`, on a clock that was zero when the run began; returns what is to be done, in order.
    /// Time never goes back.
    pub fn handle(&mut self, now: Millis, event: Event<S>) -> Vec<Action<S>> {
        self.now = self.now.max(now);
        if !matches!(self.phase, Phase::Over) {
            self.take(event);
            self.pass_time();
            self.run_source();
            self.check_group();
            self.trim();
            self.end_if_room_never_comes();
            self.deliver_if_proved();
            self.end_if_written();
        }
        std::mem::take(&mut self.actions)
    }

    /// When [`Event::Tick`] is due if nothing happens before. It is always later than the last event.
    pub fn next_wakeup(&self) -> Option<Millis> {
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return None;
        }
        let patience = self.waits_since().map(|since| since + self.config.node_wait);
        let scheduled = self.scheduler.next_wakeup().filter(|_| self.is_working());
        let retry = self.room.next_wakeup().filter(|_| self.is_working());
        let wakeups = [patience, self.config.timeout, scheduled, retry].into_iter().flatten();
        wakeups.min().map(|at| at.max(self.now + Millis(1)))
    }

    /// The job as its log tells it.
    pub fn state(&self) -> &JobState<S> {
        &self.state
    }

    /// As [`Self::state`], for another thread, at no cost unless the job goes on meanwhile.
    pub fn shared_state(&self) -> Arc<JobState<S>> {
        self.state.clone()
    }

    /// Whether it still looks at what an earlier run left.
    pub fn is_looking_back(&self) -> bool {
        matches!(self.phase, Phase::Beginning) && self.state.incarnation > FIRST_INCARNATION
    }

    /// How many records are on their way to the log: the shell lets neither checks nor the source add to too many.
    pub fn record_count(&self) -> usize {
        self.records.count()
    }

    /// A snapshot for people. It walks nodes and leases: meant for a few times a second, not for every event.
    pub fn status(&self) -> Status {
        self.scheduler.status()
    }

    /// The plan as it stands.
    pub fn plan(&self) -> &S::Plan {
        self.scheduler.plan()
    }

    /// The blobs that the job may still read or deliver. It walks all.
    pub fn live_blobs(&self) -> Vec<BlobRef> {
        let mut live = self.scheduler.plan().live_blobs();
        live.extend(self.state.kept_blobs());
        live
    }

    fn take(&mut self, event: Event<S>) {
        match event {
            Event::Begin => self.begin(),
            Event::Recorded { id } => self.recorded(id),
            Event::NotRecorded { id, error } => self.not_recorded(id, error),
            Event::Emitted { run, piece, pins } => self.emitted(run, piece, pins),
            Event::SourceLacksRoom { run, shortage } => self.source_lacks_room(run, shortage),
            Event::SourceFailed { run, error } => self.source_failed(run, error),
            Event::NodeConnected { node, connection, capability } => {
                self.node_connected(node, connection, capability);
            }
            Event::NodeSaid { node, connection, word } => self.node_said(node, connection, word),
            Event::OthersServed => self.others_served_at = Some(self.now),
            Event::LeaseReturned { node, epoch } => {
                self.schedule(starling_sched::Event::LeaseReturned { node, epoch });
            }
            Event::NodeGone { node, connection } => self.node_gone(node, connection),
            Event::Checked { epoch, verdict } => self.checked(epoch, verdict),
            Event::Looked { blobs, gone, pins } => self.looked(&blobs, gone, pins),
            Event::Judged { task, faults, is_whole } => self.judged(task, faults, is_whole),
            Event::GroupChecked { group, judged, false_ones, lost } => {
                self.group_checked(group, judged, &false_ones, lost);
            }
            Event::Delivered { done, pins } => self.delivered(done, pins),
            Event::NotDelivered { error } => self.not_delivered(error),
            Event::Stop => self.end(End::Stopped),
            Event::Tick => {}
        }
    }

    fn begin(&mut self) {
        let blobs = self.live_blobs();
        if blobs.is_empty() {
            return self.work();
        }
        self.look(blobs);
    }

    /// All was looked at: from now on tasks are given out.
    pub(crate) fn work(&mut self) {
        self.phase = Phase::Working;
        self.introduce_nodes();
        self.tell_plan();
        // The plan of a resumed job may be complete already.
        self.schedule(starling_sched::Event::Tick);
    }

    pub(crate) fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working)
    }

    fn pass_time(&mut self) {
        if self.scheduler.next_wakeup().is_some_and(|at| at <= self.now) {
            self.schedule(starling_sched::Event::Tick);
        }
        self.retry_results();
        if let Some(limit) = self.config.timeout
            && limit <= self.now
        {
            self.end(End::OutOfTime { limit });
        }
        let is_over = |since: Millis| since + self.config.node_wait <= self.now;
        if self.waits_since().is_some_and(is_over)
            && let Some((waited, reason)) = self.waits(self.now)
        {
            self.end(End::NoCapacity { waited, reason });
        }
    }

    /// How long the job has been waiting for nodes at `now`, as its patience counts it, and for what: for one that could take a task which
    /// no connected node can take, or for any that does something. While there is nothing to be proved yet, since its own source
    /// is still at work, it waits for nobody. It may walk the nodes.
    pub fn waits(&self, now: Millis) -> Option<(Millis, WaitReason)> {
        let since = self.waits_since()?;
        let reason = match &self.waiting {
            Some((_, reason)) => reason.clone(),
            None => self.scheduler.idle_reason(),
        };
        Some((now.max(self.now).since(since), reason))
    }

    fn waits_since(&self) -> Option<Millis> {
        if !self.is_working() {
            return None;
        }
        let unable = self.waiting.as_ref().map(|(since, _)| *since);
        // Nodes that work for other jobs of this client come to this one in its turn.
        let served_at = self.others_served_at.unwrap_or_default();
        let idle = self.scheduler.idle_since().map(|since| since.max(served_at));
        // Who was given work while there was patience has its time to begin; who comes after that does not make it longer.
        let may_begin = |since: Millis| self.scheduler.may_begin(since + self.config.node_wait);
        let idle = idle.filter(|since| !may_begin(*since));
        [unable, idle].into_iter().flatten().min()
    }

    /// Tells the scheduler, and does what it asks for. It is told nothing while no work is given out.
    pub(crate) fn schedule(&mut self, event: starling_sched::Event<InputOf<S>>) {
        if self.is_working() {
            for action in self.scheduler.handle(self.now, event) {
                self.act_for_scheduler(action);
            }
            // What was to be delivered may have been taken back.
            if !self.scheduler.is_over() {
                self.proved = None;
            }
        }
    }

    /// Tells the plan what follows from the log.
    pub(crate) fn tell_plan(&mut self) {
        while self.is_working()
            && let Some(input) = self.state.input_for(self.scheduler.plan())
        {
            self.schedule(starling_sched::Event::Input(input));
        }
    }

    fn act_for_scheduler(&mut self, action: starling_sched::Action<OutcomeOf<S>>) {
        use starling_sched::Action as Asked;
        match action {
            Asked::Grant { node, lease } => self.grant(node, lease),
            Asked::Revoke { node, epoch, reason, .. } => {
                self.act(Action::Revoke { node, epoch, reason });
            }
            Asked::Disown { node, epoch } => self.act(Action::Disown { node, epoch }),
            Asked::CheckResult { node, epoch, task, blob } => {
                self.check(Reported { node, epoch, task, blob, harms: 0 });
            }
            Asked::Judge { task, inputs } => self.judge(task, inputs),
            Asked::Disbelieved { task, node_count, message } => {
                self.say(Note::Disbelieved { task, node_count, message });
            }
            Asked::Reread { blobs } => self.look(blobs),
            Asked::Dismiss { node, reason } => {
                self.nodes.remove(&node);
                self.act(Action::Dismiss { node, reason });
            }
            Asked::Expired { node, epoch, task, reason } => {
                self.say(Note::Expired { node, epoch, task, reason });
            }
            Asked::Revived { node, epoch, task } => self.say(Note::Revived { node, epoch, task }),
            Asked::Ignored { reason } => self.say(Note::Ignored(reason)),
            Asked::Waiting { reason } => {
                let since = self.waiting.as_ref().map_or(self.now, |(since, _)| *since);
                self.waiting = Some((since, reason));
            }
            Asked::WaitingOver => self.waiting = None,
            Asked::JobProved { outcome } => self.proved = Some(outcome),
            Asked::JobFailed { error } => self.end(End::Failed(error)),
        }
    }

    pub(crate) fn act(&mut self, action: Action<S>) {
        self.actions.push(action);
    }

    pub(crate) fn say(&mut self, note: Note) {
        self.act(Action::Say(note));
    }

    /// Ends the run; what is on its way to the log is waited for, and so is why the job has failed, if it has. The first end
    /// counts.
    pub(crate) fn end(&mut self, end: End<S>) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Over) {
            return;
        }
        self.stop_source();
        if matches!(self.phase, Phase::Delivering(_)) {
            self.act(Action::StopDelivery);
        }
        let failed = end.failure().map(|message| JobEvent::Failed { message });
        self.phase = Phase::Ending(end);
        if let Some(failed) = failed {
            self.record(vec![failed], Vec::new(), Then::End);
        }
    }

    /// What is delivered beside the results may be lost and on its way, and nothing is put together that is not in the log, or
    /// is being looked at.
    fn deliver_if_proved(&mut self) {
        if self.is_working()
            && self.lost.is_empty()
            && self.looking.is_empty()
            && self.records.count() == 0
            && let Some(outcome) = self.proved.take()
        {
            self.stop_source();
            self.deliveries += 1;
            self.phase = Phase::Delivering(outcome.clone());
            self.act(Action::Deliver { outcome });
        }
    }

    /// It is put together: the job is done once that is in the log, and nothing ends the run before.
    fn delivered(&mut self, done: S::Event, pins: Vec<S::Pin>) {
        let Phase::Delivering(outcome) = &self.phase else { return };
        self.phase = Phase::Ending(End::Proved(outcome.clone()));
        self.record(vec![JobEvent::Own(done)], pins, Then::End);
    }

    /// What is lost is made again, and put together then. What it was made of may be gone as well: all is looked at.
    fn not_delivered(&mut self, error: S::Error) {
        let Phase::Delivering(outcome) = &self.phase else { return };
        if !error.is_loss() || self.deliveries >= DELIVERIES_MAX {
            return self.end(End::Broken(error));
        }
        self.proved = Some(outcome.clone());
        self.say(Note::NotDelivered { reason: error.to_string() });
        self.phase = Phase::Working;
        self.act(Action::CallNodes);
        self.part_with_nodes();
        // What checks found meanwhile, nobody was told.
        self.groups.clear();
        self.hold_grants();
        self.look(self.live_blobs());
    }

    /// What was to be in the log is not. Of a job that is done nobody may hear then; why another has failed is known.
    pub(crate) fn end_unrecorded(&mut self, error: S::Error) {
        match &mut self.phase {
            Phase::Ending(end @ End::Proved(_)) => *end = End::Broken(error),
            _ => self.end(End::Broken(error)),
        }
    }

    fn end_if_written(&mut self) {
        if self.records.count() > 0 {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Ending(end) => self.act(Action::End(end)),
            phase => self.phase = phase,
        }
    }
}
