//! What people read of a node: the core's notes as lines of the log.

use starling_node_core::Note;
use starling_types::{Task, TaskId};

/// Writes a note to the log.
pub(crate) fn write(note: &Note) {
    match note {
        Note::Serving { client } => {
            tracing::info!(client = %format_args!("{client:#}"), "serving a client");
        }
        Note::Resumed { client, leases } => {
            tracing::info!(client = %format_args!("{client:#}"), leases, "serving a client again");
        }
        Note::Away { client, reason } => {
            tracing::info!(client = %format_args!("{client:#}"), reason, "a client is away and is dialled again");
        }
        Note::Left { client, reason } => {
            tracing::info!(client = %format_args!("{client:#}"), reason, "it is over with a client");
        }
        Note::Proving { lease, task, profile } => {
            tracing::info!(job = %format_args!("{:#}", lease.job), task = %named(task), epoch = %lease.epoch, %profile, "proving");
        }
        Note::Proved { lease, task, elapsed } => {
            tracing::info!(job = %format_args!("{:#}", lease.job), task = %named(task), epoch = %lease.epoch, elapsed_ms = elapsed.0, "proved");
        }
        Note::Failed { lease, task, class, message } => {
            tracing::warn!(job = %format_args!("{:#}", lease.job), task = %named(task), epoch = %lease.epoch, ?class, message, "task failed");
        }
        Note::Revoked { lease, reason } => {
            tracing::info!(job = %format_args!("{:#}", lease.job), epoch = %lease.epoch, reason, "lease revoked");
        }
        Note::Refused { lease, reason } => {
            tracing::warn!(job = %format_args!("{:#}", lease.job), epoch = %lease.epoch, reason, "result refused");
        }
        Note::Reproved { task, count } => {
            tracing::warn!(task = %named(task), times = count, "a proof did not verify and was made once more");
        }
        Note::Killed { task, detail } => {
            tracing::warn!(task = %named(task), detail, "the prover was killed and the proof is begun again");
        }
        Note::DiskFull => {
            tracing::warn!("there is no room for blobs: no work is asked for until there is");
        }
        Note::DiskRoom => tracing::info!("there is room for blobs again"),
    }
}

/// What people call a task.
fn named(task: &Task) -> String {
    TaskId::try_from(*task).map_or_else(|task| task.to_string(), |task| task.to_string())
}
