//! Dialing, and keeping connections to holders of blobs for the next fetch.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use iroh::{
    Endpoint,
    endpoint::{Connection, VarInt},
};
use n0_future::time::timeout;
use starling_proto::{BLOB_ALPN, PeerAddr};
use starling_types::NodeId;
use thiserror::Error;

use crate::{
    addr,
    limits::{HOLDER_CONNECT_TIMEOUT, POOL_CONNECTION_COUNT_MAX, UNREAD_BYTES_DIALED_MAX},
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

/// Connects to `peer` for the protocol `alpn`, within `patience`. That it is that peer is proved by its key.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    peer: &PeerAddr,
    alpn: &[u8],
    patience: Duration,
) -> Result<Connection, ConnectError> {
    let failed = |reason| ConnectError::Failed { peer: peer.node_id, reason };
    if peer.is_empty() {
        return Err(ConnectError::NoAddr { peer: peer.node_id });
    }
    let addr = addr::to_endpoint_addr(peer)
        .ok_or_else(|| failed("its id is not an ed25519 public key".to_owned()))?;
    match timeout(patience, endpoint.connect(addr, alpn)).await {
        Ok(Ok(connection)) => {
            connection.set_receive_window(VarInt::from_u32(UNREAD_BYTES_DIALED_MAX));
            Ok(connection)
        }
        Ok(Err(error)) => Err(failed(format!("{error:#}"))),
        Err(_) => {
            let (peer, tried) = (peer.node_id, places(peer));
            Err(ConnectError::Timeout { peer, waited: patience, tried })
        }
    }
}

fn places(peer: &PeerAddr) -> String {
    let direct = peer.direct.iter().map(ToString::to_string);
    let relay = peer.relay.iter().map(ToString::to_string);
    direct.chain(relay).collect::<Vec<_>>().join(", ")
}

/// Open blob connections, the most recently used last.
#[derive(Debug)]
pub(crate) struct Pool {
    endpoint: Endpoint,
    connections: Mutex<Vec<Connection>>,
}

impl Pool {
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, connections: Mutex::new(Vec::new()) }
    }

    /// A blob connection to `peer`: an open one, or a new one.
    pub async fn connect(&self, peer: &PeerAddr) -> Result<Connection, ConnectError> {
        if let Some(open) = self.take_open(peer.node_id) {
            self.keep(open.clone());
            return Ok(open);
        }
        let connection = dial(&self.endpoint, peer, BLOB_ALPN, HOLDER_CONNECT_TIMEOUT).await?;
        self.keep(connection.clone());
        Ok(connection)
    }

    fn take_open(&self, peer: NodeId) -> Option<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| connection.close_reason().is_none());
        let index = connections
            .iter()
            .position(|connection| addr::to_node_id(connection.remote_id()) == peer)?;
        Some(connections.remove(index))
    }

    fn keep(&self, connection: Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() >= POOL_CONNECTION_COUNT_MAX {
            // Closes once the fetches that still use it are done.
            connections.remove(0);
        }
        connections.push(connection);
    }
}
