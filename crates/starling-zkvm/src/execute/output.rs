//! Where a guest's bytes go: the journal, kept and capped, and its text, passed on and capped.

use std::{
    io::{self, ErrorKind, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use risc0_zkvm::Digest;

use super::calls::Sink;

/// The most bytes of a journal: RISC Zero's own limit.
pub const JOURNAL_BYTES_MAX: usize = 100 << 20;

/// The most bytes of text that a guest may print. It is meant for a person; a guest that prints in a loop
/// must not fill the terminal's scrollback or a log file.
pub const GUEST_OUTPUT_BYTES_MAX: usize = 1 << 20;

/// What the guest committed, shared between the executor's thread and the one that hands out segments.
#[derive(Clone, Default)]
pub(super) struct Journal {
    bytes: Arc<Mutex<Vec<u8>>>,
    overflowed: Arc<AtomicBool>,
}

impl Journal {
    pub(super) fn digest(&self) -> Digest {
        *Sha256::hash_bytes(&lock(&self.bytes))
    }

    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.bytes))
    }

    /// Whether the guest committed more than [`JOURNAL_BYTES_MAX`].
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Relaxed)
    }
}

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut journal = lock(&self.bytes);
        if journal.len() + bytes.len() > JOURNAL_BYTES_MAX {
            self.overflowed.store(true, Ordering::Relaxed);
            return Err(io::Error::new(ErrorKind::WriteZero, "journal limit reached"));
        }
        journal.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Journal {}

/// The guest's standard output and standard error, both ending in `sink` in the order of writing.
pub(super) fn guest_streams(sink: Box<dyn Write + Send>) -> (GuestStream, GuestStream) {
    let stream = GuestStream(Arc::new(Mutex::new(Capped { sink, left: GUEST_OUTPUT_BYTES_MAX })));
    (stream.clone(), stream)
}

#[derive(Clone)]
pub(super) struct GuestStream(Arc<Mutex<Capped>>);

struct Capped {
    sink: Box<dyn Write + Send>,
    left: usize,
}

impl Write for GuestStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut capped = lock(&self.0);
        let passed = bytes.len().min(capped.left);
        // Failures stay here: where a guest's text goes must not change what the guest does.
        let _ = capped.sink.write_all(&bytes[..passed]);
        if passed < bytes.len() && capped.left > 0 {
            let _ = writeln!(
                capped.sink,
                "\n[more than {GUEST_OUTPUT_BYTES_MAX} bytes of guest output: the rest is dropped]"
            );
        }
        capped.left -= passed;
        if passed < bytes.len() {
            capped.left = 0;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = lock(&self.0).sink.flush();
        Ok(())
    }
}

impl Sink for GuestStream {
    fn is_full(&self) -> bool {
        lock(&self.0).left == 0
    }
}

/// A panic elsewhere leaves these bytes as they are: they are only ever appended to.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn guest_text_is_cut_at_the_limit_and_says_so_once() {
        let sink = Shared::default();
        let (mut stdout, mut stderr) = guest_streams(Box::new(sink.clone()));
        stdout.write_all(&vec![b'a'; GUEST_OUTPUT_BYTES_MAX - 1]).unwrap();
        stderr.write_all(b"bcd").unwrap();
        stdout.write_all(b"efg").unwrap();
        let text = sink.0.lock().unwrap();
        let after = String::from_utf8_lossy(&text[GUEST_OUTPUT_BYTES_MAX - 1..]).into_owned();
        assert!(after.starts_with("b\n["), "{after}");
        assert_eq!(after.matches("dropped").count(), 1);
    }

    #[test]
    fn a_journal_beyond_its_limit_is_refused_and_remembered() {
        let mut journal = Journal::default();
        journal.write_all(&vec![0; JOURNAL_BYTES_MAX]).unwrap();
        assert!(!journal.overflowed());
        assert!(journal.write_all(b"x").is_err());
        assert!(journal.overflowed());
    }
}
