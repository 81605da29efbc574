//! `starling node`: proves for others until it is interrupted.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use rand::Rng as _;
use serde_json::json;
use starling_child::{ProverConfig, SandboxPolicy};
use starling_client::Assignment;
use starling_cost::Costs;
use starling_net::{Net, NetConfig, node_id_of};
use starling_node::{Figures, NAMED_PATIENCE, Node, NodeConfig, NodeFiles, SystemProver};
use starling_proto::Ticket;
use starling_store::{BlobStore, DataDir, DataDirError, DiskBudget};
use starling_types::{MemoryBytes, Millis, NodeId, TaskKind};
use starling_zkvm::{Backend, name_of, prover, size_of, zkvm};
use tokio::io::{AsyncReadExt, BufReader, Stdin};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Common, NodeArgs},
    capacity::Offer,
    exit::{CommandResult, Exit},
    files,
    machine::{self, Memory, Promise},
    output::print,
    signals,
};

/// Results that are kept for others take up to one part in this many of the disk budget: inputs need the rest.
const RESULTS_SHARE: u64 = 2;

/// The least disk budget of a node: a join, the smallest of its tasks, has two receipts of some hundred KiB to read and one to
/// keep, and results have half.
const DISK_BUDGET_LEAST: u64 = 4 << 20;

pub async fn run(common: &Common, args: &NodeArgs) -> CommandResult {
    check_offer(args)?;
    let dir = node_dir(common, args)?;
    let dir = open_dir(&dir, args.supervised).await?;
    let blobs = open_blobs(&dir, args)?;
    let mut stdin = BufReader::new(tokio::io::stdin());
    let Assigned { client, secret_key, only } = match args.supervised {
        true => assigned(&mut stdin).await?,
        false => Assigned::by_the_user(args, &dir)?,
    };
    refuse_own_ticket(args, node_id_of(&secret_key))?;
    let network = NetConfig {
        secret_key,
        bind: args.endpoint.bind,
        external: args.endpoint.external_addr.clone(),
        loopback_only: args.loopback,
        relay: args.endpoint.relay.clone(),
        only,
    };
    let net = Net::bind(network, blobs).await?;
    let config = config(args)?;
    // A client has noted what its nodes may take.
    let _promise = if args.supervised { None } else { Promise::note(config.memory) };
    let files = NodeFiles { scratch: dir.scratch()?, home: dir.path().to_owned() };
    let node = Node::new(net.clone(), files, config).context("can't start the node")?;

    let stop = if args.supervised { end_of(stdin) } else { signals::stop_token("the node") };
    let result = match client {
        Some(client) => node.serve_client(client.0, stop).await.map_err(Exit::from),
        None => serve_all(common, args, node, &net, stop).await,
    };
    net.close().await;
    result
}

/// Whom a node proves for, how it is known, and who may come to it.
struct Assigned {
    /// All of whom it hears when `None`.
    client: Option<Ticket>,
    secret_key: [u8; 32],
    only: Option<BTreeSet<NodeId>>,
}

impl Assigned {
    /// As the command line says, under the key of the directory.
    fn by_the_user(args: &NodeArgs, dir: &DataDir) -> Result<Self, Exit> {
        let secret_key = dir.load_or_create_key(|| {
            let mut key = [0; 32];
            rand::rng().fill_bytes(&mut key);
            key
        })?;
        Ok(Self { client: args.client.clone(), secret_key, only: None })
    }
}

/// As the client says that has started this node.
async fn assigned(stdin: &mut BufReader<Stdin>) -> Result<Assigned, Exit> {
    let assignment = Assignment::read(stdin).await.context(
        "--supervised is for nodes that a client starts, but no client has told this one on stdin whom to prove for: \
         use `starling node --client TICKET`",
    )?;
    let Assignment { client, secret_key, only } = assignment;
    Ok(Assigned { client: Some(client), secret_key, only })
}

/// Proves for all clients of whom it hears.
async fn serve_all(
    common: &Common,
    args: &NodeArgs,
    node: Node,
    net: &Net,
    stop: CancellationToken,
) -> CommandResult {
    print(
        common,
        vec![("node", json!(net.id().to_string())), ("ticket", json!(net.ticket().to_string()))],
    )?;
    let bootstrap: Vec<_> = args.join.iter().map(|ticket| ticket.0.clone()).collect();
    let ads = net.ads(&bootstrap).await?;
    tracing::info!(
        "waiting for jobs; give the ticket to clients (`starling prove --join TICKET`) and to other nodes"
    );
    node.serve_ads(ads, stop).await;
    Ok(())
}

/// Refuses the ticket of this very node where that of another is asked for: nobody would ever come.
fn refuse_own_ticket(args: &NodeArgs, own: NodeId) -> CommandResult {
    let refuse = |option: &str, whose: &str| {
        Err(Exit::usage(anyhow!(
            "{option} names this node itself ({own:#}): give the ticket that {whose} printed"
        )))
    };
    let is_own = |ticket: &Ticket| ticket.0.node_id == own;
    if args.client.as_ref().is_some_and(is_own) {
        return refuse("--client", "the client");
    }
    if args.join.iter().any(is_own) {
        return refuse("--join", "another node");
    }
    Ok(())
}

/// The kinds of tasks that the node takes.
fn kinds_of(args: &NodeArgs) -> BTreeSet<TaskKind> {
    match args.kinds.is_empty() {
        true => TaskKind::ALL.into(),
        false => args.kinds.iter().copied().collect(),
    }
}

/// Refuses a node that could take nothing, and says what else is wrong with its memory. One that a client has started waits for
/// better times: the client says what its job lacks.
fn check_offer(args: &NodeArgs) -> CommandResult {
    if args.supervised {
        return Ok(());
    }
    let disk_budget = args.endpoint.disk_budget;
    if disk_budget < DISK_BUDGET_LEAST {
        return Err(Exit::usage(anyhow!(
            "--disk-budget of {disk_budget} bytes is too small for the inputs and the result of any task; give {} MiB or more",
            DISK_BUDGET_LEAST >> 20
        )));
    }
    let memory = match args.memory {
        Some(memory) => MemoryBytes(memory),
        None => {
            let Memory { for_proving, bound } = Memory::here();
            tracing::info!("{for_proving} of memory for proving: {bound}");
            for_proving
        }
    };
    let offer = Offer { memory, slots: args.slots, total: machine::total_memory() };
    let costs = costs_of(args.prover.backend());
    let said = offer.check(&costs, &kinds_of(args)).map_err(|why| Exit::usage(anyhow!("{why}")))?;
    for warning in said {
        tracing::warn!("{warning}");
    }
    Ok(())
}

fn config(args: &NodeArgs) -> Result<NodeConfig, Exit> {
    let threads = args.threads.unwrap_or_else(|| (machine::cores() / args.slots).max(1));
    let costs = costs_of(args.prover.backend());
    let memory = args.memory.map_or_else(machine::memory_for_proving, MemoryBytes);
    let kinds = kinds_of(args);
    let share = MemoryBytes(memory.0 / u64::from(args.slots.max(1)));
    let zkvm = SystemProver {
        prover: prover_config(Some(threads), args.prover.backend(), args.prover.sandbox)?,
        figures: Figures {
            needs: costs.needs(&kinds, args.po2_max, share),
            size_of,
            name_of,
            revision: Costs::REVISION,
            speed_guess_permille: costs.speed_guess_permille(threads),
        },
    };
    Ok(NodeConfig {
        memory,
        slots: args.slots,
        systems: vec![zkvm],
        results_bytes_max: args.endpoint.disk_budget / RESULTS_SHARE,
        patience: args.patience.map_or(NAMED_PATIENCE, |seconds| Millis(seconds * 1000)),
    })
}

/// What tasks need of this prover.
pub fn costs_of(backend: Backend) -> Costs {
    // Not by `match`: builds differ in the provers that they have besides this one.
    if backend == Backend::Fast { Costs::FAST } else { Costs::STOCK }
}

/// How this program starts its own prover process.
pub fn prover_config(
    threads: Option<u32>,
    backend: Backend,
    sandbox: SandboxPolicy,
) -> Result<ProverConfig, Exit> {
    let program = std::env::current_exe().context("can't find this program's own file")?;
    let config = prover::config(program, ["prover".to_owned(), zkvm().to_string()], backend);
    Ok(ProverConfig { threads, sandbox, ..config })
}

/// A node has a directory of its own beside the client's, so that one user can run both.
fn node_dir(common: &Common, args: &NodeArgs) -> Result<std::path::PathBuf, Exit> {
    let dir = files::data_dir(common)?;
    Ok(if args.supervised { dir } else { dir.join("node") })
}

/// How long a node that a client started waits for its predecessor, whose client was killed, to end.
const PREDECESSOR_WAIT: Duration = Duration::from_secs(20);

async fn open_dir(path: &Path, supervised: bool) -> Result<DataDir, Exit> {
    let started = Instant::now();
    loop {
        match DataDir::open(path, "starling node") {
            Err(DataDirError::InUse { .. })
                if supervised && started.elapsed() < PREDECESSOR_WAIT =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// The node's blobs. None outlives the process: a node that starts anew has no leases.
fn open_blobs(dir: &DataDir, args: &NodeArgs) -> Result<BlobStore, Exit> {
    let blobs = dir.unrooted_blobs(DiskBudget::up_to(args.endpoint.disk_budget))?;
    blobs.collect()?;
    Ok(blobs)
}

/// A token that is cancelled when stdin ends: the client that started this node is gone.
fn end_of(mut stdin: BufReader<Stdin>) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let mut byte = [0];
        while matches!(stdin.read(&mut byte).await, Ok(1)) {}
        stop.cancel();
    });
    token
}
