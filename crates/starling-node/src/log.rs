//! What people read of a node: the core's notes as lines of the log. Clients cause most of them, so that they have a
//! [`Quota`].

use starling_net::Quota;
use starling_node_core::Note;
use starling_types::Millis;

/// Writes notes to the log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    quota: Quota,
}

impl Log {
    /// Writes a note, unless there were too many lately.
    pub(crate) fn write(&mut self, note: &Note, now: Millis) {
        let Some(omitted) = self.quota.take(now) else { return };
        if omitted > 0 {
            tracing::warn!(omitted, "clients caused too many log lines, so some were left out");
        }
        write(note);
    }
}

fn write(note: &Note) {
    match note {
        Note::Serving { client } => {
            tracing::info!(client = %format_args!("{client:#}"), "serving a client");
        }
        Note::Resumed { client, leases } => {
            tracing::info!(client = %format_args!("{client:#}"), leases, "serving a client again");
        }
        Note::Away { client, reason } => {
            tracing::info!(client = %format_args!("{client:#}"), reason, "lost the connection to a client; dialling it again");
        }
        Note::Left { client, reason } => {
            tracing::info!(client = %format_args!("{client:#}"), reason, "the work for a client is over");
        }
        Note::Proving { lease, task, profile } => {
            tracing::info!(job = %format_args!("{:#}", lease.job), task, epoch = %lease.epoch, %profile, "proving");
        }
        Note::Proved { lease, task, elapsed } => {
            tracing::info!(job = %format_args!("{:#}", lease.job), task, epoch = %lease.epoch, elapsed_ms = elapsed.0, "proved");
        }
        Note::Failed { lease, task, class, message } => {
            tracing::warn!(job = %format_args!("{:#}", lease.job), task, epoch = %lease.epoch, ?class, message, "task failed");
        }
        Note::Revoked { lease, reason } => {
            tracing::info!(job = %format_args!("{:#}", lease.job), epoch = %lease.epoch, reason, "lease revoked");
        }
        Note::Refused { lease, reason } => {
            tracing::warn!(job = %format_args!("{:#}", lease.job), epoch = %lease.epoch, reason, "result refused");
        }
        Note::Reproved { task, count } => {
            tracing::warn!(task, times = count, "a proof did not verify and was made once more");
        }
        Note::Killed { task, detail } => {
            tracing::warn!(task, detail, "the prover was killed and the proof is begun again");
        }
        Note::DiskFull => {
            tracing::warn!("there is no room for blobs: this node asks for no work until there is");
        }
        Note::DiskRoom => tracing::info!("there is room for blobs again"),
    }
}
