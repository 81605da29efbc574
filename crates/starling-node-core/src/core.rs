//! The core itself: takes events, passes time, returns actions.

use std::collections::BTreeMap;

use starling_proto::{Hello, NodeMessage};
use starling_types::{FailureClass, Millis, NodeId, Reference};

use crate::{
    blobs::Blobs,
    client::{Client, Link},
    config::Config,
    event::{Action, Event, Note, SessionId},
    hearsay::Hearsay,
    limits::{
        AD_MEMORY, AWAY_TIME_MAX, DISK_PERIOD, DISK_ROOM_BYTES, GREETING_PATIENCE, GREETING_TIME,
        INPUT_PATIENCE, SILENT_TIME_MAX,
    },
    results::Results,
    slots::Slots,
    speed::Speed,
    work::{Phase, Works},
};

/// What has become of all leases so far. Of those accepted, each that is over is in exactly one of `done`, `failed`,
/// `returned` and `dropped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leases that were taken.
    pub accepted: u64,
    /// Leases that were not.
    pub refused: u64,
    /// Ended in a result.
    pub done: u64,
    /// Ended in a failure.
    pub failed: u64,
    /// Given back for want of room on the disk.
    pub returned: u64,
    /// Not wanted any more by their clients, or the clients are gone.
    pub dropped: u64,
    /// Proofs that did not verify and were made once more.
    pub reproved: u64,
    /// Provers that were killed from outside.
    pub killed: u64,
}

/// Why no work is asked for: the disk is full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullDisk {
    /// When it is looked at next; nothing while it is being looked at.
    pub(crate) look_at: Option<Millis>,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) now: Millis,
    pub(crate) actions: Vec<Action>,
    pub(crate) clients: BTreeMap<NodeId, Client>,
    pub(crate) sessions: BTreeMap<SessionId, NodeId>,
    pub(crate) session_count: u64,
    /// Clients that are left alone, and until when.
    pub(crate) resting: BTreeMap<NodeId, Millis>,
    pub(crate) hearsay: Hearsay,
    /// Clients heard of so far.
    pub(crate) client_count: u64,
    pub(crate) slots: Slots,
    pub(crate) works: Works,
    pub(crate) results: Results,
    pub(crate) blobs: Blobs,
    pub(crate) speed: Speed,
    pub(crate) full_disk: Option<FullDisk>,
    pub(crate) turn: u64,
    pub(crate) counts: Counts,
    pub(crate) stopped: bool,
}

impl Core {
    /// A node that knows nobody yet.
    pub fn new(config: Config, speed: Speed) -> Self {
        Self {
            slots: Slots::new(config.slots, config.memory),
            results: Results::new(config.results_bytes_max),
            config,
            now: Millis(0),
            actions: Vec::new(),
            clients: BTreeMap::new(),
            sessions: BTreeMap::new(),
            session_count: 0,
            resting: BTreeMap::new(),
            hearsay: Hearsay::default(),
            client_count: 0,
            works: Works::default(),
            blobs: Blobs::default(),
            speed,
            full_disk: None,
            turn: 0,
            counts: Counts::default(),
            stopped: false,
        }
    }

    /// Takes what happened at `now`; returns what is to be done, in order. Time never goes back.
    pub fn handle(&mut self, now: Millis, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        self.take(event);
        if !self.stopped {
            self.pass_time();
        }
        std::mem::take(&mut self.actions)
    }

    /// What became of all leases so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the node is stopped and nothing of it runs any more.
    pub fn is_over(&self) -> bool {
        self.stopped && self.works.len() == 0
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Named { client } => self.named(client),
            Event::AdHeard { ad } => self.ad_heard(ad),
            Event::Connected { session } => self.connected(session),
            Event::Said { session, message } => self.said(session, message),
            Event::Closed { session, reason } => self.closed(session, reason),
            Event::Fetched { work } => self.fetched(work),
            Event::NotFetched { work, cause } => self.not_fetched(work, cause),
            Event::GotOn { work, done_permille } => self.got_on(work, done_permille),
            Event::Proved { work, report } => self.proved(work, report),
            Event::NotProved { work, cause } => self.not_proved(work, cause),
            Event::Published { work, result } => self.published(work, result),
            Event::NotPublished { work, cause } => self.not_published(work, cause),
            Event::Stopped { work } => self.work_stopped(work),
            Event::DiskSeen { has_room } => self.disk_seen(has_room),
            Event::Stop => self.stop(),
            Event::Tick => {}
        }
    }

    fn pass_time(&mut self) {
        self.end_overdue();
        self.end_greetings();
        self.forget_the_departed();
        self.yield_slots();
        self.start_ahead();
        self.dial();
        self.ask();
        self.renew();
        if let Some(FullDisk { look_at: Some(at) }) = self.full_disk
            && at <= self.now
        {
            self.full_disk = Some(FullDisk { look_at: None });
            self.act(Action::LookAtDisk { room_bytes: DISK_ROOM_BYTES });
        }
    }

    /// When [`Event::Tick`] is due if nothing happens before. It is always later than the last event.
    pub fn next_wakeup(&self) -> Option<Millis> {
        if self.stopped {
            return None;
        }
        let works = self.works.live().flat_map(|(_, work)| {
            let is_told = self.clients.get(&work.client).is_some_and(|c| c.serving().is_some());
            let renewal = is_told.then(|| work.renewals.due_at(work.done_permille));
            let inputs = work.awaits_inputs().then_some(work.inputs_by);
            [work.due_at(), inputs, renewal, work.yields_at()]
        });
        let pending = self.works.pending().next();
        let makes_way_at = pending.map(|(_, oldest)| oldest.accepted_at + INPUT_PATIENCE);
        let clients = self.clients.values().flat_map(|client| {
            let link = match client.link {
                Link::Idle { dial_at } => [dial_at; 2],
                Link::Greeting { since, .. } => [since + GREETING_PATIENCE, since + GREETING_TIME],
                Link::Serving { .. } => [client.granted_at + SILENT_TIME_MAX; 2],
            };
            let asked = client.next_stale_request(self.now);
            let away_at =
                [AWAY_TIME_MAX, self.time_to_be_back(client)].map(|time| client.since + time);
            let away = away_at.map(|at| client.serving().is_none().then_some(at));
            let unheard = (!client.named).then_some(client.heard_at + AD_MEMORY);
            let declined = client.declined.map(|(_, until)| until);
            let others = [asked, unheard, declined, client.stalled_until];
            link.map(Some).into_iter().chain(away).chain(others)
        });
        let disk = self.full_disk.and_then(|disk| disk.look_at);
        let dial = self.hearsay.next_at(self.now);
        let others = [disk, dial, makes_way_at].into_iter().flatten();
        works.chain(clients).flatten().chain(others).filter(|at| *at > self.now).min()
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn say(&mut self, note: Note) {
        self.act(Action::Say(note));
    }

    /// Says something to a client, if it listens.
    pub(crate) fn tell(&mut self, client: NodeId, message: NodeMessage) {
        if let Some(session) = self.clients.get(&client).and_then(Client::serving) {
            self.act(Action::Send { session, message });
        }
    }

    pub(crate) fn release(&mut self, blob: Reference) {
        if self.blobs.release(blob) {
            self.act(Action::Forget { blob });
        }
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            systems: self.config.systems.iter().map(|system| system.offer(&self.speed)).collect(),
            memory: self.config.memory,
            slots: self.config.slots.max(1),
        }
    }

    /// There is no room on the disk. What is kept for others alone goes at once.
    pub(crate) fn disk_is_full(&mut self) {
        for blob in self.results.remove_where(|kept| kept.accepted) {
            self.release(blob.reference);
        }
        if self.full_disk.is_none() {
            self.full_disk = Some(FullDisk { look_at: Some(self.now + DISK_PERIOD) });
            self.say(Note::DiskFull);
        }
    }

    fn disk_seen(&mut self, has_room: bool) {
        if self.full_disk.is_none() {
            return;
        }
        if !has_room {
            self.full_disk = Some(FullDisk { look_at: Some(self.now + DISK_PERIOD) });
            return;
        }
        self.full_disk = None;
        self.say(Note::DiskRoom);
        let unpublished: Vec<_> = self
            .works
            .live()
            .filter(|(_, work)| matches!(work.phase, Phase::Unpublished(_)))
            .map(|(id, _)| id)
            .collect();
        for id in unpublished {
            self.publish_again(id);
        }
    }

    fn stop(&mut self) {
        if self.stopped {
            return;
        }
        let clients: Vec<_> = self.clients.keys().copied().collect();
        for client in clients {
            self.part(client, Some("stopped"));
        }
        self.stopped = true;
    }

    /// The class of a failure that only this node has.
    pub(crate) const OURS: FailureClass = FailureClass::Node;
}
