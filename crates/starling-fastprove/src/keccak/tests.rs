#![allow(clippy::unwrap_used)]

use risc0_zkp::adapter::CircuitCoreDef;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::core::hash::sha::{Impl, Sha256 as _};
use risc0_zkp::field::baby_bear::BabyBear;
use risc0_zkp::verify::{VerificationError, verify};
use starling_babybear::vector::Isa;

use super::layout::COLUMNS;
use super::witness::Trace;
use super::*;
use crate::constraints::keccak::CircuitImpl;
use crate::stark::{Engine, MemoryPlan, Pool};

/// What a buffer holds before it is filled: nothing of it may be left.
pub(super) const GARBAGE: u32 = 0x0bad_0bad;

/// What the stock code was recorded to make, a line for each trace and each seal: which, its [case](Case), and its
/// [digest](digest_of).
const RECORDED: &str = include_str!("recorded.txt");

/// What is proved.
pub(super) struct Case {
    pub po2: usize,
    pub permutations: usize,
}

/// The last has more permutations than the trace is cut into shares.
pub(super) const TRACES: [Case; 4] = [case(8, 1), case(11, 10), case(11, 3), case(14, 81)];

/// The last is as large as the keccak proofs of jobs usually are, and full.
pub(super) const SEALS: [Case; 4] = [case(8, 1), case(10, 4), case(14, 81), case(15, 163)];

const fn case(po2: usize, permutations: usize) -> Case {
    Case { po2, permutations }
}

impl Case {
    /// A line of what is recorded.
    pub(super) fn line(&self, what: &str, digest: &str) -> String {
        format!("{what} {} {} {digest}", self.po2, self.permutations)
    }

    /// Whether this was recorded of the stock code.
    #[track_caller]
    pub(super) fn assert_recorded(&self, what: &str, digest: &str, how: &str) {
        let line = self.line(what, digest);
        assert!(RECORDED.lines().any(|recorded| recorded == line), "not recorded: {line}, {how}");
    }
}

/// Seals of more rows are compared with the best vectors only: one lane takes minutes.
const ALL_VECTORS_PO2_MAX: usize = 10;

impl CircuitCoreDef<BabyBear> for CircuitImpl {}

/// Lanes without a pattern, and some that are all zeros or ones.
pub(super) fn inputs(count: usize) -> Vec<State> {
    let mut word = 1u64;
    let mut next = || {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        word ^ word >> 29
    };
    (0..count)
        .map(|at| match at % 4 {
            1 => [0; LANES],
            2 => [u64::MAX; LANES],
            _ => std::array::from_fn(|_| next()),
        })
        .collect()
}

/// One digest of all data columns and globals.
pub(super) fn digest_of(data: &[u32], globals: &[u32]) -> String {
    let bytes: Vec<u8> = data.iter().chain(globals).flat_map(|word| word.to_le_bytes()).collect();
    Impl::hash_bytes(&bytes).to_string()
}

#[test]
fn the_trace_is_the_recorded_one_on_any_number_of_threads() {
    for case in TRACES {
        let (po2, inputs) = (case.po2, inputs(case.permutations));
        let trace = Trace::new(&inputs, po2).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut data = vec![GARBAGE; COLUMNS << po2];
            pool.install(|| trace.fill(&mut data));
            let digest = digest_of(&data, &trace.globals());
            case.assert_recorded("trace", &digest, &format!("{threads} threads"));
        }
    }
}

/// Our seal.
pub(super) fn seal(isa: Isa, plan: MemoryPlan, case: &Case) -> Vec<u32> {
    let pool = Pool::new(0);
    let engine = Engine::new(isa, Poseidon2HashSuite::new_suite(), pool).with_plan(plan);
    prove(&engine, &inputs(case.permutations), case.po2).unwrap()
}

/// What the verifier says. The circuit's group `code` is not of a program, so that any is right.
fn verified(seal: &[u32]) -> Result<(), VerificationError> {
    verify(&CircuitImpl, &Poseidon2HashSuite::new_suite(), seal, |_, _| Ok(()))
}

#[test]
fn seals_are_the_recorded_ones_and_verify() {
    for case in SEALS {
        let all = case.po2 <= ALL_VECTORS_PO2_MAX;
        for isa in Isa::available().filter(|&isa| all || isa == Isa::best()) {
            let seal = seal(isa, MemoryPlan::LEAST, &case);
            case.assert_recorded("seal", &digest_of(&seal, &[]), isa.name());
            verified(&seal).unwrap();
        }
    }
}

#[test]
fn a_seal_shows_what_it_is_of_and_not_another_word_of_it_verifies() {
    let case = &SEALS[0];
    let seal = seal(Isa::best(), MemoryPlan::EVERYTHING, case);
    let globals = Trace::new(&inputs(case.permutations), case.po2).unwrap().globals();
    assert!(seal.starts_with(&globals));
    verified(&seal).unwrap();
    for at in [0, GLOBALS - 1, GLOBALS + 1, seal.len() / 2, seal.len() - 1] {
        let mut changed = seal.clone();
        changed[at] ^= 1;
        assert!(verified(&changed).is_err(), "word {at}");
    }
}

#[test]
fn lists_that_no_proof_has_are_refused() {
    let refused = |count, po2| Trace::new(&inputs(count), po2).err().unwrap();
    assert!(matches!(refused(1, 7), KeccakError::Rows { po2: 7, .. }));
    assert!(matches!(refused(1, usize::MAX), KeccakError::Rows { .. }));
    assert!(matches!(refused(0, 8), KeccakError::Count { count: 0, count_max: 1, .. }));
    assert!(matches!(refused(2, 8), KeccakError::Count { count: 2, .. }));
}

#[test]
fn a_proof_of_2_17_rows_on_two_threads_can_do_with_less_than_650_mib() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let demand_17 = pool.install(|| demand(17)).unwrap();
    assert!(demand_17.peak_bytes(MemoryPlan::LEAST) < 650 << 20);
    assert!(matches!(demand(usize::MAX), Err(KeccakError::Rows { .. })));
}
