//! Dialling: whom the user names at all the addresses of the ticket, whom strangers name at a few.

mod choice;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iroh::{
    Endpoint,
    endpoint::{Connection, VarInt},
};
use n0_future::time::{Instant, timeout};
use starling_proto::PeerAddr;
use starling_types::NodeId;
use thiserror::Error;

use self::choice::{Choice, NoChoice};
use crate::{
    addr::{self, Own},
    limits::{NEW_ADDRS_MAX, NEW_ADDRS_PER_NETWORK_MAX, UNREAD_BYTES_DIALED_MAX},
};

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// Nobody knows where it is.
    #[error("no address of peer {peer:#} is known")]
    NoAddr {
        /// The peer.
        peer: NodeId,
    },
    /// It is this process.
    #[error("peer {peer:#} is this process itself: give the ticket of another")]
    Own {
        /// The peer.
        peer: NodeId,
    },
    /// Strangers say where it is, and none of that leads anywhere from here.
    #[error(
        "peer {peer:#} is said to be at {told}: in private networks that this machine is not in; if it can be reached there, its own \
         ticket leads to it"
    )]
    Elsewhere {
        /// The peer.
        peer: NodeId,
        /// The addresses told.
        told: String,
    },
    /// Strangers named too many addresses lately.
    #[error(
        "peer {peer:#} is not dialled for a minute: strangers named more than {NEW_ADDRS_MAX} new addresses, or more than \
         {NEW_ADDRS_PER_NETWORK_MAX} in its network"
    )]
    TooMany {
        /// The peer.
        peer: NodeId,
    },
    /// It does not answer.
    #[error(
        "peer {peer:#} did not answer at {tried} within {} s; is it running, and does a firewall let \
         UDP through?",
        .waited.as_secs()
    )]
    Timeout {
        /// The peer.
        peer: NodeId,
        /// How long an answer was waited for.
        waited: Duration,
        /// The addresses tried.
        tried: String,
    },
    /// It answered, and no connection came about; or this side could not even try.
    #[error("cannot connect to peer {peer:#}: {reason}")]
    Failed {
        /// The peer.
        peer: NodeId,
        /// What the transport says.
        reason: String,
    },
}

/// Dials for one endpoint.
#[derive(Debug)]
pub(crate) struct Dialer {
    endpoint: Endpoint,
    own: Arc<Own>,
    choice: Mutex<Choice>,
    started: Instant,
}

impl Dialer {
    pub fn new(endpoint: Endpoint, own: Arc<Own>) -> Self {
        Self { endpoint, own, choice: Mutex::default(), started: Instant::now() }
    }

    /// Connects to `peer`, which the user named, for the protocol `alpn`, within `patience`. That it is that peer is proved by its
    /// key.
    pub async fn dial(
        &self,
        peer: &PeerAddr,
        alpn: &[u8],
        patience: Duration,
    ) -> Result<Connection, ConnectError> {
        let id = peer.node_id;
        let failed = |reason| ConnectError::Failed { peer: id, reason };
        if peer.is_empty() {
            return Err(ConnectError::NoAddr { peer: id });
        }
        if id == addr::to_node_id(self.endpoint.id()) {
            return Err(ConnectError::Own { peer: id });
        }
        let addr = addr::to_endpoint_addr(peer)
            .ok_or_else(|| failed("its id is not an ed25519 public key".to_owned()))?;
        match timeout(patience, self.endpoint.connect(addr, alpn)).await {
            Ok(Ok(connection)) => {
                connection.set_receive_window(VarInt::from_u32(UNREAD_BYTES_DIALED_MAX));
                Ok(connection)
            }
            Ok(Err(error)) => Err(failed(format!("{error:#}"))),
            Err(_) => {
                Err(ConnectError::Timeout { peer: id, waited: patience, tried: places(peer) })
            }
        }
    }

    /// [`Self::dial`] of a peer that strangers named, at a few of its addresses: others with each `attempt`, counted from 0.
    pub async fn dial_heard(
        &self,
        peer: &PeerAddr,
        attempt: u32,
        alpn: &[u8],
        patience: Duration,
    ) -> Result<Connection, ConnectError> {
        let own = self.own.ranges();
        let chosen = self.choice().take(self.started.elapsed(), &peer.direct, attempt, &own);
        let direct = match (chosen, &peer.relay) {
            (Ok(direct), _) => direct,
            // There is still another way.
            (Err(_), Some(_)) => Vec::new(),
            (Err(NoChoice::Elsewhere), None) => {
                let told = places(peer);
                return Err(ConnectError::Elsewhere { peer: peer.node_id, told });
            }
            (Err(NoChoice::TooMany), None) => {
                return Err(ConnectError::TooMany { peer: peer.node_id });
            }
        };
        let peer = PeerAddr { direct, ..peer.clone() };
        let connection = self.dial(&peer, alpn, patience).await?;
        let now = self.started.elapsed();
        for addr in addr::remote_addr(&connection).direct {
            self.choice().answered(now, addr);
        }
        Ok(connection)
    }

    fn choice(&self) -> MutexGuard<'_, Choice> {
        // Each change is whole before anything that could panic.
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn places(peer: &PeerAddr) -> String {
    let direct = peer.direct.iter().map(ToString::to_string);
    let relay = peer.relay.iter().map(ToString::to_string);
    direct.chain(relay).collect::<Vec<_>>().join(", ")
}
