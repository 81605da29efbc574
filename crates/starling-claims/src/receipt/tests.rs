#![allow(clippy::unwrap_used)]

use std::path::Path;

use risc0_zkvm::{FakeReceipt, InnerAssumptionReceipt, MaybePruned, ReceiptClaim, SegmentReceipt};

use super::{file::decode_receipt, *};
use crate::{
    Execution,
    testing::{
        damaged, forged_segment_receipt, forged_succinct_receipt, forged_work_receipt, split_claim,
        split_work,
    },
};

fn fake() -> Receipt {
    let claim = ReceiptClaim::ok(Digest::from([5; 8]), b"journal".to_vec());
    Receipt::new(InnerReceipt::Fake(FakeReceipt::new(claim)), b"journal".to_vec())
}

fn execution() -> Execution {
    Execution {
        exit_code: ExitCode::SystemSplit,
        journal: Vec::new(),
        output: None,
        segment_count: 2,
        user_cycles: 1,
        total_cycles: 1,
        claim: split_claim(),
    }
}

fn decoded(bytes: &[u8]) -> Result<Receipt, String> {
    decode_receipt(bytes, bytes.len() as u64)
}

#[test]
fn a_receipt_file_is_the_bincode_that_other_tools_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.bin");
    write_receipt(&path, &fake()).unwrap();
    let other_tool: Receipt = bincode::deserialize(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(other_tool.journal, fake().journal);
    assert_eq!(receipt_info(&read_receipt(&path).unwrap()).unwrap().kind, "fake");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn a_file_that_is_no_receipt_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.bin");
    assert!(matches!(read_receipt(&path), Err(ReceiptError::Read { .. })));
    write_receipt(&path, &fake()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for damaged in damaged(&bytes, bytes.len(), 300) {
        let _ = decoded(&damaged);
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let error = read_receipt(&path).unwrap_err().to_string();
    assert!(error.contains("receipt.bin is not a receipt of risc0-zkvm"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_receipt_is_known_by_its_size_and_its_first_bytes_however_large_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    // A hole: nothing of it is on the disk.
    let file = std::fs::File::create(&path).unwrap();
    for (size_bytes, reason) in
        [(50 << 30, "it has more than 4294967296 bytes"), (3 << 30, "more bytes follow it")]
    {
        file.set_len(size_bytes).unwrap();
        let error = read_receipt(&path).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
    std::fs::write(&path, [4, 0, 0, 0, 1]).unwrap();
    let error = read_receipt(&path).unwrap_err().to_string();
    assert!(error.ends_with("it does not begin like one"), "{error}");
    // An end that never comes.
    let error = read_receipt(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.ends_with("more bytes follow it"), "{error}");
}

/// A composite receipt of no segments with composite receipts of assumptions in one another, `depth` of them.
fn nested(depth: usize) -> Vec<u8> {
    let words = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>();
    // The variant, no segments, and how many assumptions; then, from the innermost on, parameters.
    let level = |assumptions| [&0_u32.to_le_bytes()[..], &words(&[0, assumptions])].concat();
    let parameters = vec![0; 32 * (depth + 1)];
    let (journal, metadata) = (words(&[0]), [0; 32]);
    [level(1).repeat(depth), level(0), parameters, journal, metadata.to_vec()].concat()
}

#[test]
fn receipts_of_assumptions_nest_to_a_bound_and_no_deeper() {
    for depth in [0, 1, 16] {
        let receipt = decoded(&nested(depth)).unwrap();
        assert!(verify_receipt(&receipt, Digest::from([5; 8])).is_err(), "depth {depth}");
    }
    for depth in [17, 100, 10_000, 1_000_000] {
        let error = decoded(&nested(depth)).unwrap_err();
        assert!(error.contains("nest deeper than 16"), "depth {depth}: {error}");
    }
}

#[test]
fn bytes_after_a_receipt_are_an_error() {
    let mut bytes = bincode::serialize(&fake()).unwrap();
    bytes.push(0);
    assert_eq!(decoded(&bytes).unwrap_err(), "more bytes follow it");
}

#[test]
fn a_receipt_in_a_missing_folder_is_not_written() {
    let error = write_receipt(Path::new("/nonexistent/receipt.bin"), &fake()).unwrap_err();
    assert!(matches!(error, ReceiptError::Write { .. }), "{error}");
}

#[test]
fn a_fake_receipt_never_verifies() {
    let image_id = Digest::from([5; 8]);
    let error = verify_receipt(&fake(), image_id).unwrap_err();
    assert!(error.to_string().contains("fake receipt of development mode"), "{error}");
    assert!(verify_outcome(&fake(), image_id, ExitCode::Halted(0)).is_err());
}

#[test]
fn a_receipt_of_another_system_is_named_as_such_and_a_damaged_one_is_not() {
    let verified = |parameters: Option<Digest>| {
        let claim = ReceiptClaim::ok(Digest::from([5; 8]), vec![]);
        let mut inner = forged_succinct_receipt(MaybePruned::Value(claim), vec![0; 10]);
        inner.verifier_parameters = parameters.unwrap_or(inner.verifier_parameters);
        let receipt = Receipt::new(InnerReceipt::Succinct(inner), vec![]);
        verify_receipt(&receipt, Digest::from([5; 8])).unwrap_err()
    };
    let other = Digest::from([7; 8]);
    let error = verified(Some(other));
    assert!(
        matches!(error, ReceiptError::OtherSystem { actual, .. } if actual == other),
        "{error}"
    );
    assert!(error.to_string().contains("those of risc0/a54dc85a/2 are ece5e9b8"), "{error}");
    assert!(matches!(verified(None), ReceiptError::Invalid { .. }));
}

#[test]
fn inspecting_shows_what_the_claim_says() {
    let receipt = fake();
    let info = receipt_info(&receipt).unwrap();
    assert_eq!(info.image_id, Some(Digest::from([5; 8])));
    assert_eq!(info.exit_code, Some(ExitCode::Halted(0)));
    assert_eq!(info.journal, b"journal");
}

#[test]
fn a_composite_receipt_needs_every_segment_in_its_place() {
    let receipt = |index| forged_segment_receipt(index, split_claim().to_receipt_claim(), vec![]);
    let reason =
        |segments| assemble_composite(segments, vec![], execution()).unwrap_err().to_string();
    assert!(reason(vec![receipt(0)]).contains("1 segment receipts of 2"));
    assert!(reason(vec![receipt(1), receipt(0)]).contains("receipt 1 in place of segment 0"));
}

#[test]
fn forged_parts_never_become_a_receipt() {
    let receipt = |index| forged_segment_receipt(index, split_claim().to_receipt_claim(), vec![]);
    let error = assemble_composite(vec![receipt(0), receipt(1)], vec![], execution()).unwrap_err();
    assert!(matches!(error, ReceiptError::Invalid { .. }), "{error}");

    let (claim, work) = (split_claim(), split_work());
    let root = forged_work_receipt(&claim, &work, vec![]);
    let error = assemble_work(root.clone(), &execution(), &work).unwrap_err();
    assert!(matches!(error, ReceiptError::Invalid { .. }), "{error}");
    let more = crate::Work { value: work.value + 1, ..work };
    let error = assemble_work(root, &execution(), &more).unwrap_err();
    assert!(
        error.to_string().contains("something else than the execution and its work"),
        "{error}"
    );

    let claim = MaybePruned::Value(split_claim().to_receipt_claim());
    let root = forged_succinct_receipt(claim, vec![]);
    let error = assemble_succinct(root.clone(), execution()).unwrap_err();
    assert!(matches!(error, ReceiptError::Invalid { .. }), "{error}");

    let mut other = execution();
    other.claim.pre = Digest::ZERO;
    let error = assemble_succinct(root, other).unwrap_err();
    assert!(error.to_string().contains("something else than the execution"), "{error}");
}

#[test]
fn a_composite_receipt_needs_a_receipt_of_all_that_was_assumed() {
    let assumed = crate::AssumptionId { claim: Digest::from([5; 8]), control_root: Digest::ZERO };
    let output = crate::OutputParts::new(b"", vec![assumed]);
    let mut conditional = execution();
    conditional.claim.output = output.digest_after(0);
    conditional.output = Some(output);
    let receipt = |index| forged_segment_receipt(index, split_claim().to_receipt_claim(), vec![]);
    let error = assemble_composite(vec![receipt(0), receipt(1)], vec![], conditional).unwrap_err();
    assert!(error.to_string().contains("0 receipts of 1 assumptions"), "{error}");
}

/// A receipt of `inner` that claims what it should and proves nothing.
fn forged(inner: InnerReceipt) -> Receipt {
    Receipt::new(inner, Vec::new())
}

fn forged_composite(
    segments: Vec<SegmentReceipt>,
    assumptions: Vec<InnerAssumptionReceipt>,
) -> Receipt {
    let fields = (segments, assumptions, Digest::ZERO);
    let composite = bincode::deserialize(&bincode::serialize(&fields).unwrap()).unwrap();
    forged(InnerReceipt::Composite(composite))
}

#[test]
fn only_a_receipt_that_verifies_is_assumed() {
    let claim = MaybePruned::Value(split_claim().to_receipt_claim());
    let succinct = forged(InnerReceipt::Succinct(forged_succinct_receipt(claim, vec![])));
    let error = given_assumption(&succinct).unwrap_err();
    assert!(matches!(error, ReceiptError::Invalid { .. }), "{error}");
    let error = open_composite(&succinct).unwrap_err().to_string();
    assert!(error.contains("it is succinct already"), "{error}");
}

#[test]
fn a_receipt_that_cannot_be_assumed_says_what_to_do() {
    let composite = forged_composite(vec![], vec![]);
    let error = given_assumption(&composite).unwrap_err().to_string();
    assert!(error.contains("compress it to a succinct one first"), "{error}");
    for error in [given_assumption(&fake()).unwrap_err(), open_composite(&fake()).unwrap_err()] {
        assert!(error.to_string().contains("proves nothing"), "{error}");
    }
}

#[test]
fn only_a_composite_receipt_that_verifies_is_taken_apart() {
    let segment = forged_segment_receipt(0, split_claim().to_receipt_claim(), vec![1; 200]);
    for receipt in [forged_composite(vec![], vec![]), forged_composite(vec![segment], vec![])] {
        let error = open_composite(&receipt).unwrap_err();
        assert!(matches!(error, ReceiptError::Invalid { .. }), "{error}");
    }
}

#[test]
fn a_receipt_that_nests_too_deep_is_not_verified_at_all() {
    let receipt = (0..40).fold(forged_composite(vec![], vec![]), |inner, _| {
        let InnerReceipt::Composite(inner) = inner.inner else { panic!("it is composite") };
        forged_composite(vec![], vec![InnerAssumptionReceipt::Composite(inner)])
    });
    let error = open_composite(&receipt).unwrap_err().to_string();
    assert!(error.contains("nest deeper than 16"), "{error}");
}

#[test]
fn what_no_verifier_reads_of_a_receipt_that_was_given_is_written_anew() {
    let claim = MaybePruned::Value(split_claim().to_receipt_claim());
    let receipt = |index, digests| {
        let mut receipt = forged_succinct_receipt(claim.clone(), vec![1; 9]);
        let inclusion = &mut receipt.control_inclusion_proof;
        (inclusion.index, inclusion.digests) = (index, vec![Digest::ZERO; digests]);
        receipt
    };
    // Modulo P, the first is 255 more than it seems.
    for (index, written) in [(0x7800_0105, 5), (256, 0), (255, 255)] {
        let anew = written_anew(receipt(index, 8)).unwrap();
        let (anew, expected) =
            (bincode::serialize(&anew), bincode::serialize(&receipt(written, 8)));
        assert_eq!(anew.unwrap(), expected.unwrap(), "{index}");
    }
    for digests in [7, 9] {
        let error = written_anew(receipt(5, digests)).unwrap_err().to_string();
        assert!(error.ends_with("a tree of another depth"), "{error}");
    }
}
