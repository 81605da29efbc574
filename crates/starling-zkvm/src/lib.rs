//! RISC Zero behind one door: execute a guest into segments and keccak requests, prove them, put the proofs
//! together, and judge what others proved.
//!
//! - [`Guest`] is a checked program binary; [`execute()`] runs it and hands out what is to be proved while it
//!   runs, each with the claim that its receipt must make.
//! - [`prover::RiscZero`] proves, in a child process that `starling-child` supervises.
//! - What receipts must claim, whether they do, and how they are put together is `starling-claims`, which proves nothing
//!   and is passed on here: [`verify_task`], [`receipt`].
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
pub mod codec;
pub mod execute;
pub mod groth16;
pub mod guest;
mod leaf;
mod machine;
pub mod prover;
pub mod selftest;
#[cfg(test)]
mod testing;
mod twice;

use starling_panic as panic;

pub use backend::Backend;
pub use execute::{
    Emitted, ExecuteError, ExecuteOptions, GuestFault, KeccakOut, SegmentOut, execute,
};
pub use guest::{GUEST_BYTES_MAX, Guest, GuestError};
pub use leaf::{KeccakRequest, Segment, keccak_claim};
pub use starling_claims::{
    ArgumentsError, AssumptionId, BlobKind, CodecError, Digest, ENCODINGS, Execution, ExitCode,
    Expected, InnerReceipt, KECCAK_PO2, OutputParts, PovwJob, Receipt, ReceiptClaim, ReceiptError,
    ReceiptInfo, Refusal, RefusalReason, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN, SegmentClaim,
    SegmentReceipt, SuccinctReceipt, TaskArguments, Unknown, Work, WorkClaim, WorkReceipt,
    ZKVM_VERSION, claim, name_of, receipt, size_of, task, verify, verify_task, zkvm,
};

/// The size of keccak proofs where nobody asks for another: the largest that take no more memory than a lift, so that
/// every node that lifts can prove them. RISC Zero's own default is four times as large. What a guest claims in the end does
/// not depend on it.
pub const KECCAK_PO2_DEFAULT: u32 = 15;

/// The size of segments where nobody asks for another.
pub const SEGMENT_PO2_DEFAULT: u32 = 18;
