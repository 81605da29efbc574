//! How a client takes part in the network, and how one job of it is run.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use starling_proto::PeerAddr;
use starling_sched::Terms;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{JobProgress, LocalNodes};

/// Where a client finds its nodes.
#[derive(Debug, Clone, Default)]
pub struct NetworkOptions {
    /// Nodes to tell of jobs; they tell others.
    pub join: Vec<PeerAddr>,
    /// Nodes to start on this machine.
    pub local: Option<LocalNodes>,
    /// Whether nodes elsewhere can come: otherwise the client stays on the loopback interface.
    pub reachable: bool,
    /// The UDP address to bind; any free port when `None`.
    pub bind: Option<SocketAddr>,
    /// Where nodes elsewhere reach this client besides its own addresses: a NAT's address with a forwarded port.
    pub external: Vec<SocketAddr>,
    /// A relay for machines that can't reach each other.
    pub relay: Option<String>,
}

impl NetworkOptions {
    /// With these nodes on this machine and nobody else.
    pub fn on_this_machine(nodes: LocalNodes) -> Self {
        Self { local: Some(nodes), ..Self::default() }
    }

    /// Whether the nodes that the client starts are all that are meant to come. Who knows its address, as other users of the
    /// machine may, is kept out then.
    pub(crate) fn is_closed(&self) -> bool {
        let Self { local, join, reachable, bind, external, relay } = self;
        let says_where = bind.is_some() || !external.is_empty() || relay.is_some();
        local.is_some() && !reachable && !says_where && join.is_empty()
    }
}

/// How long a job may wait, and on what.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long there may be no node that could take a ready task, and how long none that does anything for the job while there
    /// is work: that one is connected does not count. Nodes that work for other jobs of the same service are waited for.
    pub node_wait: Duration,
    /// How long the job may take in this run.
    pub timeout: Option<Duration>,
}

/// How a job is run. Clones share its progress and its stop.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// When to give up.
    pub patience: Patience,
    /// The job's share of the nodes against that of other jobs: from 1 to [`WEIGHT_MAX`](crate::WEIGHT_MAX).
    pub weight: u32,
    /// When the job should be done, from now on: until then it goes before others.
    pub deadline: Option<Duration>,
    /// What the guest prints goes here.
    pub guest_output: GuestOutput,
    /// Told of the job's progress.
    pub progress: watch::Sender<JobProgress>,
    /// Stops the job when it is cancelled; it can be gone on with later.
    pub stop: CancellationToken,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            patience: Patience { node_wait: Self::NODE_WAIT, timeout: None },
            weight: Terms::WEIGHT_USUAL,
            deadline: None,
            guest_output: GuestOutput::default(),
            progress: watch::Sender::default(),
            stop: CancellationToken::new(),
        }
    }
}

impl RunOptions {
    /// How long a job waits for a node that can take a task, unless it says otherwise.
    pub const NODE_WAIT: Duration = Duration::from_secs(120);
}

/// Where what guests print goes. A guest that diverges is begun once more, so there may be several writers.
#[derive(Clone)]
pub struct GuestOutput(Arc<dyn Fn() -> Box<dyn Write + Send> + Send + Sync>);

impl GuestOutput {
    /// To clones of `writer`.
    pub fn to(writer: impl Write + Send + Sync + Clone + 'static) -> Self {
        Self(Arc::new(move || Box::new(writer.clone())))
    }

    pub(crate) fn writer(&self) -> Box<dyn Write + Send> {
        (self.0)()
    }
}

impl Default for GuestOutput {
    /// Nowhere.
    fn default() -> Self {
        Self(Arc::new(|| Box::new(io::sink())))
    }
}

impl fmt::Debug for GuestOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestOutput")
    }
}
