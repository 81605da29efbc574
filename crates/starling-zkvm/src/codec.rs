//! Blobs: segments, keccak requests and receipts as bytes that travel and are stored.
//!
//! A blob is a magic, a version, a kind, and one zstd frame that declares its content size, holding the
//! bincode (fixed integers, little endian) of RISC Zero's own types. The version stands for the whole
//! encoding, pinned zkVM release included. Blobs come from strangers: what a blob may unfold to is capped
//! before anything is allocated, and nothing may trail.

use bincode::Options as _;
use risc0_circuit_keccak::{KECCAK_PERMUTE_CYCLES, KECCAK_PO2_RANGE, KeccakState};
use risc0_zkvm::{ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{
    SEGMENT_PO2_MAX, WorkReceipt,
    leaf::{KeccakRequest, Segment},
    panic,
};

const MAGIC: &[u8; 4] = b"STRL";

/// The encoding that this build reads and writes; it changes with the pinned zkVM release.
const VERSION: u8 = 1;

/// Bytes before the zstd frame: magic, version, kind.
const HEADER_BYTES: usize = MAGIC.len() + 2;

/// The most bytes that a host read moves in one cycle: four words of four bytes.
const READ_BYTES_PER_CYCLE: u64 = 16;

/// The most bytes of a segment beside its memory and what it read: the opened list of
/// [`ASSUMPTIONS_MAX`](crate::execute::ASSUMPTIONS_MAX) assumptions takes more than one MiB.
const SEGMENT_OUTPUT_BYTES_MAX: u64 = 2 << 20;

/// The most bytes of a segment of 2^po2 cycles before compression. What a segment carries most of is what it read from
/// the host: `READ_BYTES_PER_CYCLE` in each cycle. Pages cost more than a third of a cycle for each byte, which is far
/// below that; the factor two is for bookkeeping.
pub const fn segment_bytes_max(po2: u32) -> u64 {
    let po2 = if po2 < SEGMENT_PO2_MAX { po2 } else { SEGMENT_PO2_MAX };
    SEGMENT_OUTPUT_BYTES_MAX + ((2 * READ_BYTES_PER_CYCLE) << po2)
}

/// The most bytes of any segment before compression.
pub const SEGMENT_BYTES_MAX: u64 = segment_bytes_max(SEGMENT_PO2_MAX);

/// The most bytes of a receipt before compression. A seal grows with the logarithm of the cycle count and
/// stays under 1 MiB; journals are not part of it (see [`crate::execute()`]). A list of
/// [`ASSUMPTIONS_MAX`](crate::execute::ASSUMPTIONS_MAX) opened assumptions takes another.
pub const RECEIPT_BYTES_MAX: u64 = 4 << 20;

/// The most bytes of a keccak request before compression: as many inputs as the largest keccak circuit takes,
/// and 1 KiB for two digests and two numbers.
pub const KECCAK_REQUEST_BYTES_MAX: u64 = ((1 << *KECCAK_PO2_RANGE.end()) / KECCAK_PERMUTE_CYCLES
    * size_of::<KeccakState>()
    + 1024) as u64;

/// Segments are mostly sparse memory: higher levels gain little and cost the executor's time.
const ZSTD_LEVEL: i32 = 3;

/// What a blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlobKind {
    /// A segment to be proved.
    Segment,
    /// The receipt of one segment, not lifted.
    SegmentReceipt,
    /// A receipt of some of a job's segments: lifted, joined or resolved.
    SuccinctReceipt,
    /// Permutations that a guest asks to have proved.
    KeccakRequest,
    /// As [`Self::SuccinctReceipt`], with its work counted.
    WorkReceipt,
    /// A receipt of what a guest assumes: a keccak proof, a union of such, or the receipt of another session.
    AssumptionReceipt,
}

impl BlobKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Segment,
        Self::SegmentReceipt,
        Self::SuccinctReceipt,
        Self::KeccakRequest,
        Self::WorkReceipt,
        Self::AssumptionReceipt,
    ];

    fn byte(self) -> u8 {
        match self {
            Self::Segment => 1,
            Self::SegmentReceipt => 2,
            Self::SuccinctReceipt => 3,
            Self::KeccakRequest => 4,
            Self::WorkReceipt => 5,
            Self::AssumptionReceipt => 6,
        }
    }

    /// The most bytes of such a blob's content before compression.
    pub fn content_bytes_max(self) -> u64 {
        match self {
            Self::Segment => SEGMENT_BYTES_MAX,
            Self::KeccakRequest => KECCAK_REQUEST_BYTES_MAX,
            Self::SegmentReceipt
            | Self::SuccinctReceipt
            | Self::WorkReceipt
            | Self::AssumptionReceipt => RECEIPT_BYTES_MAX,
        }
    }

    /// The most bytes of such a blob as it travels: content that does not compress grows a little.
    pub fn blob_bytes_max(self) -> u64 {
        blob_bytes_max(self.content_bytes_max())
    }

    /// The kind that a blob says it is.
    ///
    /// # Errors
    /// When the bytes are no blob of this build's version.
    pub fn of(blob: &[u8]) -> Result<Self, CodecError> {
        let Some((header, _)) = blob.split_first_chunk::<HEADER_BYTES>() else {
            return Err(CodecError::NotBlob { size_bytes: blob.len() });
        };
        match header {
            [magic @ .., _, _] if magic != MAGIC => {
                Err(CodecError::NotBlob { size_bytes: blob.len() })
            }
            [.., version, _] if *version != VERSION => {
                Err(CodecError::WrongVersion { found: *version })
            }
            [.., byte] => Self::ALL
                .into_iter()
                .find(|kind| kind.byte() == *byte)
                .ok_or(CodecError::UnknownKind { found: *byte }),
        }
    }
}

impl std::fmt::Display for BlobKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Segment => "segment",
            Self::SegmentReceipt => "segment receipt",
            Self::SuccinctReceipt => "succinct receipt",
            Self::KeccakRequest => "keccak request",
            Self::WorkReceipt => "work receipt",
            Self::AssumptionReceipt => "assumption receipt",
        })
    }
}

/// Why bytes are not the blob they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The bytes do not begin like a blob.
    #[error("the {size_bytes} bytes are no blob of Starling")]
    NotBlob {
        /// How many bytes there are.
        size_bytes: usize,
    },
    /// The blob was written by another release.
    #[error(
        "the blob has encoding version {found}, this build reads {VERSION}; run the same release of starling on both sides"
    )]
    WrongVersion {
        /// The blob's version.
        found: u8,
    },
    /// The blob holds something that this version does not know.
    #[error("the blob has the unknown kind {found}")]
    UnknownKind {
        /// The blob's kind byte.
        found: u8,
    },
    /// The blob holds something else than asked for.
    #[error("the blob holds another kind than expected: {found}, not {expected}")]
    WrongKind {
        /// What was asked for.
        expected: BlobKind,
        /// What it says it holds.
        found: BlobKind,
    },
    /// The content would be larger than such content can be.
    #[error("the {kind} would unfold to {size_bytes} bytes, the limit is {limit_bytes}")]
    TooLarge {
        /// What the blob says it holds.
        kind: BlobKind,
        /// What it would unfold to.
        size_bytes: u64,
        /// The most that is accepted.
        limit_bytes: u64,
    },
    /// The frame or its content does not parse.
    #[error("the {kind} does not decode: {reason}")]
    Malformed {
        /// What the blob says it holds.
        kind: BlobKind,
        /// What the decoder said.
        reason: String,
    },
    /// The content could not be written; not caused by a peer.
    #[error("the {kind} does not encode: {reason}")]
    Encode {
        /// What was to be written.
        kind: BlobKind,
        /// What the encoder said.
        reason: String,
    },
}

/// The most bytes of a blob as it travels, with so much content: what does not compress grows a little.
pub(crate) fn blob_bytes_max(content_bytes_max: u64) -> u64 {
    HEADER_BYTES as u64 + content_bytes_max + content_bytes_max / 128 + 1024
}

/// Encodes a segment.
///
/// # Errors
/// When it is beyond [`SEGMENT_BYTES_MAX`], which no execution within [`SEGMENT_PO2_MAX`] reaches.
pub fn encode_segment(segment: &Segment) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::Segment, segment)
}

/// Decodes a segment of any size, from whom one trusts: see [`decode_segment_within`].
///
/// # Errors
/// [`CodecError`] when the blob is not a segment of this release.
pub fn decode_segment(blob: &[u8]) -> Result<Segment, CodecError> {
    decode(BlobKind::Segment, blob)
}

/// Decodes a segment that should have at most 2^po2 cycles, in memory that such a segment may take: its content is bounded
/// by [`segment_bytes_max`], and decoded it is four times larger at worst, where it consists of empty records of reads.
///
/// A decoded segment is well-formed, not well-meant: it may still say that it is larger. Prove it in a child process.
///
/// # Errors
/// [`CodecError`] when the blob is not a segment of this release, or too large.
pub fn decode_segment_within(po2: u32, blob: &[u8]) -> Result<Segment, CodecError> {
    decode_within(BlobKind::Segment, segment_bytes_max(po2), blob)
}

/// Encodes the receipt of a segment.
///
/// # Errors
/// When it is beyond [`RECEIPT_BYTES_MAX`].
pub fn encode_segment_receipt(receipt: &SegmentReceipt) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::SegmentReceipt, receipt)
}

/// Decodes the receipt of a segment, without verifying it.
///
/// # Errors
/// [`CodecError`] when the blob is not a segment receipt of this release.
pub fn decode_segment_receipt(blob: &[u8]) -> Result<SegmentReceipt, CodecError> {
    decode(BlobKind::SegmentReceipt, blob)
}

/// Encodes a lifted, joined or resolved receipt.
///
/// # Errors
/// When it is beyond [`RECEIPT_BYTES_MAX`].
pub fn encode_succinct_receipt(
    receipt: &SuccinctReceipt<ReceiptClaim>,
) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::SuccinctReceipt, receipt)
}

/// Decodes a lifted, joined or resolved receipt, without verifying it.
///
/// # Errors
/// [`CodecError`] when the blob is not a succinct receipt of this release.
pub fn decode_succinct_receipt(blob: &[u8]) -> Result<SuccinctReceipt<ReceiptClaim>, CodecError> {
    decode(BlobKind::SuccinctReceipt, blob)
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
    decode(BlobKind::KeccakRequest, blob)
}

/// Encodes a receipt with counted work.
///
/// # Errors
/// When it is beyond [`RECEIPT_BYTES_MAX`].
pub fn encode_work_receipt(receipt: &WorkReceipt) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::WorkReceipt, receipt)
}

/// Decodes a receipt with counted work, without verifying it.
///
/// # Errors
/// [`CodecError`] when the blob is not a work receipt of this release.
pub fn decode_work_receipt(blob: &[u8]) -> Result<WorkReceipt, CodecError> {
    decode(BlobKind::WorkReceipt, blob)
}

/// Encodes the receipt of an assumption.
///
/// # Errors
/// When it is beyond [`RECEIPT_BYTES_MAX`].
pub fn encode_assumption_receipt(
    receipt: &SuccinctReceipt<Unknown>,
) -> Result<Vec<u8>, CodecError> {
    encode(BlobKind::AssumptionReceipt, receipt)
}

/// Decodes the receipt of an assumption, without verifying it.
///
/// # Errors
/// [`CodecError`] when the blob is not the receipt of an assumption of this release.
pub fn decode_assumption_receipt(blob: &[u8]) -> Result<SuccinctReceipt<Unknown>, CodecError> {
    decode(BlobKind::AssumptionReceipt, blob)
}

pub(crate) fn encode(kind: BlobKind, content: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let limit_bytes = kind.content_bytes_max();
    let content = bincode::serialize(content)
        .map_err(|error| CodecError::Encode { kind, reason: error.to_string() })?;
    if content.len() as u64 > limit_bytes {
        return Err(CodecError::TooLarge { kind, size_bytes: content.len() as u64, limit_bytes });
    }
    // The one-shot compressor records the content size in the frame.
    let frame = zstd::bulk::compress(&content, ZSTD_LEVEL)
        .map_err(|error| CodecError::Encode { kind, reason: error.to_string() })?;
    let mut blob = Vec::with_capacity(HEADER_BYTES + frame.len());
    blob.extend_from_slice(MAGIC);
    blob.extend_from_slice(&[VERSION, kind.byte()]);
    blob.extend_from_slice(&frame);
    Ok(blob)
}

fn decode<T: DeserializeOwned>(expected: BlobKind, blob: &[u8]) -> Result<T, CodecError> {
    decode_within(expected, expected.content_bytes_max(), blob)
}

fn decode_within<T: DeserializeOwned>(
    expected: BlobKind,
    limit_bytes: u64,
    blob: &[u8],
) -> Result<T, CodecError> {
    let kind = BlobKind::of(blob)?;
    if kind != expected {
        return Err(CodecError::WrongKind { expected, found: kind });
    }
    let content = unfold(kind, limit_bytes, &blob[HEADER_BYTES..])?;
    let options = bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(content.len() as u64)
        .reject_trailing_bytes();
    // The types' own `Deserialize` is foreign code: a panic there must stay the peer's fault.
    panic::catch(|| options.deserialize(&content))
        .map_err(|reason| CodecError::Malformed { kind, reason })?
        .map_err(|error| CodecError::Malformed { kind, reason: error.to_string() })
}

fn unfold(kind: BlobKind, limit_bytes: u64, frame: &[u8]) -> Result<Vec<u8>, CodecError> {
    let malformed = |reason: &str| CodecError::Malformed { kind, reason: reason.into() };
    let size_bytes = zstd::zstd_safe::get_frame_content_size(frame)
        .map_err(|_| malformed("no zstd frame"))?
        .ok_or_else(|| malformed("its zstd frame does not declare a content size"))?;
    if size_bytes > limit_bytes {
        return Err(CodecError::TooLarge { kind, size_bytes, limit_bytes });
    }
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
