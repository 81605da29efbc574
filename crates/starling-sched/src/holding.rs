//! How nodes come and go, and how their leases live and expire.

use starling_plan::{Class, Plan};
use starling_types::{Capability, Epoch, Millis, NodeId, Task};

use crate::{
    Action, ExpiryReason, IgnoreReason, RevokeReason, Scheduler,
    lease::{LeaseRecord, LeaseState},
    node::Node,
};

impl<P: Plan> Scheduler<P> {
    pub(crate) fn node_joined(&mut self, node: NodeId, capability: Capability) {
        if self.nodes.is_dismissed(node) {
            let reason = "it was dismissed from this job before".to_owned();
            return self.act(Action::Dismiss { node, reason });
        }
        self.nodes.join(node, capability);
    }

    pub(crate) fn node_left(&mut self, node: NodeId) {
        let Some(state) = self.nodes.leave(node) else {
            return self.ignore(IgnoreReason::UnknownNode { node });
        };
        let held = state.held();
        for epoch in &held {
            self.expire(*epoch, ExpiryReason::NodeLeft);
        }
        // Keys are free, and so are connections: who comes back for the next task instead of this one waits as if it had failed.
        if !held.is_empty() {
            let until = self.pause_end();
            self.nodes.deserted(node, held, until);
        }
    }

    pub(crate) fn work_requested(&mut self, node: NodeId) {
        let request = self.nodes.edit(node, |state| {
            state.is_silent = false;
            state.open_requests = state.open_requests.saturating_add(1).min(state.slots());
        });
        if request.is_none() {
            self.ignore_node(node);
        }
    }

    pub(crate) fn requests_withdrawn(&mut self, node: NodeId) {
        self.nodes.edit(node, |state| state.open_requests = 0);
    }

    pub(crate) fn lease_returned(&mut self, node: NodeId, epoch: Epoch) {
        match self.open_lease_of(node, epoch) {
            Ok(record) => {
                let is_ahead = record.is_ahead();
                self.close_lease(epoch);
                if is_ahead {
                    // Or it would be granted at once again, and returned again.
                    self.nodes.edit(node, |state| state.declined_ahead());
                }
            }
            Err(reason) => self.ignore(reason),
        }
    }

    pub(crate) fn lease_declined(&mut self, node: NodeId, epoch: Epoch, busy: bool) {
        self.hear(node);
        match self.open_lease_of(node, epoch) {
            Ok(record) if record.is_ahead() => {
                self.close_lease(epoch);
                self.nodes.edit(node, |state| state.declined_ahead());
            }
            Ok(record) => {
                let (class, task) = (record.class, record.task);
                self.shun(task, node);
                self.close_lease(epoch);
                let now = self.now();
                // Another client was quicker. Otherwise, a node that asks for work and will not have it costs as much as
                // one that fails at it.
                let is_excused =
                    busy && self.nodes.edit(node, |state| state.excuse(now)) == Some(true);
                if !is_excused {
                    self.pause_node(node, class);
                }
            }
            Err(reason) => self.ignore(reason),
        }
    }

    /// Others get the task before this node gets it again.
    pub(crate) fn shun(&mut self, task: Task, node: NodeId) {
        self.shunned.insert(task, node);
    }

    pub(crate) fn lease_renewed(
        &mut self,
        node: NodeId,
        epoch: Epoch,
        done_permille: u32,
        waits: bool,
    ) {
        if self.nodes.is_dismissed(node) {
            return self.ignore(IgnoreReason::DismissedNode { node });
        }
        self.hear(node);
        match self.open_lease_of(node, epoch) {
            Ok(record) => {
                let begins = record.is_ahead() && !waits;
                let stands_still = record.is_running() && waits;
                self.leases.renew(epoch, self.now() + self.config.renew_within);
                self.leases.get_on(epoch, done_permille);
                if begins {
                    self.begin(node, epoch);
                }
                // Its inputs are long on their way to it, and its slot is somebody else's by then.
                if stands_still {
                    self.leases.mark_needing_backup(epoch);
                }
            }
            Err(IgnoreReason::UnknownLease { .. }) if self.leases.past(epoch).is_none() => {
                match self.nodes.get(node) {
                    Some(_) => self.act(Action::Disown { node, epoch }),
                    None => self.ignore_node(node),
                }
            }
            Err(reason) => self.renew_past_lease(node, epoch, waits, reason),
        }
    }

    /// A lease that was granted ahead has a slot by its node's word, and its time begins. Where the node should have none
    /// to spare, a report is on its way that says otherwise: the next renewal begins it.
    fn begin(&mut self, node: NodeId, epoch: Epoch) {
        let Some(record) = self.leases.get(epoch) else { return };
        let (class, memory) = (record.class, record.memory);
        let has_room = self.nodes.get(node).is_some_and(|state| state.has_room(memory));
        if has_room {
            let terms = self.terms(node, class);
            self.leases.begin(epoch, terms);
            self.nodes.edit(node, |state| state.open_lease(epoch, memory, terms.expected_at));
        }
    }

    /// A node works on a lease that ended. It goes on if the task still needs it; else it is told to stop,
    /// perhaps again, since the first time may have been lost.
    fn renew_past_lease(
        &mut self,
        node: NodeId,
        epoch: Epoch,
        waits: bool,
        otherwise: IgnoreReason,
    ) {
        let Some(record) = self.leases.past(epoch).filter(|record| record.node == node) else {
            return self.ignore(otherwise);
        };
        let task = record.task;
        let has_room = self.nodes.get(node).is_some_and(|state| match waits {
            true => state.may_hold_ahead() && self.leases.flight(task).is_none(),
            false => {
                state.has_room(record.memory) && self.leases.may_copy(task, state.is_vouched())
            }
        });
        let has_room = has_room && self.nodes.get(node).is_some_and(Node::may_take);
        let state = if waits { LeaseState::Ahead } else { LeaseState::Running };
        let reason = if self.plan.is_accepted(task) {
            RevokeReason::NotNeeded
        } else if !waits && !record.is_ahead() && record.terms.deadline_at <= self.now() {
            RevokeReason::DeadlinePassed
        } else if record.is_revoked {
            // It said so before it heard that it was to stop. Were the lease to stand, nobody would work on it.
            RevokeReason::Replaced
        } else if has_room && self.revive(epoch, state) {
            return self.act(Action::Revived { node, epoch, task });
        } else {
            RevokeReason::Replaced
        };
        self.act(Action::Revoke { node, epoch, task, reason });
    }

    /// Lets a lease that ended stand again. Not possible for a join whose inputs went another way.
    pub(crate) fn revive(&mut self, epoch: Epoch, state: LeaseState) -> bool {
        let Some(past) = self.leases.past(epoch) else { return false };
        let spec = match self.leases.flight(past.task) {
            Some(flight) => flight.spec.clone(),
            None => match self.plan.start(past.task) {
                Ok(spec) => spec,
                Err(_) => return false,
            },
        };
        let Some(past) = self.leases.forget(epoch) else { return false };
        let renew_by = self.now() + self.config.renew_within;
        // The time of one that was granted ahead begins with its slot.
        let terms = if past.is_ahead() { self.terms(past.node, past.class) } else { past.terms };
        self.nodes.edit(past.node, |node| match state {
            LeaseState::Ahead => node.open_ahead(epoch),
            LeaseState::Running => node.open_lease(epoch, past.memory, terms.expected_at),
            LeaseState::Checking { .. } => {}
        });
        match state {
            LeaseState::Checking { .. } => self.nodes.reported(past.node),
            LeaseState::Ahead | LeaseState::Running => self.nodes.took_up(past.node, epoch),
        }
        let is_vouched = self.is_vouched(past.node);
        let record = LeaseRecord {
            renew_by,
            state,
            terms,
            is_heard_of: true,
            is_vouched,
            is_revoked: false,
            ..past
        };
        self.leases.open(epoch, spec, record);
        true
    }

    /// Ends the leases whose time is over.
    pub(crate) fn end_leases(&mut self) {
        for epoch in self.leases.take_ended(self.now()) {
            let Some(record) = self.leases.get(epoch) else { continue };
            let (node, task, class) = (record.node, record.task, record.class);
            let wall = self.now().since(record.terms.granted_at);
            if record.renew_by <= self.now() {
                self.expire(epoch, ExpiryReason::Silence);
                self.fall_silent(node);
                continue;
            }
            let could_begin = |other: NodeId| other != node && !self.is_barred(other, task);
            if !self.nodes.waiting(class).any(could_begin) {
                // It still works, and nobody else could: stopping it would only lose what it has done.
                let more = self.now() + self.config.deadline_min;
                self.leases.extend_deadline(epoch, more);
                continue;
            }
            self.expire(epoch, ExpiryReason::DeadlinePassed);
            self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::DeadlinePassed });
            // Its next deadline is set by this, so a slow machine gets its time in the end.
            let work = self.demands.of(class).cost.work;
            self.nodes.edit(node, |state| state.overran(work, wall));
            self.pause_node(node, class);
        }
    }

    /// Takes work back that the job turns out not to need: nodes have better things to do, and its
    /// failures must not fail the job. Results that are being checked are left alone.
    pub(crate) fn end_needless_leases(&mut self) {
        if self.is_over() || self.demands.classes().all(|class| self.plan.is_needed(class)) {
            return;
        }
        let is_needless =
            |record: &LeaseRecord| record.is_open() && !self.plan.is_needed(record.class);
        let needless: Vec<Epoch> = self
            .leases
            .standing()
            .filter(|(_, record)| is_needless(record))
            .map(|(epoch, _)| epoch)
            .collect();
        for epoch in needless {
            let Some(record) = self.close_lease(epoch) else { continue };
            let (node, task) = (record.node, record.task);
            self.leases.remember(epoch, LeaseRecord { is_revoked: true, ..record });
            self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::NotNeeded });
        }
    }

    /// A node that let one lease expire gets no other until it is heard, what else it works on may have a backup, and what
    /// it has not begun goes to others.
    fn fall_silent(&mut self, node: NodeId) {
        let others = self.nodes.edit(node, |state| {
            state.is_silent = true;
            state.held()
        });
        for epoch in others.unwrap_or_default() {
            match self.leases.get(epoch).is_some_and(LeaseRecord::is_ahead) {
                true => self.expire(epoch, ExpiryReason::Silence),
                false => self.leases.mark_needing_backup(epoch),
            }
        }
    }

    fn expire(&mut self, epoch: Epoch, reason: ExpiryReason) {
        if let Some(record) = self.close_lease(epoch) {
            self.act(Action::Expired { node: record.node, epoch, task: record.task, reason });
            self.leases.remember(epoch, record);
        }
    }

    /// Breaks with a node. Results of it that are being checked are judged on their own.
    pub(crate) fn dismiss(&mut self, node: NodeId, reason: String) {
        if self.nodes.is_dismissed(node) {
            return;
        }
        let state = self.nodes.dismiss(node);
        for epoch in state.into_iter().flat_map(|state| state.held()) {
            if let Some(record) = self.close_lease(epoch) {
                let task = record.task;
                self.act(Action::Revoke { node, epoch, task, reason: RevokeReason::Dismissed });
            }
        }
        self.act(Action::Dismiss { node, reason });
    }

    /// Gives a node nothing of this class for a while, longer each time.
    pub(crate) fn pause_node(&mut self, node: NodeId, class: Class) {
        let until = self.pause_end();
        self.nodes.pause(node, class, until);
    }

    /// When a pause ends that begins now, by how many there were, this one included.
    fn pause_end(&mut self) -> impl FnOnce(u32) -> Millis + use<P> {
        let now = self.now();
        let (shortest, longest) = (self.config.backoff_min, self.config.backoff_max);
        let jitter_permille = self.jittered(Millis(1000)).0;
        move |strikes| {
            // 2^32 milliseconds is longer than any pause: no need to double further.
            let doubled = shortest.0.saturating_mul(1 << (strikes - 1).min(32));
            now + Millis(doubled.min(longest.0).saturating_mul(jitter_permille) / 1000)
        }
    }

    /// Gives a node nothing at all for a while: its trouble is with none of its tasks.
    pub(crate) fn pause_all(&mut self, node: NodeId) {
        for class in self.demands.classes() {
            self.pause_node(node, class);
        }
    }

    /// Gives a node nothing at all for the longest pause, doubled `times` over.
    pub(crate) fn shut_out(&mut self, node: NodeId, times: u32) {
        let length = self.config.backoff_max.0.saturating_mul(1 << times.min(32));
        let until = self.now() + self.jittered(Millis(length).min(self.config.shut_out_max));
        for class in self.demands.classes() {
            self.nodes.pause(node, class, |_| until);
        }
    }

    /// Notes that a node lives.
    pub(crate) fn hear(&mut self, node: NodeId) {
        if self.nodes.get(node).is_some_and(|state| state.is_silent) {
            self.nodes.edit(node, |state| state.is_silent = false);
        }
    }

    /// The lease, if there is no result of it and it is this node's.
    pub(crate) fn open_lease_of(
        &self,
        node: NodeId,
        epoch: Epoch,
    ) -> Result<&LeaseRecord, IgnoreReason> {
        let record = self.leases.get(epoch).ok_or(IgnoreReason::UnknownLease { epoch })?;
        if record.node != node {
            return Err(IgnoreReason::NotTheHolder { epoch, node });
        }
        if !record.is_open() {
            return Err(IgnoreReason::AlreadyReported { epoch });
        }
        Ok(record)
    }

    fn ignore_node(&mut self, node: NodeId) {
        self.ignore(if self.nodes.is_dismissed(node) {
            IgnoreReason::DismissedNode { node }
        } else {
            IgnoreReason::UnknownNode { node }
        });
    }
}
