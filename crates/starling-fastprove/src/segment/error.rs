//! Why a segment was not proved.

use thiserror::Error;

use super::witness::WitnessError;

/// Why a segment was not proved.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// The segment is at fault.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The trace breaks the circuit's constraints: the segment shows something that the circuit does not allow, or this
    /// prover or its machine made a mistake.
    #[error("the trace of the segment breaks the circuit's constraints")]
    Trace,
    /// The proof was made and does not verify: a fault of this prover, or of the machine it runs on.
    #[error("the finished proof of the segment does not verify: {reason}")]
    Unverified {
        /// What the verifier said.
        reason: String,
    },
}
