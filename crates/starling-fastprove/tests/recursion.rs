//! Real proofs of every recursion program, judged by the stock verifier.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use risc0_circuit_recursion::control_id::{ALLOWED_CONTROL_ROOT, BN254_IDENTITY_CONTROL_ID};
use risc0_zkp::core::hash::poseidon_254::Poseidon254HashSuite;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use risc0_zkvm::sha::Digestible as _;
use risc0_zkvm::{
    Digest, ReceiptClaim, SuccinctReceipt, SuccinctReceiptVerifierParameters, VerifierContext,
    WorkClaim,
};
use starling_fastprove::recursion::{Code, HashFn, Options, Profile, ProveError, Prover, Reason};
use support::{Segments, segments};

/// The control id of the test program in a trace of 2^16 rows: recorded from the stock code, which tests compare with.
const TEST_PROGRAM_16: Digest = Digest::new([
    0x3361_214a,
    0x2662_ac34,
    0x0666_d92e,
    0x76f5_52bc,
    0x5ef7_4c7a,
    0x61bf_55a7,
    0x520e_1a5c,
    0x26ba_e007,
]);

/// The seed of every proof here that does not say another: the same program and input give the same seal.
const SEED: [u8; 32] = [5; 32];

/// The SHA-256 of seals by [`SEED`], recorded of this prover: of both segments of the session, lifted, and their join. That
/// the noise or the order in which things are drawn has changed shows here alone, for such seals verify.
const SEALS: [&str; 3] = [
    "e6a27fb4fcbc73990c5ef5d46ca961ba302c804f90627c2a3b99a41c1aaaaf0b",
    "da1d4c59145344709cf6cfbeb5b15ceade4322c5c9eb0bd27b3e301b384600cc",
    "affc65bd9cf37350e8549c21402040dadc98172f474ae1916b64387ab0822644",
];

/// One proof at a time: each takes most of a gigabyte. Receipts are asked for before the lock is taken, since making
/// them takes it too.
fn prover() -> MutexGuard<'static, Prover> {
    static PROVER: LazyLock<Mutex<Prover>> = LazyLock::new(|| {
        Mutex::new(Prover::new(Options::default(), starling_programs::words, || SEED))
    });
    PROVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both segments of the session, lifted.
fn lifted() -> &'static [SuccinctReceipt<ReceiptClaim>; 2] {
    static LIFTED: LazyLock<[SuccinctReceipt<ReceiptClaim>; 2]> = LazyLock::new(|| {
        let Segments { session, .. } = segments();
        [0, 1].map(|at| prover().lift(&session[at]).unwrap())
    });
    &LIFTED
}

/// The session's receipt.
fn joined() -> &'static SuccinctReceipt<ReceiptClaim> {
    static JOINED: LazyLock<SuccinctReceipt<ReceiptClaim>> = LazyLock::new(|| {
        let [left, right] = lifted();
        prover().join(left, right).unwrap()
    });
    &JOINED
}

fn lifted_povw() -> &'static [SuccinctReceipt<WorkClaim<ReceiptClaim>>; 2] {
    static LIFTED: LazyLock<[SuccinctReceipt<WorkClaim<ReceiptClaim>>; 2]> = LazyLock::new(|| {
        let Segments { session, .. } = segments();
        [0, 1].map(|at| prover().lift_povw(&session[at]).unwrap())
    });
    &LIFTED
}

fn work(receipt: &SuccinctReceipt<WorkClaim<ReceiptClaim>>) -> u64 {
    receipt.claim.as_value().unwrap().work.as_value().unwrap().value
}

#[test]
fn lift_and_join_claim_the_session() {
    let joined = joined();
    joined.verify_integrity().unwrap();
    assert_eq!(joined.claim.digest(), segments().session_claim().digest());
    assert!(joined.claim.as_value().unwrap().output.as_value().is_ok(), "the output is not pruned");
}

/// With any vectors: STARLING_ISA narrows them.
#[test]
fn lift_and_join_have_the_seals_that_were_recorded() {
    let [left, right] = lifted();
    let digests = [left, right, joined()].map(|receipt| {
        let bytes: Vec<u8> = receipt.seal.iter().flat_map(|word| word.to_le_bytes()).collect();
        Sha256::hash_bytes(&bytes).to_string()
    });
    assert_eq!(digests, SEALS);
}

#[cfg(feature = "stock")]
#[test]
#[ignore = "writes the segments that the other tests prove from: `bench/record.sh` runs it"]
fn record_segments() {
    assert!(std::env::var_os("STARLING_RECORD").is_some(), "bench/record.sh runs what records");
    support::stock::record();
}

#[cfg(feature = "stock")]
#[test]
fn stock_and_fast_receipts_are_interchangeable() {
    let stock = risc0_zkvm::get_prover_server(&risc0_zkvm::ProverOpts::succinct()).unwrap();
    let [fast_left, fast_right] = lifted();
    let stock_left = stock.lift(&segments().session[0]).unwrap();
    let parts = |receipt: &SuccinctReceipt<ReceiptClaim>| {
        let SuccinctReceipt {
            control_id,
            hashfn,
            verifier_parameters,
            control_inclusion_proof,
            claim,
            ..
        } = receipt.clone();
        let claim = format!("{claim:?}");
        (
            control_id,
            hashfn,
            verifier_parameters,
            control_inclusion_proof,
            claim,
            receipt.seal.len(),
        )
    };
    assert_eq!(parts(fast_left), parts(&stock_left));

    let stock_joined = stock.join(fast_left, fast_right).unwrap();
    stock_joined.verify_integrity().unwrap();
    assert_eq!(parts(&stock_joined), parts(joined()));
    let mixed = prover().join(&stock_left, fast_right).unwrap();
    assert_eq!(parts(&mixed), parts(&stock_joined));
}

#[test]
fn resolve_removes_the_assumption() {
    let (joined, segments) = (joined(), segments());
    let conditional = prover().lift(&segments.conditional).unwrap();
    let resolved = prover().resolve(&conditional, joined).unwrap();
    let output = resolved.claim.as_value().unwrap().output.as_value().unwrap().clone().unwrap();
    assert!(output.assumptions.is_empty());

    let part = &lifted()[0];
    let error = prover().resolve(&conditional, part).unwrap_err();
    assert!(matches!(error, ProveError::Unfit(_)), "{error}");
    let error = prover().resolve(&resolved, joined).unwrap_err();
    assert!(error.to_string().contains("nothing is assumed"), "{error}");
}

#[test]
fn union_claims_both_in_either_order() {
    let [one, other] = lifted().clone().map(SuccinctReceipt::into_unknown);
    let union = prover().union(&one, &other).unwrap();
    let swapped = prover().union(&other, &one).unwrap();
    assert_eq!(union.claim.digest(), swapped.claim.digest());
    let claim = union.claim.as_value().unwrap();
    assert!(claim.left <= claim.right);
}

#[test]
fn identity_claims_the_same_with_any_hash_function() {
    let receipt = &lifted()[0];
    for hashfn in [HashFn::Poseidon2, HashFn::Sha256] {
        let identity = prover().identity(receipt, hashfn).unwrap();
        assert_eq!(identity.hashfn, hashfn.name());
        assert_eq!(identity.claim.digest(), receipt.claim.digest());
    }
}

#[test]
#[ignore = "a quarter of an hour: nothing here makes Poseidon over BN254 fast"]
fn identity_for_groth16_is_what_the_stock_verifier_expects_of_it() {
    let receipt = &lifted()[0];
    let identity = prover().identity(receipt, HashFn::Poseidon254).unwrap();
    assert_eq!(identity.control_id, BN254_IDENTITY_CONTROL_ID);
    assert_eq!(identity.claim.digest(), receipt.claim.digest());

    let suite = Poseidon254HashSuite::new_suite();
    // The one program that is allowed: the first of 256 leaves, the others are zero.
    let beside = |level: &Digest| *suite.hashfn.hash_pair(level, level);
    let beside = std::iter::successors(Some(Digest::ZERO), |level| Some(beside(level))).take(8);
    let control_root = beside
        .fold(BN254_IDENTITY_CONTROL_ID, |path, beside| *suite.hashfn.hash_pair(&path, &beside));
    let parameters = SuccinctReceiptVerifierParameters {
        control_root,
        inner_control_root: Some(ALLOWED_CONTROL_ROOT),
        ..SuccinctReceiptVerifierParameters::default()
    };
    let context = VerifierContext::default().with_succinct_verifier_parameters(parameters);
    identity.verify_integrity_with_context(&context).unwrap();
}

#[test]
fn work_is_counted_and_the_count_is_dropped() {
    let [left, right] = lifted_povw();
    let joined = prover().join_povw(left, right).unwrap();
    assert_eq!(work(&joined), work(left) + work(right));

    let claim = segments().session_claim().digest();
    let unwrapped = prover().unwrap_povw(&joined).unwrap();
    assert_eq!(unwrapped.claim.digest(), claim);
}

#[test]
fn assumptions_of_counted_work_are_resolved() {
    let (joined, segments) = (joined(), segments());
    let conditional = prover().lift_povw(&segments.conditional).unwrap();
    let resolved = prover().resolve_povw(&conditional, joined).unwrap();
    assert_eq!(work(&resolved), work(&conditional));
    let claim = &resolved.claim.as_value().unwrap().claim;
    let output = claim.as_value().unwrap().output.as_value().unwrap().clone().unwrap();
    assert!(output.assumptions.is_empty());
}

#[test]
fn any_program_can_be_proved() {
    // In a shorter trace than RISC Zero has it, so that its control id is another.
    let words = starling_programs::words("test_recursion_circuit.zkr").unwrap();
    let code = Code::from_words(&words, 16);
    let control_id = TEST_PROGRAM_16;
    #[cfg(feature = "stock")]
    {
        let code = risc0_circuit_recursion::prove::Program::from_encoded(&words, 16);
        let stock = code.compute_control_id(Poseidon2HashSuite::new_suite()).unwrap();
        assert_eq!(control_id, stock);
    }
    let input: Vec<u32> = (1..=16).collect();
    let receipt = prover().prove_zkr(code.clone(), control_id, &[control_id], &input).unwrap();

    let folded = Poseidon2HashSuite::new_suite().hashfn.hash_pair(
        &Digest::try_from(&input[..8]).unwrap(),
        &Digest::try_from(&input[8..]).unwrap(),
    );
    let claim = risc0_binfmt::tagged_struct::<risc0_zkp::core::hash::sha::Impl>(
        "risc0.TestRecursionCircuit",
        &[*folded],
        &[],
    );
    assert_eq!(receipt.claim.digest(), claim);

    let other = Digest::from([1; 8]);
    let error = prover().prove_zkr(code.clone(), other, &[other], &input).unwrap_err();
    assert!(matches!(error, ProveError::Program(_)), "{error}");
}

#[test]
fn the_same_seeds_give_the_same_seals_and_each_proof_has_one_of_its_own() {
    let words = starling_programs::words("test_recursion_circuit.zkr").unwrap();
    let code = Code::from_words(&words, 16);
    let (id, input) = (TEST_PROGRAM_16, (1..=16).collect::<Vec<u32>>());
    // Two proofs, whose seeds are 1 and 2; the prover has had them verified.
    let seals = |profile| {
        let (options, drawn) = (Options::default().with_profile(profile), AtomicU8::new(0));
        let seeds = move || [drawn.fetch_add(1, Ordering::Relaxed) + 1; 32];
        let prover = Prover::new(options, starling_programs::words, seeds);
        [(); 2].map(|()| prover.prove_zkr(code.clone(), id, &[id], &input).unwrap().seal)
    };
    let _one_at_a_time = prover();
    let [first, second] = seals(Profile::Usual);
    assert!(first != second);
    assert!([first, second] == seals(Profile::Frugal));
}

#[test]
fn a_wrong_seal_is_refused_without_a_proof() {
    let mut segment = segments().session[0].clone();
    let middle = segment.seal.len() / 2;
    segment.seal[middle] ^= 1;
    let error = prover().lift(&segment).unwrap_err();
    assert!(
        matches!(&error, ProveError::Refused(refusal) if refusal.reason == Reason::Unequal),
        "{error}"
    );

    segment.seal.truncate(middle);
    let error = prover().lift(&segment).unwrap_err();
    assert!(error.to_string().contains("the input ends"), "{error}");
    segment.seal.truncate(1);
    assert!(matches!(prover().lift(&segment), Err(ProveError::Input { .. })));
    segment.seal.clear();
    assert!(matches!(prover().lift(&segment), Err(ProveError::Input { .. })));
}

#[test]
fn receipts_that_do_not_fit_are_refused() {
    let [left, right] = lifted();
    let error = prover().join(right, left).unwrap_err();
    assert!(matches!(error, ProveError::Refused(_)), "{error}");

    let mut malformed = left.clone();
    malformed.control_inclusion_proof.digests[0] = Digest::from([u32::MAX; 8]);
    let error = prover().join(&malformed, right).unwrap_err();
    assert!(error.to_string().contains("is not a Poseidon2 digest"), "{error}");
    malformed = left.clone();
    // The verifier reads eight bits; modulo P it is another index.
    malformed.control_inclusion_proof.index += 0x7800_0100;
    let error = prover().join(&malformed, right).unwrap_err();
    assert!(matches!(error, ProveError::Input { .. }), "{error}");
    malformed.control_inclusion_proof.digests.clear();
    assert!(matches!(prover().join(&malformed, right), Err(ProveError::Input { .. })));

    let mut other_hashfn = left.clone();
    other_hashfn.hashfn = "sha-256".into();
    assert!(matches!(prover().join(&other_hashfn, right), Err(ProveError::Input { .. })));

    let mut lying = segments().session[0].clone();
    lying.claim.exit_code = risc0_zkvm::ExitCode::Halted(0);
    assert!(matches!(prover().lift(&lying), Err(ProveError::OtherClaim { .. })));
}
