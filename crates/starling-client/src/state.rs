//! What the log of a zkVM job adds up to, and what its receipts must claim.
//!
//! One transition function; a resumed job replays its log through it and goes on from the state it finds. Nothing about a
//! job is known that is not here.

mod derived;

use starling_store::StoredEvent;
use starling_types::{BlobRef, ImageId, IndexRange, JobId, JobSeed, Po2, Reference, TaskId};
use starling_zkvm::{AssumptionId, Expected, SegmentClaim, Work};
use thiserror::Error;

use self::derived::Derived;
use crate::{
    AssumedFrom, ExecutionSummary, JobEvent, JobRequest, Subject, ZkvmEvent, system::System,
};

/// A job as its log tells it.
pub type JobState = starling_job::JobState<ZkvmScript>;

/// A segment that the execution emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSegment {
    /// Its size.
    pub po2: Po2,
    /// The encoded segment.
    pub blob: BlobRef,
    /// What a receipt of it must claim.
    pub claim: SegmentClaim,
    /// The work of all segments up to this one, in jobs that count their work.
    pub work_so_far: Option<Work>,
}

/// A batch of keccak permutations that the guest had to be proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeccak {
    /// The size of its proof.
    pub po2: Po2,
    /// The encoded request.
    pub blob: BlobRef,
    /// What a receipt of it must claim.
    pub assumption: AssumptionId,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq)]
pub enum JobPhase {
    /// Not finished: it can be resumed.
    Open,
    /// The receipt is there.
    Done {
        /// The receipt file's bytes.
        receipt: BlobRef,
        /// The bytes of the work receipt's file, in jobs that count their work.
        work_receipt: Option<BlobRef>,
        /// Seconds it took.
        seconds: f64,
    },
    /// It stopped with an error; resuming tries again.
    Failed {
        /// Why.
        message: String,
    },
    /// The user gave it up.
    Cancelled,
}

/// What a client knows of a job of the zkVM.
#[derive(Debug, Clone, PartialEq)]
pub struct ZkvmScript {
    /// The job's id.
    pub id: JobId,
    /// What was asked.
    pub request: JobRequest,
    /// The guest's image id.
    pub image_id: ImageId,
    /// The seed of the guest's randomness.
    pub seed: JobSeed,
    /// When the job was asked for, in Unix milliseconds.
    pub created_at_ms: u64,
    /// Where it stands.
    pub phase: JobPhase,
    /// The segments so far, by index.
    pub segments: Vec<StoredSegment>,
    /// The keccak requests so far, by index.
    pub keccaks: Vec<StoredKeccak>,
    /// How the execution ended, once it has.
    pub execution: Option<ExecutionSummary>,
    derived: Derived,
}

/// A log that makes no job.
#[derive(Debug, Error)]
pub enum StateError {
    /// No event of the job is in the log.
    #[error("no job {job} in this data directory")]
    Unknown {
        /// The job asked for.
        job: JobId,
    },
    /// Events are missing.
    #[error("the log of job {job} is damaged: {missing_count} of its {event_count} events {} missing", are(*missing_count))]
    Incomplete {
        /// The job.
        job: JobId,
        /// How many there should be.
        event_count: u64,
        /// How many are not there.
        missing_count: u64,
    },
    /// An event is not what this version writes.
    #[error("event {seq} of job {job} can't be read: {detail}; did a newer starling write it?")]
    Unreadable {
        /// The job.
        job: JobId,
        /// The event's place in the log.
        seq: u64,
        /// What is wrong with it.
        detail: String,
    },
}

fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Replays `events`, the whole log of `job`, of whatever system.
///
/// # Errors
/// When there are none, or they do not add up.
pub fn load<S: System>(
    events: &[StoredEvent],
    job: JobId,
) -> Result<starling_job::JobState<S>, StateError> {
    let mut state: Option<starling_job::JobState<S>> = None;
    for stored in events {
        let unreadable = |detail: String| StateError::Unreadable { job, seq: stored.seq, detail };
        let event: starling_job::JobEvent<S::Event> = serde_json::from_str(&stored.body)
            .map_err(|error| unreadable(format!("{}: {error}", stored.kind)))?;
        match (&mut state, event) {
            (Some(state), event) => state.apply(&event).map_err(unreadable)?,
            (None, starling_job::JobEvent::Own(own)) => {
                let script = S::created(job, own, stored.at_ms);
                let script =
                    script.ok_or_else(|| unreadable("it does not begin the job".into()))?;
                state = Some(starling_job::JobState::new(script));
            }
            (None, _) => return Err(unreadable(format!("{} comes before created", stored.kind))),
        }
    }
    state.ok_or(StateError::Unknown { job })
}

impl ZkvmScript {
    /// What is known of a job that was just asked for.
    pub fn new(
        id: JobId,
        request: JobRequest,
        image_id: ImageId,
        seed: JobSeed,
        created_at_ms: u64,
    ) -> Self {
        Self {
            id,
            request,
            image_id,
            seed,
            created_at_ms,
            phase: JobPhase::Open,
            segments: Vec::new(),
            keccaks: Vec::new(),
            execution: None,
            derived: Derived::default(),
        }
    }

    /// What was asked, as if nothing had happened since.
    pub(crate) fn asked(&self) -> Self {
        let Self { id, request, image_id, seed, created_at_ms, .. } = self;
        Self::new(*id, request.clone(), *image_id, *seed, *created_at_ms)
    }

    pub(crate) fn follow(&mut self, event: &JobEvent) -> Result<(), String> {
        match event {
            // Taking up a failed job again is what `job resume` is for.
            JobEvent::ClientStarted { .. } if matches!(self.phase, JobPhase::Failed { .. }) => {
                self.phase = JobPhase::Open;
            }
            JobEvent::Failed { message } => {
                self.phase = JobPhase::Failed { message: message.clone() };
            }
            JobEvent::Cancelled => self.phase = JobPhase::Cancelled,
            JobEvent::Restarted { .. } => {
                self.segments.clear();
                self.keccaks.clear();
                self.execution = None;
                self.derived = Derived::default();
            }
            JobEvent::Own(own) => return self.follow_own(own),
            JobEvent::ClientStarted { .. }
            | JobEvent::ResultAccepted { .. }
            | JobEvent::ResultConfirmed { .. }
            | JobEvent::ResultRevoked { .. }
            | JobEvent::ResultLost { .. } => {}
        }
        Ok(())
    }

    fn follow_own(&mut self, event: &ZkvmEvent) -> Result<(), String> {
        match event {
            ZkvmEvent::Created { .. } => return Err("the job is created twice".into()),
            ZkvmEvent::Given { receipts } => match &mut self.request.source {
                Subject::Guest(run) => run.assumptions.extend(receipts),
                _ => return Err("only a guest's run can be given receipts".into()),
            },
            ZkvmEvent::SegmentStored { index, po2, blob, claim, work } => {
                if *index as usize != self.segments.len() {
                    return Err(format!("segment {index} follows {}", self.segments.len()));
                }
                let before = self.segments.last().map(|segment| segment.work_so_far);
                let work_so_far = match (before, *work) {
                    (None, work) => work,
                    (Some(None), None) => None,
                    (Some(Some(before)), Some(work)) => {
                        let sum = before.join(&work);
                        Some(sum.ok_or(format!("work {work} does not follow {before}"))?)
                    }
                    _ => {
                        return Err(format!(
                            "segment {index} differs from the others in whether it counts work"
                        ));
                    }
                };
                self.derived.blobs.insert(blob.reference);
                let (po2, blob, claim) = (*po2, *blob, *claim);
                self.segments.push(StoredSegment { po2, blob, claim, work_so_far });
            }
            ZkvmEvent::KeccakStored { index, po2, blob, assumption } => {
                if *index as usize != self.keccaks.len() {
                    return Err(format!("keccak {index} follows {}", self.keccaks.len()));
                }
                self.derived.blobs.insert(blob.reference);
                self.derived.add_keccak(*index, *assumption);
                let (po2, blob, assumption) = (*po2, *blob, *assumption);
                self.keccaks.push(StoredKeccak { po2, blob, assumption });
            }
            ZkvmEvent::Assumed { assumptions } => self.derived.assumed.extend(assumptions),
            ZkvmEvent::ExecutionEnded(summary) => self.end_execution(summary.clone())?,
            ZkvmEvent::Done { receipt, work_receipt, seconds } => {
                let (receipt, work_receipt, seconds) = (*receipt, *work_receipt, *seconds);
                self.phase = JobPhase::Done { receipt, work_receipt, seconds };
            }
        }
        Ok(())
    }

    fn end_execution(&mut self, mut summary: ExecutionSummary) -> Result<(), String> {
        let counts = [
            ("segments", summary.segment_count, self.segments.len()),
            ("keccak requests", summary.keccak_count, self.keccaks.len()),
        ];
        if let Some((what, ended, known)) =
            counts.into_iter().find(|(_, ended, known)| *ended as usize != *known)
        {
            return Err(format!("the execution ended with {ended} {what}, but {known} are stored"));
        }
        let (list, assumed): (Vec<_>, _) =
            std::mem::take(&mut self.derived.assumed).into_iter().unzip();
        summary.assumed = assumed;
        let given = summary.assumed.iter().filter_map(AssumedFrom::given);
        self.derived.given = given.map(|blob| blob.reference).collect();
        if let Some(output) = &mut summary.output {
            output.assumptions = list;
            self.derived.outputs = output.digests();
        }
        self.derived.blobs.insert(summary.journal.reference);
        self.derived.fold_keccaks(summary.keccak_count);
        self.execution = Some(summary);
        Ok(())
    }

    /// Whether the execution puts this blob out.
    pub(crate) fn put_out(&self, blob: Reference) -> bool {
        self.derived.blobs.contains(&blob)
    }

    /// Whether this blob is the receipt of something that the guest assumed.
    pub(crate) fn assumes(&self, blob: Reference) -> bool {
        self.derived.given.contains(&blob)
    }

    /// What a result of `task` must claim; `None` when what it proves is not all known yet.
    pub fn expected_of(&self, task: TaskId) -> Option<Expected> {
        match task {
            TaskId::Prove(_) => self.claimed(task.range()).map(Expected::Claim),
            TaskId::Lift(_) | TaskId::LiftReceipt(_) | TaskId::Join(_) => {
                self.counted(self.claimed(task.range())?, task.range())
            }
            TaskId::Keccak(_) | TaskId::Union(_) => {
                self.united(task.range()).map(Expected::Assumption)
            }
            TaskId::Resolve(index) => {
                let claim = self.resolved(index as usize + 1)?;
                self.counted(claim, self.all_segments()?)
            }
            TaskId::Unwrap => self.final_claim().map(Expected::Claim),
        }
    }

    /// The claim of the whole job once all that it assumes is resolved; `None` before the execution's end.
    pub fn final_claim(&self) -> Option<SegmentClaim> {
        self.resolved(self.execution.as_ref()?.assumed.len())
    }

    /// The claim of the whole job with all that it assumes; `None` before the execution's end.
    pub fn conditional_claim(&self) -> Option<SegmentClaim> {
        self.claimed(self.all_segments()?)
    }

    /// The work of the whole job; `None` when it is not counted, or before the execution's end.
    pub fn total_work(&self) -> Option<Work> {
        self.work_of(self.all_segments()?)
    }

    /// What the keccak proofs in `range` are united to; `None` where the guest has no such union.
    pub fn united(&self, range: IndexRange) -> Option<AssumptionId> {
        self.derived.unions.get(&range).copied()
    }

    /// What all keccak proofs so far are united to.
    pub(crate) fn keccak_root(&self) -> Option<AssumptionId> {
        let folds = self.derived.folds(self.keccaks.len() as u32);
        folds.last().map(|(_, root)| *root)
    }

    fn all_segments(&self) -> Option<IndexRange> {
        IndexRange::new(0, self.execution.as_ref()?.segment_count)
    }

    /// The claim of a range of segments, which assumes all that the guest assumed if it is the last.
    fn claimed(&self, range: IndexRange) -> Option<SegmentClaim> {
        let first = self.segments.get(range.start() as usize)?;
        let last = self.segments.get(range.end() as usize - 1)?;
        Some(first.claim.join(&last.claim))
    }

    /// The claim of the whole job once its first `count` assumptions are resolved.
    fn resolved(&self, count: usize) -> Option<SegmentClaim> {
        let claim = self.claimed(self.all_segments()?)?;
        match self.derived.outputs.get(count) {
            Some(output) => Some(SegmentClaim { output: *output, ..claim }),
            None => (self.derived.outputs.is_empty() && count == 0).then_some(claim),
        }
    }

    /// As `claim`, with the work of `range` where the job counts it.
    fn counted(&self, claim: SegmentClaim, range: IndexRange) -> Option<Expected> {
        if !self.request.counts_work() {
            return Some(Expected::Claim(claim));
        }
        Some(Expected::Work { claim, work: self.work_of(range)? })
    }

    fn work_of(&self, range: IndexRange) -> Option<Work> {
        let up_to = |end: u32| self.segments.get(end as usize - 1)?.work_so_far;
        let all = up_to(range.end())?;
        match range.start() {
            0 => Some(all),
            start => {
                let before = up_to(start)?;
                Some(Work { first: before.last + 1, value: all.value - before.value, ..all })
            }
        }
    }
}

#[cfg(test)]
mod tests;
