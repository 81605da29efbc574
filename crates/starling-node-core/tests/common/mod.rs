//! A node in virtual time, and short ways to say what happens to it.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used)]

use starling_node_core::{
    Action, Config, Core, Event, Figures, Order, ProofReport, SessionId, Speed, System, WorkId,
    limits::NAMED_PATIENCE,
};
use starling_proto::{
    ClientMessage, Done, GoodbyeReason, Grant, Input, JobAd, LeaseId, NodeMessage, PeerAddr,
    Wanted, Welcome,
};
use starling_types::{
    BlobRef, ClientRun, Epoch, IndexRange, JobId, KindCode, MemoryBytes, Millis, Need, NodeId, Po2,
    Profile, Reference, Role, Task,
};

pub const SYSTEM: &str = "fake/1";

/// The kinds of a made-up system: the arguments of a lift are its po2, up to 18; a join has none.
pub const LIFT: KindCode = KindCode(2);
pub const JOIN: KindCode = KindCode(3);

/// What a lift takes, in MiB. A join takes a quarter.
pub const LIFT_MIB: u64 = 400;

/// What a prover may allocate beyond what its task is counted for.
pub const MARGIN_MIB: u64 = 50;

fn size_of(task: Task, arguments: &[u8]) -> Option<Option<Po2>> {
    match (task.kind, arguments) {
        (LIFT, [size]) => Some(Some(u32::from(*size).try_into().ok()?)),
        (JOIN, []) => Some(None),
        _ => None,
    }
}

/// What the made-up system calls its tasks.
pub fn name_of(task: Task) -> String {
    let kind = if task.kind == LIFT { "raise" } else { "unite" };
    format!("{kind} {}", task.range)
}

pub fn lift(index: u32) -> Task {
    Task { kind: LIFT, range: IndexRange::single(index) }
}

pub fn join() -> Task {
    Task { kind: JOIN, range: IndexRange::new(0, 2).unwrap() }
}

pub fn po2(value: u32) -> Po2 {
    value.try_into().unwrap()
}

pub fn mib(mib: u64) -> MemoryBytes {
    MemoryBytes::from_mib(mib)
}

pub fn config(slots: u32, memory_mib: u64) -> Config {
    let need = |of: u64| Need {
        memory: mib(of),
        limit: mib(of + MARGIN_MIB),
        profile: Profile::Frugal,
        work: Millis(of * 100),
    };
    let lifts = (Po2::MIN..=18).map(|size| ((LIFT, Some(po2(size))), need(LIFT_MIB)));
    let needs = lifts.chain([((JOIN, None), need(LIFT_MIB / 4))]).collect();
    let figures = Figures { needs, size_of, name_of, revision: 3, speed_guess_permille: 500 };
    Config {
        systems: vec![System { name: SYSTEM.into(), figures }],
        memory: mib(memory_mib),
        slots,
        results_bytes_max: 1 << 20,
        patience: NAMED_PATIENCE,
        seed: 0,
    }
}

/// The client of this number, in a network of its own.
pub fn client(number: u16) -> PeerAddr {
    let [high, low] = number.to_be_bytes();
    PeerAddr { direct: vec![format!("10.{high}.{low}.1:7000").parse().unwrap()], ..nowhere(number) }
}

/// The same, without an address.
pub fn nowhere(number: u16) -> PeerAddr {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    PeerAddr::new(NodeId(id))
}

pub fn job(number: u8) -> JobId {
    JobId([number; 16])
}

pub fn lease(epoch: u64) -> LeaseId {
    LeaseId { job: job(1), epoch: Epoch(epoch) }
}

pub fn blob(number: u64) -> BlobRef {
    let mut reference = [0; 32];
    reference[..8].copy_from_slice(&number.to_be_bytes());
    BlobRef { reference: Reference(reference), size_bytes: 1000 }
}

/// A lift with one input, `blob(epoch)`.
pub fn grant(epoch: u64) -> Grant {
    Grant {
        lease: lease(epoch),
        system: SYSTEM.into(),
        task: lift(epoch as u32),
        arguments: vec![18],
        inputs: vec![Input { blob: blob(epoch), role: Role::Input, holders: vec![] }],
        renew_within: Millis(20_000),
        deadline: Millis(300_000),
        ahead: false,
    }
}

pub fn ad(client: PeerAddr) -> JobAd {
    JobAd {
        job: job(1),
        client,
        systems: vec![Wanted { system: SYSTEM.into(), kinds: [1, 2, 3].map(KindCode).into() }],
        memory: mib(100),
        issued_at_unix_ms: 0,
        ttl_ms: 30_000,
    }
}

pub fn welcome(run: u64) -> ClientMessage {
    ClientMessage::Welcome(Welcome { run: ClientRun(run) })
}

pub fn goodbye(reason: GoodbyeReason) -> ClientMessage {
    ClientMessage::Goodbye { reason, message: "bye".into() }
}

pub fn report() -> ProofReport {
    ProofReport { elapsed: Millis(40_000), peak_memory: mib(300), reproved: 0 }
}

/// A node and the time.
pub struct Node {
    pub core: Core,
    pub now: Millis,
}

impl Node {
    pub fn new(slots: u32, memory_mib: u64) -> Self {
        Self::of(config(slots, memory_mib))
    }

    pub fn of(config: Config) -> Self {
        Self { core: Core::new(config, Speed::default()), now: Millis(0) }
    }

    /// One that serves client 1.
    pub fn serving(slots: u32, memory_mib: u64) -> (Self, SessionId) {
        let mut node = Self::new(slots, memory_mib);
        let session = node.serve(1);
        (node, session)
    }

    pub fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.core.handle(self.now, event);
        if let Some(wakeup) = self.core.next_wakeup() {
            assert!(wakeup > self.now, "a wake-up that is due would come for ever");
        }
        actions
    }

    pub fn say(&mut self, session: SessionId, message: ClientMessage) -> Vec<Action> {
        self.tell(Event::Said { session, message })
    }

    pub fn grant(&mut self, session: SessionId, grant: Grant) -> Vec<Action> {
        self.say(session, ClientMessage::Grant(grant))
    }

    pub fn close(&mut self, session: SessionId) -> Vec<Action> {
        self.tell(Event::Closed { session, reason: "lost".into() })
    }

    /// Lets time pass, waking the node whenever it wants to be woken.
    pub fn wait(&mut self, ms: u64) -> Vec<Action> {
        let end = Millis(self.now.0 + ms);
        let mut actions = Vec::new();
        while let Some(wakeup) = self.core.next_wakeup().filter(|wakeup| *wakeup <= end) {
            self.now = wakeup;
            actions.extend(self.tell(Event::Tick));
        }
        self.now = end;
        actions.extend(self.tell(Event::Tick));
        actions
    }

    /// Names a client and brings it to welcome the node.
    pub fn serve(&mut self, number: u16) -> SessionId {
        let actions = self.tell(Event::Named { client: client(number) });
        let session = dialled(&actions)[0];
        self.greet(session, 7);
        session
    }

    /// Lets the node hear of a client, which welcomes it.
    pub fn hear_of(&mut self, number: u16) -> SessionId {
        let actions = self.tell(Event::AdHeard { ad: ad(client(number)) });
        let mut dials = dialled(&actions);
        while dials.is_empty() {
            dials = dialled(&self.wait(250));
        }
        self.greet(dials[0], 7);
        dials[0]
    }

    /// Lets a client that is being dialled welcome the node.
    pub fn greet(&mut self, session: SessionId, run: u64) -> Vec<Action> {
        let hello = self.tell(Event::Connected { session });
        assert!(matches!(&sent(&hello)[..], [NodeMessage::Hello(_)]), "{hello:?}");
        self.say(session, welcome(run))
    }

    /// Has a lease granted and its input fetched: it is being proved then.
    pub fn begin(&mut self, session: SessionId, grant: Grant) -> WorkId {
        let work = fetching(&self.grant(session, grant)).expect("taken");
        let (begun, _) = proving(&self.tell(Event::Fetched { work })).expect("begun");
        assert_eq!(begun, work);
        work
    }

    /// Has a lease's proof made and stored as `blob(1000 + epoch)`.
    pub fn finish(&mut self, work: WorkId, epoch: u64) -> Vec<Action> {
        let proved = self.tell(Event::Proved { work, report: report() });
        assert!(proved.contains(&Action::Publish { work }), "{proved:?}");
        self.tell(Event::Published { work, result: blob(1000 + epoch) })
    }
}

/// What is said in `actions`.
pub fn sent(actions: &[Action]) -> Vec<NodeMessage> {
    let messages = actions.iter().filter_map(|action| match action {
        Action::Send { message, .. } => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

/// How often work is asked for.
pub fn asked(actions: &[Action]) -> usize {
    sent(actions).into_iter().filter(|message| *message == NodeMessage::WorkRequested).count()
}

pub fn dialled(actions: &[Action]) -> Vec<SessionId> {
    let dials = actions.iter().filter_map(|action| match action {
        Action::Dial { session, .. } => Some(*session),
        _ => None,
    });
    dials.collect()
}

/// The lease that an input is to be fetched for.
pub fn fetching(actions: &[Action]) -> Option<WorkId> {
    actions.iter().find_map(|action| match action {
        Action::Fetch { work, .. } => Some(*work),
        _ => None,
    })
}

pub fn proving(actions: &[Action]) -> Option<(WorkId, Order)> {
    actions.iter().find_map(|action| match action {
        Action::Prove { work, order, .. } => Some((*work, order.clone())),
        _ => None,
    })
}

pub fn declined(actions: &[Action], epoch: u64) -> bool {
    declined_for(actions, epoch).is_some()
}

/// Whether the node says that other work came first, where it declines a lease.
pub fn declined_for(actions: &[Action], epoch: u64) -> Option<bool> {
    sent(actions).into_iter().find_map(|message| match message {
        NodeMessage::Decline { lease: of, busy } if of == lease(epoch) => Some(busy),
        _ => None,
    })
}

/// To whom work is asked for.
pub fn asks(actions: &[Action]) -> Vec<SessionId> {
    let asks = actions.iter().filter_map(|action| match action {
        Action::Send { session, message: NodeMessage::WorkRequested } => Some(*session),
        _ => None,
    });
    asks.collect()
}

pub fn renewed(actions: &[Action], epoch: u64) -> Vec<u32> {
    let renewals = sent(actions).into_iter().filter_map(|message| match message {
        NodeMessage::Renew { lease: of, done_permille, .. } if of == lease(epoch) => {
            Some(done_permille)
        }
        _ => None,
    });
    renewals.collect()
}

pub fn done(epoch: u64) -> NodeMessage {
    NodeMessage::Done(Done {
        lease: lease(epoch),
        result: blob(1000 + epoch),
        prove_ms: 40_000,
        peak_memory: mib(300),
    })
}

/// The class of the failure that is reported.
pub fn failed(actions: &[Action]) -> Option<starling_types::FailureClass> {
    sent(actions).into_iter().find_map(|message| match message {
        NodeMessage::Failed(failure) => Some(failure.class),
        _ => None,
    })
}
