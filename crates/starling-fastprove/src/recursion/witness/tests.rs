#![allow(clippy::unwrap_used)]

use risc0_zkp::ZK_CYCLES;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::accum::{ACCUM_COLUMNS, MIX_ELEMENTS};
use super::data::DATA_COLUMNS;
use super::stock::Stock;
use super::*;
use crate::recursion::code::Code;
use crate::recursion::machine::Run;
use crate::recursion::program::{Program, ProgramId};
use crate::recursion::testing;

/// Random programs, and the size of their traces: room for some thousand rows, and for the random rows below.
const SEEDS: u64 = 40;
const PO2: usize = 13;

/// What a buffer holds before it is filled: nothing of it may be left.
const GARBAGE: u32 = 0x0bad_0bad;

/// Compares all columns of the trace with those of the stock code.
fn compare(name: &str, code: &Code, input: &[u32]) {
    let program = Program::decode(name.into(), code).unwrap();
    let run = Run::new(&program, input).unwrap();
    let rows = 1 << program.po2();

    let mut stock = Stock::new(code, &program, &run);
    let mut data = vec![GARBAGE; DATA_COLUMNS * rows];
    data::fill(&program, &run, &mut data);
    assert_columns(name, &program, &data, &stock.data);
    let globals: Vec<u32> = run.globals.iter().map(Elem::as_u32_montgomery).collect();
    assert_eq!(globals, stock.globals);

    let mix: [Elem; MIX_ELEMENTS] =
        std::array::from_fn(|at| Elem::new(0x1234_5678 * (at as u32 + 1)));
    let mut accum = vec![GARBAGE; ACCUM_COLUMNS * rows];
    accum::fill(&program, &run, &mix, &mut accum);
    assert_columns(name, &program, &accum, &stock.accum(&mix));
}

fn assert_columns(name: &str, program: &Program, ours: &[u32], stock: &[u32]) {
    let rows = 1 << program.po2();
    for at in 0..rows - ZK_CYCLES {
        for (column, (ours, stock)) in ours.chunks(rows).zip(stock.chunks(rows)).enumerate() {
            let row = program.rows().get(at);
            assert_eq!(ours[at], stock[at], "{name}: column {column} of row {at}, {row:?}");
        }
    }
}

#[test]
fn the_test_program_has_the_stock_trace() {
    let input: Vec<u32> = (0..16).collect();
    compare("test", &testing::shipped(ProgramId::Test).unwrap(), &input);
}

#[test]
fn every_kind_of_row_has_the_stock_cells() {
    for seed in 0..SEEDS {
        let (rows, input) = testing::random(seed);
        compare(&format!("seed {seed}"), &testing::code(&rows, PO2), &input);
    }
}
