//! Nodes on this machine, as child processes that come to the client over the loopback interface.
//!
//! They are ordinary nodes with the ordinary protocol. A child hears on its stdin whom it is to prove for
//! ([`Assignment`]), sees that end when the client dies, however it dies, and ends itself.

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
use starling_types::{MemoryBytes, NodeId};
use starling_zkvm::Backend;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin, Command},
};
use tokio_util::sync::CancellationToken;

use crate::{Assignment, JobError, run::blocking};

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

/// The secret keys of the nodes, made for one run of the client and kept nowhere: it tells each node its own, and nobody else can
/// be taken for one of them.
pub(crate) struct Keys(Vec<[u8; 32]>);

impl Keys {
    /// For so many nodes.
    pub(crate) fn new(count: u32) -> Self {
        Self((0..count).map(|_| rand::rng().random()).collect())
    }

    /// What the nodes are known by.
    pub(crate) fn ids(&self) -> BTreeSet<NodeId> {
        self.0.iter().map(node_id_of).collect()
    }
}

/// Starts the nodes and keeps them running until `stop`, then waits for their end. Where there is a list of those who may come to
/// this client, the nodes have it too.
///
/// # Errors
/// When one can't be started at all.
pub(crate) async fn run(
    nodes: LocalNodes,
    keys: Keys,
    client: Ticket,
    only: Option<BTreeSet<NodeId>>,
    data_dir: PathBuf,
    stop: CancellationToken,
) -> Result<(), JobError> {
    let mut supervisors = tokio::task::JoinSet::new();
    for (index, secret_key) in keys.0.into_iter().enumerate() {
        let dir = data_dir.join("local").join(index.to_string());
        let assignment = Assignment { client: client.clone(), secret_key, only: only.clone() };
        let (nodes, stop) = (nodes.clone(), stop.clone());
        supervisors.spawn(async move { supervise(&nodes, &assignment, &dir, &stop).await });
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
    assignment: &Assignment,
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
        let mut child = start(nodes, dir, &log).map_err(failed)?;
        // Held here, since waiting for a child closes the stdin that it still owns.
        let mut stdin = child.stdin.take();
        tokio::select! {
            () = assign(&mut stdin, assignment) => {}
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

/// Tells a node what it is to do, and then nothing more: its stdin stays open as long as this goes on.
async fn assign(stdin: &mut Option<ChildStdin>, assignment: &Assignment) {
    if let Some(stdin) = stdin
        && let Err(error) = stdin.write_all(assignment.to_line().as_bytes()).await
    {
        // It has ended, which shows in another place.
        tracing::debug!(%error, "a local node did not hear what it is to do");
    }
    std::future::pending().await
}

/// Makes the folder of a node and begins its log anew, for its owner's eyes alone: it tells of this run of the job, restarts of
/// the node included. Blocks.
fn new_log(dir: &Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("log");
    // Not emptied: what had the name may be open to others, or lead elsewhere.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn start(nodes: &LocalNodes, dir: &Path, log: &File) -> io::Result<Child> {
    let mut command = Command::new(&nodes.program);
    command
        .arg("node")
        .arg("--supervised")
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_log_of_a_local_node_is_its_owners_alone_and_no_link_is_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (log, other) = (dir.path().join("log"), dir.path().join("other"));
        let mode = || log.symlink_metadata().unwrap().permissions().mode() & 0o777;
        new_log(dir.path()).unwrap();
        assert_eq!(mode(), 0o600);
        // One from before, which others may have open.
        std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o644)).unwrap();
        new_log(dir.path()).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::remove_file(&log).unwrap();
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &log).unwrap();
        new_log(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
        assert!(log.symlink_metadata().unwrap().is_file());
    }
}
