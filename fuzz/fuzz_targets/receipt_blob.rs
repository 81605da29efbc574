//! Receipts of segments and of assumptions: what a node sends to a client, and a client to the node that goes
//! on with them.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use starling_fuzz::{check_error, zkvm::fold};
use starling_zkvm::{
    BlobKind, CodecError,
    codec::{
        decode_assumption_receipt, decode_segment_receipt, decode_succinct_receipt,
        decode_work_receipt, encode_assumption_receipt, encode_segment_receipt,
        encode_succinct_receipt, encode_work_receipt,
    },
};

fuzz_target!(|bytes: &[u8]| {
    for blob in [bytes, &fold(BlobKind::SegmentReceipt, bytes)] {
        check_receipt(blob, decode_segment_receipt, encode_segment_receipt);
    }
    for blob in [bytes, &fold(BlobKind::SuccinctReceipt, bytes)] {
        check_receipt(blob, decode_succinct_receipt, encode_succinct_receipt);
    }
    for blob in [bytes, &fold(BlobKind::WorkReceipt, bytes)] {
        check_receipt(blob, decode_work_receipt, encode_work_receipt);
    }
    for blob in [bytes, &fold(BlobKind::AssumptionReceipt, bytes)] {
        check_receipt(blob, decode_assumption_receipt, encode_assumption_receipt);
    }
});

/// Decodes `blob`; a receipt must survive another round trip.
fn check_receipt<R: Debug>(
    blob: &[u8],
    decode: impl Fn(&[u8]) -> Result<R, CodecError>,
    encode: impl Fn(&R) -> Result<Vec<u8>, CodecError>,
) {
    match decode(blob) {
        Ok(receipt) => {
            let encoded = encode(&receipt).expect("a decoded receipt is within the limits");
            let again = decode(&encoded).expect("an encoded receipt decodes");
            assert_eq!(encode(&again), Ok(encoded));
        }
        Err(error) => check_error(&error),
    }
}
