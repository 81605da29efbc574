//! Accepted receipts become what a job delivers, and the stock verifier accepts it before anyone else sees it: a
//! receipt that fails then is a fault of ours.
//!
//! Claims are opened as RISC Zero's prover opens them. An execution is taken whole: its journal may have 100 MiB, and
//! moves into the receipt.

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{
    CompositeReceipt, GenericReceipt, InnerAssumptionReceipt, InnerReceipt, MaybePruned, Receipt,
    ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown, WorkClaim,
};

use super::{ReceiptError, check, verify_outcome};
use crate::{Execution, SegmentClaim, Work, WorkReceipt, verify::verifier_context};

/// Makes a composite receipt of the receipts of all segments and of all that the guest assumed, in order.
///
/// # Errors
/// When a part is missing or the result does not verify.
pub fn assemble_composite(
    mut segments: Vec<SegmentReceipt>,
    assumptions: Vec<SuccinctReceipt<Unknown>>,
    execution: Execution,
) -> Result<Receipt, ReceiptError> {
    if segments.len() as u64 != u64::from(execution.segment_count) {
        let (have, need) = (segments.len(), execution.segment_count);
        return Err(assemble(format!("{have} segment receipts of {need}")));
    }
    if let Some(gap) = (0..).zip(&segments).find(|(index, receipt)| receipt.index != *index) {
        return Err(assemble(format!("receipt {} in place of segment {}", gap.1.index, gap.0)));
    }
    let (have, need) = (assumptions.len(), execution.assumptions().len());
    if have != need {
        return Err(assemble(format!("{have} receipts of {need} assumptions")));
    }
    let last = segments.last_mut().ok_or_else(|| assemble("there are no segments".into()))?;
    let opened = execution.claim.opened(&execution.journal, execution.assumptions());
    let opened = opened.ok_or_else(other_journal)?;
    if last.claim.output.digest::<Sha256>() != opened.output.digest::<Sha256>() {
        return Err(assemble("the last segment commits to another output".into()));
    }
    last.claim.output = opened.output;

    // The type cannot be constructed elsewhere; its serialised form is these fields in this order.
    let parameters = verifier_context()
        .composite_verifier_parameters()
        .ok_or_else(|| assemble("the verifier has no parameters".into()))?
        .digest::<Sha256>();
    let assumptions: Vec<_> =
        assumptions.into_iter().map(InnerAssumptionReceipt::Succinct).collect();
    let fields = (segments, assumptions, parameters);
    let bytes = bincode::serialize(&fields).map_err(|error| assemble(error.to_string()))?;
    drop(fields);
    let composite: CompositeReceipt =
        bincode::deserialize(&bytes).map_err(|error| assemble(error.to_string()))?;
    finish(InnerReceipt::Composite(composite), execution)
}

/// Makes a succinct receipt of the receipt that all joins and resolves end in.
///
/// # Errors
/// When the root claims something else than the execution, or does not verify.
pub fn assemble_succinct(
    mut root: SuccinctReceipt<ReceiptClaim>,
    execution: Execution,
) -> Result<Receipt, ReceiptError> {
    let opened = opened_claim(&execution)?;
    if root.claim.digest::<Sha256>() != opened.digest::<Sha256>() {
        return Err(assemble("the root receipt claims something else than the execution".into()));
    }
    root.claim = MaybePruned::Value(opened);
    finish(InnerReceipt::Succinct(root), execution)
}

/// Makes the file that RISC Zero's tools read as a work receipt: the bincode of a
/// [`GenericReceipt`] of [`WorkClaim`].
///
/// # Errors
/// When the root claims something else than the execution or counts other work, or does not verify.
pub fn assemble_work(
    mut root: WorkReceipt,
    execution: &Execution,
    work: &Work,
) -> Result<Vec<u8>, ReceiptError> {
    let opened = opened_claim(execution)?;
    let claim = WorkClaim { claim: opened.into(), work: work.to_stock().into() };
    if root.claim.digest::<Sha256>() != claim.digest::<Sha256>() {
        return Err(assemble(
            "the work receipt claims something else than the execution and its work".into(),
        ));
    }
    root.claim = MaybePruned::Value(claim);
    check(|| root.verify_integrity_with_context(&verifier_context()))?;
    bincode::serialize(&GenericReceipt::Succinct(root)).map_err(|error| assemble(error.to_string()))
}

fn opened_claim(execution: &Execution) -> Result<ReceiptClaim, ReceiptError> {
    execution.resolved_claim().with_journal(&execution.journal).ok_or_else(other_journal)
}

fn finish(inner: InnerReceipt, execution: Execution) -> Result<Receipt, ReceiptError> {
    let Execution { exit_code, journal, claim, .. } = execution;
    let receipt = Receipt::new(inner, journal);
    verify_outcome(&receipt, SegmentClaim::image_id(&claim), exit_code)?;
    Ok(receipt)
}

fn other_journal() -> ReceiptError {
    assemble("the journal is not the one that the execution committed to".into())
}

fn assemble(reason: String) -> ReceiptError {
    ReceiptError::Assemble { reason }
}
