//! Who gets work now: ready tasks first, then tasks that others were granted ahead and have not begun, then backups of tasks that
//! run late. Tasks that are ready after that are granted ahead.

use starling_plan::{Class, Plan, TaskSpec};
use starling_types::{BlobRef, Epoch, Millis, NodeId, Task};

use crate::{
    Action, Lease, LeaseInput, RevokeReason, Scheduler, WaitReason,
    class::expected,
    lease::{Asker, LeaseRecord, LeaseState, Terms},
    node::Node,
};

/// Idle nodes that are weighed for the backups of one class at a time: the fastest. Slower ones would only
/// be better off with a task that none of these may have, since they hold it themselves.
const BACKUP_ASKERS: usize = 4;

/// Ready tasks of one class that are looked at, since those who wait may be barred from the first, or nodes that may be from one.
/// A node that was not believed of so many tasks, all of which are still to be done by somebody else, gets nothing of their class
/// until one of them is: a node that calls so many things impossible is seldom of use for the next.
const BARRED_MAX: usize = 8;

/// Who of those that wait may have a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takers {
    /// Those that something speaks for.
    Vouched,
    /// Strangers as well.
    All,
}

impl<P: Plan> Scheduler<P> {
    pub(crate) fn place(&mut self) {
        if self.is_over() {
            return;
        }
        if self.grants_held {
            return self.say_missing(None);
        }
        for class in self.demands.classes() {
            self.fill(class, Takers::Vouched);
        }
        // What strangers keep should cost little.
        let mut index = 0;
        while let Some(class) = self.demands.nth_cheapest(index) {
            self.fill(class, Takers::All);
            index += 1;
        }
        for class in self.demands.classes() {
            while let Some((spec, node)) = self.next_backup(class) {
                self.grant(node, spec, class, LeaseState::Running);
            }
        }
        if self.config.leases_ahead {
            for class in self.demands.classes() {
                while let Some((task, node)) = self.next_ahead(class) {
                    self.start(task, node, class, LeaseState::Ahead);
                }
            }
        }
        self.say_missing(self.missing());
    }

    /// Gives out what there is of a class to those that wait for it.
    fn fill(&mut self, class: Class, takers: Takers) {
        loop {
            while let Some((task, node)) = self.next_match(class, takers) {
                self.start(task, node, class, LeaseState::Running);
            }
            if !self.take_from_ahead(class, takers) {
                break;
            }
        }
    }

    fn start(&mut self, task: Task, node: NodeId, class: Class, state: LeaseState) {
        let spec = self.plan.start(task).expect("the plan itself named the task as ready");
        self.grant(node, spec, class, state);
    }

    /// The ready tasks of a class, as far as they are looked at.
    fn ready(&self, class: Class) -> impl Iterator<Item = TaskSpec> + '_ {
        self.plan.ready(class).take(BARRED_MAX)
    }

    /// The next ready task of a class, and the node that waits for it.
    fn next_match(&self, class: Class, takers: Takers) -> Option<(Task, NodeId)> {
        self.takers(class, takers).next()?;
        self.ready(class).find_map(|spec| Some((spec.id, self.taker(&spec, class, takers, None)?)))
    }

    /// Those that wait for a task of a class, in the order in which they get one.
    fn takers(&self, class: Class, takers: Takers) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes
            .waiting(class)
            .take_while(move |id| takers == Takers::All || self.is_vouched(*id))
    }

    /// Whether anything speaks for a node.
    pub(crate) fn is_vouched(&self, node: NodeId) -> bool {
        self.nodes.get(node).is_some_and(Node::is_vouched)
    }

    /// Who of those that wait gets a task, `but` not this one: who holds a receipt that the task reads, if there is such; else
    /// the first. A node that declined or failed it last gets it if there is nobody else, one that is barred from it never.
    fn taker(
        &self,
        spec: &TaskSpec,
        class: Class,
        takers: Takers,
        but: Option<NodeId>,
    ) -> Option<NodeId> {
        let demand = self.demands.of(class);
        let shunned = self.shunned.get(spec.id).copied();
        let faults = self.faults.get(spec.id);
        let may = |id: NodeId| but != Some(id) && !faults.is_some_and(|faults| faults.bars(id));
        let first = self.takers(class, takers).find(|id| may(*id))?;
        let is_first_choice = |id: &NodeId| shunned != Some(*id) && may(*id);
        let holders = spec.inputs.iter().flat_map(|input| self.holders.of(input.reference));
        let nearest = holders
            .copied()
            .filter(is_first_choice)
            .filter(|id| takers == Takers::All || self.is_vouched(*id))
            .filter_map(|id| Some((self.nodes.get(id)?, id)))
            .filter(|(node, _)| demand.reads_results && node.standing.waiting.contains(class))
            .max_by_key(|(node, id)| (node.speed_permille(), *id));
        let nearest = nearest.map(|(_, id)| id);
        let other = || self.takers(class, takers).find(is_first_choice);
        nearest.or_else(other).or(Some(first))
    }

    /// Gives a node that waits a task that another was granted ahead and has not begun. Whether there was one.
    fn take_from_ahead(&mut self, class: Class, takers: Takers) -> bool {
        if self.takers(class, takers).next().is_none() {
            return false;
        }
        let found = self.leases.ahead(class).take(BARRED_MAX).find_map(|(epoch, record)| {
            // Of one that somebody works on as well there is nothing to take.
            let flight =
                self.leases.flight(record.task).filter(|flight| flight.copies.len() == 1)?;
            Some((epoch, self.taker(&flight.spec, class, takers, Some(record.node))?))
        });
        let Some((epoch, taker)) = found else { return false };
        let Some(record) = self.close_lease(epoch) else { return false };
        let (node, task) = (record.node, record.task);
        // Its node may have begun by now, and its result counts like any other.
        self.leases.remember(epoch, LeaseRecord { is_revoked: true, ..record });
        self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::Replaced });
        // Its input may be gone by now: then it is withheld like any other.
        if let Ok(spec) = self.plan.start(task) {
            self.grant(taker, spec, class, LeaseState::Running);
        }
        true
    }

    /// A ready task of a class that nobody could begin with now, and the node that works and should have a slot for it
    /// first.
    fn next_ahead(&self, class: Class) -> Option<(Task, NodeId)> {
        self.nodes.ahead(class).next()?;
        self.ready(class).find_map(|spec| {
            let may = |id: &NodeId| !self.is_barred(*id, spec.id);
            let node = self.nodes.ahead(class).take(BARRED_MAX).find(may)?;
            self.taker(&spec, class, Takers::All, None).is_none().then_some((spec.id, node))
        })
    }

    /// A late task of a class, and an idle node that should be done with it earlier.
    fn next_backup(&self, class: Class) -> Option<(TaskSpec, NodeId)> {
        self.nodes.waiting(class).take(BACKUP_ASKERS).find_map(|id| {
            let node = self.nodes.get(id)?;
            let done_at = self.now() + expected(self.demands.of(class), node.speed_permille());
            let asker = Asker { node: id, is_vouched: node.is_vouched(), done_at };
            let may = |task| !self.is_barred(id, task);
            let task = self.leases.straggler(class, asker, self.now(), may)?;
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
        self.note_grant();
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
            is_heard_of: false,
            is_vouched: self.is_vouched(node),
            is_revoked: false,
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

    /// Why a ready task waits, if one does, or is tried in vain.
    fn missing(&self) -> Option<WaitReason> {
        let is_ready = |class: &Class| self.plan.is_ready(*class);
        let mut ready = self.demands.classes().filter(is_ready);
        let missing_for =
            |class| self.nodes.missing_for(class).or_else(|| self.disbelieved_for(class));
        let failing = || self.failures.keys().find_map(|class| self.failing_at(*class));
        ready.find_map(missing_for).or_else(failing)
    }

    /// That all who could take the tasks of a class fail at them, while nothing else goes on either. That they try again changes
    /// nothing, unless a try lasts longer than all that failed, or a result is being checked. It walks the leases, where all fail.
    fn failing_at(&self, class: Class) -> Option<WaitReason> {
        let message = self.failures.get(&class)?;
        if !self.nodes.all_fail_at(class) {
            return None;
        }
        let promises = |record: &LeaseRecord| match record.state {
            LeaseState::Ahead => false,
            LeaseState::Running => {
                let lasted = self.now().since(record.terms.granted_at);
                let node = self.nodes.get(record.node);
                node.is_some_and(|node| node.outlasts_failures(record.class, lasted))
            }
            LeaseState::Checking { .. } => true,
        };
        let is_tried = || self.leases.standing().any(|(_, record)| record.class == class);
        let is_stuck = (self.plan.is_ready(class) || is_tried())
            && !self.leases.standing().any(|(_, record)| promises(record));
        is_stuck.then(|| WaitReason::Failing {
            kind: self.demands.of(class).name,
            message: message.clone(),
        })
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

    /// Whether a node never gets this task again, even if nobody else is there.
    pub(crate) fn is_barred(&self, node: NodeId, task: Task) -> bool {
        self.faults.get(task).is_some_and(|faults| faults.bars(node))
    }

    /// That all who could take a ready task of a class are barred from it, or fail at whatever is like it. It walks the nodes,
    /// where one is.
    fn disbelieved_for(&self, class: Class) -> Option<WaitReason> {
        if self.faults.is_empty() {
            return None;
        }
        self.ready(class).find_map(|spec| {
            let faults = self.faults.get(spec.id).filter(|faults| faults.is_sound)?;
            let could = |node: &Node| node.standing.capable.contains(class);
            let mut able = self.nodes.iter().filter(|(_, node)| could(node));
            let is_none_left = able.all(|(id, node)| faults.bars(id) || node.fails_at(class));
            (is_none_left && !faults.message.is_empty()).then(|| WaitReason::Disbelieved {
                name: self.name_of(spec.id),
                message: faults.message.clone(),
            })
        })
    }

    /// Ends a lease and gives its node the room back. If no other lease stands on its task, the task is
    /// ready again.
    pub(crate) fn close_lease(&mut self, epoch: Epoch) -> Option<LeaseRecord> {
        let (record, was_last) = self.leases.close(epoch)?;
        self.free(epoch, &record);
        if was_last {
            self.plan.release(record.task).expect("a task in flight runs in the plan");
        }
        Some(record)
    }

    /// Gives the node of a lease that ended what it took there: its room, or its place among the results that wait for
    /// judgement.
    pub(crate) fn free(&mut self, epoch: Epoch, record: &LeaseRecord) {
        match record.is_open() {
            true => drop(self.nodes.edit(record.node, |state| state.close_lease(epoch))),
            false => self.nodes.judged(record.node),
        }
    }
}
