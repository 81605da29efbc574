//! The places for connections: so many at once, and nobody keeps one for ever without being of use.
//!
//! Messages earn nothing, since they are cheap. Work keeps a place, and the layer above says who works ([`Merit`]). When all places
//! are taken, a newcomer gets the place of the peer that has been of no use for longest, if that is long enough. A newcomer that has
//! delivered before need not wait so long for the place of a peer that never was of use. So nodes that work stay, nodes that only wait
//! take turns, and strangers push out nobody who works. One peer, and the strangers of one network, get only so many places, even
//! if more are free.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iroh::endpoint::Connection;
use n0_future::time::Instant;
use starling_proto::{Network, PeerAddr};
use starling_types::NodeId;

use crate::{
    addr::{self, Range},
    limits::{
        DELIVERED_PEERS_MAX, PLACE_COUNT_PER_PEER_MAX, PLACE_USELESS_MAX, PLACES_PER_NETWORK_PART,
        WORKS_FOR,
    },
    turns::{Sort, Whose},
};

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

/// Notes what the peer in a place is good for.
#[derive(Debug, Clone)]
pub(crate) struct Merit<C> {
    places: Places<C>,
    id: u64,
}

/// Whose a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub peer: NodeId,
    /// `None` where this says nothing of whose it is: machines of this very network.
    pub network: Option<Network>,
}

impl Who {
    /// The peer on the other end of `connection`.
    pub fn of(connection: &Connection) -> Self {
        let addr = addr::remote_addr(connection);
        Self { peer: addr.node_id, network: network_of(addr.direct.first().copied()) }
    }
}

/// The network of who is at this address, or comes by relay; `None` where that says nothing.
pub(crate) fn network_of(addr: Option<SocketAddr>) -> Option<Network> {
    let addr = PeerAddr { direct: addr.into_iter().collect(), ..PeerAddr::new(NodeId([0; 32])) };
    // Nobody has such an address on the open network.
    let is_near = addr.direct.first().is_some_and(|addr| Range::of(addr.ip()) != Range::Public);
    if is_near { None } else { addr.network() }
}

impl<C> Clone for Places<C> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), started: self.started }
    }
}

impl<C> Places<C> {
    /// So many at once.
    pub fn new(count_max: usize) -> Self {
        Self { table: Arc::new(Mutex::new(Table::new(count_max))), started: Instant::now() }
    }

    /// A place for `holder`, and the holder that had to leave it; the holder itself if there is no place.
    pub fn enter(&self, who: Who, holder: C) -> Result<(Place<C>, Option<C>), C> {
        let (id, left) = self.table().enter(self.started.elapsed(), who, holder)?;
        Ok((Place { places: self.clone(), id }, left))
    }

    /// How a transfer to this peer counts among others, by what it does and did in these places.
    pub fn whose(&self, who: Who) -> Whose {
        self.table().whose(self.started.elapsed(), who)
    }

    /// How the fetching of a result of this peer counts among others.
    pub fn whose_result(&self, peer: NodeId) -> Whose {
        self.table().whose_result(peer)
    }

    fn table(&self) -> MutexGuard<'_, Table<C>> {
        // Each change of the table is whole before anything that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Place<C> {
    /// What notes the merits of its peer.
    pub fn merit(&self) -> Merit<C> {
        Merit { places: self.places.clone(), id: self.id }
    }
}

impl<C> Merit<C> {
    /// Its peer works.
    pub fn works(&self) {
        self.note(false);
    }

    /// Its peer delivered what was wanted of it.
    pub fn delivered(&self) {
        self.note(true);
    }

    fn note(&self, delivered: bool) {
        let now = self.places.started.elapsed();
        self.places.table().note(now, self.id, delivered);
    }
}

impl<C> Drop for Place<C> {
    fn drop(&mut self) {
        let now = self.places.started.elapsed();
        self.places.table().leave(now, self.id);
    }
}

#[derive(Debug)]
struct Table<C> {
    count_max: usize,
    entered_count: u64,
    taken: BTreeMap<u64, Taken<C>>,
    /// Peers that are gone and had delivered, and when they left.
    delivered: BTreeMap<NodeId, Duration>,
}

#[derive(Debug)]
struct Taken<C> {
    who: Who,
    holder: C,
    /// When it was of use last, or came.
    useful_at: Duration,
    /// Whether it was ever of use.
    was_useful: bool,
    has_delivered: bool,
}

impl<C> Table<C> {
    fn new(count_max: usize) -> Self {
        Self { count_max, entered_count: 0, taken: BTreeMap::new(), delivered: BTreeMap::new() }
    }

    fn enter(&mut self, now: Duration, who: Who, holder: C) -> Result<(u64, Option<C>), C> {
        let has_delivered = self.delivered.contains_key(&who.peer);
        let Some(leaves) = self.room_for(now, who, has_delivered) else { return Err(holder) };
        let left = leaves.and_then(|id| self.leave(now, id));
        self.delivered.remove(&who.peer);
        self.entered_count += 1;
        let taken = Taken { who, holder, useful_at: now, was_useful: false, has_delivered };
        self.taken.insert(self.entered_count, taken);
        Ok((self.entered_count, left))
    }

    /// Who has to leave for a newcomer, if anybody has to; `None` when there is no place for it.
    fn room_for(&self, now: Duration, who: Who, has_delivered: bool) -> Option<Option<u64>> {
        let own = || self.taken.iter().filter(|(_, taken)| taken.who.peer == who.peer);
        if own().count() >= PLACE_COUNT_PER_PEER_MAX {
            // The peer comes back, and this side has not seen yet that it was gone.
            return Some(own().next().map(|(id, _)| *id));
        }
        let is_neighbour =
            |taken: &Taken<C>| who.network.is_some() && taken.who.network == who.network;
        let is_stranger = |taken: &Taken<C>| !taken.has_delivered;
        let strangers =
            self.taken.values().filter(|taken| is_neighbour(taken) && is_stranger(taken)).count();
        let of_network_max = (self.count_max / PLACES_PER_NETWORK_PART).max(1);
        let is_crowded = !has_delivered && strangers >= of_network_max;
        if !is_crowded && self.taken.len() < self.count_max {
            return Some(None);
        }
        let may_leave = |taken: &Taken<C>| {
            let is_long = now.saturating_sub(taken.useful_at) >= PLACE_USELESS_MAX;
            let is_meant = !is_crowded || is_neighbour(taken) && is_stranger(taken);
            is_meant && (is_long || has_delivered && is_stranger(taken) && !taken.was_useful)
        };
        let leaves = self.taken.iter().filter(|(_, taken)| may_leave(taken));
        leaves.min_by_key(|(id, taken)| (taken.useful_at, **id)).map(|(id, _)| Some(*id))
    }

    fn whose(&self, now: Duration, Who { peer, network }: Who) -> Whose {
        let own = || self.taken.values().filter(|taken| taken.who.peer == peer);
        let has_delivered =
            self.delivered.contains_key(&peer) || own().any(|taken| taken.has_delivered);
        let works =
            own().any(|taken| taken.was_useful && now.saturating_sub(taken.useful_at) < WORKS_FOR);
        let sort = match (works, has_delivered) {
            (true, _) => Sort::Works,
            (false, true) => Sort::Known,
            (false, false) => Sort::Stranger,
        };
        Whose { peer, sort, network: network.filter(|_| !has_delivered) }
    }

    /// Every peer with a result has had a lease, so that a lease says nothing here: those that have delivered nothing yet share what
    /// strangers have, or with promises alone they would hold all turns. A process to which nobody comes has chosen its peers.
    fn whose_result(&self, peer: NodeId) -> Whose {
        let own = self.taken.values().find(|taken| taken.who.peer == peer);
        let is_vouched = self.entered_count == 0
            || self.delivered.contains_key(&peer)
            || own.is_some_and(|taken| taken.has_delivered || taken.who.network.is_none());
        match is_vouched {
            true => Whose::chosen(peer),
            false => {
                let network = own.and_then(|taken| taken.who.network);
                Whose { peer, sort: Sort::Stranger, network }
            }
        }
    }

    fn note(&mut self, now: Duration, id: u64, delivered: bool) {
        if let Some(taken) = self.taken.get_mut(&id) {
            (taken.useful_at, taken.was_useful) = (now, true);
            taken.has_delivered |= delivered;
        }
    }

    fn leave(&mut self, now: Duration, id: u64) -> Option<C> {
        let Taken { who, holder, has_delivered, .. } = self.taken.remove(&id)?;
        if has_delivered {
            self.delivered.insert(who.peer, now);
            if self.delivered.len() > DELIVERED_PEERS_MAX {
                let oldest = self.delivered.iter().min_by_key(|(_, left_at)| **left_at);
                let oldest = oldest.map(|(peer, _)| *peer);
                oldest.map(|peer| self.delivered.remove(&peer));
            }
        }
        Some(holder)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LATER: Duration = PLACE_USELESS_MAX;
    const SOON: Duration = Duration::from_secs(5);

    /// A peer of the open network, in one of its own.
    fn who(name: u16) -> Who {
        let network = format!("10.{}.{}.1:7000", name >> 8, name & 255).parse().unwrap();
        let mut id = [0; 32];
        id[..2].copy_from_slice(&name.to_be_bytes());
        let addr = starling_proto::PeerAddr {
            direct: vec![network],
            ..starling_proto::PeerAddr::new(NodeId(id))
        };
        Who { peer: addr.node_id, network: addr.network() }
    }

    /// All `count_max` places taken at the beginning, by peers 0, 1, 2 and so on; their ids.
    fn full(count_max: u16) -> (Table<u16>, Vec<u64>) {
        let mut table = Table::new(count_max.into());
        let ids = (0..count_max)
            .map(|name| table.enter(Duration::ZERO, who(name), name).expect("there is a place").0);
        let ids = ids.collect();
        (table, ids)
    }

    #[test]
    fn who_came_lately_is_not_pushed_out_by_the_next() {
        let (mut table, _) = full(8);
        let soon = LATER - Duration::from_millis(1);
        assert_eq!(table.enter(soon, who(8), 8), Err(8));
    }

    #[test]
    fn the_place_of_who_was_of_no_use_for_longest_goes_to_a_newcomer() {
        let (mut table, ids) = full(8);
        table.note(Duration::from_secs(1), ids[0], false);
        let (newest, left) = table.enter(LATER, who(8), 8).unwrap();
        assert_eq!(left, Some(1));
        assert_eq!(table.leave(LATER, ids[1]), None, "what is left long ago frees nothing");
        assert_eq!(table.enter(LATER, who(9), 9).unwrap().1, Some(2));
        table.leave(LATER, newest);
        assert_eq!(table.enter(LATER, who(10), 10).unwrap().1, None);
    }

    #[test]
    fn strangers_in_all_places_that_only_talk_make_room_and_a_node_with_a_lease_never_does() {
        let (mut table, ids) = full(1024);
        // One works for a day, and says so; whatever the others say counts for nothing.
        let (mut now, mut name) = (Duration::ZERO, 1024);
        for _ in 0..(24 * 3600 / SOON.as_secs()) {
            now += SOON;
            table.note(now, ids[5], false);
            if now >= LATER {
                let (_, left) = table.enter(now, who(name), name).expect("a talker makes room");
                assert!(left.is_some_and(|left| left != 5), "at {now:?}");
                name += 1;
            }
        }
        assert_eq!(table.taken.len(), 1024);
        assert!(table.taken.contains_key(&ids[5]));
    }

    #[test]
    fn who_has_delivered_gets_the_place_of_a_stranger_that_came_a_moment_ago_but_not_of_one_that_works()
     {
        let (mut table, ids) = full(8);
        table.note(Duration::ZERO, ids[0], true);
        assert_eq!(table.leave(Duration::ZERO, ids[0]), Some(0));
        table.enter(SOON, who(8), 8).unwrap();
        table.note(SOON, ids[1], false);
        let (id, left) = table.enter(2 * SOON, who(0), 0).expect("it has delivered before");
        assert_eq!(left, Some(2));
        assert_eq!(table.enter(2 * SOON, who(9), 9), Err(9), "others wait");
        assert_eq!(table.leave(3 * SOON, id), Some(0));
        let mut strangers: Vec<_> = (3..=8).collect();
        for nth in 0..6 {
            // All but the one that works make room, and not the one that has delivered.
            table.delivered.insert(who(100 + nth).peer, SOON);
            let left = table.enter(3 * SOON, who(100 + nth), 100 + nth).unwrap().1;
            strangers.retain(|name| Some(*name) != left);
        }
        assert_eq!(strangers, [8]);
        assert!(table.taken.contains_key(&ids[1]));
    }

    #[test]
    fn a_peer_has_two_places_and_the_older_goes_when_it_comes_again() {
        let mut table = Table::new(8);
        for (name, left) in [(0, None), (1, None), (2, Some(0)), (3, Some(1))] {
            assert_eq!(table.enter(Duration::ZERO, who(7), name).unwrap().1, left);
        }
        assert_eq!(table.taken.len(), 2);
    }

    #[test]
    fn strangers_of_one_network_have_a_quarter_and_those_that_delivered_are_not_counted() {
        let mut table = Table::new(16);
        let alike = |name| Who { network: who(1).network, ..who(name) };
        let ids: Vec<u64> =
            (0..4).map(|name| table.enter(Duration::ZERO, alike(name), name).unwrap().0).collect();
        assert_eq!(table.enter(SOON, alike(4), 4), Err(4), "though there are places");
        table.note(SOON, ids[0], true);
        assert_eq!(table.enter(SOON, alike(4), 4).unwrap().1, None);
        assert_eq!(table.enter(LATER, alike(5), 5).unwrap().1, Some(1), "they take turns");
        assert_eq!(table.enter(LATER, who(77), 77).unwrap().1, None);
        // Of this machine and its network there may be as many as there are places.
        let near = |name| Who { network: None, ..who(name) };
        for name in 100..110 {
            assert_eq!(table.enter(LATER, near(name), name).unwrap().1, None, "{name}");
        }
    }

    #[test]
    fn a_peer_works_while_it_shows_that_it_does_and_is_known_once_it_has_delivered() {
        let mut table = Table::new(8);
        let whose = |table: &Table<u16>, now| table.whose(now, who(1));
        let sort = |table: &Table<u16>, now| whose(table, now).sort;
        assert_eq!(sort(&table, Duration::ZERO), Sort::Stranger);
        let (id, _) = table.enter(Duration::ZERO, who(1), 1).unwrap();
        assert_eq!(sort(&table, Duration::ZERO), Sort::Stranger, "a place is no merit");
        table.note(SOON, id, false);
        assert_eq!(sort(&table, SOON), Sort::Works);
        assert!(whose(&table, SOON).network.is_some(), "a lease says nothing of whose it is");
        let over = SOON + WORKS_FOR;
        assert_eq!(sort(&table, over - Duration::from_millis(1)), Sort::Works);
        assert_eq!(sort(&table, over), Sort::Stranger);
        table.note(over, id, true);
        assert_eq!(sort(&table, over), Sort::Works);
        table.leave(over, id);
        let known = Whose { peer: who(1).peer, sort: Sort::Known, network: None };
        assert_eq!(whose(&table, over), known, "it is remembered");
        assert_eq!(table.whose(over, who(2)).sort, Sort::Stranger);
    }

    #[test]
    fn results_of_those_that_have_delivered_nothing_share_the_turns_of_strangers() {
        let mut table = Table::new(8);
        let chosen = |name| Whose::chosen(who(name).peer);
        assert_eq!(table.whose_result(who(1).peer), chosen(1), "nobody comes here");
        let (id, _) = table.enter(Duration::ZERO, who(1), 1).unwrap();
        table.note(SOON, id, false);
        let whose = table.whose_result(who(1).peer);
        assert_eq!((whose.sort, whose.network), (Sort::Stranger, who(1).network), "with a lease");
        table.note(SOON, id, true);
        assert_eq!(table.whose_result(who(1).peer), chosen(1), "it has delivered");
        table.leave(SOON, id);
        assert_eq!(table.whose_result(who(1).peer), chosen(1), "and that is remembered");
        // One that reports and leaves, and one that is near.
        assert_eq!(table.whose_result(who(2).peer).sort, Sort::Stranger);
        table.enter(SOON, Who { network: None, ..who(3) }, 3).unwrap();
        assert_eq!(table.whose_result(who(3).peer), chosen(3));
    }

    #[test]
    fn of_those_that_have_delivered_so_many_are_remembered() {
        let mut table = Table::new(8);
        for name in 0..2 * DELIVERED_PEERS_MAX as u16 {
            let now = Duration::from_secs(name.into());
            let (id, _) = table.enter(now, who(name), name).unwrap();
            table.note(now, id, true);
            table.leave(now, id);
        }
        assert_eq!(table.delivered.len(), DELIVERED_PEERS_MAX);
        assert!(!table.delivered.contains_key(&who(0).peer), "the oldest is forgotten first");
    }

    #[test]
    fn addresses_that_are_on_no_open_network_are_near() {
        let network =
            |ip: &str| network_of(Some((ip.parse::<std::net::IpAddr>().unwrap(), 1).into()));
        for near in
            ["127.0.0.1", "192.168.1.7", "10.1.2.3", "100.64.0.1", "169.254.0.1", "::1", "fd00::1"]
        {
            assert_eq!(network(near), None, "{near}");
        }
        for far in ["8.8.8.8", "2001:db8::1", "172.32.0.1"] {
            assert!(network(far).is_some(), "{far}");
        }
    }
}
