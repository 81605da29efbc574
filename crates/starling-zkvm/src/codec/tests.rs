#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use risc0_circuit_keccak::{KECCAK_PO2_RANGE, max_keccak_inputs};

use super::*;
use crate::testing::{DECODED_TIMES_MAX, damaged};

fn keccak_request() -> KeccakRequest {
    KeccakRequest {
        claim_digest: risc0_zkvm::Digest::from([1; 8]),
        po2: 14,
        control_root: risc0_circuit_keccak::KECCAK_CONTROL_ROOT,
        input: vec![[3; 25]; 81],
    }
}

/// A keccak request in a frame of another's making.
fn framed(frame: &[u8]) -> Vec<u8> {
    seal(BlobKind::KeccakRequest, frame)
}

#[test]
fn a_keccak_request_comes_back_byte_for_byte() {
    let blob = encode_keccak_request(&keccak_request()).unwrap();
    let request = decode_keccak_request(&blob).unwrap();
    assert_eq!((request.po2, request.input.len()), (14, 81));
    assert_eq!(encode_keccak_request(&request).unwrap(), blob);
    assert_eq!(BlobKind::of(&blob), Ok(BlobKind::KeccakRequest));
}

#[test]
fn the_largest_keccak_request_fits_and_no_larger_one() {
    let most = max_keccak_inputs(*KECCAK_PO2_RANGE.end());
    let request = |inputs| KeccakRequest { input: vec![[3; 25]; inputs], ..keccak_request() };
    encode_keccak_request(&request(most)).unwrap();
    let error = encode_keccak_request(&request(most + 6)).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { .. }), "{error}");
}

#[test]
fn a_damaged_request_never_panics() {
    for damaged in damaged(&encode_keccak_request(&keccak_request()).unwrap(), 300, 3000) {
        let _ = decode_keccak_request(&damaged);
    }
}

#[test]
fn content_that_decodes_to_garbage_never_panics() {
    let content = bincode::serialize(&keccak_request()).unwrap();
    for damaged in damaged(&content, 300, 3000) {
        let frame = zstd::bulk::compress(&damaged, 1).unwrap();
        let _ = decode_keccak_request(&framed(&frame));
        let _ = decode_segment(&seal(BlobKind::Segment, &frame));
    }
}

#[test]
fn empty_records_take_as_much_memory_as_it_is_said_of_a_segment_and_no_more() {
    let record_bytes = size_of::<Vec<u8>>();
    // The decoder begins with room for a MiB, and doubles it: one record more than that is the worst.
    let records: Vec<Vec<u8>> = vec![vec![]; (1 << 20) / record_bytes + 1];
    let content = bincode::serialize(&records).unwrap();
    let decoded: Vec<Vec<u8>> = decode_content(BlobKind::Segment, &content).unwrap();
    let (bytes, said) = ((decoded.capacity() * record_bytes) as u64, content.len() as u64);
    assert!(bytes <= said * DECODED_TIMES_MAX, "{bytes} bytes of {said}");
    assert!(bytes > said * (DECODED_TIMES_MAX - 1), "{bytes} bytes of {said}");
}

#[test]
fn a_bomb_is_refused_by_its_declared_size() {
    let zeros = vec![0; KECCAK_REQUEST_BYTES_MAX as usize + 1];
    let bomb = framed(&zstd::bulk::compress(&zeros, 1).unwrap());
    assert!(bomb.len() < 1000);
    let error = decode_keccak_request(&bomb).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { .. }), "{error}");
}

#[test]
fn a_segment_unfolds_to_no_more_than_its_leased_size() {
    // Were it read, its zeros could be four million reads of nothing.
    let content = vec![0; segment_bytes_max(20) as usize];
    let bomb = seal(BlobKind::Segment, &zstd::bulk::compress(&content, 1).unwrap());
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
    let error = decode_keccak_request(&framed(&encoder.finish().unwrap())).unwrap_err();
    assert!(error.to_string().contains("does not declare"), "{error}");
}

#[test]
fn nothing_may_trail() {
    let mut second_frame = encode_keccak_request(&keccak_request()).unwrap();
    second_frame.extend(zstd::bulk::compress(b"", 1).unwrap());
    assert!(decode_keccak_request(&second_frame).is_err());

    let mut content = bincode::serialize(&keccak_request()).unwrap();
    content.push(0);
    let padded = framed(&zstd::bulk::compress(&content, 1).unwrap());
    assert!(decode_keccak_request(&padded).is_err());
}
