//! A second look at a task that several nodes refuse: are its inputs still what they were accepted for?
//!
//! Nodes may lie, so they are not believed; but a receipt that was accepted once may be damaged on this disk since, or may
//! not be what a stricter check takes.

use std::future::Future;

use starling_store::BlobStore;
use starling_types::{BlobRef, NodeId, Reference, TaskId};
use starling_zkvm::{Expected, verify_task};

use crate::{JobState, check::RESULT_SIZE_BYTES_MAX};

/// A task to look at.
pub(crate) struct Judged {
    pub(crate) task: TaskId,
    pub(crate) inputs: Vec<BlobRef>,
    /// Who refuses it.
    pub(crate) nodes: Vec<NodeId>,
    /// The last one's words.
    pub(crate) message: String,
}

/// What is wrong with an input.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is gone, or is not what its name says.
    Lost(Reference),
    /// It is the receipt of this task, and does not verify.
    False(TaskId),
}

/// Looks at all inputs: read whole, hashed, and verified where they are receipts.
pub(crate) fn look_again(
    blobs: BlobStore,
    state: &JobState,
    judged: Judged,
) -> impl Future<Output = (Judged, Vec<Fault>)> + Send + 'static {
    let inputs: Vec<(BlobRef, Option<(TaskId, Expected)>)> = judged
        .inputs
        .iter()
        .map(|blob| {
            let maker = state.accepted.iter().find(|(_, accepted)| accepted == blob);
            let expected = maker.and_then(|(task, _)| Some((*task, state.expected(*task)?)));
            (*blob, expected)
        })
        .collect();
    async move {
        let look = move || -> Vec<Fault> {
            inputs.into_iter().filter_map(|(blob, made)| fault_of(&blobs, blob, made)).collect()
        };
        // A look that dies has found nothing.
        let faults = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        (judged, faults)
    }
}

fn fault_of(blobs: &BlobStore, blob: BlobRef, made: Option<(TaskId, Expected)>) -> Option<Fault> {
    let size_bytes_max = blob.size_bytes.max(RESULT_SIZE_BYTES_MAX);
    let Ok(Some(bytes)) = blobs.get(blob.reference, size_bytes_max) else {
        return Some(Fault::Lost(blob.reference));
    };
    let (task, expected) = made?;
    verify_task(task, &bytes, &expected).is_err().then_some(Fault::False(task))
}
