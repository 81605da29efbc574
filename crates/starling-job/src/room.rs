//! A disk without room, and what the job does until there is some.
//!
//! A full disk is a state of the client and nobody's fault. The job lets go at once of what it no longer needs, and the source holds
//! back its output. A result that finds no room stays with its node and is asked for again. Meanwhile the job grants no new work,
//! because those results would find no room either. It can be stopped and runs out of time, as usual.
//!
//! There may never be room: if only the job's own blobs are in the way, and nothing under way would free any of them. Then the
//! run ends and says so. A later run goes on from there with more room.

use std::collections::BTreeMap;

use starling_sched::Event as Scheduled;
use starling_types::{Epoch, Millis};

use crate::{End, JobCore, Note, Script, Shortage, SourceRun, results::Reported};

/// How long until a result that found no room is asked for again. To find that there is still none costs a look at the
/// disk.
const RETRY_PERIOD: Millis = Millis(1_000);

/// How long a job waits for what it could make itself, and has nothing under way for: until each result was asked for twice
/// again.
const VAIN_PERIOD: Millis = Millis(3 * RETRY_PERIOD.0);

/// What waits for room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// What is missing, in words, as long as anything waits.
    reason: Option<String>,
    /// What the source lacks, while it waits.
    source: Option<Shortage>,
    /// Results that there was no room for: whose they are, and whether the job itself leaves them none. They are being checked
    /// again, or will be.
    results: BTreeMap<Epoch, (Reported, bool)>,
    retry_at: Option<Millis>,
    /// Since when the job waits for what never comes by itself.
    vain_since: Option<Millis>,
    /// Whether all was let go since the job waits, be it done with in this run or in an earlier one.
    has_let_go: bool,
}

impl Room {
    pub(crate) fn is_lacking(&self) -> bool {
        self.reason.is_some()
    }

    pub(crate) fn next_wakeup(&self) -> Option<Millis> {
        let ends_at = self.vain_since.map(|since| since + VAIN_PERIOD);
        self.retry_at.into_iter().chain(ends_at).min()
    }

    /// Whether nobody but the job itself is in the way of all that waits.
    fn is_own(&self) -> bool {
        let source = self.source.iter().map(|shortage| shortage.is_own);
        let results = self.results.values().map(|(_, is_own)| *is_own);
        self.is_lacking() && source.chain(results).all(|is_own| is_own)
    }
}

impl<S: Script> JobCore<S> {
    /// What there is no room for, in words, while the job waits for some.
    pub fn lacks_room(&self) -> Option<&str> {
        self.room.reason.as_deref()
    }

    pub(crate) fn source_lacks_room(&mut self, run: SourceRun, shortage: Shortage) {
        if self.is_running(run) {
            // What results lack matters more: it is what holds the job up.
            if self.room.results.is_empty() {
                self.lack_room(shortage.reason.clone());
            }
            self.room.source = Some(shortage);
        }
    }

    /// The source goes on.
    pub(crate) fn source_has_room(&mut self) {
        self.room.source = None;
        self.go_on_if_nothing_waits();
    }

    /// The source is over, and waits for nothing any more: that says nothing of the disk.
    pub(crate) fn source_needs_no_room(&mut self) {
        self.room.source = None;
        if self.room.results.is_empty() {
            self.room.reason = None;
        }
    }

    pub(crate) fn result_lacks_room(&mut self, result: Reported, shortage: Shortage) {
        let Shortage { reason, is_own } = shortage;
        self.room.results.insert(result.epoch, (result, is_own));
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
        for (epoch, (result, _)) in self.room.results.clone() {
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

    /// Ends the run once the job has waited long enough for what only it could make, and does not.
    pub(crate) fn end_if_room_never_comes(&mut self) {
        if !self.waits_in_vain() {
            self.room.vain_since = None;
            return;
        }
        if !std::mem::replace(&mut self.room.has_let_go, true) {
            return self.let_go();
        }
        let since = *self.room.vain_since.get_or_insert(self.now);
        if since + VAIN_PERIOD <= self.now
            && let Some(reason) = self.room.reason.clone()
        {
            self.end(End::NoRoom { reason });
        }
    }

    /// Whether the job itself is in its own way, and nothing is under way that would let go of anything.
    fn waits_in_vain(&self) -> bool {
        if !self.is_working() || !self.room.is_own() {
            return false;
        }
        let is_quiet = self.records.count() == 0
            && self.looking.is_empty()
            && self.judging.is_empty()
            && self.groups.is_idle()
            && self.checking.keys().all(|epoch| self.room.results.contains_key(epoch));
        // While results wait, nothing is given out; else whatever can be is, as soon as there is a node for it.
        is_quiet
            && match self.room.results.is_empty() {
                true => self.scheduler.is_idle(),
                false => !self.scheduler.has_open_leases(),
            }
    }

    fn lack_room(&mut self, reason: String) {
        if !self.room.is_lacking() {
            self.say(Note::LacksRoom { reason: reason.clone() });
        }
        self.room.reason = Some(reason);
    }

    fn go_on_if_nothing_waits(&mut self) {
        let waits = self.room.source.is_some() || !self.room.results.is_empty();
        if !waits && self.room.reason.take().is_some() {
            self.room.has_let_go = false;
            self.say(Note::RoomAgain);
        }
    }
}
