//! Several jobs at once: in one process through the library, and of several commands in one data directory.
//!
//! What proves takes some two minutes on two cores: guests of one or two small segments.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use risc0_zkvm::{ExecutorEnv, Prover as _, ProverOpts, Receipt};
use serde_json::Value;
use starling_client::{
    Client, JobError, JobOptions, LocalNodes, NetworkOptions, NetworkProver, Patience, RunOptions,
    SandboxPolicy, Service, ZkvmEvent,
};
use starling_types::{MemoryBytes, ReceiptKind};
use starling_zkvm::{Backend, Guest, execute::hosted::execute_hosted};
use tempfile::TempDir;

/// The processes of this one are counted, so that no two of these tests may run at the same time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const DISK_BUDGET_BYTES: u64 = 2 << 30;

/// No step of a test takes this long on a machine that can run it at all.
const STEP_TIMEOUT: Duration = Duration::from_secs(600);

/// How often a file or a process is looked at.
const POLL_PERIOD: Duration = Duration::from_millis(50);

/// Small segments, which are proved in seconds.
const SEGMENT_PO2: u32 = 14;

fn guest_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../guests/bin/{name}.bin"))
}

fn local_nodes(count: u32) -> LocalNodes {
    LocalNodes {
        count,
        program: env!("CARGO_BIN_EXE_starling").into(),
        memory_each: MemoryBytes::from_mib(1024),
        threads_each: 1,
        backend: Backend::default(),
        sandbox: SandboxPolicy::default(),
        disk_budget_bytes: DISK_BUDGET_BYTES,
        loopback: true,
    }
}

fn client(dir: &TempDir) -> Client {
    Client::open(dir.path(), "a test", DISK_BUDGET_BYTES).unwrap()
}

/// A prover that no node comes to, and that gives up soon.
fn lonely_prover(dir: &TempDir, timeout: Duration) -> NetworkProver {
    let patience = Patience { node_wait: STEP_TIMEOUT, timeout: Some(timeout) };
    let options = RunOptions { patience, ..RunOptions::default() };
    NetworkProver::new(client(dir), NetworkOptions::default()).unwrap().with_options(options)
}

/// What the hashing guest reads: how many times.
fn env(count: u32) -> ExecutorEnv<'static> {
    let mut env = ExecutorEnv::builder();
    env.segment_limit_po2(SEGMENT_PO2).write_slice(&[count]).build().unwrap()
}

/// The journal that an execution ends with.
fn journal(elf: &[u8], count: u32) -> Vec<u8> {
    let guest = Guest::parse(elf.to_vec()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hosted = execute_hosted(
        &env(count),
        &guest,
        [0; 32],
        folder.path(),
        |_| Ok(()),
        &AtomicBool::new(false),
    )
    .unwrap();
    hosted.execution.journal
}

fn job_error(error: &anyhow::Error) -> &JobError {
    error.downcast_ref::<Arc<JobError>>().unwrap_or_else(|| panic!("no error of a job: {error:?}"))
}

#[test]
fn four_threads_on_one_prover_get_four_right_receipts() {
    let _alone = ALONE.blocking_lock();
    let dir = tempfile::tempdir().unwrap();
    let elf = fs::read(guest_path("sha-ecall")).unwrap();
    let image_id = risc0_zkvm::compute_image_id(&elf).unwrap();
    let network = NetworkOptions::on_this_machine(local_nodes(2));
    let prover = NetworkProver::new(client(&dir), network).unwrap();
    std::thread::scope(|scope| {
        for count in 1..=4 {
            let (prover, elf) = (&prover, &elf);
            scope.spawn(move || {
                // Without joins, which take as long as the proofs here.
                let opts = ProverOpts::composite();
                let info = prover.prove_with_opts(env(count), elf, &opts).unwrap();
                info.receipt.verify(image_id).unwrap();
                assert_eq!(info.receipt.journal.bytes, journal(elf, count));
            });
        }
    });
    drop(prover);
    assert_eq!(children(), Vec::<u32>::new());
}

/// Its one thread waits, as the call does; what proves has others.
#[tokio::test(flavor = "current_thread")]
async fn a_prover_works_inside_a_runtime_of_one_thread_and_keeps_to_its_time() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let elf = fs::read(guest_path("sha-ecall")).unwrap();
    let heard = Arc::new(AtomicU32::new(0));
    let hear = heard.clone();
    let prover = lonely_prover(&dir, Duration::from_secs(1)).on_progress(move |_job, progress| {
        assert_eq!(progress.nodes, 0);
        hear.fetch_add(1, Ordering::Relaxed);
    });
    let error = prover.prove(env(1), &elf).unwrap_err();
    assert!(matches!(job_error(&error), JobError::OutOfTime { .. }), "{error:#}");
    assert!(heard.load(Ordering::Relaxed) > 0, "nothing was heard of the progress");
    // Dropped here too, where a runtime of tokio must not be.
    drop(prover);
}

#[test]
fn threads_that_share_a_prover_do_not_wait_for_one_another_and_stop_together() {
    let _alone = ALONE.blocking_lock();
    let dir = tempfile::tempdir().unwrap();
    let elf = fs::read(guest_path("sha-ecall")).unwrap();
    let prover = lonely_prover(&dir, STEP_TIMEOUT);
    let stop = prover.stop_token();
    let under_way = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let seen = under_way.clone();
    let prover = prover.on_progress(move |job, _progress| {
        seen.lock().unwrap().insert(job);
    });
    std::thread::scope(|scope| {
        for count in 1..=4 {
            let (prover, elf) = (&prover, &elf);
            scope.spawn(move || {
                let error = prover.prove(env(count), elf).unwrap_err();
                assert!(matches!(job_error(&error), JobError::Interrupted { .. }), "{error:#}");
            });
        }
        wait_until("four jobs are under way", || under_way.lock().unwrap().len() == 4);
        stop.cancel();
    });
}

#[tokio::test]
async fn a_service_that_is_dropped_in_mid_job_leaves_no_process_and_its_job_resumable() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let (client, data) = (client(&dir), dir.path().to_owned());
    let guest = Guest::parse(fs::read(guest_path("sha-chain")).unwrap()).unwrap();
    let po2 = SEGMENT_PO2.try_into().unwrap();
    let options = JobOptions::new(ReceiptKind::Succinct, po2);
    let job = client.create(&guest, &8_u32.to_le_bytes()[..], options).unwrap();
    let network = NetworkOptions::on_this_machine(local_nodes(1));
    let service = Service::start(client, network).await.unwrap();
    let handle = service.submit(job, RunOptions::default());
    let mut progress = handle.progress();
    let busy = progress.wait_for(|progress| progress.nodes_busy > 0);
    tokio::time::timeout(STEP_TIMEOUT, busy).await.unwrap().unwrap();
    drop(progress);
    let events = handle.events(0).await.unwrap();
    let kinds: Vec<_> =
        events.iter().map(|(_, event)| event.kind(ZkvmEvent::kind)).take(3).collect();
    assert_eq!(kinds, ["created", "client_started", "segment_stored"]);
    let last = events.last().unwrap().0;
    assert!(handle.events(last).await.unwrap().iter().all(|(seq, _)| *seq > last));
    assert!(!children().is_empty());
    drop(service);
    let ended = tokio::time::timeout(STEP_TIMEOUT, handle.result()).await.unwrap();
    assert!(matches!(&*ended.unwrap_err(), JobError::Interrupted { .. }));
    // Its directory is free again, and nothing runs there.
    let free = move || Client::open(&data, "the next", DISK_BUDGET_BYTES).is_ok();
    tokio::task::spawn_blocking(move || {
        wait_until("its nodes have ended", || children().is_empty());
        wait_until("its directory is free", free);
    })
    .await
    .unwrap();
}

/// The processes that this one started and that run.
fn children() -> Vec<u32> {
    let me = std::process::id().to_string();
    let parent = |stat: &str| {
        // The name before it may hold anything, a parenthesis too.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let is_running = fields.next()? != "Z";
        is_running.then(|| fields.next().map(str::to_owned))?
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        (parent(&stat)? == me).then_some(id)
    });
    processes.collect()
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < STEP_TIMEOUT, "never: {what}");
        std::thread::sleep(POLL_PERIOD);
    }
}

/// A command that does not outlive the test, with its output in files.
struct Process {
    child: Child,
    log: PathBuf,
    out: PathBuf,
}

impl Process {
    fn start(dir: &Path, name: &str, args: &[&str]) -> Self {
        let (log, out) = (dir.join(format!("{name}.log")), dir.join(format!("{name}.out")));
        let child = Command::new(env!("CARGO_BIN_EXE_starling"))
            .env_remove("XDG_RUNTIME_DIR")
            .args(args)
            .env("STARLING_DATA_DIR", dir.join("data"))
            .env("RUST_LOG", "warn,starling=info,starling_client=debug,starling_node=info")
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log, out }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_until(text, || self.log().contains(text));
    }

    /// Waits for the end of a command that must succeed; what it printed.
    #[track_caller]
    fn succeeds(mut self) -> Value {
        let started = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < STEP_TIMEOUT, "never ended:\n{}", self.log());
            std::thread::sleep(POLL_PERIOD);
        }
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
        serde_json::from_slice(&fs::read(&self.out).unwrap()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every `task=` of the log lines that contain `message`.
fn tasks(log: &str, message: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(message));
    lines
        .filter_map(|line| line.split("task=").nth(1)?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Three commands use one directory and its owner's node. One job is cancelled; then the owner is killed, and the command
/// that had handed its job over takes the directory and goes on with it.
#[test]
fn of_jobs_in_one_process_one_is_cancelled_one_outlives_its_kill_and_nothing_is_lost() {
    let _alone = ALONE.blocking_lock();
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    let po2 = SEGMENT_PO2.to_string();
    let prove = |name: &str, count: u32| {
        let input = home.join(format!("{name}.input"));
        fs::write(&input, count.to_le_bytes()).unwrap();
        let (guest, input) = (guest_path("sha-chain"), input.to_str().unwrap().to_owned());
        let receipt = format!("{name}.receipt");
        let args = ["prove", guest.to_str().unwrap(), "--input", &input, "--receipt", &receipt];
        let more = ["--segment-po2", &po2, "--receipt-kind", "composite", "--local", "1", "--json"];
        Process::start(home, name, &[&args[..], &more].concat())
    };
    let show = |id: &str| Process::start(home, "show", &["job", "show", id, "--json"]).succeeds();
    let owner = prove("owner", 2);
    owner.wait_for("proving job=");
    let (second, third) = (prove("second", 3), prove("third", 4));
    second.wait_for("the process that owns this data directory proves the job");
    third.wait_for("the process that owns this data directory proves the job");
    let job = |process: &Process| {
        let log = process.log();
        let (_, rest) = log.split_once("job=").unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (owners, seconds, thirds) = (job(&owner), job(&second), job(&third));

    // A guest that still runs holds what it reads.
    wait_until("the third guest has run", || show(&thirds)["executed"] == true);
    let cancel = Process::start(home, "cancel", &["job", "cancel", &thirds, "--json"]).succeeds();
    assert!(cancel["freed_bytes"].as_u64().unwrap() > 0);
    third.wait_for("was cancelled");

    // All of its jobs have work, and the node is shared: soon each has a receipt.
    let accepted_of = |id: &str| show(id)["receipts_accepted"].as_u64().unwrap();
    wait_until("both jobs have a receipt", || {
        accepted_of(&owners) > 0 && accepted_of(&seconds) > 0
    });
    let first_log = owner.log();
    drop(owner);

    second.wait_for("going on here");
    let taken_over = second.log.clone();
    let delivered = second.succeeds();
    assert_eq!(delivered["job"], seconds.as_str());
    let resume = ["job", "resume", &owners, "--local", "1", "--json", "--receipt", "owner.receipt"];
    let resumed = Process::start(home, "resumed", &resume);
    let resumed_log = resumed.log.clone();
    assert_eq!(resumed.succeeds()["job"], owners.as_str());

    // No receipt was accepted twice: what the owner had is not proved again.
    let later = [taken_over, resumed_log].map(|log| fs::read_to_string(log).unwrap()).concat();
    let lines = [&first_log, &later].map(|log| tasks(log, "accepted task=").len());
    let accepted: u64 = [&owners, &seconds, &thirds].map(|id| accepted_of(id)).iter().sum();
    // The owner may have been killed between an event of its log and the line that says so.
    let unsaid = accepted - lines.iter().sum::<usize>() as u64;
    assert!(unsaid <= 1, "{accepted} receipts: {first_log}\n{later}");
    for id in [&owners, &seconds] {
        let job = show(id);
        assert_eq!(
            (&job["phase"], &job["receipts_accepted"]),
            (&"done".into(), &job["receipts_total"])
        );
    }
    for (name, count) in [("owner", 2_u32), ("second", 3)] {
        let bytes = fs::read(home.join(format!("{name}.receipt"))).unwrap();
        let receipt: Receipt = bincode::deserialize(&bytes).unwrap();
        let elf = fs::read(guest_path("sha-chain")).unwrap();
        receipt.verify(risc0_zkvm::compute_image_id(&elf).unwrap()).unwrap();
        assert_eq!(receipt.journal.bytes[..4], count.to_le_bytes());
    }
    assert!(!home.join("third.receipt").exists());
}
