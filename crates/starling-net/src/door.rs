//! The door: what is decided of a connection before any protocol hears of it.
//!
//! How a handshake begins depends on how many are open ([`Handshakes`]). And a process that is closed has a list of the peers
//! that it knows. Nobody else gets through: not as a node, not for a blob, not for gossip. It calls at nobody else's door either.
//! Whom a connection leads to is certain by then: the peer has proved its key.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use iroh::{
    EndpointAddr,
    endpoint::{
        AfterHandshakeOutcome, BeforeConnectOutcome, Connection, EndpointHooks, Incoming,
        IncomingAddr, Side, VarInt,
    },
    protocol::{IncomingFilter, IncomingFilterOutcome},
};
use n0_future::time::Instant;
use starling_types::NodeId;

use crate::{
    addr, close,
    handshakes::{Answer, Handshakes},
};

/// What a peer is told that is not on the list.
const CLOSED: &str = "this process is closed to all but its own peers";

/// The door of one process. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Who may come and be dialed; anybody when there is no list.
    only: Option<Arc<BTreeSet<NodeId>>>,
    handshakes: Arc<Mutex<Handshakes>>,
    started: Instant,
}

impl Door {
    pub fn new(only: Option<BTreeSet<NodeId>>) -> Self {
        let (only, handshakes) = (only.map(Arc::new), Arc::default());
        Self { only, handshakes, started: Instant::now() }
    }

    /// What the endpoint asks before it answers a first packet.
    pub fn filter(&self) -> IncomingFilter {
        let door = self.clone();
        Arc::new(move |incoming| door.begin(incoming))
    }

    fn begin(&self, incoming: &Incoming) -> IncomingFilterOutcome {
        let from = match incoming.remote_addr() {
            IncomingAddr::Ip(addr) => Some(addr),
            _ => None,
        };
        let (now, has_shown) = (self.started.elapsed(), incoming.remote_addr_validated());
        match self.handshakes().begin(now, from, has_shown) {
            Answer::Welcome => IncomingFilterOutcome::Accept,
            Answer::ShowAddress => IncomingFilterOutcome::Retry,
            Answer::Refused => IncomingFilterOutcome::Reject,
        }
    }

    fn handshakes(&self) -> MutexGuard<'_, Handshakes> {
        // Each change is whole before anything that could panic.
        self.handshakes.lock().unwrap_or_else(PoisonError::into_inner)
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
        if connection.side() == Side::Server {
            self.handshakes().done(&addr::remote_addr(connection).direct);
        }
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
