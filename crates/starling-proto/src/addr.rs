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

impl Network {
    /// What `ip` begins with; `None` for a loopback address, which says nothing of whose it is.
    pub fn of(ip: IpAddr) -> Option<Self> {
        let mut network = [0; 6];
        match ip.to_canonical() {
            ip if ip.is_loopback() => return None,
            IpAddr::V4(ip) => network[..3].copy_from_slice(&ip.octets()[..3]),
            IpAddr::V6(ip) => network.copy_from_slice(&ip.octets()[..6]),
        }
        Some(Self(network))
    }
}

/// Whether `addr` can be the address of one machine. Without a port, with the address that stands for all of a machine's own, or
/// with one that stands for many machines, it cannot: what is sent to a group reaches all of it.
pub fn is_dialable(addr: &SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

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
        match self.direct.first() {
            Some(addr) => Network::of(addr.ip()),
            None => Some(Network([0; 6])),
        }
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
    let addr = text.parse().ok().filter(is_dialable).ok_or_else(|| {
        FieldError::new("direct_addrs", FieldProblem::NotAnAddr { text: field::clean(text) })
    })?;
    Ok(canonical(addr))
}

/// The address as everything else here knows it: an IPv4 address is no IPv6 one, however it is written.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        // As it is, with its scope.
        IpAddr::V6(_) => addr,
    }
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
