//! The node itself: one endpoint, its slots, and a session with every client that it hears of.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use starling_cost::Costs;
use starling_net::{Ads, Net};
use starling_proto::{Hello, JobAd, PeerAddr};
use starling_store::{BlobStore, DataDir, DataDirError};
use starling_types::{Capability, MemoryBytes, NodeId, Po2, TaskKind};
use starling_zkvm::{Backend, ProverConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    holdings::Holdings,
    session::{self, SessionEnd},
    slots::Slots,
    speed::Speed,
    work::Workshop,
};

/// Clients served at the same time. Each holds a connection, and work is taken from all of them.
const CLIENTS_MAX: usize = 64;

/// How long a client that ended its session is left alone, so that its last ads call nobody back.
const REST_AFTER_SESSION: Duration = Duration::from_secs(10);

/// The speed of a thread that has proved nothing yet with Starling's own prover, in thousandths of the reference core's.
const SPEED_GUESS_PERMILLE: u64 = 500;

/// How often a client named by its ticket is dialled again while it can't be reached.
const REDIAL_PERIOD: Duration = Duration::from_secs(2);

/// How many times it is dialled before the node gives up.
const REDIALS_MAX: u32 = 15;

/// What a node is and may use.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// What proving may use, over all slots.
    pub memory: MemoryBytes,
    /// Tasks proved at the same time; at least one.
    pub slots: u32,
    /// The largest segment to take.
    pub po2_max: Po2,
    /// How to start a prover process; its memory limit is set here.
    pub prover: ProverConfig,
    /// The proof system and version that receipts are of.
    pub zkvm: String,
}

/// A node that is bound to its endpoint and ready to serve.
pub struct Node {
    workshop: Arc<Workshop>,
    slots: Slots,
    config: NodeConfig,
}

impl Node {
    /// A node that keeps its files in `dir`.
    ///
    /// # Errors
    /// When the folder for results can't be made.
    pub fn new(
        net: Net,
        blobs: BlobStore,
        dir: &DataDir,
        mut config: NodeConfig,
    ) -> Result<Self, DataDirError> {
        let slot_count = config.slots.max(1);
        config.prover.memory_limit = Some(config.memory);
        let slots = Slots::new(slot_count, config.memory, &config.prover);
        let speed = Speed::load(&dir.path().join(format!("speed-{}", Costs::REVISION)));
        let workshop = Arc::new(Workshop {
            holdings: Holdings::new(blobs.clone()),
            net,
            blobs,
            speed,
            costs: Costs::FAST,
            memory_each: MemoryBytes(config.memory.0 / u64::from(slot_count)),
            scratch: dir.scratch()?,
        });
        Ok(Self { workshop, slots, config })
    }

    /// Proves for the client at `client` until its job is over, it is gone, or `stop`.
    pub async fn serve_client(&self, client: PeerAddr, stop: CancellationToken) -> SessionEnd {
        let mut redials = 0;
        loop {
            let end = self.serve(client.clone(), stop.clone()).await;
            match end {
                // The connection broke: the client may be back soon, and has work for this node.
                SessionEnd::Unreachable(_) | SessionEnd::Broken(_) | SessionEnd::NoWelcome
                    if redials < REDIALS_MAX && !stop.is_cancelled() =>
                {
                    redials = if matches!(end, SessionEnd::Broken(_)) { 1 } else { redials + 1 };
                    tracing::info!(%end, "dialling again");
                    tokio::select! {
                        () = stop.cancelled() => return SessionEnd::Stopped,
                        () = tokio::time::sleep(REDIAL_PERIOD) => {}
                    }
                }
                end => return end,
            }
        }
    }

    /// Proves for every client that an ad tells of, until `stop` or the ads end.
    pub async fn serve_ads(&self, mut ads: Ads, stop: CancellationToken) {
        let mut sessions = JoinSet::new();
        let mut clients: BTreeMap<NodeId, Serving> = BTreeMap::new();
        loop {
            clients.retain(|_, serving| match serving {
                Serving::Now => true,
                Serving::Until(ended) => ended.elapsed() < REST_AFTER_SESSION,
            });
            tokio::select! {
                () = stop.cancelled() => break,
                ad = ads.recv() => {
                    let Some(ad) = ad else { break };
                    let client = ad.client.node_id;
                    if !clients.contains_key(&client) && self.is_for_us(&ad) && sessions.len() < CLIENTS_MAX {
                        clients.insert(client, Serving::Now);
                        let serving = self.serve(ad.client, stop.clone());
                        sessions.spawn(async move { (client, serving.await) });
                    }
                }
                Some(ended) = sessions.join_next() => {
                    // A session that panicked is over like any other; its client stays in the table and is
                    // not served again by this process.
                    if let Ok((client, end)) = ended {
                        tracing::info!(client = %format_args!("{client:#}"), %end, "a session ended");
                        clients.insert(client, Serving::Until(tokio::time::Instant::now()));
                    }
                }
            }
        }
        // Each session hears of `stop` itself and takes its leave.
        while sessions.join_next().await.is_some() {}
    }

    fn serve(
        &self,
        client: PeerAddr,
        stop: CancellationToken,
    ) -> impl Future<Output = SessionEnd> + Send + 'static {
        session::serve(self.workshop.clone(), self.slots.clone(), self.hello(), client, stop)
    }

    fn hello(&self) -> Hello {
        Hello {
            agent: concat!("starling ", env!("CARGO_PKG_VERSION")).to_owned(),
            zkvm: self.config.zkvm.clone(),
            capability: Capability {
                memory: self.config.memory,
                kinds: TaskKind::ALL.map(TaskKind::code).into(),
                po2_max: self.config.po2_max,
                slots: self.config.slots,
                speed_permille: match self.workshop.speed.permille() {
                    0 => speed_guess(
                        self.config.prover.threads.unwrap_or(1),
                        self.config.prover.backend,
                    ),
                    measured => measured,
                },
            },
        }
    }

    fn is_for_us(&self, ad: &JobAd) -> bool {
        ad.zkvm == self.config.zkvm && ad.memory <= self.config.memory
    }
}

/// What tasks need of this prover.
pub fn costs_of(backend: Backend) -> Costs {
    // Not by `match`: builds differ in the provers that they have besides this one.
    if backend == Backend::Fast { Costs::FAST } else { Costs::STOCK }
}

/// The speed of a slot that has proved nothing yet, in thousandths of the reference core's.
fn speed_guess(threads: u32, backend: Backend) -> u32 {
    let join_ms = |costs: Costs| costs.usual.work_ms(TaskKind::Join, None).0;
    let (ours, its) = (join_ms(Costs::FAST), join_ms(costs_of(backend)));
    let permille = u64::from(threads) * SPEED_GUESS_PERMILLE * ours / its.max(1);
    u32::try_from(permille.max(1)).unwrap_or(u32::MAX)
}

enum Serving {
    Now,
    Until(tokio::time::Instant),
}
