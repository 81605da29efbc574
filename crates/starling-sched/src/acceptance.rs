//! What becomes of results, and of failures.

use std::collections::BTreeSet;

use starling_plan::{Accepted, Certainty, Class, Plan};
use starling_types::{BlobRef, Epoch, FailureClass, Millis, NodeId, Task};

use crate::{
    Action, IgnoreReason, Judgement, RevokeReason, Scheduler, TaskFailure,
    lease::{LeaseRecord, LeaseState},
    node::Node,
    scheduler::Faults,
};

/// How many nodes are remembered for having said that a task cannot be done: as many as a client has connections. More than
/// these can be refused one after the other; the pauses after each failure bound what that costs.
const UNPROVABLE_NODES_MAX: usize = 1024;

/// So many results of a node that cannot be had, in a row, and it gets no work for a while. One or two may be a connection
/// that broke.
const UNFETCHABLE_MAX: u32 = 3;

impl<P: Plan> Scheduler<P> {
    /// A result is checked if its task still needs one, even when the lease had expired: the first valid
    /// result wins, from whichever node it comes.
    pub(crate) fn result_reported(&mut self, node: NodeId, epoch: Epoch, blob: BlobRef) {
        self.hear(node);
        if self.nodes.is_dismissed(node) {
            return self.ignore(IgnoreReason::DismissedNode { node });
        }
        let task = match self.open_lease_of(node, epoch) {
            Ok(record) => {
                let task = record.task;
                self.leases.report(epoch, self.now());
                self.nodes.edit(node, |state| state.close_lease(epoch));
                self.nodes.reported(node);
                task
            }
            Err(IgnoreReason::UnknownLease { .. }) => {
                let Some(past) = self.leases.past(epoch) else {
                    return self.ignore(IgnoreReason::UnknownLease { epoch });
                };
                let task = past.task;
                if past.node != node {
                    return self.ignore(IgnoreReason::NotTheHolder { epoch, node });
                }
                if !self.nodes.may_report(node) {
                    // Nobody will look at it: its node need not keep it.
                    let reason = RevokeReason::Replaced;
                    self.act(Action::Revoke { node, epoch, task, reason });
                    return self.ignore(IgnoreReason::TooManyUnjudged { epoch, node });
                }
                let checking = LeaseState::Checking { reported_at: self.now() };
                if self.plan.is_accepted(task) || !self.revive(epoch, checking) {
                    return self.ignore(IgnoreReason::NotNeeded { epoch, task });
                }
                task
            }
            Err(reason) => return self.ignore(reason),
        };
        self.act(Action::CheckResult { node, epoch, task, blob });
    }

    pub(crate) fn result_accepted(&mut self, epoch: Epoch, blob: BlobRef, certainty: Certainty) {
        let Some((record, reported_at)) = self.checked_lease(epoch) else { return };
        let wall = reported_at.since(record.terms.granted_at);
        let work = self.demands.of(record.class).cost.work;
        self.nodes.edit(record.node, |state| {
            state.succeeded(record.class, work, wall);
            // What may still prove false has shown nothing.
            if certainty == Certainty::Final {
                state.proved();
            }
        });

        let inputs = self.inputs_of(record.task);
        let accepted = self.plan.accept(record.task, blob, certainty);
        assert_eq!(
            accepted,
            Ok(Accepted::New),
            "{} is in flight, so the plan waits for it",
            record.task
        );
        for input in inputs {
            self.holders.forget(input.reference);
        }
        self.holders.add(blob.reference, record.node);
        self.faults.remove(record.task);
        self.failures.remove(&record.class);
        self.shunned.remove(record.task);
        self.end_copies(record.task, epoch);
    }

    /// A result that was taken back meanwhile needs no word.
    pub(crate) fn result_confirmed(&mut self, task: Task, node: NodeId) {
        if self.plan.confirm(task).is_ok() {
            self.nodes.edit(node, Node::proved);
        }
    }

    /// Its maker gets none of what is to be made again.
    pub(crate) fn result_proved_false(&mut self, task: Task, node: NodeId) {
        let reason = format!("its result of {} proved false", self.name_of(task));
        self.dismiss(node, reason);
        self.result_revoked(task);
    }

    /// Ends all leases of an accepted task; the nodes of the others may stop.
    fn end_copies(&mut self, task: Task, winner: Epoch) {
        for (epoch, copy) in self.leases.close_task(task) {
            let node = copy.node;
            let was_promise = epoch != winner && copy.is_stuck();
            self.free(epoch, &copy);
            self.leases.remember(epoch, copy);
            // Or it would have the next task at once, for as long again.
            if was_promise {
                self.pause_all(node);
            }
            if epoch != winner {
                self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::NotNeeded });
            }
        }
    }

    pub(crate) fn result_refused(&mut self, epoch: Epoch, reason: String) {
        let Some((record, _)) = self.checked_lease(epoch) else { return };
        self.close_lease(epoch);
        self.dismiss(record.node, reason);
    }

    /// A result that cannot be had counts for nothing: it says nothing of its task, which others get first, and the node
    /// waits. One of which nothing can be had gets no work at all for a while: it would hold each task for as long as a proof
    /// takes.
    pub(crate) fn result_unfetchable(&mut self, epoch: Epoch, reason: String) {
        let Some((record, _)) = self.checked_lease(epoch) else { return };
        let node = record.node;
        self.note_failure(&record, reason);
        self.shun(record.task, node);
        self.close_lease(epoch);
        self.pause_node(node, record.class);
        let in_a_row = self.nodes.unfetchable(node);
        if let Some(beyond) = in_a_row.checked_sub(UNFETCHABLE_MAX) {
            self.shut_out(node, beyond);
        }
    }

    pub(crate) fn task_failed(&mut self, node: NodeId, epoch: Epoch, failure: TaskFailure) {
        self.hear(node);
        let record = match self.open_lease_of(node, epoch) {
            Ok(record) => record.clone(),
            Err(reason) => return self.ignore(reason),
        };
        // A node that fails at a task has tried it, unless it is in no state to.
        if !matches!(failure.class, FailureClass::Node | FailureClass::Disk) {
            self.note_work();
        }
        match failure.class {
            FailureClass::Memory => {
                let now = self.now();
                self.nodes.ran_out_of_memory(node, record.memory, now);
            }
            // Perhaps one of the holders serves no good bytes. The client does.
            FailureClass::Input => {
                self.forget_holders(record.task);
                self.refuse(record.task, record.class, node, None);
            }
            FailureClass::Task => {
                self.refuse(record.task, record.class, node, Some(&failure.message));
            }
            FailureClass::Node | FailureClass::Disk => {}
        }
        // A full disk is a state of the node, and says nothing of the class.
        if failure.class != FailureClass::Disk {
            self.note_failure(&record, failure.message);
        }
        self.shun(record.task, node);
        self.close_lease(epoch);
        match failure.class {
            // Whatever it is given next needs room as well.
            FailureClass::Disk => self.pause_all(node),
            _ => self.pause_node(node, record.class),
        }
    }

    pub(crate) fn inputs_of(&self, task: Task) -> Vec<BlobRef> {
        self.leases.flight(task).map_or_else(Vec::new, |flight| flight.spec.inputs.clone())
    }

    fn forget_holders(&mut self, task: Task) {
        for input in self.inputs_of(task) {
            self.holders.forget(input.reference);
        }
    }

    /// Notes what became of a try at a task.
    fn note_failure(&mut self, record: &LeaseRecord, message: String) {
        let lasted = self.now().since(record.terms.granted_at);
        self.nodes.failed(record.node, record.class, lasted);
        self.failures.insert(record.class, message);
    }

    /// A node will not have a task, since it can't be done, by these words of it, or for what it reads. Once several do, or all
    /// that could do it, the shell is asked; nobody is believed.
    fn refuse(&mut self, task: Task, class: Class, node: NodeId, unprovable: Option<&str>) {
        let mut faults = self.faults.remove(task).unwrap_or_default();
        if let Some(message) = unprovable {
            if faults.unprovable_by.len() < UNPROVABLE_NODES_MAX {
                faults.unprovable_by.insert(node);
            }
            message.clone_into(&mut faults.message);
        }
        faults.refused_by.insert(node);
        let asks = !faults.is_judged && self.is_refused(&faults, class);
        faults.is_judged |= asks;
        self.faults.insert(task, faults);
        if asks {
            let inputs = self.inputs_of(task);
            self.act(Action::Judge { task, inputs });
        }
    }

    /// Whether enough nodes refuse a task for a look at it, or nobody else is left.
    fn is_refused(&self, faults: &Faults, class: Class) -> bool {
        // What a node has proved is its weight: one that has proved something counts as two that have not.
        let shown = |id: &NodeId| self.nodes.get(*id).is_some_and(Node::has_proved);
        let weight: u32 = faults.refused_by.iter().map(|id| 1 + u32::from(shown(id))).sum();
        if weight >= self.config.task_refusals_max {
            return true;
        }
        let barred = faults.unprovable_by.iter().filter(|_| faults.is_sound);
        let turned: BTreeSet<&NodeId> = faults.refused_by.iter().chain(barred).collect();
        let is_capable = |id: &&&NodeId| {
            self.nodes.get(***id).is_some_and(|state| state.standing.capable.contains(class))
        };
        turned.iter().filter(is_capable).count() as u64
            >= u64::from(self.nodes.capable_count(class))
    }

    /// Where nothing is wrong with what a task reads, nodes that call it impossible get it no more, and other nodes
    /// do: what nodes say never ends a job. Where something is, they may have been right.
    pub(crate) fn judged(&mut self, task: Task, judgement: Judgement) {
        let Some(faults) = self.faults.get_mut(task) else { return };
        faults.is_judged = false;
        match judgement {
            Judgement::Unknown => return,
            Judgement::Faulty => {
                faults.is_sound = false;
                faults.refused_by.clear();
                return faults.unprovable_by.clear();
            }
            Judgement::Sound => faults.refused_by.clear(),
        }
        let is_new = !std::mem::replace(&mut faults.is_sound, true);
        if is_new && !faults.unprovable_by.is_empty() {
            let node_count = faults.unprovable_by.len();
            let message = faults.message.clone();
            self.act(Action::Disbelieved { task, node_count, message });
        }
    }

    /// What people call a task.
    pub(crate) fn name_of(&self, task: Task) -> String {
        let demand = self.demands.iter().find(|(_, demand)| demand.kind == task.kind);
        match demand {
            Some((_, demand)) if task.range.count() == 1 => {
                format!("{}/{}", demand.name, task.range.start())
            }
            Some((_, demand)) => format!("{}/{}", demand.name, task.range),
            None => task.to_string(),
        }
    }

    /// The lease whose result the shell has checked, and when it was reported.
    fn checked_lease(&mut self, epoch: Epoch) -> Option<(LeaseRecord, Millis)> {
        let reason = match self.leases.get(epoch) {
            None => IgnoreReason::UnknownLease { epoch },
            Some(record) => match record.state {
                LeaseState::Ahead | LeaseState::Running => IgnoreReason::NotReported { epoch },
                LeaseState::Checking { reported_at } => return Some((record.clone(), reported_at)),
            },
        };
        self.ignore(reason);
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_plan::{MergesPlan, MergesShape, TaskCost};
    use starling_types::{Incarnation, IndexRange, MemoryBytes, Reference};

    use super::*;
    use crate::{Config, scheduler::FAULTS_MAX};

    fn scheduler(leaf_count: u8) -> Scheduler<MergesPlan> {
        let cost = TaskCost { memory: MemoryBytes(1), work: Millis(1) };
        let shape = MergesShape { width: 2, leaf: cost, merge: cost, finish: cost };
        let blob = |name| BlobRef { reference: Reference([name; 32]), size_bytes: 1 };
        let inputs: Vec<_> = (0..leaf_count).map(blob).collect();
        let plan = MergesPlan::new(&shape, &inputs);
        Scheduler::new(Config::default(), plan, Incarnation(1), 0)
    }

    fn merge(start: u32) -> Task {
        let range = IndexRange::new(start, start + 2).unwrap();
        Task { kind: MergesPlan::MERGE, range }
    }

    fn refuse(scheduler: &mut Scheduler<MergesPlan>, task: Task) {
        scheduler.refuse(task, Class(1), NodeId([1; 32]), Some("no"));
    }

    #[test]
    fn the_failures_of_so_many_tasks_are_remembered_and_no_more() {
        let mut scheduler = scheduler(2);
        let count = 2 * FAULTS_MAX as u32;
        for start in 0..count {
            refuse(&mut scheduler, merge(start));
        }
        let known = (0..count).filter(|start| scheduler.faults.get(merge(*start)).is_some());
        assert_eq!(known.count(), FAULTS_MAX);
        assert!(scheduler.faults.get(merge(count - 1)).is_some(), "the last ones");
    }

    #[test]
    fn what_was_said_of_a_merge_goes_when_it_dissolves() {
        let mut scheduler = scheduler(2);
        for index in 0..2 {
            let task = Task { kind: MergesPlan::LEAF, range: IndexRange::single(index) };
            let name = 100 + index as u8;
            let blob = BlobRef { reference: Reference([name; 32]), size_bytes: 1 };
            scheduler.plan.accept(task, blob, Certainty::Final).unwrap();
        }
        scheduler.plan.start(merge(0)).unwrap();
        refuse(&mut scheduler, merge(0));
        assert!(!scheduler.faults.is_empty());
        scheduler.result_revoked(Task { kind: MergesPlan::LEAF, range: IndexRange::single(0) });
        assert!(scheduler.faults.is_empty());
    }
}
