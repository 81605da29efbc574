//! What is left to prove of one job: a task graph that grows while the guest still runs, and what each
//! task costs.
//!
//! [`Plan`] owns the meaning of a job's tasks: which exist, which are ready, running or accepted, which two
//! neighbouring receipts are joined next, how the receipts of keccak proofs become one, and in which order
//! assumptions are resolved. [`Costs`] owns how much memory and work each needs. Neither knows nodes,
//! leases or time, and neither does I/O: segments, keccak requests and accepted receipts come in as calls,
//! task descriptions go out. The same calls in the same order give the same plan.
//!
//! ```
//! use starling_plan::{Assumed, Outcome, Plan, PlanShape};
//! # use starling_types::{BlobRef, Po2, Reference};
//! # let blob = |name: u8| BlobRef { reference: Reference([name; 32]), size_bytes: 1 };
//! # let po2 = Po2::try_from(18)?;
//! let mut plan = Plan::new(PlanShape::Succinct);
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

mod bound;
mod class;
mod cost;
mod error;
mod frontier;
mod joins;
mod leaves;
mod plan;
mod resolves;
mod runs;
mod shape;
mod task;
mod unions;

pub use bound::Workload;
pub use class::{KECCAK_PO2_MAX, KECCAK_PO2_MIN, TaskClass};
pub use cost::{CostModel, Costs, TaskCost};
pub use error::PlanError;
pub use plan::Plan;
pub use shape::PlanShape;
pub use task::{Accepted, Assumed, Outcome, Progress, TaskSpec};
