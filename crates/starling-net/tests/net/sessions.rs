//! Control messages: in order, whole, and nothing else.

use std::time::Duration;

use iroh::endpoint::{ConnectionError, SendStream, VarInt};
use n0_future::time::{sleep, timeout};
use starling_net::{ClientSession, ProtocolError, SessionError};
use starling_proto::{ClientMessage, DecodeError, GoodbyeReason, JOB_ALPN, NodeMessage};

use crate::{Peer, dialable, framed, job_connection, lease, raw_endpoint, renew, soon};

#[tokio::test]
async fn messages_arrive_in_order_in_both_directions() {
    const COUNT: u64 = 500;
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let (mut at_client, at_node) = job_connection(&client, &node).await;
    assert_eq!((at_client.peer(), at_node.peer()), (node.id(), client.id()));

    let (to_client, mut from_client) = at_node.split();
    let sending = n0_future::task::spawn(async move {
        for epoch in 0..COUNT {
            to_client.send(&renew(epoch)).await.unwrap();
        }
        to_client
    });
    for epoch in 0..COUNT {
        assert_eq!(soon(at_client.recv()).await, Ok(Some(renew(epoch))));
        let revoke = ClientMessage::Revoke { lease: lease(epoch), reason: "over".into() };
        at_client.send(&revoke).await.unwrap();
        assert_eq!(soon(from_client.recv()).await, Ok(Some(revoke)));
    }
    drop(soon(sending).await.unwrap());
    assert_eq!(soon(at_client.recv()).await, Ok(None));
}

#[tokio::test]
async fn last_words_are_heard_before_the_end() {
    const COUNT: u64 = 40;
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let (mut at_client, at_node) = job_connection(&client, &node).await;
    for epoch in 0..COUNT {
        at_node.send(&renew(epoch)).await.unwrap();
    }
    drop(at_node);
    // Only now looked at: the connection may well be closed by then.
    sleep(Duration::from_millis(200)).await;
    for epoch in 0..COUNT {
        assert_eq!(soon(at_client.recv()).await, Ok(Some(renew(epoch))));
    }
    assert_eq!(soon(at_client.recv()).await, Ok(None));
    soon(at_client.handle().closed()).await;
    let goodbye = goodbye();
    let ended = SessionError::Ended { peer: node.id() };
    // The task that writes may need a moment to notice.
    let error = soon(async {
        loop {
            match at_client.send(&goodbye).await {
                Ok(()) => sleep(Duration::from_millis(10)).await,
                Err(error) => return error,
            }
        }
    });
    assert_eq!(error.await, ended);
}

#[tokio::test]
async fn words_before_the_closing_of_the_process_are_heard() {
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let (at_client, mut at_node) = job_connection(&client, &node).await;
    let goodbye = goodbye();
    at_client.send(&goodbye).await.unwrap();
    soon(client.net.close()).await;
    assert_eq!(soon(at_node.recv()).await, Ok(Some(goodbye)));
    assert_eq!(soon(at_node.recv()).await, Ok(None));
}

#[tokio::test]
async fn the_address_of_a_peer_is_where_its_packets_come_from() {
    let client = Peer::new(1).await;
    let node = Peer::new(2).await;
    let (at_client, _at_node) = job_connection(&client, &node).await;
    assert_eq!(at_client.peer_addr(), node.addr());
}

fn goodbye() -> ClientMessage {
    ClientMessage::Goodbye { reason: GoodbyeReason::ShuttingDown, message: "over".into() }
}

/// A session at a client whose node is the test.
struct Misbehaving {
    session: ClientSession,
    connection: iroh::endpoint::Connection,
    stream: SendStream,
    _endpoint: iroh::Endpoint,
}

async fn misbehaving(client: &Peer, first_bytes: &[u8]) -> Misbehaving {
    let (endpoint, _) = raw_endpoint(JOB_ALPN).await;
    let connection = soon(endpoint.connect(dialable(&client.addr()), JOB_ALPN)).await.unwrap();
    let (mut stream, _recv) = connection.open_bi().await.unwrap();
    stream.write_all(first_bytes).await.unwrap();
    let session = soon(client.net.accept_job()).await.unwrap();
    Misbehaving { session, connection, stream, _endpoint: endpoint }
}

async fn refused(first_bytes: &[u8], then_finish: bool) -> ProtocolError {
    let client = Peer::new(1).await;
    let mut bad = misbehaving(&client, first_bytes).await;
    if then_finish {
        bad.stream.finish().unwrap();
    }
    let Err(SessionError::Protocol { peer, problem }) = soon(bad.session.recv()).await else {
        panic!("the session took what is not a message");
    };
    assert_eq!(peer, bad.session.peer());
    // The peer is told, in the same words.
    let ConnectionError::ApplicationClosed(close) = soon(bad.connection.closed()).await else {
        panic!("the connection was not closed by the client");
    };
    assert_eq!(close.error_code, VarInt::from_u32(1));
    assert_eq!(String::from_utf8_lossy(&close.reason), problem.to_string());
    problem
}

#[tokio::test]
async fn an_oversized_message_closes_the_session_before_it_is_read() {
    let problem = refused(&u32::MAX.to_le_bytes(), false).await;
    let size_bytes = u32::MAX as usize;
    assert!(
        matches!(problem, ProtocolError::Decode(DecodeError::TooLarge { size_bytes: actual, .. }) if actual == size_bytes),
        "{problem}"
    );
}

#[tokio::test]
async fn garbage_closes_the_session() {
    let problem = refused(b"\x05\0\0\0hello", false).await;
    assert!(matches!(problem, ProtocolError::Decode(DecodeError::Malformed { .. })), "{problem}");
}

#[tokio::test]
async fn a_message_that_breaks_off_closes_the_session() {
    let problem = refused(b"\x05\0\0\0he", true).await;
    assert_eq!(problem, ProtocolError::Truncated { received_bytes: 6 });
}

#[tokio::test]
async fn a_refusal_by_the_peer_is_reported_in_its_words() {
    let client = Peer::new(1).await;
    let mut bad = misbehaving(&client, &framed(&NodeMessage::WorkRequested)).await;
    assert_eq!(soon(bad.session.recv()).await, Ok(Some(NodeMessage::WorkRequested)));
    bad.connection.close(VarInt::from_u32(1), b"what\x1b[2J?");
    let peer = bad.session.peer();
    let reason = "what[2J?".to_owned();
    assert_eq!(soon(bad.session.recv()).await, Err(SessionError::Refused { peer, reason }));
}

#[tokio::test]
async fn giving_up_waiting_for_a_message_loses_nothing_of_it() {
    let client = Peer::new(1).await;
    let frame = framed(&renew(7));
    let mut slow = misbehaving(&client, &frame[..1]).await;
    for byte in &frame[1..] {
        let early = timeout(Duration::from_millis(20), slow.session.recv()).await;
        assert!(early.is_err(), "a message before its last byte");
        slow.stream.write_all(&[*byte]).await.unwrap();
    }
    assert_eq!(soon(slow.session.recv()).await, Ok(Some(renew(7))));
}
