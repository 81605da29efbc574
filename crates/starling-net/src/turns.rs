//! Whose turn it is: so many transfers at once in all, shared fairly between the peers that they come from or go to.
//!
//! A peer that is slow holds its own places and no others: one has a few at most, and only one once half of all are
//! taken. Whoever waits gets a place in turn, peer by peer, however many transfers each of them has waiting. The wait is
//! nobody's failure: time limits begin with the place.
//!
//! Keys cost nothing, so that fairness between keys is not enough. Peers are of three sorts ([`Sort`]), and those of the lesser
//! ones have a part of the places together ([`Shares`]), as those of one network have: whatever they hold, the rest is for peers
//! that work.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use n0_future::time::timeout;
use starling_proto::Network;
use starling_types::NodeId;
use tokio::sync::oneshot;

use crate::limits::{OTHERS_PART, PLACES_PER_NETWORK_PART, STRANGERS_PART};

/// What a peer is to this process. The first come before the others where both wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// A lease joins the two now, or this process has chosen the peer itself.
    Works,
    /// It has delivered what was wanted of it before.
    Known,
    /// Anybody.
    Stranger,
}

/// Whose a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose {
    pub peer: NodeId,
    pub sort: Sort,
    /// The network that it shares a part with: `None` where its peers are told apart by more than their keys, because they are
    /// near, or have delivered.
    pub network: Option<Network>,
}

impl Whose {
    /// Of a peer that this process has chosen itself.
    pub fn chosen(peer: NodeId) -> Self {
        Self { peer, sort: Sort::Works, network: None }
    }
}

/// How places are shared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    /// All that there are: those who work may have them all.
    all: usize,
    /// Of which all others have so many.
    others: usize,
    /// Of which strangers have so many.
    strangers: usize,
    /// And one peer so many, or one once half of its part is taken.
    per_peer: usize,
}

impl Shares {
    pub const fn new(all: usize, per_peer: usize) -> Self {
        Self { all, others: all / OTHERS_PART, strangers: all / STRANGERS_PART, per_peer }
    }

    /// The places that a sort has with those before it.
    fn part_of(&self, sort: Sort) -> usize {
        match sort {
            Sort::Works => self.all,
            Sort::Known => self.others,
            Sort::Stranger => self.strangers,
        }
    }
}

/// The places. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Turns(Arc<Mutex<Table<oneshot::Sender<Turn>>>>);

/// A place among the transfers of this process; given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    whose: Whose,
}

impl Turns {
    pub fn new(shares: Shares) -> Self {
        Self(Arc::new(Mutex::new(Table::new(shares))))
    }

    /// Waits for a place for a transfer.
    pub async fn take(&self, whose: Whose) -> Turn {
        let (sender, turn) = oneshot::channel();
        let id = self.table().wait(whose, sender);
        let _waiting = Waiting { turns: self, peer: whose.peer, id };
        self.give_out();
        turn.await.expect("a waiting task keeps the table, and the table its sender")
    }

    /// Waits for so long; `None` when there was no place.
    pub async fn take_within(&self, whose: Whose, patience: Duration) -> Option<Turn> {
        timeout(patience, self.take(whose)).await.ok()
    }

    fn give_out(&self) {
        loop {
            // Not within the lock: a place whose taker is gone comes back through it.
            let Some((whose, sender)) = self.table().next() else { return };
            if sender.is_closed() {
                self.table().leave(whose);
                continue;
            }
            drop(sender.send(Turn { turns: self.clone(), whose }));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<oneshot::Sender<Turn>>> {
        // Each change of the table is whole before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.table().leave(self.whose);
        self.turns.give_out();
    }
}

/// One that waits, until it has its place or gives up: the table is not to remember those who gave up.
struct Waiting<'a> {
    turns: &'a Turns,
    peer: NodeId,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turns.table().give_up(self.peer, self.id);
        // The next of this peer may have a place where this one had none.
        self.turns.give_out();
    }
}

/// Who has places, and who waits: `W` is what a waiting one is told through.
#[derive(Debug)]
struct Table<W> {
    shares: Shares,
    running: Running,
    waiting: BTreeMap<NodeId, VecDeque<(u64, Whose, W)>>,
    waited_count: u64,
    /// Who got a place last: those behind it come first.
    last: NodeId,
}

/// The places that are taken.
#[derive(Debug, Default)]
struct Running {
    of_peer: BTreeMap<NodeId, usize>,
    of_sort: BTreeMap<Sort, usize>,
    of_network: BTreeMap<(Sort, Network), usize>,
}

impl Running {
    /// How many places are taken by peers of this sort and lesser ones: a part is full by these.
    fn in_part(&self, sort: Sort) -> usize {
        self.of_sort.range(sort..).map(|(_, count)| count).sum()
    }

    fn change(&mut self, whose: Whose, by: isize) {
        fn change<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, by: isize) {
            let count = counts.entry(key).or_default();
            *count = count.saturating_add_signed(by);
        }
        change(&mut self.of_peer, whose.peer, by);
        change(&mut self.of_sort, whose.sort, by);
        if let Some(network) = whose.network {
            change(&mut self.of_network, (whose.sort, network), by);
        }
        self.of_peer.retain(|_, count| *count > 0);
        self.of_network.retain(|_, count| *count > 0);
    }
}

impl<W> Table<W> {
    fn new(shares: Shares) -> Self {
        let (running, waiting) = (Running::default(), BTreeMap::new());
        Self { shares, running, waiting, waited_count: 0, last: NodeId([0; 32]) }
    }

    /// Lets one wait; which it is.
    fn wait(&mut self, whose: Whose, told_through: W) -> u64 {
        self.waited_count += 1;
        let queue = self.waiting.entry(whose.peer).or_default();
        queue.push_back((self.waited_count, whose, told_through));
        self.waited_count
    }

    /// One of the peer's waits no more.
    fn give_up(&mut self, peer: NodeId, id: u64) {
        let Some(queue) = self.waiting.get_mut(&peer) else { return };
        queue.retain(|(waiting, ..)| *waiting != id);
        if queue.is_empty() {
            self.waiting.remove(&peer);
        }
    }

    /// Gives the next place to who waits for it, if there is one for anybody who does.
    fn next(&mut self) -> Option<(Whose, W)> {
        let fronts =
            self.waiting.iter().filter_map(|(peer, queue)| Some((*peer, queue.front()?.1)));
        let ready = fronts.filter(|(_, whose)| self.has_place(*whose));
        let (peer, _) =
            ready.min_by_key(|(peer, whose)| (whose.sort, *peer <= self.last, *peer))?;
        let queue = self.waiting.get_mut(&peer)?;
        let (_, whose, told_through) = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&peer);
        }
        self.last = peer;
        self.running.change(whose, 1);
        Some((whose, told_through))
    }

    fn has_place(&self, Whose { peer, sort, network }: Whose) -> bool {
        let Self { shares, running, .. } = self;
        let is_full = |sort| running.in_part(sort) >= shares.part_of(sort);
        // What a sort has is a part of what the one before it has.
        if [Sort::Works, Sort::Known, Sort::Stranger]
            .into_iter()
            .any(|part| part <= sort && is_full(part))
        {
            return false;
        }
        let part = shares.part_of(sort);
        let of_network = network.and_then(|network| running.of_network.get(&(sort, network)));
        if of_network.is_some_and(|count| *count >= (part / PLACES_PER_NETWORK_PART).max(1)) {
            return false;
        }
        let is_crowded = 2 * running.in_part(sort) >= part;
        let share = if is_crowded { 1 } else { shares.per_peer };
        running.of_peer.get(&peer).is_none_or(|count| *count < share)
    }

    fn leave(&mut self, whose: Whose) {
        self.running.change(whose, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{
        FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX, SERVE_COUNT_MAX, SERVE_COUNT_PER_PEER_MAX,
    };

    fn table() -> Table<u32> {
        Table::new(Shares::new(FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX))
    }

    fn serving() -> Table<u32> {
        Table::new(Shares::new(SERVE_COUNT_MAX, SERVE_COUNT_PER_PEER_MAX))
    }

    fn id(name: u16) -> NodeId {
        let mut id = [0xff; 32];
        id[..2].copy_from_slice(&name.to_be_bytes());
        NodeId(id)
    }

    /// A peer that this process has chosen.
    fn peer(name: u16) -> Whose {
        Whose::chosen(id(name))
    }

    /// A peer of the open network, of the network with this number.
    fn of(sort: Sort, name: u16, network: u8) -> Whose {
        let addr = std::net::SocketAddr::from(([198, 51, network, 1], 7000));
        let addr = starling_proto::PeerAddr {
            direct: vec![addr],
            ..starling_proto::PeerAddr::new(id(name))
        };
        Whose { peer: id(name), sort, network: addr.network() }
    }

    fn wait(table: &mut Table<u32>, whose: Whose, tickets: std::ops::Range<u32>) {
        for ticket in tickets {
            table.wait(whose, ticket);
        }
    }

    fn all_next(table: &mut Table<u32>) -> Vec<(Whose, u32)> {
        std::iter::from_fn(|| table.next()).collect()
    }

    #[test]
    fn one_peer_has_a_few_places_however_much_waits_for_it() {
        let mut table = table();
        wait(&mut table, peer(1), 0..1000);
        assert_eq!(all_next(&mut table).len(), FETCH_COUNT_PER_PEER_MAX);
        wait(&mut table, peer(2), 0..1);
        assert_eq!(all_next(&mut table), [(peer(2), 0)]);
        table.leave(peer(1));
        assert_eq!(all_next(&mut table), [(peer(1), FETCH_COUNT_PER_PEER_MAX as u32)]);
    }

    #[test]
    fn once_half_of_the_places_are_taken_each_peer_has_one_and_there_are_never_more_than_there_are()
    {
        let mut table = table();
        for name in 1..=200 {
            wait(&mut table, peer(name), 0..10);
        }
        let given = all_next(&mut table);
        assert_eq!(given.len(), FETCH_COUNT_MAX);
        let most = (1..=200).map(|name| given.iter().filter(|(to, _)| *to == peer(name)).count());
        assert!(most.max() <= Some(2), "they take turns");
    }

    #[test]
    fn places_go_round_among_those_who_wait() {
        let mut table = table();
        wait(&mut table, peer(1), 0..3);
        wait(&mut table, peer(2), 0..3);
        let order: Vec<Whose> = all_next(&mut table).into_iter().map(|(to, _)| to).collect();
        assert_eq!(order, [1, 2, 1, 2, 1, 2].map(peer));
    }

    #[test]
    fn three_hundred_strangers_of_one_network_hold_a_quarter_of_what_strangers_have() {
        let mut table = serving();
        for name in 0..300 {
            wait(&mut table, of(Sort::Stranger, name, 1), 0..16);
        }
        assert_eq!(all_next(&mut table).len(), SERVE_COUNT_MAX / STRANGERS_PART / 4);
        wait(&mut table, of(Sort::Stranger, 400, 2), 0..1);
        assert_eq!(all_next(&mut table).len(), 1, "one of another network is served");
    }

    #[test]
    fn three_hundred_strangers_of_many_networks_leave_the_rest_to_the_known_and_half_to_those_who_work()
     {
        let mut table = serving();
        for name in 0..300 {
            wait(&mut table, of(Sort::Stranger, name, name as u8), 0..16);
        }
        assert_eq!(all_next(&mut table).len(), SERVE_COUNT_MAX / STRANGERS_PART);
        for name in 1000..1300 {
            wait(&mut table, Whose { sort: Sort::Known, ..peer(name) }, 0..16);
        }
        let others = SERVE_COUNT_MAX / OTHERS_PART;
        assert_eq!(all_next(&mut table).len(), others - SERVE_COUNT_MAX / STRANGERS_PART);
        let kept = SERVE_COUNT_MAX - others;
        for name in 3000..3000 + kept as u16 {
            wait(&mut table, peer(name), 0..1);
        }
        assert_eq!(all_next(&mut table).len(), kept, "each that works has its place at once");
        wait(&mut table, peer(5000), 0..1);
        assert_eq!(all_next(&mut table), [], "that is all that there is");
    }

    #[test]
    fn who_works_goes_before_strangers_that_have_waited_longer() {
        let mut table = serving();
        (0..SERVE_COUNT_MAX as u16).for_each(|name| wait(&mut table, peer(name), 0..1));
        assert_eq!(all_next(&mut table).len(), SERVE_COUNT_MAX);
        wait(&mut table, of(Sort::Stranger, 1000, 1), 0..1);
        wait(&mut table, of(Sort::Works, 2000, 2), 0..1);
        table.leave(peer(0));
        assert_eq!(all_next(&mut table), [(of(Sort::Works, 2000, 2), 0)]);
    }

    #[test]
    fn keys_of_one_network_that_have_got_leases_and_delivered_nothing_hold_a_quarter() {
        let mut table = serving();
        for name in 0..300 {
            wait(&mut table, of(Sort::Works, name, 1), 0..16);
        }
        assert_eq!(all_next(&mut table).len(), SERVE_COUNT_MAX / 4);
        wait(&mut table, peer(1000), 0..1);
        assert_eq!(all_next(&mut table), [(peer(1000), 0)]);
    }

    #[test]
    fn a_place_that_is_given_back_is_free_for_each_part_and_nobody_is_remembered() {
        let mut table = serving();
        for round in 0..3 {
            for name in 0..300 {
                wait(&mut table, of(Sort::Stranger, name, name as u8), 0..2);
            }
            let given = all_next(&mut table);
            assert_eq!(given.len(), SERVE_COUNT_MAX / STRANGERS_PART, "round {round}");
            given.into_iter().for_each(|(whose, _)| table.leave(whose));
            for (peer, id) in waiting(&table) {
                table.give_up(peer, id);
            }
            let Running { of_peer, of_network, .. } = &table.running;
            assert_eq!((of_peer.len(), of_network.len(), table.waiting.len()), (0, 0, 0));
        }
    }

    fn waiting(table: &Table<u32>) -> Vec<(NodeId, u64)> {
        let each = |(peer, queue): (&NodeId, &VecDeque<(u64, Whose, u32)>)| {
            queue.iter().map(|(id, ..)| (*peer, *id)).collect::<Vec<_>>()
        };
        table.waiting.iter().flat_map(each).collect()
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_leaves_the_place_to_the_next() {
        let turns = Turns::new(Shares::new(FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX));
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

    #[tokio::test]
    async fn who_has_waited_long_enough_has_no_place_and_is_forgotten() {
        let turns = Turns::new(Shares::new(1, 1));
        let held = turns.take(peer(1)).await;
        assert!(turns.take_within(peer(2), Duration::from_millis(1)).await.is_none());
        assert!(turns.table().waiting.is_empty());
        drop(held);
        assert!(turns.take_within(peer(2), Duration::from_millis(1)).await.is_some());
    }
}
