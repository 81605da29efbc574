#![allow(clippy::unwrap_used)]

use risc0_zkvm::ExitCode;
use starling_types::IndexRange;

use super::*;
use crate::testing::{
    damaged, forged_segment_receipt, forged_succinct_receipt, forged_work_receipt, split_claim,
    split_work,
};

fn join() -> TaskId {
    TaskId::Join(IndexRange::new(12, 14).unwrap())
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
    verify_task(task, blob, &Expected::Claim(split_claim())).unwrap_err().reason
}

#[test]
fn the_reason_names_task_field_and_both_values() {
    let other = SegmentClaim { post: Digest::from([0xc081_c081; 8]), ..split_claim() };
    let expected = Expected::Claim(split_claim());
    let refusal = verify_task(join(), &succinct_blob(other, vec![]), &expected).unwrap_err();
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
    assert!(reason.to_string().contains("its states pruned"), "{reason}");
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
        assert!(verify_task(join(), &damaged, &Expected::Claim(split_claim())).is_err());
    }
    for bytes in [&b""[..], b"STRL", b"hello", &[0; 1000]] {
        assert!(matches!(refusal(join(), bytes), RefusalReason::Malformed(_)));
    }
}

/// The claim of a last segment whose guest assumed something.
fn conditional() -> (SegmentClaim, OutputParts) {
    let assumed = AssumptionId { claim: Digest::from([5; 8]), control_root: Digest::ZERO };
    let output = OutputParts::new(b"journal", vec![assumed, assumed]);
    let claim = SegmentClaim {
        post: Digest::ZERO,
        exit_code: ExitCode::Halted(0),
        output: output.digest_after(0),
        ..split_claim()
    };
    (claim, output)
}

#[test]
fn an_output_must_be_open_to_its_last_assumption() {
    let (expected, parts) = conditional();
    let judged = |output: MaybePruned<Option<risc0_zkvm::Output>>| {
        let claim = ReceiptClaim { output, ..expected.to_receipt_claim() };
        let receipt = forged_succinct_receipt(MaybePruned::Value(claim), vec![]);
        let blob = codec::encode_succinct_receipt(&receipt).unwrap();
        verify_task(TaskId::Resolve(0), &blob, &Expected::Claim(expected)).unwrap_err().reason
    };
    let pruned = |reason: RefusalReason, what: &str| {
        assert_eq!(reason.to_string(), format!("receipt has its {what} pruned"));
    };
    pruned(judged(MaybePruned::Pruned(expected.output)), "output");

    let mut output = parts.to_output();
    output.assumptions = MaybePruned::Pruned(output.assumptions.digest::<Sha256>());
    pruned(judged(Some(output).into()), "assumptions");

    let mut output = parts.to_output();
    let last = &mut output.assumptions.as_value_mut().unwrap().0[1];
    *last = MaybePruned::Pruned(last.digest::<Sha256>());
    pruned(judged(Some(output).into()), "assumptions");

    let reason = judged(Some(parts.to_output()).into());
    assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");
}

#[test]
fn counted_work_is_compared_to_the_last_cycle() {
    let (claim, work) = (split_claim(), split_work());
    let judged = |sent: &Work| {
        let receipt = forged_work_receipt(&claim, sent, vec![]);
        let blob = codec::encode_work_receipt(&receipt).unwrap();
        verify_task(TaskId::Lift(3), &blob, &Expected::Work { claim, work }).unwrap_err().reason
    };
    let others = [
        Work { value: work.value + 1, ..work },
        Work { job: 43, ..work },
        Work { first: 2, ..work },
        Work { last: 4, ..work },
        Work { log_id: starling_types::WorkLogId([8; 20]), ..work },
    ];
    for other in others {
        match judged(&other) {
            RefusalReason::ClaimDiffers { field: ClaimField::Work, expected, actual } => {
                assert_eq!((expected, actual), (work.to_string(), other.to_string()));
            }
            reason => panic!("{reason}"),
        }
    }
    let reason = judged(&work);
    assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");
}

#[test]
fn a_receipt_with_and_one_without_counted_work_are_different_things() {
    let (claim, work) = (split_claim(), split_work());
    let counted = forged_work_receipt(&claim, &work, vec![]);
    let counted = codec::encode_work_receipt(&counted).unwrap();
    let reason = refusal(join(), &counted);
    assert_eq!(reason.to_string(), "work receipt sent, succinct receipt needed");
    let expected = Expected::Work { claim, work };
    let reason = verify_task(join(), &succinct_blob(claim, vec![]), &expected).unwrap_err().reason;
    assert!(matches!(reason, RefusalReason::WrongKind { .. }), "{reason}");
}

#[test]
fn the_receipt_of_an_assumption_must_be_of_its_claim_and_its_programs() {
    let claim = split_claim().digest();
    let receipt =
        forged_succinct_receipt(MaybePruned::Value(split_claim().to_receipt_claim()), vec![]);
    let blob = codec::encode_assumption_receipt(&receipt.into_unknown()).unwrap();
    let judged = |id| {
        let expected = Expected::Assumption(id);
        verify_task(TaskId::Keccak(0), &blob, &expected).unwrap_err().reason
    };
    let other = Digest::from([9; 8]);
    match judged(AssumptionId::of_receipt(other)) {
        RefusalReason::ClaimDiffers { field, .. } => assert_eq!(field, ClaimField::Assumption),
        reason => panic!("{reason}"),
    }
    let reason = judged(AssumptionId { claim, control_root: other });
    assert!(reason.to_string().contains("verifier parameters"), "{reason}");
    let reason = judged(AssumptionId::of_receipt(claim));
    assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");
}
