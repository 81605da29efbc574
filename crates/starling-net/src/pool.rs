//! Keeping connections to holders of blobs for the next fetch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use iroh::endpoint::Connection;
use starling_proto::{BLOB_ALPN, PeerAddr};
use starling_types::NodeId;

use crate::{
    addr,
    dial::{ConnectError, Dialer},
    limits::{HOLDER_CONNECT_TIMEOUT, POOL_CONNECTION_COUNT_MAX, POOL_FAILURE_COUNT_MAX},
};

/// Open blob connections, the most recently used last.
#[derive(Debug)]
pub(crate) struct Pool {
    dialer: Arc<Dialer>,
    connections: Mutex<Vec<Connection>>,
    failures: Mutex<Failures>,
}

/// How often holders could not be reached since they last could: the next attempt is at others of their addresses.
#[derive(Debug, Default)]
struct Failures(BTreeMap<NodeId, u32>);

impl Failures {
    fn count(&self, peer: NodeId) -> u32 {
        self.0.get(&peer).copied().unwrap_or(0)
    }

    fn failed(&mut self, peer: NodeId) {
        if self.0.len() >= POOL_FAILURE_COUNT_MAX && !self.0.contains_key(&peer) {
            // Which is forgotten hardly matters: its best addresses are tried again.
            self.0.pop_first();
        }
        let count = self.0.entry(peer).or_default();
        *count = count.wrapping_add(1);
    }

    fn reached(&mut self, peer: NodeId) {
        self.0.remove(&peer);
    }
}

impl Pool {
    pub fn new(dialer: Arc<Dialer>) -> Self {
        Self { dialer, connections: Mutex::default(), failures: Mutex::default() }
    }

    /// A blob connection to `peer`: an open one, or a new one. Where holders are, clients say.
    pub async fn connect(&self, peer: &PeerAddr) -> Result<Connection, ConnectError> {
        if let Some(open) = self.take_open(peer.node_id) {
            self.keep(open.clone());
            return Ok(open);
        }
        let attempt = self.failures().count(peer.node_id);
        let dialling = self.dialer.dial_heard(peer, attempt, BLOB_ALPN, HOLDER_CONNECT_TIMEOUT);
        match dialling.await {
            Ok(connection) => {
                self.failures().reached(peer.node_id);
                self.keep(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                self.failures().failed(peer.node_id);
                Err(error)
            }
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failures_of_so_many_holders_are_remembered_until_they_are_reached() {
        let peer = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            NodeId(bytes)
        };
        let mut failures = Failures::default();
        for number in 0..=POOL_FAILURE_COUNT_MAX {
            failures.failed(peer(number));
            failures.failed(peer(number));
        }
        assert_eq!(failures.0.len(), POOL_FAILURE_COUNT_MAX);
        let last = peer(POOL_FAILURE_COUNT_MAX);
        assert_eq!((failures.count(last), failures.count(peer(0))), (2, 0));
        failures.reached(last);
        assert_eq!(failures.count(last), 0);
    }
}
