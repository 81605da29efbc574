//! One process on the network: its endpoint, what it serves, and the ways to reach others.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use iroh::{
    Endpoint, RelayMode, SecretKey,
    address_lookup::memory::MemoryLookup,
    endpoint::{BindError as IrohBindError, Connection, QuicTransportConfig, VarInt, presets},
    protocol::Router,
};
use iroh_gossip::net::Gossip;
use n0_future::time::timeout;
use starling_blobs::Blobs;
use starling_proto::{BLOB_ALPN, JOB_ALPN, PeerAddr, RelayUrl, Ticket};
use starling_types::{BlobRef, NodeId};
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    addr::{self, Own},
    ads::{Ads, GossipGate, NetClosed},
    dial::{ConnectError, Dialer},
    door::Door,
    fetch::{FetchError, FetchReport, Fetcher, Source},
    jobs::{JobAcceptor, JobContext},
    limits::{
        BLOB_STREAM_COUNT_MAX, CONNECT_TIMEOUT, CONNECTION_IDLE_TIMEOUT, FLUSH_TIMEOUT,
        GOSSIP_MESSAGE_SIZE_BYTES_MAX, JOB_BACKLOG_COUNT_MAX, JOB_CONNECTION_COUNT_MAX,
        RELAY_TIMEOUT, RTT_ASSUMED, UNACKNOWLEDGED_BYTES_MAX, UNI_STREAM_COUNT_MAX,
        UNREAD_BYTES_MAX,
    },
    places::Places,
    serve::{BlobServer, Came},
    session::{ClientSession, NodeSession, Session, SessionHandle},
};

/// How a process takes part in the network.
pub struct NetConfig {
    /// The ed25519 secret that the process is known by. Keep it, and peers recognise the process.
    pub secret_key: [u8; 32],
    /// Where to listen (UDP). `None`: any free port of every interface. Port 0: any free port.
    pub bind: Option<SocketAddr>,
    /// Where others reach this process besides, as the user says: a NAT's address with a forwarded port. Told before all others.
    pub external: Vec<SocketAddr>,
    /// Listen on loopback alone, and tell nobody of any other address but the external ones. Of `bind`, the port counts.
    pub loopback_only: bool,
    /// The URL of a relay to be reachable through; there is none by default.
    pub relay: Option<String>,
    /// The only peers that may connect or be dialed; anybody when `None`. To know an address is not enough then: no protocol
    /// hears of another key.
    pub only: Option<BTreeSet<NodeId>>,
}

impl NetConfig {
    /// On loopback, on any free port, open to anybody there.
    pub fn loopback(secret_key: [u8; 32]) -> Self {
        Self {
            secret_key,
            bind: None,
            external: Vec::new(),
            loopback_only: true,
            relay: None,
            only: None,
        }
    }
}

/// Why a process cannot take part in the network.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {addr} (UDP): the port is in use; choose another, or 0 for any free port"
    )]
    AddrInUse {
        /// Where this process was to listen.
        addr: SocketAddr,
    },
    /// This machine does not have the address, or refuses it.
    #[error("cannot listen on {addr} (UDP): {source}")]
    Addr {
        /// Where this process was to listen.
        addr: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The relay's URL is not a URL.
    #[error("{url:?} is not the URL of a relay; expected something like https://relay.example.org")]
    Relay {
        /// The text as given.
        url: String,
    },
    /// The transport could not be set up.
    #[error("cannot set up the network: {reason}")]
    Transport {
        /// What it says.
        reason: String,
    },
}

/// One process on the network. Clones share it.
#[derive(Debug, Clone)]
pub struct Net {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    router: Router,
    gossip: Gossip,
    /// Addresses of peers that are dialed by id alone, as gossip does.
    known_addrs: MemoryLookup,
    blobs: Arc<dyn Blobs>,
    own: Arc<Own>,
    dialer: Arc<Dialer>,
    fetcher: Fetcher,
    jobs: JobContext,
    accepted: Mutex<mpsc::Receiver<ClientSession>>,
}

impl Net {
    /// Starts listening, and serving the blobs of `blobs` to peers that know their names. With a relay, waits
    /// a few seconds for it to answer.
    ///
    /// # Errors
    /// When the address cannot be listened on, with the address in the error.
    pub async fn bind(config: NetConfig, blobs: impl Blobs + 'static) -> Result<Self, BindError> {
        let blobs: Arc<dyn Blobs> = Arc::new(blobs);
        let known_addrs = MemoryLookup::new();
        let door = Door::new(config.only.clone());
        let filter = door.filter();
        let endpoint = bind_endpoint(&config, known_addrs.clone(), door).await?;
        if let Some(relay) = &config.relay {
            // The relay is in the ticket only once it has answered.
            if timeout(RELAY_TIMEOUT, endpoint.online()).await.is_err() {
                tracing::warn!(
                    relay,
                    "the relay does not answer: until it does, only those who reach this machine directly can connect"
                );
            }
        }
        let nodes = Places::new(JOB_CONNECTION_COUNT_MAX);
        let server = BlobServer::new(blobs.clone(), nodes.clone());
        let jobs = JobContext {
            server: server.clone(),
            writers: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        let gossip = Gossip::builder()
            .max_message_size(GOSSIP_MESSAGE_SIZE_BYTES_MAX)
            .spawn(endpoint.clone());
        let (accepting, accepted) = mpsc::channel(JOB_BACKLOG_COUNT_MAX);
        let router = Router::builder(endpoint.clone())
            .incoming_filter(filter)
            .accept(JOB_ALPN, JobAcceptor::new(jobs.clone(), accepting, nodes.clone()))
            .accept(BLOB_ALPN, server)
            .accept(iroh_gossip::ALPN, GossipGate::new(gossip.clone()))
            .spawn();
        let own = Arc::new(Own::watch(endpoint.clone(), config.external).await);
        let dialer = Arc::new(Dialer::new(endpoint.clone(), own.clone()));
        let fetcher = Fetcher::new(dialer.clone(), blobs.clone(), nodes);
        let accepted = Mutex::new(accepted);
        let shared = Shared {
            endpoint,
            router,
            gossip,
            known_addrs,
            blobs,
            own,
            dialer,
            fetcher,
            jobs,
            accepted,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The id that peers know this process by.
    pub fn id(&self) -> NodeId {
        addr::to_node_id(self.shared.endpoint.id())
    }

    /// The blobs that it serves and fetches.
    pub fn blobs(&self) -> &Arc<dyn Blobs> {
        &self.shared.blobs
    }

    /// Where this process can be reached, as far as it knows now: what the user says, an address for each interface, and
    /// its relay. The likeliest to lead here come first; of more than a message holds the rest is left out.
    pub fn addr(&self) -> PeerAddr {
        self.shared.own.addr()
    }

    /// [`Self::addr`] as a word for people to copy.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.addr())
    }

    /// The next node that has dialed this process, or `None` when it is closed. For clients.
    pub async fn accept_job(&self) -> Option<ClientSession> {
        let mut accepted = self.shared.accepted.lock().await;
        tokio::select! {
            () = self.shared.jobs.closing.cancelled() => None,
            session = accepted.recv() => session,
        }
    }

    /// Dials the client at `client`, as the user named it; the node speaks first. For nodes.
    ///
    /// # Errors
    /// When the client cannot be reached within [`CONNECT_TIMEOUT`].
    pub async fn connect_job(&self, client: &PeerAddr) -> Result<NodeSession, ConnectError> {
        let dialling = self.shared.dialer.dial(client, JOB_ALPN, CONNECT_TIMEOUT);
        self.begin_job(dialling.await?).await
    }

    /// [`Self::connect_job`] with a client that an ad told of, at a few of the addresses in the ad: others with each `attempt`,
    /// counted from 0.
    ///
    /// # Errors
    /// As there, and when none of its addresses may be dialled now.
    pub async fn connect_job_heard(
        &self,
        client: &PeerAddr,
        attempt: u32,
    ) -> Result<NodeSession, ConnectError> {
        let dialling = self.shared.dialer.dial_heard(client, attempt, JOB_ALPN, CONNECT_TIMEOUT);
        self.begin_job(dialling.await?).await
    }

    async fn begin_job(&self, connection: Connection) -> Result<NodeSession, ConnectError> {
        let JobContext { server, writers, closing } = &self.shared.jobs;
        let control = connection.open_bi().await.map_err(|error| ConnectError::Failed {
            peer: addr::to_node_id(connection.remote_id()),
            reason: error.to_string(),
        })?;
        let server = server.clone();
        let served = connection.clone();
        // Ends with the connection.
        n0_future::task::spawn(async move { server.serve(&served, Came::Dialed).await });
        Ok(Session::new(SessionHandle::dialled(connection), control, writers, closing.clone()))
    }

    /// Makes sure that `blob` is in the store: fetches it from the first of `sources` that delivers it,
    /// in their order. Bytes are checked before they count. The report's pin keeps the blob.
    /// Fetching the same blob twice at once costs one transfer, unless that is slow: then the sources of each are tried.
    ///
    /// # Errors
    /// When no source delivers, with what each said; [`FetchError::WrongBytes`] when one of them is a
    /// liar for certain.
    pub async fn fetch(
        &self,
        blob: BlobRef,
        sources: &[Source],
    ) -> Result<FetchReport, FetchError> {
        self.shared.fetcher.fetch(blob, sources, None).await
    }

    /// [`Self::fetch`], with a limit of its own to the time that each source may take once it is its turn. How long others
    /// go first does not count: that is not a source's fault.
    ///
    /// # Errors
    /// As there.
    pub async fn fetch_within(
        &self,
        blob: BlobRef,
        sources: &[Source],
        limit: Duration,
    ) -> Result<FetchReport, FetchError> {
        self.shared.fetcher.fetch(blob, sources, Some(limit)).await
    }

    /// Joins the gossip of job ads through the peers at `bootstrap`; with none, waits for others to join
    /// through this process.
    ///
    /// # Errors
    /// When this process is closed.
    pub async fn ads(&self, bootstrap: &[PeerAddr]) -> Result<Ads, NetClosed> {
        let Shared { endpoint, gossip, known_addrs, .. } = &*self.shared;
        for peer in bootstrap.iter().filter_map(addr::to_endpoint_addr) {
            known_addrs.add_endpoint_info(peer);
        }
        let me = endpoint.id();
        let peers = bootstrap.iter().filter_map(addr::to_endpoint_addr).map(|peer| peer.id);
        let peers = peers.filter(|peer| *peer != me).collect();
        Ads::join(gossip.clone(), endpoint.secret_key().clone(), peers).await
    }

    /// Sends what is queued, closes every connection and stops listening. Takes a few seconds at most.
    pub async fn close(&self) {
        let Shared { router, jobs, endpoint, .. } = &*self.shared;
        jobs.closing.cancel();
        jobs.writers.close();
        // Each writer is bounded by itself, a stalled one by more than anybody wants to wait here.
        let _ = timeout(2 * FLUSH_TIMEOUT, jobs.writers.wait()).await;
        if let Err(error) = router.shutdown().await {
            tracing::warn!(%error, "the network did not shut down cleanly");
        }
        endpoint.close().await;
    }
}

async fn bind_endpoint(
    config: &NetConfig,
    known_addrs: MemoryLookup,
    door: Door,
) -> Result<Endpoint, BindError> {
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&config.secret_key))
        .address_lookup(known_addrs)
        .hooks(door)
        .transport_config(transport_config());
    for addr in &config.external {
        builder = builder.external_addr(*addr);
    }
    let addr = listen_addr(config);
    if let Some(addr) = addr {
        // On a wildcard, the other address family keeps a port of its own; on anything else, listening
        // there too would open what the user did not ask for.
        if !addr.ip().is_unspecified() {
            builder = builder.clear_ip_transports();
        }
        builder = builder
            .bind_addr(addr)
            .map_err(|error| BindError::Transport { reason: error.to_string() })?;
    }
    if let Some(url) = &config.relay {
        let relay: RelayUrl =
            url.parse().map_err(|_| BindError::Relay { url: url.chars().take(200).collect() })?;
        builder = builder.relay_mode(RelayMode::custom([relay]));
    }
    builder.bind().await.map_err(|error| match (error, addr) {
        (IrohBindError::Sockets { source, .. }, Some(addr)) => match source.kind() {
            io::ErrorKind::AddrInUse => BindError::AddrInUse { addr },
            _ => BindError::Addr { addr, source },
        },
        (error, _) => BindError::Transport { reason: format!("{error:#}") },
    })
}

fn listen_addr(config: &NetConfig) -> Option<SocketAddr> {
    if config.loopback_only {
        let port = config.bind.map_or(0, |addr| addr.port());
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    config.bind
}

fn transport_config() -> QuicTransportConfig {
    let idle_ms = u32::try_from(CONNECTION_IDLE_TIMEOUT.as_millis())
        .expect("a named constant of some seconds");
    // The control stream, and the blobs: with more, a peer waits before it opens another.
    let streams = u32::try_from(1 + BLOB_STREAM_COUNT_MAX).expect("a named constant, and small");
    QuicTransportConfig::builder()
        .max_idle_timeout(Some(VarInt::from_u32(idle_ms).into()))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAM_COUNT_MAX))
        .receive_window(VarInt::from_u32(UNREAD_BYTES_MAX))
        .send_window(UNACKNOWLEDGED_BYTES_MAX)
        // Nothing here is sent as a datagram.
        .datagram_receive_buffer_size(None)
        .initial_rtt(RTT_ASSUMED)
        .build()
}
