//! The network over real QUIC on loopback: no proofs, no outside service, a few seconds.

#![allow(clippy::unwrap_used)]

mod ads;
mod blobs;
mod endpoint;
mod handshakes;
mod reach;
mod sessions;

use std::{net::SocketAddr, time::Duration};

use iroh::{Endpoint, endpoint::presets};
use n0_future::time::{sleep, timeout};
use starling_blobs::{Blobs, MemoryBlobs};
use starling_net::{ClientSession, Net, NetConfig, NodeSession, PeerAddr};
use starling_proto::{LeaseId, Message, NodeMessage};
use starling_types::{Epoch, JobId, NodeId};

/// No step of a test takes so long, unless something hangs.
const HANGS_AFTER: Duration = Duration::from_secs(30);

/// A process on the network, with its blobs: in memory, where nothing depends on files.
struct Peer<B = MemoryBlobs> {
    net: Net,
    blobs: B,
}

impl Peer {
    /// A peer on loopback, known by a key made of `key`.
    async fn new(key: u8) -> Self {
        Self::with_budget(key, 1 << 30).await
    }

    async fn with_budget(key: u8, max_bytes: u64) -> Self {
        Self::with_blobs(key, MemoryBlobs::new(max_bytes)).await
    }
}

impl<B: Blobs + Clone + 'static> Peer<B> {
    async fn with_blobs(key: u8, blobs: B) -> Self {
        let net = Net::bind(loopback(key), blobs.clone()).await.unwrap();
        Self { net, blobs }
    }

    fn addr(&self) -> PeerAddr {
        self.net.addr()
    }

    fn id(&self) -> NodeId {
        self.net.id()
    }
}

fn loopback(key: u8) -> NetConfig {
    NetConfig::loopback([key; 32])
}

/// Listens where a closed process did: its socket is gone when the last task that had it is.
async fn bind_again(key: u8, addr: SocketAddr, blobs: &MemoryBlobs) -> Net {
    let config = || NetConfig { bind: Some(addr), ..loopback(key) };
    soon(async {
        loop {
            match Net::bind(config(), blobs.clone()).await {
                Ok(net) => return net,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

/// A job connection from `node` to `client`, after one message: until then nobody sees it.
async fn job_connection(client: &Peer, node: &Peer) -> (ClientSession, NodeSession) {
    let at_node = node.net.connect_job(&client.addr()).await.unwrap();
    at_node.send(&NodeMessage::WorkRequested).await.unwrap();
    let mut at_client = soon(client.net.accept_job()).await.unwrap();
    assert_eq!(soon(at_client.recv()).await, Ok(Some(NodeMessage::WorkRequested)));
    (at_client, at_node)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(HANGS_AFTER, future).await.expect("hangs")
}

fn lease(epoch: u64) -> LeaseId {
    LeaseId { job: JobId([1; 16]), epoch: Epoch(epoch) }
}

fn renew(epoch: u64) -> NodeMessage {
    NodeMessage::Renew { lease: lease(epoch), done_permille: 0, waits: false }
}

/// An endpoint that speaks for itself, to misbehave with.
async fn raw_endpoint(alpn: &[u8]) -> (Endpoint, PeerAddr) {
    let endpoint = Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .alpns(vec![alpn.to_vec()])
        .bind()
        .await
        .unwrap();
    let addr = PeerAddr {
        node_id: NodeId(*endpoint.id().as_bytes()),
        direct: endpoint.bound_sockets(),
        relay: None,
    };
    (endpoint, addr)
}

/// `addr` as a raw endpoint dials it.
fn dialable(addr: &PeerAddr) -> iroh::EndpointAddr {
    let id = iroh::PublicKey::from_bytes(&addr.node_id.0).unwrap();
    iroh::EndpointAddr::from_parts(id, addr.direct.iter().copied().map(iroh::TransportAddr::Ip))
}

/// `message` as it travels.
fn framed(message: &impl Message) -> Vec<u8> {
    let body = message.encode();
    [&(body.len() as u32).to_le_bytes()[..], &body].concat()
}
