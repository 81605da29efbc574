//! What the zkVM's tasks cost: the memory that each needs and the work that it is, as measured; what a node therefore says
//! that its prover needs; and the least time that a whole job can take.
//!
//! The plan and the scheduler know none of this: a plan is made with a cost for each of its classes. Nothing here does
//! I/O.
//!
//! ```
//! use starling_cost::CostModel;
//! use starling_plan::{PlanShape, ZkvmPlan};
//!
//! let plan = ZkvmPlan::new(PlanShape::Succinct, |kind, po2| CostModel::ADMISSION.cost(kind, po2));
//! assert_eq!(plan.outcome(), None);
//! ```

#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

mod bound;
mod cost;
mod figures;
mod needs;

pub use bound::Workload;
pub use cost::{CostModel, Costs};
pub use starling_plan::TaskCost;
