//! Blobs, which peers fetch of each other: segments, keccak requests and receipts.

use std::fmt::Debug;

use starling_zkvm::{
    BlobKind, CodecError,
    codec::{
        decode_assumption_receipt, decode_keccak_request, decode_segment, decode_segment_receipt,
        decode_succinct_receipt, decode_work_receipt, encode_assumption_receipt,
        encode_keccak_request, encode_segment, encode_segment_receipt, encode_succinct_receipt,
        encode_work_receipt,
    },
};

use crate::{
    check_error,
    forged::{fold, seal_as},
};

/// What every zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Segments and keccak requests: what a client sends to be proved, which a node decodes in its prover process. As they are, and
/// as what a sound frame holds.
pub(crate) fn segment_blob(bytes: &[u8]) {
    for blob in [bytes, &fold(BlobKind::Segment, bytes)] {
        check_blob(blob, decode_segment, encode_segment);
    }
    for blob in [bytes, &fold(BlobKind::KeccakRequest, bytes)] {
        check_blob(blob, decode_keccak_request, encode_keccak_request);
    }
}

/// Segments and keccak requests in frames of a stranger's own making: as the frame, and as what follows a frame's magic.
pub(crate) fn zstd_frame(bytes: &[u8]) {
    for frame in [bytes, &[&ZSTD_MAGIC[..], bytes].concat()] {
        check_blob(&seal_as(BlobKind::Segment, frame), decode_segment, encode_segment);
        let request = seal_as(BlobKind::KeccakRequest, frame);
        check_blob(&request, decode_keccak_request, encode_keccak_request);
    }
}

/// Receipts of segments and of assumptions: what a node sends to a client, and a client to the node that goes on with them.
pub(crate) fn receipt_blob(bytes: &[u8]) {
    for blob in [bytes, &fold(BlobKind::SegmentReceipt, bytes)] {
        check_blob(blob, decode_segment_receipt, encode_segment_receipt);
    }
    for blob in [bytes, &fold(BlobKind::SuccinctReceipt, bytes)] {
        check_blob(blob, decode_succinct_receipt, encode_succinct_receipt);
    }
    for blob in [bytes, &fold(BlobKind::WorkReceipt, bytes)] {
        check_blob(blob, decode_work_receipt, encode_work_receipt);
    }
    for blob in [bytes, &fold(BlobKind::AssumptionReceipt, bytes)] {
        check_blob(blob, decode_assumption_receipt, encode_assumption_receipt);
    }
}

/// Decodes `blob`; what it holds must survive another round trip.
fn check_blob<T: Debug>(
    blob: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, CodecError>,
) {
    match decode(blob) {
        Ok(content) => {
            let encoded = encode(&content).expect("what was decoded is within the limits");
            let again = decode(&encoded).expect("what was encoded decodes");
            assert_eq!(encode(&again), Ok(encoded));
        }
        Err(error) => check_error(&error),
    }
}
