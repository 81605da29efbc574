//! How an execution ended, which a receipt of it must say.

use crate::{AssumptionId, Digest, ExitCode, OutputParts, SegmentClaim};

/// A finished execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// How the guest ended. Another code than `Halted(0)` is provable, but no success.
    pub exit_code: ExitCode,
    /// What the guest committed; empty when it ended without an output.
    pub journal: Vec<u8>,
    /// What its output commits to; `None` when it ended without one.
    pub output: Option<OutputParts>,
    /// How many segments the execution has.
    pub segment_count: u32,
    /// Cycles spent on instructions.
    pub user_cycles: u64,
    /// Cycles that a prover proves: paging and padding included.
    pub total_cycles: u64,
    /// The claim of the whole execution, with all that the guest assumed.
    pub claim: SegmentClaim,
}

impl Execution {
    /// What the guest assumed, in the order of resolving.
    pub fn assumptions(&self) -> &[AssumptionId] {
        self.output.as_ref().map_or(&[], |output| &output.assumptions)
    }

    /// The claim of the whole execution when all that the guest assumed is proved: that of a delivered receipt.
    pub fn resolved_claim(&self) -> SegmentClaim {
        let output = |parts: &OutputParts| parts.digest_after(parts.assumptions.len());
        self.claim.with_output(self.output.as_ref().map_or(Digest::ZERO, output))
    }
}
