//! Leases: taken, fetched for, proved, stored, reported; or failed, given back, dropped.
//!
//! Whatever becomes of a lease, it becomes once (`Core::end`). Its slot, memory and inputs are given back when
//! nothing of it runs any more.

use starling_proto::{Done, Failure, Grant, LeaseId, NodeMessage};
use starling_types::{BlobRef, FailureClass, Millis, Need, NodeId};

use crate::{
    client::Client,
    core::Core,
    event::{Action, InputFailure, Note, Order, ProofFailure, ProofReport, StoreFailure, WorkId},
    limits::{
        BUSY_PAUSE_MAX, DECLINE_PAUSE, INPUT_BYTES_PER_SECOND_MIN, INPUT_PATIENCE, INPUT_TIME_MAX,
        INPUT_TIME_MIN, KILLS_FORGIVEN, PENDING_COUNT_MAX, STALL_PAUSE_MAX,
    },
    renewals::Renewals,
    work::{Ending, Phase, Work},
};

impl Core {
    pub(crate) fn granted(&mut self, id: NodeId, grant: Grant) {
        let lease = grant.lease;
        // Said twice.
        if self.works.named(id, lease).is_some() || self.results.contains(id, lease) {
            return;
        }
        if let Some(client) = self.clients.get_mut(&id) {
            // One that is granted ahead answers no request.
            if !grant.ahead {
                client.asked.pop_front();
            }
        }
        let work = self.works.mint();
        let Some((need, slot)) = self.admit(id, work, &grant) else {
            self.counts.refused += 1;
            return self.turn_down(id, &grant);
        };
        self.counts.accepted += 1;
        for input in &grant.inputs {
            self.blobs.hold(input.blob.reference);
        }
        let accepted_at = self.now;
        let inputs_by = accepted_at + input_time_max(&grant);
        let renewals = Renewals::new(grant.renew_within, self.now);
        let phase = Phase::Waiting { index: 0 };
        let (done_permille, kills) = (0, 0);
        let client = id;
        let accepted = Work {
            client,
            grant,
            need,
            slot,
            begun_at: accepted_at,
            got_on_at: accepted_at,
            accepted_at,
            inputs_by,
            renewals,
            done_permille,
            kills,
            phase,
        };
        self.works.insert(work, accepted);
        self.fetch(work, 0);
    }

    /// What a lease needs, and a slot for it, or none where it may be taken ahead or its inputs have to be here first; `None` when
    /// it is not taken.
    fn admit(
        &mut self,
        client: NodeId,
        work: WorkId,
        grant: &Grant,
    ) -> Option<(Need, Option<usize>)> {
        let need = self.config.need(grant)?;
        let is_stalled = |client: &Client| client.is_stalled(self.now);
        if self.full_disk.is_some() || self.clients.get(&client).is_some_and(is_stalled) {
            return None;
        }
        // Leases that are taken back as fast as they are granted: what ran for them has to stop first.
        if self.works.len() >= 4 * self.slots.count() + 2 * PENDING_COUNT_MAX {
            return None;
        }
        let is_on_trial = self.clients.get(&client).is_none_or(|client| !client.is_proved);
        if is_on_trial && !grant.ahead {
            let may_try = self.slots.has_room(need.memory)
                && self.may_be_tried(client)
                && self.make_room_for_pending();
            return may_try.then_some((need, None));
        }
        if let Some(slot) = self.slots.take(work, need.memory) {
            return Some((need, Some(slot)));
        }
        let may_wait = grant.ahead
            && need.memory <= self.slots.memory()
            && self.works.ahead().count() < self.slots.count();
        may_wait.then_some((need, None))
    }

    /// Whether one more lease of a client may have its inputs fetched without a slot: of one that has never served any, one at a
    /// time; of others, as many as slots are free.
    pub(crate) fn may_be_tried(&self, id: NodeId) -> bool {
        let has_served = self.clients.get(&id).is_some_and(|client| client.has_served);
        let count_max = if has_served { self.slots.free().slots } else { 1 };
        self.works.pending().filter(|(_, work)| work.client == id).count() < count_max
    }

    /// The lease that makes way for another whose inputs are to be fetched without a slot: `None` within where there is room,
    /// `None` without where there is none and nobody has had his time.
    pub(crate) fn room_for_pending(&self) -> Option<Option<WorkId>> {
        if self.works.pending().count() < self.slots.count() + PENDING_COUNT_MAX {
            return Some(None);
        }
        let (id, oldest) = self.works.pending().next()?;
        (oldest.accepted_at + INPUT_PATIENCE <= self.now).then_some(Some(id))
    }

    /// Makes room for one more lease whose inputs are fetched without a slot. Whether there is any.
    fn make_room_for_pending(&mut self) -> bool {
        let Some(leaves) = self.room_for_pending() else { return false };
        if let Some(leaves) = leaves {
            self.end_without_inputs(leaves, STALL_PAUSE_MAX, Ending::Excused);
        }
        true
    }

    /// Gives the slots back that have waited for inputs for long enough. The inputs may still come: the lease has the next slot
    /// that is free then.
    pub(crate) fn yield_slots(&mut self) {
        let is_due = |work: &Work| work.yields_at().is_some_and(|at| at <= self.now);
        let late: Vec<_> =
            self.works.live().filter(|(_, work)| is_due(work)).map(|(id, _)| id).collect();
        for id in late {
            if !self.make_room_for_pending() {
                self.end_without_inputs(id, STALL_PAUSE_MAX, Ending::Excused);
                continue;
            }
            let Some(work) = self.works.get_mut(id) else { continue };
            let (client, slot) = (work.client, work.slot.take());
            // Others need not wait for it; who granted it ahead has been told that it has begun.
            work.grant.ahead = false;
            if let Some(slot) = slot {
                self.slots.give_back(slot);
            }
            if let Some(client) = self.clients.get_mut(&client) {
                client.is_proved = false;
            }
        }
    }

    /// Does not take a lease, and says whether that is for what it needs or only for what there is to do otherwise: between
    /// the request and the grant another client may have been quicker.
    fn turn_down(&mut self, id: NodeId, grant: &Grant) {
        let need = self.config.need(grant);
        let would_fit = need.is_some_and(|need| need.memory <= self.slots.memory());
        let busy = would_fit && self.full_disk.is_none();
        self.give_back(id, grant, busy);
    }

    /// Tells a client that its lease is not worked on. One that was asked for is not asked for again as long as the same is
    /// free: it would be the same lease.
    fn give_back(&mut self, id: NodeId, grant: &Grant, busy: bool) {
        let (free, until) = (self.slots.free(), self.now + DECLINE_PAUSE);
        if let Some(client) = self.clients.get_mut(&id).filter(|_| !grant.ahead) {
            client.declined = Some((free, until));
        }
        self.tell(id, NodeMessage::Decline { lease: grant.lease, busy });
    }

    /// Fetches the input of this index, or goes on when there is none.
    fn fetch(&mut self, id: WorkId, index: usize) {
        let Some(work) = self.works.get_mut(id) else { return };
        let Some(client) = self.clients.get(&work.client) else { return };
        let Some(input) = work.grant.inputs.get(index) else {
            work.phase = Phase::Ready;
            return self.inputs_are_here(id);
        };
        let session = client.serving();
        work.phase = Phase::Fetching { index, session };
        let (blob, holders) = (input.blob, input.holders.clone());
        let client = client.addr.clone();
        self.act(Action::Fetch { work: id, blob, holders, client, session });
    }

    /// Begins with a lease, now or when a slot is free. Few wait for one: the clients of others should rather give them elsewhere.
    fn inputs_are_here(&mut self, id: WorkId) {
        let Some(work) = self.works.get(id) else { return };
        let is_asked_for = work.slot.is_none() && !work.grant.ahead;
        if !work.grant.inputs.is_empty()
            && let Some(client) = self.clients.get_mut(&work.client)
        {
            client.served(self.now);
        }
        let waiting_count = self.works.ahead().filter(|(_, work)| !work.grant.ahead).count();
        if is_asked_for && self.slots.free().slots == 0 && waiting_count > self.slots.count() {
            return self.end(id, Ending::Excused);
        }
        self.prove(id);
    }

    /// Proves, if the lease has a slot.
    fn prove(&mut self, id: WorkId) {
        let now = self.now;
        let Some(work) = self.works.get_mut(id) else { return };
        let Some(slot) = work.slot else { return };
        work.phase = Phase::Proving;
        let Need { limit: memory_limit, profile, .. } = work.need;
        let Grant { lease, task, .. } = work.grant;
        let name = self.config.name_of(&work.grant);
        let inputs = work.grant.inputs.iter().map(|input| (input.role, input.blob)).collect();
        let (system, arguments) = (work.grant.system.clone(), work.grant.arguments.clone());
        let (standstill_max, time_left) = (work.standstill_max(), work.slot_ends_at().since(now));
        let order = Order {
            system,
            task,
            arguments,
            inputs,
            profile,
            memory_limit,
            standstill_max,
            time_left,
        };
        self.say(Note::Proving { lease, task: name, profile });
        self.act(Action::Prove { work: id, slot, order });
    }

    /// Gives free slots to the leases that were taken ahead, first to those whose inputs are here, otherwise in their order.
    /// Their time begins now, which their clients are told: until now they were in nobody's way. One that does not fit beside
    /// what works now goes back: others need not wait for it.
    pub(crate) fn start_ahead(&mut self) {
        let mut ahead: Vec<_> = self
            .works
            .ahead()
            .map(|(id, work)| (work.phase != Phase::Ready, id, work.need.memory))
            .collect();
        ahead.sort_unstable();
        for (awaits_inputs, id, memory) in ahead {
            if self.slots.free().slots == 0 {
                return;
            }
            let Some(slot) = self.slots.take(id, memory) else {
                self.end(id, Ending::Declined);
                continue;
            };
            let now = self.now;
            let Some(work) = self.works.get_mut(id) else { continue };
            work.begin(slot, now);
            self.renew_now(id);
            if !awaits_inputs {
                self.prove(id);
            }
        }
    }

    pub(crate) fn fetched(&mut self, id: WorkId) {
        match self.works.get(id).map(|work| work.phase) {
            Some(Phase::Fetching { index, .. }) => self.fetch(id, index + 1),
            Some(Phase::Stopping) => self.clear(id),
            _ => {}
        }
    }

    pub(crate) fn not_fetched(&mut self, id: WorkId, cause: InputFailure) {
        let Some(work) = self.works.get(id) else { return };
        let Phase::Fetching { index, session } = work.phase else { return self.clear_stopped(id) };
        let current = self.clients.get(&work.client).and_then(Client::serving);
        self.set_phase(id, Phase::Waiting { index });
        match cause {
            InputFailure::NoRoom => {
                self.end(id, Ending::Declined);
                self.disk_is_full();
            }
            InputFailure::Storage(message) => self.end(id, Ending::Failed(Self::OURS, message)),
            // Over a connection that is gone by now, or there was none: that says nothing of the input.
            InputFailure::Unavailable(_) | InputFailure::Busy
                if session != current || session.is_none() =>
            {
                if current.is_some() {
                    self.fetch(id, index);
                }
            }
            InputFailure::Unavailable(message) => {
                let ending = Ending::Failed(FailureClass::Input, message);
                self.end_without_inputs(id, STALL_PAUSE_MAX, ending);
            }
            InputFailure::Busy => self.end_without_inputs(id, BUSY_PAUSE_MAX, Ending::Excused),
        }
    }

    /// Ends a lease whose inputs do not come, and lets other clients have its slot for a while. Where it had none, its client
    /// need not look for a fault: it may have been in nobody's way.
    fn end_without_inputs(&mut self, id: WorkId, pause_max: Millis, ending: Ending) {
        let Some(work) = self.works.get(id) else { return };
        let (now, held) = (self.now, self.now.since(work.accepted_at));
        let is_ahead = work.slot.is_none() && work.grant.ahead;
        let client = self.clients.get_mut(&work.client);
        // A client that is away does not cheat.
        if let Some(client) = client.filter(|client| client.serving().is_some()) {
            client.stalled(held, pause_max, now);
        }
        let ending = match is_ahead {
            true => Ending::Declined,
            false => ending,
        };
        self.end(id, ending);
    }

    /// What waited for the client goes on.
    pub(crate) fn client_is_back(&mut self, id: WorkId) {
        let Some(work) = self.works.get(id) else { return };
        if let Phase::Waiting { index } = work.phase {
            self.fetch(id, index);
        }
    }

    pub(crate) fn got_on(&mut self, id: WorkId, done_permille: u32) {
        let now = self.now;
        if let Some(work) = self.works.get_mut(id) {
            work.get_on(done_permille.min(1000), now);
        }
    }

    pub(crate) fn proved(&mut self, id: WorkId, report: ProofReport) {
        let Some(work) = self.works.get_mut(id) else { return };
        if work.phase != Phase::Proving {
            return self.clear_stopped(id);
        }
        work.phase = Phase::Publishing(report);
        let (grant, client) = (work.grant.clone(), work.client);
        if let Some(client) = self.clients.get_mut(&client) {
            client.proved(self.now);
        }
        self.act(Action::Publish { work: id });
        self.measured(&grant, report.elapsed);
        if report.reproved > 0 {
            self.counts.reproved += u64::from(report.reproved);
            let task = self.config.name_of(&grant);
            self.say(Note::Reproved { task, count: report.reproved });
        }
    }

    /// Takes into account how long a proof took.
    fn measured(&mut self, grant: &Grant, elapsed: Millis) {
        let Some(system) = self.config.system(&grant.system) else { return };
        let Some((need, po2)) = system.need(grant.task, &grant.arguments) else { return };
        let (name, revision) = (&system.name, system.figures.revision);
        self.speed.observe(name, revision, (grant.task.kind, po2), need.work, elapsed);
        self.act(Action::KeepSpeed { speed: self.speed.to_string() });
    }

    pub(crate) fn not_proved(&mut self, id: WorkId, cause: ProofFailure) {
        let Some(work) = self.works.get_mut(id) else { return };
        if work.phase != Phase::Proving {
            return self.clear_stopped(id);
        }
        work.phase = Phase::Ready;
        let (class, message) = match cause {
            ProofFailure::Killed(detail) => {
                self.counts.killed += 1;
                work.kills += 1;
                if work.kills <= KILLS_FORGIVEN {
                    work.done_permille = 0;
                    let task = self.config.name_of(&work.grant);
                    self.say(Note::Killed { task, detail });
                    return self.prove(id);
                }
                (FailureClass::Memory, detail)
            }
            ProofFailure::OutOfMemory(message) => (FailureClass::Memory, message),
            ProofFailure::Node(message) => (Self::OURS, message),
            ProofFailure::Input(message) => (FailureClass::Input, message),
            ProofFailure::Task(message) => (FailureClass::Task, message),
        };
        self.end(id, Ending::Failed(class, message));
    }

    pub(crate) fn published(&mut self, id: WorkId, result: BlobRef) {
        self.blobs.hold(result.reference);
        let publishing = self.works.get(id).map(|work| {
            (work.phase, work.client, work.grant.lease, self.config.name_of(&work.grant))
        });
        let Some((Phase::Publishing(report), client, lease, task)) = publishing else {
            self.release(result.reference);
            return self.clear_stopped(id);
        };
        self.set_phase(id, Phase::Ready);
        let ProofReport { elapsed, peak_memory, .. } = report;
        let done = Done { lease, result, prove_ms: elapsed.0, peak_memory };
        self.tell(client, NodeMessage::Done(done.clone()));
        for gone in self.results.insert(client, done) {
            self.release(gone.reference);
        }
        self.say(Note::Proved { lease, task, elapsed });
        self.end(id, Ending::Done);
    }

    pub(crate) fn not_published(&mut self, id: WorkId, cause: StoreFailure) {
        let Some(Phase::Publishing(report)) = self.works.get(id).map(|work| work.phase) else {
            return self.clear_stopped(id);
        };
        self.set_phase(id, Phase::Unpublished(report));
        match cause {
            StoreFailure::NoRoom => self.disk_is_full(),
            StoreFailure::Storage(message) => self.end(id, Ending::Failed(Self::OURS, message)),
        }
    }

    pub(crate) fn publish_again(&mut self, id: WorkId) {
        if let Some(Phase::Unpublished(report)) = self.works.get(id).map(|work| work.phase) {
            self.set_phase(id, Phase::Publishing(report));
            self.act(Action::Publish { work: id });
        }
    }

    pub(crate) fn work_stopped(&mut self, id: WorkId) {
        let Some(work) = self.works.get(id) else { return };
        // Only what was cancelled stops; anything else that does is a defect of the shell, and no fault of the task.
        if work.phase.is_running() && !work.is_over() {
            self.set_phase(id, Phase::Ready);
            return self.end(id, Ending::Failed(Self::OURS, "the work on it broke off".into()));
        }
        self.clear_stopped(id);
    }

    pub(crate) fn revoked(&mut self, client: NodeId, lease: LeaseId, reason: String) {
        match self.works.named(client, lease) {
            Some(id) if self.works.get(id).is_some_and(|work| !work.is_over()) => {
                self.say(Note::Revoked { lease, reason });
                self.end(id, Ending::Dropped);
            }
            _ => self.drop_result(client, lease),
        }
    }

    pub(crate) fn refused(&mut self, client: NodeId, lease: LeaseId, reason: String) {
        if self.results.contains(client, lease) {
            self.say(Note::Refused { lease, reason });
            self.drop_result(client, lease);
        }
    }

    fn drop_result(&mut self, client: NodeId, lease: LeaseId) {
        if let Some(blob) = self.results.remove(client, lease) {
            self.release(blob.reference);
        }
    }

    /// Ends the leases that have stood still for too long, or have had their slots for too long, whatever they are at. How long
    /// a proof that gets on may take is otherwise for its client to say.
    pub(crate) fn end_overdue(&mut self) {
        let overdue: Vec<_> = self
            .works
            .live()
            .filter(|(_, work)| work.is_overdue(self.now))
            .map(|(id, work)| (id, work.phase))
            .collect();
        for (id, phase) in overdue {
            match phase {
                Phase::Fetching { .. } | Phase::Waiting { .. } => {
                    let message = "its inputs had not come in time".into();
                    let ending = Ending::Failed(FailureClass::Input, message);
                    self.end_without_inputs(id, STALL_PAUSE_MAX, ending);
                }
                // The proof is good, and there is nowhere to put it.
                Phase::Unpublished(_) => self.end(id, Ending::Declined),
                _ => {
                    let message = match self.works.get(id).map(Work::slot_ends_at) {
                        Some(at) if at <= self.now => "it has had its slot for too long",
                        _ => "it has stood still for as long as its deadline allows",
                    };
                    let message = message.into();
                    self.end(id, Ending::Failed(Self::OURS, message));
                }
            }
        }
    }

    /// Renews the leases that are due.
    pub(crate) fn renew(&mut self) {
        let due: Vec<_> = self
            .works
            .live()
            .filter(|(_, work)| work.renewals.due_at(work.done_permille) <= self.now)
            .filter(|(_, work)| {
                self.clients.get(&work.client).is_some_and(|c| c.serving().is_some())
            })
            .map(|(id, _)| id)
            .collect();
        for id in due {
            self.renew_now(id);
        }
    }

    /// Tells its client that a lease is still worked on, or waits.
    pub(crate) fn renew_now(&mut self, id: WorkId) {
        let now = self.now;
        let Some(work) = self.works.get_mut(id) else { return };
        let (client, lease, done_permille) = (work.client, work.grant.lease, work.done_permille);
        let waits = work.slot.is_none();
        work.renewals.sent(now, done_permille);
        self.tell(client, NodeMessage::Renew { lease, done_permille, waits });
    }

    /// Ends a lease, once, whatever it is at. What runs for it is stopped, and holds its slot until it has.
    pub(crate) fn end(&mut self, id: WorkId, ending: Ending) {
        let Some(work) = self.works.get(id).filter(|work| !work.is_over()) else { return };
        let (client, grant, phase) = (work.client, work.grant.clone(), work.phase);
        let lease = grant.lease;
        match ending {
            Ending::Done => self.counts.done += 1,
            Ending::Dropped => self.counts.dropped += 1,
            Ending::Declined | Ending::Excused => {
                self.counts.returned += 1;
                self.give_back(client, &grant, matches!(ending, Ending::Excused));
            }
            Ending::Failed(class, message) => {
                self.counts.failed += 1;
                let task = self.config.name_of(&grant);
                self.say(Note::Failed { lease, task, class, message: message.clone() });
                self.tell(client, NodeMessage::Failed(Failure { lease, class, message }));
            }
        }
        self.set_phase(id, Phase::Stopping);
        match phase {
            // A copy that is being made ends soon by itself, and its name has to be known to forget it.
            Phase::Publishing(_) => {}
            _ if phase.is_running() => self.act(Action::Cancel { work: id }),
            _ => self.clear(id),
        }
    }

    fn set_phase(&mut self, id: WorkId, phase: Phase) {
        if let Some(work) = self.works.get_mut(id) {
            work.phase = phase;
        }
    }

    fn clear_stopped(&mut self, id: WorkId) {
        if self.works.get(id).is_some_and(Work::is_over) {
            self.clear(id);
        }
    }

    /// Nothing of the lease runs any more: gives back all that it held.
    fn clear(&mut self, id: WorkId) {
        let Some(work) = self.works.remove(id) else { return };
        if let Some(slot) = work.slot {
            self.slots.give_back(slot);
        }
        for input in &work.grant.inputs {
            self.release(input.blob.reference);
        }
        self.act(Action::Over { work: id });
    }
}

/// How long the inputs of a lease may take to come.
fn input_time_max(grant: &Grant) -> Millis {
    let sizes = grant.inputs.iter().map(|input| input.blob.size_bytes);
    let seconds = sizes.fold(0, u64::saturating_add) / INPUT_BYTES_PER_SECOND_MIN;
    Millis(INPUT_TIME_MIN.0.saturating_add(seconds.saturating_mul(1000))).min(INPUT_TIME_MAX)
}
