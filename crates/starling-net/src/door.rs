//! The door: what is decided of a connection before any protocol hears of it.
//!
//! A process that is closed has a list of the peers that it knows, and nobody else gets through: not as a node, not for a
//! blob, not for gossip. It calls at nobody else's door either. Whom a connection leads to is certain by then: the peer has
//! proved its key.

use std::{collections::BTreeSet, sync::Arc};

use iroh::{
    EndpointAddr,
    endpoint::{
        AfterHandshakeOutcome, BeforeConnectOutcome, Connection, EndpointHooks, VarInt,
    },
};
use starling_types::NodeId;

use crate::{addr, close};

/// What a peer is told that is not on the list.
const CLOSED: &str = "this process is closed to all but its own peers";

/// The door of one process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Who may come and be dialed; anybody when there is no list.
    only: Option<Arc<BTreeSet<NodeId>>>,
}

impl Door {
    pub fn new(only: Option<BTreeSet<NodeId>>) -> Self {
        Self { only: only.map(Arc::new) }
    }

    fn lets_through(&self, peer: NodeId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&peer))
    }
}

impl EndpointHooks for Door {
    async fn before_connect<'a>(
        &'a self,
        remote: &'a EndpointAddr,
        _alpn: &'a [u8],
    ) -> BeforeConnectOutcome {
        match self.lets_through(addr::to_node_id(remote.id)) {
            true => BeforeConnectOutcome::Accept,
            false => BeforeConnectOutcome::Reject,
        }
    }

    async fn after_handshake<'a>(&'a self, connection: &'a Connection) -> AfterHandshakeOutcome {
        let peer = addr::to_node_id(connection.remote_id());
        if self.lets_through(peer) {
            return AfterHandshakeOutcome::Accept;
        }
        tracing::debug!(peer = %format_args!("{peer:#}"), "refused at the door");
        AfterHandshakeOutcome::Reject {
            error_code: VarInt::from_u32(close::NOT_FOR_YOU),
            reason: CLOSED.into(),
        }
    }
}
