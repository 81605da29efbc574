//! A job in a list: what the two ends of its log tell, so that a list of many jobs reads little of each.

use starling_store::{Ends, StoredEvent};
use starling_types::{ImageId, JobId};

use crate::{JobEvent, JobPhase, JobRequest, StateError, ZkvmEvent};

/// What was asked for, and where it stands. What the job has done so far is in its whole log
/// ([`load_job`](crate::load_job)).
#[derive(Debug, Clone, PartialEq)]
pub struct JobSummary {
    /// The job.
    pub id: JobId,
    /// What was asked.
    pub request: JobRequest,
    /// The guest's image id.
    pub image_id: ImageId,
    /// Where it stands.
    pub phase: JobPhase,
    /// When it was asked for, in Unix milliseconds.
    pub created_at_ms: u64,
    /// When its log was written to last, in Unix milliseconds.
    pub changed_at_ms: u64,
}

impl JobSummary {
    /// That of `job`, by the ends of its log.
    ///
    /// # Errors
    /// When they are not what this release writes.
    pub(crate) fn of(job: JobId, ends: &Ends) -> Result<Self, StateError> {
        let Ends { first, last, event_count } = ends;
        let missing_count = last.seq.saturating_sub(*event_count);
        if missing_count > 0 {
            return Err(StateError::Incomplete { job, event_count: last.seq, missing_count });
        }
        let JobEvent::Own(ZkvmEvent::Created { request, image_id, .. }) = read(job, first)? else {
            let detail = "it does not begin the job".into();
            return Err(StateError::Unreadable { job, seq: first.seq, detail });
        };
        Ok(Self {
            id: job,
            request,
            image_id,
            phase: phase_after(read(job, last)?),
            created_at_ms: first.at_ms,
            changed_at_ms: last.at_ms,
        })
    }
}

/// Where a job stands whose log ends with `last`. Whatever else is logged takes the job up, or is of a job that goes on.
pub(crate) fn phase_after(last: JobEvent) -> JobPhase {
    match last {
        JobEvent::Failed { message } => JobPhase::Failed { message },
        JobEvent::Cancelled => JobPhase::Cancelled,
        JobEvent::Own(ZkvmEvent::Done { receipt, work_receipt, seconds }) => {
            JobPhase::Done { receipt, work_receipt, seconds }
        }
        _ => JobPhase::Open,
    }
}

fn read(job: JobId, event: &StoredEvent) -> Result<JobEvent, StateError> {
    let unreadable = |error| StateError::Unreadable {
        job,
        seq: event.seq,
        detail: format!("{}: {error}", event.kind),
    };
    serde_json::from_str(&event.body).map_err(unreadable)
}
