#![allow(clippy::unwrap_used)]

use std::io::Write as _;

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

fn keccak_request() -> KeccakRequest {
    KeccakRequest {
        claim_digest: risc0_zkvm::Digest::from([1; 8]),
        po2: 14,
        control_root: risc0_circuit_keccak::KECCAK_CONTROL_ROOT,
        input: vec![[3; 25]; 81],
    }
}

/// A blob with a frame of its own making.
fn blob(kind: BlobKind, frame: &[u8]) -> Vec<u8> {
    let mut blob = MAGIC.to_vec();
    blob.extend([VERSION, kind.byte()]);
    blob.extend(frame);
    blob
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
    let blob = encode_keccak_request(&keccak_request()).unwrap();
    let request = decode_keccak_request(&blob).unwrap();
    assert_eq!((request.po2, request.input.len()), (14, 81));
    assert_eq!(encode_keccak_request(&request).unwrap(), blob);
}

#[test]
fn the_largest_keccak_request_fits_and_no_larger_one() {
    let most = risc0_circuit_keccak::max_keccak_inputs(*KECCAK_PO2_RANGE.end());
    let request = |inputs| KeccakRequest { input: vec![[3; 25]; inputs], ..keccak_request() };
    encode_keccak_request(&request(most)).unwrap();
    let error = encode_keccak_request(&request(most + 6)).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { .. }), "{error}");
}

#[test]
fn a_blob_begins_with_its_magic_version_and_kind() {
    assert_eq!(&succinct_blob()[..6], b"STRL\x01\x03");
    assert_eq!(&segment_receipt_blob()[..6], b"STRL\x01\x02");
    assert_eq!(BlobKind::of(b"STRL\x01\x01"), Ok(BlobKind::Segment));
    assert_eq!(BlobKind::of(b"STRL\x01\x04"), Ok(BlobKind::KeccakRequest));
    assert_eq!(&work_blob()[..6], b"STRL\x01\x05");
    assert_eq!(&assumption_blob()[..6], b"STRL\x01\x06");
    assert_eq!(BlobKind::of(b"STRL\x02\x01"), Err(CodecError::WrongVersion { found: 2 }));
    assert_eq!(BlobKind::of(b"STRL\x01\x09"), Err(CodecError::UnknownKind { found: 9 }));
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
    for damaged in damaged(&encode_keccak_request(&keccak_request()).unwrap(), 1, 3000) {
        let _ = decode_keccak_request(&damaged);
    }
}

#[test]
fn content_that_decodes_to_garbage_never_panics() {
    let content = bincode::serialize(&decode_succinct_receipt(&succinct_blob()).unwrap()).unwrap();
    for damaged in damaged(&content, 300, 3000) {
        let frame = zstd::bulk::compress(&damaged, 1).unwrap();
        for kind in BlobKind::ALL {
            let blob = blob(kind, &frame);
            let _ = decode_segment(&blob);
            let _ = decode_segment_receipt(&blob);
            let _ = decode_succinct_receipt(&blob);
            let _ = decode_keccak_request(&blob);
            let _ = decode_work_receipt(&blob);
            let _ = decode_assumption_receipt(&blob);
        }
    }
}

#[test]
fn a_bomb_is_refused_by_its_declared_size() {
    let zeros = vec![0; RECEIPT_BYTES_MAX as usize + 1];
    let bomb = blob(BlobKind::SuccinctReceipt, &zstd::bulk::compress(&zeros, 1).unwrap());
    assert!(bomb.len() < 1000);
    let error = decode_succinct_receipt(&bomb).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { .. }), "{error}");
}

#[test]
fn a_segment_unfolds_to_no_more_than_its_leased_size() {
    // Were it read, its zeros could be four million reads of nothing.
    let content = vec![0; segment_bytes_max(20) as usize];
    let bomb = blob(BlobKind::Segment, &zstd::bulk::compress(&content, 1).unwrap());
    assert!(bomb.len() < 10_000);
    let limit_bytes = segment_bytes_max(19);
    let error = decode_segment_within(19, &bomb).unwrap_err();
    let size_bytes = content.len() as u64;
    let kind = BlobKind::Segment;
    assert_eq!(error, CodecError::TooLarge { kind, size_bytes, limit_bytes });
    let error = decode_segment_within(20, &bomb).unwrap_err();
    assert!(matches!(error, CodecError::Malformed { .. }), "{error}");
    // No size is beyond that of the largest segment.
    assert_eq!(segment_bytes_max(u32::MAX), BlobKind::Segment.content_bytes_max());
}

#[test]
fn a_frame_that_hides_its_size_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&[0; 5000]).unwrap();
    let error =
        decode_succinct_receipt(&blob(BlobKind::SuccinctReceipt, &encoder.finish().unwrap()))
            .unwrap_err();
    assert!(error.to_string().contains("does not declare"), "{error}");
}

#[test]
fn nothing_may_trail() {
    let mut second_frame = succinct_blob();
    second_frame.extend(zstd::bulk::compress(b"", 1).unwrap());
    assert!(decode_succinct_receipt(&second_frame).is_err());

    let mut content =
        bincode::serialize(&decode_succinct_receipt(&succinct_blob()).unwrap()).unwrap();
    content.push(0);
    let padded = blob(BlobKind::SuccinctReceipt, &zstd::bulk::compress(&content, 1).unwrap());
    assert!(decode_succinct_receipt(&padded).is_err());
}
