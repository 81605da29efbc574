//! The execution of a job's guest, on a thread of its own, segment by segment into the store.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use starling_store::BlobStore;
use starling_types::{BlobRef, Po2};
use starling_zkvm::{
    ExecuteError, ExecuteOptions, Execution, Guest, SegmentClaim, SegmentOut, execute,
};
use tokio::sync::mpsc;

/// Segments that may wait for the event loop. They lie on disk already; this bounds messages only.
const SEGMENTS_WAITING_MAX: usize = 64;

/// How much of what the guest printed last is kept for error messages.
const OUTPUT_TAIL_BYTES: usize = 2 << 10;

/// What the execution thread tells the event loop.
pub(crate) enum ExecutionEvent {
    /// A segment is in the store.
    Segment { index: u32, po2: Po2, blob: BlobRef, claim: SegmentClaim },
    /// The execution is over.
    Ended(Result<Execution, ExecuteError>),
}

/// A running execution; dropping it stops it at the next segment.
pub(crate) struct ExecutionThread {
    pub(crate) events: mpsc::Receiver<ExecutionEvent>,
    pub(crate) output: OutputTail,
    cancel: Arc<AtomicBool>,
}

impl ExecutionThread {
    /// Starts `guest`. What it prints goes to `options.guest_output` and, the last of it, to `output`.
    pub(crate) fn start(guest: Guest, mut options: ExecuteOptions, blobs: BlobStore) -> Self {
        let (sender, events) = mpsc::channel(SEGMENTS_WAITING_MAX);
        let cancel = Arc::new(AtomicBool::new(false));
        let output = OutputTail::default();
        options.guest_output =
            Box::new(Tee { first: options.guest_output, second: output.clone() });
        let stop = cancel.clone();
        std::thread::spawn(move || {
            let to_loop = sender.clone();
            let on_segment = move |segment: SegmentOut| {
                let SegmentOut { index, po2, claim, bytes, .. } = segment;
                let blob = blobs.put(&bytes)?;
                to_loop.blocking_send(ExecutionEvent::Segment { index, po2, blob, claim })?;
                Ok(())
            };
            let ended = execute(&guest, options, on_segment, &stop);
            // Nobody waits for the end of an execution that was cancelled.
            let _ = sender.blocking_send(ExecutionEvent::Ended(ended));
        });
        Self { events, output, cancel }
    }
}

impl Drop for ExecutionThread {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// The last of what the guest printed.
#[derive(Clone, Default)]
pub(crate) struct OutputTail(Arc<Mutex<VecDeque<u8>>>);

impl OutputTail {
    /// The text, with what is no UTF-8 replaced.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.make_contiguous()).into_owned()
    }
}

impl Write for OutputTail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(bytes);
        let excess = tail.len().saturating_sub(OUTPUT_TAIL_BYTES);
        tail.drain(..excess);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to both; only the first one's errors count.
struct Tee {
    first: Box<dyn Write + Send>,
    second: OutputTail,
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.first.write(bytes)?;
        let _ = self.second.write(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.first.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_last_of_the_output() {
        let mut tail = OutputTail::default();
        tail.write_all(&[b'x'; OUTPUT_TAIL_BYTES]).unwrap();
        tail.write_all(b"the end").unwrap();
        let text = tail.text();
        assert_eq!(text.len(), OUTPUT_TAIL_BYTES);
        assert!(text.ends_with("xthe end"));
    }
}
