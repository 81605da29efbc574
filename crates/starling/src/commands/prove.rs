//! `starling prove`, from a guest and its input to a receipt, and its kin: `compress`, `job resume`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use serde_json::json;
use starling_client::{
    Client, GuestOutput, JobError, JobState, LocalNodes, NetworkOptions, RunOptions, Service,
    Written,
};
use starling_types::{MemoryBytes, Po2, ReceiptKind, TaskKind};
use starling_zkvm::{Backend, groth16};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{ClientNetworkArgs, Common, CompressArgs, ProveArgs, RunArgs},
    commands::node,
    control::{self, Control, Opened, Request},
    exit::{CommandResult, Exit},
    files, machine,
    order::{Order, Prepared, ProveOrder, exit},
    output::print,
    progress, signals,
    terminal::{self, GuestText},
};

/// Cores for each local node. A prover keeps two cores busy; with more, the serial parts of one task
/// leave cores idle that another task could use.
const CORES_PER_LOCAL_NODE: u32 = 2;

pub async fn run(common: &Common, args: &ProveArgs) -> CommandResult {
    let kind = ReceiptKind::from(args.receipt_kind);
    let what = &args.guest;
    warn_of_small_segments(what.segment_po2);
    // Whatever can be refused is refused before the job is in the log.
    if args.povw.is_some() && kind == ReceiptKind::Composite {
        return Err(Exit::usage(anyhow::anyhow!(
            "--povw counts work in receipts that are joined: ask for --receipt-kind succinct"
        )));
    }
    let order = ProveOrder {
        guest: what.clone(),
        kind,
        prove_guest_errors: args.prove_guest_errors,
        work_log: args.povw,
        fresh: args.fresh,
    };
    let asked = Asked {
        order: Order::Prove(Box::new(order)),
        kind,
        po2: Some(what.segment_po2),
        receipt: args.receipt.clone().unwrap_or_else(|| default_receipt(&what.guest, "receipt")),
        purpose: format!("starling prove {}", what.guest.display()),
    };
    deliver(common, asked, &args.network).await
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
    let asked = Asked {
        order: Order::Compress { composite: path.clone(), kind },
        kind,
        po2: None,
        receipt: args.receipt.clone().unwrap_or_else(|| default_receipt(path, &kind.to_string())),
        purpose: format!("starling compress {}", path.display()),
    };
    deliver(common, asked, &args.network).await
}

/// Goes on with a job that is in the data directory.
pub async fn resume(
    common: &Common,
    state: &JobState,
    network: &ClientNetworkArgs,
    receipt: PathBuf,
) -> CommandResult {
    let asked = Asked {
        order: Order::Resume { job: state.id },
        kind: state.request.receipt_kind,
        po2: state.request.segment_po2(),
        receipt,
        purpose: format!("starling job resume {}", state.id),
    };
    deliver(common, asked, network).await
}

/// What a command asks for.
struct Asked {
    order: Order,
    /// What is to be delivered, and the size of the segments, if there are any.
    kind: ReceiptKind,
    po2: Option<Po2>,
    /// Where to.
    receipt: PathBuf,
    /// What others are told who want the data directory.
    purpose: String,
}

/// Has the order carried out, here or by the process that has the data directory, and prints what is delivered.
async fn deliver(common: &Common, asked: Asked, args: &ClientNetworkArgs) -> CommandResult {
    let Asked { order, kind, po2, receipt, purpose } = asked;
    let prepared = order.prepare()?;
    check_kept(&receipt, &order.files())?;
    let network = network_options(args, kind, po2, &receipt)?;
    let stop = signals::stop_token("the job");
    let dir = files::data_dir(common)?;
    let receipt = std::path::absolute(&receipt).unwrap_or(receipt);
    let input = tokio::sync::OnceCell::new();
    let ask = async |channel| {
        let mut order = order.clone().absolute();
        if order.reads_stdin() {
            let file = input.get_or_try_init(async || spooled_stdin(&stop).await).await?;
            order = order.with_input(file.path());
        }
        let request = Request::Run { order, receipt: receipt.clone(), run: args.run.clone() };
        control::hand_over(channel, &request, &stop).await
    };
    match control::open_or_ask(&dir, &purpose, args.endpoint.disk_budget, ask).await? {
        Opened::Theirs(delivery) => print_delivery(common, &delivery),
        Opened::Ours(client) => {
            let prepared = match input.get() {
                // It has been read.
                Some(file) => order.with_input(file.path()).prepare()?,
                None => prepared,
            };
            own(common, client, network, prepared, &args.run, &receipt, stop).await
        }
    }
}

/// Runs the order in a service of this process, which other commands may use meanwhile.
async fn own(
    common: &Common,
    client: Client,
    network: NetworkOptions,
    prepared: Prepared,
    run: &RunArgs,
    receipt: &Path,
    stop: CancellationToken,
) -> CommandResult {
    let is_reachable = network.reachable;
    let service = Arc::new(Service::start(client, network).await?);
    if is_reachable {
        terminal::say(&format!("this client's ticket: {}", service.ticket()));
    }
    let control = Control::serve(&service);
    let options = RunOptions {
        guest_output: GuestOutput::to(GuestText::to_stderr()),
        stop: stop.clone(),
        ..run.options()
    };
    let shown = tokio::spawn(progress::show(options.progress.subscribe()));
    let outcome = match prepared.submit(&service, options).await {
        Ok(job) => job.result().await,
        Err(error) => Err(error),
    };
    // The bars are gone before the result or the error is printed.
    let _ = shown.await;
    let delivered = outcome.and_then(|delivered| Ok(delivered.write(receipt)?)).map_err(exit);
    let result = delivered.and_then(|delivery| print_delivery(common, &delivery));
    if !stop.is_cancelled() {
        wait_for_others(&service, &result, &stop).await;
    }
    service.close().await;
    control.end().await;
    result
}

/// Waits for the jobs that others have handed over.
async fn wait_for_others(service: &Service, result: &CommandResult, stop: &CancellationToken) {
    let others = service.running();
    if others.is_empty() {
        return;
    }
    if let Err(exit) = result {
        terminal::say(&format!("this command failed: {}", exit.text()));
    }
    terminal::say(&format!(
        "jobs of other commands go on here: {}; Ctrl-C leaves them to those commands",
        others.len()
    ));
    let all = async {
        while let Some(job) = service.running().first() {
            let _ = job.result().await;
        }
    };
    tokio::select! {
        () = all => {}
        () = stop.cancelled() => {}
    }
}

/// What stdin holds, in a file that another process can read.
///
/// # Errors
/// When `stop` comes first: whoever writes to it may take long, and nobody waits for that then.
async fn spooled_stdin(stop: &CancellationToken) -> Result<tempfile::NamedTempFile, Exit> {
    // It goes with this, whoever still writes to it.
    let file = tempfile::NamedTempFile::new().context(NOT_KEPT)?;
    let mut spool = file.reopen().context(NOT_KEPT)?;
    let read = move || -> CommandResult {
        let mut input = files::guest_input(Some(Path::new("-")), &[])?;
        std::io::copy(&mut input, &mut spool).context(NOT_KEPT)?;
        Ok(())
    };
    tokio::select! {
        read = tokio::task::spawn_blocking(read) => read.context(NOT_KEPT)??,
        () = stop.cancelled() => return Err(exit(JobError::NotBegun.into())),
    }
    Ok(file)
}

/// What is said when [`spooled_stdin`] fails.
const NOT_KEPT: &str = "can't keep the input in a file";

/// The executor keeps 25,000 cycles of each segment in reserve, from po2 15 up: of 32,768, that leaves little.
pub fn warn_of_small_segments(po2: Po2) {
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

/// Where the nodes come from for a job that asks for `kind` and cuts at `po2`, if it cuts at all; refuses what can't come to
/// an end.
fn network_options(
    network: &ClientNetworkArgs,
    kind: ReceiptKind,
    po2: Option<Po2>,
    receipt: &Path,
) -> Result<NetworkOptions, Exit> {
    check_kind(kind)?;
    check_writable(receipt)?;
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
    Ok(NetworkOptions {
        join: network.join.iter().map(|ticket| ticket.0.clone()).collect(),
        local,
        reachable,
        bind: network.endpoint.bind,
        relay: network.endpoint.relay.clone(),
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
    let needed = node::costs_of(backend).usual.memory(kind, po2).0.max(1);
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
        sandbox: network.prover.sandbox,
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

/// Refuses a path that is what the job is made from: the receipt would take its place.
fn check_kept(receipt: &Path, files: &[&Path]) -> CommandResult {
    let Ok(place) = receipt.canonicalize() else { return Ok(()) };
    match files.iter().find(|file| file.canonicalize().is_ok_and(|file| file == place)) {
        None => Ok(()),
        Some(file) => Err(Exit::usage(anyhow::anyhow!(
            "the receipt would overwrite {}, which it is made from: name another with --receipt",
            file.display()
        ))),
    }
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

fn print_delivery(common: &Common, delivery: &Written) -> CommandResult {
    let facts = &delivery.facts;
    let mut fields = vec![
        ("image_id", json!(facts.image_id)),
        ("exit_code", json!(facts.exit_code)),
        ("journal", json!(facts.journal)),
        ("journal_bytes", json!(facts.journal_bytes)),
        ("claim_digest", json!(facts.claim_digest)),
        ("receipt", json!(delivery.receipt)),
        ("receipt_kind", json!(facts.receipt_kind)),
        ("segments", json!(facts.segments)),
        ("keccaks", json!(facts.keccaks)),
        ("assumptions", json!(facts.assumptions)),
        ("user_cycles", json!(facts.user_cycles)),
        ("total_cycles", json!(facts.total_cycles)),
        ("seconds", json!(facts.seconds)),
        ("job", json!(facts.job)),
    ];
    if let Some(path) = &delivery.work_receipt {
        fields.push(("work_receipt", json!(path)));
    }
    print(common, fields)
}
