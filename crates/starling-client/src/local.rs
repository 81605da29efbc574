//! Nodes on this machine, as child processes that come to the client over the loopback interface.
//!
//! They are ordinary nodes with the ordinary protocol. A child sees its stdin end when the client
//! dies, however it dies, and ends itself.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rand::RngExt as _;
use starling_child::SandboxPolicy;
use starling_net::node_id_of;
use starling_proto::Ticket;
use starling_store::DataDir;
use starling_types::{MemoryBytes, NodeId};
use starling_zkvm::Backend;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::{JobError, run::blocking};

/// How often in a row a local node that dies young is started again.
const RESTARTS_MAX: u32 = 5;

/// A node that has lived so long is able to start.
const YOUNG: Duration = Duration::from_secs(60);

/// How long to wait before starting it again, times the deaths in a row.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// How long a node may take to end itself before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The nodes to start on this machine.
#[derive(Debug, Clone)]
pub struct LocalNodes {
    /// How many.
    pub count: u32,
    /// The `starling` binary.
    pub program: PathBuf,
    /// What each may use for proving.
    pub memory_each: MemoryBytes,
    /// The threads that each proves with.
    pub threads_each: u32,
    /// What each proves with.
    pub backend: Backend,
    /// How much a sandbox of their provers matters.
    pub sandbox: SandboxPolicy,
    /// What the blobs of each may take on the disk.
    pub disk_budget_bytes: u64,
    /// Whether they stay on the loopback interface, as the client does.
    pub loopback: bool,
}

/// The ids that the nodes will have: their keys are made here, where they find them, so that nobody else is taken for one. Of one
/// whose directory is in use, as by the node of a client that was killed a moment ago, it is not known. Blocks.
pub(crate) fn ids(nodes: &LocalNodes, data_dir: &Path) -> BTreeSet<NodeId> {
    let id = |index| {
        let dir = DataDir::open(&dir_of(data_dir, index), "a client that starts its node")?;
        dir.load_or_create_key(|| rand::rng().random()).map(|key| node_id_of(&key))
    };
    let mut ids = BTreeSet::new();
    for index in 0..nodes.count {
        match id(index) {
            Ok(id) => drop(ids.insert(id)),
            Err(error) => tracing::debug!(%error, index, "a local node is not known by its key"),
        }
    }
    ids
}

/// Starts the nodes and keeps them running until `stop`, then waits for their end.
///
/// # Errors
/// When one can't be started at all.
pub(crate) async fn run(
    nodes: LocalNodes,
    ticket: Ticket,
    data_dir: PathBuf,
    stop: CancellationToken,
) -> Result<(), JobError> {
    let mut supervisors = tokio::task::JoinSet::new();
    for index in 0..nodes.count {
        let dir = dir_of(&data_dir, index);
        let (nodes, ticket, stop) = (nodes.clone(), ticket.clone(), stop.clone());
        supervisors.spawn(async move { supervise(&nodes, &ticket, &dir, &stop).await });
    }
    let mut result = Ok(());
    while let Some(ended) = supervisors.join_next().await {
        let ended = ended.unwrap_or_else(|error| {
            let detail = error.to_string();
            Err(JobError::Died { what: "the supervisor of a local node", detail })
        });
        // One that fails takes no other with it.
        if let Err(error) = ended {
            tracing::error!(%error, "a local node");
            result = Err(error);
        }
    }
    result
}

async fn supervise(
    nodes: &LocalNodes,
    ticket: &Ticket,
    dir: &Path,
    stop: &CancellationToken,
) -> Result<(), JobError> {
    let failed = |source| JobError::LocalNode { program: nodes.program.clone(), source };
    let home = dir.to_owned();
    let log = blocking("the folder of a local node", move || new_log(&home)).await?;
    let log = log.map_err(failed)?;
    let mut deaths = 0;
    while deaths <= RESTARTS_MAX {
        let started = Instant::now();
        let mut child = start(nodes, ticket, dir, &log).map_err(failed)?;
        // Held here, since waiting for a child closes the stdin that it still owns.
        let stdin = child.stdin.take();
        tokio::select! {
            () = stop.cancelled() => {
                drop(stdin);
                if tokio::time::timeout(END_TIMEOUT, child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
                return Ok(());
            }
            status = child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                tracing::warn!(dir = %dir.display(), status, "a local node ended; its log is `log` in this directory");
            }
        }
        deaths = if started.elapsed() < YOUNG { deaths + 1 } else { 1 };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(RESTART_DELAY * deaths) => {}
        }
    }
    tracing::error!(dir = %dir.display(), "a local node keeps ending and is not started again");
    Ok(())
}

/// Makes the folder of a node and begins its log anew: it tells of this run of the job, restarts of the node included. Blocks.
fn new_log(dir: &Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("log");
    File::create(&path)?;
    File::options().append(true).open(path)
}

fn start(nodes: &LocalNodes, ticket: &Ticket, dir: &Path, log: &File) -> io::Result<Child> {
    let mut command = Command::new(&nodes.program);
    command
        .arg("node")
        .arg("--supervised")
        .args(["--client", &ticket.to_string()])
        .arg("--data-dir")
        .arg(dir)
        .args(["--memory", &nodes.memory_each.0.to_string()])
        .args(["--threads", &nodes.threads_each.to_string()])
        .args(["--prover", nodes.backend.name()])
        .args(["--sandbox", nodes.sandbox.name()])
        .args(["--disk-budget", &nodes.disk_budget_bytes.to_string()]);
    if nodes.loopback {
        command.arg("--loopback");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log.try_clone()?).kill_on_drop(true);
    // Ctrl-C in a terminal goes to the whole foreground group: the client alone decides what it means.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

/// Where a node has its state.
fn dir_of(data_dir: &Path, index: u32) -> PathBuf {
    data_dir.join("local").join(index.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_local_node_is_known_by_the_key_that_it_finds() {
        let dir = tempfile::tempdir().unwrap();
        let nodes = LocalNodes {
            count: 3,
            program: PathBuf::new(),
            memory_each: MemoryBytes(0),
            threads_each: 1,
            backend: Backend::Fast,
            sandbox: SandboxPolicy::Try,
            disk_budget_bytes: 0,
            loopback: true,
        };
        // One that still ends is in its directory.
        let ending = DataDir::open(&dir_of(dir.path(), 1), "starling node").unwrap();
        let known = ids(&nodes, dir.path());
        drop(ending);
        let key_of = |index| {
            let dir = DataDir::open(&dir_of(dir.path(), index), "starling node").unwrap();
            dir.load_or_create_key(|| panic!("there is a key already")).unwrap()
        };
        assert_eq!(known, [0, 2].map(|index| node_id_of(&key_of(index))).into());
    }
}
