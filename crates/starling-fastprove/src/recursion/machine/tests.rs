#![allow(clippy::unwrap_used)]

use starling_babybear::vector::P;

use super::*;
use crate::recursion::testing;

/// Room for a few rows, and for the random rows below them.
const PO2: usize = 11;

const ZERO: (MicroOp, [u32; 3]) = (MicroOp::Const, [0, 0, 0]);

fn micro(write: u32, ops: [(MicroOp, [u32; 3]); 3]) -> Row {
    Row::Micro { write, ops: ops.map(|(op, operands)| Micro { op, operands }) }
}

fn run(rows: &[Row], input: &[u32]) -> Result<Run, Refusal> {
    let program = Program::decode("test".into(), &testing::code(rows, PO2)).unwrap();
    Run::new(&program, input)
}

/// Why a program that begins with zeros at addresses 0 to 2, and goes on with `ops`, refuses `input`.
fn refused(ops: [(MicroOp, [u32; 3]); 3], input: &[u32]) -> Reason {
    let refusal = run(&[micro(0, [ZERO; 3]), micro(3, ops)], input).unwrap_err();
    assert_eq!((refusal.program.as_str(), refusal.row), ("test", 1));
    refusal.reason
}

#[test]
fn values_that_differ_are_refused_in_their_row() {
    let one = (MicroOp::Const, [1, 0, 0]);
    assert_eq!(refused([one, (MicroOp::Eq, [0, 3, 0]), ZERO], &[]), Reason::Unequal);
}

#[test]
fn an_input_that_ends_early_is_refused_when_it_is_announced() {
    for shape in [2, 3, 4, 8] {
        let announce = (MicroOp::ReadHeader, [1000, shape, 0]);
        assert_eq!(refused([announce, ZERO, ZERO], &[1, 2, 3]), Reason::InputEnds(3));
    }
}

#[test]
fn a_word_that_is_no_element_is_refused_when_it_is_read() {
    let announce = (MicroOp::ReadHeader, [2, 2, 0]);
    let read = (MicroOp::ReadBody, [0, 0, 0]);
    let reason = refused([announce, read, read], &[P - 1, P]);
    assert_eq!(reason, Reason::NoElement { index: 1, word: P });
}

#[test]
fn polynomials_are_read_as_they_were_announced() {
    let announce = (MicroOp::ReadHeader, [1, 2, 0]);
    let read = (MicroOp::ReadBody, [0, 0, 0]);
    let unknown = (MicroOp::ReadHeader, [1, 10, 0]);
    assert_eq!(refused([announce, read, read], &[5]), Reason::Shape);
    assert_eq!(refused([announce, announce, ZERO], &[5, 5]), Reason::Shape);
    assert_eq!(refused([unknown, ZERO, ZERO], &[5; 20]), Reason::Shape);
}

#[test]
fn the_four_shapes_are_read_from_their_places() {
    let read = (MicroOp::ReadBody, [0, 0, 0]);
    let values = |shape, input: &[u32]| {
        let rows =
            [micro(0, [ZERO; 3]), micro(3, [(MicroOp::ReadHeader, [2, shape, 0]), read, read])];
        let memory = run(&rows, input).unwrap().memory;
        [4, 5].map(|at: usize| {
            memory[at].elems().iter().map(Elem::as_u32_montgomery).collect::<Vec<_>>()
        })
    };
    assert_eq!(values(2, &[7, 8]), [[7, 0, 0, 0], [8, 0, 0, 0]]);
    let words: Vec<u32> = (0..8).collect();
    assert_eq!(values(8, &words), [[0, 2, 4, 6], [1, 3, 5, 7]]);
    assert_eq!(values(9, &words), [[0, 1, 2, 3], [4, 5, 6, 7]]);
    // Two coefficients are the halves of one word, as numbers.
    let halves = |word: u32| {
        [word & 0xffff, word >> 16, 0, 0].map(|half| Elem::new(half).as_u32_montgomery())
    };
    assert_eq!(values(4, &[0x1234_5678, 9]), [halves(0x1234_5678), halves(9)]);
}

#[test]
fn a_selected_address_outside_of_the_memory_is_refused() {
    let select = (MicroOp::Select, [0, 1_000_000, 0]);
    assert_eq!(refused([select, ZERO, ZERO], &[]), Reason::Address(1_000_000));
}

#[test]
fn memory_is_written_once_and_used_everywhere() {
    let one = (MicroOp::Const, [1, 0, 0]);
    let two = (MicroOp::Const, [2, 0, 0]);
    let twice = [micro(0, [ZERO, one, one]), micro(1, [two, two, two])];
    assert_eq!(run(&twice, &[]).unwrap_err().reason, Reason::Overwritten(1));
    let gap = [micro(0, [ZERO; 3]), micro(4, [ZERO; 3])];
    assert_eq!(run(&gap, &[]).unwrap_err().reason, Reason::Unused(3));
    assert_eq!(run(&[micro(0, [one; 3])], &[]).unwrap_err().reason, Reason::Zero);
}

#[test]
fn rows_of_sha256_in_the_wrong_order_are_refused() {
    let begin = micro(0, [ZERO; 3]);
    for row in [Row::ShaMix { constant: 1 }, Row::ShaFini { a: 1, e: 2 }] {
        assert_eq!(run(&[begin, row], &[]).unwrap_err().reason, Reason::Misplaced);
    }
}

#[test]
fn sums_are_put_out_in_their_order() {
    let constants = micro(0, [ZERO, (MicroOp::Const, [11, 0, 0]), (MicroOp::Const, [22, 0, 0])]);
    let sums = [(MicroOp::Add, [2, 1, 1]), (MicroOp::Add, [0, 0, 0]), (MicroOp::Add, [1, 0, 1])];
    assert_eq!(run(&[constants, micro(3, sums)], &[]).unwrap().output, [22, 11]);
}
