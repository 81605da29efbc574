//! Receipts as the RISC Zero ecosystem knows them: assembled from accepted parts, taken apart to be proved
//! further, checked, read, written.
//!
//! Whatever is assembled or taken apart here is verified before it is returned.

mod assemble;
mod file;
mod parts;

use std::{io, path::PathBuf};

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Digest, ExitCode, InnerReceipt, Receipt};
use thiserror::Error;

pub use self::{
    assemble::{assemble_composite, assemble_succinct, assemble_work},
    file::{
        RECEIPT_FILE_BYTES_MAX, encode_receipt, read_receipt, write_receipt, write_work_receipt,
    },
    parts::{
        CompositeParts, GivenAssumption, SegmentPart, given_assumption, nested_composites,
        open_composite, replace_nested, resolving, written_anew,
    },
};
use crate::{panic, verify::verifier_context};

/// Why a receipt could not be assembled, read, written or verified.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// The parts do not make a receipt of the execution.
    #[error("the receipt cannot be assembled: {reason}")]
    Assemble {
        /// What does not fit.
        reason: String,
    },
    /// The receipt does not prove what it should.
    #[error("the receipt does not verify: {reason}")]
    Invalid {
        /// What the verifier said.
        reason: String,
    },
    /// The receipt is of another proof system, or of a release that is another system.
    #[error(
        "the receipt is for verifiers with the parameters {actual}, but those of {system} are {expected}; verify it with the \
         release that made it",
        system = crate::zkvm()
    )]
    OtherSystem {
        /// The digest of this system's verifier parameters.
        expected: Digest,
        /// That in the receipt.
        actual: Digest,
    },
    /// The receipt is of another program.
    #[error("the receipt is of image id {actual}, expected {expected}")]
    WrongImage {
        /// The image id to verify against.
        expected: Digest,
        /// The image id in the receipt.
        actual: Digest,
    },
    /// The receipt proves an execution that did not end well.
    #[error("the receipt proves that the guest ended with {actual:?}, expected {expected:?}")]
    WrongExit {
        /// How the guest should have ended.
        expected: ExitCode,
        /// How it ended.
        actual: ExitCode,
    },
    /// The receipt is of a kind that nothing can be proved from.
    #[error("a {kind} receipt {obstacle}; {hint}")]
    WrongKind {
        /// What it is.
        kind: &'static str,
        /// Why that is of no use.
        obstacle: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read receipt {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write receipt {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is not a receipt of risc0-zkvm {version}: {reason}", version = crate::ZKVM_VERSION)]
    NotReceipt {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
}

/// What a receipt says, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptInfo<'r> {
    /// `composite`, `succinct`, `groth16`, or `fake` for one that proves nothing.
    pub kind: &'static str,
    /// The number of segment receipts in a composite receipt.
    pub segment_count: Option<usize>,
    /// The digest of the whole claim.
    pub claim_digest: Digest,
    /// The program that the claim starts from. Absent, like all below, when the claim is pruned.
    pub image_id: Option<Digest>,
    /// Digest of the state after the execution.
    pub post_state: Option<Digest>,
    /// How the guest ended.
    pub exit_code: Option<ExitCode>,
    /// Digest of journal and assumptions.
    pub output_digest: Option<Digest>,
    /// The journal beside the claim.
    pub journal: &'r [u8],
    /// The size of the proof.
    pub seal_bytes: usize,
    /// Of a Groth16 receipt, the proof as RISC Zero's contracts take it: four bytes that select the verifier, the first of the
    /// digest of its parameters, and the seal.
    pub onchain_seal: Option<Vec<u8>>,
}

/// Verifies that `receipt` proves a successful run of the program `image_id`: the stock
/// `receipt.verify(image_id)`, with reasons.
///
/// # Errors
/// [`ReceiptError::OtherSystem`], [`ReceiptError::WrongImage`], [`ReceiptError::WrongExit`] or [`ReceiptError::Invalid`].
pub fn verify_receipt(receipt: &Receipt, image_id: Digest) -> Result<(), ReceiptError> {
    let Err(error) = check(|| receipt.verify_with_context(&verifier_context(), image_id)) else {
        return Ok(());
    };
    // The stock verifier compares digests: say which part differs, if the receipt is sound otherwise.
    verify_outcome(receipt, image_id, ExitCode::Halted(0))?;
    Err(error)
}

/// Verifies that `receipt` proves a run of the program `image_id` that ended with `exit_code`.
///
/// # Errors
/// [`ReceiptError::OtherSystem`], [`ReceiptError::WrongImage`], [`ReceiptError::WrongExit`] or [`ReceiptError::Invalid`].
pub fn verify_outcome(
    receipt: &Receipt,
    image_id: Digest,
    exit_code: ExitCode,
) -> Result<(), ReceiptError> {
    if matches!(receipt.inner, InnerReceipt::Fake(_)) {
        let reason = "it is a fake receipt of development mode and proves nothing".into();
        return Err(ReceiptError::Invalid { reason });
    }
    check(|| receipt.verify_integrity_with_context(&verifier_context()))
        .map_err(|error| other_system(&receipt.inner).unwrap_or(error))?;
    let claim = check(|| receipt.claim())?;
    let claim = check(|| claim.as_value())?;
    let actual = claim.pre.digest::<Sha256>();
    if actual != image_id {
        return Err(ReceiptError::WrongImage { expected: image_id, actual });
    }
    if claim.exit_code != exit_code {
        return Err(ReceiptError::WrongExit { expected: exit_code, actual: claim.exit_code });
    }
    Ok(())
}

/// What a receipt is told apart by, should it not verify: what its bytes happen to decode to says nothing.
fn other_system(receipt: &InnerReceipt) -> Option<ReceiptError> {
    let context = verifier_context();
    let expected = match receipt {
        InnerReceipt::Composite(_) => context.composite_verifier_parameters()?.digest::<Sha256>(),
        InnerReceipt::Succinct(_) => context.succinct_verifier_parameters?.digest::<Sha256>(),
        InnerReceipt::Groth16(_) => context.groth16_verifier_parameters?.digest::<Sha256>(),
        _ => return None,
    };
    let actual = receipt.verifier_parameters();
    (actual != expected).then_some(ReceiptError::OtherSystem { expected, actual })
}

fn check<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, ReceiptError> {
    panic::catch(work)
        .map_err(|reason| ReceiptError::Invalid { reason })?
        .map_err(|error| ReceiptError::Invalid { reason: error.to_string() })
}

/// What `receipt` says, without verifying it.
///
/// # Errors
/// When its parts contradict each other so far that it makes no claim at all.
pub fn receipt_info(receipt: &Receipt) -> Result<ReceiptInfo<'_>, ReceiptError> {
    let segment_count = match &receipt.inner {
        InnerReceipt::Composite(composite) => Some(composite.segments.len()),
        _ => None,
    };
    let claim = check(|| receipt.claim())?;
    let value = claim.as_value().ok();
    Ok(ReceiptInfo {
        kind: kind_of(&receipt.inner),
        segment_count,
        claim_digest: claim.digest::<Sha256>(),
        image_id: value.map(|claim| claim.pre.digest::<Sha256>()),
        post_state: value.map(|claim| claim.post.digest::<Sha256>()),
        exit_code: value.map(|claim| claim.exit_code),
        output_digest: value.map(|claim| claim.output.digest::<Sha256>()),
        journal: &receipt.journal.bytes,
        seal_bytes: receipt.seal_size(),
        onchain_seal: match &receipt.inner {
            InnerReceipt::Groth16(groth16) => {
                let selector = &groth16.verifier_parameters.as_bytes()[..4];
                Some([selector, &groth16.seal].concat())
            }
            _ => None,
        },
    })
}

fn kind_of(receipt: &InnerReceipt) -> &'static str {
    match receipt {
        InnerReceipt::Composite(_) => "composite",
        InnerReceipt::Succinct(_) => "succinct",
        InnerReceipt::Groth16(_) => "groth16",
        InnerReceipt::Fake(_) => "fake",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
