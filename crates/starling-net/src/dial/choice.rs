//! Which addresses of a peer are tried when only strangers say that they are its: an ad, or a lease that names holders. Pure.
//!
//! Whoever names an address has this process send some packets there, so that many processes could be aimed at one victim with a
//! single ad. Of one peer a few addresses are tried at a time; of one network, and in all, only so many new ones in a minute; and
//! none of a private network that this machine is not in. An address that has answered is not new.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use starling_proto::Network;

use crate::{
    addr::Range,
    limits::{
        ANSWERED_ADDR_COUNT_MAX, DIALLED_AT_ONCE_MAX, NEW_ADDR_PERIOD, NEW_ADDRS_MAX,
        NEW_ADDRS_PER_NETWORK_MAX,
    },
};

/// What was dialled on the word of strangers.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// When the current period began.
    since: Duration,
    /// New addresses in this period.
    count: usize,
    by_network: BTreeMap<Network, usize>,
    /// Addresses that have answered, and when last.
    answered: BTreeMap<SocketAddr, Duration>,
}

/// Why none is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// All are of private networks that this machine is not in.
    Elsewhere,
    /// Too many were dialled lately.
    TooMany,
}

impl Choice {
    /// The addresses of `told`, best first, to try in the attempt of this number, counted from 0: each attempt goes on where the
    /// last one ended. `own` are the ranges that this machine has addresses of.
    ///
    /// # Errors
    /// When none may be tried now.
    pub fn take(
        &mut self,
        now: Duration,
        told: &[SocketAddr],
        attempt: u32,
        own: &BTreeSet<Range>,
    ) -> Result<Vec<SocketAddr>, NoChoice> {
        if now.saturating_sub(self.since) >= NEW_ADDR_PERIOD {
            (self.since, self.count) = (now, 0);
            self.by_network.clear();
        }
        let mut here: Vec<_> = told.iter().copied().filter(|addr| leads_from(own, addr)).collect();
        if here.is_empty() && !told.is_empty() {
            return Err(NoChoice::Elsewhere);
        }
        if here.len() > DIALLED_AT_ONCE_MAX {
            let begin = (attempt as usize).wrapping_mul(DIALLED_AT_ONCE_MAX) % here.len();
            here.rotate_left(begin);
            here.truncate(DIALLED_AT_ONCE_MAX);
        }
        let any = !here.is_empty();
        here.retain(|addr| self.admits(*addr));
        if any && here.is_empty() { Err(NoChoice::TooMany) } else { Ok(here) }
    }

    /// Whether one more address is tried, which counts from then on.
    fn admits(&mut self, addr: SocketAddr) -> bool {
        if self.answered.contains_key(&addr) {
            return true;
        }
        if self.count >= NEW_ADDRS_MAX {
            return false;
        }
        // Of one's own network there may be as many as there are machines.
        let network = Network::of(addr.ip()).filter(|_| Range::of(addr.ip()) == Range::Public);
        if let Some(network) = network {
            let count = self.by_network.entry(network).or_default();
            if *count >= NEW_ADDRS_PER_NETWORK_MAX {
                return false;
            }
            *count += 1;
        }
        self.count += 1;
        true
    }

    /// A peer answered at `addr`.
    pub fn answered(&mut self, now: Duration, addr: SocketAddr) {
        self.answered.insert(addr, now);
        if self.answered.len() > ANSWERED_ADDR_COUNT_MAX {
            let oldest = self.answered.iter().min_by_key(|(_, at)| **at).map(|(addr, _)| *addr);
            oldest.map(|addr| self.answered.remove(&addr));
        }
    }
}

fn leads_from(own: &BTreeSet<Range>, addr: &SocketAddr) -> bool {
    let range = Range::of(addr.ip());
    range == Range::Public || own.contains(&range)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 7000)
    }

    fn nowhere_else() -> BTreeSet<Range> {
        BTreeSet::new()
    }

    /// `count` addresses of one network each.
    fn spread(begin: u16, count: u16) -> impl Iterator<Item = SocketAddr> {
        (begin..begin + count).map(|nth| at(&format!("203.{}.{}.1", nth >> 8, nth & 255)))
    }

    #[test]
    fn of_sixteen_addresses_four_are_tried_at_a_time_the_best_first_and_in_the_end_all() {
        let mut choice = Choice::default();
        let told: Vec<_> = spread(0, 16).collect();
        for attempt in 0..8 {
            let begin = (attempt as usize * 4) % 16;
            let tried = choice.take(Duration::ZERO, &told, attempt, &nowhere_else());
            assert_eq!(tried.unwrap(), told[begin..begin + 4], "attempt {attempt}");
        }
    }

    #[test]
    fn addresses_of_private_networks_are_tried_from_within_such_a_network_alone() {
        let told = ["10.1.2.3", "192.168.1.5", "127.0.0.1", "fd00::5", "203.0.113.5"].map(at);
        let mut choice = Choice::default();
        let mut tried = |own: &[Range]| {
            choice.take(Duration::ZERO, &told, 0, &own.iter().copied().collect()).unwrap()
        };
        assert_eq!(tried(&[Range::Public]), [told[4]]);
        assert_eq!(tried(&[Range::Private16]), [told[1], told[4]]);
        assert_eq!(tried(&[Range::Loopback, Range::UniqueLocal]), [told[2], told[3], told[4]]);
        let nowhere = choice.take(Duration::ZERO, &told[..4], 0, &nowhere_else());
        assert_eq!(nowhere, Err(NoChoice::Elsewhere));
        // One that is reached by relay alone has none to begin with.
        assert_eq!(choice.take(Duration::ZERO, &[], 0, &nowhere_else()), Ok(vec![]));
    }

    #[test]
    fn of_one_network_so_many_addresses_are_tried_in_a_minute_whoever_names_them_and_others_go_on()
    {
        let mut choice = Choice::default();
        let victim = |nth: usize| SocketAddr::new("198.51.100.7".parse().unwrap(), 1 + nth as u16);
        let mut tried = |now, addrs: &[SocketAddr]| {
            choice.take(now, addrs, 0, &nowhere_else()).map_or(0, |tried| tried.len())
        };
        // Many keys, each of which names four ports of one machine, or one of its own and three of that.
        let sent: usize = (0..200)
            .map(|nth| tried(Duration::ZERO, &[0, 1, 2, 3].map(|more| victim(4 * nth + more))))
            .sum();
        assert_eq!(sent, NEW_ADDRS_PER_NETWORK_MAX);
        let honest = at("203.0.113.1");
        assert_eq!(tried(Duration::ZERO, &[victim(1000), honest]), 1, "the other is tried");
        assert_eq!(tried(NEW_ADDR_PERIOD, &[victim(1001)]), 1, "and in the next minute again");
    }

    #[test]
    fn in_all_so_many_new_addresses_are_tried_in_a_minute_and_known_ones_beside() {
        let mut choice = Choice::default();
        let known = at("198.51.100.1");
        choice.answered(Duration::ZERO, known);
        let own = nowhere_else();
        let tried = |choice: &mut Choice, now| -> usize {
            let each = spread(0, 4 * NEW_ADDRS_MAX as u16);
            each.filter(|addr| choice.take(now, &[*addr], 0, &own).is_ok()).count()
        };
        assert_eq!(tried(&mut choice, Duration::ZERO), NEW_ADDRS_MAX);
        let more = choice.take(Duration::ZERO, &[at("192.0.2.1")], 0, &own);
        assert_eq!(more, Err(NoChoice::TooMany));
        for _ in 0..2 * NEW_ADDRS_PER_NETWORK_MAX {
            assert_eq!(choice.take(Duration::ZERO, &[known], 0, &own), Ok(vec![known]));
        }
        assert_eq!(tried(&mut choice, NEW_ADDR_PERIOD), NEW_ADDRS_MAX);
    }

    #[test]
    fn of_addresses_that_answered_so_many_are_remembered() {
        let mut choice = Choice::default();
        for (nth, addr) in spread(0, 2 * ANSWERED_ADDR_COUNT_MAX as u16).enumerate() {
            choice.answered(Duration::from_secs(nth as u64), addr);
        }
        assert_eq!(choice.answered.len(), ANSWERED_ADDR_COUNT_MAX);
        assert!(!choice.answered.contains_key(&spread(0, 1).next().unwrap()), "the oldest goes");
    }
}
