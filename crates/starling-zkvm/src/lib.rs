//! RISC Zero behind one door: execute a guest into segments, prove, lift and join them, and judge what
//! others proved.
//!
//! - [`Guest`] is a checked program binary; [`execute()`] runs it and hands out encoded segments while it
//!   runs, each with the claim that its receipt must make.
//! - [`ProverProcess`] proves in a supervised child process, since provers are native code fed by
//!   strangers; [`prover::serve`] is that child.
//! - [`verify_task`] judges a stranger's receipt against the claim that the client's own execution
//!   implies; [`receipt`] assembles accepted receipts into an ordinary [`Receipt`].
//!
//! ```no_run
//! # use std::sync::atomic::AtomicBool;
//! use starling_zkvm::{ExecuteOptions, Guest, execute};
//!
//! let guest = Guest::parse(std::fs::read("guest.bin")?)?;
//! let options = ExecuteOptions {
//!     input: Box::new(std::fs::File::open("input")?),
//!     segment_po2: "18".parse()?,
//!     cycle_limit: None,
//!     seed: [0; 32], // a real job draws it at random
//!     guest_output: Box::new(std::io::stderr()),
//! };
//! let print = |segment| Ok(println!("{segment:?}"));
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
mod panic;
pub mod process;
mod protocol;
pub mod prover;
pub mod receipt;
pub mod selftest;
#[cfg(test)]
mod testing;
pub mod verify;

pub use backend::Backend;
pub use claim::{SegmentClaim, expected_claim};
pub use codec::{BlobKind, CodecError};
pub use execute::{ExecuteError, ExecuteOptions, Execution, SegmentOut, execute};
pub use guest::{Guest, GuestError};
pub use process::{ProveFailure, ProverConfig, ProverProcess, Work, WorkReport};
pub use protocol::FailureClass;
pub use receipt::{ReceiptError, ReceiptInfo};
pub use risc0_zkvm::{Digest, ExitCode, Receipt, ReceiptClaim, SegmentReceipt, SuccinctReceipt};
pub use verify::{Refusal, RefusalReason, verify_task};

/// The zkVM whose circuits, receipts and segments this build speaks: peers must agree on it exactly.
pub const ZKVM_VERSION: &str = risc0_zkvm::VERSION;

/// The proof system and version as peers name it to each other.
pub fn zkvm() -> String {
    format!("risc0-zkvm {ZKVM_VERSION}")
}

/// The smallest po2 that can be lifted: the recursion circuit has no program for less.
pub const SEGMENT_PO2_MIN: u32 = 14;

/// The largest po2 whose receipts the stock verifier accepts: its set of allowed recursion programs ends
/// there, though the circuit itself goes further.
pub const SEGMENT_PO2_MAX: u32 = risc0_zkvm::DEFAULT_MAX_PO2 as u32;
