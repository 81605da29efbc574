//! The places for job connections: so many at once, and nobody keeps one for ever by keeping silent.
//!
//! When all are taken, a newcomer gets that of the peer that has said nothing for longest, if that is long. A node that works
//! says so every few seconds; one that only waits for work comes back and waits again, so that those who wait take turns.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use n0_future::time::Instant;

use crate::limits::{JOB_CONNECTION_COUNT_MAX, PLACE_SILENCE_MAX};

/// The places; `C` is what holds one, and is handed back when it loses it.
#[derive(Debug)]
pub(crate) struct Places<C> {
    table: Arc<Mutex<Table<C>>>,
    started: Instant,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<C> {
    places: Places<C>,
    id: u64,
}

/// Notes that the peer in a place was heard.
#[derive(Debug, Clone)]
pub(crate) struct Ear<C> {
    places: Places<C>,
    id: u64,
}

impl<C> Clone for Places<C> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), started: self.started }
    }
}

impl<C> Places<C> {
    pub fn new() -> Self {
        Self { table: Arc::default(), started: Instant::now() }
    }

    /// A place for `holder`, and whoever had to leave it; the holder itself where there is none.
    pub fn enter(&self, holder: C) -> Result<(Place<C>, Option<C>), C> {
        let (id, left) = self.table().enter(self.started.elapsed(), holder)?;
        Ok((Place { places: self.clone(), id }, left))
    }

    fn table(&self) -> MutexGuard<'_, Table<C>> {
        // Each change of the table is whole before anything that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Place<C> {
    /// What notes that its peer was heard.
    pub fn ear(&self) -> Ear<C> {
        Ear { places: self.places.clone(), id: self.id }
    }
}

impl<C> Ear<C> {
    /// Its peer was heard.
    pub fn hear(&self) {
        let now = self.places.started.elapsed();
        self.places.table().hear(now, self.id);
    }
}

impl<C> Drop for Place<C> {
    fn drop(&mut self) {
        self.places.table().leave(self.id);
    }
}

#[derive(Debug)]
struct Table<C> {
    count_max: usize,
    entered_count: u64,
    /// When each was heard last, and who it is.
    taken: BTreeMap<u64, (Duration, C)>,
}

impl<C> Default for Table<C> {
    fn default() -> Self {
        Self { count_max: JOB_CONNECTION_COUNT_MAX, entered_count: 0, taken: BTreeMap::new() }
    }
}

impl<C> Table<C> {
    fn enter(&mut self, now: Duration, holder: C) -> Result<(u64, Option<C>), C> {
        let mut left = None;
        if self.taken.len() >= self.count_max {
            let silent = self.taken.iter().min_by_key(|(_, (heard_at, _))| *heard_at);
            let is_long = |heard_at: Duration| now.saturating_sub(heard_at) >= PLACE_SILENCE_MAX;
            let Some(id) = silent.filter(|(_, taken)| is_long(taken.0)).map(|(id, _)| *id) else {
                return Err(holder);
            };
            left = self.taken.remove(&id).map(|(_, holder)| holder);
        }
        self.entered_count += 1;
        self.taken.insert(self.entered_count, (now, holder));
        Ok((self.entered_count, left))
    }

    fn hear(&mut self, now: Duration, id: u64) {
        if let Some((heard_at, _)) = self.taken.get_mut(&id) {
            *heard_at = now;
        }
    }

    fn leave(&mut self, id: u64) {
        self.taken.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LATER: Duration = PLACE_SILENCE_MAX;

    fn full() -> (Table<&'static str>, [u64; 2]) {
        let mut table = Table { count_max: 2, ..Table::default() };
        let mut enter = |name| table.enter(Duration::ZERO, name).unwrap().0;
        let ids = [enter("first"), enter("second")];
        (table, ids)
    }

    #[test]
    fn whoever_was_heard_lately_keeps_its_place() {
        let (mut table, _) = full();
        let soon = LATER - Duration::from_millis(1);
        assert_eq!(table.enter(soon, "third"), Err("third"));
    }

    #[test]
    fn the_place_of_who_was_silent_for_longest_goes_to_a_newcomer() {
        let (mut table, [first, second]) = full();
        table.hear(Duration::from_secs(1), first);
        let (third, left) = table.enter(LATER, "third").unwrap();
        assert_eq!(left, Some("second"));
        table.leave(second);
        assert_eq!(
            table.enter(LATER, "fourth"),
            Err("fourth"),
            "what is left long ago frees nothing"
        );
        table.leave(third);
        assert_eq!(table.enter(LATER, "fourth").unwrap().1, None);
    }
}
