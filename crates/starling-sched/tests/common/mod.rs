//! Names and short ways to say things that all test programs use.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use starling_plan::{Assumed, Outcome, PlanShape, TaskClass, TaskCost, ZkvmInput, ZkvmPlan};
use starling_sched::{Believed, Config, Lease, TaskFailure};
use starling_types::{
    BlobRef, Capability, Epoch, FailureClass, Incarnation, KindCode, MemoryBytes, MemoryTable,
    Millis, NodeId, Po2, Reference, Task, TaskId, TaskKind,
};

/// A lift of po2 13 + i, or a keccak proof of po2 14 + i, takes 100 * (i + 1) MiB and 10 * (i + 1) s; to lift a receipt
/// takes 50 MiB; anything else 100 MiB and 10 s.
pub fn cost(kind: TaskKind, po2: Option<Po2>) -> TaskCost {
    let least = if kind == TaskKind::Keccak { 14 } else { 13 };
    let steps = po2.map_or(1, |po2| u64::from(po2.get() - least + 1));
    let (mib, seconds) = match kind {
        TaskKind::LiftReceipt => (50, 0),
        _ => (100 * steps, 10 * steps),
    };
    TaskCost { memory: MemoryBytes::from_mib(mib), work: Millis(seconds * 1000) }
}

/// A plan at these costs.
pub fn plan(shape: PlanShape) -> ZkvmPlan {
    ZkvmPlan::new(shape, cost)
}

pub type Event = starling_sched::Event<ZkvmInput>;
pub type Action = starling_sched::Action<Outcome>;
pub type Scheduler = starling_sched::Scheduler<ZkvmPlan>;

/// Nothing is granted ahead.
pub fn config() -> Config {
    Config {
        deadline_min: Millis(30_000),
        believed: Believed::All,
        leases_ahead: false,
        ..Config::default()
    }
}

pub fn po2(value: u32) -> Po2 {
    value.try_into().unwrap()
}

pub fn leaf(value: u32) -> TaskClass {
    TaskClass::Leaf(po2(value))
}

pub fn node(name: u8) -> NodeId {
    NodeId([name; 32])
}

pub fn blob(name: u64) -> BlobRef {
    let mut reference = [0; 32];
    reference[..8].copy_from_slice(&name.to_be_bytes());
    BlobRef { reference: Reference(reference), size_bytes: 1 }
}

pub fn capability(memory_mib: u64, speed_permille: u32) -> Capability {
    Capability {
        memory: MemoryBytes::from_mib(memory_mib),
        kinds: kinds(&TaskKind::ALL),
        slots: 1,
        speed_permille,
    }
}

/// These kinds, of all sizes, at the plan's costs.
pub fn kinds(kinds: &[TaskKind]) -> BTreeMap<KindCode, MemoryTable> {
    kinds.iter().map(|kind| (kind.code(), MemoryTable::default())).collect()
}

/// A node that lifts segments up to this po2 only; it says the same of its memory as the plan.
pub fn lifting_up_to(largest: u32, capability: Capability) -> Capability {
    let mut kinds = capability.kinds;
    let sizes = (Po2::MIN..=largest).map(po2);
    let by_po2 = sizes.map(|po2| (po2, cost(TaskKind::Lift, Some(po2)).memory)).collect();
    kinds.insert(TaskKind::Lift.code(), MemoryTable { by_po2, any: None });
    Capability { kinds, ..capability }
}

/// A scheduler at a time.
pub struct Bench {
    pub scheduler: Scheduler,
    pub now: Millis,
    segment_count: u32,
    keccak_count: u32,
}

impl Bench {
    /// A succinct job of which nothing is executed yet.
    pub fn executing(config: Config) -> Self {
        let scheduler = Scheduler::new(config, plan(PlanShape::Succinct), Incarnation(7), 0);
        Self { scheduler, now: Millis(0), segment_count: 0, keccak_count: 0 }
    }

    /// A succinct job with these segments, executed.
    pub fn new(config: Config, po2s: &[u32]) -> Self {
        let mut bench = Self::executing(config);
        po2s.iter().for_each(|po2| drop(bench.segment(*po2)));
        bench.end(vec![]);
        bench
    }

    pub fn end(&mut self, assumed: Vec<Assumed>) -> Vec<Action> {
        self.tell(Event::Input(ZkvmInput::End { assumed }))
    }

    pub fn tell(&mut self, event: Event) -> Vec<Action> {
        self.scheduler.handle(self.now, event)
    }

    pub fn segment(&mut self, value: u32) -> Vec<Action> {
        let index = self.segment_count;
        self.segment_count += 1;
        let blob = blob(index.into());
        self.tell(Event::Input(ZkvmInput::Segment { index, po2: po2(value), blob }))
    }

    pub fn keccak(&mut self, value: u32) -> Vec<Action> {
        let index = self.keccak_count;
        self.keccak_count += 1;
        let blob = blob(u64::from(index) + 500);
        self.tell(Event::Input(ZkvmInput::Keccak { index, po2: po2(value), blob }))
    }

    /// Lets time pass, woken whenever the scheduler wants to be.
    pub fn wait(&mut self, ms: u64) -> Vec<Action> {
        let until = self.now + Millis(ms);
        let mut actions = Vec::new();
        while let Some(wakeup) = self.scheduler.next_wakeup().filter(|wakeup| *wakeup <= until) {
            self.now = self.now.max(wakeup);
            actions.extend(self.tell(Event::Tick));
        }
        self.now = until;
        actions.extend(self.tell(Event::Tick));
        actions
    }

    pub fn join(&mut self, name: u8, capability: Capability) -> Vec<Action> {
        self.tell(Event::NodeJoined { node: node(name), capability })
    }

    pub fn ask(&mut self, name: u8) -> Vec<Action> {
        self.tell(Event::WorkRequested { node: node(name) })
    }

    /// A node joins and asks for work; the lease that it gets.
    pub fn enter(&mut self, name: u8, capability: Capability) -> Lease {
        self.join(name, capability);
        let actions = self.ask(name);
        grant_to(name, &actions).unwrap_or_else(|| panic!("node {name} got nothing: {actions:?}"))
    }

    pub fn renew(&mut self, name: u8, epoch: Epoch) -> Vec<Action> {
        self.get_on(name, epoch, 0)
    }

    /// A node renews a lease and says how far it is.
    pub fn get_on(&mut self, name: u8, epoch: Epoch, done_permille: u32) -> Vec<Action> {
        self.tell(Event::LeaseRenewed { node: node(name), epoch, done_permille, waits: false })
    }

    /// A node renews a lease that it has no slot for yet.
    pub fn hold(&mut self, name: u8, epoch: Epoch) -> Vec<Action> {
        let node = node(name);
        self.tell(Event::LeaseRenewed { node, epoch, done_permille: 0, waits: true })
    }

    pub fn report(&mut self, name: u8, epoch: Epoch) -> Vec<Action> {
        let blob = blob(1000 + (epoch.0 & 0xffff));
        self.tell(Event::ResultReported { node: node(name), epoch, blob })
    }

    pub fn accept(&mut self, epoch: Epoch) -> Vec<Action> {
        self.tell(Event::ResultAccepted { epoch, blob: blob(1000 + (epoch.0 & 0xffff)) })
    }

    /// A node reports a result and it is good.
    pub fn finish(&mut self, name: u8, epoch: Epoch) -> Vec<Action> {
        [self.report(name, epoch), self.accept(epoch)].concat()
    }

    pub fn fail(&mut self, name: u8, epoch: Epoch, class: FailureClass) -> Vec<Action> {
        let failure = TaskFailure { class, message: format!("{class:?} trouble") };
        self.tell(Event::TaskFailed { node: node(name), epoch, failure })
    }
}

/// The task as the zkVM calls it.
pub fn named(task: Task) -> TaskId {
    task.try_into().unwrap()
}

pub fn grants(actions: &[Action]) -> Vec<(NodeId, Lease)> {
    let grant = |action: &Action| match action {
        Action::Grant { node, lease } => Some((*node, lease.clone())),
        _ => None,
    };
    actions.iter().filter_map(grant).collect()
}

pub fn grant_to(name: u8, actions: &[Action]) -> Option<Lease> {
    grants(actions).into_iter().find(|(to, _)| *to == node(name)).map(|(_, lease)| lease)
}

pub fn granted_tasks(actions: &[Action]) -> Vec<(u8, TaskId)> {
    grants(actions).into_iter().map(|(to, lease)| (to.0[0], named(lease.task))).collect()
}
