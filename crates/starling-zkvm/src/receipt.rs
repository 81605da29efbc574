//! Receipts as the RISC Zero ecosystem knows them: assembled from accepted parts, checked, read, written.
//!
//! Whatever is assembled here is verified before it is returned: a receipt that fails then is a fault of
//! ours, and not to be delivered.

mod file;

use std::{io, path::PathBuf};

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use risc0_zkvm::{
    CompositeReceipt, Digest, ExitCode, InnerAssumptionReceipt, InnerReceipt, MaybePruned, Receipt,
    ReceiptClaim, SegmentReceipt, SuccinctReceipt,
};
use thiserror::Error;

pub use self::file::{RECEIPT_FILE_BYTES_MAX, read_receipt, write_receipt};
use crate::{Execution, panic, verify::verifier_context};

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
pub struct ReceiptInfo {
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
    pub journal: Vec<u8>,
    /// The size of the proof.
    pub seal_bytes: usize,
}

/// Makes a composite receipt of the receipts of all segments, in order.
///
/// # Errors
/// When a segment is missing or the result does not verify.
pub fn assemble_composite(
    mut segments: Vec<SegmentReceipt>,
    execution: &Execution,
) -> Result<Receipt, ReceiptError> {
    let assemble = |reason: String| ReceiptError::Assemble { reason };
    if segments.len() as u64 != u64::from(execution.segment_count) {
        let (have, need) = (segments.len(), execution.segment_count);
        return Err(assemble(format!("{have} segment receipts of {need}")));
    }
    if let Some(gap) = (0..).zip(&segments).find(|(index, receipt)| receipt.index != *index) {
        return Err(assemble(format!("receipt {} in place of segment {}", gap.1.index, gap.0)));
    }
    let last = segments.last_mut().ok_or_else(|| assemble("there are no segments".into()))?;
    let opened = opened_claim(execution)?;
    if last.claim.output.digest::<Sha256>() != opened.output.digest::<Sha256>() {
        return Err(assemble("the last segment commits to another output".into()));
    }
    last.claim.output = opened.output;

    // The type cannot be constructed elsewhere; its serialised form is these fields in this order.
    let parameters = verifier_context()
        .composite_verifier_parameters()
        .ok_or_else(|| assemble("the verifier has no parameters".into()))?
        .digest::<Sha256>();
    let fields = (segments, Vec::<InnerAssumptionReceipt>::new(), parameters);
    let bytes = bincode::serialize(&fields).map_err(|error| assemble(error.to_string()))?;
    drop(fields);
    let composite: CompositeReceipt =
        bincode::deserialize(&bytes).map_err(|error| assemble(error.to_string()))?;
    finish(InnerReceipt::Composite(composite), execution)
}

/// Makes a succinct receipt of the receipt that all joins end in.
///
/// # Errors
/// When the root claims something else than the execution, or does not verify.
pub fn assemble_succinct(
    mut root: SuccinctReceipt<ReceiptClaim>,
    execution: &Execution,
) -> Result<Receipt, ReceiptError> {
    let opened = opened_claim(execution)?;
    if root.claim.digest::<Sha256>() != opened.digest::<Sha256>() {
        let reason = "the root receipt claims something else than the execution".into();
        return Err(ReceiptError::Assemble { reason });
    }
    root.claim = MaybePruned::Value(opened);
    finish(InnerReceipt::Succinct(root), execution)
}

fn opened_claim(execution: &Execution) -> Result<ReceiptClaim, ReceiptError> {
    execution.claim.with_journal(&execution.journal).ok_or_else(|| ReceiptError::Assemble {
        reason: "the journal is not the one that the execution committed to".into(),
    })
}

fn finish(inner: InnerReceipt, execution: &Execution) -> Result<Receipt, ReceiptError> {
    let receipt = Receipt::new(inner, execution.journal.clone());
    verify_outcome(&receipt, execution.claim.image_id(), execution.exit_code)?;
    Ok(receipt)
}

/// Verifies that `receipt` proves a successful run of the program `image_id`: the stock
/// `receipt.verify(image_id)`, with reasons.
///
/// # Errors
/// [`ReceiptError::WrongImage`], [`ReceiptError::WrongExit`] or [`ReceiptError::Invalid`].
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
/// [`ReceiptError::WrongImage`], [`ReceiptError::WrongExit`] or [`ReceiptError::Invalid`].
pub fn verify_outcome(
    receipt: &Receipt,
    image_id: Digest,
    exit_code: ExitCode,
) -> Result<(), ReceiptError> {
    if matches!(receipt.inner, InnerReceipt::Fake(_)) {
        let reason = "it is a fake receipt of development mode and proves nothing".into();
        return Err(ReceiptError::Invalid { reason });
    }
    check(|| receipt.verify_integrity_with_context(&verifier_context()))?;
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

fn check<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, ReceiptError> {
    panic::catch(work)
        .map_err(|reason| ReceiptError::Invalid { reason })?
        .map_err(|error| ReceiptError::Invalid { reason: error.to_string() })
}

/// What `receipt` says, without verifying it.
///
/// # Errors
/// When its parts contradict each other so far that it makes no claim at all.
pub fn receipt_info(receipt: &Receipt) -> Result<ReceiptInfo, ReceiptError> {
    let (kind, segment_count) = match &receipt.inner {
        InnerReceipt::Composite(composite) => ("composite", Some(composite.segments.len())),
        InnerReceipt::Succinct(_) => ("succinct", None),
        InnerReceipt::Groth16(_) => ("groth16", None),
        InnerReceipt::Fake(_) => ("fake", None),
        _ => ("unknown", None),
    };
    let claim = check(|| receipt.claim())?;
    let value = claim.as_value().ok();
    Ok(ReceiptInfo {
        kind,
        segment_count,
        claim_digest: claim.digest::<Sha256>(),
        image_id: value.map(|claim| claim.pre.digest::<Sha256>()),
        post_state: value.map(|claim| claim.post.digest::<Sha256>()),
        exit_code: value.map(|claim| claim.exit_code),
        output_digest: value.map(|claim| claim.output.digest::<Sha256>()),
        journal: receipt.journal.bytes.clone(),
        seal_bytes: receipt.seal_size(),
    })
}

impl ReceiptInfo {
    /// The digest of the journal.
    pub fn journal_digest(&self) -> Digest {
        *Sha256::hash_bytes(&self.journal)
    }
}

#[cfg(test)]
mod tests;
