//! What is on its way to the log, in order, and what follows once it is there.

use std::{
    borrow::Borrow as _,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use starling_plan::Certainty;
use starling_types::{BlobRef, Reference, Task};

use crate::{
    Action, End, JobCore, JobEvent, Note, RecordId, Script, groups::GroupVerdict, results::Reported,
};

/// What follows when a record is in the log and applied.
#[derive(Debug)]
pub(crate) enum Then {
    /// The piece counts.
    PieceStored,
    /// Blobs that were lost are there again.
    Found(Vec<Reference>),
    /// The result counts, for now or for good.
    Accept(Reported, Certainty),
    /// Of results that counted for now, some count for good and some do not any more.
    GroupChecked(GroupVerdict),
    /// A result does not count any more, since it proved false.
    Revoke(Task),
    /// A result is gone.
    Lose(Reference),
    /// Everything begins again.
    StartOver,
    /// The log keeps what was looked at.
    Kept,
    /// The log keeps no more than what is needed.
    Trimmed,
    /// The run is over.
    End,
}

#[derive(Debug)]
struct Record<S: Script> {
    id: RecordId,
    events: Vec<JobEvent<S::Event>>,
    /// What the log keeps from then on.
    blobs: Vec<BlobRef>,
    then: Then,
    is_written: bool,
}

impl<S: Script> Record<S> {
    fn takes_back(&self) -> bool {
        self.events.iter().any(JobEvent::takes_back)
    }
}

/// The records that are under way, oldest first.
#[derive(Debug)]
pub(crate) struct Records<S: Script> {
    next: u64,
    under_way: VecDeque<Record<S>>,
    /// How many of them take results back.
    taking_back_count: usize,
}

impl<S: Script> Default for Records<S> {
    fn default() -> Self {
        Self { next: 0, under_way: VecDeque::new(), taking_back_count: 0 }
    }
}

impl<S: Script> Records<S> {
    pub(crate) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// Whether a result that counts is about not to.
    pub(crate) fn take_back(&self) -> bool {
        self.taking_back_count > 0
    }

    /// What the log is about to keep.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.under_way.iter().flat_map(|record| record.blobs.iter().copied())
    }

    /// The oldest, if it is written: they are applied in their order, whatever the order of the answers.
    fn pop_written(&mut self) -> Option<Record<S>> {
        let record = self.under_way.pop_front_if(|record| record.is_written)?;
        self.taking_back_count -= usize::from(record.takes_back());
        Some(record)
    }
}

impl<S: Script> JobCore<S> {
    pub(crate) fn record(
        &mut self,
        events: Vec<JobEvent<S::Event>>,
        pins: Vec<S::Pin>,
        then: Then,
    ) {
        self.record_keeping(events, pins, None, then);
    }

    pub(crate) fn record_keeping(
        &mut self,
        events: Vec<JobEvent<S::Event>>,
        pins: Vec<S::Pin>,
        keep: Option<BTreeSet<Reference>>,
        then: Then,
    ) {
        let id = RecordId(self.records.next);
        self.records.next += 1;
        let blobs = pins.iter().map(|pin| *pin.borrow()).collect();
        let record = Record { id, events: events.clone(), blobs, then, is_written: false };
        self.records.taking_back_count += usize::from(record.takes_back());
        self.records.under_way.push_back(record);
        self.act(Action::Record { id, events, pins, keep });
    }

    pub(crate) fn recorded(&mut self, id: RecordId) {
        // Numbered in their order.
        if let Ok(place) = self.records.under_way.binary_search_by_key(&id, |record| record.id) {
            self.records.under_way[place].is_written = true;
        }
        while let Some(record) = self.records.pop_written() {
            let state = Arc::make_mut(&mut self.state);
            let applied = record.events.iter().try_for_each(|event| state.apply(event));
            match applied {
                Ok(()) => self.follow(record.then),
                Err(detail) => self.end(End::Contradiction { detail }),
            }
            self.release_held();
        }
    }

    /// What was not written has not happened. What came after it, the log does not take either.
    pub(crate) fn not_recorded(&mut self, id: RecordId, error: S::Error) {
        let records = &mut self.records;
        records.under_way.retain(|record| record.id != id);
        let taking_back = records.under_way.iter().filter(|record| record.takes_back());
        records.taking_back_count = taking_back.count();
        self.end_unrecorded(error);
    }

    fn follow(&mut self, then: Then) {
        match then {
            Then::PieceStored => {
                self.source.piece_recorded();
                self.take_pieces();
            }
            Then::Found(blobs) => {
                for blob in blobs {
                    self.say(Note::Found { blob });
                    self.schedule(starling_sched::Event::BlobFound { blob });
                }
            }
            Then::Accept(reported, certainty) => self.accept(reported, certainty),
            Then::GroupChecked(verdict) => self.group_recorded(verdict),
            Then::Revoke(task) => self.revoke(task),
            Then::Lose(blob) => self.lose_result(blob),
            Then::StartOver => self.start_over(),
            Then::Kept => self.work_if_looked(),
            Then::Trimmed => self.act(Action::Collect),
            Then::End => {}
        }
        self.tell_plan();
    }
}
