//! The last step: accepted receipts become one `risc0_zkvm::Receipt` file that anyone can verify.

use std::path::{Path, PathBuf};

use serde::Serialize;
use starling_plan::Outcome;
use starling_store::{BlobStore, ReferenceHasher, StoreError};
use starling_types::{BlobRef, JobId, ReceiptKind, SegmentRange};
use starling_zkvm::{
    Digest, Execution, ExitCode, Receipt, codec,
    groth16::compress_groth16,
    receipt::{
        assemble_composite, assemble_succinct, read_receipt, receipt_info, verify_outcome,
        write_receipt,
    },
};

use crate::{JobError, JobState, check::RESULT_SIZE_BYTES_MAX};

/// What a finished job delivers.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// The guest's image id, in hex.
    pub image_id: String,
    /// The journal, in hex.
    pub journal: String,
    /// The digest of the receipt's claim, in hex.
    pub claim_digest: String,
    /// The receipt file.
    pub receipt: PathBuf,
    /// The kind of the receipt.
    pub receipt_kind: String,
    /// How many segments were proved.
    pub segments: u32,
    /// Cycles of the guest's own instructions.
    pub user_cycles: u64,
    /// Cycles proved.
    pub total_cycles: u64,
    /// Seconds from the job's first start to the receipt.
    pub seconds: f64,
    /// The job.
    pub job: String,
}

/// Puts the receipt together and verifies it. Blocks.
pub(crate) fn assemble(
    state: &JobState,
    blobs: &BlobStore,
    outcome: &Outcome,
) -> Result<Receipt, JobError> {
    let execution = execution_of(state, blobs)?;
    let read = |blob: BlobRef, what: &str| {
        blobs
            .get(blob.reference, RESULT_SIZE_BYTES_MAX)?
            .ok_or_else(|| missing(state.id, format!("{what} {:#}", blob.reference)))
    };
    let receipt = match outcome {
        Outcome::Composite(segments) => {
            let receipts: Result<Vec<_>, JobError> = segments
                .iter()
                .map(|blob| {
                    codec::decode_segment_receipt(&read(*blob, "segment receipt")?).map_err(
                        |error| {
                            missing(
                                state.id,
                                format!("segment receipt {:#} ({error})", blob.reference),
                            )
                        },
                    )
                })
                .collect();
            assemble_composite(receipts?, &execution)?
        }
        Outcome::Succinct(root) => {
            let root = codec::decode_succinct_receipt(&read(*root, "the root receipt")?)
                .map_err(|error| missing(state.id, format!("the root receipt ({error})")))?;
            assemble_succinct(root, &execution)?
        }
    };
    Ok(match state.request.receipt_kind {
        ReceiptKind::Composite | ReceiptKind::Succinct => receipt,
        ReceiptKind::Groth16 => {
            let compressed = compress_groth16(&receipt)?;
            verify_outcome(&compressed, execution.claim.image_id(), execution.exit_code)?;
            compressed
        }
    })
}

/// The receipt of a job that was done before, verified once more: the file may have been damaged. Blocks.
pub(crate) fn stored(
    state: &JobState,
    blobs: &BlobStore,
    receipt: BlobRef,
) -> Result<Receipt, JobError> {
    let missing = || missing(state.id, "the receipt".into());
    let receipt = read_receipt(&blobs.path_of(receipt.reference).ok_or_else(missing)?)?;
    let mut image_id = [0; 32];
    hex::decode_to_slice(&state.image_id, &mut image_id).map_err(|_| missing())?;
    verify_outcome(&receipt, Digest::from(image_id), ExitCode::Halted(0))?;
    Ok(receipt)
}

/// Keeps the receipt file as a blob, so that asking for the job again delivers it again. Blocks.
///
/// A disk or a budget that is full is no reason to call a job failed whose receipt is written: the
/// receipt is only named then, and asking again says that it is not here.
pub(crate) fn keep(blobs: &BlobStore, path: &Path) -> Result<BlobRef, JobError> {
    match blobs.put_file(path) {
        Err(StoreError::NoSpace(error)) => {
            tracing::warn!(%error, "the receipt is written, but not kept in the data directory");
            let mut hasher = ReferenceHasher::new();
            std::fs::File::open(path)
                .and_then(|mut file| std::io::copy(&mut file, &mut hasher))
                .map_err(JobError::Input)?;
            Ok(hasher.finish())
        }
        kept => Ok(kept?),
    }
}

/// Writes the receipt file and says what it holds. Blocks.
pub(crate) fn write(
    state: &JobState,
    receipt: &Receipt,
    path: &Path,
    seconds: f64,
) -> Result<Delivery, JobError> {
    write_receipt(path, receipt)?;
    let info = receipt_info(receipt)?;
    let execution = state.execution.as_ref();
    Ok(Delivery {
        image_id: state.image_id.clone(),
        journal: hex::encode(&info.journal),
        claim_digest: hex::encode(info.claim_digest.as_bytes()),
        receipt: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        receipt_kind: info.kind.to_owned(),
        segments: state.segments.len() as u32,
        user_cycles: execution.map_or(0, |summary| summary.user_cycles),
        total_cycles: execution.map_or(0, |summary| summary.total_cycles),
        seconds,
        job: state.id.to_string(),
    })
}

/// The execution as the log tells of it. Only successful ones get here.
fn execution_of(state: &JobState, blobs: &BlobStore) -> Result<Execution, JobError> {
    let missing = |what: &str| missing(state.id, what.to_owned());
    let summary = state.execution.as_ref().ok_or_else(|| missing("the end of the execution"))?;
    let journal = blobs
        .get(summary.journal.reference, summary.journal.size_bytes)?
        .ok_or_else(|| missing("the journal"))?;
    let claim = SegmentRange::new(0, summary.segment_count)
        .and_then(|range| state.expected_claim(range))
        .ok_or_else(|| missing("the claims of the segments"))?;
    Ok(Execution {
        exit_code: ExitCode::Halted(0),
        journal,
        segment_count: summary.segment_count,
        user_cycles: summary.user_cycles,
        total_cycles: summary.total_cycles,
        claim,
    })
}

fn missing(job: JobId, what: String) -> JobError {
    JobError::BlobMissing { what, job }
}
