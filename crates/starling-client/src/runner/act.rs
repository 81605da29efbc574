//! What the core decided, done.

use starling_job::{Action, Event, OutcomeOf};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use super::{Beside, Runner};
use crate::{
    JobError,
    journal::entry_of,
    judge::{self, GroupVerdict, InputsJudged},
    notes,
    run::apart,
    system::System,
};

impl<S: System> Runner<'_, S> {
    /// Does it. What the core is to hear of that at once is returned.
    pub(super) fn act(&mut self, action: Action<S>) -> Option<Event<S>> {
        match action {
            Action::Record { id, events, pins, keep } => {
                self.meter.logged(events.len());
                let entry = entry_of::<S>(self.core.state(), &events).map(|entry| match keep {
                    Some(keep) => entry.holding_only(keep),
                    None => entry,
                });
                let written = entry.map(|entry| self.log.hand_over(entry.holding(pins)));
                self.beside(async move {
                    let written = match written {
                        Ok(written) => written.await,
                        Err(error) => Err(error),
                    };
                    Beside::Event(match written {
                        Ok(_) => Event::Recorded { id },
                        Err(error) => {
                            tracing::warn!(%error, "not logged");
                            Event::NotRecorded { id, error: error.into() }
                        }
                    })
                });
            }
            Action::Collect => {
                let blobs = self.blobs.clone();
                // What can't be removed now costs space only.
                let span = Span::current();
                drop(tokio::task::spawn_blocking(move || {
                    let _entered = span.enter();
                    match blobs.collect() {
                        Ok(freed_bytes) => {
                            tracing::debug!(freed_bytes, "let go of what is done with");
                        }
                        Err(error) => tracing::debug!(%error, "can't remove what is done with"),
                    }
                }));
            }
            Action::Grant { node, lease, arguments } => {
                let (epoch, told) = (lease.epoch, S::told(lease.task, &arguments));
                if !self.peers.grant(node, lease, told) {
                    return Some(Event::LeaseReturned { node, epoch });
                }
            }
            Action::Revoke { node, epoch, reason } => self.peers.revoke(node, epoch, reason),
            Action::Disown { node, epoch } => self.peers.disown(node, epoch),
            Action::Tell { node, epoch, verdict, .. } => {
                let verdict = verdict.as_ref().copied().map_err(String::as_str);
                self.peers.verdict(node, epoch, verdict);
            }
            Action::Dismiss { node, reason } => {
                tracing::warn!(node = %format_args!("{node:#}"), reason, "dismissed a node");
                self.peers.dismiss(node, &reason);
            }
            Action::Void { node } => self.peers.void(node),
            Action::Check { node, epoch, task, blob, expected } => {
                let source = self.peers.source(node);
                let job = self.core.state().id();
                let check = self.checker.check::<S>(job, node, source, task, blob, expected);
                self.beside(async move {
                    Beside::Event(Event::Checked { epoch, verdict: check.await })
                });
            }
            Action::Look { blobs: wanted } => {
                let look = self.looks.look(self.blobs.clone(), wanted);
                self.beside_blocking(move || Beside::Event(look().event()));
            }
            Action::Judge { task, inputs } => {
                let blobs = self.blobs.clone();
                self.beside_blocking(move || {
                    let InputsJudged { faults, is_whole } = judge::inputs::<S>(&blobs, inputs);
                    Beside::Event(Event::Judged { task, faults, is_whole })
                });
            }
            Action::CheckGroup { group, results } => {
                let blobs = self.blobs.clone();
                self.beside_blocking(move || {
                    let GroupVerdict { judged, false_ones, lost } =
                        judge::group::<S>(&blobs, results);
                    Beside::Event(Event::GroupChecked { group, judged, false_ones, lost })
                });
            }
            Action::StartSource { run } => {
                self.source.want(run);
                let start = S::start(&mut self.begin, self.core.state(), &self.blobs);
                self.beside_blocking(move || match start() {
                    Ok(source) => Beside::Started(run, source),
                    Err(error) => Beside::Event(Event::SourceFailed { run, error }),
                });
            }
            Action::StopSource => self.source.stop(),
            Action::Deliver { outcome } => self.deliver(outcome),
            Action::StopDelivery => self.delivery = None,
            Action::CallNodes => {
                self.delivery = None;
                self.peers.call();
                self.watchers.send_modify(|now| now.delivering = false);
            }
            Action::Say(note) => {
                self.meter.count(&note);
                notes::say::<S>(note);
            }
            Action::End(end) => self.end = Some(end),
        }
        None
    }

    /// Has this run beside the loop, in the job's span.
    pub(super) fn beside(&mut self, work: impl Future<Output = Beside<S>> + Send + 'static) {
        self.beside.spawn(work.instrument(Span::current()));
    }

    /// As [`Self::beside`], for what waits for the disk or computes.
    pub(super) fn beside_blocking(&mut self, work: impl FnOnce() -> Beside<S> + Send + 'static) {
        let span = Span::current();
        self.beside.spawn_blocking(move || span.in_scope(work));
    }

    /// Puts together what was proved. The nodes have other things to do meanwhile.
    fn deliver(&mut self, outcome: OutcomeOf<S>) {
        self.peers.say_goodbye("the job is proved");
        self.watchers.send_modify(|now| now.delivering = true);
        let (state, blobs, stop) =
            (self.core.shared_state(), self.blobs.clone(), CancellationToken::new());
        self.delivery = Some(stop.clone().drop_guard());
        let delivered = apart("the delivery", move || {
            let delivery = S::deliver(&state, &blobs, &outcome, &stop);
            if stop.is_cancelled() {
                // Nobody waits for it, and nothing else would let go of what it has kept.
                drop(delivery);
                if let Err(error) = blobs.collect() {
                    tracing::debug!(%error, "can't remove what was put together");
                }
                return Err(JobError::Interrupted { job: state.id() });
            }
            delivery
        });
        self.beside(async move {
            match delivered.await {
                Ok(Ok(delivery)) => Beside::Delivered(Box::new(delivery)),
                Ok(Err(error)) | Err(error) => Beside::Event(Event::NotDelivered { error }),
            }
        });
    }
}
