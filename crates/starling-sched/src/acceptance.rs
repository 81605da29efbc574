//! What becomes of results, and of failures.

use starling_plan::{Accepted, Certainty, Plan};
use starling_types::{BlobRef, Epoch, FailureClass, Millis, NodeId, Task};

use crate::{
    Action, IgnoreReason, RevokeReason, Scheduler, TaskFailure,
    lease::{LeaseRecord, LeaseState},
    node::Node,
};

/// How many nodes are remembered for having said that a task cannot be done: as many as a client has connections. More than
/// these can be refused one after the other; the pauses after each failure bound what that costs.
const UNPROVABLE_NODES_MAX: usize = 1024;

/// So many results of a node that cannot be had, in a row, and it gets no work for a while. One or two may be a connection
/// that broke.
const UNFETCHABLE_MAX: u32 = 3;

impl<P: Plan> Scheduler<P> {
    /// A result is checked if its task still needs one, even when the lease had expired: the first valid
    /// result wins, whoever's it is.
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
        self.faults.remove(&record.task);
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
            self.free(epoch, &copy);
            self.leases.remember(epoch, copy);
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
    pub(crate) fn result_unfetchable(&mut self, epoch: Epoch) {
        let Some((record, _)) = self.checked_lease(epoch) else { return };
        let node = record.node;
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
        // Whoever fails at a task has tried it, but for a node that is in no state to.
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
                self.refuse(record.task, node);
            }
            FailureClass::Task => {
                let faults = self.faults.entry(record.task).or_default();
                if faults.unprovable_by.len() < UNPROVABLE_NODES_MAX {
                    faults.unprovable_by.insert(node);
                }
                faults.message.clone_from(&failure.message);
                self.refuse(record.task, node);
            }
            FailureClass::Node | FailureClass::Disk => {}
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

    /// A node will not have a task, or what it reads. Once several do, the shell is asked; nobody is believed.
    fn refuse(&mut self, task: Task, node: NodeId) {
        let inputs = self.inputs_of(task);
        let faults = self.faults.entry(task).or_default();
        faults.refused_by.insert(node);
        // What a node has proved is its weight: one that has proved something counts as two that have not.
        let shown = |id: &NodeId| self.nodes.get(*id).is_some_and(|state| state.has_proved());
        let weight: u32 = faults.refused_by.iter().map(|id| 1 + u32::from(shown(id))).sum();
        if weight < self.config.task_refusals_max || faults.is_judged {
            return;
        }
        faults.is_judged = true;
        faults.refused_by.clear();
        self.act(Action::Judge { task, inputs });
    }

    /// Where nothing is wrong with what a task reads, those who call it impossible get it no more, and whoever else comes
    /// does: what nodes say never ends a job. Where something is, they may have been right.
    pub(crate) fn judged(&mut self, task: Task, is_sound: bool) {
        let Some(faults) = self.faults.get_mut(&task) else { return };
        faults.is_judged = false;
        if !is_sound {
            faults.is_sound = false;
            return faults.unprovable_by.clear();
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
