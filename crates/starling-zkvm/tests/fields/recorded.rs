//! The receipts that are changed. They were proved once, by the prover that nodes have, and are kept beside the tests: proving
//! them takes longer than all that is done with them.
//!
//! Of two guests: one that counts, in two segments whose work is counted, and one that assumes the receipt of the first and
//! what two keccak proofs claim, which are the same.

use std::{
    path::{Path, PathBuf},
    sync::{LazyLock, atomic::AtomicBool, mpsc},
};

use risc0_circuit_keccak::KECCAK_CONTROL_ROOT;
use starling_child::{Input, Phases, Prover as _, Role, Setup, Work as ProverWork};
use starling_types::{IndexRange, Po2, Profile, TaskId, WorkLogId};
use starling_zkvm::{
    AssumptionId, Digest, Emitted, ExecuteOptions, Execution, Expected, Guest, KeccakOut, PovwJob,
    SEGMENT_PO2_MIN, SegmentClaim, SegmentOut, TaskArguments, Work, codec, execute, keccak_claim,
    prover::RiscZero,
    receipt::{GivenAssumption, assemble_succinct, given_assumption},
    verify_task,
};

use crate::tiny::{self, End, Tiny};

const JOB: PovwJob = PovwJob { log_id: WorkLogId([7; 20]), job: 42 };

/// Turns that fill one segment and begin another.
const TURNS: u32 = 4000;

/// A guest that has run.
pub(crate) struct Run {
    pub(crate) image_id: Digest,
    pub(crate) execution: Execution,
    pub(crate) segments: Vec<SegmentOut>,
    keccaks: Vec<KeccakOut>,
}

impl Run {
    fn of(program: Vec<u8>, segment_po2: u32, change: impl FnOnce(&mut ExecuteOptions)) -> Self {
        let guest = Guest::parse(program).unwrap();
        let mut options = ExecuteOptions::new(Po2::try_from(segment_po2).unwrap(), [3; 32]);
        options.keccak_po2 = 14;
        change(&mut options);
        let (mut segments, mut keccaks) = (Vec::new(), Vec::new());
        let keep = |emitted| {
            match emitted {
                Emitted::Segment(segment) => segments.push(segment),
                Emitted::Keccak(keccak) => keccaks.push(keccak),
            }
            Ok(())
        };
        let execution = execute(&guest, options, keep, &AtomicBool::new(false)).unwrap();
        Self { image_id: guest.image_id(), execution, segments, keccaks }
    }

    pub(crate) fn claim(&self, segment: usize) -> SegmentClaim {
        self.segments[segment].claim
    }

    pub(crate) fn work(&self, segment: usize) -> Work {
        self.segments[segment].work.unwrap()
    }
}

/// The guest whose work is counted.
pub(crate) static COUNTED: LazyLock<Run> = LazyLock::new(|| {
    let run = Run::of(tiny::program(TURNS, 0), SEGMENT_PO2_MIN, |options| options.povw = Some(JOB));
    assert_eq!(run.segments.len(), 2);
    run
});

/// What its receipt proves.
pub(crate) fn counted_id() -> AssumptionId {
    AssumptionId::of_receipt(COUNTED.execution.claim.digest())
}

/// What a keccak proof of the other guest proves.
pub(crate) fn keccak_id() -> AssumptionId {
    AssumptionId { claim: keccak_claim(&[STATE]), control_root: KECCAK_CONTROL_ROOT }
}

/// What both of them prove together.
pub(crate) fn union_id() -> AssumptionId {
    AssumptionId::of_union(&[keccak_id(), keccak_id()])
}

const STATE: [u64; 25] = [1; 25];

/// The guest that assumes: what it assumes last is resolved first.
pub(crate) static ASSUMING: LazyLock<Run> = LazyLock::new(|| {
    let (counted, keccak, union) = (counted_id(), keccak_id(), union_id());
    let mut program = Tiny::counting(1);
    for _ in 0..2 {
        program = program.permute(STATE).prove_keccak(keccak.claim, keccak.control_root);
    }
    let program = program
        .verify_keccak(union.claim, union.control_root)
        .verify(counted.claim, Digest::ZERO)
        .end(End::Halted(0));
    let run = Run::of(program, 16, |options| options.assumptions = vec![counted]);
    assert_eq!((run.segments.len(), run.keccaks.len()), (1, 2));
    assert_eq!(run.execution.assumptions().len(), 2);
    run
});

/// What the assuming guest's claim is once so many of its assumptions are resolved.
pub(crate) fn resolved(count: usize) -> SegmentClaim {
    let Execution { claim, output, .. } = &ASSUMING.execution;
    claim.with_output(output.as_ref().unwrap().digest_after(count))
}

/// The receipts that are kept, by their files' names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Segment0,
    Segment1,
    Lift0,
    Lift1,
    Join,
    WorkLift0,
    Unwrap0,
    Keccak,
    Union,
    AssumingSegment,
    AssumingLift,
    Resolve0,
}

impl Kept {
    const ALL: [Self; 12] = [
        Self::Segment0,
        Self::Segment1,
        Self::Lift0,
        Self::Lift1,
        Self::Join,
        Self::WorkLift0,
        Self::Unwrap0,
        Self::Keccak,
        Self::Union,
        Self::AssumingSegment,
        Self::AssumingLift,
        Self::Resolve0,
    ];

    fn path(self) -> PathBuf {
        let name = match self {
            Self::Segment0 => "segment-0",
            Self::Segment1 => "segment-1",
            Self::Lift0 => "lift-0",
            Self::Lift1 => "lift-1",
            Self::Join => "join",
            Self::WorkLift0 => "work-lift-0",
            Self::Unwrap0 => "unwrap-0",
            Self::Keccak => "keccak",
            Self::Union => "union",
            Self::AssumingSegment => "assuming-segment",
            Self::AssumingLift => "assuming-lift",
            Self::Resolve0 => "resolve-0",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/receipts").join(name)
    }

    /// The blob.
    pub(crate) fn read(self) -> Vec<u8> {
        let path = self.path();
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The task that makes it.
    pub(crate) fn task(self) -> TaskId {
        match self {
            Self::Segment0 | Self::AssumingSegment => TaskId::Prove(0),
            Self::Segment1 => TaskId::Prove(1),
            Self::Lift0 | Self::AssumingLift => TaskId::LiftReceipt(0),
            Self::Lift1 => TaskId::LiftReceipt(1),
            Self::WorkLift0 => TaskId::LiftReceipt(0),
            Self::Join => TaskId::Join(pair()),
            Self::Unwrap0 => TaskId::Unwrap,
            Self::Keccak => TaskId::Keccak(0),
            Self::Union => TaskId::Union(pair()),
            Self::Resolve0 => TaskId::Resolve(0),
        }
    }

    /// What it must be about.
    pub(crate) fn expected(self) -> Expected {
        let counted =
            |segment| Expected::Work { claim: COUNTED.claim(segment), work: COUNTED.work(segment) };
        match self {
            Self::Segment0 | Self::WorkLift0 => counted(0),
            Self::Segment1 => counted(1),
            Self::Lift0 | Self::Unwrap0 => Expected::Claim(COUNTED.claim(0)),
            Self::Lift1 => Expected::Claim(COUNTED.claim(1)),
            Self::Join => Expected::Claim(COUNTED.execution.claim),
            Self::Keccak => Expected::Assumption(keccak_id()),
            Self::Union => Expected::Assumption(union_id()),
            Self::AssumingSegment | Self::AssumingLift => Expected::Claim(resolved(0)),
            Self::Resolve0 => Expected::Claim(resolved(1)),
        }
    }

    /// What it is made of.
    fn inputs(self) -> Vec<Vec<u8>> {
        let of = |kept: &[Self]| kept.iter().map(|kept| kept.read()).collect();
        match self {
            Self::Segment0 => vec![COUNTED.segments[0].bytes.clone()],
            Self::Segment1 => vec![COUNTED.segments[1].bytes.clone()],
            Self::AssumingSegment => vec![ASSUMING.segments[0].bytes.clone()],
            Self::Keccak => vec![ASSUMING.keccaks[0].bytes.clone()],
            Self::Lift0 | Self::WorkLift0 => of(&[Self::Segment0]),
            Self::Lift1 => of(&[Self::Segment1]),
            Self::Join => of(&[Self::Lift0, Self::Lift1]),
            Self::Unwrap0 => of(&[Self::WorkLift0]),
            Self::Union => of(&[Self::Keccak, Self::Keccak]),
            Self::AssumingLift => of(&[Self::AssumingSegment]),
            Self::Resolve0 => vec![Self::AssumingLift.read(), given().bytes],
        }
    }

    fn counts_work(self) -> bool {
        matches!(self, Self::WorkLift0 | Self::Unwrap0)
    }
}

/// The range of both segments, and of both keccak proofs.
pub(crate) fn pair() -> IndexRange {
    IndexRange::new(0, 2).unwrap()
}

/// The receipt of the guest whose work is counted, as it is delivered.
pub(crate) fn delivered() -> starling_zkvm::Receipt {
    let root = codec::decode_succinct_receipt(&Kept::Join.read()).unwrap();
    assemble_succinct(root, COUNTED.execution.clone()).unwrap()
}

/// The same as what resolves an assumption.
pub(crate) fn given() -> GivenAssumption {
    given_assumption(&delivered()).unwrap()
}

/// A task for the prover, and whom to tell.
struct Asked {
    task: TaskId,
    counts_work: bool,
    inputs: Vec<Vec<u8>>,
    answer: mpsc::Sender<Result<Vec<u8>, String>>,
}

/// The prover of a node, on a thread of its own: one for all tests, since each holds memory and takes all cores.
static PROVER: LazyLock<mpsc::Sender<Asked>> = LazyLock::new(|| {
    let (ask, asked) = mpsc::channel::<Asked>();
    std::thread::spawn(move || {
        let mut prover = RiscZero::ready(&Setup::default()).unwrap();
        for Asked { task, counts_work, inputs, answer } in asked {
            let po2_max = Po2::try_from(16).unwrap();
            let arguments = TaskArguments { po2_max, work_claims: counts_work }.encode();
            let inputs: Vec<_> = inputs
                .into_iter()
                .map(|bytes| Input { role: Role::Input, blob: Box::new(bytes) })
                .collect();
            let work = ProverWork {
                task: task.into(),
                arguments: &arguments,
                inputs: &inputs,
                profile: Profile::Usual,
                memory_limit: None,
            };
            let proved = prover.prove(&work, &Phases::default());
            let _ =
                answer.send(proved.map(|proved| proved.blob).map_err(|error| error.to_string()));
        }
    });
    ask
});

/// Proves `task` of `inputs`, as a node does.
pub(crate) fn prove(
    task: TaskId,
    counts_work: bool,
    inputs: Vec<Vec<u8>>,
) -> Result<Vec<u8>, String> {
    let (answer, answered) = mpsc::channel();
    PROVER.send(Asked { task, counts_work, inputs, answer }).unwrap();
    answered.recv().unwrap()
}

/// Proves `task` of `inputs`, and has the result judged.
pub(crate) fn prove_as(
    task: TaskId,
    counts_work: bool,
    inputs: Vec<Vec<u8>>,
    expected: &Expected,
) -> Result<Vec<u8>, String> {
    let blob = prove(task, counts_work, inputs)?;
    verify_task(task, &blob, expected).map_err(|refusal| refusal.to_string())?;
    Ok(blob)
}

#[test]
#[ignore = "writes what the tests read: by hand, with STARLING_RECORD=1, when receipts have another form"]
fn record_receipts() {
    assert_eq!(
        std::env::var("STARLING_RECORD").as_deref(),
        Ok("1"),
        "it is recorded on purpose alone"
    );
    for kept in Kept::ALL {
        let blob = prove_as(kept.task(), kept.counts_work(), kept.inputs(), &kept.expected());
        let path = kept.path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, blob.unwrap()).unwrap();
        println!("{}", path.display());
    }
}
