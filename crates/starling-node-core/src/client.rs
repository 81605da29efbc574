//! One client, as the node knows it.

use std::collections::VecDeque;

use starling_proto::PeerAddr;
use starling_types::{ClientRun, Millis};

use crate::{
    event::SessionId,
    limits::{
        ASK_PATIENCE, GREETING_PATIENCE, REDIAL_TIME_MAX, REDIAL_TIME_MIN, STALL_PAUSE_MIN,
        TRIAL_PATIENCE,
    },
    slots::Unused,
};

/// A client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) addr: PeerAddr,
    /// Whether the user named it.
    pub(crate) named: bool,
    /// Counts clients in the order in which they were heard of.
    pub(crate) number: u64,
    /// When its last ad came.
    pub(crate) heard_at: Millis,
    pub(crate) link: Link,
    /// The run of its process, as of its last welcome.
    pub(crate) run: Option<ClientRun>,
    /// How often in a row it could not be reached.
    pub(crate) failures: u32,
    /// Since when there has been no connection; while there is one, since when that stands.
    pub(crate) since: Millis,
    /// When it last granted something that was worked on, or welcomed this node.
    pub(crate) granted_at: Millis,
    /// The requests for work that it has not answered, oldest first.
    pub(crate) asked: VecDeque<Millis>,
    /// The number of the last request among all: who was asked longest ago is asked next.
    pub(crate) asked_turn: u64,
    /// What was free when a lease of it was declined, and until when it is not asked again for that.
    pub(crate) declined: Option<(Unused, Millis)>,
    /// Whether inputs of a lease of it have come, and since then none have failed to.
    pub(crate) has_served: bool,
    /// Whether its leases have a slot while their inputs are on their way: one of them has come to a proof, or the user named it,
    /// and since then no inputs were waited for in vain.
    pub(crate) is_proved: bool,
    /// How often inputs of its leases did not come, since one of them came to a proof.
    pub(crate) stalls: u32,
    /// Until when it gets no slot for that.
    pub(crate) stalled_until: Option<Millis>,
}

/// How a client is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not: it is dialled at this time, if there is a place.
    Idle { dial_at: Millis },
    /// It is being dialled since then, or has not welcomed this node yet.
    Greeting { session: SessionId, since: Millis },
    /// It welcomed this node.
    Serving { session: SessionId },
}

impl Client {
    pub(crate) fn new(addr: PeerAddr, named: bool, number: u64, now: Millis) -> Self {
        Self {
            addr,
            named,
            number,
            heard_at: now,
            link: Link::Idle { dial_at: now },
            run: None,
            failures: 0,
            since: now,
            granted_at: now,
            asked: VecDeque::new(),
            asked_turn: 0,
            declined: None,
            has_served: named,
            is_proved: named,
            stalls: 0,
            stalled_until: None,
        }
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.link {
            Link::Idle { .. } => None,
            Link::Greeting { session, .. } | Link::Serving { session } => Some(session),
        }
    }

    /// The connection, if the client welcomed this node on it.
    pub(crate) fn serving(&self) -> Option<SessionId> {
        match self.link {
            Link::Serving { session } => Some(session),
            Link::Idle { .. } | Link::Greeting { .. } => None,
        }
    }

    /// The connection is gone: the next attempt, later with every failure, and a little later by `spread`.
    pub(crate) fn lose_link(&mut self, now: Millis, spread: u64) {
        let pause = REDIAL_TIME_MIN.0.saturating_mul(1 << self.failures.min(16));
        let pause = pause.min(REDIAL_TIME_MAX.0);
        if self.serving().is_some() {
            self.since = now;
        }
        self.link = Link::Idle { dial_at: now + Millis(pause + spread % (pause / 4 + 1)) };
        self.failures = self.failures.saturating_add(1);
        self.asked.clear();
    }

    /// Whether only ads tell of it, and it has never welcomed this node.
    pub(crate) fn is_hearsay(&self) -> bool {
        !self.named && self.run.is_none()
    }

    /// The attempt to reach it, where that has taken so long that it makes way for others. What the user named makes way for
    /// nobody.
    pub(crate) fn slow_attempt(&self, now: Millis) -> Option<(Millis, SessionId)> {
        match self.link {
            Link::Greeting { session, since } => {
                let is_slow = !self.named && since + GREETING_PATIENCE <= now;
                is_slow.then_some((since, session))
            }
            Link::Idle { .. } | Link::Serving { .. } => None,
        }
    }

    /// The requests that still stand alone.
    pub(crate) fn fresh_requests(&self, now: Millis) -> usize {
        self.asked.iter().filter(|at| **at + self.ask_patience() > now).count()
    }

    /// When the next request stands alone no more.
    pub(crate) fn next_stale_request(&self, now: Millis) -> Option<Millis> {
        self.asked.iter().map(|at| *at + self.ask_patience()).find(|at| *at > now)
    }

    fn ask_patience(&self) -> Millis {
        if self.is_proved { ASK_PATIENCE } else { TRIAL_PATIENCE }
    }

    /// Whether asking again would be answered with what was just declined.
    pub(crate) fn would_offer_the_same(&self, free: Unused, now: Millis) -> bool {
        self.declined.is_some_and(|(then, until)| then == free && now < until)
    }

    /// The inputs of a lease that it held for so long did not come. The pause for that is no longer than `pause_max`.
    pub(crate) fn stalled(&mut self, held: Millis, pause_max: Millis, now: Millis) {
        let pause = held.max(STALL_PAUSE_MIN).0.saturating_mul(1 << self.stalls.min(16));
        self.stalls = self.stalls.saturating_add(1);
        self.stalled_until = Some(now + Millis(pause).min(pause_max));
        (self.has_served, self.is_proved) = (false, false);
    }

    /// The inputs of a lease of it are here.
    pub(crate) fn served(&mut self, now: Millis) {
        self.has_served = true;
        self.granted_at = now;
    }

    /// A lease of it has come to a proof.
    pub(crate) fn proved(&mut self, now: Millis) {
        self.is_proved = true;
        self.stalls = 0;
        self.granted_at = now;
    }

    /// Whether it gets no slot now, since its inputs did not come.
    pub(crate) fn is_stalled(&self, now: Millis) -> bool {
        self.stalled_until.is_some_and(|until| now < until)
    }
}
