//! Bytes that get past the outer shell of what they pose as, so that a fuzzer reaches what lies within.

use risc0_binfmt::{Digestible as _, PovwJobId, PovwLogId};
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{
    Digest, ExitCode, MaybePruned, SegmentReceipt, SegmentReceiptVerifierParameters,
    SuccinctReceipt, SuccinctReceiptVerifierParameters, Unknown, WorkClaim,
};
use starling_types::WorkLogId;
use starling_zkvm::{AssumptionId, BlobKind, ReceiptClaim, SegmentClaim, Work, WorkReceipt};

/// The segment that [`segment_receipt`] is of.
pub(crate) const SEGMENT_INDEX: u32 = 4;

/// The least a blob begins with, but for its kind: magic and version.
const HEADER: &[u8] = b"STRL\x02";

/// Segments hold megabytes, of which most are the same: the cheapest level will do.
const ZSTD_LEVEL: i32 = 1;

/// A blob of `kind` that holds `content`, in a frame where such blobs have one: no fuzzer writes zstd.
pub(crate) fn fold(kind: BlobKind, content: &[u8]) -> Vec<u8> {
    match kind {
        BlobKind::Segment | BlobKind::KeccakRequest => {
            let frame = zstd::bulk::compress(content, ZSTD_LEVEL).expect("memory compresses");
            seal_as(kind, &frame)
        }
        _ => seal_as(kind, content),
    }
}

/// A blob of `kind` that holds `body`, as it is.
///
/// # Panics
/// When blobs have got another header, so that this must follow.
pub(crate) fn seal_as(kind: BlobKind, body: &[u8]) -> Vec<u8> {
    let kind_byte = match kind {
        BlobKind::Segment => 1,
        BlobKind::SegmentReceipt => 2,
        BlobKind::SuccinctReceipt => 3,
        BlobKind::KeccakRequest => 4,
        BlobKind::WorkReceipt => 5,
        BlobKind::AssumptionReceipt => 6,
    };
    let blob = [HEADER, &[kind_byte], body].concat();
    assert_eq!(BlobKind::of(&blob), Ok(kind), "blobs have another header");
    blob
}

/// The claim that [`segment_receipt`], [`succinct_receipt`] and [`work_receipt`] make.
pub(crate) fn claim() -> SegmentClaim {
    SegmentClaim {
        pre: Digest::from([1; 8]),
        post: Digest::from([2; 8]),
        exit_code: ExitCode::SystemSplit,
        input: Digest::ZERO,
        output: Digest::ZERO,
    }
}

/// What [`work_receipt`] counts.
pub(crate) fn work() -> Work {
    Work { log_id: WorkLogId([9; 20]), job: 7, first: 4, last: 5, value: 1 << 19 }
}

/// What [`assumption_receipt`] is about.
pub(crate) fn assumption() -> AssumptionId {
    AssumptionId::of_receipt(Digest::from([3; 8]))
}

/// A receipt that says everything right and lacks only the proof.
pub(crate) fn segment_receipt(seal: Vec<u32>) -> SegmentReceipt {
    let parameters = SegmentReceiptVerifierParameters::default().digest::<Sha256>();
    let fields = (seal, SEGMENT_INDEX, "poseidon2", parameters, claim().to_receipt_claim());
    reread(&fields)
}

/// A receipt that says everything right and lacks only the proof.
pub(crate) fn succinct_receipt(seal: Vec<u32>) -> SuccinctReceipt<ReceiptClaim> {
    let claim = MaybePruned::Value(claim().to_receipt_claim());
    receipt_of(seal, &claim, SuccinctReceiptVerifierParameters::default())
}

/// A receipt that says everything right and lacks only the proof.
pub(crate) fn work_receipt(seal: Vec<u32>) -> WorkReceipt {
    let Work { log_id, job, first, last, value } = work();
    let job = PovwJobId { log: PovwLogId::from_be_bytes(log_id.0), job };
    let (nonce_min, nonce_max) = (job.nonce(first), job.nonce(last));
    let claim = MaybePruned::Value(WorkClaim {
        claim: MaybePruned::Value(claim().to_receipt_claim()),
        work: MaybePruned::Value(risc0_zkvm::Work { nonce_min, nonce_max, value }),
    });
    receipt_of(seal, &claim, SuccinctReceiptVerifierParameters::default())
}

/// A receipt that says everything right and lacks only the proof.
pub(crate) fn assumption_receipt(seal: Vec<u32>) -> SuccinctReceipt<Unknown> {
    let AssumptionId { claim, control_root } = assumption();
    let parameters = SuccinctReceiptVerifierParameters { control_root, ..Default::default() };
    receipt_of(seal, &MaybePruned::<Unknown>::Pruned(claim), parameters)
}

fn receipt_of<R: serde::de::DeserializeOwned>(
    seal: Vec<u32>,
    claim: &impl serde::Serialize,
    parameters: SuccinctReceiptVerifierParameters,
) -> R {
    let parameters = parameters.digest::<Sha256>();
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
pub(crate) fn seal(bytes: &[u8]) -> Vec<u32> {
    let Some((word_count, pattern)) = bytes.split_first_chunk() else { return Vec::new() };
    let word_count = u16::from_le_bytes(*word_count).into();
    let words = pattern.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    words.cycle().take(word_count).collect()
}
