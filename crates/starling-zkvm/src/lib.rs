//! RISC Zero behind one door: execute a guest into segments and keccak requests, prove them, put the proofs
//! together, and judge what others proved.
//!
//! - [`Guest`] is a checked program binary; [`execute()`] runs it and hands out what is to be proved while it
//!   runs, each with the claim that its receipt must make.
//! - [`ProverProcess`] proves in a supervised child process, since provers are native code fed by
//!   strangers; [`prover::serve`] is that child.
//! - [`verify_task`] judges a stranger's receipt against what the client's own execution implies
//!   ([`Expected`]); [`receipt`] assembles accepted receipts into an ordinary [`Receipt`].
//!
//! ```no_run
//! # use std::sync::atomic::AtomicBool;
//! use starling_zkvm::{ExecuteOptions, Guest, execute};
//!
//! let guest = Guest::parse(std::fs::read("guest.bin")?)?;
//! let seed = [0; 32]; // a real job draws it at random
//! let options = ExecuteOptions {
//!     input: Box::new(std::fs::File::open("input")?),
//!     guest_output: Box::new(std::io::stderr()),
//!     ..ExecuteOptions::new("18".parse()?, seed)
//! };
//! let print = |emitted| Ok(println!("{emitted:?}"));
//! let execution = execute(&guest, options, print, &AtomicBool::new(false))?;
//! println!("{} segments, {:?}", execution.segment_count, execution.exit_code);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate knows nothing of peers, jobs or stores: data enters and leaves as bytes, paths and claims.
//! Development mode, in which RISC Zero accepts receipts that prove nothing, is off everywhere, whatever
//! the environment says.

pub mod backend;
pub mod claim;
pub mod codec;
pub mod execute;
pub mod groth16;
pub mod guest;
mod leaf;
mod machine;
mod panic;
pub mod process;
mod protocol;
pub mod prover;
pub mod receipt;
pub mod selftest;
mod system;
mod task;
#[cfg(test)]
mod testing;
mod twice;
pub mod verify;

use std::ops::RangeInclusive;

use risc0_circuit_keccak::KECCAK_PO2_RANGE;

pub use backend::Backend;
pub use claim::{AssumptionId, OutputParts, PovwJob, SegmentClaim, Work};
pub use codec::{BlobKind, CodecError};
pub use execute::{
    Emitted, ExecuteError, ExecuteOptions, Execution, KeccakOut, SegmentOut, execute,
};
pub use guest::{Guest, GuestError};
pub use leaf::{KeccakRequest, Segment, keccak_claim};
pub use process::{ProveFailure, ProverConfig, ProverProcess, TaskWork, WorkReport};
pub use protocol::PhaseTime;
pub use receipt::{ReceiptError, ReceiptInfo};
pub use risc0_zkvm::{
    Digest, ExitCode, InnerReceipt, Receipt, ReceiptClaim, SegmentReceipt, SuccinctReceipt,
    Unknown, WorkClaim,
};
pub use system::{ENCODINGS, zkvm};
pub use task::{ArgumentsError, TaskArguments, size_of};
pub use verify::{Expected, Refusal, RefusalReason, verify_task};

/// The receipt of some of a job's segments, with its work counted.
pub type WorkReceipt = SuccinctReceipt<WorkClaim<ReceiptClaim>>;

/// The release of RISC Zero's crates that this build has, for people. Peers agree by [`zkvm()`].
pub const ZKVM_VERSION: &str = risc0_zkvm::VERSION;

/// The sizes of keccak proofs, as powers of two of their cycles.
pub const KECCAK_PO2: RangeInclusive<u32> =
    *KECCAK_PO2_RANGE.start() as u32..=*KECCAK_PO2_RANGE.end() as u32;

/// The size of keccak proofs where nobody asks for another: the largest that take no more memory than a lift, so that
/// whoever lifts can prove them. RISC Zero's own default is four times as large. What a guest claims in the end does
/// not depend on it.
pub const KECCAK_PO2_DEFAULT: u32 = 15;

/// The size of segments where nobody asks for another.
pub const SEGMENT_PO2_DEFAULT: u32 = 18;

/// The smallest po2 that can be lifted: the recursion circuit has no program for less.
pub const SEGMENT_PO2_MIN: u32 = 14;

/// The largest po2 whose receipts the stock verifier accepts: its set of allowed recursion programs ends
/// there, though the circuit itself goes further.
pub const SEGMENT_PO2_MAX: u32 = risc0_zkvm::DEFAULT_MAX_PO2 as u32;
