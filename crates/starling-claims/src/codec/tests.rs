#![allow(clippy::unwrap_used)]

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::MaybePruned;

use super::*;
use crate::testing::{
    damaged, forged_segment_receipt, forged_succinct_receipt, forged_work_receipt, split_claim,
    split_work,
};

fn succinct_blob() -> Vec<u8> {
    let claim = MaybePruned::Value(split_claim().to_receipt_claim());
    encode_succinct_receipt(&forged_succinct_receipt(claim, (0..500).collect())).unwrap()
}

fn segment_receipt_blob() -> Vec<u8> {
    let claim = split_claim().to_receipt_claim();
    encode_segment_receipt(&forged_segment_receipt(3, claim, (0..500).collect())).unwrap()
}

fn work_blob() -> Vec<u8> {
    let receipt = forged_work_receipt(&split_claim(), &split_work(), (0..500).collect());
    encode_work_receipt(&receipt).unwrap()
}

fn assumption_blob() -> Vec<u8> {
    let claim = MaybePruned::Value(split_claim().to_receipt_claim());
    let receipt = forged_succinct_receipt(claim, (0..500).collect()).into_unknown();
    encode_assumption_receipt(&receipt).unwrap()
}

#[test]
fn a_receipt_comes_back_byte_for_byte() {
    let blob = succinct_blob();
    let receipt = decode_succinct_receipt(&blob).unwrap();
    assert_eq!(receipt.seal.len(), 500);
    assert_eq!(encode_succinct_receipt(&receipt).unwrap(), blob);

    let blob = segment_receipt_blob();
    let receipt = decode_segment_receipt(&blob).unwrap();
    assert_eq!(receipt.index, 3);
    assert_eq!(encode_segment_receipt(&receipt).unwrap(), blob);
}

#[test]
fn what_else_a_job_needs_comes_back_byte_for_byte() {
    let blob = work_blob();
    assert_eq!(encode_work_receipt(&decode_work_receipt(&blob).unwrap()).unwrap(), blob);
    let blob = assumption_blob();
    let receipt = decode_assumption_receipt(&blob).unwrap();
    assert_eq!(receipt.claim.digest::<Sha256>(), split_claim().digest());
    assert_eq!(encode_assumption_receipt(&receipt).unwrap(), blob);
}

#[test]
fn a_blob_begins_with_its_magic_version_and_kind() {
    assert_eq!(&succinct_blob()[..6], b"STRL\x02\x03");
    assert_eq!(&segment_receipt_blob()[..6], b"STRL\x02\x02");
    assert_eq!(BlobKind::of(b"STRL\x02\x01"), Ok(BlobKind::Segment));
    assert_eq!(BlobKind::of(b"STRL\x02\x04"), Ok(BlobKind::KeccakRequest));
    assert_eq!(&work_blob()[..6], b"STRL\x02\x05");
    assert_eq!(&assumption_blob()[..6], b"STRL\x02\x06");
    assert_eq!(BlobKind::of(b"STRL\x01\x01"), Err(CodecError::WrongVersion { found: 1 }));
    assert_eq!(BlobKind::of(b"STRL\x02\x09"), Err(CodecError::UnknownKind { found: 9 }));
    assert_eq!(BlobKind::of(b"STRL"), Err(CodecError::NotBlob { size_bytes: 4 }));
}

#[test]
fn a_blob_of_another_kind_is_named() {
    let error = decode_segment_receipt(&succinct_blob()).unwrap_err();
    let shown = error.to_string();
    assert!(shown.ends_with("expected: succinct receipt, not segment receipt"), "{shown}");
}

#[test]
fn every_cut_of_a_blob_is_refused() {
    let blob = succinct_blob();
    for cut in damaged(&blob, blob.len(), 0) {
        assert!(decode_succinct_receipt(&cut).is_err(), "{} bytes", cut.len());
    }
}

#[test]
fn a_damaged_blob_never_panics() {
    for damaged in damaged(&succinct_blob(), 1, 3000) {
        let _ = decode_succinct_receipt(&damaged);
    }
    for damaged in damaged(&segment_receipt_blob(), 1, 3000) {
        let _ = decode_segment_receipt(&damaged);
    }
}

#[test]
fn content_that_is_of_another_kind_never_panics() {
    let content = encode_content(
        BlobKind::SuccinctReceipt,
        &decode_succinct_receipt(&succinct_blob()).unwrap(),
    );
    for damaged in damaged(&content.unwrap(), 300, 3000) {
        for kind in BlobKind::ALL {
            let blob = seal(kind, &damaged);
            let _ = decode_segment_receipt(&blob);
            let _ = decode_succinct_receipt(&blob);
            let _ = decode_work_receipt(&blob);
            let _ = decode_assumption_receipt(&blob);
        }
    }
}

#[test]
fn a_receipt_that_is_larger_than_any_is_refused_before_it_is_read() {
    let zeros = seal(BlobKind::SuccinctReceipt, &vec![0; RECEIPT_BYTES_MAX as usize + 1]);
    let error = decode_succinct_receipt(&zeros).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { .. }), "{error}");
}

#[test]
fn a_list_that_is_longer_than_its_blob_is_refused_before_it_is_allocated() {
    // The seal's length comes first: more words than fit into any memory.
    let mut blob = succinct_blob();
    blob[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&(u64::MAX / 8).to_le_bytes());
    let error = decode_succinct_receipt(&blob).unwrap_err();
    assert!(matches!(error, CodecError::Malformed { .. }), "{error}");
}

#[test]
fn nothing_may_trail() {
    let mut padded = succinct_blob();
    padded.push(0);
    assert!(decode_succinct_receipt(&padded).is_err());
}
