//! Witnesses of segments of the shipped guests, as they are and tampered with.

mod bounds;

use risc0_binfmt::WordAddr;
use risc0_zkp::core::{
    digest::Digest,
    hash::sha::{Impl, Sha256 as _},
};
use risc0_zkvm::Output;

use super::*;
use crate::{SessionSegment, decode_segment, segment_from};

/// The random element of all tests.
pub(super) const RAND_Z: [u32; 4] = [1_234_567, 7_654_321, 2_013_265_920, 1];

/// The last element of the mix in all tests.
pub(super) const MIX: [u32; 4] = [99, 1_999_999_999, 123_456_789, 5];

/// What is run for tests: each guest with one of its inputs.
pub(super) const RUNS: [(&str, &str); 9] = [
    ("bigint.bin", "bigint-256-1.bin"),
    ("compose.bin", "compose-0.bin"),
    ("ecdsa.bin", "ecdsa-1.bin"),
    ("echo.bin", "echo-all.bin"),
    ("evm-transfer.bin", "evm-1.bin"),
    ("fail.bin", "fail-pause.bin"),
    ("keccak.bin", "keccak-1.bin"),
    ("sha-chain.bin", "sha-chain-1.bin"),
    ("sha-ecall.bin", "sha-chain-1.bin"),
];

/// The logarithm of the rows of their first segments.
pub(super) const RUNS_PO2: u32 = 15;

/// What RISC Zero's own functions were recorded to make of the first segments of [`RUNS`]: a [line] for each.
pub(super) const RECORDED: &str = include_str!("recorded.txt");

/// A line of what is recorded: guest, input, and the [digest] of all columns and globals.
pub(super) fn line((guest, input): (&str, &str), columns: &[Vec<u32>; 3]) -> String {
    format!("{guest} {input} {}\n", digest(&columns.concat()))
}

/// The first segment of a guest's run, of at most 2^po2 rows, as it travels from the executor.
pub(super) fn first_segment(guest: &str, input: &str, po2: u32) -> Segment {
    let bytes = guests::segments(guest, input, po2, 1).remove(0);
    bincode::deserialize::<SessionSegment<Output>>(&bytes).unwrap().inner
}

/// A segment that reads, hashes and uses an accelerator.
fn segment() -> Segment {
    first_segment("sha-chain.bin", "sha-chain-1.bin", 14)
}

/// Data columns, globals and columns of big integers.
pub(super) fn witness(segment: &Segment) -> Result<[Vec<u32>; 3], WitnessError> {
    let mut witness = SegmentWitness::new(segment, RAND_Z)?;
    let mut data = vec![7; DATA_COLUMNS << witness.po2()];
    let globals = witness.fill_data(&mut data)?;
    let mut accum = vec![7; bigint::COLUMNS << witness.po2()];
    witness.fill_bigint(MIX, &mut accum)?;
    Ok([data, globals, accum])
}

/// A digest of words.
pub(super) fn digest(words: &[u32]) -> Digest {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    *Impl::hash_bytes(&bytes)
}

#[test]
fn a_segment_survives_its_travel() {
    let segment = segment();
    let again = segment_from(&segment).unwrap();
    assert_eq!(format!("{again:?}"), format!("{segment:?}"));
    let bytes = segment.encode().unwrap();
    assert_eq!(decode_segment(&bytes).unwrap().encode().unwrap(), bytes);
    assert!(decode_segment(&bytes[..bytes.len() - 1]).is_err());
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(decode_segment(&longer), Err(crate::SegmentError::Trailing(1))));
}

#[test]
fn columns_have_the_recorded_digests_for_every_guest() {
    let lines = RUNS.map(|run| {
        let columns = witness(&first_segment(run.0, run.1, RUNS_PO2)).unwrap();
        line(run, &columns)
    });
    assert_eq!(lines.concat(), RECORDED);
}

#[test]
fn every_word_of_a_witness_is_a_field_element() {
    let columns = witness(&segment()).unwrap();
    assert!(columns.iter().flatten().all(|word| *word < risc0_zkp::field::baby_bear::P));
}

#[test]
fn a_witness_does_not_depend_on_the_number_of_threads() {
    let segment = segment();
    let on = |threads| pool(threads).install(|| witness(&segment)).unwrap();
    assert!(on(1) == on(8));
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut witness = SegmentWitness::new(&segment(), RAND_Z).unwrap();
    let mut data = vec![0; DATA_COLUMNS << witness.po2()];
    let mut accum = vec![0; bigint::COLUMNS << witness.po2()];
    assert!(matches!(witness.fill_bigint(MIX, &mut accum), Err(WitnessError::Order)));
    let short = &mut data[1..].to_vec();
    assert!(matches!(witness.fill_data(short), Err(WitnessError::Size { .. })));
    witness.fill_data(&mut data).unwrap();
    assert!(matches!(witness.fill_data(&mut data), Err(WitnessError::Order)));
    let short = &mut accum[1..];
    assert!(matches!(witness.fill_bigint(MIX, short), Err(WitnessError::Size { .. })));
    let wrong = [0, 0, 0, u32::MAX];
    assert!(matches!(witness.fill_bigint(wrong, &mut accum), Err(WitnessError::NotElement(_))));
    witness.fill_bigint(MIX, &mut accum).unwrap();
}

#[test]
fn segments_beyond_their_rows_are_refused_before_they_run() {
    let refused = |tamper: fn(&mut Segment)| {
        let mut segment = segment();
        tamper(&mut segment);
        SegmentWitness::new(&segment, RAND_Z).err().unwrap()
    };
    for po2 in [0, 13, 25, 31, 32, u32::MAX] {
        let mut segment = segment();
        segment.po2 = po2;
        let error = SegmentWitness::new(&segment, RAND_Z).err().unwrap();
        assert!(matches!(error, WitnessError::Po2 { po2: found } if found == po2));
    }
    let endless = refused(|segment| segment.suspend_cycle = u32::MAX);
    assert!(matches!(endless, WitnessError::TooMany { what: "cycles", .. }), "{endless}");
    let crowded = refused(|segment| {
        let page = segment.partial_image.pages()[&MACHINE_PAGE].clone();
        (0..1000).for_each(|index| segment.partial_image.set_page(index, page.clone()));
    });
    assert!(matches!(crowded, WitnessError::TooMany { what: "pages", .. }), "{crowded}");
    let outside = refused(|segment| {
        let page = segment.partial_image.pages()[&MACHINE_PAGE].clone();
        segment.partial_image.set_page(1 << 22, page);
    });
    assert!(matches!(outside, WitnessError::Image { what: "page", .. }), "{outside}");
}

/// The page with the registers.
const MACHINE_PAGE: u32 = 0xffff_0000 / 1024;

/// A pool of its own.
fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// What becomes of a segment that was tampered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It has a witness: what was changed is not what is proved, or is found by who verifies the claim.
    Passes,
    /// It is refused before it runs.
    Limits,
    /// It does not run.
    Preflight,
    /// A row has no witness.
    Row,
    /// Its big integers do not add up.
    BigInt,
}

use Outcome::{Passes, Preflight, Row};

impl Outcome {
    fn of(result: &Result<[Vec<u32>; 3], WitnessError>) -> Self {
        match result {
            Ok(_) => Passes,
            Err(WitnessError::Preflight(_)) => Preflight,
            Err(WitnessError::Row(_)) => Row,
            Err(WitnessError::BigInt(_)) => Self::BigInt,
            Err(_) => Self::Limits,
        }
    }
}

/// A way to tamper with a segment, and what becomes of those of `sha-chain`, `bigint` and `echo`. The last reads nothing in
/// its first segment. Of another input or output, the claim is another, and that is what is proved.
type Tamper = (&'static str, [Outcome; 3], fn(&mut Segment));

/// Changes a word of a page of the image, and not its digest.
fn tamper_word(segment: &mut Segment, page: u32, word: u32) {
    let mut changed = segment.partial_image.pages()[&page].clone();
    let address = WordAddr(word);
    changed.store(address, changed.load(address) ^ 1);
    segment.partial_image.set_page(page, changed);
}

const TAMPERS: [Tamper; 19] = [
    ("pre-state", [Row, Row, Row], |segment| segment.claim.pre_state = Digest::from([1; 8])),
    ("post-state", [Passes, Passes, Passes], |segment| {
        segment.claim.post_state = Digest::from([1; 8])
    }),
    ("input", [Passes, Passes, Passes], |segment| segment.claim.input = Digest::from([3; 8])),
    ("output", [Passes, Passes, Passes], |segment| {
        segment.claim.output = Some(Digest::from([1; 8]))
    }),
    ("end", [Row, Row, Row], |segment| {
        let ended = Some(risc0_circuit_rv32im::TerminateState::default());
        segment.claim.terminate_state =
            if segment.claim.terminate_state.is_none() { ended } else { None };
    }),
    ("machine word", [Preflight, Preflight, Preflight], |segment| {
        tamper_word(segment, MACHINE_PAGE, 5)
    }),
    ("program counter", [Preflight, Preflight, Preflight], |segment| {
        tamper_word(segment, MACHINE_PAGE, 0x210 / 4)
    }),
    ("first page", [Preflight, Preflight, Preflight], |segment| {
        let (&page, _) = segment.partial_image.pages().first_key_value().unwrap();
        tamper_word(segment, page, 3);
    }),
    ("lost root", [Preflight, Preflight, Preflight], |segment| {
        segment.partial_image.set_digest(1, Digest::ZERO)
    }),
    ("lost node", [Preflight, Preflight, Preflight], |segment| {
        segment.partial_image.set_digest(3, Digest::from([9; 8]))
    }),
    ("no memory", [Preflight, Preflight, Preflight], |segment| {
        segment.partial_image = Default::default()
    }),
    ("no reads", [Preflight, Preflight, Passes], |segment| segment.read_record.clear()),
    ("short reads", [Preflight, Preflight, Passes], |segment| {
        segment.read_record.iter_mut().for_each(Vec::clear)
    }),
    ("long reads", [Preflight, Preflight, Passes], |segment| {
        segment.read_record.iter_mut().for_each(|read| read.resize(5000, 1));
    }),
    ("other reads", [Preflight, Preflight, Passes], |segment| {
        segment.read_record.iter_mut().flatten().for_each(|byte| *byte ^= 0x55);
    }),
    ("other writes", [Passes, Passes, Passes], |segment| segment.write_record = vec![u32::MAX; 3]),
    ("early end", [Preflight, Row, Passes], |segment| segment.suspend_cycle /= 2),
    ("late end", [Preflight, Preflight, Preflight], |segment| {
        segment.suspend_cycle = 1 << segment.po2
    }),
    ("threshold", [Preflight, Passes, Preflight], |segment| segment.segment_threshold = u32::MAX),
];

/// How often each tampered segment or trace runs: once here, more often in `bench/asan-witness.sh`.
fn repeats() -> usize {
    std::env::var("STARLING_TAMPER_REPEATS").map_or(1, |repeats| repeats.parse().unwrap())
}

#[test]
fn a_tampered_segment_comes_to_the_same_on_one_thread_and_on_eight() {
    let repeats = repeats();
    let originals = [
        segment(),
        first_segment("bigint.bin", "bigint-256-1.bin", 16),
        first_segment("echo.bin", "echo-all.bin", 15),
    ];
    let pools = [pool(1), pool(8)];
    let found = TAMPERS.map(|(name, _, tamper)| {
        let outcomes = originals.each_ref().map(|original| {
            let mut segment = original.clone();
            tamper(&mut segment);
            let mut first = None;
            for pool in pools.iter().cycle().take(2 * repeats) {
                let result = pool.install(|| witness(&segment));
                let columns = result.as_ref().ok().map(|columns| digest(&columns.concat()));
                let next = (Outcome::of(&result), columns);
                assert_eq!(next, *first.get_or_insert(next), "{name}: {:?}", result.err());
            }
            first.unwrap().0
        });
        (name, outcomes)
    });
    assert_eq!(found, TAMPERS.map(|(name, outcomes, _)| (name, outcomes)));
}

#[test]
fn a_wrong_state_before_is_found_by_a_row() {
    let mut segment = segment();
    segment.claim.pre_state = Digest::from([1; 8]);
    let error = witness(&segment).unwrap_err();
    assert!(matches!(&error, WitnessError::Row(text) if text.starts_with("row ")), "{error}");
}
