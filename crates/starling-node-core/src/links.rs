//! Clients: how they are heard of, greeted, lost and left. Who is dialled, `dialling.rs` says.
//!
//! A broken connection costs no lease. It is dialled again, later with every failure, and when the client
//! welcomes the node in the same run of its process, the node says which leases it still holds and reports what was
//! finished meanwhile. Leases of an earlier run mean nothing to a client, and are dropped.

use starling_proto::{
    ClientMessage, GoodbyeReason, JobAd, LeaseId, NodeMessage, PeerAddr, Welcome,
};
use starling_types::{JobId, Millis, NodeId};

use crate::{
    client::{Client, Link},
    core::Core,
    event::{Action, ClientEnd, Note, SessionId, WorkId},
    limits::{
        AD_MEMORY, AWAY_TIME_MAX, DISMISSED_TIME, GREETING_TIME, REST_TIME, RESTING_COUNT_MAX,
    },
    work::Ending,
};

impl Core {
    pub(crate) fn named(&mut self, client: PeerAddr) {
        let now = self.now;
        let id = client.node_id;
        self.client_count += 1;
        let number = self.client_count;
        self.clients.entry(id).or_insert_with(|| Client::new(client, true, number, now)).named =
            true;
    }

    pub(crate) fn ad_heard(&mut self, ad: JobAd) {
        self.resting.retain(|_, until| *until > self.now);
        let id = ad.client.node_id;
        let has_work = ad.systems.iter().any(|wanted| {
            self.config.system(&wanted.system).is_some_and(|ours| {
                let offered = ours.figures.needs.stated();
                wanted.kinds.iter().any(|kind| offered.contains_key(kind))
            })
        });
        if ad.memory > self.config.memory || !has_work {
            return;
        }
        if let Some(client) = self.clients.get_mut(&id) {
            client.heard_at = self.now;
            if matches!(client.link, Link::Idle { .. }) {
                client.addr = ad.client;
            }
            return;
        }
        if self.resting.contains_key(&id) || !self.make_room_for(&ad.client) {
            return;
        }
        self.client_count += 1;
        self.clients.insert(id, Client::new(ad.client, false, self.client_count, self.now));
    }

    /// Whether leases or unjudged results of a client are here.
    pub(crate) fn holds_something_of(&self, id: NodeId) -> bool {
        self.works.live_of(id).next().is_some() || self.results.unjudged(id).next().is_some()
    }

    pub(crate) fn connected(&mut self, session: SessionId) {
        if self.sessions.contains_key(&session) {
            let message = NodeMessage::Hello(self.hello());
            self.act(Action::Send { session, message });
        }
    }

    pub(crate) fn said(&mut self, session: SessionId, message: ClientMessage) {
        let Some(&id) = self.sessions.get(&session) else { return };
        let is_welcomed = self.clients.get(&id).is_some_and(|c| c.serving().is_some());
        match message {
            ClientMessage::Goodbye { reason, message } => self.goodbye(id, reason, message),
            ClientMessage::Welcome(welcome) if !is_welcomed => self.welcomed(id, session, welcome),
            // The greeting comes first; what comes before it is of nobody that this node works for.
            _ if !is_welcomed => {}
            ClientMessage::Welcome(_) => {}
            ClientMessage::Grant(grant) => self.granted(id, grant),
            ClientMessage::Revoke { lease, reason } => self.revoked(id, lease, reason),
            ClientMessage::Verdict { lease, accepted: true, .. } => self.results.accept(id, lease),
            ClientMessage::Verdict { lease, reason, .. } => self.refused(id, lease, reason),
        }
    }

    fn welcomed(&mut self, id: NodeId, session: SessionId, welcome: Welcome) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&id) else { return };
        let is_same = client.run == Some(welcome.run);
        client.link = Link::Serving { session };
        client.run = Some(welcome.run);
        client.failures = 0;
        client.since = now;
        client.granted_at = now;
        client.declined = None;
        if !is_same {
            self.drop_all(id, None);
            return self.say(Note::Serving { client: id });
        }
        let works: Vec<_> = self.works.live_of(id).map(|(work, _)| work).collect();
        self.say(Note::Resumed { client: id, leases: works.len() });
        // Those that wait for a slot first: as long as the client does not know of them, it would grant others ahead of
        // what this node works on.
        let waits = |work: &WorkId| self.works.get(*work).is_some_and(|work| work.slot.is_none());
        let (waiting, working): (Vec<_>, Vec<_>) = works.iter().copied().partition(waits);
        for work in waiting.into_iter().chain(working) {
            self.renew_now(work);
        }
        let unjudged: Vec<_> = self.results.unjudged(id).cloned().collect();
        for done in unjudged {
            self.act(Action::Send { session, message: NodeMessage::Done(done) });
        }
        for work in works {
            self.client_is_back(work);
        }
    }

    fn goodbye(&mut self, id: NodeId, reason: GoodbyeReason, message: String) {
        let (rest, end) = match reason {
            GoodbyeReason::JobOver { job } => return self.drop_all(id, Some(job)),
            // It closes next, and is dialled again.
            GoodbyeReason::Busy => return,
            GoodbyeReason::ShuttingDown => (REST_TIME, ClientEnd::ShutDown { message }),
            GoodbyeReason::Dismissed => (DISMISSED_TIME, ClientEnd::Dismissed { message }),
            GoodbyeReason::WrongSystem => (DISMISSED_TIME, ClientEnd::WrongSystem { message }),
        };
        self.end_client(id, rest, end);
    }

    pub(crate) fn closed(&mut self, session: SessionId, reason: String) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let spread = spread(self.config.seed, session.0);
        let now = self.now;
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.lose_link(now, spread);
        let is_patient = now < client.since + self.patience(id);
        if is_patient {
            self.say(Note::Away { client: id, reason });
        } else {
            self.end_client(id, REST_TIME, ClientEnd::Unreachable { reason });
        }
    }

    /// How long a client may be away.
    fn patience(&self, id: NodeId) -> Millis {
        let is_named = self.clients.get(&id).is_some_and(|client| client.named);
        let usual = if is_named { self.config.patience } else { AD_MEMORY };
        if self.holds_something_of(id) { usual.max(AWAY_TIME_MAX) } else { usual }
    }

    /// After how long without a connection it is over with a client in any case.
    pub(crate) fn time_to_be_back(&self, client: &Client) -> Millis {
        if client.named { self.config.patience.max(AWAY_TIME_MAX) } else { AWAY_TIME_MAX }
    }

    /// Ends greetings that take too long.
    pub(crate) fn end_greetings(&mut self) {
        let late: Vec<_> = self
            .clients
            .values()
            .filter_map(|client| match client.link {
                Link::Greeting { session, since } if since + GREETING_TIME <= self.now => {
                    Some(session)
                }
                _ => None,
            })
            .collect();
        for session in late {
            self.act(Action::Close { session });
            self.closed(session, "it did not answer the greeting".into());
        }
    }

    /// Forgets clients that advertise no more and that nothing is held for, and those that were away for too long. One that the
    /// user waits for longer than that keeps its place, and what was held for it goes.
    pub(crate) fn forget_the_departed(&mut self) {
        let (mut departed, mut waited_for) = (Vec::new(), Vec::new());
        for (id, client) in &self.clients {
            let away_at = client.since + self.patience(*id);
            let heard_at = client.heard_at + AD_MEMORY;
            // One that the user named is ended by a failed dial, which says why.
            let is_idle = matches!(client.link, Link::Idle { .. });
            let is_away = |time| client.serving().is_none() && client.since + time <= self.now;
            if is_idle && !client.named && away_at <= self.now && heard_at <= self.now
                || is_away(self.time_to_be_back(client))
            {
                departed.push(*id);
            } else if is_away(AWAY_TIME_MAX) && self.holds_something_of(*id) {
                waited_for.push(*id);
            }
        }
        for id in departed {
            let reason = "it was away for too long".to_owned();
            self.end_client(id, Millis(0), ClientEnd::Unreachable { reason });
        }
        for id in waited_for {
            self.drop_all(id, None);
        }
    }

    /// It is over with a client.
    fn end_client(&mut self, id: NodeId, rest: Millis, end: ClientEnd) {
        let (ClientEnd::ShutDown { message: reason }
        | ClientEnd::Dismissed { message: reason }
        | ClientEnd::WrongSystem { message: reason }
        | ClientEnd::Unreachable { reason }) = &end;
        self.say(Note::Left { client: id, reason: reason.clone() });
        let is_named = self.clients.get(&id).is_some_and(|client| client.named);
        self.rest(id, rest);
        self.part(id, None);
        if is_named {
            self.act(Action::ClientOver { client: id, end });
        }
    }

    pub(crate) fn rest(&mut self, id: NodeId, time: Millis) {
        if self.resting.len() >= RESTING_COUNT_MAX {
            let first = self.resting.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id);
            first.map(|first| self.resting.remove(&first));
        }
        self.resting.insert(id, self.now + time);
    }

    /// Ends everything with a client, with or without a word.
    pub(crate) fn part(&mut self, id: NodeId, reason: Option<&str>) {
        if let Some(reason) = reason {
            self.tell(id, NodeMessage::Leaving { reason: reason.to_owned() });
        }
        self.drop_all(id, None);
        let Some(client) = self.clients.remove(&id) else { return };
        if let Some(session) = client.session() {
            self.sessions.remove(&session);
            self.act(Action::Close { session });
        }
    }

    /// Drops what is held for a client, or for one of its jobs.
    fn drop_all(&mut self, id: NodeId, job: Option<JobId>) {
        let is_meant = |lease: LeaseId| job.is_none_or(|job| lease.job == job);
        let works: Vec<_> = self
            .works
            .live_of(id)
            .filter(|(_, work)| is_meant(work.grant.lease))
            .map(|(work, _)| work)
            .collect();
        for work in works {
            self.end(work, Ending::Dropped);
        }
        for blob in self.results.remove_where(|kept| kept.client == id && is_meant(kept.done.lease))
        {
            self.release(blob.reference);
        }
    }

    /// Asks for one lease for each free slot: who was asked longest ago first, and another client as well when no
    /// answer comes for a while. Clients of which no lease has come to a proof are asked beside the others, so that none of them
    /// keeps a slot waiting.
    pub(crate) fn ask(&mut self) {
        if self.full_disk.is_some() {
            return;
        }
        for proved in [true, false] {
            while let Some((id, session)) = self.next_to_ask(proved) {
                self.turn += 1;
                let Some(client) = self.clients.get_mut(&id) else { return };
                client.asked.push_back(self.now);
                client.asked_turn = self.turn;
                self.act(Action::Send { session, message: NodeMessage::WorkRequested });
            }
        }
    }

    /// Who is asked next, of those of which a lease has come to a proof, or of the others.
    fn next_to_ask(&self, proved: bool) -> Option<(NodeId, SessionId)> {
        let free = self.slots.free();
        let of_these = || self.clients.iter().filter(|(_, client)| client.is_proved == proved);
        let fresh: usize = of_these().map(|(_, client)| client.fresh_requests(self.now)).sum();
        if fresh >= free.slots || !proved && self.room_for_pending().is_none() {
            return None;
        }
        let next = of_these().filter_map(|(id, client)| {
            let pending = self.works.pending().filter(|(_, work)| work.client == *id).count();
            let count_max = if client.has_served { free.slots } else { 1 };
            let may_be_asked = client.asked.len() + pending < count_max
                && !client.would_offer_the_same(free, self.now)
                && !client.is_stalled(self.now);
            let session = client.serving().filter(|_| may_be_asked)?;
            Some((client.asked_turn, *id, session))
        });
        next.min().map(|(_, id, session)| (id, session))
    }
}

/// A number that differs between nodes and between attempts.
pub(crate) fn spread(seed: u64, attempt: u64) -> u64 {
    // SplitMix64's finalizer.
    let mut z = seed.wrapping_add(attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
