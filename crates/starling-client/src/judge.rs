//! Looks at blobs that are here: whether they still are, and whether results among them are what they were accepted for.
//!
//! Nodes may lie, so they are not believed; but a result that was accepted once may be damaged on this disk since, or may
//! not be what a stricter check takes. All of it reads whole files: it blocks.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use starling_job::{Fault, GroupMember, JudgedInput};
use starling_store::{BlobStore, Pin, StoreError};
use starling_types::{BlobRef, Reference, Task};

use crate::system::{GroupResult, System};

/// What of `wanted` can't be had from the store, since it is not there or is not what its name says; and what keeps the rest.
pub(crate) fn look(blobs: &BlobStore, wanted: &[BlobRef]) -> (Vec<Reference>, Vec<Pin>) {
    let (mut gone, mut pins) = (Vec::new(), Vec::new());
    let patience = DiskPatience::new();
    for blob in wanted {
        match patience.read(|| blobs.pin(blob.reference)) {
            Ok(Some(pin)) => pins.push(pin),
            Ok(None) => gone.push(blob.reference),
            // Nothing is known of it. Whoever reads it finds out.
            Err(error) if is_passing(&error) => {
                tracing::warn!(blob = %format_args!("{:#}", blob.reference), %error, "not looked at");
            }
            Err(_) => gone.push(blob.reference),
        }
    }
    (gone, pins)
}

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

/// How long a disk is asked again that can't answer now, for all that is read together, and how long in between.
const PATIENCE: Duration = Duration::from_secs(5);
const TRY_PERIOD: Duration = Duration::from_millis(250);

/// Waits for a disk that can't answer now: once for all that is looked at together, since what troubles one blob troubles
/// the next.
struct DiskPatience {
    ends: Instant,
    period: Duration,
}

impl DiskPatience {
    fn new() -> Self {
        Self { ends: Instant::now() + PATIENCE, period: TRY_PERIOD }
    }

    /// What `read` says, once it is not for want of something that others have in use now.
    fn read<T>(&self, read: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        loop {
            match read() {
                Err(error) if is_passing(&error) && Instant::now() + self.period <= self.ends => {
                    std::thread::sleep(self.period);
                }
                read => return read,
            }
        }
    }
}

/// Whether an error says nothing of the blob: too many open files, no memory.
fn is_passing(error: &StoreError) -> bool {
    use rustix::io::Errno;

    let StoreError::Io { cause, .. } = error else { return false };
    let passing =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN, Errno::INTR];
    cause
        .raw_os_error()
        .is_some_and(|code| passing.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{cell::Cell, io};

    use super::*;

    fn failed(code: rustix::io::Errno) -> StoreError {
        let cause = io::Error::from_raw_os_error(code.raw_os_error());
        StoreError::Io { action: "open", path: "blob".into(), cause }
    }

    /// A disk that can't answer the first so many times, and how often it was asked.
    fn troubled(
        patience: &DiskPatience,
        answers: u32,
        asked: &Cell<u32>,
    ) -> Result<u32, StoreError> {
        patience.read(|| {
            asked.set(asked.get() + 1);
            if asked.get() < answers { Err(failed(rustix::io::Errno::MFILE)) } else { Ok(7) }
        })
    }

    #[test]
    fn a_disk_that_cannot_answer_now_is_asked_again_and_what_it_lost_is_lost() {
        let (patience, asked) = (DiskPatience::new(), Cell::new(0));
        assert_eq!(troubled(&patience, 3, &asked).unwrap(), 7);
        assert_eq!(asked.get(), 3);
        let broken = || -> Result<(), _> { Err(failed(rustix::io::Errno::IO)) };
        assert!(!is_passing(&patience.read(broken).unwrap_err()));
    }

    #[test]
    fn many_blobs_that_cannot_be_read_now_are_waited_for_as_long_as_one() {
        let period = Duration::from_millis(1);
        let patience = DiskPatience { ends: Instant::now() + Duration::from_millis(40), period };
        let began = Instant::now();
        let asked = Cell::new(0);
        for _ in 0..1_000 {
            assert!(is_passing(&troubled(&patience, u32::MAX, &asked).unwrap_err()));
        }
        assert!(asked.get() >= 1_001, "it was asked again, and each blob once at least");
        let each_ms = 40 * 1_000;
        assert!(began.elapsed() < Duration::from_millis(each_ms / 4), "{:?}", began.elapsed());
    }
}
