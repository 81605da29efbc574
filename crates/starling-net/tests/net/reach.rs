//! How a peer is reached: through a forwarded port, and at which of the addresses that others tell of.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::{SocketAddr, UdpSocket as StdUdpSocket},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use n0_future::{task::AbortOnDropHandle, time::timeout};
use starling_blobs::{Blobs, MemoryBlobs};
use starling_net::{ConnectError, Net, NetConfig, PeerAddr, Source, Ticket, node_id_of};
use starling_proto::NodeMessage;
use tokio::net::UdpSocket;

use crate::{Peer, loopback, soon};

/// The largest datagram.
const DATAGRAM_SIZE_BYTES_MAX: usize = 65_536;

/// A port that is forwarded, as a NAT does it: what comes to it goes on to a peer within, from another port for each sender.
pub(crate) struct Forwarder {
    pub addr: SocketAddr,
    within: Arc<OnceLock<SocketAddr>>,
    inwards: Arc<AtomicU64>,
    outwards: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Forwarder {
    pub(crate) async fn new() -> Self {
        let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let addr = outside.local_addr().unwrap();
        let within = Arc::new(OnceLock::new());
        let (inwards, outwards) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let forwarding = forward(outside, within.clone(), inwards.clone(), outwards.clone());
        let _task = AbortOnDropHandle::new(n0_future::task::spawn(forwarding));
        Self { addr, within, inwards, outwards, _task }
    }

    /// Whose port it is.
    pub(crate) fn leads_to(&self, within: SocketAddr) {
        self.within.set(within).unwrap();
    }

    /// Packets to the peer within, and from it.
    fn passed(&self) -> (u64, u64) {
        (self.inwards.load(Ordering::Relaxed), self.outwards.load(Ordering::Relaxed))
    }
}

async fn forward(
    outside: Arc<UdpSocket>,
    within: Arc<OnceLock<SocketAddr>>,
    inwards: Arc<AtomicU64>,
    outwards: Arc<AtomicU64>,
) {
    let mut senders: BTreeMap<SocketAddr, (Arc<UdpSocket>, AbortOnDropHandle<()>)> =
        BTreeMap::new();
    let mut bytes = vec![0; DATAGRAM_SIZE_BYTES_MAX];
    loop {
        let Ok((size, sender)) = outside.recv_from(&mut bytes).await else { continue };
        let Some(within) = within.get() else { continue };
        if let Entry::Vacant(entry) = senders.entry(sender) {
            let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            inside.connect(within).await.unwrap();
            let back = answer(inside.clone(), outside.clone(), sender, outwards.clone());
            entry.insert((inside, AbortOnDropHandle::new(n0_future::task::spawn(back))));
        }
        inwards.fetch_add(1, Ordering::Relaxed);
        let _ = senders[&sender].0.send(&bytes[..size]).await;
    }
}

async fn answer(
    inside: Arc<UdpSocket>,
    outside: Arc<UdpSocket>,
    sender: SocketAddr,
    count: Arc<AtomicU64>,
) {
    let mut bytes = vec![0; DATAGRAM_SIZE_BYTES_MAX];
    loop {
        let Ok(size) = inside.recv(&mut bytes).await else { continue };
        count.fetch_add(1, Ordering::Relaxed);
        let _ = outside.send_to(&bytes[..size], sender).await;
    }
}

/// A peer behind a forwarded port, which its user says.
pub(crate) async fn behind_a_forwarder(key: u8) -> (Peer, Forwarder) {
    let forwarder = Forwarder::new().await;
    let blobs = MemoryBlobs::new(1 << 30);
    let config = NetConfig { external: vec![forwarder.addr], ..loopback(key) };
    let net = Net::bind(config, blobs.clone()).await.unwrap();
    forwarder.leads_to(net.addr().direct[1]);
    (Peer { net, blobs }, forwarder)
}

/// What somebody knows of it who does not reach it otherwise.
fn from_outside(addr: &PeerAddr) -> PeerAddr {
    PeerAddr { direct: addr.direct[..1].to_vec(), ..addr.clone() }
}

#[tokio::test]
async fn a_client_behind_a_forwarded_port_is_reached_by_its_ticket_and_blobs_go_both_ways() {
    let (client, forwarder) = behind_a_forwarder(1).await;
    let node = Peer::new(2).await;
    let Ticket(ticket) = client.net.ticket().to_string().parse().unwrap();
    assert_eq!((ticket.direct[0], ticket.direct.len()), (forwarder.addr, 2));
    let outside = from_outside(&ticket);
    let at_node = soon(node.net.connect_job(&outside)).await.unwrap();
    at_node.send(&NodeMessage::WorkRequested).await.unwrap();
    let mut at_client = soon(client.net.accept_job()).await.unwrap();
    assert_eq!(soon(at_client.recv()).await, Ok(Some(NodeMessage::WorkRequested)));

    let (input, result) = ([7; 300_000], [8; 300_000]);
    let input = client.blobs.put(&input).unwrap();
    // Over a connection of its own, as from any holder.
    let source = Source::peer(outside);
    let report = soon(node.net.fetch(input.blob(), &[source])).await.unwrap();
    assert_eq!(report.from, Some(client.id()));
    let result = node.blobs.put(&result).unwrap();
    let source = Source::via(PeerAddr::new(node.id()), at_client.handle());
    let report = soon(client.net.fetch(result.blob(), &[source])).await.unwrap();
    assert_eq!(report.from, Some(node.id()));
    let (inwards, outwards) = forwarder.passed();
    assert!(inwards > 2 && outwards > 2, "{inwards} packets in, {outwards} out");
}

#[tokio::test]
async fn no_address_of_a_private_network_is_dialled_that_only_strangers_tell_of_from_elsewhere() {
    let node = Peer::new(1).await;
    let addrs = ["10.255.255.1:7000", "192.168.255.1:7000", "[fd00::1]:7000"];
    let peer = PeerAddr {
        direct: addrs.map(|addr| addr.parse().unwrap()).into(),
        ..PeerAddr::new(node_id_of(&[9; 32]))
    };
    let begun = Instant::now();
    let error = node.net.connect_job_heard(&peer, 0).await.unwrap_err();
    assert!(matches!(error, ConnectError::Elsewhere { .. }), "{error}");
    assert!(error.to_string().contains("10.255.255.1:7000"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "at once, and not after trying");
}

#[tokio::test]
async fn of_a_peer_with_sixteen_addresses_that_strangers_name_four_are_sent_anything() {
    let node = Peer::new(1).await;
    let silent: Vec<_> = (0..16).map(|_| StdUdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let peer = PeerAddr {
        direct: silent.iter().map(|socket| socket.local_addr().unwrap()).collect(),
        ..PeerAddr::new(node_id_of(&[9; 32]))
    };
    let attempt = timeout(Duration::from_secs(1), node.net.connect_job_heard(&peer, 0)).await;
    assert!(attempt.is_err(), "nobody answers");
    let heard = silent.iter().map(|socket| {
        socket.set_nonblocking(true).unwrap();
        socket.recv(&mut [0; 2048]).is_ok()
    });
    let heard: Vec<_> = heard.collect();
    assert_eq!(heard, (0..16).map(|nth| nth < 4).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_peer_that_is_to_dial_itself_says_so_at_once() {
    let node = Peer::new(1).await;
    let error = node.net.connect_job(&node.addr()).await.unwrap_err();
    assert_eq!(error, ConnectError::Own { peer: node.id() });
}

#[tokio::test]
async fn a_ticket_holds_what_the_user_says_before_all_that_the_machine_has() {
    let external: Vec<SocketAddr> =
        ["203.0.113.7:7000", "[2001:db8::7]:7000"].map(|addr| addr.parse().unwrap()).into();
    let config = NetConfig { external: external.clone(), loopback_only: false, ..loopback(1) };
    let net = Net::bind(config, MemoryBlobs::new(1 << 20)).await.unwrap();
    let Ticket(ticket) = net.ticket().to_string().parse().unwrap();
    assert_eq!(ticket.direct[..2], external);
    assert!(ticket.direct.len() > 2, "its own come after them: {ticket:?}");
}
