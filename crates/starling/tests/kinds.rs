//! Every kind of guest that RISC Zero's own prover proves, with real proofs through two nodes: what is
//! claimed is what an execution says, that of the stock executor under `--features stock`, and the stock verifier
//! accepts it.
//!
//! Some five minutes on two cores. One test at a time: each uses all of the machine. Those that are ignored take ten
//! more: `cargo test --release -p starling --test kinds -- --ignored`.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
};

use risc0_zkvm::{
    Digest, ExecutorEnv, ExecutorEnvBuilder, ExitCode, GenericReceipt, Receipt, ReceiptClaim,
    WorkClaim, sha::Digestible as _,
};
use serde_json::Value;
use tempfile::TempDir;

/// A segment that holds a whole small guest.
const SEGMENT_PO2: &str = "16";

/// Holds the machine for one test.
static MACHINE: Mutex<()> = Mutex::new(());

/// A data directory, the files of one test, and the machine to itself.
struct Bench {
    dir: TempDir,
    _machine: MutexGuard<'static, ()>,
}

impl Bench {
    fn new() -> Self {
        let machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { dir: tempfile::tempdir().unwrap(), _machine: machine }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
        command.env_remove("XDG_RUNTIME_DIR");
        command.args(args).args(["--json", "--data-dir", &self.path("data")]);
        command
    }

    fn starling(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Proves a shipped guest through two nodes; the receipt is in the file `name`.
    fn prove(&self, guest: &str, input: &str, name: &str, more: &[&str]) -> Proved {
        let (guest_path, receipt_path) = (guest_path(guest), self.path(name));
        let mut args = vec!["prove", guest_path.to_str().unwrap(), "--input", input];
        args.extend(["--receipt", &receipt_path, "--segment-po2", SEGMENT_PO2, "--local", "2"]);
        args.extend(more);
        self.delivers(&args, &receipt_path)
    }

    /// Makes a receipt of one STARK of the composite one in the file `from`, through two nodes.
    fn compress(&self, from: &str, name: &str) -> Proved {
        let (from, receipt_path) = (self.path(from), self.path(name));
        self.delivers(
            &["compress", &from, "--receipt", &receipt_path, "--local", "2"],
            &receipt_path,
        )
    }

    fn delivers(&self, args: &[&str], receipt_path: &str) -> Proved {
        let output = self.starling(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Proved {
            result: serde_json::from_slice(&output.stdout).unwrap(),
            receipt: bincode::deserialize(&fs::read(receipt_path).unwrap()).unwrap(),
        }
    }
}

struct Proved {
    result: Value,
    receipt: Receipt,
}

impl Proved {
    /// Asserts that the receipt claims what an execution claims, and that the stock verifier accepts it.
    #[track_caller]
    fn claims_the_session(&self, guest: &str, env: &mut ExecutorEnvBuilder<'_>) {
        let session = session(guest, env);
        self.receipt.verify_integrity_with_context(&Default::default()).unwrap();
        let claim = self.receipt.claim().unwrap();
        let value = claim.as_value().unwrap();
        assert_eq!(value.pre.digest(), image_id(guest));
        assert_eq!(value.exit_code, session.exit_code);
        assert_eq!(value.output.digest(), session.output);
        // The memory of a paused guest holds random bytes of its host, other ones in each execution.
        if !matches!(session.exit_code, ExitCode::Paused(_)) {
            assert_eq!(claim.digest(), session.claim);
        }
        assert_eq!(self.receipt.journal.bytes, session.journal);
        assert_eq!(self.result["journal"], hex::encode(session.journal));
        assert_eq!(self.result["claim_digest"], hex::encode(claim.digest().as_bytes()));
        assert_eq!(self.result["exit_code"], format!("{:?}", session.exit_code));
        if session.exit_code == ExitCode::Halted(0) {
            self.receipt.verify(image_id(guest)).unwrap();
        }
    }
}

/// What an execution says: how it ended, its journal, and the digests of its claim and of the output in it once
/// everything is proved that it assumes.
struct Session {
    exit_code: ExitCode,
    journal: Vec<u8>,
    claim: Digest,
    output: Digest,
}

#[cfg(feature = "stock")]
fn session(guest: &str, env: &mut ExecutorEnvBuilder<'_>) -> Session {
    let elf = fs::read(guest_path(guest)).unwrap();
    let mut executor = risc0_zkvm::ExecutorImpl::from_elf(env.build().unwrap(), &elf).unwrap();
    let session = executor.run().unwrap();
    let output = session.journal.as_ref().map(|journal| risc0_zkvm::Output {
        journal: journal.bytes.clone().into(),
        assumptions: Vec::<risc0_zkvm::Assumption>::new().into(),
    });
    let output = output.into();
    let claim = ReceiptClaim {
        pre: session.pre_state.into(),
        post: session.post_state.into(),
        exit_code: session.exit_code,
        input: risc0_zkvm::MaybePruned::Pruned(session.input),
        output,
    };
    Session {
        exit_code: session.exit_code,
        journal: session.journal.map(|journal| journal.bytes).unwrap_or_default(),
        claim: claim.digest(),
        output: claim.output.digest(),
    }
}

#[cfg(not(feature = "stock"))]
fn session(guest: &str, env: &mut ExecutorEnvBuilder<'_>) -> Session {
    use starling_zkvm::{Guest, execute::hosted::execute_hosted};

    let guest = Guest::parse(fs::read(guest_path(guest)).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let env = env.build().unwrap();
    let hosted = execute_hosted(
        &env,
        &guest,
        [0; 32],
        folder.path(),
        |_| Ok(()),
        &std::sync::atomic::AtomicBool::new(false),
    )
    .unwrap();
    let claim = hosted.execution.resolved_claim();
    Session {
        exit_code: claim.exit_code,
        journal: hosted.execution.journal,
        claim: claim.digest(),
        output: claim.output,
    }
}

fn guest_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../guests/bin/{name}.bin"))
}

fn input_path(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../guests/inputs/{name}.bin"));
    path.to_str().unwrap().to_owned()
}

fn image_id(guest: &str) -> Digest {
    risc0_zkvm::compute_image_id(&fs::read(guest_path(guest)).unwrap()).unwrap()
}

fn env_with(input: &str) -> ExecutorEnvBuilder<'static> {
    let mut env = ExecutorEnv::builder();
    env.write_slice(&fs::read(input).unwrap());
    env
}

/// What `compose` reads: the image ids and journals of receipts to verify.
fn to_verify(receipts: &[(&str, &Receipt)]) -> Vec<u8> {
    let mut bytes = (receipts.len() as u32).to_le_bytes().to_vec();
    for (guest, receipt) in receipts {
        bytes.extend(image_id(guest).as_bytes());
        bytes.extend((receipt.journal.bytes.len() as u32).to_le_bytes());
        bytes.extend(&receipt.journal.bytes);
    }
    bytes
}

#[test]
fn what_a_guest_verifies_is_proved_with_it() {
    let bench = Bench::new();
    let leaf =
        bench.prove("fail", &input_path("fail-ok"), "leaf", &["--receipt-kind", "composite"]);
    leaf.claims_the_session("fail", &mut env_with(&input_path("fail-ok")));
    // The same receipt twice: two assumptions.
    let verified = [("fail", &leaf.receipt), ("fail", &leaf.receipt)];
    let input = bench.write("input", &to_verify(&verified));
    let root = bench.prove("compose", &input, "root", &["--assumption", &bench.path("leaf")]);
    assert_eq!(root.result["assumptions"], 2);
    // A host's environment takes receipts of one STARK.
    let leaf = bench.compress("leaf", "leaf-compressed");
    root.claims_the_session("compose", env_with(&input).add_assumption(leaf.receipt));
}

/// A composite receipt that assumed another is compressed, and assumed in turn.
#[test]
#[ignore = "three minutes of what the test above does, once more"]
fn a_chain_of_receipts_is_proved() {
    let bench = Bench::new();
    let leaf = bench.prove("fail", &input_path("fail-ok"), "leaf", &[]);
    let middle_input = bench.write("middle.in", &to_verify(&[("fail", &leaf.receipt)]));
    let leaf_path = bench.path("leaf");
    let given = ["--assumption", &leaf_path, "--receipt-kind", "composite"];
    let middle = bench.prove("compose", &middle_input, "middle", &given);
    assert_eq!(middle.result["receipt_kind"], "composite");
    let mut env = env_with(&middle_input);
    middle.claims_the_session("compose", env.add_assumption(leaf.receipt.clone()));

    let verified = [("compose", &middle.receipt), ("fail", &leaf.receipt)];
    let root_input = bench.write("root.in", &to_verify(&verified));
    let middle_path = bench.path("middle");
    let given = ["--assumption", &middle_path, "--assumption", &leaf_path];
    let root = bench.prove("compose", &root_input, "root", &given);
    assert_eq!(root.result["assumptions"], 2);
    let middle = bench.compress("middle", "middle-compressed");
    let mut env = env_with(&root_input);
    env.add_assumption(leaf.receipt).add_assumption(middle.receipt);
    root.claims_the_session("compose", &mut env);
}

/// A composite receipt that holds a composite one, as the stock prover makes them.
#[cfg(feature = "stock")]
#[test]
#[ignore = "two minutes, one of them the stock prover's"]
fn a_composite_receipt_in_another_is_compressed() {
    let bench = Bench::new();
    let leaf =
        bench.prove("fail", &input_path("fail-ok"), "leaf", &["--receipt-kind", "composite"]);
    let input = bench.write("input", &to_verify(&[("fail", &leaf.receipt)]));
    let elf = fs::read(guest_path("compose")).unwrap();
    let env = || {
        let mut env = env_with(&input);
        env.add_assumption(leaf.receipt.clone()).segment_limit_po2(SEGMENT_PO2.parse().unwrap());
        env
    };
    let stock = risc0_zkvm::get_prover_server(&risc0_zkvm::ProverOpts::composite()).unwrap();
    let nested = stock.prove(env().build().unwrap(), &elf).unwrap().receipt;
    let assumptions = &nested.inner.composite().unwrap().assumption_receipts;
    let [risc0_zkvm::InnerAssumptionReceipt::Composite(_)] = assumptions.as_slice() else {
        panic!("the stock prover compresses what it is given");
    };

    bench.write("nested", &bincode::serialize(&nested).unwrap());
    let compressed = bench.compress("nested", "root");
    assert_eq!(compressed.result["receipt_kind"], "succinct");
    compressed.claims_the_session("compose", &mut env());
}

#[test]
fn keccak_is_proved_beside_the_segments_and_resolved() {
    prove_keccak(1, 1);
}

#[test]
#[ignore = "three minutes: a guest that fills a batch has six segments"]
fn keccak_batches_are_united() {
    prove_keccak(82, 2);
}

fn prove_keccak(permutations: u32, batches: u32) {
    let bench = Bench::new();
    let input = bench.write("input", &permutations.to_le_bytes());
    let proved = bench.prove("keccak", &input, "receipt", &["--keccak-po2", "14"]);
    assert_eq!(proved.result["keccaks"], batches);
    assert_eq!(proved.result["assumptions"], 1);
    proved.claims_the_session("keccak", env_with(&input).keccak_max_po2(14).unwrap());
}

#[test]
fn big_integers_are_proved() {
    let bench = Bench::new();
    let input = input_path("bigint-256-1");
    let proved = bench.prove("bigint", &input, "receipt", &[]);
    proved.claims_the_session("bigint", &mut env_with(&input));
}

/// A guest that failed is proved when it is asked for, and its work is counted.
#[test]
fn a_failed_guest_is_proved_on_request_with_its_work_counted() {
    let bench = Bench::new();
    let input = input_path("fail-exit-7");
    let log_id = "c2a2379b379da8c076d51520c4f6a2fc5aae3d1e";
    let more = ["--prove-guest-errors", "--povw", log_id];
    let proved = bench.prove("fail", &input, "receipt", &more);
    assert_eq!(proved.result["exit_code"], "Halted(7)");
    proved.claims_the_session("fail", &mut env_with(&input));

    let work_path = proved.result["work_receipt"].as_str().unwrap();
    let work: GenericReceipt<WorkClaim<ReceiptClaim>> =
        bincode::deserialize(&fs::read(work_path).unwrap()).unwrap();
    work.verify_integrity().unwrap();
    let claim = work.claim();
    let claim = claim.as_value().unwrap();
    assert_eq!(claim.claim.digest(), proved.receipt.claim().unwrap().digest());
    let work = claim.work.as_value().unwrap();
    assert_eq!(hex::encode(work.nonce_min.log.to_be_bytes::<20>()), log_id);
    assert_eq!((work.nonce_min.segment, work.nonce_max.segment), (0, 0));
    // One segment, its padding counted.
    assert_eq!(proved.result["total_cycles"], work.value);
}

#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "makes a proof over BN254 twice: minutes"]
fn what_docker_does_not_make_is_all_that_a_resume_does_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    // It is there and answers; what it is to run, it may not.
    let bin = bench.path("bin");
    fs::create_dir(&bin).unwrap();
    let docker = format!("{bin}/docker");
    let script =
        "#!/bin/sh\n[ \"$1\" = run ] || exit 0\necho 'docker: permission denied' >&2\nexit 126\n";
    fs::write(&docker, script).unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let fails = |args: &[&str]| -> Value {
        let mut command = bench.command(args);
        let output = command.env("PATH", &path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = answer["error"].take();
        assert_eq!(error["class"], "groth16", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("126"), "{message}");
        assert!(message.contains("docker: permission denied"), "{message}");
        error
    };
    let (guest, input) = (guest_path("fail"), input_path("fail-ok"));
    let prove = ["prove", guest.to_str().unwrap(), "--input", &input, "--local", "2"];
    let kind = ["--receipt-kind", "groth16", "--segment-po2", SEGMENT_PO2];
    let error = fails(&[&prove[..], &kind].concat());
    let job = error["job"].as_str().unwrap();
    let show = || -> Value {
        serde_json::from_slice(&bench.starling(&["job", "show", job]).stdout).unwrap()
    };
    let shown = show();
    assert_eq!(shown["phase"], "failed", "{shown}");
    assert_eq!(shown["receipts_accepted"], shown["receipts_total"], "{shown}");
    // Nobody proves for it, and nobody has to.
    let alone = ["--local", "0", "--listen", "--bind", "127.0.0.1:0", "--node-wait", "1"];
    fails(&[&["job", "resume", job], &alone[..]].concat());
    assert_eq!(show()["receipts_accepted"], shown["receipts_accepted"]);
}

#[test]
#[ignore = "half a minute, for an exit code that only the executor sees"]
fn a_paused_guest_is_proved() {
    let bench = Bench::new();
    let proved =
        bench.prove("fail", &input_path("fail-pause"), "receipt", &["--receipt-kind", "composite"]);
    assert_eq!(proved.result["exit_code"], "Paused(0)");
    proved.claims_the_session("fail", &mut env_with(&input_path("fail-pause")));
}

/// The example of the library: a host program whose prover is a network, on a guest that hashes with the SHA-256
/// accelerator.
#[test]
fn a_host_program_proves_through_nodes() {
    host_proves("sha-ecall");
}

#[test]
#[ignore = "two minutes of what two tests above do, in one"]
fn a_host_program_proves_keccak_through_nodes() {
    host_proves("keccak");
}

/// Runs the example, which has the receipt verified, and compares the journal with a session's.
fn host_proves(guest: &str) {
    let bench = Bench::new();
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().parent().unwrap().join("examples/host");
    let output = Command::new(example)
        .arg(env!("CARGO_BIN_EXE_starling"))
        .arg(guest_path(guest))
        .arg(bench.path("data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();

    let input = bench.write("input", &3_u32.to_le_bytes());
    let journal = hex::encode(session(guest, &mut env_with(&input)).journal);
    assert!(printed.contains(&format!("journal: {journal}\n")), "{printed}");
}
