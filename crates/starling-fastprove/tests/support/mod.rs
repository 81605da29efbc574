//! Segments to lift, proved by the stock prover once for each target directory.

#![allow(clippy::unwrap_used, dead_code)]

#[path = "../../../starling-zkvm/tests/tiny/mod.rs"]
mod tiny;

use std::path::Path;
use std::sync::OnceLock;

use risc0_binfmt::{PovwJobId, PovwLogId};
use risc0_zkvm::sha::Digestible as _;
use risc0_zkvm::{
    Assumption, Assumptions, Digest, ExecutorEnv, ExecutorImpl, MaybePruned, Output, ProverOpts,
    ReceiptClaim, Segment, SegmentReceipt, SimpleSegmentRef, VerifierContext, get_prover_server,
};

/// The smallest segments that can be lifted.
const SEGMENT_PO2: u32 = 14;

/// Turns that fill one segment and begin another, and turns that do not.
const TWO_SEGMENTS: u32 = 6500;
const ONE_SEGMENT: u32 = 2500;

/// The session's work is counted under this name.
const JOB: PovwJobId = PovwJobId { log: PovwLogId::from_limbs([1, 2, 3]), job: 42 };

/// Real segment receipts, with counted work.
pub struct Segments {
    /// A session of two segments.
    pub session: Vec<SegmentReceipt>,
    /// A session of one segment, which assumes `session`'s claim.
    pub conditional: SegmentReceipt,
}

impl Segments {
    /// The claim of the whole first session.
    pub fn session_claim(&self) -> ReceiptClaim {
        let [first, last] = self.session.as_slice() else { panic!("two segments") };
        first.claim.join(&last.claim)
    }
}

/// The segments, from the target directory if they are there.
pub fn segments() -> &'static Segments {
    static SEGMENTS: OnceLock<Segments> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fastprove-segments-1.bin");
        read(&path).unwrap_or_else(|| {
            let segments = prove();
            let words =
                risc0_zkvm::serde::to_vec(&(&segments.session, &segments.conditional)).unwrap();
            std::fs::write(path, bytemuck::cast_slice(&words)).unwrap();
            segments
        })
    })
}

fn read(path: &Path) -> Option<Segments> {
    let bytes = std::fs::read(path).ok()?;
    let words: Vec<u32> =
        bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
    let (session, conditional) = risc0_zkvm::serde::from_slice(&words).ok()?;
    let segments = Segments { session, conditional };
    let context = VerifierContext::default();
    let verify = |segment: &SegmentReceipt| segment.verify_integrity_with_context(&context).is_ok();
    let verified = segments.session.iter().all(verify) && verify(&segments.conditional);
    verified.then_some(segments)
}

fn prove() -> Segments {
    let session = prove_session(TWO_SEGMENTS, vec![]);
    let claim = session[0].claim.join(&session[1].claim).digest();
    let assumption = Assumption { claim, control_root: Digest::ZERO };
    let conditional = prove_session(ONE_SEGMENT, vec![assumption.into()]).remove(0);
    Segments { session, conditional }
}

fn prove_session(turns: u32, assumptions: Vec<MaybePruned<Assumption>>) -> Vec<SegmentReceipt> {
    let output = output(assumptions);
    let program = tiny::program_with_output(turns, output.digest());
    let mut environment = ExecutorEnv::builder();
    let environment = environment.segment_limit_po2(SEGMENT_PO2).povw(JOB).build().unwrap();
    let keep = |segment| Ok(Box::new(SimpleSegmentRef::new(segment)) as Box<_>);
    let session = ExecutorImpl::from_elf(environment, &program).unwrap().run_with_callback(keep);
    let segments = session.unwrap().segments;

    let prover = get_prover_server(&ProverOpts::default()).unwrap();
    let context = VerifierContext::default();
    let mut receipts = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let mut segment = segment.resolve().unwrap();
        if at + 1 == segments.len() {
            segment = with_output(&segment, &output);
        }
        receipts.push(prover.prove_segment(&context, &segment).unwrap());
    }
    let last = receipts.last_mut().unwrap();
    assert_eq!(last.claim.output.digest(), output.digest());
    last.claim.output = MaybePruned::Value(Some(output));
    receipts
}

fn output(assumptions: Vec<MaybePruned<Assumption>>) -> Output {
    Output { journal: Vec::new().into(), assumptions: Assumptions(assumptions).into() }
}

/// The guest assumes without asking the executor, which therefore expects an output without assumptions: the last
/// field of the segment, and private.
fn with_output(segment: &Segment, output: &Output) -> Segment {
    let mut words = risc0_zkvm::serde::to_vec(segment).unwrap();
    let expected = risc0_zkvm::serde::to_vec(&Some(self::output(vec![]))).unwrap();
    assert!(words.ends_with(&expected));
    words.truncate(words.len() - expected.len());
    words.extend(risc0_zkvm::serde::to_vec(&Some(output)).unwrap());
    risc0_zkvm::serde::from_slice(&words).unwrap()
}
