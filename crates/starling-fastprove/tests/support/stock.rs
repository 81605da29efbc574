//! The recorded segments, proved anew by the stock prover.

#[path = "../../../starling-zkvm/tests/tiny/mod.rs"]
mod tiny;

use risc0_binfmt::{PovwJobId, PovwLogId};
use risc0_zkvm::sha::Digestible as _;
use risc0_zkvm::{
    Assumption, Assumptions, Digest, ExecutorEnv, ExecutorImpl, MaybePruned, Output, ProverOpts,
    Segment, SegmentReceipt, SimpleSegmentRef, VerifierContext, get_prover_server,
};

use super::{Segments, path};

/// The smallest segments that can be lifted.
const SEGMENT_PO2: u32 = 14;

/// Turns that fill one segment and begin another, and turns that do not.
const TWO_SEGMENTS: u32 = 6500;
const ONE_SEGMENT: u32 = 2500;

/// The session's work is counted under this name.
const JOB: PovwJobId = PovwJobId { log: PovwLogId::from_limbs([1, 2, 3]), job: 42 };

/// Proves the segments and writes them where tests look for them.
pub fn record() {
    let Segments { session, conditional } = prove();
    let words = risc0_zkvm::serde::to_vec(&(session, conditional)).unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::create_dir_all(path().parent().unwrap()).unwrap();
    std::fs::write(path(), bytes).unwrap();
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
