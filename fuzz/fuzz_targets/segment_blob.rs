//! Segments and keccak requests: what a client sends to be proved, which a node decodes in its prover process.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starling_fuzz::{check_error, zkvm::fold};
use starling_zkvm::{
    BlobKind,
    codec::{decode_keccak_request, decode_segment, encode_keccak_request, encode_segment},
};

fuzz_target!(|bytes: &[u8]| {
    check_segment(bytes);
    check_segment(&fold(BlobKind::Segment, bytes));
    check_keccak_request(bytes);
    check_keccak_request(&fold(BlobKind::KeccakRequest, bytes));
});

/// Decodes `blob`; a segment must survive another round trip.
fn check_segment(blob: &[u8]) {
    match decode_segment(blob) {
        Ok(segment) => {
            let encoded = encode_segment(&segment).expect("a decoded segment is within the limits");
            let again = decode_segment(&encoded).expect("an encoded segment decodes");
            assert_eq!(encode_segment(&again), Ok(encoded));
        }
        Err(error) => check_error(&error),
    }
}

/// Decodes `blob`; a keccak request must survive another round trip.
fn check_keccak_request(blob: &[u8]) {
    match decode_keccak_request(blob) {
        Ok(request) => {
            let encoded =
                encode_keccak_request(&request).expect("a decoded request is within the limits");
            let again = decode_keccak_request(&encoded).expect("an encoded request decodes");
            assert_eq!(encode_keccak_request(&again), Ok(encoded));
        }
        Err(error) => check_error(&error),
    }
}
