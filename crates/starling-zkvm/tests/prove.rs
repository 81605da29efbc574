//! Real proofs through real prover children, judged by the stock verifier: minutes, not seconds.

#![allow(clippy::unwrap_used)]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use starling_types::{MemoryBytes, Po2, SegmentRange, TaskId};
use starling_zkvm::{
    ExecuteOptions, Execution, ExitCode, FailureClass, Guest, ProveFailure, ProverConfig,
    ProverProcess, RefusalReason, SEGMENT_PO2_MIN, SegmentOut, Work, codec, execute,
    expected_claim,
    receipt::{self, ReceiptError},
    verify_task,
};
use tempfile::TempDir;

mod tiny;

/// Turns of the tiny guest that fill one segment and begin another.
const TURNS: u32 = 4000;

/// Longer than any of these proofs takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// The example `prover`, which cargo builds along with the tests of the crate.
fn prover_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/prover");
    assert!(program.exists(), "{} is missing: run all tests of the crate", program.display());
    program
}

/// A finished execution with its segments in files, and a child to prove them.
struct Bench {
    folder: TempDir,
    guest: Guest,
    execution: Execution,
    segments: Vec<SegmentOut>,
    prover: ProverProcess,
}

impl Bench {
    /// Two segments of the smallest size.
    fn new(exit_code: u8) -> Self {
        let guest = Guest::parse(tiny::program(TURNS, exit_code)).unwrap();
        let options = ExecuteOptions {
            input: Box::new(std::io::empty()),
            segment_po2: Po2::try_from(SEGMENT_PO2_MIN).unwrap(),
            cycle_limit: None,
            seed: [3; 32],
            guest_output: Box::new(std::io::sink()),
        };
        let mut segments = Vec::new();
        let keep = |segment| {
            segments.push(segment);
            Ok(())
        };
        let execution = execute(&guest, options, keep, &AtomicBool::new(false)).unwrap();
        assert_eq!(segments.len(), 2);
        let folder = tempfile::tempdir().unwrap();
        for segment in &segments {
            std::fs::write(segment_path(&folder, segment.index), &segment.bytes).unwrap();
        }
        let prover = ProverProcess::new(ProverConfig::new(prover_program(), []));
        Self { folder, guest, execution, segments, prover }
    }

    fn work(&self, task: TaskId, inputs: Vec<PathBuf>) -> Work {
        let output = self.folder.path().join(task.to_string().replace('/', "-"));
        Work { task, inputs, output, po2_max: Po2::try_from(SEGMENT_PO2_MIN).unwrap() }
    }

    async fn prove(&mut self, task: TaskId, inputs: Vec<PathBuf>) -> Result<Vec<u8>, ProveFailure> {
        let work = self.work(task, inputs);
        let report = self.prover.run(&work, PATIENCE).await?;
        println!("{task}: {report:?}");
        Ok(std::fs::read(&work.output).unwrap())
    }

    /// Proves the task of one segment and checks that the receipt counts.
    async fn prove_one(&mut self, task: TaskId) -> Vec<u8> {
        let input = segment_path(&self.folder, task.range().start());
        let blob = self.prove(task, vec![input]).await.unwrap();
        self.judge(task, &blob).unwrap();
        blob
    }

    fn judge(&self, task: TaskId, blob: &[u8]) -> Result<(), RefusalReason> {
        let claims: Vec<_> = self.segments.iter().map(|segment| segment.claim).collect();
        let expected = expected_claim(task.range(), &claims).unwrap();
        verify_task(task, blob, &expected).map_err(|refusal| refusal.reason)
    }
}

fn segment_path(folder: &TempDir, index: u32) -> PathBuf {
    folder.path().join(format!("segment-{index}"))
}

#[tokio::test]
async fn lifted_and_joined_segments_become_a_receipt_that_anyone_verifies() {
    let mut bench = Bench::new(0);
    let join = TaskId::Join(SegmentRange::new(0, 2).unwrap());
    let (left, right) =
        (bench.prove_one(TaskId::Lift(0)).await, bench.prove_one(TaskId::Lift(1)).await);
    let paths = [TaskId::Lift(0), TaskId::Lift(1)].map(|task| bench.work(task, vec![]).output);

    // Swapped inputs do not join, and the child survives saying so.
    let swapped = vec![paths[1].clone(), paths[0].clone()];
    let failure = bench.prove(join, swapped).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input, "{failure}");

    let root = bench.prove(join, paths.to_vec()).await.unwrap();
    bench.judge(join, &root).unwrap();

    // Sound receipts in the wrong place are refused by what they claim.
    let reason = bench.judge(TaskId::Lift(1), &left).unwrap_err();
    assert!(matches!(reason, RefusalReason::ClaimDiffers { .. }), "{reason}");
    let reason = bench.judge(join, &right).unwrap_err();
    assert!(matches!(reason, RefusalReason::ClaimDiffers { .. }), "{reason}");
    let reason = bench.judge(TaskId::Prove(0), &left).unwrap_err();
    assert!(matches!(reason, RefusalReason::WrongKind { .. }), "{reason}");

    // One word of the seal is enough; so is a claim under another's seal.
    let mut corrupt = codec::decode_succinct_receipt(&root).unwrap();
    let at = corrupt.seal.len() / 2;
    corrupt.seal[at] ^= 1;
    let reason = bench.judge(join, &codec::encode_succinct_receipt(&corrupt).unwrap()).unwrap_err();
    assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");
    let mut relabelled = codec::decode_succinct_receipt(&left).unwrap();
    relabelled.claim = codec::decode_succinct_receipt(&root).unwrap().claim;
    let blob = codec::encode_succinct_receipt(&relabelled).unwrap();
    let reason = bench.judge(join, &blob).unwrap_err();
    assert!(matches!(reason, RefusalReason::SealInvalid(_)), "{reason}");

    let root = codec::decode_succinct_receipt(&root).unwrap();
    let delivered = receipt::assemble_succinct(root, &bench.execution).unwrap();
    let path = bench.folder.path().join("receipt.bin");
    receipt::write_receipt(&path, &delivered).unwrap();
    let read: risc0_zkvm::Receipt = bincode::deserialize(&std::fs::read(&path).unwrap()).unwrap();
    read.verify(bench.guest.image_id()).unwrap();
    receipt::verify_receipt(&read, bench.guest.image_id()).unwrap();
    assert_eq!(read.journal.bytes, bench.execution.journal);
    let info = receipt::receipt_info(&read).unwrap();
    assert_eq!((info.kind, info.image_id), ("succinct", Some(bench.guest.image_id())));
    assert_eq!(info.claim_digest, bench.execution.claim.digest());

    let error = receipt::verify_receipt(&read, risc0_zkvm::Digest::ZERO).unwrap_err();
    assert!(matches!(error, ReceiptError::WrongImage { .. }), "{error}");
    let mut forged = read;
    forged.journal.bytes.push(1);
    let error = receipt::verify_receipt(&forged, bench.guest.image_id()).unwrap_err();
    assert!(matches!(error, ReceiptError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_composite_receipt_proves_a_failed_run_for_what_it_is() {
    let mut bench = Bench::new(7);
    let mut receipts = Vec::new();
    for index in 0..2 {
        let blob = bench.prove_one(TaskId::Prove(index)).await;
        receipts.push(codec::decode_segment_receipt(&blob).unwrap());
    }
    let mut swapped = receipts.clone();
    swapped.swap(0, 1);
    assert!(receipt::assemble_composite(swapped, &bench.execution).is_err());
    let delivered = receipt::assemble_composite(receipts, &bench.execution).unwrap();
    assert_eq!(receipt::receipt_info(&delivered).unwrap().segment_count, Some(2));
    let image_id = bench.guest.image_id();
    receipt::verify_outcome(&delivered, image_id, ExitCode::Halted(7)).unwrap();
    let error = receipt::verify_receipt(&delivered, image_id).unwrap_err();
    assert!(matches!(error, ReceiptError::WrongExit { .. }), "{error}");
}

#[tokio::test]
async fn a_task_that_contradicts_its_input_is_refused_without_proving() {
    let mut bench = Bench::new(0);
    let segment = segment_path(&bench.folder, 0);
    let failure = bench.prove(TaskId::Lift(1), vec![segment.clone()]).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input);
    assert_eq!(failure.to_string(), "the blob holds segment 0, not 1");

    let mut small = bench.work(TaskId::Lift(0), vec![segment.clone()]);
    small.po2_max = Po2::try_from(Po2::MIN).unwrap();
    let failure = bench.prover.run(&small, PATIENCE).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Task);
    assert!(failure.to_string().contains("po2 14, allowed is 14 to 13 here"), "{failure}");

    let failure = bench.prove(TaskId::Lift(0), vec!["/nonexistent".into()]).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input);

    std::fs::write(&segment, b"STRL garbage").unwrap();
    let failure = bench.prove(TaskId::Lift(0), vec![segment]).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_prover_beyond_its_memory_limit_costs_only_the_task() {
    let mut bench = Bench::new(0);
    let mut config = ProverConfig::new(prover_program(), []);
    config.memory_limit = Some(MemoryBytes::from_mib(600));
    bench.prover = ProverProcess::new(config);
    let input = segment_path(&bench.folder, 0);
    let failure = bench.prove(TaskId::Lift(0), vec![input]).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::OutOfMemory { .. }), "{failure}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_prover_in_mid_proof_ends_when_its_parent_is_gone() {
    use std::os::unix::process::ExitStatusExt as _;

    let bench = Bench::new(0);
    let work = bench.work(TaskId::Lift(0), vec![segment_path(&bench.folder, 0)]);
    let mut child = Command::new(prover_program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, r#"{{"memory_limit":null,"threads":null,"backend":"fast"}}"#).unwrap();
    writeln!(
        stdin,
        r#"{{"id":1,"task":"lift/0","inputs":[{:?}],"output":{:?},"po2_max":14}}"#,
        work.inputs[0], work.output
    )
    .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "the child proves");
    drop(stdin);
    let closed = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(closed.elapsed() < Duration::from_secs(5), "{:?}", closed.elapsed());
}
