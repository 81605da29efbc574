//! Judging receipts of strangers: nothing they say is believed.
//!
//! A receipt counts when it decodes within its size limit, is of the kind that is expected, claims exactly what
//! the client's own execution implies for the task, opens of its claim what later tasks need, and its seal verifies
//! under the stock verifier. A valid proof of another claim is refused like a forged one: it is the wrong work.

use std::fmt;

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{
    Digest, MaybePruned, ReceiptClaim, SegmentReceipt, SegmentReceiptVerifierParameters,
    SuccinctReceipt, SuccinctReceiptVerifierParameters, Unknown, VerifierContext,
};
use starling_types::TaskId;
use thiserror::Error;

use crate::{
    AssumptionId, BlobKind, CodecError, OutputParts, SegmentClaim, Work, WorkReceipt, codec, panic,
};

/// The only hash function that recursion proves.
const HASHFN: &str = "poseidon2";

/// The depth of the tree of programs that are allowed: what recursion programs read of a receipt.
pub(crate) const INCLUSION_DIGESTS: usize = 8;

/// Hex digits of a digest in a sentence: enough to find it in a log.
const SHORT_HEX_DIGITS: usize = 8;

/// What a task's receipt must be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// These segments: the claim of a segment receipt or of a succinct one, as the task asks for.
    Claim(SegmentClaim),
    /// The same with its work counted.
    Work {
        /// What is claimed of the segments.
        claim: SegmentClaim,
        /// What is counted for them.
        work: Work,
    },
    /// A keccak proof or a union.
    Assumption(AssumptionId),
}

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
    /// The bytes are not a receipt, or not one as a prover writes it.
    #[error("{0}")]
    Malformed(String),
    /// A receipt, or a segment, of another kind than the task asks for.
    #[error("{found} sent, {expected} needed")]
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
    /// The counted work.
    Work,
    /// What a keccak proof or a union proves.
    Assumption,
}

impl fmt::Display for ClaimField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pre => "starts at pre-state",
            Self::Post => "ends at post-state",
            Self::ExitCode => "ends with exit code",
            Self::Input => "is bound to input",
            Self::Output => "commits to output",
            Self::Work => "counts work of",
            Self::Assumption => "proves the assumption",
        })
    }
}

/// The stock verifier's context, development mode off whatever the environment says.
pub fn verifier_context() -> VerifierContext {
    VerifierContext::default().with_dev_mode(false)
}

/// The context for a receipt from the programs under `control_root`, and from no others.
pub fn assumption_context(control_root: Digest) -> VerifierContext {
    VerifierContext::empty()
        .with_dev_mode(false)
        .with_suites(VerifierContext::default_hash_suites())
        .with_succinct_verifier_parameters(parameters_of(control_root))
}

fn parameters_of(control_root: Digest) -> SuccinctReceiptVerifierParameters {
    SuccinctReceiptVerifierParameters { control_root, ..Default::default() }
}

/// Judges the blob that was sent as the receipt of `task`, which must be about `expected`.
///
/// Cheap checks come first, the seal last: tens of milliseconds of one core. Call it off the event loop.
///
/// # Errors
/// [`Refusal`], always the sender's fault. No bytes make this panic.
pub fn verify_task(task: TaskId, blob: &[u8], expected: &Expected) -> Result<(), Refusal> {
    judge(task, blob, expected).map_err(|reason| Refusal { task, reason })
}

fn judge(task: TaskId, blob: &[u8], expected: &Expected) -> Result<(), RefusalReason> {
    match (task, expected) {
        (TaskId::Prove(index), Expected::Claim(claim)) => {
            judge_segment(&codec::decode_segment_receipt(blob)?, index, claim, None)
        }
        (TaskId::Prove(index), Expected::Work { claim, work }) => {
            judge_segment(&codec::decode_segment_receipt(blob)?, index, claim, Some(work))
        }
        (_, Expected::Claim(claim)) => {
            judge_succinct(&codec::decode_succinct_receipt(blob)?, claim)
        }
        (_, Expected::Work { claim, work }) => {
            judge_work(&codec::decode_work_receipt(blob)?, claim, work)
        }
        (_, Expected::Assumption(id)) => {
            judge_assumption(&codec::decode_assumption_receipt(blob)?, id)
        }
    }
}

fn judge_segment(
    receipt: &SegmentReceipt,
    index: u32,
    expected: &SegmentClaim,
    work: Option<&Work>,
) -> Result<(), RefusalReason> {
    if receipt.index != index {
        return Err(RefusalReason::IndexDiffers { expected: index, actual: receipt.index });
    }
    check_hashfn(&receipt.hashfn)?;
    // The verifier ignores these, but they end up in the delivered receipt.
    let parameters = SegmentReceiptVerifierParameters::default().digest::<Sha256>();
    check_parameters(receipt.verifier_parameters, parameters)?;
    check_claim(&receipt.claim, expected)?;
    check_seal(|| receipt.verify_integrity_with_context(&verifier_context()))?;
    // A segment's work is counted when it is lifted, for whom its seal says.
    if let Some(work) = work {
        let nonce = panic::catch(|| receipt.povw_nonce())
            .map_err(RefusalReason::SealInvalid)?
            .map_err(|error| RefusalReason::SealInvalid(format!("{error:#}")))?;
        let stock = work.to_stock();
        check_work(&risc0_zkvm::Work { nonce_min: nonce, nonce_max: nonce, ..stock }, work)?;
    }
    Ok(())
}

fn judge_succinct(
    receipt: &SuccinctReceipt<ReceiptClaim>,
    expected: &SegmentClaim,
) -> Result<(), RefusalReason> {
    check_hashfn(&receipt.hashfn)?;
    check_claim(open(&receipt.claim, "its claim")?, expected)?;
    check_seal(|| receipt.verify_integrity_with_context(&verifier_context()))?;
    check_inclusion(receipt)
}

fn judge_work(
    receipt: &WorkReceipt,
    expected: &SegmentClaim,
    work: &Work,
) -> Result<(), RefusalReason> {
    check_hashfn(&receipt.hashfn)?;
    let claim = open(&receipt.claim, "its claim")?;
    check_claim(open(&claim.claim, "its claim")?, expected)?;
    check_work(open(&claim.work, "its work")?, work)?;
    check_seal(|| receipt.verify_integrity_with_context(&verifier_context()))?;
    check_inclusion(receipt)
}

fn judge_assumption(
    receipt: &SuccinctReceipt<Unknown>,
    expected: &AssumptionId,
) -> Result<(), RefusalReason> {
    check_hashfn(&receipt.hashfn)?;
    let (actual, expected_claim) = (receipt.claim.digest::<Sha256>(), expected.claim);
    if actual != expected_claim {
        return Err(RefusalReason::ClaimDiffers {
            field: ClaimField::Assumption,
            expected: short(expected_claim),
            actual: short(actual),
        });
    }
    let parameters = parameters_of(expected.control_root).digest::<Sha256>();
    check_parameters(receipt.verifier_parameters, parameters)?;
    let context = assumption_context(expected.control_root);
    check_seal(|| receipt.verify_integrity_with_context(&context))?;
    check_inclusion(receipt)
}

/// That the way to the receipt's program in the tree of those that are allowed is written as a prover writes it. The
/// verifier reads as many bits of the index as there are digests, and a program that the receipt is joined by takes all of it as
/// an element of the field: with more bits it would verify, and nothing could be made of it.
fn check_inclusion<Claim>(receipt: &SuccinctReceipt<Claim>) -> Result<(), RefusalReason> {
    let proof = &receipt.control_inclusion_proof;
    if proof.digests.len() == INCLUSION_DIGESTS && proof.index < 1 << INCLUSION_DIGESTS {
        return Ok(());
    }
    Err(RefusalReason::Malformed(format!(
        "receipt shows its program at place {} in {} steps, expected one below {} in {INCLUSION_DIGESTS}",
        proof.index,
        proof.digests.len(),
        1 << INCLUSION_DIGESTS,
    )))
}

/// What the next task needs as it is, not as its digest.
fn open<'a, T>(part: &'a MaybePruned<T>, what: &str) -> Result<&'a T, RefusalReason> {
    part.as_value().map_err(|_| RefusalReason::Malformed(format!("receipt has {what} pruned")))
}

fn check_work(actual: &risc0_zkvm::Work, expected: &Work) -> Result<(), RefusalReason> {
    if *actual == expected.to_stock() {
        return Ok(());
    }
    let shown = |work: &risc0_zkvm::Work| match Work::of_stock(work) {
        Some(work) => work.to_string(),
        None => "more than one job".into(),
    };
    Err(RefusalReason::ClaimDiffers {
        field: ClaimField::Work,
        expected: expected.to_string(),
        actual: shown(actual),
    })
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
    if expected.output != Digest::ZERO {
        // The next resolve takes the first assumption from the list, and a delivered receipt shows the output.
        let output = open(&claim.output, "its output")?.as_ref().and_then(OutputParts::of);
        output
            .ok_or_else(|| RefusalReason::Malformed("receipt has its assumptions pruned".into()))?;
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
