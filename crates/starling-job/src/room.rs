//! A disk without room, and what the job does until there is some.
//!
//! It is a state of the client and nobody's fault. What is done with is let go at once. The source holds back what it puts out.
//! A result that finds no room stays where it is and is asked for again; meanwhile nobody is given anything new, whose
//! result would find none either. The job can be stopped, and runs out of time, as ever.

use std::collections::BTreeMap;

use starling_sched::Event as Scheduled;
use starling_types::{Epoch, Millis};

use crate::{JobCore, Note, Script, SourceRun, results::Reported};

/// How long until a result that found no room is asked for again. To find that there is still none costs a look at the
/// disk.
const RETRY_PERIOD: Millis = Millis(1_000);

/// What waits for room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// What is missing, in words, as long as anything waits.
    reason: Option<String>,
    source_waits: bool,
    /// Results that there was no room for: whose they are. They are being checked again, or will be.
    results: BTreeMap<Epoch, Reported>,
    retry_at: Option<Millis>,
}

impl Room {
    pub(crate) fn is_lacking(&self) -> bool {
        self.reason.is_some()
    }

    pub(crate) fn next_wakeup(&self) -> Option<Millis> {
        self.retry_at
    }
}

impl<S: Script> JobCore<S> {
    /// What there is no room for, in words, while the job waits for some.
    pub fn lacks_room(&self) -> Option<&str> {
        self.room.reason.as_deref()
    }

    pub(crate) fn source_lacks_room(&mut self, run: SourceRun, reason: String) {
        if self.is_running(run) {
            self.room.source_waits = true;
            // What results lack matters more: it is what holds the job up.
            if self.room.results.is_empty() {
                self.lack_room(reason);
            }
        }
    }

    /// The source goes on.
    pub(crate) fn source_has_room(&mut self) {
        self.room.source_waits = false;
        self.go_on_if_nothing_waits();
    }

    /// The source is over, and waits for nothing any more: that says nothing of the disk.
    pub(crate) fn source_needs_no_room(&mut self) {
        self.room.source_waits = false;
        if self.room.results.is_empty() {
            self.room.reason = None;
        }
    }

    pub(crate) fn result_lacks_room(&mut self, result: Reported, reason: String) {
        self.room.results.insert(result.epoch, result);
        self.room.retry_at = Some(self.now + RETRY_PERIOD);
        self.hold_grants();
        self.lack_room(reason);
    }

    /// Tells the scheduler whether results wait for room.
    pub(crate) fn hold_grants(&mut self) {
        let are_held = !self.room.results.is_empty();
        self.schedule(Scheduled::GrantsHeld { are_held });
    }

    /// The result waits no longer, if it did.
    pub(crate) fn result_has_room(&mut self, epoch: Epoch) {
        if self.room.results.remove(&epoch).is_none() {
            return;
        }
        self.hold_grants();
        self.go_on_if_nothing_waits();
    }

    /// Asks for the results again that found no room, when it is time.
    pub(crate) fn retry_results(&mut self) {
        if self.room.retry_at.is_none_or(|at| self.now < at) || !self.is_working() {
            return;
        }
        self.room.retry_at = None;
        for (epoch, result) in self.room.results.clone() {
            if self.checking.contains_key(&epoch) {
                continue;
            }
            match self.scheduler.awaits(epoch) {
                true => self.check(result),
                // Another result of its task was accepted, or what it was made of taken back.
                false => self.result_has_room(epoch),
            }
        }
    }

    fn lack_room(&mut self, reason: String) {
        if !self.room.is_lacking() {
            self.say(Note::LacksRoom { reason: reason.clone() });
        }
        self.room.reason = Some(reason);
    }

    fn go_on_if_nothing_waits(&mut self) {
        let waits = self.room.source_waits || !self.room.results.is_empty();
        if !waits && self.room.reason.take().is_some() {
            self.say(Note::RoomAgain);
        }
    }
}
