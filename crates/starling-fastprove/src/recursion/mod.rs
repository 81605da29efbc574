//! Recursion programs, and the receipts that they make: lift, join, resolve, union and the others.
//!
//! A [`Prover`] is what to begin with. It feeds a program ([`ProgramId`]) what `risc0_zkvm` would feed it, proves it,
//! and puts the receipt together, which the stock verifier accepts before anyone else sees it. The programs themselves
//! ([`Code`]) come from outside, and so does all that is random in a proof, as its [`Seed`].

mod allowed;
mod claim;
mod code;
mod error;
mod library;
mod machine;
mod options;
mod program;
mod proof;
mod prover;
mod receipt;
mod row;
mod tape;
#[cfg(test)]
mod testing;
mod witness;

pub use self::code::{Code, RECURSION_PO2};
pub use self::error::ProveError;
pub use self::machine::{Reason, Refusal};
pub use self::options::{Options, Profile};
pub use self::program::{HashFn, ProgramError, ProgramId};
pub use self::prover::Prover;
pub use self::row::RowError;

/// What all that is random in one proof follows from. A proof tells nothing of what it was made from but what it claims, as
/// long as nobody can know its seed and no other proof has the same.
pub type Seed = [u8; 32];
