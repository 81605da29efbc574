//! Where the job's tasks come from: run when something is missing, compared with the log, run again for what is lost.

use std::collections::VecDeque;

use starling_types::Reference;

use crate::{
    Action, End, JobCore, JobEvent, Note, Script, SourceRun, Taken,
    config::{DIVERGENCES_MAX, SOURCE_RUNS_MAX},
    core::Phase,
    records::Then,
    room::Room,
};

/// The source, as the core sees it.
#[derive(Debug)]
pub(crate) struct SourceState<S: Script> {
    /// How often it was started.
    runs: u32,
    is_running: bool,
    /// How many of its pieces are on their way to the log.
    under_way: u32,
    /// The last piece, while others are on their way to the log.
    waiting: VecDeque<(S::Piece, Vec<S::Pin>)>,
    /// How often it told another story than the log.
    divergences: u32,
}

impl<S: Script> Default for SourceState<S> {
    fn default() -> Self {
        Self { runs: 0, is_running: false, under_way: 0, waiting: VecDeque::new(), divergences: 0 }
    }
}

impl<S: Script> SourceState<S> {
    pub(crate) fn piece_recorded(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

impl<S: Script> JobCore<S> {
    /// Runs the source if it is needed and does not run: for the first time, or for what of it is lost.
    pub(crate) fn run_source(&mut self) {
        let is_wanted = self.state.needs_source() || !self.lost.is_empty();
        if !is_wanted && self.source.waiting.is_empty() {
            // It ran again for what was lost, and all of that is there.
            self.stop_source();
        }
        // A new run begins when all of the old one is in the log, which it is compared with.
        let is_quiet = !self.source.is_running && self.source.under_way == 0;
        if !self.is_working() || !is_wanted || !is_quiet {
            return;
        }
        match self.lost.first() {
            Some(blob) if self.source.runs >= SOURCE_RUNS_MAX => {
                self.end(End::BlobMissing { blob: *blob });
            }
            _ => {
                self.source.runs += 1;
                self.source.is_running = true;
                self.act(Action::StartSource { run: SourceRun(self.source.runs) });
            }
        }
    }

    pub(crate) fn stop_source(&mut self) {
        self.source.waiting.clear();
        self.source_needs_no_room();
        if self.source.is_running {
            self.source.is_running = false;
            self.act(Action::StopSource);
        }
    }

    pub(crate) fn is_running(&self, run: SourceRun) -> bool {
        self.is_working() && self.source.is_running && run.0 == self.source.runs
    }

    pub(crate) fn source_failed(&mut self, run: SourceRun, error: S::Error) {
        if self.is_running(run) {
            self.source.is_running = false;
            self.end(End::Broken(error));
        }
    }

    pub(crate) fn emitted(&mut self, run: SourceRun, piece: S::Piece, pins: Vec<S::Pin>) {
        if self.is_running(run) {
            self.source_has_room();
            self.source.waiting.push_back((piece, pins));
            self.take_pieces();
        }
    }

    /// Takes what the source has put out, but for its last piece while others are on their way to the log.
    pub(crate) fn take_pieces(&mut self) {
        while let Some((piece, _)) = self.source.waiting.front() {
            let is_last = S::is_last(piece);
            if is_last && self.source.under_way > 0 {
                return;
            }
            let Some((piece, pins)) = self.source.waiting.pop_front() else { return };
            match self.state.take(piece) {
                Ok(Taken::New(events)) => {
                    self.source.under_way += 1;
                    let events = events.into_iter().map(JobEvent::Own).collect();
                    self.record(events, pins, Then::PieceStored);
                }
                Ok(Taken::Again(blobs)) => self.put_out_again(blobs, pins),
                Ok(Taken::Differs { reason }) => return self.diverge(reason),
                Err(error) => return self.end(End::Broken(error)),
            }
            if is_last {
                self.source.is_running = false;
                self.say(Note::SourceEnded);
            }
        }
    }

    /// What is lost among these is found, once the log's root holds it again.
    fn put_out_again(&mut self, blobs: Vec<Reference>, pins: Vec<S::Pin>) {
        let found: Vec<_> = blobs.into_iter().filter(|blob| self.lost.remove(blob)).collect();
        if !found.is_empty() {
            self.record(Vec::new(), pins, Then::Found(found));
        }
    }

    fn diverge(&mut self, reason: String) {
        if self.source.divergences >= DIVERGENCES_MAX {
            return self.end(End::Diverged { reason });
        }
        self.source.divergences += 1;
        self.stop_source();
        self.phase = Phase::StartingOver;
        self.say(Note::StartsOver { reason: reason.clone() });
        // One more than any lease number of this run began with.
        let incarnation = self.state.incarnation.next();
        let events = vec![JobEvent::Restarted { reason }, JobEvent::ClientStarted { incarnation }];
        self.record(events, Vec::new(), Then::StartOver);
    }

    /// The log is empty but for what was asked: a new scheduler, and the same nodes.
    pub(crate) fn start_over(&mut self) {
        if !matches!(self.phase, Phase::StartingOver) {
            return;
        }
        let plan = match self.state.replay() {
            Ok(replayed) => replayed.plan,
            Err(error) => return self.end(End::Failed(error)),
        };
        self.scheduler = starling_sched::Scheduler::new(
            self.config.scheduler.clone(),
            plan,
            self.state.incarnation,
            self.config.seed,
        );
        self.lost.clear();
        self.looking.clear();
        self.judging.clear();
        self.accepting.clear();
        self.checking.clear();
        self.held.clear();
        self.groups.clear();
        self.waiting = None;
        self.room = Room::default();
        self.proved = None;
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.act(Action::Void { node });
        }
        self.work();
    }
}
