//! `starling prove`, from a guest and its input to a receipt, and its kin: `compress`, `job resume`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::json;
use starling_client::{
    Client, Delivery, JobError, JobOptions, LocalNodes, Patience, Progress, RunOptions,
};
use starling_node::costs_of;
use starling_types::{JobId, MemoryBytes, Po2, ReceiptKind, TaskKind};
use starling_zkvm::{Backend, groth16};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{ClientNetworkArgs, Common, CompressArgs, ProveArgs},
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
    let what = &args.guest;
    warn_of_small_segments(what.segment_po2);
    let guest = files::read_guest(&what.guest)?;
    let input = files::guest_input(what.input.as_deref(), &what.frame)?;
    let assumptions = files::read_receipts(&what.assumptions)?;
    // Whatever can be refused is refused before the job is in the log.
    if args.povw.is_some() && kind == ReceiptKind::Composite {
        return Err(Exit::usage(anyhow::anyhow!(
            "--povw counts work in receipts that are joined: ask for --receipt-kind succinct"
        )));
    }
    let receipt = args.receipt.clone().unwrap_or_else(|| default_receipt(&what.guest, "receipt"));
    let run = run_options(&args.network, kind, Some(what.segment_po2), receipt)?;
    let client = open(common, &args.network, &format!("starling prove {}", what.guest.display()))?;
    let mut options = JobOptions {
        args: what.args.clone(),
        env: what.env.iter().cloned().collect(),
        keccak_po2: what.keccak_po2,
        cycle_limit: what.cycle_limit,
        prove_guest_errors: args.prove_guest_errors,
        work_log: args.povw,
        fresh: args.fresh,
        ..JobOptions::new(kind, what.segment_po2)
    };
    let delivery = watched(async |progress, stop| {
        let succinct = client.all_succinct(assumptions, &run, &progress, &stop).await?;
        for receipt in succinct {
            options.assumptions.push(client.give(&receipt)?);
        }
        let job = client.create(&guest, input, options)?;
        tracing::info!(%job, "proving");
        client.run(job, run, progress::Stderr, &progress, stop).await
    });
    print_delivery(common, &delivery.await?)
}

/// `starling compress`: a composite receipt becomes a succinct one.
pub async fn compress(common: &Common, args: &CompressArgs) -> CommandResult {
    let kind = ReceiptKind::from(args.receipt_kind);
    if kind == ReceiptKind::Composite {
        return Err(Exit::usage(anyhow::anyhow!(
            "a composite receipt is made succinct or groth16, not composite"
        )));
    }
    let path = &args.composite;
    let composite = files::read_receipt(path, "no receipt")?;
    let receipt = args.receipt.clone().unwrap_or_else(|| default_receipt(path, &kind.to_string()));
    let run = run_options(&args.network, kind, None, receipt)?;
    let client = open(common, &args.network, &format!("starling compress {}", path.display()))?;
    let delivery = watched(async |progress, stop| {
        client.compress(composite, kind, &run, &progress, &stop).await
    });
    print_delivery(common, &delivery.await?)
}

/// Goes on with a job that is in the data directory.
pub async fn resume(
    common: &Common,
    job: JobId,
    network: &ClientNetworkArgs,
    receipt: PathBuf,
) -> CommandResult {
    let client = open(common, network, &format!("starling job resume {job}"))?;
    let request = client.job(job)?.request.clone();
    let run = run_options(network, request.receipt_kind, request.segment_po2(), receipt)?;
    let delivery = watched(async |progress, stop| {
        tracing::info!(%job, "proving");
        client.run(job, run, progress::Stderr, &progress, stop).await
    });
    print_delivery(common, &delivery.await?)
}

/// Opens the client's data directory.
fn open(common: &Common, network: &ClientNetworkArgs, purpose: &str) -> Result<Client, Exit> {
    let dir = files::data_dir(common)?;
    Ok(Client::open(&dir, purpose, network.endpoint.disk_budget)?)
}

/// What `work` delivers, with its progress shown meanwhile and Ctrl-C heeded.
async fn watched(
    work: impl AsyncFnOnce(watch::Sender<Progress>, CancellationToken) -> Result<Delivery, JobError>,
) -> Result<Delivery, Exit> {
    let stop = signals::stop_token("the job");
    let (sender, receiver) = watch::channel(Progress::default());
    let shown = tokio::spawn(progress::show(receiver));
    let result = work(sender, stop).await;
    // The bars are gone before the result or the error is printed.
    let _ = shown.await;
    result.map_err(exit)
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
        JobError::Guest(_) | JobError::Input(_) => Code::Usage,
        _ => Code::Failed,
    };
    Exit { code, error: error.into() }
}

/// How to run a job that asks for `kind` and cuts at `po2`, if it cuts at all; refuses what can't come to an end.
fn run_options(
    network: &ClientNetworkArgs,
    kind: ReceiptKind,
    po2: Option<Po2>,
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
        None => local_count(po2, network.prover.backend()),
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

/// How many nodes this machine carries for segments of `po2`, or for recursion alone, with everything kept; one in any
/// case.
fn local_count(po2: Option<Po2>, backend: Backend) -> u32 {
    let kind = po2.map_or(TaskKind::LiftReceipt, |_| TaskKind::Lift);
    // Fewer nodes that keep everything do more than many that keep nothing.
    let needed = costs_of(backend).usual.memory(kind, po2).0.max(1);
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

/// The name of the file that a receipt is made from, with another ending, in the current directory.
fn default_receipt(source: &Path, ending: &str) -> PathBuf {
    // Not `with_extension`: `rollup.v1.bin` and `rollup.v2.bin` are two guests.
    let mut name = source.file_stem().unwrap_or(source.as_os_str()).to_owned();
    name.push(".");
    name.push(ending);
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
    let mut fields = vec![
        ("image_id", json!(delivery.image_id)),
        ("exit_code", json!(delivery.exit_code)),
        ("journal", json!(delivery.journal)),
        ("journal_bytes", json!(delivery.journal_bytes)),
        ("claim_digest", json!(delivery.claim_digest)),
        ("receipt", json!(delivery.receipt)),
        ("receipt_kind", json!(delivery.receipt_kind)),
        ("segments", json!(delivery.segments)),
        ("keccaks", json!(delivery.keccaks)),
        ("assumptions", json!(delivery.assumptions)),
        ("user_cycles", json!(delivery.user_cycles)),
        ("total_cycles", json!(delivery.total_cycles)),
        ("seconds", json!(delivery.seconds)),
        ("job", json!(delivery.job)),
    ];
    if let Some(path) = &delivery.work_receipt {
        fields.push(("work_receipt", json!(path)));
    }
    print(common, fields)
}
