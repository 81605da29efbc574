//! Looks at blobs that are here: whether they still are, and whether results among them are what they were accepted for.
//!
//! Nodes may lie, so they are not believed; but a result that was accepted once may be damaged on this disk since, or may
//! not be what a stricter check takes. All of it reads whole files: it blocks.

use std::time::Duration;

use starling_job::{Fault, JudgedInput};
use starling_store::{BlobStore, Pin, StoreError};
use starling_types::{BlobRef, Reference};

use crate::system::System;

/// What of `wanted` can't be had from the store, since it is not there or is not what its name says; and what keeps the rest.
pub(crate) fn look(blobs: &BlobStore, wanted: &[BlobRef]) -> (Vec<Reference>, Vec<Pin>) {
    let (mut gone, mut pins) = (Vec::new(), Vec::new());
    for blob in wanted {
        match patiently(|| blobs.pin(blob.reference)) {
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
    inputs.into_iter().filter_map(|input| fault_of::<S>(blobs, input)).collect()
}

fn fault_of<S: System>(blobs: &BlobStore, input: JudgedInput<S::Expected>) -> Option<Fault> {
    let JudgedInput { blob, made } = input;
    let size_bytes_max = blob.size_bytes.max(S::RESULT_SIZE_BYTES_MAX);
    let bytes = match patiently(|| blobs.get(blob.reference, size_bytes_max)) {
        Ok(Some(bytes)) => bytes,
        Err(error) if is_passing(&error) => return None,
        Ok(None) | Err(_) => return Some(Fault::Lost(blob.reference)),
    };
    let (task, expected) = made?;
    S::check(task, &bytes, &expected).is_err().then_some(Fault::False(task))
}

/// How often, and how long in between, a disk is asked again that can't answer now.
const TRIES: u32 = 20;
const TRY_PERIOD: Duration = Duration::from_millis(250);

/// What `read` says, once it is not for want of something that others have in use now.
fn patiently<T>(read: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 1..TRIES {
        match read() {
            Err(error) if is_passing(&error) => std::thread::sleep(TRY_PERIOD),
            read => return read,
        }
    }
    read()
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

    #[test]
    fn a_disk_that_cannot_answer_now_is_asked_again_and_what_it_lost_is_lost() {
        let asked = Cell::new(0);
        let read = || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(failed(rustix::io::Errno::MFILE)) } else { Ok(7) }
        };
        assert_eq!(patiently(read).unwrap(), 7);
        assert_eq!(asked.get(), 3);
        let broken = || -> Result<(), _> { Err(failed(rustix::io::Errno::IO)) };
        assert!(!is_passing(&patiently(broken).unwrap_err()));
    }
}
