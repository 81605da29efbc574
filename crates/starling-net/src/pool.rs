//! Keeping connections to holders of blobs for the next fetch.

use std::sync::{Arc, Mutex, PoisonError};

use iroh::endpoint::Connection;
use starling_proto::{BLOB_ALPN, PeerAddr};
use starling_types::NodeId;

use crate::{
    addr,
    dial::{ConnectError, Dialer},
    limits::{HOLDER_CONNECT_TIMEOUT, POOL_CONNECTION_COUNT_MAX},
};

/// Open blob connections, the most recently used last.
#[derive(Debug)]
pub(crate) struct Pool {
    dialer: Arc<Dialer>,
    connections: Mutex<Vec<Connection>>,
}

impl Pool {
    pub fn new(dialer: Arc<Dialer>) -> Self {
        Self { dialer, connections: Mutex::new(Vec::new()) }
    }

    /// A blob connection to `peer`: an open one, or a new one. Where holders are, clients say.
    pub async fn connect(&self, peer: &PeerAddr) -> Result<Connection, ConnectError> {
        if let Some(open) = self.take_open(peer.node_id) {
            self.keep(open.clone());
            return Ok(open);
        }
        let dialling = self.dialer.dial_heard(peer, 0, BLOB_ALPN, HOLDER_CONNECT_TIMEOUT);
        let connection = dialling.await?;
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
