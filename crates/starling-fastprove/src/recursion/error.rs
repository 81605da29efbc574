//! Why a recursion proof was not made.

use risc0_zkp::core::digest::Digest;
use thiserror::Error;

use super::machine::Refusal;
use super::program::ProgramError;

/// Why a recursion proof was not made.
#[derive(Debug, Error)]
pub enum ProveError {
    /// A receipt that was given cannot be the input of this program.
    #[error("the {role} cannot be used: {reason}")]
    Input {
        /// Which of the receipts.
        role: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The program does not accept the proofs in the receipts that were given.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The claims of the receipts that were given do not fit together.
    #[error("the receipts do not fit together: {0}")]
    Unfit(String),
    /// The receipts that were given claim something else than their seals prove.
    #[error(
        "the claims say {expected} and the seals prove {proved}, so a receipt that was given is wrong"
    )]
    OtherClaim {
        /// The digest of what was proved.
        proved: Digest,
        /// The digest of what the claims imply.
        expected: Digest,
    },
    /// `risc0-zkp` was compiled without the hash function: Poseidon over BN254 comes with its feature `prove` alone.
    #[error("this build has no hash function {hashfn}")]
    HashFn {
        /// The hash function.
        hashfn: &'static str,
    },
    /// The program cannot be proved.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The proof was made and does not verify: a fault of this prover, or of the machine it runs on.
    #[error("the finished proof of {program} does not verify: {reason}; prove again")]
    Unverified {
        /// The program.
        program: String,
        /// What the verifier said.
        reason: String,
    },
    /// The trace breaks the circuit's constraints: the program accepted what it should have refused, or this prover or
    /// its machine made a mistake.
    #[error("the trace of {program} breaks the circuit's constraints")]
    Trace {
        /// The program.
        program: String,
    },
}
