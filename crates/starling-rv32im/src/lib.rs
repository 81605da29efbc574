//! RISC Zero's rv32im circuit up to its trace: executor, preflight and the witness of a segment.
//!
//! Executor and preflight are the published ones, private to their crate, compiled here from its source as cargo unpacked
//! it: the build script copies them to `OUT_DIR` with a few exact edits, and [`execute`] includes them. Their circuit is
//! frozen, so there is nothing to gain from writing them anew. So are the functions that fill the rows of a trace, which
//! are C++; what runs them ([`SegmentWitness`]) is ours. What makes a proof of the trace is elsewhere and knows nothing of
//! this crate.

// The build script's handling of texts, for its tests.
#[cfg(test)]
#[path = "../build/edits/mod.rs"]
mod edits;
mod fault;
#[cfg(test)]
#[path = "../build/functions.rs"]
mod functions;
#[cfg(test)]
mod heap;
mod kernel;
mod program;
mod raw;
mod segment;
mod witness;
mod zirgen;

pub use fault::{Cause, Fault, OverLimit};
pub use program::ProgramError;
pub use segment::{SegmentError, SessionSegment, decode_segment, segment_from};
pub use witness::{
    DATA_COLUMNS, PO2_MAX, PO2_MIN, SegmentWitness, WitnessError, preflight_bytes_max,
};

// What the included source names as its crate's own.
pub use risc0_circuit_rv32im::trace;
use risc0_circuit_rv32im::{
    MAX_INSN_CYCLES, MAX_INSN_CYCLES_LOWER_PO2, Rv32imV2Claim, TerminateState,
};

/// The published executor: runs a memory image and cuts the run in segments.
#[allow(warnings, clippy::all, clippy::unimplemented, clippy::unwrap_used)]
#[allow(missing_docs, unsafe_code, rustdoc::all)]
pub mod execute {
    include!(concat!(env!("OUT_DIR"), "/published/execute/mod.rs"));
}

/// The published preflight: runs a segment once more and notes what its trace is made of.
#[allow(warnings, clippy::all, clippy::unimplemented, clippy::unwrap_used)]
#[allow(missing_docs, unsafe_code, rustdoc::all)]
mod witgen {
    include!(concat!(env!("OUT_DIR"), "/published/witgen/mod.rs"));

    use risc0_binfmt::WordAddr;
    use risc0_zkp::core::digest::DIGEST_WORDS;

    use crate::execute::{MERKLE_TREE_END_ADDR, pager::PagedMemory};

    impl PagedMemory {
        /// A memory that has nothing but what it was made of.
        fn of_segment(mut self) -> Self {
            self.complete = false;
            self
        }
    }

    // The nodes of the memory tree lie downwards from its end, a digest each.

    fn node_addr_to_idx(addr: WordAddr) -> u32 {
        (MERKLE_TREE_END_ADDR - addr).0 / DIGEST_WORDS as u32
    }

    fn node_idx_to_addr(idx: u32) -> WordAddr {
        MERKLE_TREE_END_ADDR - idx * DIGEST_WORDS as u32
    }
}
