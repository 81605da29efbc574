//! What the preflight knows of the rows, put in the data columns before any row runs.
//!
//! Rows look back at rows before them. What they look at is put in here, so that rows may run in any order: what follows a
//! row, and the state of the accelerator it is of.

use rayon::prelude::*;

use crate::{
    execute::{poseidon2::Poseidon2State, sha2::Sha2State},
    raw::RawPreflightCycle,
    witgen::{bigint::BigIntState, preflight::Back},
    zirgen::circuit::{ECall0Layout, LAYOUT_TOP, Val},
};

// Offsets are taken in constants throughout: the layout is a tree of tens of thousands of references, which is not to be in
// the program.
const ECALL: &ECall0Layout = LAYOUT_TOP.inst_result.arm8;

/// What a cell holds that is not set: no field element.
pub(crate) const UNSET: u32 = u32::MAX;

/// Columns of equal length, one after the other.
pub(super) struct Columns<'a> {
    words: &'a mut [u32],
    rows: usize,
}

impl<'a> Columns<'a> {
    /// Sees words as columns of `rows` words each.
    pub(super) fn new(words: &'a mut [u32], rows: usize) -> Self {
        Self { words, rows }
    }

    /// Sets one cell to a number.
    pub(super) fn set(&mut self, row: usize, column: usize, value: u32) {
        self.words[column * self.rows + row] = montgomery(value);
    }

    /// Sets all cells of a column to a number.
    pub(super) fn fill(&mut self, column: usize, value: u32) {
        self.words[column * self.rows..][..self.rows].fill(montgomery(value));
    }

    /// What follows each row: the number of the row itself, and where and how the machine goes on.
    pub(super) fn inject_rows(&mut self, cycles: &[RawPreflightCycle]) {
        type Value = fn(&RawPreflightCycle) -> u32;
        let columns: [(usize, Value); 4] = [
            (const { LAYOUT_TOP.next_pc_low._super.offset }, |cycle| cycle.pc & 0xffff),
            (const { LAYOUT_TOP.next_pc_high._super.offset }, |cycle| cycle.pc >> 16),
            (const { LAYOUT_TOP.next_state_0._super.offset }, |cycle| cycle.state),
            (const { LAYOUT_TOP.next_machine_mode._super.offset }, |cycle| {
                cycle.machine_mode.into()
            }),
        ];
        for (column, value) in columns {
            let words = self.words[column * self.rows..][..self.rows].par_iter_mut();
            words.zip(cycles).for_each(|(word, cycle)| *word = montgomery(value(cycle)));
        }
        let numbers = const { LAYOUT_TOP.cycle._super.offset };
        for (word, row) in self.words[numbers * self.rows..][..self.rows].iter_mut().zip(0..) {
            *word = montgomery(row);
        }
    }

    /// The state of the accelerator that a row is of.
    pub(super) fn inject_back(&mut self, row: usize, back: &Back) {
        match back {
            Back::None => {}
            Back::Ecall(s0, s1, s2) => {
                self.set(row, const { ECALL.s0._super.offset }, *s0);
                self.set(row, const { ECALL.s1._super.offset }, *s1);
                self.set(row, const { ECALL.s2._super.offset }, *s2);
            }
            Back::Poseidon2(state) => {
                self.set_all(row, Poseidon2State::offsets(), state.as_array());
            }
            Back::Sha2(state) => {
                self.set_all(row, Sha2State::fp_offsets(), state.fp_array());
                for (column, word) in Sha2State::u32_offsets().into_iter().zip(state.u32_array()) {
                    for bit in 0..32 {
                        self.set(row, column + bit, (word >> bit) & 1);
                    }
                }
            }
            Back::BigInt(state) => self.set_all(row, BigIntState::offsets(), state.as_array()),
        }
    }

    fn set_all<const N: usize>(&mut self, row: usize, columns: [usize; N], values: [u32; N]) {
        for (column, value) in columns.into_iter().zip(values) {
            self.set(row, column, value);
        }
    }
}

/// A number in Montgomery form.
pub(super) fn montgomery(value: u32) -> u32 {
    Val::from(value).as_u32_montgomery()
}
