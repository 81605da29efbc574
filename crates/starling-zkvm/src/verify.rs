//! Judging receipts of strangers: nothing they say is believed.
//!
//! A receipt counts when it decodes within its size limit, is of the kind that the task asks for, claims
//! exactly what the client's own execution implies for the task's segments, and its seal verifies under
//! the stock verifier. A valid proof of another claim is refused like a forged one: it is the wrong work.

use std::fmt;

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{
    Digest, MaybePruned, ReceiptClaim, SegmentReceipt, SegmentReceiptVerifierParameters,
    SuccinctReceipt, VerifierContext,
};
use starling_types::TaskId;
use thiserror::Error;

use crate::{BlobKind, CodecError, SegmentClaim, codec, panic};

/// The only hash function that recursion proves.
const HASHFN: &str = "poseidon2";

/// Hex digits of a digest in a sentence: enough to find it in a log.
const SHORT_HEX_DIGITS: usize = 8;

/// A receipt that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{task} rejected: {reason}")]
pub struct Refusal {
    /// The task whose receipt it should have been.
    pub task: TaskId,
    /// What is wrong with it.
    pub reason: RefusalReason,
}

/// What is wrong with a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RefusalReason {
    /// The bytes are no receipt, or one that is not written as a prover writes it.
    #[error("{0}")]
    Malformed(String),
    /// A receipt, or a segment, of another kind than the task asks for.
    #[error("a {found} was sent, a {expected} is needed")]
    WrongKind {
        /// What the task asks for.
        expected: BlobKind,
        /// What was sent.
        found: BlobKind,
    },
    /// The receipt of another segment.
    #[error("receipt is of segment {actual}, expected {expected}")]
    IndexDiffers {
        /// The task's segment.
        expected: u32,
        /// The segment that the receipt names.
        actual: u32,
    },
    /// The receipt proves something, but not what the task is about.
    #[error("receipt {field} {actual}, expected {expected}")]
    ClaimDiffers {
        /// The part of the claim that differs first.
        field: ClaimField,
        /// What the client's execution implies.
        expected: String,
        /// What the receipt claims.
        actual: String,
    },
    /// The seal does not prove the claim.
    #[error("seal does not verify: {0}")]
    SealInvalid(String),
}

/// A part of a claim; `Display` completes the sentence "receipt ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimField {
    /// The memory before.
    Pre,
    /// The memory after.
    Post,
    /// How the execution ended.
    ExitCode,
    /// The input.
    Input,
    /// Journal and assumptions.
    Output,
}

impl fmt::Display for ClaimField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pre => "starts at pre-state",
            Self::Post => "ends at post-state",
            Self::ExitCode => "ends with exit code",
            Self::Input => "is bound to input",
            Self::Output => "commits to output",
        })
    }
}

/// The stock verifier's context, development mode off whatever the environment says.
pub(crate) fn verifier_context() -> VerifierContext {
    VerifierContext::default().with_dev_mode(false)
}

/// Judges the blob that was sent as the receipt of `task`, which must claim `expected`.
///
/// Cheap checks come first, the seal last: tens of milliseconds of one core. Call it off the event loop.
///
/// # Errors
/// [`Refusal`], always the sender's fault. No bytes make this panic.
pub fn verify_task(task: TaskId, blob: &[u8], expected: &SegmentClaim) -> Result<(), Refusal> {
    judge(task, blob, expected).map_err(|reason| Refusal { task, reason })
}

fn judge(task: TaskId, blob: &[u8], expected: &SegmentClaim) -> Result<(), RefusalReason> {
    match task {
        TaskId::Prove(index) => {
            let receipt = codec::decode_segment_receipt(blob)?;
            if receipt.index != index {
                return Err(RefusalReason::IndexDiffers { expected: index, actual: receipt.index });
            }
            judge_segment(&receipt, expected)
        }
        TaskId::Lift(_) | TaskId::Join(_) => {
            judge_succinct(&codec::decode_succinct_receipt(blob)?, expected)
        }
    }
}

fn judge_segment(receipt: &SegmentReceipt, expected: &SegmentClaim) -> Result<(), RefusalReason> {
    check_hashfn(&receipt.hashfn)?;
    // The verifier ignores these, but they end up in the delivered receipt.
    let parameters = SegmentReceiptVerifierParameters::default().digest::<Sha256>();
    check_parameters(receipt.verifier_parameters, parameters)?;
    check_claim(&receipt.claim, expected)?;
    check_seal(|| receipt.verify_integrity_with_context(&verifier_context()))
}

fn judge_succinct(
    receipt: &SuccinctReceipt<ReceiptClaim>,
    expected: &SegmentClaim,
) -> Result<(), RefusalReason> {
    check_hashfn(&receipt.hashfn)?;
    // The next join needs the claim itself, not its digest.
    let MaybePruned::Value(claim) = &receipt.claim else {
        return Err(RefusalReason::Malformed("receipt has its claim pruned".into()));
    };
    check_claim(claim, expected)?;
    check_seal(|| receipt.verify_integrity_with_context(&verifier_context()))
}

fn check_hashfn(hashfn: &str) -> Result<(), RefusalReason> {
    if hashfn == HASHFN {
        return Ok(());
    }
    let shown: String = hashfn.chars().take(20).collect();
    Err(RefusalReason::Malformed(format!(
        "receipt uses hash function {shown:?}, expected {HASHFN}"
    )))
}

fn check_parameters(actual: Digest, expected: Digest) -> Result<(), RefusalReason> {
    if actual == expected {
        return Ok(());
    }
    let (actual, expected) = (short(actual), short(expected));
    Err(RefusalReason::Malformed(format!(
        "receipt names verifier parameters {actual}, expected {expected}"
    )))
}

fn check_seal<E: fmt::Display>(
    verify: impl FnOnce() -> Result<(), E>,
) -> Result<(), RefusalReason> {
    match panic::catch(verify) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(RefusalReason::SealInvalid(error.to_string())),
        // The verifier indexes into seals before it knows how long they are.
        Err(message) => Err(RefusalReason::SealInvalid(message)),
    }
}

/// Compares field by field, so that the reason says what the receipt is of.
fn check_claim(claim: &ReceiptClaim, expected: &SegmentClaim) -> Result<(), RefusalReason> {
    let wanted = expected.to_receipt_claim();
    if claim.exit_code != expected.exit_code {
        return Err(RefusalReason::ClaimDiffers {
            field: ClaimField::ExitCode,
            expected: format!("{:?}", expected.exit_code),
            actual: format!("{:?}", claim.exit_code),
        });
    }
    let (Ok(pre), Ok(post)) = (claim.pre.as_value(), claim.post.as_value()) else {
        return Err(RefusalReason::Malformed("receipt has its states pruned".into()));
    };
    let fields = [
        (ClaimField::Pre, pre.merkle_root, expected.pre),
        (ClaimField::Post, post.merkle_root, expected.post),
        (ClaimField::Input, claim.input.digest::<Sha256>(), expected.input),
        (ClaimField::Output, claim.output.digest::<Sha256>(), expected.output),
    ];
    for (field, actual, expected) in fields {
        if actual != expected {
            let (expected, actual) = (short(expected), short(actual));
            return Err(RefusalReason::ClaimDiffers { field, expected, actual });
        }
    }
    // What the fields above leave out (a state's program counter) is in the digest.
    let (actual, expected) = (claim.digest::<Sha256>(), wanted.digest::<Sha256>());
    if actual != expected {
        return Err(RefusalReason::Malformed(format!(
            "receipt claims {}, expected {}, though states, exit code and output agree",
            short(actual),
            short(expected)
        )));
    }
    Ok(())
}

/// A digest for a sentence.
fn short(digest: Digest) -> String {
    let digits = hex::encode(digest.as_bytes());
    format!("{}…", &digits[..SHORT_HEX_DIGITS])
}

impl From<CodecError> for RefusalReason {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::WrongKind { expected, found } => Self::WrongKind { expected, found },
            other => Self::Malformed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
