//! The handshakes that are open, and what follows from them for the next one.
//!
//! A first packet costs its sender nothing, bears any address that it likes, and makes this process keep the beginnings of a
//! connection until they time out. As long as few are open, each is answered at once. With more, a newcomer first shows that it
//! gets what is sent to its address, which costs it one more round trip and this process nothing that it would have to remember.
//! Of those that have shown it there are so many at once, and so many of one network.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use starling_proto::Network;

use crate::{
    limits::{
        HANDSHAKE_COUNT_CALM, HANDSHAKE_COUNT_MAX, HANDSHAKE_OPEN_MAX, PLACES_PER_NETWORK_PART,
    },
    places::network_of,
};

/// What becomes of one that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It goes on.
    Welcome,
    /// It shows first that it is where it says.
    ShowAddress,
    /// It comes again later.
    Refused,
}

/// Those that have begun and are not known to have ended.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// Oldest first.
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    since: Duration,
    /// `None` where it comes by relay.
    from: Option<SocketAddr>,
    network: Option<Network>,
}

impl Handshakes {
    /// A handshake begins. `has_shown` says whether its sender is known to be at its address.
    pub fn begin(&mut self, now: Duration, from: Option<SocketAddr>, has_shown: bool) -> Answer {
        // The connection is given up after so long; of one that fails before, nobody tells.
        while self
            .open
            .front()
            .is_some_and(|open| now.saturating_sub(open.since) >= HANDSHAKE_OPEN_MAX)
        {
            self.open.pop_front();
        }
        let network = network_of(from);
        let is_calm = self.open.len() < HANDSHAKE_COUNT_CALM;
        if !is_calm && !has_shown {
            return Answer::ShowAddress;
        }
        // Those that are near have as many again, so that a crowd from afar keeps none of them out.
        let most = HANDSHAKE_COUNT_MAX * if network.is_none() { 2 } else { 1 };
        if !is_calm && (self.open.len() >= most || self.is_full_of(network)) {
            return Answer::Refused;
        }
        self.open.push_back(Open { since: now, from, network });
        Answer::Welcome
    }

    /// A handshake with a peer at one of these addresses is done.
    pub fn done(&mut self, at: &[SocketAddr]) {
        let is_it = |open: &Open| open.from.map_or(at.is_empty(), |from| at.contains(&from));
        if let Some(index) = self.open.iter().position(is_it) {
            self.open.remove(index);
        }
    }

    fn is_full_of(&self, network: Option<Network>) -> bool {
        let of_it = self.open.iter().filter(|open| open.network == network);
        network.is_some() && of_it.count() >= HANDSHAKE_COUNT_MAX / PLACES_PER_NETWORK_PART
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    /// An address of the open network, the number of whose network is `network`.
    fn at(network: u8, port: u16) -> Option<SocketAddr> {
        Some(([198, 51, network, 1], port).into())
    }

    /// With so many open, from everywhere.
    fn with(count: usize) -> Handshakes {
        let mut handshakes = Handshakes::default();
        for index in 0..count {
            let answer = handshakes.begin(Duration::ZERO, at(index as u8, index as u16), true);
            assert_eq!(answer, Answer::Welcome, "{index}");
        }
        handshakes
    }

    #[test]
    fn few_are_answered_at_once_and_with_more_a_newcomer_shows_its_address_first() {
        let mut handshakes = with(HANDSHAKE_COUNT_CALM - 1);
        assert_eq!(handshakes.begin(SOON, at(7, 1), false), Answer::Welcome);
        for _ in 0..1000 {
            assert_eq!(handshakes.begin(SOON, at(7, 2), false), Answer::ShowAddress);
        }
        assert_eq!(handshakes.open.len(), HANDSHAKE_COUNT_CALM, "they are not remembered");
        assert_eq!(handshakes.begin(SOON, at(7, 2), true), Answer::Welcome);
    }

    #[test]
    fn those_that_are_done_and_those_that_are_long_over_count_no_more() {
        let mut handshakes = with(HANDSHAKE_COUNT_CALM);
        handshakes.done(&[([198, 51, 3, 1], 9999).into()]);
        assert_eq!(handshakes.begin(SOON, None, false), Answer::ShowAddress, "that is another");
        handshakes.done(&[([198, 51, 3, 1], 3).into()]);
        assert_eq!(handshakes.begin(SOON, None, false), Answer::Welcome);
        assert_eq!(handshakes.begin(SOON, None, false), Answer::ShowAddress);
        // What comes by relay has no address.
        handshakes.done(&[]);
        assert_eq!(handshakes.begin(SOON, None, false), Answer::Welcome);
        assert_eq!(handshakes.begin(HANDSHAKE_OPEN_MAX, None, false), Answer::Welcome);
        assert_eq!(handshakes.open.len(), 2, "the rest began too long ago");
    }

    #[test]
    fn of_those_that_showed_their_address_there_are_so_many_and_of_one_network_a_quarter() {
        let mut handshakes = with(HANDSHAKE_COUNT_CALM);
        let mut alike = 0;
        while handshakes.begin(SOON, at(200, alike), true) == Answer::Welcome {
            alike += 1;
        }
        // One of that network was there before.
        let quarter = HANDSHAKE_COUNT_MAX / PLACES_PER_NETWORK_PART;
        assert_eq!(usize::from(alike), quarter - 1);
        assert_eq!(handshakes.begin(SOON, at(201, 1), true), Answer::Welcome);
        let near = Some(([192, 168, 0, 7], 1).into());
        while handshakes.begin(SOON, near, true) == Answer::Welcome {}
        assert_eq!(handshakes.open.len(), 2 * HANDSHAKE_COUNT_MAX);
        assert_eq!(handshakes.begin(SOON, at(202, 1), true), Answer::Refused);
    }
}
