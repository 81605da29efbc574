//! Judging receipts of strangers: whatever they send for a task, nothing counts that was not proved.

use starling_types::{IndexRange, TaskId};
use starling_zkvm::{
    BlobKind, Expected,
    codec::{
        encode_assumption_receipt, encode_segment_receipt, encode_succinct_receipt,
        encode_work_receipt,
    },
};

use crate::{
    check_error,
    forged::{
        SEGMENT_INDEX, assumption, assumption_receipt, claim, fold, seal, segment_receipt,
        succinct_receipt, work, work_receipt,
    },
};

/// Bytes as they are for every kind of task, and receipts that say everything right and lack the proof: of a segment, of
/// segments joined, with their work counted, and of an assumption.
pub(crate) fn verify_task(bytes: &[u8]) {
    let range = IndexRange::new(12, 14).expect("it is not empty");
    let (prove, lift) = (TaskId::Prove(SEGMENT_INDEX), TaskId::Lift(SEGMENT_INDEX));
    let (join, resolve, union) = (TaskId::Join(range), TaskId::Resolve(0), TaskId::Union(range));
    let plain = Expected::Claim(claim());
    let counted = Expected::Work { claim: claim(), work: work() };
    let assumed = Expected::Assumption(assumption());
    for (task, expected) in [
        (prove, &plain),
        (prove, &counted),
        (lift, &plain),
        (join, &plain),
        (resolve, &counted),
        (union, &assumed),
    ] {
        check_refused(task, bytes, expected);
    }
    check_refused(prove, &fold(BlobKind::SegmentReceipt, bytes), &plain);
    check_refused(join, &fold(BlobKind::SuccinctReceipt, bytes), &plain);
    check_refused(join, &fold(BlobKind::WorkReceipt, bytes), &counted);
    check_refused(union, &fold(BlobKind::AssumptionReceipt, bytes), &assumed);

    let encoded = encode_segment_receipt(&segment_receipt(seal(bytes)));
    let encoded = encoded.expect("the seal is within the limits");
    check_refused(prove, &encoded, &plain);
    check_refused(prove, &encoded, &counted);
    let encoded = encode_succinct_receipt(&succinct_receipt(seal(bytes)));
    check_refused(lift, &encoded.expect("the seal is within the limits"), &plain);
    let encoded = encode_work_receipt(&work_receipt(seal(bytes)));
    check_refused(resolve, &encoded.expect("the seal is within the limits"), &counted);
    let encoded = encode_assumption_receipt(&assumption_receipt(seal(bytes)));
    check_refused(union, &encoded.expect("the seal is within the limits"), &assumed);
}

fn check_refused(task: TaskId, blob: &[u8], expected: &Expected) {
    match starling_zkvm::verify_task(task, blob, expected) {
        Ok(()) => panic!("{task} counts, though nobody proved it"),
        Err(refusal) => check_error(&refusal),
    }
}
