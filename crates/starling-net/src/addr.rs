//! Between Starling's addresses and iroh's.

use iroh::{EndpointAddr, PublicKey, SecretKey, TransportAddr, endpoint::Connection};
use starling_proto::PeerAddr;
use starling_types::NodeId;

/// The address as iroh dials it, or `None` when the id is not a key.
pub(crate) fn to_endpoint_addr(addr: &PeerAddr) -> Option<EndpointAddr> {
    let id = PublicKey::from_bytes(&addr.node_id.0).ok()?;
    let direct = addr.direct.iter().copied().map(TransportAddr::Ip);
    let relay = addr.relay.clone().map(TransportAddr::Relay);
    Some(EndpointAddr::from_parts(id, direct.chain(relay)))
}

/// The address of this endpoint or a peer as others are told it.
pub(crate) fn from_endpoint_addr(addr: &EndpointAddr) -> PeerAddr {
    PeerAddr {
        node_id: to_node_id(addr.id),
        direct: addr.ip_addrs().copied().collect(),
        relay: addr.relay_urls().next().cloned(),
    }
}

/// Where the peer of `connection` is reached over it: good for others too, where no NAT lies between.
pub(crate) fn remote_addr(connection: &Connection) -> PeerAddr {
    let paths = connection.paths();
    let addrs = paths.iter().map(|path| path.remote_addr().clone());
    from_endpoint_addr(&EndpointAddr::from_parts(connection.remote_id(), addrs))
}

/// Under which id those who hold this secret key are known.
pub fn node_id_of(secret_key: &[u8; 32]) -> NodeId {
    to_node_id(SecretKey::from_bytes(secret_key).public())
}

pub(crate) fn to_node_id(id: PublicKey) -> NodeId {
    NodeId(*id.as_bytes())
}
