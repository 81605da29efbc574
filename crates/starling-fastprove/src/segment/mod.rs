//! Proofs of rv32im segments, and the receipts around them.
//!
//! [`prove`] is the circuit's protocol around a [`Session`](crate::stark::Session). It knows nothing of guests and
//! instructions: what happened in each cycle comes as columns from a [`Witness`], which is filled elsewhere by code
//! that strangers' segments run through. [`receipt`] puts the seal into a receipt that the stock verifier accepts.
//!
//! A seal depends on the witness alone, whose one random element is drawn by who makes it: proving again with the
//! same witness gives the same seal, word for word that of `risc0_zkvm`'s own prover.

mod error;
mod proof;
mod receipt;
mod witness;

pub use self::error::SegmentError;
pub use self::proof::{demand, prove};
pub use self::receipt::{check_claim, receipt};
pub use self::witness::{BIGINT_COLUMNS, Witness, WitnessError};
