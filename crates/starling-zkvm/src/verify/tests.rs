#![allow(clippy::unwrap_used)]

use risc0_zkvm::ExitCode;
use starling_types::SegmentRange;

use super::*;
use crate::testing::{damaged, forged_segment_receipt, forged_succinct_receipt, split_claim};

fn join() -> TaskId {
    TaskId::Join(SegmentRange::new(12, 14).unwrap())
}

fn succinct_blob(claim: SegmentClaim, seal: Vec<u32>) -> Vec<u8> {
    let claim = MaybePruned::Value(claim.to_receipt_claim());
    codec::encode_succinct_receipt(&forged_succinct_receipt(claim, seal)).unwrap()
}

fn segment_blob(index: u32, claim: SegmentClaim, seal: Vec<u32>) -> Vec<u8> {
    let receipt = forged_segment_receipt(index, claim.to_receipt_claim(), seal);
    codec::encode_segment_receipt(&receipt).unwrap()
}

fn refusal(task: TaskId, blob: &[u8]) -> RefusalReason {
    verify_task(task, blob, &split_claim()).unwrap_err().reason
}

#[test]
fn the_reason_names_task_field_and_both_values() {
    let other = SegmentClaim { post: Digest::from([0xc081_c081; 8]), ..split_claim() };
    let refusal = verify_task(join(), &succinct_blob(other, vec![]), &split_claim()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "join/12..14 rejected: receipt ends at post-state 81c081c0…, expected 02000000…"
    );
}

#[test]
fn a_claim_that_differs_in_any_field_is_refused_by_that_field() {
    let claim = split_claim();
    let other = Digest::from([9; 8]);
    let cases = [
        (SegmentClaim { pre: other, ..claim }, ClaimField::Pre),
        (SegmentClaim { post: other, ..claim }, ClaimField::Post),
        (SegmentClaim { exit_code: ExitCode::Halted(0), ..claim }, ClaimField::ExitCode),
        (SegmentClaim { input: other, ..claim }, ClaimField::Input),
        (SegmentClaim { output: other, ..claim }, ClaimField::Output),
    ];
    for (wrong, wanted) in cases {
        for blob_and_task in [
            (succinct_blob(wrong, vec![]), join()),
            (segment_blob(4, wrong, vec![]), TaskId::Prove(4)),
        ] {
            match refusal(blob_and_task.1, &blob_and_task.0) {
                RefusalReason::ClaimDiffers { field, .. } => assert_eq!(field, wanted),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn the_right_claim_under_a_forged_seal_is_refused() {
    // Empty and short seals make the stock verifier index out of bounds.
    for words in [0, 1, 2, 89, 90, 91, 200, 5000, 60_000] {
        for word in [0, 1, 2, 14, 24, 25, u32::MAX] {
            let seal = vec![word; words];
            let reason = refusal(join(), &succinct_blob(split_claim(), seal.clone()));
            assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");
            let reason = refusal(TaskId::Prove(4), &segment_blob(4, split_claim(), seal));
            assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");
        }
    }
}

#[test]
fn a_receipt_of_another_segment_or_kind_is_refused() {
    let reason = refusal(TaskId::Prove(4), &segment_blob(5, split_claim(), vec![]));
    assert_eq!(reason, RefusalReason::IndexDiffers { expected: 4, actual: 5 });
    let reason = refusal(TaskId::Lift(4), &segment_blob(4, split_claim(), vec![]));
    assert!(matches!(reason, RefusalReason::WrongKind { .. }), "{reason}");
    let reason = refusal(TaskId::Prove(4), &succinct_blob(split_claim(), vec![]));
    assert!(matches!(reason, RefusalReason::WrongKind { .. }), "{reason}");
}

#[test]
fn a_pruned_claim_is_refused_since_it_cannot_be_joined() {
    let pruned = MaybePruned::Pruned(split_claim().digest());
    let receipt = forged_succinct_receipt(pruned, vec![]);
    let reason = refusal(join(), &codec::encode_succinct_receipt(&receipt).unwrap());
    assert!(reason.to_string().contains("claim pruned"), "{reason}");

    let mut claim = split_claim().to_receipt_claim();
    claim.post = MaybePruned::Pruned(claim.post.digest::<Sha256>());
    let receipt = forged_succinct_receipt(MaybePruned::Value(claim), vec![]);
    let reason = refusal(join(), &codec::encode_succinct_receipt(&receipt).unwrap());
    assert!(reason.to_string().contains("states pruned"), "{reason}");
}

#[test]
fn a_receipt_of_another_hash_function_or_circuit_is_refused() {
    let claim = MaybePruned::Value(split_claim().to_receipt_claim());
    let mut receipt = forged_succinct_receipt(claim, vec![]);
    receipt.hashfn = "sha-256".into();
    let reason = refusal(join(), &codec::encode_succinct_receipt(&receipt).unwrap());
    assert!(reason.to_string().contains("hash function \"sha-256\""), "{reason}");

    receipt.hashfn = HASHFN.into();
    receipt.verifier_parameters = Digest::ZERO;
    let reason = refusal(join(), &codec::encode_succinct_receipt(&receipt).unwrap());
    assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");

    let mut receipt = forged_segment_receipt(4, split_claim().to_receipt_claim(), vec![]);
    receipt.verifier_parameters = Digest::ZERO;
    let blob = codec::encode_segment_receipt(&receipt).unwrap();
    let reason = refusal(TaskId::Prove(4), &blob);
    assert!(reason.to_string().contains("verifier parameters"), "{reason}");
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let blob = succinct_blob(split_claim(), (0..3000).collect());
    for damaged in damaged(&blob, 100, 500) {
        assert!(verify_task(join(), &damaged, &split_claim()).is_err());
    }
    for bytes in [&b""[..], b"STRL", b"hello", &[0; 1000]] {
        assert!(matches!(refusal(join(), bytes), RefusalReason::Malformed(_)));
    }
}
