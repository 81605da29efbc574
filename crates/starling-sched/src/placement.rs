//! Who gets work now: ready tasks first, then backups for what runs late.

use starling_plan::{Class, Plan, TaskSpec};
use starling_types::{BlobRef, Epoch, Millis, NodeId};

use crate::{
    Action, Lease, LeaseInput, Scheduler,
    class::expected,
    lease::{LeaseRecord, LeaseState},
};

/// Idle nodes that are weighed for the backups of one class at a time: the fastest. Slower ones would only
/// be better off with a task that none of these may have, since they hold it themselves.
const BACKUP_ASKERS: usize = 4;

impl<P: Plan> Scheduler<P> {
    pub(crate) fn place(&mut self) {
        if self.is_over() {
            return;
        }
        for class in self.demands.classes() {
            while let Some((spec, node)) = self.next_match(class) {
                let spec =
                    self.plan.start(spec.id).expect("the plan itself named the task as ready");
                self.grant(node, spec, class);
            }
        }
        for class in self.demands.classes() {
            while let Some((spec, node)) = self.next_backup(class) {
                self.grant(node, spec, class);
            }
        }
        self.say_what_is_missing();
    }

    /// The next ready task of a class, and the node that waits for it: one that holds a receipt that the task
    /// reads, if there is such; else the fastest.
    fn next_match(&self, class: Class) -> Option<(TaskSpec, NodeId)> {
        let fastest = self.nodes.waiting(class).next()?;
        let demand = self.demands.of(class);
        let spec = self.plan.next(class)?;
        let holders = spec.inputs.iter().flat_map(|input| self.holders.of(input.reference));
        let nearest = holders
            .filter_map(|id| Some((self.nodes.get(*id)?, *id)))
            .filter(|(node, _)| demand.reads_results && node.standing.waiting.contains(class))
            .max_by_key(|(node, id)| (node.speed_permille(), *id));
        Some((spec, nearest.map_or(fastest, |(_, id)| id)))
    }

    /// A late task of a class, and an idle node that should be done with it earlier.
    fn next_backup(&self, class: Class) -> Option<(TaskSpec, NodeId)> {
        self.nodes.waiting(class).take(BACKUP_ASKERS).find_map(|id| {
            let speed = self.nodes.get(id)?.speed_permille();
            let done_at = self.now() + expected(self.demands.of(class), speed);
            let task = self.leases.straggler(class, id, done_at, self.now())?;
            Some((self.leases.flight(task)?.spec.clone(), id))
        })
    }

    /// Grants a lease on a task that is started in the plan.
    fn grant(&mut self, node: NodeId, spec: TaskSpec, class: Class) {
        let epoch = self.leases.mint();
        let record = self.record(node, &spec, class);
        let lease = Lease {
            epoch,
            task: spec.id,
            po2: spec.po2,
            splits: spec.splits.clone(),
            inputs: spec.inputs.iter().map(|blob| self.lease_input(*blob, node)).collect(),
            renew_within: self.config.renew_within,
            deadline: record.deadline_at.since(self.now()),
            memory: record.memory,
        };
        self.nodes.edit(node, |state| {
            state.open_requests = state.open_requests.saturating_sub(1);
            state.open_lease(epoch, record.memory);
        });
        self.leases.open(epoch, spec, record);
        self.act(Action::Grant { node, lease });
    }

    fn record(&self, node: NodeId, spec: &TaskSpec, class: Class) -> LeaseRecord {
        let demand = self.demands.of(class);
        let (speed, need) = match self.nodes.get(node) {
            Some(state) => (state.speed_permille(), state.need(class)),
            None => (1, None),
        };
        let expected = expected(demand, speed);
        let times =
            |factor: u32, unit: u64| Millis(expected.0.saturating_mul(u64::from(factor)) / unit);
        let deadline = self.config.deadline_min.max(times(self.config.deadline_factor, 1));
        LeaseRecord {
            node,
            task: spec.id,
            class,
            memory: need.unwrap_or(demand.cost.memory),
            granted_at: self.now(),
            expected_at: self.now() + expected,
            backup_at: self.now() + times(self.config.backup_after_permille, 1000),
            renew_by: self.now() + self.config.renew_within,
            deadline_at: self.now() + deadline,
            state: LeaseState::Running,
            done_permille: 0,
            needs_backup: false,
        }
    }

    fn lease_input(&self, blob: BlobRef, taker: NodeId) -> LeaseInput {
        let holders = self.holders.of(blob.reference).iter().copied();
        let is_there = |id: &NodeId| *id != taker && self.nodes.get(*id).is_some();
        LeaseInput { blob, holders: holders.filter(is_there).collect() }
    }

    /// Says why a ready task waits, when that changes.
    fn say_what_is_missing(&mut self) {
        let is_ready = |class: &Class| self.plan.is_ready(*class);
        let ready = self.demands.classes().filter(is_ready);
        let missing = ready.filter_map(|class| self.nodes.missing_for(class)).next();
        if missing == self.waiting {
            return;
        }
        self.waiting = missing;
        self.act(match missing {
            Some(reason) => Action::Waiting { reason },
            None => Action::WaitingOver,
        });
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
