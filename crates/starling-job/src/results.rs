//! What becomes of results: checked, logged, and then told to all.

use starling_sched::Event as Scheduled;
use starling_types::{BlobRef, Epoch, NodeId, Task};

use crate::{Action, JobCore, JobEvent, Note, Script, Verdict, records::Then};

impl<S: Script> JobCore<S> {
    pub(crate) fn check(&mut self, node: NodeId, epoch: Epoch, task: Task, blob: BlobRef) {
        let expected = self.state.expected(task);
        let expected = expected.expect("the plan makes tasks of what is in the log only");
        self.checking.insert(epoch, (node, task, blob));
        self.act(Action::Check { node, epoch, task, blob, expected });
    }

    pub(crate) fn checked(&mut self, epoch: Epoch, verdict: Verdict<S>) {
        let Some((node, task, blob)) = self.checking.remove(&epoch) else { return };
        // What the result was made of may have been taken back, or another result of its task been accepted.
        if !self.is_working() || !self.scheduler.awaits(epoch) {
            return self.result_has_room(epoch);
        }
        if !matches!(verdict, Verdict::LacksRoom { .. }) {
            self.result_has_room(epoch);
        }
        match verdict {
            // Of two copies that are done at the same time the log keeps the first.
            Verdict::Accepted(_) if self.accepting.contains(&task) => {}
            Verdict::Accepted(pin) => {
                self.accepting.insert(task);
                let events = vec![JobEvent::ResultAccepted { task, blob, node }];
                self.record(events, vec![pin], Then::Accept { node, epoch, task, blob });
            }
            Verdict::Refused { reason } => {
                self.say(Note::Refused { node, reason: reason.clone() });
                self.act(Action::Tell { node, epoch, blob, verdict: Err(reason.clone()) });
                self.schedule(Scheduled::ResultRefused { epoch, reason });
            }
            Verdict::Unfetchable { reason } => {
                self.say(Note::Unfetchable { node, reason: reason.clone() });
                self.act(Action::Tell { node, epoch, blob, verdict: Err(reason.clone()) });
                self.schedule(Scheduled::ResultUnfetchable { epoch, reason });
            }
            Verdict::LacksRoom { reason } => {
                self.result_lacks_room(epoch, (node, task, blob), reason);
            }
        }
    }

    /// The result is in the log.
    pub(crate) fn accept(&mut self, node: NodeId, epoch: Epoch, task: Task, blob: BlobRef) {
        self.accepting.remove(&task);
        self.kept.done_with(&self.scheduler.inputs_of_lease(node, epoch));
        self.say(Note::Accepted { node, task });
        self.act(Action::Tell { node, epoch, blob, verdict: Ok(()) });
        if self.scheduler.awaits(epoch) {
            self.schedule(Scheduled::ResultAccepted { epoch, blob });
        }
    }
}
