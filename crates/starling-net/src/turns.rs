//! Whose turn it is: so many transfers at once in all, shared fairly between the peers that they come from or go to.
//!
//! A slow peer holds only its own places: each peer has a few at most, and only one once half of all are
//! taken. Peers that wait get places in turn, however many transfers each of them has waiting. Nobody fails by
//! waiting: time limits begin with the place.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_types::NodeId;
use tokio::sync::oneshot;

/// The places. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Mutex<Table<oneshot::Sender<Turn>>>>);

/// A place among the transfers of this process; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    peer: NodeId,
}

impl Turns {
    /// `places` in all, of which one peer has `per_peer` at most.
    pub fn new(places: usize, per_peer: usize) -> Self {
        Self(Arc::new(Mutex::new(Table::new(places, per_peer))))
    }

    /// Waits for a place for a transfer with `peer`.
    pub async fn take(&self, peer: NodeId) -> Turn {
        let (sender, turn) = oneshot::channel();
        self.table().waiting.entry(peer).or_default().push_back(sender);
        self.give_out();
        turn.await.expect("a waiting task keeps the table, and the table its sender")
    }

    fn give_out(&self) {
        loop {
            // Not within the lock: a place whose taker is gone comes back through it.
            let Some((peer, sender)) = self.table().next() else { return };
            if sender.is_closed() {
                self.table().leave(peer);
                continue;
            }
            drop(sender.send(Turn { turns: self.clone(), peer }));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<oneshot::Sender<Turn>>> {
        // Each change of the table is whole before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.table().leave(self.peer);
        self.turns.give_out();
    }
}

/// Who has places, and who waits: `W` is what a waiting one is told through.
#[derive(Debug)]
struct Table<W> {
    places: usize,
    per_peer: usize,
    running: BTreeMap<NodeId, usize>,
    running_count: usize,
    waiting: BTreeMap<NodeId, VecDeque<W>>,
    /// Who got a place last: those behind it come first.
    last: NodeId,
}

impl<W> Table<W> {
    fn new(places: usize, per_peer: usize) -> Self {
        let (running, waiting) = (BTreeMap::new(), BTreeMap::new());
        Self { places, per_peer, running, running_count: 0, waiting, last: NodeId([0; 32]) }
    }

    /// Gives the next place to who waits for it, if there is one for anybody who does.
    fn next(&mut self) -> Option<(NodeId, W)> {
        if self.running_count >= self.places {
            return None;
        }
        let is_crowded = 2 * self.running_count >= self.places;
        let share = if is_crowded { 1 } else { self.per_peer };
        let has_place = |peer: &&NodeId| self.running.get(*peer).is_none_or(|count| *count < share);
        let (before, behind): (Vec<_>, Vec<_>) =
            self.waiting.keys().partition(|peer| **peer <= self.last);
        let peer = *behind.into_iter().chain(before).find(has_place)?;
        let queue = self.waiting.get_mut(&peer)?;
        let waiting = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&peer);
        }
        self.last = peer;
        self.running_count += 1;
        *self.running.entry(peer).or_default() += 1;
        Some((peer, waiting))
    }

    fn leave(&mut self, peer: NodeId) {
        self.running_count -= 1;
        if let Some(count) = self.running.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX};

    fn table() -> Table<u32> {
        Table::new(FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX)
    }

    fn peer(name: u8) -> NodeId {
        NodeId([name; 32])
    }

    fn wait(table: &mut Table<u32>, name: u8, tickets: std::ops::Range<u32>) {
        table.waiting.entry(peer(name)).or_default().extend(tickets);
    }

    fn all_next(table: &mut Table<u32>) -> Vec<(NodeId, u32)> {
        std::iter::from_fn(|| table.next()).collect()
    }

    #[test]
    fn one_peer_has_a_few_places_however_much_waits_for_it() {
        let mut table = table();
        wait(&mut table, 1, 0..1000);
        assert_eq!(all_next(&mut table).len(), FETCH_COUNT_PER_PEER_MAX);
        wait(&mut table, 2, 0..1);
        assert_eq!(all_next(&mut table), [(peer(2), 0)]);
        table.leave(peer(1));
        assert_eq!(all_next(&mut table), [(peer(1), FETCH_COUNT_PER_PEER_MAX as u32)]);
    }

    #[test]
    fn once_half_of_the_places_are_taken_each_peer_has_one_and_there_are_never_more_than_there_are()
    {
        let mut table = table();
        for name in 1..=200 {
            wait(&mut table, name, 0..10);
        }
        let given = all_next(&mut table);
        assert_eq!(given.len(), FETCH_COUNT_MAX);
        let most = (1..=200).map(|name| given.iter().filter(|(to, _)| *to == peer(name)).count());
        assert!(most.max() <= Some(2), "they take turns");
    }

    #[test]
    fn places_go_round_among_those_who_wait() {
        let mut table = table();
        wait(&mut table, 1, 0..3);
        wait(&mut table, 2, 0..3);
        let order: Vec<u8> = all_next(&mut table).into_iter().map(|(to, _)| to.0[0]).collect();
        assert_eq!(order, [1, 2, 1, 2, 1, 2]);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_the_place_to_the_next() {
        let turns = Turns::new(FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX);
        let mut held = Vec::new();
        for _ in 0..FETCH_COUNT_PER_PEER_MAX {
            held.push(turns.take(peer(1)).await);
        }
        let given_up = n0_future::task::spawn({
            let turns = turns.clone();
            async move { turns.take(peer(1)).await }
        });
        let next = n0_future::task::spawn({
            let turns = turns.clone();
            async move { turns.take(peer(1)).await }
        });
        tokio::task::yield_now().await;
        given_up.abort();
        assert!(given_up.await.is_err_and(|error| error.is_cancelled()));
        drop(held.pop());
        next.await.expect("the place is free");
    }
}
