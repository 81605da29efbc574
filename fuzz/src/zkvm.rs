//! Bytes that get past the outer shell of what they pose as, so that a fuzzer reaches what lies within.

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{
    Digest, ExitCode, MaybePruned, SegmentReceipt, SegmentReceiptVerifierParameters,
    SuccinctReceipt, SuccinctReceiptVerifierParameters,
};
use starling_zkvm::{BlobKind, ReceiptClaim, SegmentClaim};

/// The segment that [`segment_receipt`] is of.
pub const SEGMENT_INDEX: u32 = 4;

/// The least a blob begins with, but for its kind: magic and version.
const HEADER: &[u8] = b"STRL\x01";

/// Segments hold megabytes, of which most are the same: the cheapest level will do.
const ZSTD_LEVEL: i32 = 1;

/// A blob of `kind` that unfolds to `content`: no fuzzer writes zstd.
///
/// # Panics
/// When blobs have got another header, so that this must follow.
pub fn fold(kind: BlobKind, content: &[u8]) -> Vec<u8> {
    let kind_byte = match kind {
        BlobKind::Segment => 1,
        BlobKind::SegmentReceipt => 2,
        BlobKind::SuccinctReceipt => 3,
    };
    let frame = zstd::bulk::compress(content, ZSTD_LEVEL).expect("memory compresses");
    let blob = [HEADER, &[kind_byte], &frame].concat();
    assert_eq!(BlobKind::of(&blob), Ok(kind), "blobs have another header");
    blob
}

/// The claim that [`segment_receipt`] and [`succinct_receipt`] make.
pub fn claim() -> SegmentClaim {
    SegmentClaim {
        pre: Digest::from([1; 8]),
        post: Digest::from([2; 8]),
        exit_code: ExitCode::SystemSplit,
        input: Digest::ZERO,
        output: Digest::ZERO,
    }
}

/// A receipt that says everything right and lacks only the proof.
pub fn segment_receipt(seal: Vec<u32>) -> SegmentReceipt {
    let parameters = SegmentReceiptVerifierParameters::default().digest::<Sha256>();
    let fields = (seal, SEGMENT_INDEX, "poseidon2", parameters, claim().to_receipt_claim());
    reread(&fields)
}

/// A receipt that says everything right and lacks only the proof.
pub fn succinct_receipt(seal: Vec<u32>) -> SuccinctReceipt<ReceiptClaim> {
    let parameters = SuccinctReceiptVerifierParameters::default().digest::<Sha256>();
    let claim = MaybePruned::Value(claim().to_receipt_claim());
    let inclusion_proof = (0_u32, Vec::<Digest>::new());
    reread(&(seal, Digest::ZERO, claim, "poseidon2", parameters, inclusion_proof))
}

/// RISC Zero's receipts cannot be constructed; what they are in bincode can.
fn reread<T: serde::de::DeserializeOwned>(fields: &impl serde::Serialize) -> T {
    let bytes = bincode::serialize(fields).expect("memory takes any value");
    bincode::deserialize(&bytes).expect("a receipt has these fields in this order")
}

/// A seal of a length that verifiers take seriously: the first two bytes say how many words, the rest are
/// repeated until there are so many.
pub fn seal(bytes: &[u8]) -> Vec<u32> {
    let Some((word_count, pattern)) = bytes.split_first_chunk() else { return Vec::new() };
    let word_count = u16::from_le_bytes(*word_count).into();
    let words = pattern.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    words.cycle().take(word_count).collect()
}
