//! Job ads by gossip.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use n0_future::time::timeout;
use starling_net::{Ads, Net, PeerAddr};
use starling_proto::{JobAd, Wanted};
use starling_types::{JobId, KindCode, MemoryBytes};

use crate::{Peer, bind_again, reach::behind_a_forwarder, soon};

fn ad(client: &Net) -> JobAd {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    JobAd {
        job: JobId([5; 16]),
        client: client.addr(),
        systems: vec![Wanted { system: "fake/1".into(), kinds: [KindCode(1)].into() }],
        memory: MemoryBytes::from_mib(900),
        issued_at_unix_ms: now.as_millis() as u64,
        ttl_ms: 60_000,
    }
}

/// Publishes, again and again as clients do, until `listener` has heard.
async fn publish_until_heard(publisher: &Ads, client: &Net, listener: &mut Ads) -> JobAd {
    soon(async {
        loop {
            publisher.publish(&ad(client)).await.unwrap();
            if let Ok(heard) = timeout(Duration::from_millis(200), listener.recv()).await {
                return heard.expect("the listener is open");
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_ad_reaches_those_who_know_only_somebody_who_knows_the_client() {
    let (a, b, c) = (Peer::new(1).await, Peer::new(2).await, Peer::new(3).await);
    let of_a = a.net.ads(&[]).await.unwrap();
    let mut of_b = b.net.ads(&[a.addr()]).await.unwrap();
    let mut of_c = c.net.ads(&[b.addr()]).await.unwrap();
    let heard = publish_until_heard(&of_a, &a.net, &mut of_c).await;
    assert_eq!((heard.client, heard.job), (a.addr(), JobId([5; 16])));
    assert_eq!(soon(of_b.recv()).await.unwrap().client.node_id, a.id());
    // And back, to the one that knew nobody.
    let mut of_a = of_a;
    let heard = publish_until_heard(&of_c, &c.net, &mut of_a).await;
    assert_eq!(heard.client.node_id, c.id());
}

#[tokio::test]
async fn a_peer_that_lost_its_neighbours_finds_its_bootstrap_peer_when_that_is_back() {
    let (a, b) = (Peer::new(1).await, Peer::new(2).await);
    let b_addr = b.addr();
    let of_a = a.net.ads(std::slice::from_ref(&b_addr)).await.unwrap();
    let mut of_b = b.net.ads(&[]).await.unwrap();
    publish_until_heard(&of_a, &a.net, &mut of_b).await;

    drop(of_b);
    soon(b.net.close()).await;
    let Peer { net, blobs } = b;
    drop(net);
    let back = bind_again(2, b_addr.direct[0], &blobs).await;
    let mut of_back = back.ads(&[]).await.unwrap();
    publish_until_heard(&of_a, &a.net, &mut of_back).await;
}

#[tokio::test]
async fn an_ad_of_a_client_behind_a_forwarded_port_leads_there() {
    let (client, forwarder) = behind_a_forwarder(1).await;
    let node = Peer::new(2).await;
    let mut of_node = node.net.ads(&[]).await.unwrap();
    let of_client = client.net.ads(&[node.addr()]).await.unwrap();
    let heard = publish_until_heard(&of_client, &client.net, &mut of_node).await.client;
    assert_eq!(heard.direct[0], forwarder.addr);
    let outside = PeerAddr { direct: heard.direct[..1].to_vec(), ..heard };
    let session = soon(node.net.connect_job_heard(&outside, 0)).await.unwrap();
    assert_eq!(session.peer(), client.id());
}

#[tokio::test]
async fn a_closed_process_hears_and_says_nothing_more() {
    let a = Peer::new(1).await;
    let mut ads = a.net.ads(&[]).await.unwrap();
    soon(a.net.close()).await;
    assert_eq!(soon(ads.recv()).await, None);
    assert!(a.net.ads(&[]).await.is_err());
}
