//! The main job over several processes with real proofs, on a bad day: a node is killed in the middle
//! of a task, then the client is killed too, and the job ends in a receipt all the same.
//!
//! Some five minutes on two cores: three segments, each proved and lifted, and two joins.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use risc0_zkvm::{Digest, Receipt};
use serde_json::Value;

/// Ten links of the chain are three segments at po2 16, the last one smaller.
const LINKS: u32 = 10;
const SEGMENT_PO2: &str = "16";
const SEGMENTS: u64 = 3;

/// No step of the test takes this long on a machine that can run it at all.
const STEP_TIMEOUT: Duration = Duration::from_secs(900);

/// A process that does not outlive the test, with its stderr in a file.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(args: &[&str], dir: &Path, name: &str) -> Self {
        let log = dir.join(format!("{name}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_starling"))
            .env_remove("XDG_RUNTIME_DIR")
            .args(args)
            .env("RUST_LOG", "warn,starling=info,starling_client=debug,starling_node=info")
            .stdin(Stdio::null())
            .stdout(File::create(dir.join(format!("{name}.out"))).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has a line that contains `text`, and returns what follows it on that line.
    fn wait_for(&mut self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                let (_, rest) = line.split_once(text).unwrap();
                return rest.trim().to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended ({status}) before it said {text:?}:\n{log}");
            }
            assert!(started.elapsed() < STEP_TIMEOUT, "never said {text:?}:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// `kill -9`.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every `task=` of the log lines that contain `message`.
fn tasks(log: &str, message: &str) -> BTreeSet<String> {
    log.lines()
        .filter(|line| line.contains(message))
        .filter_map(|line| line.split("task=").nth(1)?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests")
}

#[test]
fn a_job_survives_the_death_of_a_node_and_of_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("input"), LINKS.to_le_bytes()).unwrap();
    let guest = guests().join("bin/sha-chain.bin");
    let guest = guest.to_str().unwrap();

    // A client without nodes of its own, and two nodes that come to it.
    let mut client = Process::start(
        &[
            "prove",
            guest,
            "--input",
            &path("input"),
            "--segment-po2",
            SEGMENT_PO2,
            "--listen",
            "--data-dir",
            &path("client"),
            "--receipt",
            &path("first.receipt"),
        ],
        dir.path(),
        "client",
    );
    let ticket = client.wait_for("this client's ticket: ");
    let node = |name: &str| {
        let data = path(name);
        let args = ["node", "--client", &ticket, "--threads", "1", "--data-dir", &data];
        Process::start(&args, dir.path(), name)
    };
    let (mut doomed, _other) = (node("doomed"), node("other"));

    // One node dies in the middle of a task: the task goes elsewhere.
    doomed.wait_for("proving job=");
    std::thread::sleep(Duration::from_secs(2));
    let doomed_log = doomed.kill();
    let lost = tasks(&doomed_log, "proving");
    assert_eq!(lost.len(), 1, "{doomed_log}");
    client.wait_for("a lease expired");
    let _successor = node("successor");

    // The client dies once a receipt is accepted.
    client.wait_for("accepted task=");
    let client_log = client.kill();
    let accepted = tasks(&client_log, "accepted task=");
    assert!(!accepted.is_empty(), "{client_log}");

    // Its job can be gone on with, by a local node this time.
    let list = starling(&["job", "list", "--json", "--data-dir", &path("client")]);
    let list = &list["jobs"][0];
    let job = list["job"].as_str().unwrap().to_owned();
    assert_eq!(list["phase"], "open");
    let shown = starling(&["job", "show", &job, "--json", "--data-dir", &path("client")]);
    assert_eq!(shown["receipts_accepted"], accepted.len());
    let resumed = Process::start(
        &[
            "job",
            "resume",
            &job,
            "--local",
            "1",
            "--json",
            "--data-dir",
            &path("client"),
            "--receipt",
            &path("resumed.receipt"),
        ],
        dir.path(),
        "resumed",
    );
    let result = finish(resumed, &dir.path().join("resumed.out"));

    // No accepted receipt was redone, in whole or in part.
    let local_log = fs::read_to_string(dir.path().join("client/local/0/log")).unwrap();
    let redone: Vec<_> = tasks(&local_log, "proving").intersection(&accepted).cloned().collect();
    assert_eq!(redone, Vec::<String>::new(), "{local_log}");
    let shown = starling(&["job", "show", &job, "--json", "--data-dir", &path("client")]);
    assert_eq!(shown["phase"], "done");
    assert_eq!(shown["runs"], 2);
    assert_eq!(shown["receipts_accepted"], 2 * SEGMENTS - 1);
    assert_eq!(result["segments"], SEGMENTS);

    // The receipt is an ordinary one: the stock verifier takes it, and the journal is the chain's end.
    let image_id = result["image_id"].as_str().unwrap();
    let receipt: Receipt =
        bincode::deserialize(&fs::read(path("resumed.receipt")).unwrap()).unwrap();
    let digest = Digest::try_from(hex::decode(image_id).unwrap().as_slice()).unwrap();
    receipt.verify(digest).unwrap();
    assert_eq!(hex::encode(&receipt.journal.bytes), result["journal"].as_str().unwrap());
    assert_eq!(receipt.journal.bytes[..4], LINKS.to_le_bytes());
    let verified =
        starling(&["verify", &path("resumed.receipt"), "--image-id", image_id, "--json"]);
    assert_eq!(verified["claim_digest"], result["claim_digest"]);

    // Asking for a job that is done delivers it again, without a node.
    let again = starling(&[
        "prove",
        guest,
        "--input",
        &path("input"),
        "--segment-po2",
        SEGMENT_PO2,
        "--json",
        "--data-dir",
        &path("client"),
        "--receipt",
        &path("again.receipt"),
    ]);
    assert_eq!(again["job"], job.as_str());
    assert_eq!(
        fs::read(path("again.receipt")).unwrap(),
        fs::read(path("resumed.receipt")).unwrap()
    );
}

#[test]
fn a_job_is_heard_of_by_nodes_that_only_another_node_knows() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // They are given work, too, and are gone before any of it is done.
    let node = |name: &str, join: &[&str]| {
        let data = path(name);
        let args = ["node", "--loopback", "--json", "--data-dir", &data];
        let mut process = Process::start(&[&args, join].concat(), dir.path(), name);
        process.wait_for("waiting for jobs");
        let printed: Value =
            serde_json::from_slice(&fs::read(dir.path().join(format!("{name}.out"))).unwrap())
                .unwrap();
        (process, printed["ticket"].as_str().unwrap().to_owned())
    };
    let (mut known, ticket) = node("known", &[]);
    let (mut unknown, _) = node("unknown", &["--join", &ticket]);

    let guest = guests().join("bin/sha-chain.bin");
    fs::write(path("input"), LINKS.to_le_bytes()).unwrap();
    let _client = Process::start(
        &[
            "prove",
            guest.to_str().unwrap(),
            "--input",
            &path("input"),
            "--join",
            &ticket,
            "--data-dir",
            &path("client"),
            "--receipt",
            &path("receipt"),
        ],
        dir.path(),
        "client",
    );
    known.wait_for("serving a client");
    unknown.wait_for("serving a client");
}

/// Waits for a process that must succeed, and returns the JSON object on its stdout.
fn finish(mut process: Process, stdout: &Path) -> Value {
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.child.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < STEP_TIMEOUT, "never ended:\n{}", process.log());
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(status.success(), "{status}:\n{}", process.log());
    serde_json::from_slice(&fs::read(stdout).unwrap()).unwrap()
}

/// Runs a command that must succeed, and returns the JSON on its stdout.
fn starling(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_starling"))
        .env_remove("XDG_RUNTIME_DIR")
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
