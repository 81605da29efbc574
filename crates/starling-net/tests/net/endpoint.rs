//! Listening, addresses, tickets, what strangers may send, closing.

use std::time::{Duration, Instant};

use iroh::endpoint::Connection;
use n0_future::time::timeout;
use starling_blobs::{Blobs, MemoryBlobs};
use starling_net::{
    BindError, ConnectError, Net, NetConfig, PeerAddr, Source, Ticket,
    limits::{UNI_STREAM_COUNT_MAX, UNREAD_BYTES_MAX},
};
use starling_proto::{BLOB_ALPN, JOB_ALPN};

use crate::{
    HANGS_AFTER, Peer, bind_again, dialable, job_connection, loopback, raw_endpoint, soon,
};

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let first = Peer::new(1).await;
    let taken = first.addr().direct[0];
    let config = NetConfig { bind: Some(taken), ..loopback(2) };
    let error = Net::bind(config, first.blobs.clone()).await.unwrap_err();
    assert!(matches!(error, BindError::AddrInUse { addr } if addr == taken), "{error:?}");
    let expected = format!("cannot listen on {taken} (UDP): the port is in use");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_named_in_the_error() {
    let peer = Peer::new(1).await;
    // TEST-NET-1: nobody has it.
    let elsewhere = "192.0.2.1:7000".parse().unwrap();
    let config = NetConfig { bind: Some(elsewhere), loopback_only: false, ..loopback(2) };
    let error = Net::bind(config, peer.blobs.clone()).await.unwrap_err();
    assert!(matches!(error, BindError::Addr { addr, .. } if addr == elsewhere), "{error:?}");
}

#[tokio::test]
async fn a_relay_that_is_no_url_is_refused() {
    let peer = Peer::new(1).await;
    let config = NetConfig { relay: Some("not a url".into()), ..loopback(2) };
    let error = Net::bind(config, peer.blobs.clone()).await.unwrap_err();
    assert!(matches!(error, BindError::Relay { .. }), "{error:?}");
}

#[tokio::test]
async fn a_loopback_peer_tells_of_no_other_address() {
    let peer = Peer::new(1).await;
    let PeerAddr { node_id, direct, relay } = peer.addr();
    assert_eq!((node_id, relay), (peer.id(), None));
    assert_eq!(direct.len(), 1);
    assert!(direct[0].ip().is_loopback() && direct[0].port() != 0, "{direct:?}");
}

#[tokio::test]
async fn a_peer_on_all_interfaces_has_an_address_at_once_and_is_reached_there() {
    let node = Peer::new(1).await;
    let config = NetConfig { loopback_only: false, ..loopback(2) };
    let client = Net::bind(config, node.blobs.clone()).await.unwrap();
    assert!(!client.addr().direct.is_empty());
    // A peer that listens on loopback alone cannot dial out, one that listens everywhere can.
    let config = NetConfig { loopback_only: false, ..loopback(3) };
    let node = Net::bind(config, node.blobs.clone()).await.unwrap();
    soon(node.connect_job(&client.addr())).await.unwrap();
    node.close().await;
    client.close().await;
}

#[tokio::test]
async fn a_ticket_leads_to_the_peer_that_gave_it() {
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let ticket: Ticket = client.net.ticket().to_string().parse().unwrap();
    assert_eq!(ticket, client.net.ticket());
    let session = soon(node.net.connect_job(&ticket.0)).await.unwrap();
    assert_eq!(session.peer(), client.id());
}

#[tokio::test]
async fn somebody_else_at_the_address_is_not_taken_for_the_peer() {
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let other = Peer::new(3).await;
    let addr = PeerAddr { node_id: other.id(), ..client.addr() };
    let error = soon(node.net.connect_job(&addr)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { peer, .. } if peer == other.id()), "{error}");
}

#[tokio::test]
async fn a_peer_without_an_address_cannot_be_dialed() {
    let node = Peer::new(1).await;
    let error = node.net.connect_job(&PeerAddr::new(node.id())).await.unwrap_err();
    assert_eq!(error, ConnectError::NoAddr { peer: node.id() });
}

#[tokio::test]
async fn closing_ends_what_waits_and_frees_the_port() {
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let (at_client, mut at_node) = job_connection(&client, &node).await;
    let port = client.addr().direct[0];
    let accepting = n0_future::task::spawn({
        let net = client.net.clone();
        async move { net.accept_job().await.is_none() }
    });
    soon(client.net.close()).await;
    assert!(soon(accepting).await.unwrap());
    assert_eq!(soon(at_node.recv()).await, Ok(None));
    drop((client, at_client));
    bind_again(1, port, &node.blobs).await;
}

#[tokio::test]
async fn a_closed_process_hears_its_own_peers_and_no_other_key_whatever_the_protocol() {
    let (node, stranger) = (Peer::new(2).await, Peer::new(3).await);
    let blobs = MemoryBlobs::new(1 << 20);
    let secret = blobs.put(b"a segment").unwrap().blob();
    let config = NetConfig { only: Some([node.id()].into()), ..loopback(1) };
    let client = Peer { net: Net::bind(config, blobs.clone()).await.unwrap(), blobs };
    for alpn in [JOB_ALPN, BLOB_ALPN, iroh_gossip::ALPN] {
        let (endpoint, _) = raw_endpoint(alpn).await;
        // The ticket is all right, and so is the handshake: the key is not.
        let told = match soon(endpoint.connect(dialable(&client.addr()), alpn)).await {
            Ok(connection) => soon(connection.closed()).await.to_string(),
            Err(error) => format!("{error:#}"),
        };
        assert!(told.contains("closed to all but its own peers"), "{told}");
    }
    let sources = [Source::peer(client.addr())];
    assert!(soon(stranger.net.fetch(secret, &sources)).await.is_err());
    let (_at_client, _at_node) = job_connection(&client, &node).await;
    soon(node.net.fetch(secret, &sources)).await.unwrap();
    // It calls on nobody else either.
    let elsewhere = stranger.blobs.put(b"elsewhere").unwrap().blob();
    let sources = [Source::peer(stranger.addr())];
    assert!(soon(client.net.fetch(elsewhere, &sources)).await.is_err());
}

/// Opens streams in one direction and fills them until the other side lets no more come: how many, and with how many bytes.
async fn fill_streams(connection: &Connection) -> (usize, usize) {
    const NO_MORE: Duration = Duration::from_millis(300);
    let (mut streams, mut bytes) = (Vec::new(), 0);
    while let Ok(Ok(mut stream)) = timeout(NO_MORE, connection.open_uni()).await {
        while let Ok(Ok(written)) = timeout(NO_MORE, stream.write(&[7; 64 << 10])).await {
            bytes += written;
        }
        streams.push(stream);
    }
    (streams.len(), bytes)
}

#[tokio::test]
async fn what_strangers_send_unasked_is_held_up_to_a_bound_and_others_are_served() {
    let client = Peer::new(1).await;
    let mut strangers = Vec::new();
    for alpn in [JOB_ALPN, BLOB_ALPN, JOB_ALPN, BLOB_ALPN] {
        let (endpoint, _) = raw_endpoint(alpn).await;
        let connection = soon(endpoint.connect(dialable(&client.addr()), alpn)).await.unwrap();
        let (streams, bytes) = fill_streams(&connection).await;
        assert!((1..=UNI_STREAM_COUNT_MAX as usize).contains(&streams), "{streams} streams");
        assert!((1..=UNREAD_BYTES_MAX as usize).contains(&bytes), "{bytes} bytes");
        assert_eq!(connection.max_datagram_size(), None, "no datagram is taken");
        strangers.push((endpoint, connection));
    }
    // Gossip reads its streams, and leaves at the first byte that is none of its.
    let (gossiper, _) = raw_endpoint(iroh_gossip::ALPN).await;
    let connection = gossiper.connect(dialable(&client.addr()), iroh_gossip::ALPN);
    let connection = soon(connection).await.unwrap();
    let (streams, bytes) = fill_streams(&connection).await;
    assert!(streams <= UNI_STREAM_COUNT_MAX as usize, "{streams} streams");
    assert!(bytes <= 2 * UNREAD_BYTES_MAX as usize, "{bytes} bytes");
    assert_eq!(connection.max_datagram_size(), None, "no datagram is taken");
    let node = Peer::new(2).await;
    let (_at_client, _at_node) = job_connection(&client, &node).await;
}

#[tokio::test]
async fn who_leaves_does_not_wait_long_for_a_peer_that_was_dialled_and_never_answers() {
    let (me, dead) = (Peer::new(1).await, Peer::new(2).await);
    // Somebody has the port and says nothing, as behind a firewall.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = PeerAddr { direct: vec![silent.local_addr().unwrap()], ..dead.addr() };
    let _ads = me.net.ads(&[addr]).await.unwrap();
    let mut bytes = [0; 2048];
    silent.set_read_timeout(Some(HANGS_AFTER)).unwrap();
    let dialled = tokio::task::spawn_blocking(move || silent.recv(&mut bytes).map(|_| silent));
    let _silent = soon(dialled).await.unwrap().unwrap();
    let left = Instant::now();
    me.net.close().await;
    assert!(left.elapsed() < Duration::from_secs(2), "{:?}", left.elapsed());
}
