//! What is to be proved, as blobs: segments and keccak requests, compressed.
//!
//! Such a blob holds one zstd frame that declares its content size. Blobs come from strangers: what one may unfold to is
//! capped before anything is allocated, and nothing may trail. Receipts, and what all blobs have in common, are in
//! `starling-claims`.

use serde::{Serialize, de::DeserializeOwned};
pub use starling_claims::codec::*;

use crate::leaf::{KeccakRequest, Segment};

/// Segments are mostly sparse memory: higher levels gain little and cost the executor's time.
const ZSTD_LEVEL: i32 = 3;

/// Encodes a segment.
///
/// # Errors
/// When it is beyond [`SEGMENT_BYTES_MAX`], which no execution within [`SEGMENT_PO2_MAX`](crate::SEGMENT_PO2_MAX) reaches.
pub fn encode_segment(segment: &Segment) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::Segment, segment)
}

/// Decodes a segment of any size, from whom one trusts: see [`decode_segment_within`].
///
/// # Errors
/// [`CodecError`] when the blob is not a segment of this release.
pub fn decode_segment(blob: &[u8]) -> Result<Segment, CodecError> {
    decode_within(BlobKind::Segment, SEGMENT_BYTES_MAX, blob)
}

/// Decodes a segment that should have at most 2^po2 cycles, in memory that such a segment may take: its content is bounded
/// by [`segment_bytes_max`], and decoded it is six times as large at worst: where it consists of empty records of reads, 8
/// bytes for each become a list of 24, in a list that has grown to twice its length.
///
/// A decoded segment is well-formed, not well-meant: it may still say that it is larger. Prove it in a child process.
///
/// # Errors
/// [`CodecError`] when the blob is not a segment of this release, or too large.
pub fn decode_segment_within(po2: u32, blob: &[u8]) -> Result<Segment, CodecError> {
    decode_within(BlobKind::Segment, segment_bytes_max(po2), blob)
}

/// Encodes a keccak request.
///
/// # Errors
/// When it is beyond [`KECCAK_REQUEST_BYTES_MAX`].
pub fn encode_keccak_request(request: &KeccakRequest) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::KeccakRequest, request)
}

/// Decodes a keccak request. Its numbers are its sender's: check them before proving.
///
/// # Errors
/// [`CodecError`] when the blob is not a keccak request of this release.
pub fn decode_keccak_request(blob: &[u8]) -> Result<KeccakRequest, CodecError> {
    decode_within(BlobKind::KeccakRequest, KECCAK_REQUEST_BYTES_MAX, blob)
}

fn encode(kind: BlobKind, content: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let content = encode_content(kind, content)?;
    // The one-shot compressor records the content size in the frame.
    let frame = zstd::bulk::compress(&content, ZSTD_LEVEL)
        .map_err(|error| CodecError::Encode { kind, reason: error.to_string() })?;
    Ok(seal(kind, &frame))
}

fn decode_within<T: DeserializeOwned>(
    kind: BlobKind,
    limit_bytes: u64,
    blob: &[u8],
) -> Result<T, CodecError> {
    decode_content(kind, &unfold(kind, limit_bytes, open(kind, blob)?)?)
}

fn unfold(kind: BlobKind, limit_bytes: u64, frame: &[u8]) -> Result<Vec<u8>, CodecError> {
    let malformed = |reason: &str| CodecError::Malformed { kind, reason: reason.into() };
    let size_bytes = zstd::zstd_safe::get_frame_content_size(frame)
        .map_err(|_| malformed("no zstd frame"))?
        .ok_or_else(|| malformed("its zstd frame does not declare a content size"))?;
    check_size(kind, size_bytes, limit_bytes)?;
    // A second frame, even an empty one, would give one content many names.
    if zstd::zstd_safe::find_frame_compressed_size(frame) != Ok(frame.len()) {
        return Err(malformed("its zstd frame is cut off or followed by more bytes"));
    }
    let content = zstd::bulk::decompress(frame, size_bytes as usize)
        .map_err(|error| malformed(&error.to_string()))?;
    if content.len() as u64 != size_bytes {
        return Err(malformed("its content size differs from the declared one"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
