//! What a job's tasks are made of, on a thread of its own, piece by piece into the store: a guest's
//! execution, or a composite receipt that is taken apart.

use std::{
    collections::VecDeque,
    error::Error,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use starling_job::Shortage;
use starling_store::Pin;
use starling_types::Po2;
use starling_zkvm::{
    AssumptionId, Emitted, ExecuteError, ExecuteOptions, Execution, Guest, Receipt, SegmentClaim,
    Work, codec, execute,
    receipt::{CompositeParts, GivenAssumption, ReceiptError, open_composite},
};
use tokio::sync::mpsc;
use tracing::Span;

use crate::{Given, JobError, room::JobRoom};

/// Pieces that may wait for the event loop. They lie on disk already; this bounds messages only.
const PIECES_WAITING_MAX: usize = 64;

/// How much of what the guest printed last is kept for error messages.
const OUTPUT_TAIL_BYTES: usize = 2 << 10;

/// What the execution tells the event loop.
#[derive(Debug)]
pub(crate) enum ExecutionEvent {
    /// A segment, or a receipt of one, is in the store.
    Segment { index: u32, po2: Po2, blob: Pin, claim: SegmentClaim, work: Option<Work> },
    /// A keccak request is in the store.
    Keccak { index: u32, po2: Po2, blob: Pin, assumption: AssumptionId },
    /// There is no room for what comes next.
    LacksRoom(Shortage),
    /// The execution is over.
    Ended(Result<Ended, JobError>),
}

/// An execution that came to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) execution: Execution,
    /// Its journal.
    pub(crate) journal: Pin,
    pub(crate) keccak_count: u32,
    /// The receipts that there are of what the guest may have assumed.
    pub(crate) given: Vec<Given>,
    /// Those of them that came with the execution, and that the job's root does not hold yet.
    pub(crate) pins: Vec<Pin>,
}

/// A running execution; dropping it stops it at the next segment.
pub(crate) struct ExecutionThread {
    /// What came before the rest.
    first: VecDeque<ExecutionEvent>,
    events: mpsc::Receiver<ExecutionEvent>,
    pub(crate) output: OutputTail,
    cancel: Arc<AtomicBool>,
}

impl ExecutionThread {
    /// Starts `guest`. What it prints goes to `options.guest_output` and, the last of it, to `output`.
    pub(crate) fn start(
        guest: Guest,
        mut options: ExecuteOptions,
        given: Vec<Given>,
        room: JobRoom,
    ) -> Self {
        let output = OutputTail::default();
        options.guest_output =
            Box::new(Tee { first: options.guest_output, second: output.clone() });
        Self::spawn(output, move |pieces, cancel| {
            let mut keccak_count = 0;
            let on_emitted = |emitted: Emitted| {
                keccak_count += u32::from(matches!(emitted, Emitted::Keccak(_)));
                stored(emitted, &room, |event| pieces.blocking_send(event).is_ok())
            };
            let execution = execute(&guest, options, on_emitted, cancel)?;
            let journal =
                put(&execution.journal, 0, &room, |event| pieces.blocking_send(event).is_ok())?;
            Ok(Ended { execution, journal, keccak_count, given, pins: Vec::new() })
        })
    }

    /// Takes a composite receipt apart, whose assumptions have succinct receipts.
    pub(crate) fn open(receipt: Receipt, room: JobRoom) -> Self {
        Self::spawn(OutputTail::default(), move |pieces, _cancel| {
            let parts = open_composite(&receipt)?;
            let execution = execution_of(&parts, receipt.journal.bytes)?;
            let mut send = |event| pieces.blocking_send(event).is_ok();
            let (given, pins) = stored_given(&parts.assumptions, &room, &mut send)?;
            for (index, segment) in (0..).zip(parts.segments) {
                let bytes = codec::encode_segment_receipt(&segment.receipt)
                    .map_err(|error| malformed(&error.to_string()))?;
                let blob = put(&bytes, index, &room, &mut send)?;
                let (po2, claim, work) = (segment.po2, segment.claim, None);
                if !send(ExecutionEvent::Segment { index, po2, blob, claim, work }) {
                    return Err(ExecuteError::Cancelled.into());
                }
            }
            let journal = put(&execution.journal, 0, &room, &mut send)?;
            Ok(Ended { execution, journal, keccak_count: 0, given, pins })
        })
    }

    /// An execution that goes on elsewhere and is told of through `events`, `first` before them.
    pub(crate) fn elsewhere(
        first: VecDeque<ExecutionEvent>,
        events: mpsc::Receiver<ExecutionEvent>,
    ) -> Self {
        let (output, cancel) = (OutputTail::default(), Arc::default());
        Self { first, events, output, cancel }
    }

    /// The next event; `None` when the thread has died.
    pub(crate) async fn next(&mut self) -> Option<ExecutionEvent> {
        match self.first.pop_front() {
            Some(first) => Some(first),
            None => self.events.recv().await,
        }
    }

    /// The ends of the channel for [`Self::elsewhere`].
    pub(crate) fn channel() -> (mpsc::Sender<ExecutionEvent>, mpsc::Receiver<ExecutionEvent>) {
        mpsc::channel(PIECES_WAITING_MAX)
    }

    fn spawn(
        output: OutputTail,
        work: impl FnOnce(&mpsc::Sender<ExecutionEvent>, &AtomicBool) -> Result<Ended, JobError>
        + Send
        + 'static,
    ) -> Self {
        let (sender, events) = Self::channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let stop = cancel.clone();
        let span = Span::current();
        let started = std::thread::Builder::new().name("execution".into()).spawn(move || {
            let _entered = span.enter();
            let ended = work(&sender, &stop);
            // Nobody waits for the end of an execution that was cancelled.
            let _ = sender.blocking_send(ExecutionEvent::Ended(ended));
        });
        if let Err(error) = started {
            // The sender has gone with it: listeners hear that there is no execution.
            tracing::error!(%error, "can't start a thread to execute the guest");
        }
        Self { first: VecDeque::new(), events, output, cancel }
    }
}

impl Drop for ExecutionThread {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// The execution that a composite receipt proves. How many cycles were the guest's own it does not say.
fn execution_of(parts: &CompositeParts, journal: Vec<u8>) -> Result<Execution, JobError> {
    let claim = parts.claim().ok_or_else(|| malformed("it has no segments"))?;
    Ok(Execution {
        exit_code: claim.exit_code,
        journal,
        output: parts.output.clone(),
        segment_count: parts.segments.len() as u32,
        user_cycles: 0,
        total_cycles: parts.segments.iter().map(|segment| segment.po2.cycles()).sum(),
        claim,
    })
}

fn malformed(reason: &str) -> JobError {
    ReceiptError::Invalid { reason: reason.into() }.into()
}

/// Puts what an execution emitted into the store, when there is room for it, and sends it. `send` says whether anybody
/// listens.
///
/// # Errors
/// When nobody does, and when the store fails: the execution ends with that.
pub(crate) fn stored(
    emitted: Emitted,
    room: &JobRoom,
    mut send: impl FnMut(ExecutionEvent) -> bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let event = match emitted {
        Emitted::Segment(segment) => ExecutionEvent::Segment {
            index: segment.index,
            po2: segment.po2,
            blob: put(&segment.bytes, segment.index, room, &mut send)?,
            claim: segment.claim,
            work: segment.work,
        },
        Emitted::Keccak(keccak) => ExecutionEvent::Keccak {
            index: keccak.index,
            po2: keccak.po2,
            blob: put(&keccak.bytes, keccak.index, room, &mut send)?,
            assumption: keccak.assumption,
        },
    };
    if send(event) { Ok(()) } else { Err(ExecuteError::Cancelled.into()) }
}

/// Puts bytes of an execution into the store that follow `piece_count` pieces, when there is room for them. `send` says whether
/// anybody waits for them.
///
/// # Errors
/// When nobody does, and when the store fails.
pub(crate) fn put(
    bytes: &[u8],
    piece_count: u32,
    room: &JobRoom,
    mut send: impl FnMut(ExecutionEvent) -> bool,
) -> Result<Pin, JobError> {
    let tell = |shortage| send(ExecutionEvent::LacksRoom(shortage));
    Ok(room.put(bytes, piece_count, tell)?.ok_or(ExecuteError::Cancelled)?)
}

/// Puts the receipts of what may be assumed into the store.
pub(crate) fn stored_given(
    proved: &[GivenAssumption],
    room: &JobRoom,
    mut send: impl FnMut(ExecutionEvent) -> bool,
) -> Result<(Vec<Given>, Vec<Pin>), JobError> {
    let mut stored = (Vec::new(), Vec::new());
    for GivenAssumption { id, bytes } in proved {
        let pin = put(bytes, 0, room, &mut send)?;
        stored.0.push(Given { id: *id, blob: pin.blob() });
        stored.1.push(pin);
    }
    Ok(stored)
}

/// The last of what the guest printed.
#[derive(Clone, Default)]
pub(crate) struct OutputTail(Arc<Mutex<VecDeque<u8>>>);

impl OutputTail {
    /// The text, with bytes that are not UTF-8 replaced.
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
