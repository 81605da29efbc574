//! Looks at blobs that are here: whether they still are, and whether results among them are what they were accepted for.
//!
//! Nodes may lie, so they are not believed; but a result that was accepted once may be damaged on this disk since, or may
//! not be what a stricter check takes. All of it reads whole files: it blocks.

use starling_job::{Fault, JudgedInput};
use starling_store::{BlobStore, Pin};
use starling_types::{BlobRef, Reference};

use crate::system::System;

/// What of `wanted` can't be had from the store, since it is not there or is not what its name says; and what keeps the rest.
pub(crate) fn look(blobs: &BlobStore, wanted: &[BlobRef]) -> (Vec<Reference>, Vec<Pin>) {
    let (mut gone, mut pins) = (Vec::new(), Vec::new());
    for blob in wanted {
        match blobs.pin(blob.reference) {
            Ok(Some(pin)) => pins.push(pin),
            Ok(None) | Err(_) => gone.push(blob.reference),
        }
    }
    (gone, pins)
}

/// What is wrong with the inputs of a task: all are read whole and hashed, and judged where they are results.
pub(crate) fn faults<S: System>(
    blobs: &BlobStore,
    inputs: Vec<JudgedInput<S::Expected>>,
) -> Vec<Fault> {
    inputs.into_iter().filter_map(|input| fault_of::<S>(blobs, input)).collect()
}

fn fault_of<S: System>(blobs: &BlobStore, input: JudgedInput<S::Expected>) -> Option<Fault> {
    let JudgedInput { blob, made } = input;
    let size_bytes_max = blob.size_bytes.max(S::RESULT_SIZE_BYTES_MAX);
    let Ok(Some(bytes)) = blobs.get(blob.reference, size_bytes_max) else {
        return Some(Fault::Lost(blob.reference));
    };
    let (task, expected) = made?;
    S::check(task, &bytes, &expected).is_err().then_some(Fault::False(task))
}
