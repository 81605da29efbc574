//! What is gone from the store, or false though it was accepted: found, withheld, made again.

use starling_plan::Plan as _;
use starling_sched::{Event as Scheduled, Judgement};
use starling_types::{BlobRef, Reference, Task};

use crate::{
    Action, End, Fault, JobCore, JobEvent, JudgedInput, Note, Script, core::Phase, records::Then,
};

impl<S: Script> JobCore<S> {
    /// Has blobs looked at, but for those that are being looked at.
    pub(crate) fn look(&mut self, blobs: Vec<BlobRef>) {
        let is_new = |blob: &BlobRef| self.looking.insert(blob.reference);
        let blobs: Vec<BlobRef> = blobs.into_iter().filter(is_new).collect();
        if !blobs.is_empty() {
            self.act(Action::Look { blobs });
        }
    }

    pub(crate) fn looked(&mut self, blobs: &[BlobRef], gone: Vec<Reference>, pins: Vec<S::Pin>) {
        for blob in blobs {
            self.looking.remove(&blob.reference);
        }
        if !matches!(self.phase, Phase::Beginning | Phase::Working) {
            return;
        }
        // What had been done with is not kept any more, and is needed again.
        if !pins.is_empty() {
            self.record(Vec::new(), pins, Then::Kept);
        }
        for blob in gone {
            self.lose(blob);
        }
        self.work_if_looked();
    }

    /// Begins to work when all that is there was looked at, and what is gone is in the log.
    pub(crate) fn work_if_looked(&mut self) {
        let is_beginning = matches!(self.phase, Phase::Beginning);
        if is_beginning && self.looking.is_empty() && self.records.count() == 0 {
            self.work();
        }
    }

    /// A blob is gone. A result is made again by nodes, what the source put out by the source.
    fn lose(&mut self, blob: Reference) {
        if self.state.maker(blob).is_some() {
            return self.record(vec![JobEvent::ResultLost { blob }], Vec::new(), Then::Lose(blob));
        }
        if self.state.is_of_source(blob) {
            if self.lost.insert(blob) {
                self.say(Note::Lost { blob });
                self.tell_lost(blob);
            }
            return;
        }
        if self.live_blobs().iter().any(|live| live.reference == blob) {
            self.end(End::BlobMissing { blob });
        }
    }

    /// That the result is gone is in the log.
    pub(crate) fn lose_result(&mut self, blob: Reference) {
        self.say(Note::Lost { blob });
        self.tell_lost(blob);
        self.work_if_looked();
    }

    /// Tells the plan, also while nothing is given out: what is read again since is looked at in turn.
    fn tell_lost(&mut self, blob: Reference) {
        if matches!(self.phase, Phase::Beginning) {
            let revoked = self.scheduler.lose_unseen(blob);
            return self.look(revoked);
        }
        self.schedule(Scheduled::BlobLost { blob });
    }

    pub(crate) fn judge(&mut self, task: Task, inputs: Vec<BlobRef>) {
        let inputs = inputs.into_iter().map(|blob| {
            let maker = self.state.maker(blob.reference);
            let made = maker.and_then(|task| Some((task, self.state.expected(task)?)));
            JudgedInput { blob, made }
        });
        let inputs = inputs.collect();
        self.judging.insert(task);
        self.act(Action::Judge { task, inputs });
    }

    pub(crate) fn judged(&mut self, task: Task, faults: Vec<Fault>, is_whole: bool) {
        if !self.judging.remove(&task) || !self.is_working() {
            return;
        }
        self.say(Note::Judged { task, faults: faults.clone(), is_whole });
        let judgement = match (faults.is_empty(), is_whole) {
            (false, _) => Judgement::Faulty,
            (true, true) => Judgement::Sound,
            (true, false) => Judgement::Unknown,
        };
        for fault in faults {
            match fault {
                Fault::Lost(blob) => self.lose(blob),
                Fault::False(task) => {
                    let events = vec![JobEvent::ResultRevoked { task }];
                    self.record(events, Vec::new(), Then::Revoke(task));
                }
            }
        }
        self.schedule(Scheduled::Judged { task, judgement });
    }

    /// That the result is false is in the log. Nobody is blamed for it: it passed the check when it was accepted, and that says the
    /// same of the same bytes each time, so that it is of an earlier run whose check took more. Who made it made it in good
    /// faith, or cannot be told from who did; and should they make the same again, this run's check refuses it, and dismisses
    /// them for that. Of what counts for now only, the check of its group says who is to blame (`groups.rs`).
    pub(crate) fn revoke(&mut self, task: Task) {
        // Two looks may have found the same.
        if self.scheduler.plan().is_accepted(task) {
            self.schedule(Scheduled::ResultRevoked { task });
        }
    }
}
