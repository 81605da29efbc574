//! The jobs of a data directory. How one of them runs is in [`run`](crate::run).

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use starling_job::{JobEvent, JobState};
use starling_store::{BlobStore, DataDir, DiskBudget, Entry, EventLog, JobKey, Pin, Usage};
use starling_types::{ImageId, JobId, JobSeed, Po2, ReceiptKind, WorkLogId};
use starling_zkvm::{
    Digest, Guest, KECCAK_PO2_DEFAULT, Receipt,
    receipt::{encode_receipt, given_assumption, receipt_info},
    zkvm,
};

use crate::{
    ARGUMENTS_SIZE_BYTES_MAX, Arguments, ArgumentsIn, DamagedJob, Given, GuestRun, JobError,
    JobRequest, JobSummary, Subject, ZkvmEvent, ZkvmScript,
    damaged::NO_ID,
    journal::{JobJournal, unix_ms},
    runs::{Busy, Runs},
    state,
    system::{JobStage, System},
};

/// A data directory and its jobs, of one system, owned by this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Client<S: System> {
    pub(crate) dir: Arc<DataDir>,
    pub(crate) log: Arc<EventLog>,
    pub(crate) blobs: BlobStore,
    /// A folder for receipts on their way.
    pub(crate) scratch: PathBuf,
    /// Who has which job in this process.
    pub(crate) runs: Runs<S>,
}

/// The receipt of something that guests may assume. It is kept in the store as long as this lives, and then by the
/// jobs that it was given to.
#[derive(Debug, Clone)]
pub struct GivenReceipt {
    given: Given,
    pin: Pin,
}

/// What to ask for, besides guest and input.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// The guest's arguments.
    pub args: Vec<String>,
    /// The environment variables that the guest may ask for.
    pub env: BTreeMap<String, String>,
    /// Receipts of what the guest may assume: see [`Client::give`].
    pub assumptions: Vec<GivenReceipt>,
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

impl<S: System> Client<S> {
    /// Opens the data directory at `path` for this process alone.
    ///
    /// # Errors
    /// When another process has it open, or it can't be read or written.
    pub fn open(path: &Path, purpose: &str, disk_budget_bytes: u64) -> Result<Self, JobError> {
        let dir = Arc::new(DataDir::open(path, purpose)?);
        let log = Arc::new(dir.log()?);
        let blobs = dir.blobs_of(&log, DiskBudget::up_to(disk_budget_bytes))?;
        let scratch = dir.scratch()?;
        Ok(Self { dir, log, blobs, scratch, runs: Runs::default() })
    }

    /// Puts bytes into the store: what a job is asked with, say. Blocks.
    ///
    /// # Errors
    /// When there is no room.
    pub fn put(&self, bytes: &[u8]) -> Result<Pin, JobError> {
        Ok(self.blobs.put(bytes)?)
    }

    /// What the blobs of the directory take.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.used_bytes()
    }

    /// What they take it for. It walks all of them.
    pub fn blob_usage(&self) -> Usage {
        self.blobs.usage()
    }

    /// The job `id`: the one that is there, unless it was given up, or the one that begins with the events that `make` makes, in the place
    /// of one that was.
    /// Of equal orders at once one makes the job, and a run that was told to end is waited for. Blocks.
    ///
    /// # Errors
    /// When it can't be written, or one that is to be made anew (`is_fresh`) runs; those of `make`.
    pub fn create_as(
        &self,
        id: JobId,
        is_fresh: bool,
        make: impl FnOnce() -> Result<(Vec<S::Event>, Vec<Pin>), JobError>,
    ) -> Result<JobId, JobError> {
        let _change = match self.runs.change(id) {
            Ok(change) => change,
            // It is there, and goes on.
            Err(Busy::Runs) if !is_fresh => return Ok(id),
            Err(_) => return Err(JobError::Running { job: id }),
        };
        // One that is begun anew may have a log that can't be read.
        let events = if is_fresh { Vec::new() } else { self.log.read(id)? };
        if !events.is_empty() {
            let known: JobState<S> = state::load(&events, id)?;
            if known.stage() != JobStage::Cancelled {
                return Ok(id);
            }
        }
        let (begin, pins) = make()?;
        let mut entry = Entry::of_job(id, unix_ms());
        for event in begin {
            entry = entry.event(S::kind(&event), &JobEvent::Own(event))?;
        }
        self.log.append_blocking(entry.anew().holding(pins))?;
        Ok(id)
    }

    /// The state of a job.
    ///
    /// # Errors
    /// When there is no such job.
    pub fn job(&self, id: JobId) -> Result<JobState<S>, JobError> {
        Ok(state::load(&self.log.read(id)?, id)?)
    }

    /// Gives a job up that does not run and frees what only it holds; the bytes freed. What came to harm of a log goes with it.
    ///
    /// # Errors
    /// When there is no such job, or it runs: [`Service::cancel`](crate::Service::cancel) ends it.
    pub fn cancel(&self, key: impl Into<JobKey>) -> Result<u64, JobError> {
        let key = key.into();
        match key.job() {
            Some(id) => {
                let _change = self.runs.change(id).map_err(|_| JobError::Running { job: id })?;
                self.note_given_up(id)?;
            }
            None => self.forget(key)?,
        }
        Ok(self.blobs.collect()?)
    }

    /// As [`Self::cancel`], for the end of a run.
    pub(crate) fn give_up(&self, id: JobId) -> Result<u64, JobError> {
        self.note_given_up(id)?;
        Ok(self.blobs.collect()?)
    }

    fn note_given_up(&self, id: JobId) -> Result<(), JobError> {
        match JobJournal::<S>::open(self.log.clone(), id) {
            Ok(mut journal) if journal.state().stage() != JobStage::Cancelled => {
                journal.record(JobEvent::Cancelled, [])?;
            }
            Ok(_) => {}
            // What can't be read can't be resumed either.
            Err(error) if error.damaged_job().is_some() => {
                self.log.append_blocking(Entry::of_job(id, unix_ms()).anew())?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Client<ZkvmScript> {
    /// The job for this guest and input: the one that is there already, or a new one.
    ///
    /// # Errors
    /// When the guest is not a program, or there is no room for it and its input.
    pub fn create(
        &self,
        guest: &Guest,
        mut input: impl Read,
        options: JobOptions,
    ) -> Result<JobId, JobError> {
        let guest_pin = self.blobs.put(guest.bytes())?;
        let arguments = Arguments { args: options.args, env: options.env };
        let stored = self.store_input(&mut input);
        let stored = stored.and_then(|input| Ok((input, self.store_arguments(arguments)?)));
        let (input_pin, (arguments, arguments_pin)) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                // The guest alone makes no job.
                drop(guest_pin);
                if let Err(error) = self.blobs.collect() {
                    tracing::warn!(%error, "can't remove the stored guest of a job that was not created");
                }
                return Err(error);
            }
        };
        let (assumptions, mut pins): (Vec<Given>, Vec<Pin>) =
            options.assumptions.into_iter().map(|GivenReceipt { given, pin }| (given, pin)).unzip();
        let request = JobRequest {
            zkvm: zkvm(),
            source: Subject::Guest(GuestRun {
                guest: guest_pin.blob(),
                input: input_pin.blob(),
                arguments,
                assumptions,
                segment_po2: options.segment_po2,
                keccak_po2: options.keccak_po2,
                cycle_limit: options.cycle_limit,
                prove_guest_errors: options.prove_guest_errors,
                work_log: options.work_log,
            }),
            receipt_kind: options.receipt_kind,
        };
        pins.extend([guest_pin, input_pin]);
        pins.extend(arguments_pin);
        self.create_job(request, pins, guest.image_id(), options.fresh)
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
        let pin = writer.finish()?;
        let source = Subject::Receipt { receipt: pin.blob() };
        let request = JobRequest { zkvm: zkvm(), source, receipt_kind: kind };
        let image_id = receipt_info(receipt)?.image_id.unwrap_or(Digest::ZERO);
        self.create_job(request, vec![pin], image_id, false)
    }

    /// Takes in the receipt of something that guests may assume, for [`JobOptions::assumptions`].
    ///
    /// # Errors
    /// When it proves nothing, or is not succinct: [`Service::compress`](crate::Service::compress) makes it so.
    pub fn give(&self, receipt: &Receipt) -> Result<GivenReceipt, JobError> {
        let given = given_assumption(receipt)?;
        let pin = self.blobs.put(&given.bytes)?;
        Ok(GivenReceipt { given: Given { id: given.id, blob: pin.blob() }, pin })
    }

    /// The job of `request`, whose blobs `pins` are.
    pub(crate) fn create_job(
        &self,
        request: JobRequest,
        pins: Vec<Pin>,
        image_id: Digest,
        fresh: bool,
    ) -> Result<JobId, JobError> {
        let id = request.job_id();
        self.create_as(id, fresh, || {
            let (image_id, seed) = (ImageId(image_id.into()), JobSeed(rand::random()));
            Ok((ZkvmEvent::begin(request, image_id, seed), pins))
        })
    }

    /// Gives up the jobs of host programs that are gone: nobody can go on with them. Blocks.
    pub(crate) fn give_up_hosted(&self) -> Result<(), JobError> {
        for (id, first) in self.log.begun_without(&["cancelled", "done"])? {
            let Ok(ZkvmEvent::Created { request, .. }) = serde_json::from_str(&first.body) else {
                continue;
            };
            if matches!(request.source, Subject::Host(_)) {
                match self.cancel(id) {
                    Ok(_) | Err(JobError::Running { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Where the arguments are: what is too long for an event goes into a blob.
    fn store_arguments(
        &self,
        arguments: Arguments,
    ) -> Result<(ArgumentsIn, Option<Pin>), JobError> {
        let bytes = arguments.encode();
        if bytes.len() <= ARGUMENTS_SIZE_BYTES_MAX {
            return Ok((ArgumentsIn::Log(arguments), None));
        }
        let pin = self.blobs.put(&bytes)?;
        Ok((ArgumentsIn::Blob(pin.blob()), Some(pin)))
    }

    fn store_input(&self, input: &mut impl Read) -> Result<Pin, JobError> {
        let mut writer = self.blobs.writer()?;
        io::copy(input, &mut writer).map_err(crate::error::unwrap_io)?;
        Ok(writer.finish()?)
    }
}

/// The jobs of the data directory at `path`, oldest first, whether or not a process has it open; of those whose log is damaged
/// what is left. Of each log the ends are read: an event in between that is there and can't be read shows when the job is looked
/// at ([`load_job`]).
///
/// # Errors
/// When the log is there and can't be read.
pub fn list_jobs(path: &Path) -> Result<Vec<Result<JobSummary, DamagedJob>>, JobError> {
    let Some(reader) = DataDir::peek(path)? else { return Ok(Vec::new()) };
    let mut jobs = Vec::new();
    for key in reader.keys()? {
        // One that is gone was given up meanwhile.
        let Some(ends) = reader.ends(&key)? else { continue };
        let summary = match key.job() {
            Some(id) => JobSummary::of(id, &ends).map_err(|error| error.to_string()),
            None => Err(NO_ID.to_owned()),
        };
        jobs.push(summary.map_err(|fault| DamagedJob::of(key, &ends, fault)));
    }
    Ok(jobs)
}

/// The jobs of the data directory at `path` whose ids begin with `digits`, oldest first, whether or not a process has it open:
/// the one alone that has these digits and no more.
///
/// # Errors
/// When the log is there and can't be read.
pub fn find_jobs(path: &Path, digits: &str) -> Result<Vec<JobKey>, JobError> {
    let Some(reader) = DataDir::peek(path)? else { return Ok(Vec::new()) };
    let mut jobs = reader.keys()?;
    jobs.retain(|key| key.to_string().starts_with(digits));
    match jobs.iter().position(|key| key.to_string() == digits) {
        Some(index) => Ok(vec![jobs.swap_remove(index)]),
        None => Ok(jobs),
    }
}

/// All that is known of a job of the data directory at `path`, whether or not a process has it open.
///
/// # Errors
/// When there is no such job, or its log can't be read.
pub fn load_job(path: &Path, id: JobId) -> Result<JobState<ZkvmScript>, JobError> {
    let events = DataDir::peek(path)?.map_or(Ok(Vec::new()), |reader| reader.read(id))?;
    Ok(state::load(&events, id)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_types::HostRunId;
    use starling_zkvm::AssumptionId;

    use super::*;
    use crate::HostRun;

    fn open(dir: &tempfile::TempDir) -> Client<ZkvmScript> {
        Client::open(dir.path(), "a test", 1 << 30).unwrap()
    }

    fn hosted(guest: &Pin, run: u8) -> JobRequest {
        let run = HostRun {
            guest: guest.blob(),
            id: HostRunId([run; 16]),
            segment_po2: Po2::SMALLEST,
            prove_guest_errors: false,
            counts_work: false,
        };
        let source = Subject::Host(run);
        JobRequest { zkvm: zkvm(), source, receipt_kind: ReceiptKind::Succinct }
    }

    #[test]
    fn what_a_killed_host_program_left_is_given_up_and_its_blobs_go() {
        let dir = tempfile::tempdir().unwrap();
        {
            let client = open(&dir);
            let guest = client.put(b"a guest").unwrap();
            let request = hosted(&guest, 1);
            client.create_job(request, vec![guest], Digest::ZERO, false).unwrap();
        }
        let client = open(&dir);
        assert!(client.blob_bytes() > 0, "the job's log keeps it");
        assert_eq!(client.log.begun_without(&["cancelled", "done"]).unwrap().len(), 1);
        client.give_up_hosted().unwrap();
        assert_eq!(client.blob_bytes(), 0);
        assert_eq!(client.log.begun_without(&["cancelled", "done"]).unwrap(), []);
    }

    /// With one lock for all of them, the first would wait for itself.
    #[test]
    fn while_one_job_is_made_others_are_made_and_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let client = open(&dir);
        let guest = client.put(b"a guest").unwrap();
        let request = hosted(&guest, 3);
        let created = ZkvmEvent::Created {
            request: request.clone(),
            image_id: ImageId([0xaa; 32]),
            seed: JobSeed([0xbb; 32]),
        };
        let first = client.create_as(request.job_id(), false, || {
            let pins = vec![guest.clone()];
            let other = client.create_job(hosted(&guest, 4), pins, Digest::ZERO, false)?;
            client.cancel(other)?;
            assert!(client.runs.all().is_empty());
            Ok((vec![created], vec![guest.clone()]))
        });
        assert_eq!(first.unwrap(), request.job_id());
    }

    #[test]
    fn equal_orders_at_the_same_time_are_one_job_with_one_seed() {
        let dir = tempfile::tempdir().unwrap();
        let client = open(&dir);
        let guest = client.put(b"a guest").unwrap();
        let ids: Vec<JobId> = std::thread::scope(|scope| {
            let order = || {
                let pins = vec![guest.clone()];
                client.create_job(hosted(&guest, 2), pins, Digest::ZERO, false).unwrap()
            };
            let orders: Vec<_> = (0..8).map(|_| scope.spawn(order)).collect();
            orders.into_iter().map(|order| order.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(client.log.read(ids[0]).unwrap().len(), 1, "it was made once");
    }

    /// As many as a guest may assume at most.
    #[test]
    fn as_many_receipts_as_a_guest_may_assume_are_given_and_kept() {
        const COUNT: u32 = 16_384;
        let dir = tempfile::tempdir().unwrap();
        let client = open(&dir);
        let [guest, input, receipt] =
            [&b"a guest"[..], b"an input", b"a receipt"].map(|bytes| client.put(bytes).unwrap());
        let mut run = crate::request::tests::run();
        (run.guest, run.input) = (guest.blob(), input.blob());
        let given = |number| Given {
            id: AssumptionId {
                claim: Digest::from([number; 8]),
                control_root: Digest::from([u32::MAX; 8]),
            },
            blob: receipt.blob(),
        };
        run.assumptions = (0..COUNT).map(given).collect();
        let source = Subject::Guest(run.clone());
        let request = JobRequest { zkvm: zkvm(), source, receipt_kind: ReceiptKind::Succinct };
        let pins = vec![guest, input, receipt.clone()];
        let job = client.create_job(request.clone(), pins, Digest::ZERO, false).unwrap();
        let state = client.job(job).unwrap();
        assert_eq!(state.request, request);
        assert_eq!(state.request.job_id(), job);
        assert_eq!(
            state.asked().request,
            request,
            "the guest is told of all, however often it runs"
        );
        assert!(state.request.blobs().contains(&receipt.blob()));
        drop(receipt);
        client.blobs.collect().unwrap();
        assert!(client.blobs.pin(run.assumptions[0].blob.reference).unwrap().is_some());
    }

    #[test]
    fn arguments_that_are_too_long_for_the_log_are_kept_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let client = open(&dir);
        let of_length = |length| Arguments {
            args: vec!["x".repeat(length)],
            env: [("HOME".to_owned(), "/".to_owned())].into(),
        };
        let short = of_length(10);
        let (kept, pin) = client.store_arguments(short.clone()).unwrap();
        assert_eq!((kept, pin), (ArgumentsIn::Log(short), None));
        let long = of_length(2 << 20);
        let (kept, pin) = client.store_arguments(long.clone()).unwrap();
        let pin = pin.unwrap();
        assert_eq!(kept, ArgumentsIn::Blob(pin.blob()));
        let bytes = client.blobs.get(pin.reference, pin.size_bytes).unwrap().unwrap();
        assert_eq!(Arguments::decode(&bytes), Some(long));
        let guest = client.put(b"a guest").unwrap();
        let mut run = crate::request::tests::run();
        (run.guest, run.input, run.arguments) = (guest.blob(), guest.blob(), kept);
        let source = Subject::Guest(run);
        let request = JobRequest { zkvm: zkvm(), source, receipt_kind: ReceiptKind::Succinct };
        let arguments = pin.reference;
        client.create_job(request, vec![guest, pin], Digest::ZERO, false).unwrap();
        client.blobs.collect().unwrap();
        assert!(client.blobs.pin(arguments).unwrap().is_some());
    }
}
