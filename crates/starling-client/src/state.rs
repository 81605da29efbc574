//! What a job's log adds up to.
//!
//! One transition function, [`JobState::apply`]; a resumed job replays its log through it and goes on
//! from the state it finds. Nothing about a job is known that is not here.

use std::collections::BTreeMap;

use starling_store::StoredEvent;
use starling_types::{BlobRef, JobId, Po2, Reference, SegmentRange, TaskId};
use starling_zkvm::SegmentClaim;
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
            JobEvent::SegmentStored { index, po2, blob, claim } => {
                if index as usize != self.segments.len() {
                    return Err(format!("segment {index} follows {}", self.segments.len()));
                }
                self.segments.push(StoredSegment { po2, blob, claim });
            }
            JobEvent::ExecutionEnded(summary) => {
                if summary.segment_count as usize != self.segments.len() {
                    return Err(format!(
                        "the execution ended with {} segments, {} are there",
                        summary.segment_count,
                        self.segments.len()
                    ));
                }
                self.execution = Some(summary);
            }
            JobEvent::ResultAccepted { task, blob, node } => {
                let task: TaskId = task.parse().map_err(|error| format!("{error}"))?;
                if task.range().end() as usize > self.segments.len() {
                    return Err(format!("{task} is accepted before its segments are stored"));
                }
                *self.receipts_by_node.entry(node.to_string()).or_default() += 1;
                self.accepted.push((task, blob));
            }
            JobEvent::Done { receipt, seconds } => self.phase = JobPhase::Done { receipt, seconds },
            JobEvent::Failed { message } => self.phase = JobPhase::Failed { message },
            JobEvent::Cancelled => self.phase = JobPhase::Cancelled,
            JobEvent::Restarted { .. } => {
                self.segments.clear();
                self.execution = None;
                self.accepted.clear();
                self.receipts_by_node.clear();
            }
        }
        Ok(())
    }

    /// What a receipt of `range` must claim; `None` when its segments are not all known.
    pub fn expected_claim(&self, range: SegmentRange) -> Option<SegmentClaim> {
        let first = self.segments.get(range.start() as usize)?;
        let last = self.segments.get(range.end() as usize - 1)?;
        Some(first.claim.join(&last.claim))
    }

    /// Whether `reference` is a blob that the job's log names.
    pub fn names(&self, reference: Reference) -> bool {
        self.blobs().any(|blob| blob.reference == reference)
    }

    /// Every blob that the job still needs.
    pub fn blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let kept = match &self.phase {
            // A finished job needs its receipt only, so that asking again delivers it again.
            JobPhase::Done { receipt, .. } => (Some(*receipt), false),
            JobPhase::Cancelled => (None, false),
            JobPhase::Open | JobPhase::Failed { .. } => (None, true),
        };
        let (receipt, open) = kept;
        let working = open.then(|| {
            [self.request.guest, self.request.input]
                .into_iter()
                .chain(self.segments.iter().map(|segment| segment.blob))
                .chain(self.execution.iter().map(|summary| summary.journal))
                .chain(self.accepted.iter().map(|(_, blob)| *blob))
        });
        receipt.into_iter().chain(working.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests;
