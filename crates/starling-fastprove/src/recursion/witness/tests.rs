#![allow(clippy::unwrap_used)]

use risc0_zkp::ZK_CYCLES;
use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::accum::{ACCUM_COLUMNS, MIX_ELEMENTS};
use super::data::DATA_COLUMNS;
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

/// What the columns of all traces of a test are, as one digest.
#[derive(Default)]
struct Columns(Vec<u8>);

impl Columns {
    /// Adds the trace of a program. Under the feature `stock`, it is compared with that of the stock code.
    fn add(&mut self, name: &str, code: &Code, input: &[u32]) {
        let program = Program::decode(name.into(), code).unwrap();
        let run = Run::new(&program, input).unwrap();
        let rows = 1 << program.po2();
        let mix: [Elem; MIX_ELEMENTS] =
            std::array::from_fn(|at| Elem::new(0x1234_5678 * (at as u32 + 1)));

        let noise = Noise::new([0; 32]);
        let mut data = vec![GARBAGE; DATA_COLUMNS * rows];
        data::fill(&program, &run, &noise, &mut data);
        let globals: Vec<u32> = run.globals.iter().map(Elem::as_u32_montgomery).collect();
        let mut accum = vec![GARBAGE; ACCUM_COLUMNS * rows];
        accum::fill(&program, &run, &mix, &noise, &mut accum);

        #[cfg(feature = "stock")]
        {
            let mut stock = super::stock::Stock::new(code, &program, &run);
            assert_columns(name, &program, &data, &stock.data);
            assert_eq!(globals, stock.globals);
            assert_columns(name, &program, &accum, &stock.accum(&mix));
        }

        // The rows at the end are random.
        let columns = data.chunks(rows).chain(accum.chunks(rows));
        let words = globals.iter().chain(columns.flat_map(|column| &column[..rows - ZK_CYCLES]));
        let hash =
            Sha256::hash_bytes(&words.flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
        self.0.extend(hash.as_bytes());
    }

    fn digest(&self) -> String {
        Sha256::hash_bytes(&self.0).to_string()
    }
}

#[cfg(feature = "stock")]
fn assert_columns(name: &str, program: &Program, ours: &[u32], stock: &[u32]) {
    let rows = 1 << program.po2();
    for at in 0..rows - ZK_CYCLES {
        for (column, (ours, stock)) in ours.chunks(rows).zip(stock.chunks(rows)).enumerate() {
            let row = program.rows().get(at);
            assert_eq!(ours[at], stock[at], "{name}: column {column} of row {at}, {row:?}");
        }
    }
}

// The digests are recorded: under the feature `stock` the same columns are compared with those of the stock code.

#[test]
fn the_test_program_has_the_stock_trace() {
    let input: Vec<u32> = (0..16).collect();
    let mut columns = Columns::default();
    columns.add("test", &testing::shipped(ProgramId::Test).unwrap(), &input);
    assert_eq!(
        columns.digest(),
        "7253b0400b40c34008ddb41fd022f15a2710c45bb32b0af9aa7e54383c1c7f52"
    );
}

#[test]
fn every_kind_of_row_has_the_stock_cells() {
    let mut columns = Columns::default();
    for seed in 0..SEEDS {
        let (rows, input) = testing::random(seed);
        columns.add(&format!("seed {seed}"), &testing::code(&rows, PO2), &input);
    }
    assert_eq!(
        columns.digest(),
        "2ced10215278c497beb7841e9f907bb8cd5ff434d8431aa26edf90789df4c6a1"
    );
}
