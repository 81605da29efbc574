//! The enemy in the gossip: ads of clients that there are not, and of those that are the enemy's.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use iroh::{SecretKey, address_lookup::memory::MemoryLookup};
use iroh_gossip::{api::GossipSender, net::Gossip, proto::TopicId};
use n0_future::StreamExt as _;
use starling_fake::SYSTEMS;
use starling_net::limits::GOSSIP_MESSAGE_SIZE_BYTES_MAX;
use starling_proto::{JobAd, PeerAddr, Wanted};
use starling_types::{JobId, KindCode, MemoryBytes, NodeId};

use crate::{
    Result,
    peer::{dialable, endpoint, key},
    tally::Tally,
};

/// What the topic of all ads is called.
const TOPIC: &[u8] = b"starling/ads/1";

/// Between two ads: some hundred a second.
const PACE: Duration = Duration::from_millis(5);

/// How long an ad says that it is good.
const TTL_MS: u64 = 600_000;

/// Addresses in a false ad: as many as there may be, of this machine, where nobody listens.
const ADDRESSES: u8 = 16;

/// The enemy's place in the gossip.
pub(crate) struct Neighbour {
    sender: GossipSender,
    // They end when they are dropped.
    _gossip: Gossip,
    _endpoint: iroh::Endpoint,
}

impl Neighbour {
    /// Joins at the target. The key is one that nobody else of the enemy has.
    pub(crate) async fn join(target: &PeerAddr) -> Result<Self> {
        let endpoint = endpoint(key(u64::MAX), None, vec![iroh_gossip::ALPN.to_vec()]).await?;
        let lookup = MemoryLookup::new();
        let target = dialable(target)?;
        let id = target.id;
        lookup.add_endpoint_info(target);
        endpoint.address_lookup()?.add(lookup);
        let gossip = Gossip::builder()
            .max_message_size(GOSSIP_MESSAGE_SIZE_BYTES_MAX)
            .spawn(endpoint.clone());
        let topic = TopicId::from_bytes(starling_swarm::reference_of(TOPIC).0);
        let (sender, mut receiver) = gossip.subscribe(topic, vec![id]).await?.split();
        receiver.joined().await?;
        // What is not read ends the subscription.
        tokio::spawn(async move { while let Some(Ok(_)) = receiver.next().await {} });
        Ok(Self { sender, _gossip: gossip, _endpoint: endpoint })
    }

    /// Tells everybody of a client.
    pub(crate) async fn tell(&self, key: &SecretKey, client: PeerAddr, job: u64) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let mut id = [0xee; JobId::SIZE_BYTES];
        id[..8].copy_from_slice(&job.to_le_bytes());
        let wanted = Wanted { system: SYSTEMS[0].into(), kinds: (1..10).map(KindCode).collect() };
        let ad = JobAd {
            job: JobId(id),
            client,
            systems: vec![wanted],
            memory: MemoryBytes(1),
            issued_at_unix_ms: u64::try_from(now)?,
            ttl_ms: TTL_MS,
        };
        Ok(self.sender.broadcast(ad.sign(key).into()).await?)
    }
}

/// Tells of so many clients that there are not, again and again.
pub(crate) async fn flood(target: PeerAddr, keys: u64, tally: Arc<Tally>) -> Result<()> {
    let neighbour = Neighbour::join(&target).await?;
    Tally::add(&tally.connections, 1);
    for nth in 0.. {
        let key = key(nth % keys);
        let port = 10_000 + (nth % 50_000) as u16;
        let direct = (0..ADDRESSES).map(|last| ([127, 9, 9, last], port).into()).collect();
        let client = PeerAddr { node_id: NodeId(*key.public().as_bytes()), direct, relay: None };
        neighbour.tell(&key, client, nth).await?;
        Tally::add(&tally.messages, 1);
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}
