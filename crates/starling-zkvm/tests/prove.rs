//! Real proofs through real prover children, judged by the stock verifier: minutes, not seconds.

#![allow(clippy::unwrap_used)]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use risc0_zkvm::{Digest, InnerReceipt, MaybePruned, Output, SuccinctReceipt};
use starling_child::{InputFile, ProveFailure, ProverProcess, TaskWork, TimeLimits};
use starling_cost::Costs;
use starling_types::{
    FailureClass, IndexRange, MemoryBytes, Po2, Profile, TaskId, TaskKind, WorkLogId,
};
use starling_zkvm::{
    AssumptionId, Backend, Emitted, ExecuteOptions, Execution, ExitCode, Expected, Guest,
    KeccakOut, PovwJob, RefusalReason, SEGMENT_PO2_MIN, Segment, SegmentOut, TaskArguments, Work,
    codec, execute,
    prover::config,
    receipt::{self, ReceiptError},
    verify_task,
};
use tempfile::TempDir;

mod tiny;

use tiny::{End, Tiny};

/// Turns of the tiny guest that fill one segment and begin another.
const TURNS: u32 = 4000;

/// Turns that fill a segment of the size after the smallest.
const LONGER: u32 = 8000;

/// Longer than any of these proofs takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// The example `prover`, which cargo builds along with the tests of the crate.
fn prover_program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/prover");
    assert!(program.exists(), "{} is missing: run all tests of the crate", program.display());
    program
}

/// A finished execution with what it emitted in files, and a child to prove it.
struct Bench {
    folder: TempDir,
    guest: Guest,
    execution: Execution,
    segments: Vec<SegmentOut>,
    keccaks: Vec<KeccakOut>,
    counts_work: bool,
    profile: Profile,
    /// What the prover may allocate.
    memory_limit: Option<MemoryBytes>,
    /// Whether the prover tells nothing of the proofs of recursion in progress.
    is_quiet: bool,
    prover: ProverProcess,
}

impl Bench {
    /// Two segments of the smallest size.
    fn new(exit_code: u8) -> Self {
        let bench = Self::of(tiny::program(TURNS, exit_code), |_| {});
        assert_eq!(bench.segments.len(), 2);
        bench
    }

    fn of(program: Vec<u8>, change: impl FnOnce(&mut ExecuteOptions)) -> Self {
        let guest = Guest::parse(program).unwrap();
        let mut options = ExecuteOptions::new(Po2::try_from(SEGMENT_PO2_MIN).unwrap(), [3; 32]);
        options.keccak_po2 = 14;
        change(&mut options);
        let counts_work = options.povw.is_some();
        let (mut segments, mut keccaks) = (Vec::new(), Vec::new());
        let keep = |emitted| {
            match emitted {
                Emitted::Segment(segment) => segments.push(segment),
                Emitted::Keccak(keccak) => keccaks.push(keccak),
            }
            Ok(())
        };
        let execution = execute(&guest, options, keep, &AtomicBool::new(false)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for segment in &segments {
            std::fs::write(segment_path(&folder, segment.index), &segment.bytes).unwrap();
        }
        let prover = ProverProcess::new(config(prover_program(), [], Backend::Fast));
        let profile = Profile::Usual;
        let is_quiet = false;
        let memory_limit = None;
        Self {
            folder,
            guest,
            execution,
            segments,
            keccaks,
            counts_work,
            profile,
            memory_limit,
            is_quiet,
            prover,
        }
    }

    fn work(&self, task: TaskId, inputs: Vec<PathBuf>) -> TaskWork {
        let output = self.folder.path().join(task.to_string().replace('/', "-"));
        let (po2_max, work_claims) = (Po2::try_from(16).unwrap(), self.counts_work);
        TaskWork {
            task: task.into(),
            arguments: TaskArguments { po2_max, work_claims }.encode(),
            inputs: inputs.into_iter().map(InputFile::input).collect(),
            output,
            profile: self.profile,
            memory_limit: self.memory_limit,
        }
    }

    async fn prove(&mut self, task: TaskId, inputs: Vec<PathBuf>) -> Result<Vec<u8>, ProveFailure> {
        let work = self.work(task, inputs);
        let mut told = Vec::new();
        let limits = TimeLimits::total(PATIENCE);
        let report = self.prover.run_watched(&work, limits, |permille| told.push(permille)).await?;
        println!("{task}: {report:?}, on the way {told:?}");
        assert!(told.is_sorted() && told.iter().all(|permille| (1..1000).contains(permille)));
        assert_eq!(told.is_empty(), self.is_quiet && !tells(task), "{task}");
        assert_eq!(report.reproved, 0);
        Ok(std::fs::read(&work.output).unwrap())
    }

    /// Proves the task of one segment and checks that the receipt counts.
    async fn prove_one(&mut self, task: TaskId) -> Vec<u8> {
        let input = segment_path(&self.folder, task.range().start());
        let blob = self.prove(task, vec![input]).await.unwrap();
        self.judge(task, &blob).unwrap();
        blob
    }

    /// Proves a task of receipts that were proved before, and checks that the receipt counts.
    async fn go_on(&mut self, task: TaskId, from: &[TaskId], expected: &Expected) -> Vec<u8> {
        let inputs = from.iter().map(|task| self.work(*task, vec![]).output).collect();
        let blob = self.prove(task, inputs).await.unwrap();
        verify_task(task, &blob, expected).unwrap();
        blob
    }

    /// What a receipt of segments must claim, and count.
    fn expected(&self, task: TaskId) -> Expected {
        let range = task.range();
        let segments = &self.segments[range.start() as usize..range.end() as usize];
        let claim = segments[0].claim.join(&segments[segments.len() - 1].claim);
        let works: Option<Vec<Work>> = segments.iter().map(|segment| segment.work).collect();
        let work = works
            .and_then(|works| works.into_iter().reduce(|left, right| left.join(&right).unwrap()));
        match work {
            Some(work) => Expected::Work { claim, work },
            None => Expected::Claim(claim),
        }
    }

    fn judge(&self, task: TaskId, blob: &[u8]) -> Result<(), RefusalReason> {
        verify_task(task, blob, &self.expected(task)).map_err(|refusal| refusal.reason)
    }

    /// Where a blob of another job goes.
    fn keep(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Whether a task tells of its progress whatever prover it has: when its first proof is over.
fn tells(task: TaskId) -> bool {
    matches!(task.kind(), TaskKind::Prove | TaskKind::Lift | TaskKind::Keccak)
}

fn segment_path(folder: &TempDir, index: u32) -> PathBuf {
    folder.path().join(format!("segment-{index}"))
}

fn range(start: u32, end: u32) -> IndexRange {
    IndexRange::new(start, end).unwrap()
}

/// A receipt that verifies as it did and that no program takes: more bits in the index of its program than the verifier reads,
/// which modulo P are another index.
fn unjoinable<Claim>(mut receipt: SuccinctReceipt<Claim>) -> SuccinctReceipt<Claim> {
    receipt.control_inclusion_proof.index += 0x7800_0100;
    receipt
}

#[tokio::test]
async fn lifted_and_joined_segments_become_a_receipt_that_anyone_verifies() {
    let mut bench = Bench::new(0);
    let join = TaskId::Join(range(0, 2));
    let left = bench.prove_one(TaskId::Lift(0)).await;
    // How memory is traded for time makes no difference to anyone.
    bench.profile = Profile::Frugal;
    let right = bench.prove_one(TaskId::Lift(1)).await;
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

    // What the verifier leaves open is not open.
    let moved = unjoinable(codec::decode_succinct_receipt(&root).unwrap());
    moved.verify_integrity().unwrap();
    let blob = codec::encode_succinct_receipt(&moved).unwrap();
    let reason = bench.judge(join, &blob).unwrap_err();
    assert!(reason.to_string().contains("shows its program at place"), "{reason}");

    let root = codec::decode_succinct_receipt(&root).unwrap();
    let delivered = receipt::assemble_succinct(root, bench.execution.clone()).unwrap();
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
    assert!(receipt::assemble_composite(swapped, vec![], bench.execution.clone()).is_err());
    let delivered = receipt::assemble_composite(receipts, vec![], bench.execution.clone()).unwrap();
    assert_eq!(receipt::receipt_info(&delivered).unwrap().segment_count, Some(2));
    let image_id = bench.guest.image_id();
    receipt::verify_outcome(&delivered, image_id, ExitCode::Halted(7)).unwrap();
    let error = receipt::verify_receipt(&delivered, image_id).unwrap_err();
    assert!(matches!(error, ReceiptError::WrongExit { .. }), "{error}");
}

/// A receipt of a session of one segment, by way of a composite one that is taken apart, and lifted.
async fn compressed(bench: &mut Bench, assumptions: Vec<Vec<u8>>) -> receipt::CompositeParts {
    let blob = bench.prove_one(TaskId::Prove(0)).await;
    let segment = codec::decode_segment_receipt(&blob).unwrap();
    let assumptions =
        assumptions.iter().map(|blob| codec::decode_assumption_receipt(blob).unwrap()).collect();
    let execution = bench.execution.clone();
    let composite = receipt::assemble_composite(vec![segment], assumptions, execution).unwrap();
    composite.verify(bench.guest.image_id()).unwrap();

    let parts = receipt::open_composite(&composite).unwrap();
    assert_eq!(parts.claim(), Some(bench.execution.claim));
    assert_eq!(parts.output, bench.execution.output);
    let [segment] = parts.segments.as_slice() else { panic!("one segment") };
    assert_eq!((segment.claim, segment.po2), (bench.segments[0].claim, bench.segments[0].po2));
    assert_eq!(segment.work, None);
    let input = codec::encode_segment_receipt(&segment.receipt).unwrap();
    let input = bench.keep("given-segment", &input);
    let lifted = bench.prove(TaskId::LiftReceipt(0), vec![input]).await.unwrap();
    bench.judge(TaskId::LiftReceipt(0), &lifted).unwrap();
    parts
}

#[tokio::test]
async fn a_receipt_resolves_what_another_guest_assumes() {
    let mut first = Bench::of(tiny::program(1, 0), |_| {});
    compressed(&mut first, vec![]).await;
    let root = std::fs::read(first.work(TaskId::LiftReceipt(0), vec![]).output).unwrap();
    let root = codec::decode_succinct_receipt(&root).unwrap();
    let first_receipt = receipt::assemble_succinct(root, first.execution).unwrap();
    first_receipt.verify(first.guest.image_id()).unwrap();
    let given = receipt::given_assumption(&first_receipt).unwrap();
    // One that verifies and that no program takes is written as it should have been.
    let mut other = first_receipt.clone();
    let InnerReceipt::Succinct(inner) = &mut other.inner else { panic!("succinct") };
    *inner = unjoinable(inner.clone());
    other.verify(first.guest.image_id()).unwrap();
    assert_eq!(receipt::given_assumption(&other).unwrap(), given);

    let program =
        Tiny::counting(1).verify(given.id.claim, risc0_zkvm::Digest::ZERO).end(End::Halted(0));
    let mut second = Bench::of(program, |options| options.assumptions = vec![given.id]);
    assert_eq!(second.execution.assumptions().len(), 1);
    let parts = compressed(&mut second, vec![given.bytes.clone()]).await;
    let [found] = parts.assumptions.as_slice() else { panic!("one") };
    assert_eq!(*found, given);

    let lifted = second.work(TaskId::LiftReceipt(0), vec![]).output;
    let resolving = second.keep("given", &given.bytes);
    let task = TaskId::Resolve(0);
    // The receipt of something else is refused, and nothing is resolved twice.
    let other = second.prove(task, vec![lifted.clone(), lifted.clone()]).await.unwrap_err();
    assert_eq!(other.class(), FailureClass::Input, "{other}");
    let resolved = second.prove(task, vec![lifted, resolving.clone()]).await.unwrap();
    let expected = Expected::Claim(second.execution.resolved_claim());
    verify_task(task, &resolved, &expected).unwrap();
    let unresolved = Expected::Claim(second.execution.claim);
    let reason = verify_task(task, &resolved, &unresolved).unwrap_err().reason;
    assert!(matches!(reason, RefusalReason::ClaimDiffers { .. }), "{reason}");
    let twice = vec![second.work(task, vec![]).output, resolving];
    let failure = second.prove(TaskId::Resolve(1), twice).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input, "{failure}");

    let root = codec::decode_succinct_receipt(&resolved).unwrap();
    let delivered = receipt::assemble_succinct(root, second.execution).unwrap();
    delivered.verify(second.guest.image_id()).unwrap();
}

/// Where a segment that is not what it says it is fails: in its task, and nothing else is the worse for it.
#[tokio::test]
async fn a_segment_that_contradicts_itself_fails_its_task_and_the_prover_goes_on() {
    type Change = fn(&mut Segment);
    let changes: [(&str, u32, Change); 6] = [
        ("a state before", 0, |segment| segment.circuit.claim.pre_state = Digest::from([1; 8])),
        ("an index", 0, |segment| segment.index = 1),
        ("a size", 0, |segment| segment.circuit.po2 = 17),
        ("another output", 1, |segment| {
            let output = segment.output.as_mut().unwrap();
            output.journal = b"what it never said".to_vec().into();
        }),
        ("no output", 1, |segment| segment.output = None),
        ("an output in mid-way", 0, |segment| {
            let journal = b"too early".to_vec().into();
            segment.output =
                Some(Output { journal, assumptions: MaybePruned::Pruned(Digest::ZERO) });
        }),
    ];
    let mut bench = Bench::new(0);
    for (what, index, change) in changes {
        let mut segment = codec::decode_segment(&bench.segments[index as usize].bytes).unwrap();
        change(&mut segment);
        let path = bench.keep("changed", &codec::encode_segment(&segment).unwrap());
        let failure = bench.prove(TaskId::Prove(index), vec![path]).await.unwrap_err();
        let class = if what == "an index" { FailureClass::Input } else { FailureClass::Task };
        assert!(matches!(failure, ProveFailure::Refused { .. }), "{what}: {failure}");
        assert_eq!(failure.class(), class, "{what}: {failure}");
        assert!(!failure.to_string().contains("proved 2 times"), "{what}: {failure}");
    }
    bench.prove_one(TaskId::Prove(0)).await;
}

#[tokio::test]
async fn a_keccak_request_larger_than_its_lease_is_refused() {
    let mut bench = Bench::of(keccak_program(), |options| options.keccak_po2 = 17);
    let input = bench.keep("request", &bench.keccaks[0].bytes.clone());
    let failure = bench.prove(TaskId::Keccak(0), vec![input]).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Task, "{failure}");
    assert!(failure.to_string().contains("po2 17, allowed is 14 to 16"), "{failure}");
}

fn keccak_program() -> Vec<u8> {
    let mut program = Tiny::counting(LONGER);
    let states = [[1_u64; 25], [2; 25]];
    let ids = states.map(|state| AssumptionId {
        claim: starling_zkvm::keccak_claim(&[state]),
        control_root: risc0_circuit_keccak::KECCAK_CONTROL_ROOT,
    });
    for (state, id) in states.into_iter().zip(&ids) {
        program = program.permute(state).prove_keccak(id.claim, id.control_root);
    }
    let root = AssumptionId::of_union(&ids);
    program.verify_keccak(root.claim, root.control_root).end(End::Halted(0))
}

/// Proves both keccak requests of `bench` and unites them.
async fn united(bench: &mut Bench) {
    let ids: Vec<_> = bench.keccaks.iter().map(|keccak| keccak.assumption).collect();
    for (index, id) in [0, 1].into_iter().zip(&ids) {
        let bytes = bench.keccaks[index as usize].bytes.clone();
        let input = bench.keep("request", &bytes);
        let task = TaskId::Keccak(index);
        let blob = bench.prove(task, vec![input]).await.unwrap();
        verify_task(task, &blob, &Expected::Assumption(*id)).unwrap();
        let other = Expected::Assumption(AssumptionId::of_receipt(id.claim));
        assert!(verify_task(task, &blob, &other).is_err(), "it comes from keccak's own programs");
        let moved = unjoinable(codec::decode_assumption_receipt(&blob).unwrap());
        let blob = codec::encode_assumption_receipt(&moved).unwrap();
        assert!(verify_task(task, &blob, &Expected::Assumption(*id)).is_err());
    }
    let (task, leaves) = (TaskId::Union(range(0, 2)), [TaskId::Keccak(0), TaskId::Keccak(1)]);
    bench.go_on(task, &leaves, &Expected::Assumption(AssumptionId::of_union(&ids))).await;
}

const JOB: PovwJob = PovwJob { log_id: WorkLogId([7; 20]), job: 42 };

#[tokio::test]
async fn keccak_proofs_resolve_what_their_guest_took_from_its_host_and_its_work_is_counted() {
    let mut bench = Bench::of(keccak_program(), |options| {
        options.povw = Some(JOB);
        options.segment_po2 = Po2::try_from(16).unwrap();
    });
    // What is counted depends on the size, so it is not the smallest here.
    assert_eq!((bench.segments.len(), bench.segments[0].po2.get()), (1, 15));
    united(&mut bench).await;

    bench.prove_one(TaskId::Lift(0)).await;
    let (claim, work) = (bench.execution.resolved_claim(), bench.segments[0].work.unwrap());
    let from = [TaskId::Lift(0), TaskId::Union(range(0, 2))];
    let counted = bench.go_on(TaskId::Resolve(0), &from, &Expected::Work { claim, work }).await;
    let moved = unjoinable(codec::decode_work_receipt(&counted).unwrap());
    let blob = codec::encode_work_receipt(&moved).unwrap();
    assert!(verify_task(TaskId::Resolve(0), &blob, &Expected::Work { claim, work }).is_err());
    let from = [TaskId::Resolve(0)];
    let root = bench.go_on(TaskId::Unwrap, &from, &Expected::Claim(claim)).await;

    let counted = codec::decode_work_receipt(&counted).unwrap();
    let file = receipt::assemble_work(counted, &bench.execution, &work).unwrap();
    let read: risc0_zkvm::GenericReceipt<risc0_zkvm::WorkClaim<risc0_zkvm::ReceiptClaim>> =
        bincode::deserialize(&file).unwrap();
    read.verify_integrity().unwrap();
    let root = codec::decode_succinct_receipt(&root).unwrap();
    let delivered = receipt::assemble_succinct(root, bench.execution).unwrap();
    delivered.verify(bench.guest.image_id()).unwrap();
}

#[tokio::test]
async fn the_work_of_neighbours_is_counted_together() {
    let mut bench = Bench::of(tiny::program(TURNS, 0), |options| options.povw = Some(JOB));
    let lifts = [TaskId::Lift(0), TaskId::Lift(1)];
    for lift in lifts {
        bench.prove_one(lift).await;
    }
    let join = TaskId::Join(range(0, 2));
    let expected = bench.expected(join);
    let joined = bench.go_on(join, &lifts, &expected).await;
    let Expected::Work { claim, work } = expected else { panic!("work is counted") };
    assert_eq!((work.first, work.last, work.value), (0, 1, bench.execution.total_cycles));
    let other = Expected::Work { claim, work: Work { job: 43, ..work } };
    let reason = verify_task(join, &joined, &other).unwrap_err().reason;
    assert!(matches!(reason, RefusalReason::ClaimDiffers { .. }), "{reason}");
    let root = bench.go_on(TaskId::Unwrap, &[join], &Expected::Claim(claim)).await;
    let root = codec::decode_succinct_receipt(&root).unwrap();
    let delivered = receipt::assemble_succinct(root, bench.execution).unwrap();
    delivered.verify(bench.guest.image_id()).unwrap();
}

#[cfg(feature = "stock")]
#[tokio::test]
#[ignore = "RISC Zero's own recursion takes minutes for each of its five proofs here"]
async fn the_stock_backend_proves_the_same_tasks() {
    let mut bench = Bench::of(keccak_program(), |options| {
        options.povw = Some(JOB);
        options.segment_po2 = Po2::try_from(16).unwrap();
    });
    bench.prover = ProverProcess::new(config(prover_program(), [], Backend::Stock));
    bench.is_quiet = true;
    united(&mut bench).await;
    bench.prove_one(TaskId::Lift(0)).await;
    let (claim, work) = (bench.execution.resolved_claim(), bench.segments[0].work.unwrap());
    let from = [TaskId::Lift(0), TaskId::Union(range(0, 2))];
    bench.go_on(TaskId::Resolve(0), &from, &Expected::Work { claim, work }).await;
    bench.go_on(TaskId::Unwrap, &[TaskId::Resolve(0)], &Expected::Claim(claim)).await;
}

#[tokio::test]
async fn a_task_that_contradicts_its_input_is_refused_without_proving() {
    let mut bench = Bench::new(0);
    let segment = segment_path(&bench.folder, 0);
    let failure = bench.prove(TaskId::Lift(1), vec![segment.clone()]).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input);
    assert_eq!(failure.to_string(), "the blob holds segment 0, not 1");

    let mut small = bench.work(TaskId::Lift(0), vec![segment.clone()]);
    let po2_max = Po2::try_from(Po2::MIN).unwrap();
    small.arguments = TaskArguments { po2_max, work_claims: false }.encode();
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
    bench.memory_limit = Some(MemoryBytes::from_mib(600));
    let input = segment_path(&bench.folder, 0);
    let failure = bench.prove(TaskId::Lift(0), vec![input]).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::OutOfMemory { .. }), "{failure}");
}

/// One child, warm, does small tasks after large ones and the other way round: what it keeps of one must not count against
/// the next beyond what the limit leaves.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn each_task_gets_by_with_the_memory_that_it_is_counted_for_and_the_margin() {
    let mut bench = Bench::of(keccak_program(), |_| {});
    let keccak = bench.folder.path().join("keccak-input");
    std::fs::write(&keccak, &bench.keccaks[0].bytes).unwrap();
    for profile in [Profile::Usual, Profile::Frugal, Profile::Usual] {
        bench.profile = profile;
        let model = Costs::FAST.in_profile(profile);
        let po2 = |task: TaskId| (task.kind() != TaskKind::Join).then_some(14);
        for task in [TaskId::Keccak(0), TaskId::Lift(0), TaskId::Lift(1), TaskId::Join(range(0, 2))]
        {
            let po2 = po2(task).map(|po2| Po2::try_from(po2).unwrap());
            bench.memory_limit = Some(Costs::limit(model.memory(task.kind(), po2)));
            let inputs = match task {
                TaskId::Keccak(_) => vec![keccak.clone()],
                TaskId::Lift(index) => vec![segment_path(&bench.folder, index)],
                _ => [0, 1].map(|index| bench.work(TaskId::Lift(index), vec![]).output).into(),
            };
            bench
                .prove(task, inputs)
                .await
                .unwrap_or_else(|error| panic!("{task} {profile}: {error}"));
        }
    }
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
    writeln!(stdin, r#"{{"threads":null,"params":"fast","sandbox":"try"}}"#).unwrap();
    let segment = std::fs::read(&work.inputs[0].path).unwrap();
    writeln!(
        stdin,
        r#"{{"id":1,"task":{{"kind":2,"range":{{"start":0,"end":1}}}},"arguments":"0e00","inputs":[{{"role":"input","size_bytes":{}}}],"profile":"usual"}}"#,
        segment.len()
    )
    .unwrap();
    stdin.write_all(&segment).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "the child proves");
    drop(stdin);
    let closed = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(closed.elapsed() < Duration::from_secs(5), "{:?}", closed.elapsed());
}
