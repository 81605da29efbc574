//! Who gets work now: ready tasks first, then what others were granted ahead and have not begun, then backups for what runs
//! late. What is ready after that is granted ahead.

use starling_plan::{Class, Plan, TaskSpec};
use starling_types::{BlobRef, Epoch, Millis, NodeId, Task};

use crate::{
    Action, Lease, LeaseInput, RevokeReason, Scheduler, WaitReason,
    class::expected,
    lease::{LeaseRecord, LeaseState, Terms},
    node::Node,
};

/// Idle nodes that are weighed for the backups of one class at a time: the fastest. Slower ones would only
/// be better off with a task that none of these may have, since they hold it themselves.
const BACKUP_ASKERS: usize = 4;

impl<P: Plan> Scheduler<P> {
    pub(crate) fn place(&mut self) {
        if self.is_over() {
            return;
        }
        if self.grants_held {
            return self.say_missing(None);
        }
        for class in self.demands.classes() {
            loop {
                while let Some((spec, node)) = self.next_match(class) {
                    self.start(spec, node, class, LeaseState::Running);
                }
                if !self.take_from_ahead(class) {
                    break;
                }
            }
        }
        for class in self.demands.classes() {
            while let Some((spec, node)) = self.next_backup(class) {
                self.grant(node, spec, class, LeaseState::Running);
            }
        }
        if self.config.leases_ahead {
            for class in self.demands.classes() {
                while let Some((spec, node)) = self.next_ahead(class) {
                    self.start(spec, node, class, LeaseState::Ahead);
                }
            }
        }
        self.say_missing(self.missing());
    }

    fn start(&mut self, spec: TaskSpec, node: NodeId, class: Class, state: LeaseState) {
        let spec = self.plan.start(spec.id).expect("the plan itself named the task as ready");
        self.grant(node, spec, class, state);
    }

    /// The next ready task of a class, and the node that waits for it: one that holds a receipt that the task
    /// reads, if there is such; else the fastest. Whoever declined or failed it last gets it if there is nobody else, whoever
    /// is barred from it never.
    fn next_match(&self, class: Class) -> Option<(TaskSpec, NodeId)> {
        self.nodes.waiting(class).next()?;
        let demand = self.demands.of(class);
        let spec = self.plan.next(class)?;
        let shunned = self.shunned.get(spec.id);
        let holders = spec.inputs.iter().flat_map(|input| self.holders.of(input.reference));
        let faults = self.faults.get(&spec.id);
        let is_barred = |id: NodeId| faults.is_some_and(|faults| faults.bars(id));
        let fastest = self.nodes.waiting(class).find(|id| !is_barred(*id))?;
        let nearest = holders
            .filter(|id| shunned != Some(*id) && !is_barred(**id))
            .filter_map(|id| Some((self.nodes.get(*id)?, *id)))
            .filter(|(node, _)| demand.reads_results && node.standing.waiting.contains(class))
            .max_by_key(|(node, id)| (node.speed_permille(), *id));
        let nearest = nearest.map(|(_, id)| id);
        let may = |id: &NodeId| shunned != Some(id) && !is_barred(*id);
        let other = || self.nodes.waiting(class).find(may);
        let node = nearest.or_else(other).unwrap_or(fastest);
        Some((spec, node))
    }

    /// Makes a task ready for a node that waits, by taking it from one that was granted it ahead and has not begun.
    fn take_from_ahead(&mut self, class: Class) -> bool {
        // What is ready is for none of those who wait.
        if self.plan.is_ready(class) {
            return false;
        }
        let Some(taker) = self.nodes.waiting(class).next() else { return false };
        let Some(epoch) = self.leases.last_ahead(class, taker) else { return false };
        let Some(record) = self.close_lease(epoch) else { return false };
        let (node, task) = (record.node, record.task);
        // Its node may have begun by now, and its result counts like any other.
        self.leases.remember(epoch, record);
        self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::Replaced });
        true
    }

    /// A ready task of a class that nobody could begin with now, and the node that works and should have a slot for it
    /// first.
    fn next_ahead(&self, class: Class) -> Option<(TaskSpec, NodeId)> {
        let node = self.nodes.first_ahead(class)?;
        let spec = self.plan.next(class)?;
        if self.is_barred(node, spec.id) {
            return None;
        }
        self.nodes.waiting(class).next().is_none().then_some((spec, node))
    }

    /// A late task of a class, and an idle node that should be done with it earlier.
    fn next_backup(&self, class: Class) -> Option<(TaskSpec, NodeId)> {
        self.nodes.waiting(class).take(BACKUP_ASKERS).find_map(|id| {
            let speed = self.nodes.get(id)?.speed_permille();
            let done_at = self.now() + expected(self.demands.of(class), speed);
            let task = self.leases.straggler(class, id, done_at, self.now())?;
            if self.is_barred(id, task) {
                return None;
            }
            Some((self.leases.flight(task)?.spec.clone(), id))
        })
    }

    /// Grants a lease on a task that is started in the plan.
    fn grant(&mut self, node: NodeId, spec: TaskSpec, class: Class, state: LeaseState) {
        let epoch = self.leases.mint();
        let record = self.record(node, &spec, class, state);
        let (memory, expected_at) = (record.memory, record.terms.expected_at);
        let lease = Lease {
            epoch,
            task: spec.id,
            po2: spec.po2,
            splits: spec.splits.clone(),
            inputs: spec.inputs.iter().map(|blob| self.lease_input(*blob, node)).collect(),
            renew_within: self.config.renew_within,
            deadline: record.terms.deadline_at.since(self.now()),
            memory,
            ahead: record.is_ahead(),
        };
        self.nodes.edit(node, |node| {
            if lease.ahead {
                return node.open_ahead(epoch);
            }
            node.open_requests = node.open_requests.saturating_sub(1);
            node.open_lease(epoch, memory, expected_at);
        });
        self.leases.open(epoch, spec, record);
        self.act(Action::Grant { node, lease });
    }

    fn record(
        &self,
        node: NodeId,
        spec: &TaskSpec,
        class: Class,
        state: LeaseState,
    ) -> LeaseRecord {
        let need = self.nodes.get(node).and_then(|node| node.need(class));
        LeaseRecord {
            node,
            task: spec.id,
            class,
            memory: need.unwrap_or(self.demands.of(class).cost.memory),
            terms: self.terms(node, class),
            renew_by: self.now() + self.config.renew_within,
            state,
            done_permille: 0,
            needs_backup: false,
        }
    }

    /// The times of a lease that begins now, by the node's speed.
    pub(crate) fn terms(&self, node: NodeId, class: Class) -> Terms {
        let speed = self.nodes.get(node).map_or(1, |state| state.speed_permille());
        let expected = expected(self.demands.of(class), speed);
        let times =
            |factor: u32, unit: u64| Millis(expected.0.saturating_mul(u64::from(factor)) / unit);
        let deadline = self.config.deadline_min.max(times(self.config.deadline_factor, 1));
        Terms {
            granted_at: self.now(),
            expected_at: self.now() + expected,
            backup_at: self.now() + times(self.config.backup_after_permille, 1000),
            deadline_at: self.now() + deadline,
        }
    }

    fn lease_input(&self, blob: BlobRef, taker: NodeId) -> LeaseInput {
        let holders = self.holders.of(blob.reference).iter().copied();
        let is_there = |id: &NodeId| *id != taker && self.nodes.get(*id).is_some();
        LeaseInput { blob, holders: holders.filter(is_there).collect() }
    }

    /// Why a ready task waits, if one does.
    fn missing(&self) -> Option<WaitReason> {
        let is_ready = |class: &Class| self.plan.is_ready(*class);
        let ready = self.demands.classes().filter(is_ready);
        let missing_for =
            |class| self.nodes.missing_for(class).or_else(|| self.disbelieved_for(class));
        ready.filter_map(missing_for).next()
    }

    /// Says so, when that changes.
    fn say_missing(&mut self, missing: Option<WaitReason>) {
        if missing == self.waiting {
            return;
        }
        self.waiting.clone_from(&missing);
        self.act(match missing {
            Some(reason) => Action::Waiting { reason },
            None => Action::WaitingOver,
        });
    }

    /// Whether a node gets this task no more, whoever else is there.
    pub(crate) fn is_barred(&self, node: NodeId, task: Task) -> bool {
        self.faults.get(&task).is_some_and(|faults| faults.bars(node))
    }

    /// That all who could take the next task of a class are barred from it. It walks the nodes, where one is.
    fn disbelieved_for(&self, class: Class) -> Option<WaitReason> {
        if self.faults.is_empty() {
            return None;
        }
        let task = self.plan.next(class)?.id;
        let faults = self.faults.get(&task).filter(|faults| faults.is_sound)?;
        let could = |node: &Node| node.standing.capable.contains(class);
        let mut able = self.nodes.iter().filter(|(_, node)| could(node));
        let is_none_left = able.all(|(id, _)| faults.bars(id));
        is_none_left.then(|| WaitReason::Disbelieved {
            name: self.name_of(task),
            message: faults.message.clone(),
        })
    }

    /// Ends a lease and gives its node the room back. If no other lease stands on its task, the task is
    /// ready again.
    pub(crate) fn close_lease(&mut self, epoch: Epoch) -> Option<LeaseRecord> {
        let (record, was_last) = self.leases.close(epoch)?;
        self.nodes.edit(record.node, |state| state.close_lease(epoch));
        if was_last {
            self.plan.release(record.task).expect("a task in flight runs in the plan");
        }
        Some(record)
    }
}
