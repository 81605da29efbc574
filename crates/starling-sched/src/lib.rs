//! Who proves what of one job, and until when.
//!
//! A [`Scheduler`] is told what happened ([`Event`]) and at what time, and answers with what to do
//! ([`Action`]). It owns the job's plan, its leases and what is known of its nodes. It refuses everything
//! else: no socket, no clock, no file, no prover. A client's shell drives it with real events, a simulator
//! with made-up ones in virtual time; the same events, times and seed give the same actions.
//!
//! The rules:
//! - Nodes pull. A lease fits its node: slots, kinds, sizes, and the memory that its own prover needs.
//! - Leaves go before what is made of them, the largest to the fastest node that waits; a join, a union, a
//!   resolve or an unwrap goes to a node that holds an input if one waits.
//! - A node of which nothing was accepted yet, and that is not the client's own, is a stranger. It gets work after all others that
//!   wait, begins with the cheapest, and gets a second task when nobody without one waits. Its leases keep no node out that has
//!   shown something.
//! - A lease expires when its node is silent, and ends at a deadline set by the node's own speed, where another could begin with
//!   its task.
//!   Its task is then ready again, once, unless another node still works on it. A node that misses deadlines gets longer ones, up to
//!   eightfold.
//! - The first valid result wins. A late one, of a lease that expired, is as good; what comes after the
//!   first is not looked at.
//! - Idle nodes back up tasks that they would finish before those who have them.
//! - A lease that is declined or failed pauses its node, longer each time. If another client was quicker, that is no reason to pause
//!   it, unless the node says so without end. A node whose results cannot be fetched gets nothing at all, longer each time.
//! - A node has at most so many leases and results that are not judged yet: one for each slot while it has proved nothing,
//!   a few afterwards. Further requests are granted when a verdict comes; to leave and come back changes nothing.
//! - A connected node does not count as work: what nodes say of their leases tells since when nobody has worked.
//! - If all nodes that could do a task refuse it, fail at its kind again and again, or are not believed, the task waits, and people
//!   are told what the nodes said.
//! - What a node says of its progress is shown to people and decides nothing.
//! - A node that reports a false result is dismissed. What it proved right stays.
//! - Lease numbers are never used twice, across all runs of a client.
//!
//! Above the schedulers of several jobs stands a [`Dispatcher`], to which nodes' requests for work go first.
//!
//! ```
//! use starling_plan::{PlanShape, TaskCost, ZkvmInput, ZkvmPlan};
//! use starling_sched::{Action, Config, Event, Scheduler};
//! use starling_types::{
//!     BlobRef, Capability, Incarnation, MemoryBytes, MemoryTable, Millis, NodeId, Po2, Reference,
//!     TaskId, TaskKind,
//! };
//!
//! let plan = ZkvmPlan::new(PlanShape::Succinct, |_kind, _po2| TaskCost::default());
//! let mut scheduler = Scheduler::new(Config::default(), plan, Incarnation(1), 42);
//! let po2 = Po2::try_from(18)?;
//! let blob = BlobRef { reference: Reference([0; 32]), size_bytes: 40_000 };
//! let node = NodeId([7; 32]);
//! let capability = Capability {
//!     memory: MemoryBytes::from_mib(4096),
//!     // It does not say what it needs: the plan's costs count.
//!     kinds: TaskKind::ALL.map(|kind| (kind.code(), MemoryTable::default())).into(),
//!     slots: 1,
//!     speed_permille: 1000,
//! };
//! scheduler.handle(Millis(0), Event::Input(ZkvmInput::Segment { index: 0, po2, blob }));
//! scheduler.handle(Millis(5), Event::NodeJoined { node, capability });
//! let actions = scheduler.handle(Millis(6), Event::WorkRequested { node });
//! let [Action::Grant { node: to, lease }] = &actions[..] else { panic!("{actions:?}") };
//! assert_eq!((*to, lease.task), (node, TaskId::Lift(0).into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An event costs O(log n) in the number of nodes and of tasks, times the two dozen classes that tasks
//! fall into by what they need.

#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod acceptance;
mod class;
mod config;
mod dispatch;
mod eta;
mod event;
mod holders;
mod holding;
mod idle;
mod lease;
mod node;
mod nodes;
mod placement;
mod recent;
mod scheduler;
mod status;

pub use config::{Believed, Config};
pub use dispatch::{DispatchAction, Dispatcher, Taken, Terms, WEIGHT_MAX};
pub use event::{
    Action, Event, ExpiryReason, IgnoreReason, Judgement, Lease, LeaseInput, RevokeReason,
    TaskFailure, WaitReason,
};
pub use scheduler::Scheduler;
pub use status::Status;
