//! Seals of segments of every shipped guest, compared with those that the stock prover makes of the same segment and the
//! same random element: recorded, and under the feature `stock` made anew.

#![allow(clippy::unwrap_used)]

use std::{fs, io::Cursor, path::Path, sync::atomic::AtomicBool};

use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use starling_cost::Costs;
use starling_types::{MemoryBytes, Po2, TaskKind};

use super::*;
use crate::{
    Emitted, ExecuteOptions, Guest, PovwJob, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN, SegmentClaim, codec,
    execute,
    testing::DECODED_TIMES_MAX,
    twice::{Reproved, is_own_fault},
};

/// The random element of all these proofs.
const RAND_Z: [u32; 4] = [1_234_567, 7_654_321, 2_013_265_920, 1];

/// What the stock prover was recorded to make, a line for each of [`RUNS`] and each po2: guest, input, po2, segment, and
/// the SHA-256 of the seal's words, little-endian.
const RECORDED: &str = include_str!("recorded-seals.txt");

/// Every guest with an input, and a segment of the run.
const RUNS: [(&str, &str, At); 12] = [
    ("bigint", "bigint-256-1", At::Last),
    ("compose", "compose-0", At::Last),
    ("ecdsa", "ecdsa-1", At::First),
    ("echo", "echo-all", At::Last),
    // Reads and writes of many pages at a time.
    ("echo", LARGE_INPUT, At::First),
    ("evm-transfer", "evm-1", At::First),
    ("fail", "fail-pause-3", At::Last),
    ("fail", "fail-exit-7", At::Last),
    ("fail", "fail-journal-1-mib", At::First),
    ("keccak", "keccak-1", At::Last),
    ("sha-chain", "sha-chain-1", At::First),
    ("sha-ecall", "sha-chain-1", At::Last),
];

/// The input that is not a file: 128 KiB to be committed as they come.
const LARGE_INPUT: &str = "128-kib";

/// Those whose seals a test compares: the first is enough where everything is checked, and slow.
fn compared() -> &'static [(&'static str, &'static str, At)] {
    if cfg!(debug_assertions) { &RUNS[..1] } else { &RUNS }
}

/// Which segment of a run.
#[derive(Clone, Copy, Debug)]
enum At {
    /// It ends in a split.
    First,
    /// It ends as the guest does.
    Last,
}

/// A segment of a run in segments of 2^`po2` cycles.
fn segment(run: (&str, &str, At), po2: u32) -> Segment {
    let mut segments = segments(run, po2);
    match run.2 {
        At::First => segments.swap_remove(0),
        At::Last => segments.pop().unwrap(),
    }
}

/// The segments of a run; with their work counted, so that they have nonces.
fn segments((guest, input, _): (&str, &str, At), po2: u32) -> Vec<Segment> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    let read = |folder: &str, name: &str| fs::read(guests.join(folder).join(name)).unwrap();
    let input = match input {
        LARGE_INPUT => (0..1 + (128 << 10)).map(|at: u32| (at * at) as u8).collect(),
        file => read("inputs", &format!("{file}.bin")),
    };
    let guest = Guest::parse(read("bin", &format!("{guest}.bin"))).unwrap();
    let options = ExecuteOptions {
        input: Box::new(Cursor::new(input)),
        povw: Some(PovwJob { log_id: starling_types::WorkLogId([7; 20]), job: 5 }),
        ..ExecuteOptions::new(po2.try_into().unwrap(), [3; 32])
    };
    let mut segments = Vec::new();
    let keep = |emitted| {
        if let Emitted::Segment(segment) = emitted {
            segments.push(codec::decode_segment(&segment.bytes).unwrap());
        }
        Ok(())
    };
    execute(&guest, options, keep, &AtomicBool::new(false)).unwrap();
    segments
}

/// Our seal, with the stock prover's words in cells that no constraint determines.
fn seal(isa: Isa, plan: MemoryPlan, segment: &Segment) -> Vec<u32> {
    let suite = Poseidon2HashSuite::new_suite();
    let engine = Engine::new(isa, suite, Pool::new(0)).with_plan(plan);
    segment_seal(&engine, segment, RAND_Z, Unset::Stock).unwrap()
}

/// A line of what is recorded.
fn line(run: (&str, &str, At), po2: u32, seal: &[u32]) -> String {
    let (guest, input, at) = run;
    let bytes: Vec<u8> = seal.iter().flat_map(|word| word.to_le_bytes()).collect();
    format!("{guest} {input} {po2} {at:?} {}", Sha256::hash_bytes(&bytes))
}

/// Whether this seal was recorded of the stock prover.
#[track_caller]
fn assert_recorded(run: (&str, &str, At), po2: u32, seal: &[u32]) {
    let line = line(run, po2, seal);
    assert!(RECORDED.lines().any(|recorded| recorded == line), "not recorded: {line}");
}

#[test]
fn seals_of_every_guest_are_the_stock_provers_on_all_vectors() {
    for &run in compared() {
        let segment = segment(run, 14);
        for isa in Isa::available() {
            // Whatever is kept in memory, the seal is the same.
            let plan = if isa == Isa::best() { MemoryPlan::LEAST } else { MemoryPlan::EVERYTHING };
            assert_recorded(run, 14, &seal(isa, plan, &segment));
        }
    }
}

#[test]
fn seals_of_larger_segments_are_the_stock_provers() {
    for &run in compared() {
        let segment = segment(run, 16);
        assert_recorded(run, 16, &seal(Isa::best(), MemoryPlan::EVERYTHING, &segment));
    }
}

#[test]
#[ignore = "minutes: the whole matrix of guests and vectors at this size"]
fn seals_of_larger_segments_are_the_stock_provers_on_all_vectors() {
    for run in RUNS {
        let segment = segment(run, 16);
        for isa in Isa::available() {
            assert_recorded(run, 16, &seal(isa, MemoryPlan::LEAST, &segment));
        }
    }
}

#[test]
fn receipts_verify_claim_what_was_executed_and_count_the_work() {
    for run in [RUNS[0], RUNS[5], RUNS[8]] {
        let segment = segment(run, 14);
        let fast = Fast::new(None).unwrap();
        let receipt = fast.prove_segment(&segment).unwrap();
        let claim = receipt.claim.clone();
        let expected = SegmentClaim::of_executed(&segment.circuit.claim).unwrap();
        assert_eq!(SegmentClaim::of_receipt(&claim).unwrap(), expected, "{run:?}");
        let nonce = risc0_circuit_rv32im::decode_povw_nonce(&receipt.seal).unwrap();
        assert_eq!(Some(nonce), segment.circuit.povw_nonce);
    }
}

#[test]
fn a_segment_whose_seal_is_damaged_is_proved_again_with_new_randomness() {
    let segment = segment(RUNS[0], 14);
    let (fast, reproved) = (Fast::new(None).unwrap(), Reproved::default());
    let mut seals = Vec::new();
    let receipt = reproved.prove(|| {
        let mut seal = fast.seal(&segment)?;
        seals.push(seal.clone());
        if seals.len() == 1 {
            let middle = seal.len() / 2;
            seal[middle] ^= 1;
        }
        segment_receipt(&segment, seal)
    });
    assert_eq!((seals.len(), reproved.take()), (2, 1));
    assert!(receipt.unwrap().seal == seals[1] && seals[0] != seals[1]);

    // Whatever is damaged of it, it is this machine that did not prove right.
    let good = &seals[1];
    for at in [0, 1, 90, 91, good.len() - 1] {
        let mut seal = good.clone();
        seal[at] ^= 1;
        let error = segment_receipt(&segment, seal).unwrap_err();
        assert!(is_own_fault(&error), "word {at}: {error:#}");
    }
}

/// A stranger's segment is decoded, and runs its preflight, before the columns of its proof are there.
#[test]
fn the_preflight_of_the_worst_segment_fits_what_its_task_may_allocate() {
    // A warm prover: the process, and programs that it keeps ready.
    let process = MemoryBytes::from_mib(200);
    for po2 in SEGMENT_PO2_MIN..=SEGMENT_PO2_MAX {
        let decoded = DECODED_TIMES_MAX * codec::segment_bytes_max(po2);
        let taken = process.0 + decoded + starling_rv32im::preflight_bytes_max(po2);
        for costs in [Costs::FAST.usual, Costs::FAST.frugal] {
            for kind in [TaskKind::Prove, TaskKind::Lift] {
                let memory = costs.memory(kind, Some(Po2::try_from(po2).unwrap()));
                let limit = Costs::limit(memory).0;
                assert!(taken <= limit, "{kind} 2^{po2}: {taken} bytes of {limit}");
            }
        }
    }
}

/// The seals of the stock prover, live.
#[cfg(feature = "stock")]
mod live {
    use std::fmt::Write as _;

    use risc0_circuit_rv32im::prove::{PreflightResults, segment_prover};
    use risc0_zkp::field::{ExtElem as _, baby_bear::BabyBearExtElem};

    use super::*;
    use crate::{backend::stock::Stock, verify::verifier_context};

    fn stock_seal(segment: &Segment) -> Vec<u32> {
        let bytes = segment.circuit.encode().unwrap();
        let segment = risc0_circuit_rv32im::execute::Segment::decode(&bytes).unwrap();
        let rand_z = BabyBearExtElem::from_subelems(RAND_Z.map(BabyBearElem::new_raw));
        let preflight = PreflightResults::new(&segment, rand_z).unwrap();
        segment_prover().unwrap().prove_core(preflight).unwrap()
    }

    #[test]
    fn seals_are_those_that_the_stock_prover_makes() {
        for run in RUNS {
            let segment = segment(run, 14);
            let stock = stock_seal(&segment);
            let ours = seal(Isa::best(), MemoryPlan::EVERYTHING, &segment);
            let differ = ours.iter().zip(&stock).position(|(ours, stock)| ours != stock);
            assert_eq!((differ, ours.len()), (None, stock.len()), "{run:?}: first word, length");
        }
    }

    #[test]
    fn what_one_prover_makes_of_a_segment_the_other_goes_on_with() {
        let (ours, theirs) = (Fast::new(None).unwrap(), Stock::new().unwrap());
        let segments = segments(RUNS[1], 14);
        let claim = |segment: &Segment| SegmentClaim::of_executed(&segment.circuit.claim).unwrap();
        let (first, second) = (&segments[0], &segments[1]);
        let left = theirs.lift(&ours.prove_segment(first).unwrap()).unwrap();
        let right = ours.lift(&theirs.prove_segment(second).unwrap()).unwrap();
        let joined = [ours.join(&left, &right).unwrap(), theirs.join(&left, &right).unwrap()];
        for receipt in joined {
            receipt.verify_integrity_with_context(&verifier_context()).unwrap();
            let joined = SegmentClaim::of_receipt(receipt.claim.as_value().unwrap()).unwrap();
            assert_eq!((joined.pre, joined.post), (claim(first).pre, claim(second).post));
        }
    }

    /// Every size by hand: 18 takes the stock prover two minutes on two cores, 20 ten.
    #[test]
    #[ignore = "minutes: the stock prover with large segments"]
    fn seals_of_large_segments_are_those_that_the_stock_prover_makes() {
        for po2 in [18, 20] {
            let run = ("sha-chain", "sha-chain-1000", At::First);
            let segment = segment(run, po2);
            assert_eq!(segment.po2(), po2 as usize);
            let ours = seal(Isa::best(), MemoryPlan::LEAST, &segment);
            assert!(ours == stock_seal(&segment), "po2 {po2}");
        }
    }

    #[test]
    #[ignore = "records: `bench/record.sh` runs it"]
    fn record_seals() {
        assert!(std::env::var_os("STARLING_RECORD").is_some(), "bench/record.sh runs what records");
        let mut lines = String::new();
        for run in RUNS {
            for po2 in [14, 16] {
                let segment = segment(run, po2);
                writeln!(lines, "{}", line(run, po2, &stock_seal(&segment))).unwrap();
            }
        }
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/fast/recorded-seals.txt");
        fs::write(path, lines).unwrap();
    }
}

#[test]
fn fewer_threads_are_started_where_the_system_denies_some() {
    let up_to = |most| {
        start_threads(12, |count| {
            if count > most { Err(std::io::Error::from_raw_os_error(11)) } else { Ok(count) }
        })
    };
    assert_eq!((up_to(12).unwrap(), up_to(11).unwrap(), up_to(1).unwrap()), (12, 6, 1));
    let denied = format!("{:#}", up_to(0).unwrap_err());
    assert!(denied.starts_with("cannot start one thread: "), "{denied}");
}

/// On two threads, whatever machine this is: what a proof takes depends on their number.
fn on_two_threads<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().install(work)
}

#[test]
fn frugal_plans_of_segments_use_their_budget_and_keep_to_it() {
    on_two_threads(|| {
        for po2 in 14..=22 {
            let (demand, plan) = (segment::demand(po2), frugal(po2));
            assert!(demand.peak_bytes(plan) <= FRUGAL_BYTES_A_ROW << po2, "2^{po2}: {plan:?}");
            let more = MemoryPlan { spare_columns: plan.spare_columns + 1, ..plan };
            assert!(demand.peak_bytes(more) > FRUGAL_BYTES_A_ROW << po2, "2^{po2}: {plan:?}");
        }
        // A segment whose size is a lie is refused later, by the witness.
        assert_eq!(frugal(usize::MAX), frugal(starling_rv32im::PO2_MAX as usize));
    });
}
