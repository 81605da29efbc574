//! What a task is made of.

use serde::{Deserialize, Serialize};

/// The most inputs of a task: the wide merges of the proof systems that are known combine up to so many. It bounds plans, leases
/// and what a prover is asked alike, so that whatever is planned can be proved.
pub const INPUT_COUNT_MAX: usize = 32;

/// What a blob is to its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What the task is about.
    Input,
    /// What follows from the results before it.
    Challenge,
}
