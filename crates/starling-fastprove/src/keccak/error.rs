//! Why a keccak proof was not made.

use thiserror::Error;

/// Why a keccak proof was not made.
#[derive(Debug, Error)]
pub enum KeccakError {
    /// No proof has so many rows.
    #[error("keccak proofs have 2^{min} to 2^{max} rows, not 2^{po2}")]
    Rows {
        /// What was asked for.
        po2: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A proof does not have so many permutations.
    #[error("a keccak proof of 2^{po2} rows has 1 to {count_max} permutations, not {count}")]
    Count {
        /// What was asked for.
        count: usize,
        /// The most.
        count_max: usize,
        /// The binary logarithm of the rows.
        po2: usize,
    },
    /// The trace breaks the circuit's constraints: this prover or its machine made a mistake.
    #[error("the trace of a keccak proof breaks the circuit's constraints")]
    Trace,
}
