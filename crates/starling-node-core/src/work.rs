//! The leases that were accepted and are not over.

use std::collections::BTreeMap;

use starling_proto::{Grant, LeaseId};
use starling_types::{FailureClass, Millis, Need, NodeId};

use crate::{
    event::{ProofReport, SessionId, WorkId},
    limits::{INPUT_PATIENCE, SLOT_TIME_MAX},
    renewals::Renewals,
};

/// An accepted lease.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) client: NodeId,
    pub(crate) grant: Grant,
    /// What it needs here.
    pub(crate) need: Need,
    /// Its slot. One that was taken ahead has none yet, and one whose inputs are long on their way none any more.
    pub(crate) slot: Option<usize>,
    /// When its slot was taken; of one that has none, when it was accepted.
    pub(crate) begun_at: Millis,
    /// When it got on last, or else got its slot.
    pub(crate) got_on_at: Millis,
    pub(crate) accepted_at: Millis,
    /// When its inputs have to be here, slot or not.
    pub(crate) inputs_by: Millis,
    pub(crate) renewals: Renewals,
    pub(crate) done_permille: u32,
    pub(crate) kills: u32,
    pub(crate) phase: Phase,
}

/// How far a lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// This input is being fetched, begun over this connection.
    Fetching {
        index: usize,
        session: Option<SessionId>,
    },
    /// This input could not be had while the client is away; it is tried again when the client is back.
    Waiting {
        index: usize,
    },
    /// The inputs are here, no slot is free.
    Ready,
    Proving,
    /// The proof is being stored.
    Publishing(ProofReport),
    /// The proof waits for room on the disk.
    Unpublished(ProofReport),
    /// It is over, but what ran for it has not stopped yet.
    Stopping,
}

impl Phase {
    /// Whether an event about it is to come.
    pub(crate) fn is_running(self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::Ready | Self::Unpublished(_))
    }
}

impl Work {
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Stopping
    }

    /// Whether its inputs are still to come.
    pub(crate) fn awaits_inputs(&self) -> bool {
        matches!(self.phase, Phase::Fetching { .. } | Phase::Waiting { .. })
    }

    /// It has a slot from now on, and its time begins.
    pub(crate) fn begin(&mut self, slot: usize, now: Millis) {
        self.slot = Some(slot);
        (self.begun_at, self.got_on_at) = (now, now);
    }

    /// It is so far: where that is farther than before, its time begins anew.
    pub(crate) fn get_on(&mut self, done_permille: u32, now: Millis) {
        if done_permille > self.done_permille {
            self.got_on_at = now;
        }
        self.done_permille = done_permille;
    }

    /// How long it may stand still.
    pub(crate) fn standstill_max(&self) -> Millis {
        self.grant.deadline.min(SLOT_TIME_MAX)
    }

    /// When its slot is for others, however well it gets on.
    pub(crate) fn slot_ends_at(&self) -> Millis {
        self.begun_at + SLOT_TIME_MAX
    }

    /// Whether its inputs are on their way and no slot waits for them.
    pub(crate) fn is_pending(&self) -> bool {
        self.slot.is_none() && !self.grant.ahead && self.awaits_inputs()
    }

    /// When its slot is for others, if its inputs are not here by then.
    pub(crate) fn yields_at(&self) -> Option<Millis> {
        (self.slot.is_some() && self.awaits_inputs()).then_some(self.begun_at + INPUT_PATIENCE)
    }

    /// When it is overdue unless it gets on before; never while it waits for a slot. A machine that is slower than it was when its
    /// deadline was set would otherwise begin the same proof again and again: whether anybody else should rather do it is its
    /// client's to say, which takes the lease back then.
    pub(crate) fn due_at(&self) -> Option<Millis> {
        let has_begun = self.slot.is_some() || self.is_pending();
        has_begun.then(|| (self.got_on_at + self.standstill_max()).min(self.slot_ends_at()))
    }

    /// Whether its time is over, or that of its inputs.
    pub(crate) fn is_overdue(&self, now: Millis) -> bool {
        self.due_at().is_some_and(|at| at <= now) || self.awaits_inputs() && self.inputs_by <= now
    }
}

/// All accepted leases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Works {
    works: BTreeMap<WorkId, Work>,
    names: BTreeMap<(NodeId, LeaseId), WorkId>,
    next: u64,
}

impl Works {
    /// The name of the next lease that is accepted.
    pub(crate) fn mint(&mut self) -> WorkId {
        self.next += 1;
        WorkId(self.next)
    }

    pub(crate) fn insert(&mut self, id: WorkId, work: Work) {
        self.names.insert((work.client, work.grant.lease), id);
        self.works.insert(id, work);
    }

    pub(crate) fn remove(&mut self, id: WorkId) -> Option<Work> {
        let work = self.works.remove(&id)?;
        self.names.remove(&(work.client, work.grant.lease));
        Some(work)
    }

    pub(crate) fn get(&self, id: WorkId) -> Option<&Work> {
        self.works.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: WorkId) -> Option<&mut Work> {
        self.works.get_mut(&id)
    }

    pub(crate) fn named(&self, client: NodeId, lease: LeaseId) -> Option<WorkId> {
        self.names.get(&(client, lease)).copied()
    }

    /// Those that are not over.
    pub(crate) fn live(&self) -> impl Iterator<Item = (WorkId, &Work)> {
        self.all().filter(|(_, work)| !work.is_over())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (WorkId, &Work)> {
        self.works.iter().map(|(id, work)| (*id, work))
    }

    pub(crate) fn live_of(&self, client: NodeId) -> impl Iterator<Item = (WorkId, &Work)> {
        self.live().filter(move |(_, work)| work.client == client)
    }

    /// Those that wait for a slot, the oldest first: they were taken ahead, or their inputs were long on their way.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = (WorkId, &Work)> {
        self.live().filter(|(_, work)| work.slot.is_none() && !work.is_pending())
    }

    /// Those whose inputs are on their way and for which no slot waits, the oldest first.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (WorkId, &Work)> {
        self.live().filter(|(_, work)| work.is_pending())
    }

    pub(crate) fn len(&self) -> usize {
        self.works.len()
    }
}

/// How an accepted lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a result, which is stored.
    Done,
    /// Without one, and the client is told why.
    Failed(FailureClass, String),
    /// Given back, by nobody's fault.
    Declined,
    /// Given back, since who has the inputs had too much else to do: that is nobody's fault either, and the client is told so.
    Excused,
    /// The client does not want it any more.
    Dropped,
}
