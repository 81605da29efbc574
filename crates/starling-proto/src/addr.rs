//! Who a peer is, and where it may be reached.

use std::net::{IpAddr, SocketAddr};

use iroh_base::RelayUrl;
use starling_types::NodeId;

use crate::{
    error::{FieldError, FieldProblem},
    field,
    limits::{DIRECT_ADDR_COUNT_MAX, DIRECT_ADDR_SIZE_BYTES_MAX, RELAY_URL_SIZE_BYTES_MAX},
    wire,
};

/// A peer's id and the addresses that it may be reached at. The id is proved on connecting; the
/// addresses are hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddr {
    /// The peer.
    pub node_id: NodeId,
    /// Where it listens, best first. Of more than [`DIRECT_ADDR_COUNT_MAX`] the rest is not sent.
    pub direct: Vec<SocketAddr>,
    /// The relay that it keeps a connection to, if any.
    pub relay: Option<RelayUrl>,
}

/// What the addresses of one network begin with: IPv4 24 bits, IPv6 48. They are most likely one person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network([u8; 6]);

impl PeerAddr {
    /// A peer of which only the id is known: reachable only over a connection that it opened itself.
    pub fn new(node_id: NodeId) -> Self {
        Self { node_id, direct: Vec::new(), relay: None }
    }

    /// Whether there is no address at all, so that the peer cannot be dialed.
    pub fn is_empty(&self) -> bool {
        self.direct.is_empty() && self.relay.is_none()
    }

    /// What its first address begins with, if that says anything of whose it is: a loopback address does not. Peers that are
    /// reached by relay alone are of one network all together.
    pub fn network(&self) -> Option<Network> {
        let mut network = [0; 6];
        match self.direct.first().map(SocketAddr::ip) {
            Some(ip) if ip.is_loopback() => return None,
            Some(IpAddr::V4(ip)) => network[..3].copy_from_slice(&ip.octets()[..3]),
            Some(IpAddr::V6(ip)) => network.copy_from_slice(&ip.octets()[..6]),
            None => {}
        }
        Some(Network(network))
    }

    pub(crate) fn to_wire(&self) -> wire::PeerAddr {
        let direct = self.direct.iter().take(DIRECT_ADDR_COUNT_MAX);
        let relay_url = self.relay.as_ref().map(ToString::to_string);
        wire::PeerAddr {
            node_id: self.node_id.0.into(),
            direct_addrs: direct.map(ToString::to_string).collect(),
            relay_url: relay_url.filter(|url| url.len() <= RELAY_URL_SIZE_BYTES_MAX),
        }
    }

    pub(crate) fn from_wire(addr: &wire::PeerAddr) -> Result<Self, FieldError> {
        let direct = field::at_most("direct_addrs", &addr.direct_addrs, DIRECT_ADDR_COUNT_MAX)?;
        Ok(Self {
            node_id: field::node_id("node_id", &addr.node_id)?,
            direct: direct.iter().map(|text| direct_addr(text)).collect::<Result<_, _>>()?,
            relay: addr.relay_url.as_deref().map(relay_url).transpose()?,
        })
    }
}

fn direct_addr(text: &str) -> Result<SocketAddr, FieldError> {
    let text = field::bounded("direct_addrs", text, DIRECT_ADDR_SIZE_BYTES_MAX)?;
    let usable = |addr: &SocketAddr| addr.port() != 0 && !addr.ip().is_unspecified();
    text.parse().ok().filter(usable).ok_or_else(|| {
        FieldError::new("direct_addrs", FieldProblem::NotAnAddr { text: field::clean(text) })
    })
}

fn relay_url(text: &str) -> Result<RelayUrl, FieldError> {
    let text = field::bounded("relay_url", text, RELAY_URL_SIZE_BYTES_MAX)?;
    // What is not ASCII grows when it is parsed, and must fit when it is sent on.
    let usable = |url: &RelayUrl| {
        matches!(url.scheme(), "http" | "https") && url.as_str().len() <= RELAY_URL_SIZE_BYTES_MAX
    };
    text.parse().ok().filter(usable).ok_or_else(|| {
        FieldError::new("relay_url", FieldProblem::NotARelayUrl { text: field::clean(text) })
    })
}
