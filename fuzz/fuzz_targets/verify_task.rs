//! Judging receipts of strangers: whatever they send for a task, nothing counts that was not proved.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_fuzz::{
    check_error,
    zkvm::{SEGMENT_INDEX, claim, fold, seal, segment_receipt, succinct_receipt},
};
use starling_types::{SegmentRange, TaskId};
use starling_zkvm::{
    BlobKind,
    codec::{encode_segment_receipt, encode_succinct_receipt},
    verify_task,
};

fuzz_target!(|bytes: &[u8]| {
    let range = SegmentRange::new(12, 14).expect("it is not empty");
    let tasks = [TaskId::Prove(SEGMENT_INDEX), TaskId::Lift(SEGMENT_INDEX), TaskId::Join(range)];
    for task in tasks {
        check_refused(task, bytes);
    }
    let [prove, lift, join] = tasks;
    check_refused(prove, &fold(BlobKind::SegmentReceipt, bytes));
    check_refused(join, &fold(BlobKind::SuccinctReceipt, bytes));

    let encoded = encode_segment_receipt(&segment_receipt(seal(bytes)));
    check_refused(prove, &encoded.expect("the seal is within the limits"));
    let encoded = encode_succinct_receipt(&succinct_receipt(seal(bytes)));
    check_refused(lift, &encoded.expect("the seal is within the limits"));
});

fn check_refused(task: TaskId, blob: &[u8]) {
    match verify_task(task, blob, &claim()) {
        Ok(()) => panic!("{task} counts, though nobody proved it"),
        Err(refusal) => check_error(&refusal),
    }
}
