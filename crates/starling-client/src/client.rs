//! The front door: the jobs of a data directory. How one of them runs is in [`run`](crate::run).

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::Rng as _;
use starling_store::{BlobStore, DataDir, DiskBudget, EventLog, LogReader};
use starling_types::{BlobRef, JobId, Po2, ReceiptKind, WorkLogId};
use starling_zkvm::{
    Digest, Guest, KECCAK_PO2_DEFAULT, Receipt,
    receipt::{encode_receipt, given_assumption, receipt_info},
    zkvm,
};

use crate::{
    Given, GuestRun, JobError, JobEvent, JobPhase, JobRequest, JobState, Source, StateError,
    journal::{JobJournal, unix_ms},
};

/// A data directory and its jobs, owned by this process.
pub struct Client {
    pub(crate) dir: DataDir,
    pub(crate) log: Arc<EventLog>,
    pub(crate) blobs: BlobStore,
    /// A folder for receipts on their way.
    pub(crate) scratch: PathBuf,
}

/// What to ask for, besides guest and input.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// The guest's arguments.
    pub args: Vec<String>,
    /// The environment variables that the guest may ask for.
    pub env: BTreeMap<String, String>,
    /// Receipts of what the guest may assume: see [`Client::give`].
    pub assumptions: Vec<Given>,
    /// Segments have at most 2^po2 cycles.
    pub segment_po2: Po2,
    /// Keccak proofs have 2^po2 cycles.
    pub keccak_po2: Po2,
    /// What to deliver.
    pub receipt_kind: ReceiptKind,
    /// User cycles after which the guest is given up.
    pub cycle_limit: Option<u64>,
    /// Whether an execution that ended with another exit code than zero is proved too.
    pub prove_guest_errors: bool,
    /// The work log that the job's work is counted for.
    pub work_log: Option<WorkLogId>,
    /// Whether an earlier run of the same job is forgotten.
    pub fresh: bool,
}

impl JobOptions {
    /// A job for a receipt of this kind, with segments of this size and nothing else said.
    pub fn new(receipt_kind: ReceiptKind, segment_po2: Po2) -> Self {
        Self {
            args: Vec::new(),
            env: BTreeMap::new(),
            assumptions: Vec::new(),
            segment_po2,
            keccak_po2: KECCAK_PO2_DEFAULT.try_into().expect("a po2 of the circuit"),
            receipt_kind,
            cycle_limit: None,
            prove_guest_errors: false,
            work_log: None,
            fresh: false,
        }
    }
}

impl Client {
    /// Opens the data directory at `path` for this process alone.
    ///
    /// # Errors
    /// When another process has it open, or it can't be read or written.
    pub fn open(path: &Path, purpose: &str, disk_budget_bytes: u64) -> Result<Self, JobError> {
        let dir = DataDir::open(path, purpose)?;
        let log = Arc::new(dir.log()?);
        let blobs = dir.blobs(DiskBudget::up_to(disk_budget_bytes))?;
        let scratch = dir.scratch()?;
        Ok(Self { dir, log, blobs, scratch })
    }

    /// The job for this guest and input: the one that is there already, or a new one.
    ///
    /// # Errors
    /// When the guest is no program, or there is no room for it and its input.
    pub fn create(
        &self,
        guest: &Guest,
        mut input: impl Read,
        options: JobOptions,
    ) -> Result<JobId, JobError> {
        let guest_blob = self.blobs.put(guest.bytes())?;
        let input_blob = match self.store_input(&mut input) {
            Ok(blob) => blob,
            Err(error) => {
                // The guest alone makes no job.
                self.collect_garbage()?;
                return Err(error);
            }
        };
        let request = JobRequest {
            zkvm: zkvm(),
            source: Source::Guest(GuestRun {
                guest: guest_blob,
                input: input_blob,
                args: options.args,
                env: options.env,
                assumptions: options.assumptions,
                segment_po2: options.segment_po2,
                keccak_po2: options.keccak_po2,
                cycle_limit: options.cycle_limit,
                prove_guest_errors: options.prove_guest_errors,
                work_log: options.work_log,
            }),
            receipt_kind: options.receipt_kind,
        };
        self.create_job(request, guest.image_id(), options.fresh)
    }

    /// The job that makes a composite receipt succinct, or more: the one that is there already, or a new one.
    /// The receipts of its assumptions are succinct.
    pub(crate) fn create_compression(
        &self,
        receipt: &Receipt,
        kind: ReceiptKind,
    ) -> Result<JobId, JobError> {
        let mut writer = self.blobs.writer()?;
        encode_receipt(receipt, &mut writer).map_err(crate::error::unwrap_io)?;
        let source = Source::Receipt { receipt: writer.finish()? };
        let request = JobRequest { zkvm: zkvm(), source, receipt_kind: kind };
        let image_id = receipt_info(receipt)?.image_id.unwrap_or(Digest::ZERO);
        self.create_job(request, image_id, false)
    }

    /// Takes in the receipt of something that guests may assume, for [`JobOptions::assumptions`].
    ///
    /// # Errors
    /// When it proves nothing, or is not succinct: [`Client::compress`] makes it so.
    pub fn give(&self, receipt: &Receipt) -> Result<Given, JobError> {
        let given = given_assumption(receipt)?;
        Ok(Given { id: given.id, blob: self.blobs.put(&given.bytes)? })
    }

    pub(crate) fn create_job(
        &self,
        request: JobRequest,
        image_id: Digest,
        fresh: bool,
    ) -> Result<JobId, JobError> {
        let id = request.job_id();
        let events = self.log.read(id)?;
        if !events.is_empty() && !fresh {
            let state = JobState::load(&events, id)?;
            if state.phase != JobPhase::Cancelled {
                return Ok(id);
            }
        }
        self.log.forget(id)?;
        let mut seed = [0; 32];
        rand::rng().fill_bytes(&mut seed);
        let created = JobEvent::Created {
            request,
            image_id: hex::encode(image_id.as_bytes()),
            seed: hex::encode(seed),
        };
        self.log.append(id, created.kind(), &created, unix_ms())?;
        Ok(id)
    }

    fn store_input(&self, input: &mut impl Read) -> Result<BlobRef, JobError> {
        let mut writer = self.blobs.writer()?;
        io::copy(input, &mut writer).map_err(crate::error::unwrap_io)?;
        Ok(writer.finish()?)
    }

    /// The state of a job.
    ///
    /// # Errors
    /// When there is no such job.
    pub fn job(&self, id: JobId) -> Result<JobState, JobError> {
        Ok(JobState::load(&self.log.read(id)?, id)?)
    }

    /// Gives a job up and frees what only it holds; the bytes freed.
    ///
    /// # Errors
    /// When there is no such job.
    pub fn cancel(&self, id: JobId) -> Result<u64, JobError> {
        match JobJournal::open(self.log.clone(), id) {
            Ok(mut journal) if journal.state().phase != JobPhase::Cancelled => {
                journal.record(JobEvent::Cancelled)?;
            }
            Ok(_) => {}
            // What can't be read can't be resumed either, and would keep all garbage for ever.
            Err(JobError::State(StateError::Unreadable { .. })) => {
                self.log.forget(id)?;
            }
            Err(error) => return Err(error),
        }
        self.collect_garbage()
    }

    /// Removes every blob that no job needs; the bytes freed.
    pub(crate) fn collect_garbage(&self) -> Result<u64, JobError> {
        let mut kept = std::collections::BTreeSet::new();
        for id in self.log.jobs()? {
            match JobState::load(&self.log.read(id)?, id) {
                Ok(state) => kept.extend(state.blobs().map(|blob| blob.reference)),
                // Whatever a log that can't be read names stays: nothing is freed on a guess.
                Err(error) => {
                    tracing::warn!(%error, "no garbage is collected");
                    return Ok(0);
                }
            }
        }
        Ok(self.blobs.retain(|reference| kept.contains(&reference))?)
    }
}

/// The jobs of the data directory at `path`, oldest first, whether or not a process has it open.
///
/// # Errors
/// When the log is there and can't be read.
pub fn list_jobs(path: &Path) -> Result<Vec<Result<JobState, StateError>>, JobError> {
    let Some(reader) = DataDir::peek(path)? else { return Ok(Vec::new()) };
    reader.jobs()?.into_iter().map(|id| load(&reader, id)).collect()
}

fn load(reader: &LogReader, id: JobId) -> Result<Result<JobState, StateError>, JobError> {
    Ok(JobState::load(&reader.read(id)?, id))
}
