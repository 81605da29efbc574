//! What the core decided, done; and what the source put out, handed to the core.

use starling_job::{Action, Event, SourceRun};
use starling_types::TaskId;

use super::{Beside, Runner};
use crate::{
    JobError, ZkvmPiece, ZkvmScript, execution::ExecutionEvent, journal::entry_of, judge, notes,
    source, translate::unwrap_sink,
};

impl Runner<'_> {
    /// Does it. What the core is to hear of that at once is returned.
    pub(super) fn act(&mut self, action: Action<ZkvmScript>) -> Option<Event<ZkvmScript>> {
        match action {
            Action::Record { id, events, pins, keep } => {
                let entry = entry_of(self.core.state(), &events).map(|entry| match keep {
                    Some(keep) => entry.holding_only(keep),
                    None => entry,
                });
                let written = entry.map(|entry| self.journal.log.hand_over(entry.holding(pins)));
                self.beside.spawn(async move {
                    let written = match written {
                        Ok(written) => written.await,
                        Err(error) => Err(error),
                    };
                    Beside::Event(match written {
                        Ok(_) => Event::Recorded { id },
                        Err(error) => Event::NotRecorded { id, error: error.into() },
                    })
                });
            }
            Action::Collect => {
                let blobs = self.blobs.clone();
                // What can't be removed now costs space only.
                drop(tokio::task::spawn_blocking(move || match blobs.collect() {
                    Ok(freed_bytes) => tracing::debug!(freed_bytes, "let go of what is done with"),
                    Err(error) => tracing::debug!(%error, "can't remove what is done with"),
                }));
            }
            Action::Grant { node, lease, arguments } => {
                let epoch = lease.epoch;
                if !self.peers.grant(node, lease, arguments.po2, arguments.counts_work) {
                    return Some(Event::LeaseReturned { node, epoch });
                }
            }
            Action::Revoke { node, epoch, reason } => self.peers.revoke(node, epoch, reason),
            Action::Disown { node, epoch } => self.peers.disown(node, epoch),
            Action::Tell { node, epoch, blob, verdict } => {
                if verdict.is_ok() {
                    self.peers.holds(node, blob);
                }
                let verdict = verdict.as_ref().copied().map_err(String::as_str);
                self.peers.verdict(node, epoch, verdict);
            }
            Action::Dismiss { node, reason } => {
                tracing::warn!(node = %format_args!("{node:#}"), reason, "dismissed a node");
                self.peers.dismiss(node, &reason);
            }
            Action::Void { node } => self.peers.void(node),
            Action::Check { node, epoch, task, blob, expected } => {
                let task = TaskId::try_from(task).expect("the zkVM's plan makes the zkVM's tasks");
                let source = self.peers.source(node);
                let check = self.checker.check(node, source, task, blob, expected);
                self.beside.spawn(async move {
                    Beside::Event(Event::Checked { epoch, verdict: check.await })
                });
            }
            Action::Look { blobs: wanted } => {
                let blobs = self.blobs.clone();
                self.beside.spawn_blocking(move || {
                    let (gone, pins) = judge::look(&blobs, &wanted);
                    Beside::Event(Event::Looked { blobs: wanted, gone, pins })
                });
            }
            Action::Judge { task, inputs } => {
                let blobs = self.blobs.clone();
                self.beside.spawn_blocking(move || {
                    Beside::Event(Event::Judged { task, faults: judge::faults(&blobs, inputs) })
                });
            }
            Action::StartSource { run } => {
                self.wanted = Some(run);
                let start = self.source.start(self.core.state());
                self.beside.spawn_blocking(move || match start() {
                    Ok(thread) => Beside::Started(run, thread),
                    Err(error) => Beside::Event(Event::SourceFailed { run, error }),
                });
            }
            Action::StopSource => (self.wanted, self.execution) = (None, None),
            Action::Say(note) => notes::say(note),
            Action::End(end) => self.end = Some(end),
        }
        None
    }

    pub(super) fn on_execution(&mut self, run: SourceRun, event: Option<ExecutionEvent>) {
        let (piece, pin) = match event {
            Some(ExecutionEvent::Segment { index, po2, blob: pin, claim, work }) => {
                let blob = pin.blob();
                (ZkvmPiece::Segment { index, po2, blob, claim, work }, pin)
            }
            Some(ExecutionEvent::Keccak { index, po2, blob: pin, assumption }) => {
                let blob = pin.blob();
                (ZkvmPiece::Keccak { index, po2, blob, assumption }, pin)
            }
            Some(ExecutionEvent::Ended(ended)) => {
                let printed = self.execution.take().map(|(_, thread)| thread.output.text());
                let (job, blobs) = (self.core.state().asked(), self.blobs.clone());
                self.beside.spawn_blocking(move || {
                    let ended = ended.map_err(unwrap_sink).and_then(|ended| {
                        source::ended(&job, ended, printed.unwrap_or_default(), &blobs)
                    });
                    Beside::Event(match ended {
                        Ok((piece, pins)) => Event::Emitted { run, piece, pins },
                        Err(error) => Event::SourceFailed { run, error },
                    })
                });
                return;
            }
            None => {
                self.execution = None;
                let detail = "its thread ended without a word".into();
                let error = JobError::Died { what: "the execution", detail };
                return self.tell(Event::SourceFailed { run, error });
            }
        };
        self.tell(Event::Emitted { run, piece, pins: vec![pin] });
    }
}
