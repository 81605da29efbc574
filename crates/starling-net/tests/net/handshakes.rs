//! Many connections that are begun and not gone on with.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use n0_future::time::timeout;
use starling_net::{PeerAddr, limits::HANDSHAKE_COUNT_CALM};
use starling_proto::JOB_ALPN;
use tokio::{net::UdpSocket, task::JoinSet, time::sleep};

use crate::{Peer, dialable, raw_endpoint, soon};

/// Carries what comes on to `server` and nothing back: to the server, its senders stay silent after their first packets. Where it
/// is, and the first bytes of what the server answered.
async fn one_way(server: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let (addr, answers) = (inside.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    tokio::spawn({
        let outside = outside.clone();
        async move {
            let mut packet = [0; 2048];
            while let Ok((size, _)) = inside.recv_from(&mut packet).await {
                let _ = outside.send_to(&packet[..size], server).await;
            }
        }
    });
    tokio::spawn({
        let answers = answers.clone();
        async move {
            let mut packet = [0; 2048];
            while outside.recv_from(&mut packet).await.is_ok() {
                answers.lock().unwrap().push(packet[0]);
            }
        }
    });
    (addr, answers)
}

/// Whether a packet that begins so asks for another try, with a token that only who is at its address has (RFC 9000, 17.2.5).
fn is_retry(first_byte: &u8) -> bool {
    first_byte & 0b1011_0000 == 0b1011_0000
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_many_handshakes_open_newcomers_show_their_address_and_are_let_in() {
    let client = Peer::new(1).await;
    let (silent, answers) = one_way(client.addr().direct[0]).await;
    let (endpoint, _) = raw_endpoint(JOB_ALPN).await;
    let silent = dialable(&PeerAddr { direct: vec![silent], ..client.addr() });
    let mut dialing = JoinSet::new();
    let mut dial = |count: usize| {
        for _ in 0..count {
            let (endpoint, silent) = (endpoint.clone(), silent.clone());
            dialing.spawn(async move { endpoint.connect(silent, JOB_ALPN).await.is_ok() });
        }
    };
    let answered = || answers.lock().unwrap().clone();
    dial(8);
    soon(async {
        while answered().len() < 8 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(answered().iter().filter(|first| is_retry(first)).count(), 0, "few are no burden");
    dial(HANDSHAKE_COUNT_CALM);
    soon(async {
        while !answered().iter().any(is_retry) {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // Who is where it says comes in, by one more round trip.
    let node = Peer::new(2).await;
    let came = timeout(Duration::from_secs(5), node.net.connect_job(&client.addr())).await;
    came.expect("nobody keeps it waiting").unwrap();
}
