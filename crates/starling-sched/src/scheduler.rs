//! The state machine: what it holds, and how one event passes through it.
//!
//! An event is handled in four steps, always in this order: what the event itself changes; what time has
//! ended; whether the job is done; and who gets work now. The steps are in the modules named after them.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use starling_plan::{Certainty, Class, Plan, PlanError, Revoked};
use starling_types::{BlobRef, Epoch, Incarnation, Millis, NodeId, Reference, Task};

use crate::{
    Action, Config, Event, IgnoreReason, RevokeReason, Status, WaitReason, class::Demands,
    holders::Holders, idle::Idle, lease::Leases, nodes::Nodes, recent::Recent,
};

/// Tasks of which it is remembered who declined or failed them last: each is soon done by somebody else, so that these are more
/// than are troubled at a time.
const SHUNNED_MAX: usize = 4096;

/// Tasks of which failures are remembered. A job has far fewer that nodes refuse at a time; but of ranges that are merged otherwise
/// after a failure nothing is ever accepted.
pub(crate) const FAULTS_MAX: usize = 4096;

/// The failures of one task that is not accepted yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// The nodes that refused its inputs or say that it cannot be done, since something was last found of its inputs.
    pub(crate) refused_by: BTreeSet<NodeId>,
    /// Those that said that it cannot be done, as far as nothing was found to be wrong with its inputs since.
    pub(crate) unprovable_by: BTreeSet<NodeId>,
    /// The words of the last of them.
    pub(crate) message: String,
    /// Whether the shell's judgement is awaited.
    pub(crate) is_judged: bool,
    /// Whether the shell found nothing wrong with its inputs: it is given to none of `unprovable_by` any more.
    pub(crate) is_sound: bool,
}

impl Faults {
    /// Whether a node gets this task no more: it says that it can't be done, and the client knows better.
    pub(crate) fn bars(&self, node: NodeId) -> bool {
        self.is_sound && self.unprovable_by.contains(&node)
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// All is proved. Should something of that be lost or prove false before it is delivered, the job goes on.
    Proved,
    /// It can't go on.
    Failed,
}

/// Decides who proves what of one job. The crate's documentation has the rules.
#[derive(Debug, Clone)]
pub struct Scheduler<P: Plan> {
    pub(crate) config: Config,
    pub(crate) demands: Demands,
    pub(crate) plan: P,
    pub(crate) nodes: Nodes,
    pub(crate) leases: Leases,
    pub(crate) holders: Holders,
    pub(crate) faults: Recent<Task, Faults>,
    /// By class, the last words of nodes that failed at its tasks, since a result of it was last accepted.
    pub(crate) failures: BTreeMap<Class, String>,
    /// Who declined or failed a task last: others get it first.
    pub(crate) shunned: Recent<Task, NodeId>,
    pub(crate) waiting: Option<WaitReason>,
    /// Since when nobody does anything of what there is to do.
    pub(crate) idle: Option<Idle>,
    /// Whether nothing is granted for the time being.
    pub(crate) grants_held: bool,
    rng: ChaCha8Rng,
    now: Millis,
    over: Option<Over>,
    actions: Vec<Action<P::Outcome>>,
}

impl<P: Plan> Scheduler<P> {
    /// A scheduler for what is left of `plan`, in which nothing runs.
    ///
    /// `incarnation` is a number that no earlier run of this job's client used; it makes lease numbers
    /// unique. `seed` is all the randomness there is.
    pub fn new(config: Config, plan: P, incarnation: Incarnation, seed: u64) -> Self {
        let demands = Demands::new(plan.demands());
        Self {
            nodes: Nodes::new(demands.clone(), &config),
            leases: Leases::new(
                demands.count(),
                incarnation,
                config.copies_max,
                config.expired_leases_max,
            ),
            holders: Holders::new(config.holders_max),
            faults: Recent::new(FAULTS_MAX),
            failures: BTreeMap::new(),
            shunned: Recent::new(SHUNNED_MAX),
            waiting: None,
            idle: None,
            grants_held: false,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Millis(0),
            over: None,
            actions: Vec::new(),
            config,
            demands,
            plan,
        }
    }

    /// Takes an event and says what to do, in order. `now` is the time on any clock that does not go
    /// back; should it, the latest time stands.
    pub fn handle(&mut self, now: Millis, event: Event<P::Input>) -> Vec<Action<P::Outcome>> {
        self.now = self.now.max(now);
        if self.over == Some(Over::Failed) {
            return vec![Action::Ignored { reason: IgnoreReason::JobOver }];
        }
        self.apply(event);
        self.pass_time();
        self.finish_if_proved();
        self.place();
        self.note_idleness();
        std::mem::take(&mut self.actions)
    }

    /// When to send [`Event::Tick`] at the latest; `None` when time alone changes nothing.
    pub fn next_wakeup(&self) -> Option<Millis> {
        if self.is_over() {
            return None;
        }
        [self.leases.next_wakeup(), self.nodes.next_pause_end()].into_iter().flatten().min()
    }

    /// The plan, for its progress and the blobs that it still needs.
    pub fn plan(&self) -> &P {
        &self.plan
    }

    /// Whether the check of this lease's result is awaited. It is not, once what the result was made of is taken back.
    pub fn awaits(&self, epoch: Epoch) -> bool {
        self.leases.get(epoch).is_some_and(|record| !record.is_open())
    }

    /// The task of this node's lease, if it has such a lease and has reported no result of it.
    pub fn task_of_lease(&self, node: NodeId, epoch: Epoch) -> Option<Task> {
        self.open_lease_of(node, epoch).ok().map(|record| record.task)
    }

    /// What the task of this node's lease reads; nothing when it has no such lease.
    pub fn inputs_of_lease(&self, node: NodeId, epoch: Epoch) -> Vec<BlobRef> {
        let record = self.leases.get(epoch).filter(|record| record.node == node);
        record.map_or_else(Vec::new, |record| self.inputs_of(record.task))
    }

    /// Says that a blob is gone before anything was given out; what is read again since. Unlike [`Event::BlobLost`], it
    /// does not ask whether the job is done: more may be gone.
    pub fn lose_unseen(&mut self, blob: Reference) -> Vec<BlobRef> {
        self.plan.lost(blob).reread
    }

    /// Whether nothing is under way and nothing can be started: what is left waits for something from outside.
    pub fn is_idle(&self) -> bool {
        self.leases.standing().next().is_none()
            && self.demands.classes().all(|class| !self.plan.is_ready(class))
    }

    /// Whether a node works on anything.
    pub fn has_open_leases(&self) -> bool {
        self.leases.open_count() > 0
    }

    /// Whether the job is proved, as far as nothing of that was lost since, or failed.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// A snapshot for people. It costs O(nodes + leases): meant for a few times a second, not for every event.
    pub fn status(&self) -> Status {
        let busy = self.nodes.iter().filter(|(_, node)| !node.leases.is_empty());
        let under_way = self.under_way();
        Status {
            node_count: self.nodes.iter().count(),
            busy_node_count: busy.count(),
            lease_count: self.leases.open_count(),
            checking_count: self.leases.checking_count(),
            progress: self.progress(&under_way),
            waiting: self.waiting.clone(),
            eta_ms: self.eta(&under_way),
        }
    }

    fn apply(&mut self, event: Event<P::Input>) {
        match event {
            Event::Input(input) => {
                let added = self.plan.input(input);
                self.fail_unless(added);
                self.end_needless_leases();
            }
            Event::NodeJoined { node, capability } => self.node_joined(node, capability),
            Event::NodeLeft { node } => self.node_left(node),
            Event::WorkRequested { node } => self.work_requested(node),
            Event::RequestsWithdrawn { node } => self.requests_withdrawn(node),
            Event::LeaseReturned { node, epoch } => self.lease_returned(node, epoch),
            Event::LeaseDeclined { node, epoch, busy } => self.lease_declined(node, epoch, busy),
            Event::LeaseRenewed { node, epoch, done_permille, waits } => {
                self.lease_renewed(node, epoch, done_permille, waits);
            }
            Event::ResultReported { node, epoch, blob } => self.result_reported(node, epoch, blob),
            Event::ResultAccepted { epoch, blob } => {
                self.result_accepted(epoch, blob, Certainty::Final);
            }
            Event::ResultTaken { epoch, blob } => {
                self.result_accepted(epoch, blob, Certainty::Provisional);
            }
            Event::ResultConfirmed { task, node } => self.result_confirmed(task, node),
            Event::ResultProvedFalse { task, node } => self.result_proved_false(task, node),
            Event::ResultRefused { epoch, reason } => self.result_refused(epoch, reason),
            Event::ResultUnfetchable { epoch, reason } => self.result_unfetchable(epoch, reason),
            Event::TaskFailed { node, epoch, failure } => self.task_failed(node, epoch, failure),
            Event::Judged { task, judgement } => self.judged(task, judgement),
            Event::BlobLost { blob } => self.blob_lost(blob),
            Event::BlobFound { blob } => self.plan.found(blob),
            Event::ResultRevoked { task } => self.result_revoked(task),
            Event::GrantsHeld { are_held } => self.grants_held = are_held,
            Event::Tick => {}
        }
    }

    fn pass_time(&mut self) {
        self.nodes.end_pauses(self.now);
        self.leases.mark_late(self.now);
        self.end_leases();
    }

    fn blob_lost(&mut self, blob: Reference) {
        self.holders.forget(blob);
        let revoked = self.plan.lost(blob);
        self.dissolve(revoked);
    }

    pub(crate) fn result_revoked(&mut self, task: Task) {
        match self.plan.revoke(task) {
            Ok(revoked) => self.dissolve(revoked),
            Err(error) => self.fail(error),
        }
    }

    /// Ends the leases on what lost an input. What their nodes report of it is not wanted, whatever they say.
    fn dissolve(&mut self, revoked: Revoked) {
        for task in revoked.dissolved {
            // It comes back with other inputs, if at all.
            self.faults.remove(task);
            for (epoch, record) in self.leases.close_task(task) {
                let node = record.node;
                self.free(epoch, &record);
                self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::InputRevoked });
            }
        }
        if !revoked.reread.is_empty() {
            self.act(Action::Reread { blobs: revoked.reread });
        }
    }

    fn finish_if_proved(&mut self) {
        if self.over == Some(Over::Failed) {
            return;
        }
        match self.plan.outcome() {
            // What was proved may be lost again.
            None => self.over = None,
            Some(_) if self.is_over() => {}
            Some(outcome) => {
                self.end_job(Over::Proved);
                self.act(Action::JobProved { outcome });
            }
        }
    }

    fn fail_unless(&mut self, followed: Result<(), PlanError>) {
        if let Err(error) = followed {
            self.fail(error);
        }
    }

    /// Gives the job up: what it is told contradicts itself. Nothing that nodes say comes here.
    fn fail(&mut self, error: PlanError) {
        if self.over != Some(Over::Failed) {
            self.end_job(Over::Failed);
            self.act(Action::JobFailed { error });
        }
    }

    fn end_job(&mut self, over: Over) {
        self.over = Some(over);
        let running: Vec<_> = self
            .leases
            .standing()
            .filter(|(_, record)| record.is_open())
            .map(|(epoch, record)| (epoch, record.node, record.task))
            .collect();
        for (epoch, node, task) in running {
            self.close_lease(epoch);
            self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::JobOver });
        }
        if self.waiting.take().is_some() {
            self.act(Action::WaitingOver);
        }
    }

    pub(crate) fn act(&mut self, action: Action<P::Outcome>) {
        self.actions.push(action);
    }

    pub(crate) fn ignore(&mut self, reason: IgnoreReason) {
        self.act(Action::Ignored { reason });
    }

    pub(crate) fn now(&self) -> Millis {
        self.now
    }

    /// A length between `length` and a quarter more, so that nodes that failed together do not come back
    /// together.
    pub(crate) fn jittered(&mut self, length: Millis) -> Millis {
        Millis(length.0.saturating_add(self.rng.next_u64() % (length.0 / 4 + 1)))
    }
}
