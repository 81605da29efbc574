//! What RISC Zero's receipts must claim, and whether they do: without any prover.
//!
//! - [`claim`] computes what a receipt must claim from what an execution says.
//! - [`codec`] reads and writes receipts as blobs, and [`verify_task`] judges a stranger's against what is [`Expected`].
//! - [`receipt`] assembles accepted receipts into an ordinary [`Receipt`], verifies, reads, writes and takes apart such.
//! - [`task`] has the words that a lease says of a task to its prover.
//!
//! Clients, gateways and browsers judge with this crate alone: it executes nothing, proves nothing, and compiles no kernel.
//! Development mode, in which RISC Zero accepts receipts that prove nothing, is off everywhere, whatever the environment
//! says.

pub mod claim;
pub mod codec;
mod execution;
pub mod receipt;
mod system;
pub mod task;
#[cfg(test)]
mod testing;
pub mod verify;

use std::ops::RangeInclusive;

use risc0_circuit_keccak::KECCAK_PO2_RANGE;
use starling_panic as panic;

pub use claim::{AssumptionId, OutputParts, PovwJob, SegmentClaim, Work};
pub use codec::{BlobKind, CodecError};
pub use execution::Execution;
pub use receipt::{ReceiptError, ReceiptInfo};
pub use risc0_zkvm::{
    Digest, ExitCode, InnerReceipt, Receipt, ReceiptClaim, SegmentReceipt, SuccinctReceipt,
    Unknown, WorkClaim,
};
pub use system::{ENCODINGS, zkvm};
pub use task::{ArgumentsError, TaskArguments, name_of, size_of};
pub use verify::{Expected, Refusal, RefusalReason, verify_task};

/// The receipt of some of a job's segments, with its work counted.
pub type WorkReceipt = SuccinctReceipt<WorkClaim<ReceiptClaim>>;

/// The release of RISC Zero's crates that this build has, for people. Peers agree by [`zkvm()`].
pub const ZKVM_VERSION: &str = risc0_zkvm::VERSION;

/// The sizes of keccak proofs, as powers of two of their cycles.
pub const KECCAK_PO2: RangeInclusive<u32> =
    *KECCAK_PO2_RANGE.start() as u32..=*KECCAK_PO2_RANGE.end() as u32;

/// The smallest po2 that can be lifted: the recursion circuit has no program for less.
pub const SEGMENT_PO2_MIN: u32 = 14;

/// The largest po2 whose receipts the stock verifier accepts: its set of allowed recursion programs ends
/// there, though the circuit itself goes further.
pub const SEGMENT_PO2_MAX: u32 = risc0_zkvm::DEFAULT_MAX_PO2 as u32;
