//! The last step: accepted receipts become one `risc0_zkvm::Receipt` that anyone can verify. It is handed over in memory and
//! kept as a blob; a file is written where somebody wants one.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use starling_plan::Outcome;
use starling_store::{BlobStore, Pin, StoreError};
use starling_swarm::ReferenceHasher;
use starling_types::{BlobRef, ClaimDigest, ImageId, JobId, ReceiptKind};
use starling_zkvm::{
    Digest, Execution, Receipt, SuccinctReceipt, Unknown, codec,
    groth16::compress_groth16,
    receipt::{
        assemble_composite, assemble_succinct, assemble_work, encode_receipt, read_receipt,
        receipt_info, verify_outcome, write_receipt, write_work_receipt,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{AssumedFrom, JobError, JobState, error::unwrap_io, zkvm::RESULT_SIZE_BYTES_MAX};

/// The most bytes of a journal that are printed beside the receipt, which holds them in any case: a journal may have
/// 100 MiB, and nobody reads as many.
pub const JOURNAL_PRINTED_BYTES_MAX: usize = 1 << 20;

/// How much of a receipt is handed to the store at once: its encoder writes word by word.
const WRITE_SIZE_BYTES: usize = 256 << 10;

/// A finished job: its receipt, in memory.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// What the job was asked for.
    pub receipt: Receipt,
    /// The bytes of the work receipt's file, of jobs that count their work.
    pub work_receipt: Option<Vec<u8>>,
    /// What there is to say of it.
    pub facts: Facts,
}

/// What there is to say of a finished job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// The guest's image id.
    pub image_id: ImageId,
    /// How the guest ended.
    pub exit_code: String,
    /// The journal, in hex, unless it has more than [`JOURNAL_PRINTED_BYTES_MAX`].
    pub journal: Option<String>,
    /// The size of the journal.
    pub journal_bytes: u64,
    /// The digest of the receipt's claim.
    pub claim_digest: ClaimDigest,
    /// The kind of the receipt.
    pub receipt_kind: String,
    /// How many segments were proved.
    pub segments: u32,
    /// How many keccak proofs the guest asked for.
    pub keccaks: u32,
    /// How many assumptions of the guest were resolved.
    pub assumptions: u32,
    /// Cycles of the guest's own instructions.
    pub user_cycles: u64,
    /// Cycles proved.
    pub total_cycles: u64,
    /// Seconds from the job's first start to the receipt.
    pub seconds: f64,
    /// The job.
    pub job: JobId,
}

/// What was written of a finished job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    /// What there is to say of it.
    pub facts: Facts,
    /// The receipt file.
    #[serde(with = "crate::paths")]
    pub receipt: PathBuf,
    /// The work receipt file, of jobs that count their work.
    #[serde(with = "crate::paths")]
    pub work_receipt: Option<PathBuf>,
}

impl Delivered {
    /// Writes the receipt to `path`, and the work receipt, if there is one, beside it with `.work` at the end. Blocks.
    ///
    /// # Errors
    /// When a file can't be written; one that was there before stays then.
    pub fn write(&self, path: &Path) -> Result<Written, JobError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        write_receipt(path, &self.receipt)?;
        let work_receipt = match &self.work_receipt {
            Some(bytes) => {
                let path = work_receipt_path(path);
                write_work_receipt(&path, bytes)?;
                Some(absolute(&path))
            }
            None => None,
        };
        Ok(Written { facts: self.facts.clone(), receipt: absolute(path), work_receipt })
    }
}

/// What came of putting a job's receipts together.
pub(crate) struct Assembled {
    pub(crate) receipt: Receipt,
    /// The bytes of the work receipt's file, of jobs that count their work.
    pub(crate) work_receipt: Option<Vec<u8>>,
}

/// Puts the receipt together and verifies it, step by step until it is to stop: RISC Zero's own verifier and prover of Groth16
/// can't be interrupted. Blocks.
pub(crate) fn assemble(
    state: &JobState,
    blobs: &BlobStore,
    outcome: &Outcome,
    stop: &CancellationToken,
) -> Result<Assembled, JobError> {
    let execution = execution_of(state, blobs)?;
    let (image_id, exit_code) = (execution.claim.image_id(), execution.exit_code);
    let parts = Parts { state, blobs, stop };
    let mut work_receipt = None;
    let receipt = match outcome {
        Outcome::Composite { segments, keccak } => {
            let segments = segments
                .iter()
                .map(|blob| parts.read(*blob, "a segment receipt", codec::decode_segment_receipt));
            let segments = segments.collect::<Result<_, JobError>>()?;
            assemble_composite(segments, parts.assumptions(*keccak)?, execution)?
        }
        Outcome::Succinct { receipt, work } => {
            if let Some(blob) = work {
                let root = parts.read(*blob, "the work receipt", codec::decode_work_receipt)?;
                let work = state.total_work();
                let work = work.ok_or_else(|| missing(state.id, "the count of work".into()))?;
                work_receipt = Some(assemble_work(root, &execution, &work)?);
            }
            let root = parts.read(*receipt, "the root receipt", codec::decode_succinct_receipt)?;
            assemble_succinct(root, execution)?
        }
    };
    parts.go_on()?;
    let receipt = match state.request.receipt_kind {
        ReceiptKind::Composite | ReceiptKind::Succinct => receipt,
        ReceiptKind::Groth16 => {
            let compressed = compress_groth16(&receipt)?;
            verify_outcome(&compressed, image_id, exit_code)?;
            compressed
        }
    };
    parts.go_on()?;
    Ok(Assembled { receipt, work_receipt })
}

/// Reads parts of a receipt out of the store.
struct Parts<'a> {
    state: &'a JobState,
    blobs: &'a BlobStore,
    stop: &'a CancellationToken,
}

impl Parts<'_> {
    /// Says whether it is to stop.
    fn go_on(&self) -> Result<(), JobError> {
        match self.stop.is_cancelled() {
            true => Err(JobError::Interrupted { job: self.state.id }),
            false => Ok(()),
        }
    }

    fn read<T>(
        &self,
        blob: BlobRef,
        what: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, codec::CodecError>,
    ) -> Result<T, JobError> {
        let missing =
            |why: &str| missing(self.state.id, format!("{what} {:#}{why}", blob.reference));
        self.go_on()?;
        let bytes = self.blobs.get(blob.reference, RESULT_SIZE_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| missing(""))?;
        decode(&bytes).map_err(|error| missing(&format!(" ({error})")))
    }

    /// The receipts of all that the guest assumed, in the order of its list.
    fn assumptions(
        &self,
        keccak: Option<BlobRef>,
    ) -> Result<Vec<SuccinctReceipt<Unknown>>, JobError> {
        let assumed = self.state.execution.iter().flat_map(|summary| &summary.assumed);
        assumed
            .map(|from| {
                let blob = match from {
                    AssumedFrom::Given(blob) => Some(*blob),
                    AssumedFrom::Keccak => keccak,
                };
                let blob = blob.ok_or_else(|| {
                    missing(self.state.id, "what the keccak proofs are united to".into())
                })?;
                self.read(blob, "the receipt of an assumption", codec::decode_assumption_receipt)
            })
            .collect()
    }
}

/// The receipt of a job that was done before, verified once more: the file may have been damaged. Blocks.
pub(crate) fn stored(
    state: &JobState,
    blobs: &BlobStore,
    receipt: BlobRef,
    work_receipt: Option<BlobRef>,
) -> Result<Assembled, JobError> {
    let missing = |what: &str| missing(state.id, what.into());
    let file = blobs.open_blob(receipt.reference)?.ok_or_else(|| missing("the receipt"))?;
    let receipt = read_receipt(file.path())?;
    let summary = state.execution.as_ref().ok_or_else(|| missing("the end of the execution"))?;
    verify_outcome(&receipt, Digest::from(state.image_id.0), summary.exit_code)?;
    let work_receipt = match work_receipt {
        Some(blob) => {
            let bytes = blobs.get(blob.reference, RESULT_SIZE_BYTES_MAX)?;
            Some(bytes.ok_or_else(|| missing("the work receipt"))?)
        }
        None => None,
    };
    Ok(Assembled { receipt, work_receipt })
}

/// A delivered receipt as a blob.
pub(crate) struct Kept {
    /// What it is named by.
    pub(crate) blob: BlobRef,
    /// Its blob; none where there was no room for it.
    pub(crate) pin: Option<Pin>,
}

/// Keeps the bytes of the receipt's file, so that asking for the job again delivers it again. Blocks.
pub(crate) fn keep_receipt(blobs: &BlobStore, receipt: &Receipt) -> Result<Kept, JobError> {
    keep(blobs, |to| encode_receipt(receipt, to))
}

/// Keeps the work receipt of a job that counts its work. Blocks.
pub(crate) fn keep_work_receipt(
    blobs: &BlobStore,
    assembled: &Assembled,
) -> Result<Option<Kept>, JobError> {
    let bytes = assembled.work_receipt.as_ref();
    bytes.map(|bytes| keep(blobs, |to| to.write_all(bytes))).transpose()
}

/// A job whose receipt is there has not failed because a disk or a budget is full: it is only named then, and
/// asking again says that it is not here.
fn keep(
    blobs: &BlobStore,
    encode: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<Kept, JobError> {
    let mut writer = BufWriter::with_capacity(WRITE_SIZE_BYTES, blobs.writer()?);
    let written = encode(&mut writer)
        .and_then(|()| writer.into_inner().map_err(io::IntoInnerError::into_error))
        .map_err(unwrap_io);
    match written.and_then(|writer| Ok(writer.finish()?)) {
        Err(JobError::Store(StoreError::NoSpace(error))) => {
            tracing::warn!(%error, "the receipt is not kept in the data directory");
            let mut hasher = ReferenceHasher::new();
            encode(&mut hasher).map_err(JobError::Input)?;
            Ok(Kept { blob: hasher.finish(), pin: None })
        }
        kept => {
            let pin = kept?;
            Ok(Kept { blob: pin.blob(), pin: Some(pin) })
        }
    }
}

/// Where the work receipt goes when the receipt goes to `receipt`: beside it, with `.work` at the end.
pub fn work_receipt_path(receipt: &Path) -> PathBuf {
    let mut path = receipt.as_os_str().to_owned();
    path.push(".work");
    path.into()
}

/// What is handed to those who asked for the job.
pub(crate) fn delivered(
    state: &JobState,
    assembled: Assembled,
    seconds: f64,
) -> Result<Delivered, JobError> {
    let Assembled { receipt, work_receipt } = assembled;
    let info = receipt_info(&receipt)?;
    let execution = state.execution.as_ref();
    let facts = Facts {
        image_id: state.image_id,
        exit_code: execution.map_or(String::new(), |summary| format!("{:?}", summary.exit_code)),
        journal: (info.journal.len() <= JOURNAL_PRINTED_BYTES_MAX)
            .then(|| hex::encode(info.journal)),
        journal_bytes: info.journal.len() as u64,
        claim_digest: ClaimDigest(info.claim_digest.into()),
        receipt_kind: info.kind.to_owned(),
        segments: state.segments.len() as u32,
        keccaks: state.keccaks.len() as u32,
        assumptions: execution.map_or(0, |summary| summary.assumed.len() as u32),
        user_cycles: execution.map_or(0, |summary| summary.user_cycles),
        total_cycles: execution.map_or(0, |summary| summary.total_cycles),
        seconds,
        job: state.id,
    };
    Ok(Delivered { receipt, work_receipt, facts })
}

/// The execution as the log tells of it.
fn execution_of(state: &JobState, blobs: &BlobStore) -> Result<Execution, JobError> {
    let missing = |what: &str| missing(state.id, what.to_owned());
    let summary = state.execution.as_ref().ok_or_else(|| missing("the end of the execution"))?;
    let journal = blobs
        .get(summary.journal.reference, summary.journal.size_bytes)?
        .ok_or_else(|| missing("the journal"))?;
    let claim = state.conditional_claim().ok_or_else(|| missing("the claims of the segments"))?;
    Ok(Execution {
        exit_code: summary.exit_code,
        journal,
        output: summary.output.clone(),
        segment_count: summary.segment_count,
        user_cycles: summary.user_cycles,
        total_cycles: summary.total_cycles,
        claim,
    })
}

fn missing(job: JobId, what: String) -> JobError {
    JobError::BlobMissing { what, job }
}
