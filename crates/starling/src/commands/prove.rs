//! `starling prove`: from a guest and its input to a receipt.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::json;
use starling_client::{
    Client, Delivery, JobError, JobOptions, LocalNodes, Patience, Progress, RunOptions,
};
use starling_plan::CostModel;
use starling_types::{JobId, MemoryBytes, Po2, ReceiptKind, TaskKind};
use starling_zkvm::groth16;
use tokio::sync::watch;

use crate::{
    args::{ClientNetworkArgs, Common, ProveArgs},
    exit::{Code, CommandResult, Exit},
    files, machine,
    output::print,
    progress, signals,
};

/// Cores for each local node. A prover keeps two cores busy; with more, the serial parts of one task
/// leave cores idle that another task could use.
const CORES_PER_LOCAL_NODE: u32 = 2;

pub async fn run(common: &Common, args: &ProveArgs) -> CommandResult {
    let kind = ReceiptKind::from(args.receipt_kind);
    warn_of_small_segments(args.segment_po2);
    let guest = files::read_guest(&args.guest)?;
    let input = files::read_input(args.input.as_deref())?;
    // Whatever can be refused is refused before the job is in the log.
    let receipt = args.receipt.clone().unwrap_or_else(|| default_receipt(&args.guest));
    let run = run_options(&args.network, kind, args.segment_po2, receipt)?;
    let client = open(common, &args.network, &format!("starling prove {}", args.guest.display()))?;
    let options = JobOptions {
        segment_po2: args.segment_po2,
        receipt_kind: kind,
        cycle_limit: args.cycle_limit,
        fresh: args.fresh,
    };
    let job = client.create(&guest, Cursor::new(input), options)?;
    run_job(common, &client, job, run).await
}

/// Goes on with a job that is in the data directory.
pub async fn resume(
    common: &Common,
    job: JobId,
    network: &ClientNetworkArgs,
    receipt: PathBuf,
) -> CommandResult {
    let client = open(common, network, &format!("starling job resume {job}"))?;
    let request = client.job(job)?.request;
    let run = run_options(network, request.receipt_kind, request.segment_po2, receipt)?;
    run_job(common, &client, job, run).await
}

/// Opens the client's data directory.
fn open(common: &Common, network: &ClientNetworkArgs, purpose: &str) -> Result<Client, Exit> {
    let dir = files::data_dir(common)?;
    Ok(Client::open(&dir, purpose, network.endpoint.disk_budget)?)
}

/// Runs a job and prints what it delivers.
async fn run_job(
    common: &Common,
    client: &Client,
    job: JobId,
    options: RunOptions,
) -> CommandResult {
    let stop = signals::stop_token("the job");
    let (sender, receiver) = watch::channel(Progress::default());
    let shown = tokio::spawn(progress::show(receiver));
    tracing::info!(job = %job, "proving");
    let result = client.run(job, options, progress::Stderr, &sender, stop).await;
    drop(sender);
    // The bars are gone before the result or the error is printed.
    let _ = shown.await;
    print_delivery(common, &result.map_err(exit)?)
}

/// The executor keeps 25,000 cycles of each segment in reserve, from po2 15 up: of 32,768, that leaves little.
fn warn_of_small_segments(po2: Po2) {
    if po2.get() == 15 {
        tracing::warn!(
            "most of a segment of 2^15 cycles is reserved by the zkVM: 14 or 16 make fewer or cheaper segments"
        );
    }
}

/// Refuses now what could not be delivered after hours of proving.
fn check_kind(kind: ReceiptKind) -> CommandResult {
    if kind == ReceiptKind::Groth16 {
        groth16::check_support()?;
    }
    Ok(())
}

fn exit(error: JobError) -> Exit {
    let code = match &error {
        JobError::NoCapacity { .. } | JobError::OutOfTime { .. } => Code::NoCapacity,
        JobError::Interrupted { .. } => Code::Interrupted,
        JobError::Guest(_) => Code::Usage,
        _ => Code::Failed,
    };
    Exit { code, error: error.into() }
}

/// How to run a job that asks for `kind` and cuts at `po2`; refuses what can't come to an end.
fn run_options(
    network: &ClientNetworkArgs,
    kind: ReceiptKind,
    po2: Po2,
    receipt: PathBuf,
) -> Result<RunOptions, Exit> {
    check_kind(kind)?;
    check_writable(&receipt)?;
    check_network(network)?;
    let reachable = !network.join.is_empty() || network.listen || network.endpoint.bind.is_some();
    let elsewhere = !network.join.is_empty() || network.listen;
    let count = match network.local {
        Some(count) => count,
        None if elsewhere => 0,
        None => local_count(po2),
    };
    let local = match count {
        0 => None,
        count => Some(local_nodes(count, network, reachable)?),
    };
    Ok(RunOptions {
        join: network.join.iter().map(|ticket| ticket.0.clone()).collect(),
        local,
        reachable,
        announce: |ticket| progress::say(&format!("this client's ticket: {ticket}")),
        bind: network.endpoint.bind,
        relay: network.endpoint.relay.clone(),
        patience: Patience {
            node_wait: Duration::from_secs(network.node_wait),
            timeout: network.timeout.map(Duration::from_secs),
        },
        receipt,
    })
}

/// Refuses to wait for nodes that can't come.
fn check_network(network: &ClientNetworkArgs) -> Result<(), Exit> {
    let elsewhere = !network.join.is_empty() || network.listen || network.endpoint.bind.is_some();
    if network.local == Some(0) && !elsewhere {
        return Err(Exit::usage(anyhow::anyhow!(
            "--local 0 starts no node, and none can come from elsewhere: add --listen or --join TICKET"
        )));
    }
    Ok(())
}

/// How many nodes this machine carries for segments of `po2`.
fn local_count(po2: Po2) -> u32 {
    let needed = CostModel::MEASURED.memory(TaskKind::Lift, Some(po2)).0.max(1);
    let by_memory = u32::try_from(machine::memory_for_proving().0 / needed).unwrap_or(u32::MAX);
    (machine::cores() / CORES_PER_LOCAL_NODE).min(by_memory).max(1)
}

fn local_nodes(
    count: u32,
    network: &ClientNetworkArgs,
    reachable: bool,
) -> Result<LocalNodes, Exit> {
    Ok(LocalNodes {
        count,
        program: std::env::current_exe().context("can't find this program's own file")?,
        memory_each: MemoryBytes(machine::memory_for_proving().0 / u64::from(count)),
        threads_each: (machine::cores() / count).max(1),
        backend: network.prover.backend(),
        disk_budget_bytes: network.endpoint.disk_budget,
        loopback: !reachable,
    })
}

/// The guest's file name with `.receipt`, in the current directory.
fn default_receipt(guest: &Path) -> PathBuf {
    // Not `with_extension`: `rollup.v1.bin` and `rollup.v2.bin` are two guests.
    let mut name = guest.file_stem().unwrap_or(guest.as_os_str()).to_owned();
    name.push(".receipt");
    name.into()
}

/// Refuses now a path that could not be written to after hours of proving.
fn check_writable(path: &Path) -> Result<(), Exit> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.is_dir() || !parent.is_dir() {
        return Err(Exit::usage(anyhow::anyhow!(
            "the receipt can't be written to {}: {}",
            path.display(),
            if path.is_dir() { "it is a directory" } else { "its directory does not exist" }
        )));
    }
    tempfile::tempfile_in(parent)
        .with_context(|| format!("the receipt can't be written to {}", parent.display()))
        .map_err(Exit::usage)?;
    Ok(())
}

fn print_delivery(common: &Common, delivery: &Delivery) -> CommandResult {
    print(
        common,
        vec![
            ("image_id", json!(delivery.image_id)),
            ("journal", json!(delivery.journal)),
            ("claim_digest", json!(delivery.claim_digest)),
            ("receipt", json!(delivery.receipt)),
            ("receipt_kind", json!(delivery.receipt_kind)),
            ("segments", json!(delivery.segments)),
            ("user_cycles", json!(delivery.user_cycles)),
            ("total_cycles", json!(delivery.total_cycles)),
            ("seconds", json!(delivery.seconds)),
            ("job", json!(delivery.job)),
        ],
    )
}
