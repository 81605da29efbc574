//! What a job tells its watchers.

use serde::{Deserialize, Serialize};
use starling_types::Millis;

/// A job's progress at one moment. Watchers see the newest, not each one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// How far its tasks are, stage by stage; the first stage has one task for each segment.
    pub tasks: starling_types::Progress,
    /// Nodes connected.
    pub nodes: u32,
    /// Nodes that hold a lease.
    pub nodes_busy: u32,
    /// Time left by the nodes' own speed, where it can be told.
    pub eta: Option<Millis>,
    /// Why nothing is done for the job by nodes, when that is so.
    pub waiting: Option<String>,
    /// How long it has been waiting for nodes, as its patience counts it.
    #[serde(default)]
    pub waited: Option<Millis>,
    /// What there is no room for on the client's disk, when the job waits for some.
    #[serde(default)]
    pub lacks_room: Option<String>,
    /// Blobs of an earlier run that are still to be looked at before anything is handed out; 0 when there are none.
    #[serde(default)]
    pub looking_at: u32,
    /// Whether all tasks are done and the receipt is being put together.
    pub delivering: bool,
}

impl From<starling_sched::Status> for JobProgress {
    fn from(status: starling_sched::Status) -> Self {
        Self {
            tasks: status.progress,
            nodes: status.node_count as u32,
            nodes_busy: status.busy_node_count as u32,
            eta: status.eta_ms,
            waiting: status.waiting.map(|reason| reason.to_string()),
            waited: None,
            lacks_room: None,
            looking_at: 0,
            delivering: false,
        }
    }
}
