//! A second look at results that were accepted, and at inputs that nodes refuse: whether they are what they must be.
//!
//! Nodes may lie, so they are not believed. But a result that was accepted once may have been damaged on this disk since, or may
//! fail a stricter check. All of this reads whole files, so it blocks.

use std::collections::BTreeSet;

use starling_job::{Fault, GroupMember, JudgedInput};
use starling_store::BlobStore;
use starling_types::{BlobRef, Reference, Task};

use crate::{
    look::{DiskPatience, is_passing},
    system::{GroupResult, System},
};

/// What was found of the inputs of a task.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InputsJudged {
    /// What is wrong with them.
    pub(crate) faults: Vec<Fault>,
    /// Whether all could be read.
    pub(crate) is_whole: bool,
}

/// What is wrong with the inputs of a task: all are read whole and hashed, and judged where they are results.
pub(crate) fn inputs<S: System>(
    blobs: &BlobStore,
    inputs: Vec<JudgedInput<S::Expected>>,
) -> InputsJudged {
    let patience = DiskPatience::new();
    judged::<S>(inputs, |blob| read::<S>(blobs, &patience, blob))
}

fn judged<S: System>(
    inputs: Vec<JudgedInput<S::Expected>>,
    read: impl Fn(BlobRef) -> Readable,
) -> InputsJudged {
    let mut judged = InputsJudged { faults: Vec::new(), is_whole: true };
    for JudgedInput { blob, made } in inputs {
        match (read(blob), made) {
            (Readable::Lost, _) => judged.faults.push(Fault::Lost(blob.reference)),
            (Readable::Later, _) => judged.is_whole = false,
            (Readable::Bytes(_), None) => {}
            (Readable::Bytes(bytes), Some((task, expected))) => {
                if S::check(task, &bytes, &expected).is_err() {
                    judged.faults.push(Fault::False(task));
                }
            }
        }
    }
    judged
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ZkvmScript;

    fn input(name: u8) -> JudgedInput<<ZkvmScript as starling_job::Script>::Expected> {
        let blob = BlobRef { reference: Reference([name; 32]), size_bytes: 1 };
        JudgedInput { blob, made: None }
    }

    #[test]
    fn an_input_that_cannot_be_read_now_is_neither_wrong_nor_right() {
        let read = |blob: BlobRef| match blob.reference.0[0] {
            1 => Readable::Bytes(vec![1]),
            2 => Readable::Later,
            _ => Readable::Lost,
        };
        let judged = |names: &[u8]| {
            let inputs = names.iter().map(|name| input(*name)).collect();
            let InputsJudged { faults, is_whole } = super::judged::<ZkvmScript>(inputs, read);
            (faults, is_whole)
        };
        let lost = Fault::Lost(Reference([3; 32]));
        assert_eq!(judged(&[1, 1]), (vec![], true));
        assert_eq!(judged(&[1, 2]), (vec![], false));
        assert_eq!(judged(&[2, 3, 1]), (vec![lost], false));
    }
}
