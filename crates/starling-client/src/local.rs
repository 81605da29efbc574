//! Nodes on this machine, as child processes that come to the client over the loopback interface.
//!
//! They are ordinary nodes with the ordinary protocol. A child sees its stdin end when the client
//! dies, however it dies, and ends itself.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use starling_child::SandboxPolicy;
use starling_proto::Ticket;
use starling_types::MemoryBytes;
use starling_zkvm::Backend;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::{JobError, run::blocking};

/// How often in a row a local node that dies young is started again.
const RESTARTS_MAX: u32 = 5;

/// A node that has lived so long is no node that can't start.
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
        let dir = data_dir.join("local").join(index.to_string());
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
