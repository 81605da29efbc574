//! Segments that cost more than they prove, made by hand. All are refused, and none takes more memory than a segment may.

pub(super) mod bare;

use risc0_zkp::core::digest::Digest;

use self::bare::{ARENA, Program, RESET, image_of, segment_of};
use super::*;
use crate::{
    execute::{CycleLimit, Executor, Syscall, SyscallContext},
    heap::peak_bytes,
};

const PO2: u32 = 14;

/// Why a segment has no witness. It was found out in no more memory than any segment takes.
fn refusal(segment: &Segment) -> String {
    let (result, bytes) = peak_bytes(|| SegmentWitness::new(segment, tests::RAND_Z));
    let limit = preflight_bytes_max(segment.po2);
    assert!(bytes <= limit, "{bytes} bytes of at most {limit}");
    result.err().map_or_else(|| "it has one".to_owned(), |error| error.to_string())
}

/// A host that answers nothing.
pub(super) struct Alone;

impl Syscall for Alone {
    fn host_read(&self, _: &mut impl SyscallContext, _: u32, _: &mut [u8]) -> anyhow::Result<u32> {
        anyhow::bail!("it reads")
    }

    fn host_write(&self, _: &mut impl SyscallContext, _: u32, _: &[u8]) -> anyhow::Result<u32> {
        anyhow::bail!("it writes")
    }
}

/// Why the executor does not run a program.
fn failure(program: &Program) -> String {
    let image = image_of(&program.memory());
    let mut executor = Executor::new(image, &Alone, None, vec![], None);
    let limit = CycleLimit::Hard(1000);
    let (result, bytes) = peak_bytes(|| executor.run(PO2 as usize, 2000, limit, |_| Ok(())));
    assert!(bytes <= preflight_bytes_max(PO2), "{bytes} bytes");
    result.err().map_or_else(|| "it runs".to_owned(), |error| format!("{error:#}"))
}

/// A program that is proved, and does what any does.
fn honest() -> Program {
    Program {
        types: vec![32],
        constants: vec![3, 5],
        operations: vec![
            bare::load(0, 0),
            bare::constant(0, 2),
            bare::binary(0xa, 0, 1),
            bare::store(0, 8, 0),
        ],
        rows: vec![bare::SHIFT, bare::SET_TERM, RESET],
        ..Program::default()
    }
}

#[test]
fn an_honest_program_runs_in_both() {
    assert_eq!(refusal(&honest().segment(PO2)), "it has one");
    // Its second instruction is a jump to itself.
    assert_eq!(failure(&honest()), "it does not end within 1000 user cycles");
}

#[test]
fn a_program_that_computes_more_than_it_proves_is_refused_in_both() {
    let squarings = (0..40).map(|at| bare::binary(0xa, at, at));
    let cases = [
        ("failed to fill whole buffer", Program { operation_count: Some(u32::MAX), ..honest() }),
        (
            "a number of 4294967280 bytes",
            Program {
                types: vec![0xffff_fff0],
                operations: vec![bare::constant(0, 0), bare::store(0, 0, 0)],
                ..honest()
            },
        ),
        (
            "a number of 4294967280 bytes",
            Program { types: vec![0xffff_fff0], operations: vec![bare::load(0, 0)], ..honest() },
        ),
        (
            "a number of 18446744073709551615 bytes",
            Program { types: vec![u64::MAX], operations: vec![bare::load(0, 0)], ..honest() },
        ),
        (
            "more work than these can prove",
            Program {
                types: vec![512],
                operations: vec![bare::load(0, 0); 10],
                rows: vec![RESET; 3],
                ..honest()
            },
        ),
        (
            "more work than these can prove",
            Program {
                constants: vec![u64::MAX; 40],
                operations: vec![bare::constant(0, 40); 20],
                ..honest()
            },
        ),
        (
            "more work than these can prove",
            Program {
                operations: std::iter::once(bare::constant(0, 2)).chain(squarings).collect(),
                ..honest()
            },
        ),
        (
            "constants 1 to 3 are asked for, of 2",
            Program { operations: vec![bare::constant(1, 2)], ..honest() },
        ),
        ("type 7 is asked for, of 1", Program { operations: vec![bare::load(7, 0)], ..honest() }),
        (
            "operation 1 of a program of big integers is of a later one's",
            Program { operations: vec![bare::constant(0, 2), bare::binary(8, 0, 1)], ..honest() },
        ),
        (
            "operation 2 divides by zero",
            Program {
                operations: vec![
                    bare::constant(0, 2),
                    bare::constant(0, 0),
                    bare::binary(0xc, 0, 1),
                ],
                ..honest()
            },
        ),
        (
            "has 170 words, and its 3 rows can use 152",
            Program { operations: vec![bare::constant(0, 2); 76], ..honest() },
        ),
        (
            "has 77 words of constants, and its 3 rows can use 76",
            Program { constant_words: 77, ..honest() },
        ),
        (
            "takes 4294967295 rows, and its segment has",
            Program { rows_said: Some(u32::MAX), ..honest() },
        ),
    ];
    for (expected, program) in cases {
        let refusal = refusal(&program.segment(PO2));
        assert!(refusal.contains(expected), "preflight: {refusal}, not {expected}");
        let failure = failure(&program);
        assert!(failure.contains(expected), "execution: {failure}, not {expected}");
    }
}

#[test]
fn a_number_may_be_no_larger_than_any_that_is_proved() {
    // Squared four times, 8 KiB are 128 KiB: work that so many rows pay for.
    let squarings = (0..4).map(|at| bare::binary(0xa, at, at));
    let program = Program {
        types: vec![8 << 10],
        operations: std::iter::once(bare::load(0, 0)).chain(squarings).collect(),
        arena: vec![u32::MAX; 2 << 10],
        rows: [vec![bare::SHIFT; 4000], vec![RESET]].concat(),
        ..honest()
    };
    let refusal = refusal(&program.segment(PO2));
    assert!(refusal.contains("a number of 131072 bytes, at most 65536 can be"), "{refusal}");
}

#[test]
fn a_program_that_proves_less_than_it_says_is_refused() {
    let program = Program { rows: vec![RESET; 3], ..honest() };
    let refusal = refusal(&program.segment(PO2));
    assert!(refusal.contains("says that it takes 4 rows, and takes 2"), "{refusal}");
}

#[test]
fn a_polynomial_may_be_no_longer_than_its_sums_can_be_carried() {
    let shifts =
        |count| Program { rows: [vec![bare::SHIFT; count], vec![RESET]].concat(), ..honest() };
    assert_eq!(refusal(&shifts(1000).segment(PO2)), "it has one");
    let long = refusal(&shifts(2000).segment(PO2));
    assert!(long.contains("a polynomial of"), "{long}");
    // Each of the factors could be a sum's.
    let half = [vec![bare::SHIFT; 600], vec![bare::SET_TERM]].concat();
    let rows = [half, vec![bare::SHIFT; 600], vec![bare::ADD_TOTAL, RESET]].concat();
    let product = refusal(&Program { rows, ..honest() }.segment(PO2));
    assert!(product.contains("a polynomial of"), "{product}");
}

#[test]
fn a_page_that_the_segment_did_not_bring_is_not_read() {
    // Every row reads at the beginning of another 4 KiB.
    let steps = (0..100).map(|step| bare::SHIFT | step << 8);
    let program = Program { rows: steps.chain([RESET]).collect(), ..honest() };
    let refusal = refusal(&program.segment(PO2));
    let expected = format!("page {:#x} is not of the segment", ARENA / 1024 + 4);
    assert!(refusal.contains(&expected), "{refusal}");
}

#[test]
fn memory_that_is_spread_thinly_stays_within_the_bound() {
    for po2 in [14, 16] {
        // As far apart as they can be, a word at the end of each.
        let spread = |pages: u32| {
            let step = ((1_u32 << 22) / pages.next_power_of_two()) << 10;
            let mut memory = honest().memory();
            memory.extend(
                (1..pages).map(|page| (page * step + 1020, 7)).filter(|(at, _)| at >> 28 != 15),
            );
            segment_of(&memory, po2)
        };
        let fits = |pages: &u32| super::limits::check(&spread(*pages)).is_ok();
        let most = (1..500).take_while(fits).last().unwrap();
        // The page with the registers is written back, which takes as many rows as two pages take to load.
        let segment = spread(most - 2);
        let pages = segment.partial_image.pages().len();
        assert!(pages > if po2 == 14 { 15 } else { 90 }, "{pages} pages");
        assert_eq!(refusal(&segment), "it has one");
        let refused = refusal(&spread(most + 1));
        assert!(refused.contains(" rows of memory, and at most "), "{refused}");
    }
}

#[test]
fn an_image_has_what_its_pages_need_and_nothing_else() {
    let with = |tamper: fn(&mut Segment)| {
        let mut segment = honest().segment(PO2);
        tamper(&mut segment);
        refusal(&segment)
    };
    let spare = with(|segment| segment.partial_image.set_digest(1 << 22, Digest::ZERO));
    assert!(spare.contains("node 4194304, which none of its pages needs"), "{spare}");
    let beyond = with(|segment| segment.partial_image.set_page(1 << 22, Default::default()));
    assert!(beyond.contains("page 4194304, beyond the end"), "{beyond}");
    let none = with(|segment| segment.partial_image.set_digest(0, Digest::ZERO));
    assert!(none.contains("node 0, which none of its pages needs"), "{none}");
}

#[test]
fn calls_to_the_host_are_no_more_than_rows_make() {
    let with = |tamper: fn(&mut Segment)| {
        let mut segment = honest().segment(PO2);
        tamper(&mut segment);
        refusal(&segment)
    };
    let many = with(|segment| segment.read_record = vec![vec![]; (1 << 13) + 1]);
    assert!(many.contains("8193 reads, and at most 8192"), "{many}");
    let long = with(|segment| segment.read_record = vec![vec![0; (1 << 18) + 1]]);
    assert!(long.contains("262145 bytes read, and at most 262144"), "{long}");
    let writes = with(|segment| segment.write_record = vec![0; (1 << 13) + 1]);
    assert!(writes.contains("8193 writes, and at most 8192"), "{writes}");
}
