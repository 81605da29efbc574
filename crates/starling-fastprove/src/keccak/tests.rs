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

/// A trace or a seal, and the [digest](digest_of) that the stock one has.
pub(super) struct Recorded {
    pub po2: usize,
    pub permutations: usize,
    pub digest: &'static str,
}

/// The last has more permutations than the trace is cut into shares.
pub(super) const WITNESSES: [Recorded; 4] = [
    Recorded {
        po2: 8,
        permutations: 1,
        digest: "e104b37b0509313377a7d837cbeeedca9df1cf513e1ed138f1bf7b888f51c1ef",
    },
    Recorded {
        po2: 11,
        permutations: 10,
        digest: "247f86df310a7b0dfe707caa1520905f35f94bf745043d9e2432fbc73f3f9606",
    },
    Recorded {
        po2: 11,
        permutations: 3,
        digest: "fbea63ce6cfe47634a3367111d44b640979fc1c9e2f6d90cfa0579b59f6d12f2",
    },
    Recorded {
        po2: 14,
        permutations: 81,
        digest: "1505ed271d23ffc1a1f6c5cde80e5193ecd90ecce9736a00584631cdad11b52b",
    },
];

pub(super) const SEALS: [Recorded; 3] = [
    Recorded {
        po2: 8,
        permutations: 1,
        digest: "43c1c509e301c5195c4720557c5d770762aaca2faabb2f4830b7c4c31115ad64",
    },
    Recorded {
        po2: 10,
        permutations: 4,
        digest: "ab716d0fcd22e3a346212562c2c0bc548050361a9b63d34163fbffbd3f58d427",
    },
    Recorded {
        po2: 14,
        permutations: 81,
        digest: "570e3f5fcd9f554638d5e7be990fc9282adb41078e44d74459b9fe2a25a6e614",
    },
];

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
    for Recorded { po2, permutations, digest } in WITNESSES {
        let inputs = inputs(permutations);
        let trace = Trace::new(&inputs, po2).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut data = vec![GARBAGE; COLUMNS << po2];
            pool.install(|| trace.fill(&mut data));
            let actual = digest_of(&data, &trace.globals());
            assert_eq!(actual, digest, "2^{po2}, {permutations}, {threads} threads");
        }
    }
}

/// Our seal.
pub(super) fn seal(isa: Isa, plan: MemoryPlan, recorded: &Recorded) -> Vec<u32> {
    let pool = Pool::new(0);
    let engine = Engine::new(isa, Poseidon2HashSuite::new_suite(), pool).with_plan(plan);
    prove(&engine, &inputs(recorded.permutations), recorded.po2).unwrap()
}

/// What the verifier says. The circuit's group `code` is not of a program, so that any is right.
fn verified(seal: &[u32]) -> Result<(), VerificationError> {
    verify(&CircuitImpl, &Poseidon2HashSuite::new_suite(), seal, |_, _| Ok(()))
}

#[test]
fn seals_are_the_recorded_ones_and_verify() {
    for recorded in SEALS {
        let Recorded { po2, permutations, digest } = recorded;
        let all = po2 <= ALL_VECTORS_PO2_MAX;
        for isa in Isa::available().filter(|&isa| all || isa == Isa::best()) {
            let seal = seal(isa, MemoryPlan::LEAST, &recorded);
            let name = isa.name();
            assert_eq!(digest_of(&seal, &[]), digest, "2^{po2}, {permutations}, {name}");
            verified(&seal).unwrap();
        }
    }
}

#[test]
fn a_seal_shows_what_it_is_of_and_not_another_word_of_it_verifies() {
    let recorded = &SEALS[0];
    let seal = seal(Isa::best(), MemoryPlan::EVERYTHING, recorded);
    let globals = Trace::new(&inputs(recorded.permutations), recorded.po2).unwrap().globals();
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
