//! The node itself: passes what happens to the core, and does what the core decides.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use n0_future::time::Instant;
use starling_child::ProverConfig;
use starling_net::{Ads, Net, Source};
use starling_node_core::{
    Action, ClientEnd, Config, Core, Event, Figures, SessionId, Speed, System, WorkId,
};
use starling_proto::PeerAddr;
use starling_types::{MemoryBytes, Millis};
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    disk::{self, Disk},
    kept::Kept,
    log::Log,
    meter::Meter,
    provers::{SharedProvers, SlotProvers},
    scratch::Scratch,
    sessions::Sessions,
    work::{Bench, Ended},
};

/// Events that may wait for the loop; a sender that would exceed it waits in turn.
const EVENTS_MAX: usize = 1024;

/// How long last words and the ends of provers may take.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What was measured of this node, in its home.
const SPEED_FILE: &str = "speed";

/// What a node is and may use.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// What proving may use, over all slots.
    pub memory: MemoryBytes,
    /// Tasks proved at the same time; at least one.
    pub slots: u32,
    /// The systems to prove for, each with a prover of its own.
    pub systems: Vec<SystemProver>,
    /// What results that are kept for others may take on the disk, in bytes.
    pub results_bytes_max: u64,
    /// How long a client that the user named is dialled in vain, when nothing is held for it.
    pub patience: Millis,
}

/// Where a node has its files: what its prover processes need, whatever its blobs lie in.
#[derive(Debug, Clone)]
pub struct NodeFiles {
    /// An empty folder, for files on their way to a prover and from it.
    pub scratch: PathBuf,
    /// A folder for what one run remembers for the next.
    pub home: PathBuf,
}

/// What proves for one system.
#[derive(Debug, Clone)]
pub struct SystemProver {
    /// How to start a prover process, and what the system is called.
    pub prover: ProverConfig,
    /// The tasks of the system to take, and what they need of that prover.
    pub figures: Figures,
}

/// Why a node has nothing to do any more, though its client's job may not be over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeError {
    /// The client can't be reached, or not any more.
    #[error("can't reach the client: {reason}")]
    Unreachable {
        /// What the last attempt ended in.
        reason: String,
    },
    /// The client wants no more of this node.
    #[error("the client dismissed this node: {message}")]
    Dismissed {
        /// The client's words.
        message: String,
    },
    /// There is no proof system in common.
    #[error("the client turned this node away: {message}")]
    WrongSystem {
        /// The client's words.
        message: String,
    },
}

/// A node that is bound to its endpoint and ready to serve.
pub struct Node {
    core: Core,
    started: Instant,
    bench: Bench,
    sessions: Sessions,
    provers: Vec<SharedProvers>,
    /// What runs for leases, to be called off.
    running: BTreeMap<WorkId, CancellationToken>,
    tasks: TaskTracker,
    events: mpsc::Sender<Event>,
    happened: mpsc::Receiver<Event>,
    ends: mpsc::Sender<Ended>,
    ended: mpsc::Receiver<Ended>,
    kept: Kept,
    speed_path: PathBuf,
    meter: Meter,
    log: Log,
    /// How it ended with the client that the user named.
    end: Option<ClientEnd>,
}

impl Node {
    /// A node whose blobs are those that `net` serves.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn new(net: Net, files: NodeFiles, config: NodeConfig) -> io::Result<Self> {
        let NodeConfig { memory, slots, systems, .. } = config;
        let slots = slots.max(1);
        let provers: Vec<_> = systems.iter().map(|system| system.prover.clone()).collect();
        let system = |SystemProver { prover, figures }| System { name: prover.system, figures };
        let disk = Disk::start(net.blobs().clone())?;
        let scratch = Scratch::new(net.blobs().clone(), files.scratch);
        let speed_path = files.home.join(SPEED_FILE);
        let speed: Speed =
            disk::read(&speed_path).and_then(|text| text.parse().ok()).unwrap_or_default();
        let mut seed = [0; 8];
        seed.copy_from_slice(&net.id().0[..8]);
        let core = Core::new(
            Config {
                systems: systems.into_iter().map(system).collect(),
                memory,
                slots,
                results_bytes_max: config.results_bytes_max,
                patience: config.patience,
                seed: u64::from_le_bytes(seed),
            },
            speed,
        );
        let new_provers = |_| Arc::new(Mutex::new(SlotProvers::new(&provers)));
        let ((events, happened), (ends, ended)) =
            (mpsc::channel(EVENTS_MAX), mpsc::channel(EVENTS_MAX));
        let tasks = TaskTracker::new();
        Ok(Self {
            core,
            started: Instant::now(),
            sessions: Sessions::new(net.clone(), events.clone(), tasks.clone()),
            bench: Bench { net, disk, scratch },
            provers: (0..slots).map(new_provers).collect(),
            running: BTreeMap::new(),
            tasks,
            events,
            happened,
            ends,
            ended,
            kept: Kept::default(),
            speed_path,
            meter: Meter::default(),
            log: Log::default(),
            end: None,
        })
    }

    /// Proves for the client at `client` until it ends, which it says, or `stop`.
    ///
    /// # Errors
    /// When the client can't be reached, or wants nothing of this node.
    pub async fn serve_client(
        mut self,
        client: PeerAddr,
        stop: CancellationToken,
    ) -> Result<(), NodeError> {
        self.handle(Event::Named { client });
        match self.run(None, stop).await {
            None => Ok(()),
            Some(ClientEnd::ShutDown { message }) => {
                tracing::info!(message, "the client has no more work");
                Ok(())
            }
            Some(ClientEnd::Dismissed { message }) => Err(NodeError::Dismissed { message }),
            Some(ClientEnd::WrongSystem { message }) => Err(NodeError::WrongSystem { message }),
            Some(ClientEnd::Unreachable { reason }) => Err(NodeError::Unreachable { reason }),
        }
    }

    /// Proves for every client that an ad tells of, until `stop` or the ads end.
    pub async fn serve_ads(self, ads: Ads, stop: CancellationToken) {
        self.run(Some(ads), stop).await;
    }

    async fn run(mut self, mut ads: Option<Ads>, stop: CancellationToken) -> Option<ClientEnd> {
        loop {
            let wakeup = self.core.next_wakeup();
            let event = tokio::select! {
                () = stop.cancelled() => break,
                Some(event) = self.happened.recv() => event,
                Some(Ended { event, pin }) = self.ended.recv() => {
                    // Before the core hears of it, which may let go of it at once.
                    pin.into_iter().for_each(|pin| self.kept.keep(pin));
                    event
                }
                ad = next_ad(&mut ads) => match ad {
                    Some(ad) => Event::AdHeard { ad },
                    None => break,
                },
                () = sleep_until(self.started, wakeup) => Event::Tick,
            };
            self.handle(event);
            if self.end.is_some() {
                break;
            }
        }
        let end = self.end.take();
        self.handle(Event::Stop);
        // What runs ends by itself once nobody listens to it.
        let Self { tasks, happened, ended, sessions, .. } = self;
        drop((happened, ended, sessions));
        tasks.close();
        let _ = n0_future::time::timeout(END_TIMEOUT, tasks.wait()).await;
        end
    }

    fn handle(&mut self, event: Event) {
        let mut lost = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in self.core.handle(self.now(), event) {
                self.act(action, &mut lost);
            }
            let reason = "it does not read what it is sent";
            events.extend(
                lost.drain(..).map(|session| Event::Closed { session, reason: reason.into() }),
            );
        }
        self.meter.tell(self.core.counts(), self.core.held());
    }

    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    /// Does what the core decided; notes in `lost` which connections are of no more use.
    fn act(&mut self, action: Action, lost: &mut Vec<SessionId>) {
        let bench = self.bench.clone();
        match action {
            Action::Dial { session, client, heard } => self.sessions.dial(session, client, heard),
            Action::Send { session, message } => {
                if !self.sessions.send(session, message) {
                    self.sessions.close(session);
                    lost.push(session);
                }
            }
            Action::Close { session } => self.sessions.close(session),
            Action::Fetch { work, blob, holders, client, session } => {
                let others = holders.into_iter().filter(|holder| holder.node_id != bench.net.id());
                let mut sources: Vec<Source> = others.map(Source::peer).collect();
                let handle = session.and_then(|session| self.sessions.handle(session));
                sources.push(match handle {
                    Some(handle) => Source::via(client, handle),
                    None => Source::peer(client),
                });
                self.spawn(work, bench.fetch(work, blob, sources));
            }
            Action::Prove { work, slot, order } => {
                let (provers, events) = (self.provers[slot].clone(), self.events.clone());
                self.spawn(work, bench.prove(work, provers, order, events));
            }
            Action::Publish { work } => self.spawn(work, bench.publish(work)),
            Action::Cancel { work } => {
                if let Some(running) = self.running.get(&work) {
                    running.cancel();
                }
            }
            Action::Over { work } => {
                self.running.remove(&work);
                bench.disk.remove_file(bench.scratch.output(work));
            }
            Action::Forget { blob } => {
                self.kept.forget(blob);
                bench.disk.collect();
            }
            Action::LookAtDisk { room_bytes } => {
                let events = self.events.clone();
                n0_future::task::spawn(self.tasks.track_future(async move {
                    let has_room = bench.disk.has_room(room_bytes).await;
                    let _ = events.send(Event::DiskSeen { has_room }).await;
                }));
            }
            Action::KeepSpeed { speed } => bench.disk.write(self.speed_path.clone(), speed),
            Action::Say(note) => self.log.write(&note, self.now()),
            Action::ClientOver { end, .. } => self.end = Some(end),
        }
    }

    /// Does something for a lease, until it is done or cancelled, and says which once nothing of it runs any more.
    fn spawn(&mut self, work: WorkId, doing: impl Future<Output = Ended> + Send + 'static) {
        let cancel = CancellationToken::new();
        self.running.insert(work, cancel.clone());
        let ends = self.ends.clone();
        n0_future::task::spawn(self.tasks.track_future(async move {
            // In a task of its own, so that a panic costs this lease alone.
            let mut doing = n0_future::task::spawn(doing);
            let ended = tokio::select! {
                ended = &mut doing => ended.ok(),
                () = cancel.cancelled() => {
                    doing.abort();
                    // It may have ended just before.
                    doing.await.ok()
                }
            };
            let _ = ends.send(ended.unwrap_or_else(|| Event::Stopped { work }.into())).await;
        }));
    }
}

/// The next ad, `None` when there will be none; never, when nobody listens for them.
async fn next_ad(ads: &mut Option<Ads>) -> Option<starling_proto::JobAd> {
    match ads {
        Some(ads) => ads.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(started: Instant, wakeup: Option<Millis>) {
    match wakeup {
        Some(Millis(at)) => {
            n0_future::time::sleep_until(started + Duration::from_millis(at)).await;
        }
        None => std::future::pending().await,
    }
}
