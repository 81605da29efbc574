//! `starling prove`, from a guest and its input to a receipt, and its kin: `compress`, `job resume`.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde_json::json;
use starling_client::{
    Client, Delivered, GuestOutput, JobError, JobState, LocalNodes, NetworkOptions, RunOptions,
    Service, Written, work_receipt_path,
};
use starling_store::DataDir;
use starling_types::{MemoryBytes, Po2, Profile, ReceiptKind, TaskKind};
use starling_zkvm::{Backend, SEGMENT_PO2_MIN, groth16};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{ClientNetworkArgs, Common, CompressArgs, ProveArgs, RunArgs},
    bounds::{Bounds, Cut, NOT_BEGUN},
    commands::node,
    control::{self, Control, HandOver, Host, Opened},
    exit::{CommandResult, Exit},
    files, handover,
    machine::{self, Memory, Promise},
    order::{Order, Prepared, ProveOrder, exit},
    output::{Fields, print},
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
    if args.povw.is_some() {
        check_work_receipt(&asked.receipt)?;
    }
    deliver(common, asked, &args.network).await
}

/// `starling compress`: a composite receipt becomes a succinct one.
pub async fn compress(common: &Common, args: &CompressArgs) -> CommandResult {
    let kind = ReceiptKind::from(args.receipt_kind);
    if kind == ReceiptKind::Composite {
        return Err(Exit::usage(anyhow::anyhow!(
            "the receipt is composite already: ask for --receipt-kind succinct or groth16"
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
    let timeout = args.run.timeout.map(Duration::from_secs);
    let bounds = Bounds::new(signals::stop_token("the job"), timeout);
    let prepared = prepare(&bounds, order.clone()).await?;
    if let Prepared::Prove { guest, .. } = &prepared {
        files::remark(guest);
    }
    check_kept(&receipt, &order.files())?;
    check_kind(&bounds, kind).await?;
    let network = network_options(args, po2, &receipt)?;
    let dir = files::data_dir(common)?;
    check_outside(&receipt, &dir)?;
    let prepared = Mutex::new(prepared);
    let input = tokio::sync::OnceCell::new();
    let ask = async |owner: control::Owner| {
        if let Some(told) = handover::check(args, &owner.host)? {
            tracing::warn!("{told}");
        }
        order.check_elsewhere()?;
        let mut order = order.clone();
        if order.reads_once() {
            let take = || lock(&prepared).take_input();
            let file = input.get_or_try_init(async || spooled(take(), &bounds).await).await?;
            order = order.with_input(file.path());
        }
        let order = order.absolute();
        let receipt = starling_files::elsewhere(&receipt)
            .with_context(|| format!("another process can't write to {}", receipt.display()))
            .map_err(|error| Exit::usage(error).hinted("name a file, or use another --data-dir"))?;
        let asked = HandOver { order, receipt, run: args.run.clone() };
        control::hand_over(owner, asked, &bounds).await
    };
    let disk_budget = args.endpoint.disk_budget;
    let opened = control::open_or_ask(&dir, &purpose, disk_budget, &bounds, ask).await?;
    match opened {
        Opened::Theirs(delivery) => print_delivery(common, &delivery),
        Opened::Ours(client) => {
            warn_of_memory(&network, po2, args.prover.backend());
            let prepared = match input.get() {
                // It has been read.
                Some(file) => prepare(&bounds, order.with_input(file.path())).await?,
                None => prepared.into_inner().unwrap_or_else(PoisonError::into_inner),
            };
            own(common, client, network, prepared, &args.run, &receipt, &bounds).await
        }
    }
}

/// A panic elsewhere changes nothing here.
fn lock(prepared: &Mutex<Prepared>) -> MutexGuard<'_, Prepared> {
    prepared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the files of an order: one of them may be a pipe that nobody writes to.
async fn prepare(bounds: &Bounds, order: Order) -> Result<Prepared, Exit> {
    let prepared = bounds.within_blocking(move || order.prepare()).await;
    prepared.map_err(|cut| cut.exit(NOT_BEGUN))?.context("the order's files")?
}

/// Runs the order in a service of this process, which other commands may use meanwhile.
async fn own(
    common: &Common,
    client: Client,
    network: NetworkOptions,
    prepared: Prepared,
    run: &RunArgs,
    receipt: &Path,
    bounds: &Bounds,
) -> CommandResult {
    let is_reachable = network.reachable;
    let sandbox = network.local.as_ref().map(|nodes| nodes.sandbox);
    let _promise = network.local.as_ref().and_then(|nodes| {
        Promise::note(MemoryBytes(nodes.memory_each.0.saturating_mul(nodes.count.into())))
    });
    let started = bounds.within(Service::start(client, network)).await;
    let started = started.map_err(|cut| cut.exit(NOT_BEGUN))?;
    let service = Arc::new(started.map_err(|error| exit(Arc::new(error)))?);
    if is_reachable {
        terminal::say(&format!("this client's ticket: {}", service.ticket()));
    }
    let control = Control::serve(&service, Host { is_reachable, sandbox });
    let options =
        RunOptions { guest_output: GuestOutput::to(GuestText::to_stderr()), ..run.options() };
    let shown = tokio::spawn(progress::show(options.progress.subscribe()));
    let delivered = run_order(&service, prepared, options, bounds).await;
    // The bars are gone before the result or the error is printed.
    let _ = shown.await;
    let written = match delivered {
        Ok(delivered) => write(delivered, receipt, bounds).await,
        Err(exit) => Err(exit),
    };
    let result = written.and_then(|delivery| print_delivery(common, &delivery));
    let stop = bounds.stop();
    if !stop.is_cancelled() {
        wait_for_others(&service, &result, stop).await;
    }
    service.close().await;
    control.end().await;
    result
}

/// Writes what was delivered, within the bounds of this command: it may go to a pipe that nobody reads.
async fn write(
    delivered: Arc<Delivered>,
    receipt: &Path,
    bounds: &Bounds,
) -> Result<Written, Exit> {
    let receipt = receipt.to_owned();
    let written = bounds.within_blocking(move || delivered.write(&receipt)).await;
    let written = written.map_err(|cut| cut.exit("the same command delivers the receipt again"))?;
    written.context("the receipt")?.map_err(|error| exit(Arc::new(error)))
}

/// Has the service run the order, within the bounds of this command.
async fn run_order(
    service: &Service,
    prepared: Prepared,
    mut options: RunOptions,
    bounds: &Bounds,
) -> Result<Arc<Delivered>, Exit> {
    // The command's own time is what counts, and it runs already.
    options.patience.timeout = None;
    // Its own, so that what it has begun ends with it, and what others have does not.
    let ending = bounds.stop().child_token();
    options.stop = ending.clone();
    let ours = options.progress.subscribe();
    let again = options.clone();
    let submitted = bounds.within(prepared.submit(service, options)).await;
    let submitted = submitted.map_err(|cut| {
        ending.cancel();
        cut.exit(NOT_BEGUN)
    });
    let mut job = submitted?.map_err(exit)?;
    let cut = loop {
        let outcome = tokio::select! {
            outcome = job.result() => outcome,
            cut = bounds.over() => break cut,
        };
        match outcome {
            // That was the limit, or the word, of another command that had asked for the same job first.
            Err(error) if is_anothers(&error, !job.progress().same_channel(&ours)) => {
                job = service.submit(job.id(), again.clone());
            }
            outcome => return outcome.map_err(|error| exit(error).of(job.id())),
        }
    };
    let end = exit(Arc::new(match cut {
        Cut::OutOfTime { limit } => JobError::OutOfTime { limit, job: job.id() },
        _ => JobError::Interrupted { job: job.id() },
    }));
    // What another command asked for first is not this one's to stop.
    if !job.progress().same_channel(&ours) {
        return Err(end);
    }
    job.stop();
    job.result().await.map_err(|error| match &*error {
        JobError::Interrupted { .. } => end,
        _ => exit(error.clone()).of(job.id()),
    })
}

/// Whether a run ended by what somebody else said who had asked for it.
fn is_anothers(error: &JobError, is_known: bool) -> bool {
    let by_word = matches!(
        error,
        JobError::Interrupted { .. } | JobError::OutOfTime { .. } | JobError::NoCapacity { .. }
    );
    is_known && by_word
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
        "this process still proves jobs of other commands: {}; Ctrl-C leaves them to those commands",
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

/// What the guest reads, in a file that another process can read.
async fn spooled(
    mut input: Box<dyn Read + Send>,
    bounds: &Bounds,
) -> Result<tempfile::NamedTempFile, Exit> {
    const NOT_KEPT: &str = "can't keep the input in a file";
    // It goes with this function, whatever still writes to it.
    let file = tempfile::NamedTempFile::new().context(NOT_KEPT)?;
    let mut spool = file.reopen().context(NOT_KEPT)?;
    let spooled = bounds.within_blocking(move || -> CommandResult {
        std::io::copy(&mut input, &mut spool).context(NOT_KEPT)?;
        Ok(())
    });
    spooled.await.map_err(|cut| cut.exit(NOT_BEGUN))?.context("the guest's input")??;
    Ok(file)
}

/// The executor keeps 25,000 cycles of each segment in reserve, from po2 15 up: of 32,768, that leaves little.
pub fn warn_of_small_segments(po2: Po2) {
    if po2.get() == 15 {
        tracing::warn!(
            "the zkVM reserves most of a segment of 2^15 cycles: --segment-po2 14 makes cheaper segments, --segment-po2 16 fewer"
        );
    }
}

/// Refuses now what could not be delivered after hours of proving. It asks a daemon, which may hang.
async fn check_kind(bounds: &Bounds, kind: ReceiptKind) -> CommandResult {
    if kind != ReceiptKind::Groth16 {
        return Ok(());
    }
    let checked = bounds.within_blocking(groth16::check_support).await;
    Ok(checked.map_err(|cut| cut.exit(NOT_BEGUN))?.context("a look at Docker")??)
}

/// Where the nodes come from for a job that cuts at `po2`, if it cuts at all; refuses what can't come to an end.
fn network_options(
    network: &ClientNetworkArgs,
    po2: Option<Po2>,
    receipt: &Path,
) -> Result<NetworkOptions, Exit> {
    check_writable(receipt)?;
    check_network(network)?;
    let reachable = network.is_reachable();
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
        external: network.endpoint.external_addr.clone(),
        relay: network.endpoint.relay.clone(),
    })
}

/// Refuses to wait for nodes that can't come.
fn check_network(network: &ClientNetworkArgs) -> Result<(), Exit> {
    if network.local == Some(0) && !network.is_reachable() {
        return Err(Exit::usage(anyhow::anyhow!(
            "--local 0 starts no node, and no node can come from elsewhere: add --listen or --join TICKET"
        )));
    }
    Ok(())
}

/// Warns that the nodes of this machine have too little memory for the work, where no others can come. A job that is done already is
/// delivered all the same.
fn warn_of_memory(network: &NetworkOptions, po2: Option<Po2>, backend: Backend) {
    let Some(nodes) = network.local.as_ref().filter(|_| !network.reachable) else { return };
    let kind = first_kind(po2);
    let costs = node::costs_of(backend);
    let needed = costs.frugal.memory(kind, po2);
    if needed <= nodes.memory_each {
        return;
    }
    let machine = Memory::here();
    let task = po2.map_or("a receipt".to_owned(), |po2| format!("a segment of po2 {po2}"));
    let text = format!(
        "proving {task} needs {needed} of memory, and each of the {} local nodes has {}: this machine has {} for proving ({})",
        nodes.count, nodes.memory_each, machine.for_proving, machine.bound
    );
    let fits = |memory| costs.largest_po2(memory, Profile::Frugal).map(Po2::get);
    let smaller = fits(nodes.memory_each).filter(|po2| *po2 >= SEGMENT_PO2_MIN);
    let hint = match smaller.filter(|_| po2.is_some()) {
        Some(po2) => format!(
            "use --segment-po2 {po2} or less, or let other machines prove it with --listen or --join"
        ),
        None if nodes.count > 1 => "use fewer local nodes, with --local 1".to_owned(),
        None => "let other machines prove it, with --listen or --join".to_owned(),
    };
    tracing::warn!("{text}; {hint}");
}

/// The kind of the tasks that need the most memory, of jobs with segments of this size or without any.
fn first_kind(po2: Option<Po2>) -> TaskKind {
    po2.map_or(TaskKind::LiftReceipt, |_| TaskKind::Lift)
}

/// How many nodes this machine carries for segments of `po2`, or for recursion alone, with everything kept; one in any
/// case.
fn local_count(po2: Option<Po2>, backend: Backend) -> u32 {
    // Fewer nodes that keep everything do more than many that keep nothing.
    let needed = node::costs_of(backend).usual.memory(first_kind(po2), po2).0.max(1);
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
            "the receipt would overwrite {}, from which it is made: name another file with --receipt",
            file.display()
        ))),
    }
}

/// Refuses a path that has a meaning in the data directory: its log, for one, must not become a receipt.
fn check_outside(receipt: &Path, dir: &Path) -> CommandResult {
    let Ok(dir) = dir.canonicalize() else { return Ok(()) };
    // Where there is nothing yet, it is its directory that counts.
    let place = receipt.canonicalize().or_else(|_| {
        let path = std::path::absolute(receipt)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok::<_, std::io::Error>(path.parent().unwrap_or(&path).canonicalize()?.join(name))
    });
    let Ok(place) = place else { return Ok(()) };
    let Ok(within) = place.strip_prefix(&dir) else { return Ok(()) };
    if !within.iter().next().is_some_and(DataDir::has_own) {
        return Ok(());
    }
    Err(Exit::usage(anyhow::anyhow!(
        "the receipt can't be written to {}: Starling keeps a file of its own under that name in the data directory",
        receipt.display()
    )))
}

/// Refuses now a path that could not be written to after hours of proving.
fn check_writable(path: &Path) -> Result<(), Exit> {
    starling_files::check_named(path)
        .with_context(|| format!("the receipt can't be written to {}", path.display()))
        .map_err(Exit::usage)
}

/// The same of the work receipt, which lies beside `receipt`.
fn check_work_receipt(receipt: &Path) -> Result<(), Exit> {
    if std::fs::metadata(receipt).is_ok_and(|found| !found.is_file()) {
        return Err(Exit::usage(anyhow::anyhow!(
            "{} is not a file, and --povw writes a work receipt beside the receipt: name a file with --receipt",
            receipt.display()
        )));
    }
    check_writable(&work_receipt_path(receipt))
}

fn print_delivery(common: &Common, delivery: &Written) -> CommandResult {
    print(common, delivery_fields(delivery))
}

/// What is printed of a finished job. JSON has text alone: of a path that is none, what can be shown.
fn delivery_fields(delivery: &Written) -> Fields {
    let facts = &delivery.facts;
    let mut fields = vec![
        ("image_id", json!(facts.image_id)),
        ("exit_code", json!(facts.exit_code)),
        ("journal", json!(facts.journal)),
        ("journal_bytes", json!(facts.journal_bytes)),
        ("claim_digest", json!(facts.claim_digest)),
        ("receipt", json!(delivery.receipt.to_string_lossy())),
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
        fields.push(("work_receipt", json!(path.to_string_lossy())));
    }
    fields
}

#[cfg(all(test, unix))]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use starling_client::Facts;
    use starling_types::{ClaimDigest, ImageId, JobId};

    use super::*;

    #[test]
    fn a_receipt_whose_path_is_no_text_is_told_as_far_as_it_can_be_shown() {
        let path = PathBuf::from(OsStr::from_bytes(b"/tmp/b\xff.receipt"));
        let facts = Facts {
            image_id: ImageId([1; 32]),
            exit_code: "Halted(0)".into(),
            journal: None,
            journal_bytes: 0,
            claim_digest: ClaimDigest([2; 32]),
            receipt_kind: "succinct".into(),
            segments: 1,
            keccaks: 0,
            assumptions: 0,
            user_cycles: 1,
            total_cycles: 2,
            seconds: 3.0,
            job: JobId([3; 16]),
        };
        let work_receipt = Some(work_receipt_path(&path));
        let fields = delivery_fields(&Written { facts, receipt: path, work_receipt });
        let shown = crate::output::object(fields);
        assert_eq!(shown["receipt"], "/tmp/b\u{fffd}.receipt");
        assert_eq!(shown["work_receipt"], "/tmp/b\u{fffd}.receipt.work");
    }
}
