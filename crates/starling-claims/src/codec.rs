//! Blobs: segments, keccak requests and receipts as bytes that travel and are stored.
//!
//! A blob is a magic, a version, a kind, and its content: the bincode (fixed integers, little endian) of RISC Zero's own
//! types. The version stands for the whole encoding, pinned zkVM release included. Blobs come from strangers: what may be
//! allocated is capped, and nothing may trail.
//!
//! Receipts are read and written here. They are stored as they are: nine tenths of one are random field elements, which
//! no compressor makes smaller. Segments and keccak requests, which are mostly zeros, are compressed by the code that executes
//! and proves; of them this module knows the name and the largest size.

use bincode::Options as _;
use risc0_circuit_keccak::{KECCAK_PERMUTE_CYCLES, KECCAK_PO2_RANGE, KeccakState};
use risc0_zkvm::{ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{SEGMENT_PO2_MAX, WorkReceipt, panic};

const MAGIC: &[u8; 4] = b"STRL";

/// The encoding that this build reads and writes; it changes with the pinned zkVM release.
pub const VERSION: u8 = 2;

/// Bytes before the content: magic, version, kind.
const HEADER_BYTES: usize = MAGIC.len() + 2;

/// The most bytes that a host read moves in one cycle: four words of four bytes.
const READ_BYTES_PER_CYCLE: u64 = 16;

/// The most bytes of a segment beside its memory and what it read: the opened list of
/// as many assumptions as a guest may make takes more than one MiB.
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
/// stays under 1 MiB; journals are not part of it, but named by their digest. A list of as many opened assumptions as a
/// guest may make takes another.
pub const RECEIPT_BYTES_MAX: u64 = 4 << 20;

/// The most bytes of a keccak request before compression: as many inputs as the largest keccak circuit takes,
/// and 1 KiB for two digests and two numbers.
pub const KECCAK_REQUEST_BYTES_MAX: u64 = ((1 << *KECCAK_PO2_RANGE.end()) / KECCAK_PERMUTE_CYCLES
    * size_of::<KeccakState>()
    + 1024) as u64;

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
    /// When the bytes are not a blob of this build's version.
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
    #[error("the {size_bytes} bytes are not a blob of Starling")]
    NotBlob {
        /// How many bytes there are.
        size_bytes: usize,
    },
    /// The blob was written by another release.
    #[error(
        "the blob has encoding version {found}, but this build reads {VERSION}; run the same release of starling on both sides"
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
    /// The content does not parse.
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
pub const fn blob_bytes_max(content_bytes_max: u64) -> u64 {
    HEADER_BYTES as u64 + content_bytes_max + content_bytes_max / 128 + 1024
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

fn encode(kind: BlobKind, receipt: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    Ok(seal(kind, &encode_content(kind, receipt)?))
}

fn decode<T: DeserializeOwned>(expected: BlobKind, blob: &[u8]) -> Result<T, CodecError> {
    decode_content(expected, open(expected, blob)?)
}

/// The bytes of `content`, which goes into a blob of this kind.
///
/// # Errors
/// When they are more than such a blob may hold.
pub fn encode_content(kind: BlobKind, content: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let content = bincode::serialize(content)
        .map_err(|error| CodecError::Encode { kind, reason: error.to_string() })?;
    check_size(kind, content.len() as u64, kind.content_bytes_max())?;
    Ok(content)
}

/// What the whole of `content`, of a blob of this kind, decodes to.
///
/// # Errors
/// When it is something else, has bytes left over, or is larger than it can be.
pub fn decode_content<T: DeserializeOwned>(
    kind: BlobKind,
    content: &[u8],
) -> Result<T, CodecError> {
    check_size(kind, content.len() as u64, kind.content_bytes_max())?;
    let options = bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(content.len() as u64)
        .reject_trailing_bytes();
    // The types' own `Deserialize` is foreign code: a panic there must stay the peer's fault.
    panic::catch(|| options.deserialize(content))
        .map_err(|reason| CodecError::Malformed { kind, reason })?
        .map_err(|error| CodecError::Malformed { kind, reason: error.to_string() })
}

/// Refuses content of `size_bytes` where there may be `limit_bytes`.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn check_size(kind: BlobKind, size_bytes: u64, limit_bytes: u64) -> Result<(), CodecError> {
    if size_bytes > limit_bytes {
        return Err(CodecError::TooLarge { kind, size_bytes, limit_bytes });
    }
    Ok(())
}

/// A blob of this kind around what it holds.
pub fn seal(kind: BlobKind, body: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(HEADER_BYTES + body.len());
    blob.extend_from_slice(MAGIC);
    blob.extend_from_slice(&[VERSION, kind.byte()]);
    blob.extend_from_slice(body);
    blob
}

/// What a blob of this kind holds.
///
/// # Errors
/// When it says that it is of another kind, or is not a blob of this build's version.
pub fn open(expected: BlobKind, blob: &[u8]) -> Result<&[u8], CodecError> {
    let found = BlobKind::of(blob)?;
    if found != expected {
        return Err(CodecError::WrongKind { expected, found });
    }
    Ok(&blob[HEADER_BYTES..])
}

#[cfg(test)]
mod tests;
