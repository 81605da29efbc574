//! A second look at results that were accepted, and at inputs that nodes refuse: whether they are what they must be.
//!
//! Nodes may lie, so they are not believed; but a result that was accepted once may be damaged on this disk since, or may
//! not be what a stricter check takes. All of it reads whole files: it blocks.

use std::collections::BTreeSet;

use starling_job::{Fault, GroupMember, JudgedInput};
use starling_store::BlobStore;
use starling_types::{BlobRef, Reference, Task};

use crate::{
    look::{DiskPatience, is_passing},
    system::{GroupResult, System},
};

/// What is wrong with the inputs of a task: all are read whole and hashed, and judged where they are results.
pub(crate) fn faults<S: System>(
    blobs: &BlobStore,
    inputs: Vec<JudgedInput<S::Expected>>,
) -> Vec<Fault> {
    let patience = DiskPatience::new();
    inputs.into_iter().filter_map(|input| fault_of::<S>(blobs, &patience, input)).collect()
}

fn fault_of<S: System>(
    blobs: &BlobStore,
    patience: &DiskPatience,
    input: JudgedInput<S::Expected>,
) -> Option<Fault> {
    let JudgedInput { blob, made } = input;
    let bytes = match read::<S>(blobs, patience, blob) {
        Readable::Bytes(bytes) => bytes,
        Readable::Later => return None,
        Readable::Lost => return Some(Fault::Lost(blob.reference)),
    };
    let (task, expected) = made?;
    S::check(task, &bytes, &expected).is_err().then_some(Fault::False(task))
}

/// What a check of results as a group found.
pub(crate) struct GroupVerdict {
    /// So many of the first were judged.
    pub(crate) judged: usize,
    /// Those of them that are not what they must be.
    pub(crate) false_ones: BTreeSet<Task>,
    /// The next one, where it is gone.
    pub(crate) lost: Option<Reference>,
}

/// Which results of a group are false. It ends before the first that can't be read: what is made of it can't be judged without
/// it.
pub(crate) fn group<S: System>(
    blobs: &BlobStore,
    members: Vec<GroupMember<S::Expected>>,
) -> GroupVerdict {
    let (mut results, mut lost) = (Vec::with_capacity(members.len()), None);
    let patience = DiskPatience::new();
    for GroupMember { task, blob, expected } in members {
        match read::<S>(blobs, &patience, blob) {
            Readable::Bytes(bytes) => results.push(GroupResult { task, bytes, expected }),
            Readable::Later => break,
            Readable::Lost => {
                lost = Some(blob.reference);
                break;
            }
        }
    }
    let false_ones = S::check_group(&results);
    GroupVerdict { judged: results.len(), false_ones, lost }
}

/// Whether a blob can be read.
enum Readable {
    Bytes(Vec<u8>),
    /// Not now, which says nothing of it.
    Later,
    /// It is not there, or not what its name says.
    Lost,
}

fn read<S: System>(blobs: &BlobStore, patience: &DiskPatience, blob: BlobRef) -> Readable {
    let size_bytes_max = blob.size_bytes.max(S::RESULT_SIZE_BYTES_MAX);
    match patience.read(|| blobs.get(blob.reference, size_bytes_max)) {
        Ok(Some(bytes)) => Readable::Bytes(bytes),
        Err(error) if is_passing(&error) => Readable::Later,
        Ok(None) | Err(_) => Readable::Lost,
    }
}
