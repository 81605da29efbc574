//! Which clients are known and dialled when there are more than a node has places for.
//!
//! Who was named by the user comes first and makes way for nobody; who has welcomed this node comes before those that only ads tell
//! of. Of these anybody can make up as many as he likes, in whichever networks: so they are dialled at a bounded rate
//! ([`Hearsay`](crate::hearsay::Hearsay)), make way for each other as long as they have not answered, and a newcomer among them is
//! always heard.

use std::{cmp::Reverse, collections::BTreeMap};

use starling_proto::{Network, PeerAddr};
use starling_types::{Millis, NodeId};

use crate::{
    client::{Client, Link},
    core::Core,
    event::{Action, Note, SessionId},
    limits::{
        CLIENT_COUNT_MAX, CLIENT_COUNT_PER_PREFIX_MAX, LINK_COUNT_MAX, LINK_COUNT_PER_PREFIX_MAX,
        REST_TIME, SILENT_TIME_MAX,
    },
    links::spread,
};

/// Where a client that is to be dialled finds a place.
enum Place {
    Free,
    /// This attempt makes way.
    OfSlow(SessionId),
    /// This client does.
    OfSilent(NodeId),
}

impl Core {
    /// Makes room for a client that an ad tells of, and says whether there is any: all that are idle and that nothing is held for
    /// make way, first those that were dialled in vain, then those that were not dialled yet, of the network with the most of
    /// them.
    pub(crate) fn make_room_for(&mut self, newcomer: &PeerAddr) -> bool {
        let mut crowds: BTreeMap<Network, usize> = BTreeMap::new();
        let heard = self.clients.values().filter(|client| !client.named);
        for network in heard.filter_map(|client| client.addr.network()) {
            *crowds.entry(network).or_default() += 1;
        }
        let crowd =
            |addr: &PeerAddr| addr.network().and_then(|network| crowds.get(&network)).copied();
        let network = newcomer.network();
        let is_crowded = network
            .is_some_and(|network| crowds.get(&network) >= Some(&CLIENT_COUNT_PER_PREFIX_MAX));
        if !is_crowded && self.clients.len() < CLIENT_COUNT_MAX {
            return true;
        }
        let leaves = self.clients.iter().filter(|(id, client)| {
            let is_meant = !is_crowded || client.addr.network() == network;
            let is_idle = matches!(client.link, Link::Idle { .. });
            is_meant && is_idle && !client.named && !self.holds_something_of(**id)
        });
        let leaves = leaves.max_by_key(|(_, client)| {
            let worth = match client.run {
                None if client.failures > 0 => 0,
                None => 1,
                Some(_) => 2,
            };
            (Reverse(worth), crowd(&client.addr), Reverse(client.number))
        });
        let Some(leaves) = leaves.map(|(id, _)| *id) else { return false };
        self.part(leaves, None);
        true
    }

    /// Dials who is due, as long as there are places; makes a place by leaving who does not answer or has nothing for this node.
    pub(crate) fn dial(&mut self) {
        while let Some((next, place)) = self.next_to_dial() {
            match place {
                Place::Free => self.dial_now(next),
                Place::OfSlow(session) => {
                    self.act(Action::Close { session });
                    self.closed(session, "it did not answer while others waited".into());
                }
                Place::OfSilent(silent) => {
                    self.rest(silent, REST_TIME);
                    let reason = "it had no work while others waited";
                    self.say(Note::Left { client: silent, reason: reason.into() });
                    self.part(silent, Some(reason));
                }
            }
        }
    }

    fn dial_now(&mut self, id: NodeId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.is_hearsay() {
            self.hearsay.dial(self.now);
        }
        self.session_count += 1;
        let session = SessionId(self.session_count);
        client.link = Link::Greeting { session, since: self.now };
        let heard = (!client.named).then_some(client.failures);
        let addr = client.addr.clone();
        self.sessions.insert(session, id);
        self.act(Action::Dial { session, client: addr, heard });
    }

    /// Whom to dial, and in which place: the named first, then those that welcomed this node before, who has waited longest of
    /// them; then those that only ads tell of ([`Hearsay`](crate::hearsay::Hearsay)).
    fn next_to_dial(&self) -> Option<(NodeId, Place)> {
        let is_due =
            |client: &Client| matches!(client.link, Link::Idle { dial_at } if dial_at <= self.now);
        let may_dial = self.hearsay.may_dial(self.now);
        let due = self.clients.iter().filter(|(_, client)| is_due(client));
        let due = due.filter(|(_, client)| may_dial || !client.is_hearsay());
        let due = due.filter_map(|(id, client)| Some((*id, client, self.place_for(client)?)));
        let (hearsay, known): (Vec<_>, Vec<_>) =
            due.partition(|(_, client, _)| client.is_hearsay());
        let first = known.into_iter().min_by_key(|(id, client, _)| {
            let Link::Idle { dial_at } = client.link else { return (false, Millis(0), *id) };
            (!client.named, dial_at, *id)
        });
        let next = first.or_else(|| self.next_of_hearsay(hearsay))?;
        Some((next.0, next.2))
    }

    fn next_of_hearsay<'a>(
        &self,
        mut due: Vec<(NodeId, &'a Client, Place)>,
    ) -> Option<(NodeId, &'a Client, Place)> {
        if due.is_empty() {
            return None;
        }
        let newest = due.iter().enumerate().filter(|(_, (_, client, _))| client.failures == 0);
        let newest = newest.max_by_key(|(_, (_, client, _))| client.number).map(|(nth, _)| nth);
        let any = spread(self.config.seed, self.hearsay.count()) % due.len() as u64;
        let nth = newest.filter(|_| self.hearsay.is_turn_of_newest()).unwrap_or(any as usize);
        Some(due.swap_remove(nth))
    }

    /// A place for a client that is due, if there is one or somebody makes way.
    fn place_for(&self, client: &Client) -> Option<Place> {
        let linked = || self.clients.values().filter(|other| other.session().is_some());
        let network = client.addr.network().filter(|_| !client.named);
        let is_alike =
            |other: &&Client| network.is_some() && !other.named && other.addr.network() == network;
        let slowest = |of: &mut dyn Iterator<Item = &Client>| {
            let slow = of.filter_map(|other| other.slow_attempt(self.now)).min();
            slow.map(|(_, session)| Place::OfSlow(session))
        };
        if linked().filter(is_alike).count() >= LINK_COUNT_PER_PREFIX_MAX {
            return slowest(&mut linked().filter(is_alike));
        }
        if linked().count() < LINK_COUNT_MAX {
            return Some(Place::Free);
        }
        slowest(&mut linked()).or_else(|| self.longest_silent().map(Place::OfSilent))
    }

    /// The client that has granted nothing for longest, and for too long.
    fn longest_silent(&self) -> Option<NodeId> {
        let silent = self.clients.iter().filter(|(id, client)| {
            client.serving().is_some()
                && !client.named
                && client.granted_at + SILENT_TIME_MAX <= self.now
                && self.works.live_of(**id).next().is_none()
        });
        silent.min_by_key(|(_, client)| client.granted_at).map(|(id, _)| *id)
    }
}
