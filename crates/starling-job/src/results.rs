//! What becomes of results: checked, logged, and then told to all.

use std::borrow::Borrow as _;

use starling_plan::Certainty;
use starling_sched::Event as Scheduled;
use starling_types::{BlobRef, Epoch, NodeId, Task};

use crate::{Action, End, JobCore, JobEvent, Note, Script, Verdict, records::Then};

/// How often one result may come to harm here. A check that breaks again and again may break by what is in the result: it counts
/// as one that cannot be had then.
const HARMS_MAX: u32 = 3;

/// A result that a node reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) task: Task,
    pub(crate) blob: BlobRef,
    /// How often it came to harm here.
    pub(crate) harms: u32,
}

impl<S: Script> JobCore<S> {
    pub(crate) fn check(&mut self, reported: Reported) {
        let Reported { node, epoch, task, blob, .. } = reported;
        let Some(expected) = self.state.expected(task) else { return self.contradict(task) };
        self.checking.insert(epoch, reported);
        self.act(Action::Check { node, epoch, task, blob, expected });
    }

    pub(crate) fn checked(&mut self, epoch: Epoch, verdict: Verdict<S>) {
        // What the result was made of may be about to be taken back: in the log it would come after that, and count.
        if self.records.take_back() {
            return self.held.push((epoch, verdict));
        }
        let Some(mut reported) = self.checking.remove(&epoch) else { return };
        // What the result was made of may have been taken back, or another result of its task been accepted.
        if !self.is_working() || !self.scheduler.awaits(epoch) {
            return self.result_has_room(epoch);
        }
        if !matches!(verdict, Verdict::LacksRoom { .. }) {
            self.result_has_room(epoch);
        }
        match verdict {
            Verdict::Accepted(pin) => self.record_result(reported, Certainty::Final, pin),
            Verdict::Provisional(pin) => self.record_result(reported, Certainty::Provisional, pin),
            Verdict::Refused { reason } => {
                self.say(Note::Refused { node: reported.node, reason: reason.clone() });
                self.tell(reported, Err(reason.clone()));
                self.schedule(Scheduled::ResultRefused { epoch, reason });
            }
            Verdict::Ours { reason } if reported.harms + 1 < HARMS_MAX => {
                reported.harms += 1;
                self.say(Note::CheckedAgain { task: reported.task, reason });
                self.check(reported);
            }
            Verdict::Unfetchable { reason } | Verdict::Ours { reason } => {
                self.say(Note::Unfetchable { node: reported.node, reason: reason.clone() });
                self.tell(reported, Err(reason.clone()));
                self.schedule(Scheduled::ResultUnfetchable { epoch, reason });
            }
            Verdict::LacksRoom { shortage } => self.result_lacks_room(reported, shortage),
        }
    }

    /// Of two copies that are done at the same time the log keeps the first.
    fn record_result(&mut self, reported: Reported, certainty: Certainty, pin: S::Pin) {
        let Reported { node, task, blob, .. } = reported;
        if self.accepting.insert(task) {
            let is_provisional = certainty == Certainty::Provisional;
            let events = vec![JobEvent::ResultAccepted { task, blob, node, is_provisional }];
            self.record(events, vec![pin], Then::Accept(reported, certainty));
        }
    }

    /// The result is in the log.
    pub(crate) fn accept(&mut self, reported: Reported, certainty: Certainty) {
        let Reported { node, epoch, task, blob, .. } = reported;
        self.accepting.remove(&task);
        if certainty == Certainty::Final {
            self.kept.done_with(self.scheduler.inputs_of_lease(node, epoch).iter());
        }
        self.say(Note::Accepted { node, task });
        self.tell(reported, Ok(()));
        if self.scheduler.awaits(epoch) {
            self.schedule(match certainty {
                Certainty::Final => Scheduled::ResultAccepted { epoch, blob },
                Certainty::Provisional => Scheduled::ResultTaken { epoch, blob },
            });
        }
    }

    /// The results whose verdicts wait: nothing but their pins keeps them in the store.
    pub fn held_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.held.iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Accepted(pin) | Verdict::Provisional(pin) => Some(*pin.borrow()),
            _ => None,
        })
    }

    /// Looks at the verdicts that waited, once nothing is about to be taken back.
    pub(crate) fn release_held(&mut self) {
        if !self.records.take_back() {
            for (epoch, verdict) in std::mem::take(&mut self.held) {
                self.checked(epoch, verdict);
            }
        }
    }

    /// A result counts, or would, of which nothing in the log says what it must be. The plan makes tasks of what is in the log only;
    /// but the log is a file, and others may have changed it.
    pub(crate) fn contradict(&mut self, task: Task) {
        let detail = format!("nothing in the log says what the result of {task} must be");
        self.end(End::Contradiction { detail });
    }

    fn tell(&mut self, reported: Reported, verdict: Result<(), String>) {
        let Reported { node, epoch, blob, .. } = reported;
        self.act(Action::Tell { node, epoch, blob, verdict });
    }
}
