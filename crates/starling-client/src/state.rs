//! What a job's log adds up to.
//!
//! One transition function, [`JobState::apply`]; a resumed job replays its log through it and goes on
//! from the state it finds. Nothing about a job is known that is not here.

use std::collections::BTreeMap;

use starling_store::StoredEvent;
use starling_types::{BlobRef, IndexRange, JobId, Po2, TaskId};
use starling_zkvm::{AssumptionId, Expected, OutputParts, SegmentClaim, Work};
use thiserror::Error;

use crate::{ExecutionSummary, JobEvent, JobRequest};

/// A segment that the execution emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSegment {
    /// Its size.
    pub po2: Po2,
    /// The encoded segment.
    pub blob: BlobRef,
    /// What a receipt of it must claim.
    pub claim: SegmentClaim,
    /// The work that it counts, in jobs that count their work.
    pub work: Option<Work>,
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

/// A job as its log tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobState {
    /// The job's id.
    pub id: JobId,
    /// What was asked.
    pub request: JobRequest,
    /// The guest's image id, in hex.
    pub image_id: String,
    /// The seed of the guest's randomness, in hex: secret.
    pub seed: String,
    /// How many client processes have taken the job up.
    pub incarnation: u32,
    /// The segments so far, by index.
    pub segments: Vec<StoredSegment>,
    /// The keccak requests so far, by index.
    pub keccaks: Vec<StoredKeccak>,
    /// How the execution ended, once it has.
    pub execution: Option<ExecutionSummary>,
    /// The receipts so far, in the order in which they were accepted.
    pub accepted: Vec<(TaskId, BlobRef)>,
    /// Receipts accepted from each node.
    pub receipts_by_node: BTreeMap<String, u32>,
    /// When the job was asked for, in Unix milliseconds.
    pub created_at_ms: u64,
    /// Where it stands.
    pub phase: JobPhase,
}

/// A log that makes no job.
#[derive(Debug, Error)]
pub enum StateError {
    /// No event of the job is in the log.
    #[error("no job {job} in this data directory: `starling job list` shows those there are")]
    Unknown {
        /// The job asked for.
        job: JobId,
    },
    /// An event is not what this version writes.
    #[error(
        "event {seq} of job {job} can't be read: {detail}; was it written by a newer starling?"
    )]
    Unreadable {
        /// The job.
        job: JobId,
        /// The event's place in the log.
        seq: u64,
        /// What is wrong with it.
        detail: String,
    },
}

impl JobState {
    /// Replays `events`, the whole log of `job`.
    ///
    /// # Errors
    /// When there are none, or they do not add up.
    pub fn load(events: &[StoredEvent], job: JobId) -> Result<Self, StateError> {
        let mut state: Option<Self> = None;
        for stored in events {
            let unreadable =
                |detail: String| StateError::Unreadable { job, seq: stored.seq, detail };
            let event: JobEvent = serde_json::from_str(&stored.body)
                .map_err(|error| unreadable(error.to_string()))?;
            match (&mut state, event) {
                (None, JobEvent::Created { request, image_id, seed }) => {
                    state = Some(Self::new(job, request, image_id, seed, stored.at_ms));
                }
                (Some(state), event) => state.apply(event).map_err(unreadable)?,
                (None, event) => {
                    return Err(unreadable(format!("{} comes before created", event.kind())));
                }
            }
        }
        state.ok_or(StateError::Unknown { job })
    }

    /// The state of a job that was just asked for.
    pub fn new(
        id: JobId,
        request: JobRequest,
        image_id: String,
        seed: String,
        created_at_ms: u64,
    ) -> Self {
        Self {
            id,
            request,
            image_id,
            seed,
            incarnation: 0,
            segments: Vec::new(),
            keccaks: Vec::new(),
            execution: None,
            accepted: Vec::new(),
            receipts_by_node: BTreeMap::new(),
            created_at_ms,
            phase: JobPhase::Open,
        }
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// When `event` can't follow: the log was not written by this code, or is damaged.
    pub fn apply(&mut self, event: JobEvent) -> Result<(), String> {
        match event {
            JobEvent::Created { .. } => return Err("the job is created twice".into()),
            JobEvent::ClientStarted { incarnation } => {
                if incarnation <= self.incarnation {
                    return Err(format!("incarnation {incarnation} follows {}", self.incarnation));
                }
                self.incarnation = incarnation;
                // Taking up a failed job again is what `job resume` is for.
                if matches!(self.phase, JobPhase::Failed { .. }) {
                    self.phase = JobPhase::Open;
                }
            }
            JobEvent::SegmentStored { index, po2, blob, claim, work } => {
                if index as usize != self.segments.len() {
                    return Err(format!("segment {index} follows {}", self.segments.len()));
                }
                self.segments.push(StoredSegment { po2, blob, claim, work });
            }
            JobEvent::KeccakStored { index, po2, blob, assumption } => {
                if index as usize != self.keccaks.len() {
                    return Err(format!("keccak {index} follows {}", self.keccaks.len()));
                }
                self.keccaks.push(StoredKeccak { po2, blob, assumption });
            }
            JobEvent::ExecutionEnded(summary) => {
                if summary.segment_count as usize != self.segments.len() {
                    return Err(format!(
                        "the execution ended with {} segments, {} are there",
                        summary.segment_count,
                        self.segments.len()
                    ));
                }
                if summary.keccak_count as usize != self.keccaks.len() {
                    return Err(format!(
                        "the execution ended with {} keccak requests, {} are there",
                        summary.keccak_count,
                        self.keccaks.len()
                    ));
                }
                self.execution = Some(summary);
            }
            JobEvent::ResultAccepted { task, blob, node } => {
                let task: TaskId = task.parse().map_err(|error| format!("{error}"))?;
                if self.expected(task).is_none() {
                    return Err(format!("{task} is accepted before what it proves is known"));
                }
                *self.receipts_by_node.entry(node.to_string()).or_default() += 1;
                self.accepted.push((task, blob));
            }
            JobEvent::ResultRevoked { task } => {
                let task: TaskId = task.parse().map_err(|error| format!("{error}"))?;
                self.accepted.retain(|(accepted, _)| *accepted != task);
            }
            JobEvent::Done { receipt, work_receipt, seconds } => {
                self.phase = JobPhase::Done { receipt, work_receipt, seconds };
            }
            JobEvent::Failed { message } => self.phase = JobPhase::Failed { message },
            JobEvent::Cancelled => self.phase = JobPhase::Cancelled,
            JobEvent::Restarted { .. } => {
                self.segments.clear();
                self.keccaks.clear();
                self.execution = None;
                self.accepted.clear();
                self.receipts_by_node.clear();
            }
        }
        Ok(())
    }

    /// What a result of `task` must claim; `None` when what it proves is not all known yet.
    pub fn expected(&self, task: TaskId) -> Option<Expected> {
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

    /// What the keccak proofs in `range` are united to.
    pub fn united(&self, range: IndexRange) -> Option<AssumptionId> {
        let leaves = self.keccaks.get(range.start() as usize..range.end() as usize)?;
        let leaves: Vec<AssumptionId> = leaves.iter().map(|keccak| keccak.assumption).collect();
        Some(AssumptionId::of_union(&leaves))
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
        match self.output() {
            Some(output) if count <= output.assumptions.len() => {
                Some(SegmentClaim { output: output.digest_after(count), ..claim })
            }
            None if count == 0 => Some(claim),
            _ => None,
        }
    }

    fn output(&self) -> Option<&OutputParts> {
        self.execution.as_ref()?.output.as_ref()
    }

    /// As `claim`, with the work of `range` where the job counts it.
    fn counted(&self, claim: SegmentClaim, range: IndexRange) -> Option<Expected> {
        if !self.request.counts_work() {
            return Some(Expected::Claim(claim));
        }
        Some(Expected::Work { claim, work: self.work_of(range)? })
    }

    fn work_of(&self, range: IndexRange) -> Option<Work> {
        let segments = self.segments.get(range.start() as usize..range.end() as usize)?;
        let mut works = segments.iter().map(|segment| segment.work);
        let first = works.next()??;
        works.try_fold(first, |sum, next| sum.join(&next?))
    }
}

#[cfg(test)]
mod tests;
