//! Between a job's core and the words of those around it: messages of nodes, errors of a job, lengths of time.

use std::time::Duration;

use starling_job::{End, JobState, Word};
use starling_proto::NodeMessage;
use starling_sched::TaskFailure;
use starling_types::{Millis, NodeId};

use crate::{JobError, system::System};

/// What a message says of the job.
pub(crate) fn word_of(node: NodeId, message: NodeMessage) -> Option<Word> {
    Some(match message {
        NodeMessage::WorkRequested => Word::WorkRequested,
        NodeMessage::Renew { lease, done_permille, waits } => {
            Word::Renewed { epoch: lease.epoch, done_permille, waits }
        }
        NodeMessage::Decline { lease, busy } => Word::Declined { epoch: lease.epoch, busy },
        NodeMessage::Done(done) => {
            tracing::debug!(node = %format_args!("{node:#}"), epoch = %done.lease.epoch, prove_ms = done.prove_ms, peak = %done.peak_memory, "a result was reported");
            Word::Done { epoch: done.lease.epoch, blob: done.result }
        }
        NodeMessage::Failed(failure) => {
            let starling_proto::Failure { lease, class, message } = failure;
            Word::Failed { epoch: lease.epoch, failure: TaskFailure { class, message } }
        }
        // The connection closes next, and that is what counts.
        NodeMessage::Leaving { .. } | NodeMessage::Hello(_) => return None,
    })
}

/// What the end of a run is to its user; `None` when the job is done.
pub(crate) fn error_of<S: System>(end: End<S>, state: &JobState<S>) -> Option<JobError> {
    let job = state.id();
    Some(match end {
        End::Proved(_) => return None,
        End::Failed(reason) => reason.into(),
        End::Broken(error) => error,
        End::Diverged { reason } => JobError::Diverged { reason },
        End::NoCapacity { waited, reason } => JobError::NoCapacity {
            waited: Duration::from_millis(waited.0),
            reason: reason.to_string(),
        },
        End::OutOfTime { limit } => {
            JobError::OutOfTime { limit: Duration::from_millis(limit.0), job }
        }
        End::NoRoom { reason } => JobError::NoRoom { reason },
        End::BlobMissing { blob } => {
            let what = format!("blob {blob:#}");
            match state.asked_blobs().iter().any(|asked| asked.reference == blob) {
                true => JobError::AskedMissing { what, job },
                false => JobError::BlobMissing { what, job },
            }
        }
        End::Contradiction { detail } => JobError::Died { what: "the job's state", detail },
        End::Stopped => JobError::Interrupted { job },
    })
}

/// A length of time as the core counts it.
pub(crate) fn millis(length: Duration) -> Millis {
    Millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}
