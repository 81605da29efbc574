//! What is left to prove of one job: task graphs that grow, as pure types.
//!
//! [`Plan`] is what every plan can be asked and told. It owns the meaning of a job's tasks: which exist, which are ready,
//! running or accepted, what is merged with what, which blobs are still read. It knows no nodes, no leases and no time,
//! and it does no I/O. What a task costs is told when a plan is made. The same calls in the same order give the same plan.
//!
//! Plans are made of parts: leaves, late-bound merges of neighbours (`joins`, by pairs or wide), a fixed tree (`unions`), a
//! chain (`resolves`). There are three:
//! - [`ZkvmPlan`]: segments that stream out of an execution, joins, keccak proofs and unions, resolves, an unwrap.
//! - [`MergesPlan`]: leaves that are known at once, merges of many neighbours, one finish; results may be provisional.
//! - [`RoundsPlan`]: sets of independent tasks, each complete before the next is named from outside.
//!
//! ```
//! use starling_plan::{Assumed, Outcome, PlanShape, TaskCost, ZkvmPlan};
//! # use starling_types::{BlobRef, Po2, Reference};
//! # let blob = |name: u8| BlobRef { reference: Reference([name; 32]), size_bytes: 1 };
//! # let po2 = Po2::try_from(18)?;
//! let mut plan = ZkvmPlan::new(PlanShape::Succinct, |_kind, _po2| TaskCost::default());
//! plan.add_segment(0, po2, blob(1))?;
//! plan.add_segment(1, po2, blob(2))?;
//! plan.end_execution(vec![Assumed::Given(blob(3))])?;
//! // A worker that can hold anything takes lift/0, then lift/1, then join/0..2, then resolve/0.
//! while let Some(task) = plan.next_task(|_class| true) {
//!     plan.start(task.id)?;
//!     plan.accept(task.id, blob(9))?;
//! }
//! assert_eq!(plan.outcome(), Some(Outcome::Succinct { receipt: blob(9), work: None }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod class;
mod demand;
mod error;
mod frontier;
mod joins;
mod leaves;
mod lengths;
mod merges;
mod plan;
mod resolves;
mod rounds;
mod runs;
mod shape;
mod task;
mod tree;
mod unions;
mod zkvm;

pub use class::{KECCAK_PO2_COUNT, KECCAK_PO2_MAX, KECCAK_PO2_MIN, SEGMENT_PO2_COUNT, TaskClass};
pub use demand::{Class, Demand, Order, TaskCost};
pub use error::PlanError;
pub use merges::{MergesPlan, MergesShape, NoInput};
pub use plan::Plan;
pub use rounds::{RoundTask, RoundsInput, RoundsPlan};
pub use shape::PlanShape;
pub use task::{Accepted, Assumed, Certainty, Counts, Outcome, Revoked, TaskSpec};
pub use unions::fold;
pub use zkvm::{ZkvmInput, ZkvmPlan};
