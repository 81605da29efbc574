//! What becomes of results, and of failures.

use starling_plan::Accepted;
use starling_types::{BlobRef, Epoch, FailureClass, Millis, NodeId, TaskId};

use crate::{
    Action, Failure, IgnoreReason, JobFailure, RevokeReason, Scheduler,
    lease::{LeaseRecord, LeaseState},
};

impl Scheduler {
    /// A result is checked if its task still needs one, even when the lease had expired: the first valid
    /// result wins, whoever's it is.
    pub(crate) fn result_reported(&mut self, node: NodeId, epoch: Epoch, blob: BlobRef) {
        self.hear(node);
        if self.nodes.is_dismissed(node) {
            return self.ignore(IgnoreReason::DismissedNode { node });
        }
        let task = match self.running_lease_of(node, epoch) {
            Ok(record) => {
                let task = record.task;
                self.leases.report(epoch, self.now());
                self.nodes.edit(node, |state| state.close_lease(epoch));
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

    pub(crate) fn result_accepted(&mut self, epoch: Epoch, blob: BlobRef) {
        let Some((record, reported_at)) = self.checked_lease(epoch) else { return };
        let wall = reported_at.since(record.granted_at);
        let work = self.demands.of(record.class).cost.work;
        self.nodes.edit(record.node, |state| state.succeeded(record.class, work, wall));

        let inputs =
            self.leases.flight(record.task).map_or_else(Vec::new, |f| f.spec.inputs.clone());
        let accepted = self.plan.accept(record.task, blob);
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
        self.end_copies(record.task, epoch);
    }

    /// Ends all leases of an accepted task; the nodes of the others may stop.
    fn end_copies(&mut self, task: TaskId, winner: Epoch) {
        for (epoch, copy) in self.leases.close_task(task) {
            let node = copy.node;
            self.nodes.edit(node, |state| state.close_lease(epoch));
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

    pub(crate) fn result_unfetchable(&mut self, epoch: Epoch, reason: String) {
        let Some((record, _)) = self.checked_lease(epoch) else { return };
        self.close_lease(epoch);
        self.pause_node(record.node, record.class);
        self.count_attempt(record.task, &reason);
    }

    pub(crate) fn task_failed(&mut self, node: NodeId, epoch: Epoch, failure: Failure) {
        self.hear(node);
        let record = match self.running_lease_of(node, epoch) {
            Ok(record) => record.clone(),
            Err(reason) => return self.ignore(reason),
        };
        match failure.class {
            // What a node cannot hold it is not asked to hold again, so this cannot go on for ever and
            // needs no count: at the end no node is left, and the job says so.
            FailureClass::Memory => {
                self.nodes.edit(node, |state| state.ran_out_of_memory());
                self.close_lease(epoch);
                return;
            }
            // Perhaps one of the holders serves no good bytes. The client does.
            FailureClass::Input => self.forget_holders(record.task),
            FailureClass::Task => {
                self.faults.entry(record.task).or_default().unprovable.insert(node);
            }
            FailureClass::Node | FailureClass::Disk => {}
        }
        self.close_lease(epoch);
        self.pause_node(node, record.class);
        self.fail_if_unprovable(record.task, &failure.message);
        self.count_attempt(record.task, &failure.message);
    }

    fn forget_holders(&mut self, task: TaskId) {
        let inputs = self.leases.flight(task).map_or_else(Vec::new, |f| f.spec.inputs.clone());
        for input in inputs {
            self.holders.forget(input.reference);
        }
    }

    fn fail_if_unprovable(&mut self, task: TaskId, message: &str) {
        let Some(faults) = self.faults.get(&task) else { return };
        if faults.unprovable.len() as u64 >= u64::from(self.config.task_failures_max) {
            let nodes = faults.unprovable.iter().copied().collect();
            self.fail(JobFailure::TaskUnprovable { task, message: message.to_owned(), nodes });
        }
    }

    /// Counts a failure of a task, and gives the job up when there were too many.
    pub(crate) fn count_attempt(&mut self, task: TaskId, message: &str) {
        let faults = self.faults.entry(task).or_default();
        faults.attempts = faults.attempts.saturating_add(1);
        let attempts = faults.attempts;
        if attempts > self.config.task_attempts_max {
            let message = message.to_owned();
            self.fail(JobFailure::TooManyAttempts { task, attempts, message });
        }
    }

    /// The lease whose result the shell has checked, and when it was reported.
    fn checked_lease(&mut self, epoch: Epoch) -> Option<(LeaseRecord, Millis)> {
        let reason = match self.leases.get(epoch) {
            None => IgnoreReason::UnknownLease { epoch },
            Some(record) => match record.state {
                LeaseState::Running => IgnoreReason::NotReported { epoch },
                LeaseState::Checking { reported_at } => return Some((record.clone(), reported_at)),
            },
        };
        self.ignore(reason);
        None
    }
}
