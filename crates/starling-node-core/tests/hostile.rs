//! Whatever clients say and in whatever order things happen, a node keeps its bounds and loses count of nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use proptest::prelude::*;
use starling_node_core::{
    Action, Event, InputFailure, ProofFailure, SessionId, StoreFailure, WorkId, limits,
};
use starling_proto::{ClientMessage, GoodbyeReason, Grant};
use starling_types::{MemoryBytes, Millis, Reference};

#[test]
fn a_client_that_floods_grants_and_revocations_gets_bounded_state() {
    let (mut node, session) = Node::serving(2, 1000);
    let mut stopping = BTreeSet::new();
    for epoch in 0..100_000 {
        let actions = node.grant(session, Grant { ahead: epoch % 3 == 0, ..grant(epoch) });
        stopping.extend(fetching(&actions));
        let lease = lease(epoch / 2);
        node.say(session, ClientMessage::Revoke { lease, reason: "x".into() });
        node.say(session, ClientMessage::Verdict { lease, accepted: false, reason: "x".into() });
        let held = node.core.held();
        assert!(held.slots <= 2 && held.memory <= mib(1000) && held.live <= 4, "{held:?}");
        assert!(held.leases <= 8 && held.blobs <= 8, "{held:?}");
        if epoch % 7 == 0
            && let Some(work) = stopping.pop_first()
        {
            node.tell(Event::Stopped { work });
        }
    }
}

#[test]
fn a_stranger_that_floods_grants_and_revocations_gets_bounded_state() {
    let mut node = Node::new(2, 1000);
    let session = node.hear_of(1);
    for epoch in 0..10_000 {
        node.grant(session, grant(epoch));
        node.say(session, ClientMessage::Revoke { lease: lease(epoch), reason: "x".into() });
        let held = node.core.held();
        let leases_max = 4 * 2 + 2 * limits::PENDING_COUNT_MAX;
        assert!(held.slots <= 2 && held.leases <= leases_max && held.live <= 1, "{held:?}");
    }
}

#[test]
fn ads_of_ever_new_clients_fill_no_table_beyond_its_bound() {
    let mut node = Node::new(1, 1000);
    for number in 0..5_000 {
        let dials = dialled(&node.tell(Event::AdHeard { ad: ad(client(number)) }));
        for session in dials {
            node.greet(session, 7);
            node.say(session, goodbye(GoodbyeReason::Dismissed));
        }
    }
    for number in 5_000..10_000 {
        node.tell(Event::AdHeard { ad: ad(client(number)) });
    }
    let held = node.core.held();
    assert!(held.clients <= limits::CLIENT_COUNT_MAX, "{held:?}");
    assert!(held.links <= limits::LINK_COUNT_MAX, "{held:?}");
    assert!(held.resting <= limits::RESTING_COUNT_MAX, "{held:?}");
}

/// What happens next, in numbers that [`World::step`] makes sense of.
#[derive(Debug, Clone)]
enum Step {
    Ad(u16),
    Connect,
    Welcome { pick: usize, run: u64 },
    Grant { pick: usize, epoch: u64, join: bool, ahead: bool, deadline: u64, inputs: usize },
    Revoke { pick: usize, epoch: u64 },
    Verdict { pick: usize, epoch: u64, accepted: bool },
    Goodbye { pick: usize, reason: u8 },
    Break { pick: usize },
    Work { pick: usize, outcome: u8 },
    Disk(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let pick = || 0..8_usize;
    let epoch = || 0..24_u64;
    prop_oneof![
        2 => (0..6_u16).prop_map(Step::Ad),
        3 => Just(Step::Connect),
        4 => (pick(), 0..2_u64).prop_map(|(pick, run)| Step::Welcome { pick, run }),
        12 => (pick(), epoch(), any::<(bool, bool)>(), 0..60_000_u64, 0..3_usize).prop_map(
            |(pick, epoch, (join, ahead), deadline, inputs)| {
                Step::Grant { pick, epoch, join, ahead, deadline, inputs }
            }
        ),
        3 => (pick(), epoch()).prop_map(|(pick, epoch)| Step::Revoke { pick, epoch }),
        3 => (pick(), epoch(), any::<bool>())
            .prop_map(|(pick, epoch, accepted)| Step::Verdict { pick, epoch, accepted }),
        1 => (pick(), 0..5_u8).prop_map(|(pick, reason)| Step::Goodbye { pick, reason }),
        2 => pick().prop_map(|pick| Step::Break { pick }),
        14 => (pick(), 0..10_u8).prop_map(|(pick, outcome)| Step::Work { pick, outcome }),
        1 => any::<bool>().prop_map(Step::Disk),
        4 => (0..30_000_u64).prop_map(Step::Wait),
    ]
}

/// What the shell of a node does for a lease at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Fetching,
    Proving { memory: MemoryBytes },
    Publishing,
}

/// A shell that carries out what the core wants, and checks it while doing so.
struct World {
    node: Node,
    dialling: BTreeSet<SessionId>,
    open: BTreeSet<SessionId>,
    doing: BTreeMap<WorkId, (Doing, bool)>,
    slots: BTreeMap<usize, WorkId>,
    stored: BTreeMap<Reference, ()>,
    published: u64,
    is_looking: bool,
}

const SLOTS: u32 = 2;
const MEMORY_MIB: u64 = 1000;

impl World {
    fn new() -> Self {
        Self {
            node: Node::new(SLOTS, MEMORY_MIB),
            dialling: BTreeSet::new(),
            open: BTreeSet::new(),
            doing: BTreeMap::new(),
            slots: BTreeMap::new(),
            stored: BTreeMap::new(),
            published: 0,
            is_looking: false,
        }
    }

    fn tell(&mut self, event: Event) {
        let actions = self.node.tell(event);
        for action in actions {
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial { session, .. } => assert!(self.dialling.insert(session)),
            Action::Close { session } => {
                assert!(self.dialling.remove(&session) | self.open.remove(&session), "twice");
            }
            Action::Send { session, .. } => assert!(self.open.contains(&session), "to nobody"),
            Action::Fetch { work, .. } => self.begin(work, Doing::Fetching),
            Action::Prove { work, slot, order } => {
                // What is kept for it is that much less.
                let need = MemoryBytes(order.memory_limit.0 - mib(MARGIN_MIB).0);
                self.begin(work, Doing::Proving { memory: need });
                let before = self.slots.insert(slot, work);
                assert!(before.is_none_or(|before| before == work), "two proofs in one slot");
                for (_, input) in order.inputs {
                    assert!(self.stored.contains_key(&input.reference), "an input is missing");
                }
            }
            Action::Publish { work } => self.begin(work, Doing::Publishing),
            Action::Cancel { work } => {
                let (doing, cancelled) = self.doing.get_mut(&work).expect("something runs");
                assert!(*doing != Doing::Publishing && !*cancelled);
                *cancelled = true;
            }
            Action::Over { work } => {
                assert!(!self.doing.contains_key(&work), "over, and still running");
                self.slots.retain(|_, other| *other != work);
            }
            Action::Forget { blob } => drop(self.stored.remove(&blob)),
            Action::LookAtDisk { .. } => {
                assert!(!self.is_looking, "one look at a time");
                self.is_looking = true;
            }
            Action::KeepSpeed { .. } | Action::Say(_) | Action::ClientOver { .. } => {}
        }
    }

    fn begin(&mut self, work: WorkId, doing: Doing) {
        let before = self.doing.insert(work, (doing, false));
        assert_eq!(before, None, "two things at once for {work:?}");
    }

    /// What always holds.
    fn check(&self) {
        let held = self.node.core.held();
        let proving = self.doing.values().filter_map(|(doing, _)| match doing {
            Doing::Proving { memory } => Some(memory.0),
            _ => None,
        });
        let (count, memory) =
            proving.fold((0, 0), |(count, sum), memory| (count + 1, sum + memory));
        assert!(count <= SLOTS as usize && memory <= mib(MEMORY_MIB).0, "{held:?}");
        assert!(held.slots <= SLOTS as usize && held.memory <= mib(MEMORY_MIB), "{held:?}");
        // Beside those with a slot: as many ahead, as many whose inputs were long on their way, and those whose inputs are.
        assert!(held.live <= 4 * SLOTS as usize + limits::PENDING_COUNT_MAX, "{held:?}");
        let counts = self.node.core.counts();
        let ended = counts.done + counts.failed + counts.returned + counts.dropped;
        assert_eq!(counts.accepted, ended + held.live as u64, "{counts:?} {held:?}");
    }

    fn pick(&self, pick: usize) -> Option<SessionId> {
        self.open.iter().nth(pick % self.open.len().max(1)).copied()
    }

    fn say(&mut self, pick: usize, message: ClientMessage) {
        if let Some(session) = self.pick(pick) {
            self.tell(Event::Said { session, message });
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ad(number) => self.tell(Event::AdHeard { ad: ad(client(number)) }),
            Step::Connect => {
                if let Some(session) = self.dialling.pop_first() {
                    self.open.insert(session);
                    self.tell(Event::Connected { session });
                }
            }
            Step::Welcome { pick, run } => self.say(pick, welcome(run)),
            Step::Grant { pick, epoch, join, ahead, deadline, inputs } => {
                let mut grant = Grant { ahead, deadline: Millis(deadline), ..grant(epoch) };
                grant.inputs =
                    [grant.inputs[0].clone(), common::grant(epoch + 1).inputs[0].clone()]
                        [..inputs.min(2)]
                        .to_vec();
                if join {
                    (grant.task, grant.arguments) = (common::join(), vec![]);
                }
                self.say(pick, ClientMessage::Grant(grant));
            }
            Step::Revoke { pick, epoch } => {
                self.say(pick, ClientMessage::Revoke { lease: lease(epoch), reason: "x".into() });
            }
            Step::Verdict { pick, epoch, accepted } => {
                let (lease, reason) = (lease(epoch), "x".into());
                self.say(pick, ClientMessage::Verdict { lease, accepted, reason });
            }
            Step::Goodbye { pick, reason } => {
                let reason = match reason {
                    0 => GoodbyeReason::JobOver { job: job(1) },
                    1 => GoodbyeReason::Dismissed,
                    2 => GoodbyeReason::WrongSystem,
                    3 => GoodbyeReason::ShuttingDown,
                    _ => GoodbyeReason::Busy,
                };
                self.say(pick, goodbye(reason));
            }
            Step::Break { pick } => {
                let session = self.dialling.pop_first().or_else(|| self.pick(pick));
                if let Some(session) = session {
                    self.open.remove(&session);
                    self.tell(Event::Closed { session, reason: "lost".into() });
                }
            }
            Step::Work { pick, outcome } => self.end_of_work(pick, outcome),
            Step::Disk(has_room) => {
                if std::mem::take(&mut self.is_looking) {
                    self.tell(Event::DiskSeen { has_room });
                }
            }
            Step::Wait(ms) => {
                self.node.now = self.node.now + Millis(ms);
                self.tell(Event::Tick);
            }
        }
    }

    /// Something that runs comes to one of the ends that it can have.
    fn end_of_work(&mut self, pick: usize, outcome: u8) {
        let count = self.doing.len().max(1);
        let Some((&work, &(doing, cancelled))) = self.doing.iter().nth(pick % count) else {
            return;
        };
        self.doing.remove(&work);
        if cancelled && outcome < 5 {
            return self.tell(Event::Stopped { work });
        }
        let text = || "x".to_owned();
        let event = match (doing, outcome) {
            (Doing::Fetching, 0) => Event::NotFetched { work, cause: InputFailure::NoRoom },
            (Doing::Fetching, 1) => {
                Event::NotFetched { work, cause: InputFailure::Unavailable(text()) }
            }
            (Doing::Fetching, 2) => {
                Event::NotFetched { work, cause: InputFailure::Storage(text()) }
            }
            (Doing::Fetching, _) => {
                // Which input it was does not matter here: all that are held may be there.
                for number in 0..26 {
                    self.stored.insert(blob(number).reference, ());
                }
                Event::Fetched { work }
            }
            (Doing::Proving { .. }, 0 | 1) => {
                Event::NotProved { work, cause: ProofFailure::Killed(text()) }
            }
            (Doing::Proving { .. }, 2) => {
                Event::NotProved { work, cause: ProofFailure::Task(text()) }
            }
            (Doing::Proving { .. }, _) => Event::Proved { work, report: report() },
            (Doing::Publishing, 0 | 1) => Event::NotPublished { work, cause: StoreFailure::NoRoom },
            (Doing::Publishing, 2) => {
                Event::NotPublished { work, cause: StoreFailure::Storage(text()) }
            }
            (Doing::Publishing, _) => {
                self.published += 1;
                let result = blob(1_000_000 + self.published);
                self.stored.insert(result.reference, ());
                Event::Published { work, result }
            }
        };
        self.tell(event);
    }

    /// Stops the node and lets everything end.
    fn wind_up(&mut self) {
        self.tell(Event::Stop);
        while let Some((&work, _)) = self.doing.iter().next() {
            let (doing, _) = self.doing.remove(&work).unwrap();
            self.tell(match doing {
                Doing::Publishing => Event::Published { work, result: blob(999) },
                _ => Event::Stopped { work },
            });
        }
        let held = self.node.core.held();
        assert!(self.node.core.is_over(), "{held:?}");
        assert_eq!((held.slots, held.leases, held.results, held.blobs), (0, 0, 0, 0));
        assert!(self.dialling.is_empty() && self.open.is_empty(), "connections are left open");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_of_events_keeps_the_bounds_and_each_lease_ends_once(
        steps in prop::collection::vec(step(), 1..250),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.wind_up();
    }
}
