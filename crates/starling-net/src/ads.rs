//! Job ads over gossip: how nodes hear of clients that nobody told them about.
//!
//! An ad is a hint. It is signed by its client, repeated every few seconds and forgotten when it ends.
//! What arrives here was verified, is news, and comes at a bounded rate. Only dialing shows whether a client is really
//! there.

mod clock;
mod filter;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use iroh::{
    EndpointId, SecretKey,
    endpoint::Connection,
    protocol::{AcceptError, ProtocolHandler},
};
use iroh_gossip::{
    api::{Event, GossipReceiver, GossipSender, JoinOptions},
    net::Gossip,
    proto::TopicId,
};
use n0_future::{
    StreamExt,
    task::AbortOnDropHandle,
    time::{Instant, MissedTickBehavior, SystemTime, interval},
};
use starling_proto::JobAd;
use starling_types::NodeId;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tracing::{debug, warn};

use self::{clock::ClockWarnings, filter::AdFilter};
use crate::{
    addr, close,
    limits::{
        AD_QUEUE_COUNT_MAX, GOSSIP_CONNECTION_COUNT_MAX, GOSSIP_MESSAGE_SIZE_BYTES_MAX,
        REJOIN_INTERVAL,
    },
};

/// What the topic of all ads is called. Another format of ads gets another name.
const TOPIC: &[u8] = b"starling/ads/1";

/// Gossip events that wait to be looked at.
const EVENT_QUEUE_COUNT_MAX: usize = 256;

/// This process has left the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this process has left the network")]
pub struct NetClosed;

/// The gossip of job ads. Dropped, the process leaves it.
#[derive(Debug)]
pub struct Ads {
    key: SecretKey,
    sender: watch::Receiver<GossipSender>,
    neighbour_came: Arc<Notify>,
    received: mpsc::Receiver<JobAd>,
    _listener: AbortOnDropHandle<()>,
}

impl Ads {
    pub(crate) async fn join(
        gossip: Gossip,
        key: SecretKey,
        bootstrap: BTreeSet<EndpointId>,
    ) -> Result<Self, NetClosed> {
        let (sender, receiver) = subscribe(&gossip, &bootstrap).await?;
        let (current_sender, watched_sender) = watch::channel(sender);
        let neighbour_came = Arc::new(Notify::new());
        let (ads, received) = mpsc::channel(AD_QUEUE_COUNT_MAX);
        let me = addr::to_node_id(key.public());
        let listener = Listener {
            gossip,
            bootstrap,
            me,
            current_sender,
            neighbour_came: neighbour_came.clone(),
            ads,
        };
        let task = n0_future::task::spawn(listener.run(receiver));
        let _listener = AbortOnDropHandle::new(task);
        Ok(Self { key, sender: watched_sender, neighbour_came, received, _listener })
    }

    /// Signs `ad`, which must name this process as the client, and sends it to everybody who listens.
    /// Ads get lost and end: repeat it every few seconds, with the time of each repetition in it.
    ///
    /// # Errors
    /// When this process is closed.
    pub async fn publish(&self, ad: &JobAd) -> Result<(), NetClosed> {
        debug_assert_eq!(ad.client.node_id, addr::to_node_id(self.key.public()), "not our ad");
        let message = Bytes::from(ad.sign(&self.key));
        let sender = self.sender.borrow().clone();
        sender.broadcast(message).await.map_err(|_| NetClosed)
    }

    /// Waits for a neighbour that is new since the last call: it has not heard what was published before.
    /// Never ends when this process is closed.
    pub async fn neighbour_came(&self) {
        self.neighbour_came.notified().await;
    }

    /// The next ad of another process, or `None` when this process is closed. Repetitions of an ad come
    /// too, so that a listener sees it live on, but never more than one a second.
    pub async fn recv(&mut self) -> Option<JobAd> {
        self.received.recv().await
    }
}

fn topic() -> TopicId {
    TopicId::from_bytes(starling_swarm::reference_of(TOPIC).0)
}

async fn subscribe(
    gossip: &Gossip,
    bootstrap: &BTreeSet<EndpointId>,
) -> Result<(GossipSender, GossipReceiver), NetClosed> {
    let options =
        JoinOptions { bootstrap: bootstrap.clone(), subscription_capacity: EVENT_QUEUE_COUNT_MAX };
    let topic = gossip.subscribe_with_opts(topic(), options).await.map_err(|_| NetClosed)?;
    Ok(topic.split())
}

/// Keeps the subscription alive and passes on what is worth it.
struct Listener {
    gossip: Gossip,
    bootstrap: BTreeSet<EndpointId>,
    me: NodeId,
    current_sender: watch::Sender<GossipSender>,
    neighbour_came: Arc<Notify>,
    ads: mpsc::Sender<JobAd>,
}

impl Listener {
    async fn run(self, mut receiver: GossipReceiver) {
        let mut filter = AdFilter::new(self.me);
        let mut clocks = ClockWarnings::default();
        let started = Instant::now();
        let mut rejoin = interval(REJOIN_INTERVAL);
        rejoin.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                event = receiver.next() => event,
                _ = rejoin.tick() => {
                    self.rejoin_if_alone(&receiver).await;
                    continue;
                }
            };
            match event {
                Some(Ok(Event::Received(message))) => {
                    let elapsed = started.elapsed();
                    match JobAd::verify(&message.content, now_unix_ms()) {
                        Ok(ad) => self.pass_on(ad, &mut filter, elapsed),
                        Err(error) => match clocks.of(&error, elapsed) {
                            Some(warning) => warn!("{warning}"),
                            None => debug!(%error, "ad refused"),
                        },
                    }
                }
                Some(Ok(Event::NeighborUp(_))) => self.neighbour_came.notify_one(),
                Some(Ok(Event::NeighborDown(_))) => {}
                // The subscription ends after it has lagged: begin a new one.
                Some(Ok(Event::Lagged)) | Some(Err(_)) | None => {
                    let Ok((sender, new)) = subscribe(&self.gossip, &self.bootstrap).await else {
                        return;
                    };
                    receiver = new;
                    self.current_sender.send_replace(sender);
                }
            }
        }
    }

    fn pass_on(&self, ad: JobAd, filter: &mut AdFilter, elapsed: Duration) {
        if filter.admits(&ad, elapsed) && self.ads.try_send(ad).is_err() {
            debug!("ad dropped: nobody reads them quickly enough");
        }
    }

    /// Gossip finds new neighbours while it has any; a process that lost all of them starts anew.
    async fn rejoin_if_alone(&self, receiver: &GossipReceiver) {
        if receiver.is_joined() || self.bootstrap.is_empty() {
            return;
        }
        let sender = self.current_sender.borrow().clone();
        // Fails only when the subscription has ended, which the receiver notices too.
        let _ = sender.join_peers(self.bootstrap.iter().copied().collect()).await;
    }
}

fn now_unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Lets a bounded number of peers into the gossip.
#[derive(Debug)]
pub(crate) struct GossipGate {
    gossip: Gossip,
    connections: Arc<Semaphore>,
}

impl GossipGate {
    pub fn new(gossip: Gossip) -> Self {
        debug_assert_eq!(gossip.max_message_size(), GOSSIP_MESSAGE_SIZE_BYTES_MAX);
        Self { gossip, connections: Arc::new(Semaphore::new(GOSSIP_CONNECTION_COUNT_MAX)) }
    }
}

impl ProtocolHandler for GossipGate {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let Ok(_permit) = self.connections.try_acquire() else {
            close::close(&connection, close::BUSY, "too many gossip connections; try another peer");
            return Ok(());
        };
        let closed = connection.weak_handle().closed();
        self.gossip.handle_connection(connection).await.map_err(AcceptError::from_err)?;
        closed.await;
        Ok(())
    }

    async fn shutdown(&self) {
        if let Err(error) = self.gossip.shutdown().await {
            debug!(%error, "gossip was down already");
        }
    }
}
