//! A job's log and its state, as long as nobody runs the job: what is recorded is durable first and applied then. A run has
//! both for itself (`runner.rs`).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use starling_job::{JobEvent, JobState};
use starling_store::{Entry, EventLog, LogError, Pin};
use starling_types::JobId;

use crate::{JobError, StateError, state, system::System};

/// The log of one job, open for writing, and the state that it adds up to.
pub(crate) struct JobJournal<S: System> {
    log: Arc<EventLog>,
    state: JobState<S>,
}

impl<S: System> JobJournal<S> {
    /// Opens the log of `job`. What a run that died had handed to the log comes first: else what is recorded here would follow
    /// from less than stands before it. Blocks.
    pub(crate) fn open(log: Arc<EventLog>, job: JobId) -> Result<Self, JobError> {
        log.settle();
        let state = state::load(&log.read(job)?, job)?;
        Ok(Self { log, state })
    }

    /// Where the job stands.
    pub(crate) fn state(&self) -> &JobState<S> {
        &self.state
    }

    /// The job, for a run that writes the log for itself.
    pub(crate) fn into_state(self) -> JobState<S> {
        self.state
    }

    /// Makes `event` durable, with the blobs that it names, and applies it. `pins` are of those blobs: from now on the
    /// job's root keeps them.
    ///
    /// # Errors
    /// When it can't be written; it has then not happened.
    pub(crate) fn record(
        &mut self,
        event: impl Into<JobEvent<S::Event>>,
        pins: impl IntoIterator<Item = Pin>,
    ) -> Result<(), JobError> {
        let (job, events) = (self.state.id(), [event.into()]);
        let entry = entry_of::<S>(&self.state, &events)?.holding(pins);
        let seq = self.log.append_blocking(entry)?;
        for event in &events {
            self.state.apply(event).map_err(|detail| StateError::Unreadable {
                job,
                seq,
                detail,
            })?;
        }
        Ok(())
    }
}

/// What is appended for `events` of a job, all or nothing, and what of the blobs of the job so far it leaves in the job's
/// root.
pub(crate) fn entry_of<S: System>(
    job: &S,
    events: &[JobEvent<S::Event>],
) -> Result<Entry, LogError> {
    let mut entry = Entry::of_job(job.id(), unix_ms());
    for event in events {
        entry = entry.event(event.kind(S::kind), event)?;
        entry = match event {
            // A finished job needs what it delivered only, so that asking again delivers it again.
            JobEvent::Own(own) if S::is_done(own) => entry.holding_only([]),
            JobEvent::Cancelled => entry.holding_only([]),
            JobEvent::Restarted { .. } => {
                entry.holding_only(job.asked_blobs().into_iter().map(|blob| blob.reference))
            }
            _ => entry,
        };
    }
    Ok(entry)
}

/// The time of day in Unix milliseconds; zero on a clock set before 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use starling_store::{BlobStore, DataDir, DiskBudget};
    use starling_types::{ImageId, JobSeed, Po2, ReceiptKind, Reference};
    use starling_zkvm::{Digest, ExitCode, SegmentClaim};

    use super::*;
    use crate::{JobRequest, Subject, ZkvmEvent, ZkvmScript, request};

    fn segment_stored(index: u32, pin: &Pin) -> ZkvmEvent {
        let claim = SegmentClaim {
            pre: Digest::ZERO,
            post: Digest::ZERO,
            exit_code: ExitCode::SystemSplit,
            input: Digest::ZERO,
            output: Digest::ZERO,
        };
        let po2 = Po2::try_from(16).unwrap();
        ZkvmEvent::SegmentStored { index, po2, blob: pin.blob(), claim, work: None }
    }

    /// A job that was just asked for, and the blobs of its guest and input.
    fn created(log: &Arc<EventLog>, blobs: &BlobStore) -> (JobJournal<ZkvmScript>, [Reference; 2]) {
        let (guest, input) = (blobs.put(b"guest").unwrap(), blobs.put(b"input").unwrap());
        let mut run = request::tests::run();
        (run.guest, run.input) = (guest.blob(), input.blob());
        let request = JobRequest {
            zkvm: "risc0-zkvm 0.0.0".into(),
            source: Subject::Guest(run),
            receipt_kind: ReceiptKind::Succinct,
        };
        let job = request.job_id();
        let of_request = [guest.reference, input.reference];
        let created = ZkvmEvent::Created {
            request,
            image_id: ImageId([0xaa; 32]),
            seed: JobSeed([0xbb; 32]),
        };
        let entry = Entry::of_job(job, 0).event(created.kind(), &created).unwrap();
        log.append_blocking(entry.holding([guest, input])).unwrap();
        (JobJournal::open(log.clone(), job).unwrap(), of_request)
    }

    #[test]
    fn a_log_is_opened_with_all_that_was_handed_over_before() {
        const COUNT: u32 = 5_000;
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "a test").unwrap();
        let log = Arc::new(data.log().unwrap());
        let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
        let blobs = data.blobs_of(&log, budget).unwrap();
        let (journal, _) = created(&log, &blobs);
        let job = journal.into_state();
        let pin = blobs.put(b"a segment").unwrap();
        for index in 0..COUNT {
            let events = [JobEvent::Own(segment_stored(index, &pin))];
            // As in a run that dies: nobody waits for the answer.
            drop(log.hand_over(entry_of(&*job, &events).unwrap()));
        }
        let mut journal = JobJournal::<ZkvmScript>::open(log, job.id).unwrap();
        assert_eq!(journal.state().segments.len(), COUNT as usize);
        journal.record(segment_stored(COUNT, &pin), [pin]).unwrap();
    }

    #[test]
    fn a_job_keeps_the_blobs_that_its_phase_needs() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "a test").unwrap();
        let log = Arc::new(data.log().unwrap());
        let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
        let blobs = data.blobs_of(&log, budget).unwrap();
        let (mut journal, of_request) = created(&log, &blobs);
        let root = log.root(journal.state().id().into());
        let names = |references: &[Reference]| {
            assert_eq!(root.references(), references.iter().copied().collect::<BTreeSet<_>>());
            blobs.collect().unwrap();
            assert!(references.iter().all(|name| blobs.pin(*name).unwrap().is_some()));
        };
        names(&of_request);
        let segment = blobs.put(b"segment 0").unwrap();
        let reference = segment.reference;
        journal.record(segment_stored(0, &segment), [segment]).unwrap();
        names(&[&of_request[..], &[reference]].concat());
        journal.record(JobEvent::Failed { message: "no".into() }, []).unwrap();
        names(&[&of_request[..], &[reference]].concat());
        journal.record(JobEvent::Restarted { reason: "differs".into() }, []).unwrap();
        names(&of_request);
        assert!(blobs.pin(reference).unwrap().is_none());
        let receipt = blobs.put(b"receipt").unwrap();
        let reference = receipt.reference;
        let done = ZkvmEvent::Done { receipt: receipt.blob(), work_receipt: None, seconds: 1.0 };
        journal.record(done, [receipt]).unwrap();
        names(&[reference]);
        journal.record(JobEvent::Cancelled, []).unwrap();
        names(&[]);
        assert_eq!(blobs.used_bytes(), 0);
    }
}
