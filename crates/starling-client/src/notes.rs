//! What a job's core has to say, as lines of the log that people read.

use starling_job::Note;

use crate::{lines, system::System};

/// Whether nodes can have it said as often as they like.
fn is_of_nodes(note: &Note) -> bool {
    matches!(
        note,
        Note::Expired { .. }
            | Note::Revived { .. }
            | Note::ProvedFalse { .. }
            | Note::Refused { .. }
            | Note::Unfetchable { .. }
            | Note::Failed { .. }
            | Note::Judged { .. }
            | Note::Disbelieved { .. }
    )
}

/// Says it.
pub(crate) fn say<S: System>(note: Note) {
    if is_of_nodes(&note) && !lines::one_more() {
        return;
    }
    let named = S::name_of;
    match note {
        Note::Granted { node, epoch, task, po2, memory } => {
            tracing::debug!(task = %named(task), node = %format_args!("{node:#}"), %epoch, ?po2, %memory, "granted");
        }
        Note::Expired { node, epoch, task, reason } => {
            tracing::info!(task = %named(task), node = %format_args!("{node:#}"), %epoch, ?reason, "a lease expired; the task goes elsewhere");
        }
        Note::Revived { node, epoch, task } => {
            tracing::info!(task = %named(task), node = %format_args!("{node:#}"), %epoch, "an expired lease is active again");
        }
        Note::Accepted { node, task } => {
            tracing::debug!(task = %named(task), node = %format_args!("{node:#}"), "accepted");
        }
        Note::Confirmed { node, task } => {
            tracing::debug!(task = %named(task), node = %format_args!("{node:#}"), "a result that was accepted for now is confirmed");
        }
        Note::ProvedFalse { node, task } => {
            tracing::warn!(task = %named(task), node = %format_args!("{node:#}"), "a result that was accepted for now proved false: it is made again, with everything that was made from it");
        }
        Note::Refused { node, reason } => {
            tracing::warn!(node = %format_args!("{node:#}"), reason, "a result was refused");
        }
        Note::Unfetchable { node, reason } => {
            tracing::warn!(node = %format_args!("{node:#}"), reason, "a result could not be fetched");
        }
        Note::CheckedAgain { task, reason } => {
            tracing::warn!(task = %named(task), reason, "a result was damaged on this machine, and is fetched and checked again");
        }
        Note::Ignored(reason) => tracing::debug!(%reason, "ignored"),
        Note::Lost { blob } => {
            tracing::warn!(blob = %format_args!("{blob:#}"), "a blob is missing or damaged on this machine and is made again");
        }
        Note::Failed { node, epoch, task, failure } => {
            tracing::warn!(node = %format_args!("{node:#}"), %epoch, task = %named(task), class = ?failure.class, message = failure.message, "a node failed at a task");
        }
        Note::Found { blob } => {
            tracing::info!(blob = %format_args!("{blob:#}"), "a blob that was lost is here again");
        }
        Note::Judged { task, faults, is_whole } => {
            tracing::warn!(task = %named(task), ?faults, is_whole, "checked the inputs of a task that nodes refuse");
        }
        Note::NotDelivered { reason } => {
            tracing::warn!(
                reason,
                "the receipt can't be assembled from what was proved; the missing parts are made again"
            );
        }
        Note::Disbelieved { task, node_count, message } => {
            tracing::warn!(task = %named(task), node_count, message, "nodes say that a task can't be done, but its inputs are sound: the task goes to other nodes");
        }
        Note::NotRestored { task, error } => {
            tracing::warn!(task = %named(task), %error, "an accepted result can't be restored, so it is made again");
        }
        Note::StartsOver { reason } => {
            tracing::warn!(
                reason,
                "the source did not put out the same work again, so the job starts over"
            );
        }
        Note::LacksRoom { reason } => {
            tracing::warn!(
                reason,
                "no room on the disk: the job waits, and goes on when there is some"
            );
        }
        Note::RoomAgain => tracing::info!("there is room on the disk again"),
        Note::SourceEnded => tracing::debug!("all that there is to prove is in the log"),
    }
}
