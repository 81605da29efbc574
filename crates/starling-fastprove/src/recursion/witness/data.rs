//! The data columns: what each row reads, computes and writes.
//!
//! A thread fills 32 rows at a time, in a block that stays in its L1 cache, and then copies each column's part of the
//! block to the trace: going down the rows there, every cell of a row would be a megabyte away from the next, and
//! in the same few cache sets.

use rayon::prelude::*;
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};

use super::uses::{Firsts, SortedUses};
use super::{Noise, Share, shares};
use crate::circuits::{GroupKind, RECURSION};
use crate::recursion::machine::poseidon2::{self, State};
use crate::recursion::machine::sha::{Sha, ShaRow, Word};
use crate::recursion::machine::{Run, halves, message_word, operands};
use crate::recursion::program::Program;
use crate::recursion::row::{DIGEST_ELEMENTS, GLOBAL_READS, Micro, MicroOp, Row};

/// Columns of the group.
pub(crate) const DATA_COLUMNS: usize = 128;

/// Rows of a block: 16 KiB, half of a small L1 cache.
const BLOCK_ROWS: usize = 32;

/// A value of the memory takes a column for its address, and one for each element.
const USE_COLUMNS: usize = 5;

/// Where the columns of each kind of row are. The circuit calls these its layout; a row of one kind overlays those of
/// all others.
mod column {
    /// The last use, in the order of addresses, up to this row.
    pub const LAST_USE: usize = 0;
    /// The values that a row of micro operations or of Poseidon2 uses, and the same number in order of addresses.
    pub const USES: usize = 5;
    pub const SORTED_USES: usize = 50;
    /// Which micro operation, 12 columns apart for the three of a row.
    pub const MICRO_DECODE: usize = 90;
    pub const MICRO_EXTRA: usize = 101;
    pub const MICRO_STRIDE: usize = 12;
    /// Macro operations but for those on globals.
    pub const MACRO_USES: usize = 11;
    pub const BIT_SORTED_USES: usize = 26;
    pub const BITS: usize = 36;
    pub const BIT_OP_RIGHT: usize = 68;
    pub const SHA_CARRIES: usize = 5;
    pub const SHA_SORTED_USES: usize = 21;
    pub const SHA_A: usize = 26;
    pub const SHA_E: usize = 60;
    pub const SHA_W: usize = 94;
    /// Behind the bits of each of those words.
    pub const SHA_SUM: usize = 32;
    pub const GLOBAL_SELECT: usize = 11;
    pub const GLOBAL_USES: usize = 15;
    pub const GLOBAL_SORTED_USES: usize = 35;
    pub const STATE: usize = 90;
    /// Rows of Poseidon2's rounds.
    pub const FULL_FOURTH: usize = 5;
    pub const FULL_MIDDLE: usize = 29;
    pub const FULL_MIDDLE_FOURTH: usize = 53;
    pub const PARTIAL_FIRST: usize = 5;
    pub const PARTIAL_FOURTH: usize = 29;
}

/// Bits of an element.
const ELEMENT_BITS: usize = 31;

/// Fills `columns`, all data columns of the trace of `run`, and `noise` below it.
pub(crate) fn fill(program: &Program, run: &Run, noise: &Noise, columns: &mut [u32]) {
    let (column_len, rows) = (1 << program.po2(), program.rows().len());
    noise.fill_below(RECURSION.group(GroupKind::Data), columns, column_len, rows);
    let firsts = Firsts::new(&run.uses);
    shares(columns, column_len, rows, program.starts())
        .into_par_iter()
        .for_each(|share| Filler::new(run, &firsts, share.start.uses).fill(program, share));
}

/// Fills rows one after the other.
struct Filler<'a> {
    memory: &'a [Ext],
    sorted: SortedUses<'a>,
    /// Whether the memory was used in this row or before.
    used: bool,
    state: State,
    sha: Sha,
    block: Box<[[u32; BLOCK_ROWS]; DATA_COLUMNS]>,
    /// The row of the block.
    at: usize,
}

impl<'a> Filler<'a> {
    fn new(run: &'a Run, firsts: &Firsts, uses_before: usize) -> Self {
        Self {
            memory: &run.memory,
            sorted: firsts.uses_from(&run.uses, uses_before),
            used: uses_before > 0,
            state: [Elem::ZERO; _],
            sha: Sha::default(),
            block: Box::new([[0; BLOCK_ROWS]; DATA_COLUMNS]),
            at: 0,
        }
    }

    fn fill(&mut self, program: &Program, mut share: Share<'_>) {
        let len = share.columns[0].len();
        let rows = &program.rows()[share.start.row..][..len];
        for (block, rows) in rows.chunks(BLOCK_ROWS).enumerate() {
            self.block.fill([0; BLOCK_ROWS]);
            for (at, row) in rows.iter().enumerate() {
                self.at = at;
                self.row(row);
            }
            for (column, block_column) in share.columns.iter_mut().zip(self.block.iter()) {
                column[block * BLOCK_ROWS..][..rows.len()]
                    .copy_from_slice(&block_column[..rows.len()]);
            }
        }
    }

    fn row(&mut self, row: &Row) {
        match *row {
            Row::Micro { write, ref ops } => {
                for (index, (micro, write)) in ops.iter().zip(write..).enumerate() {
                    self.micro(index, micro, write);
                }
                self.sorted_uses(column::SORTED_USES, row);
            }
            Row::Nop => self.last_use(),
            Row::WomInit => {}
            Row::WomFini { end } => self.set(column::MACRO_USES, Elem::new(end)),
            Row::BitAnd { write, inputs } => {
                let values = self.macro_uses([inputs[0], inputs[1], write]);
                for (side, value) in values[..2].iter().enumerate() {
                    let word = value.elems()[0].as_u32();
                    for bit in 0..ELEMENT_BITS {
                        self.set_bit(column::BITS + 2 * bit + side, word >> bit);
                    }
                }
                self.sorted_uses(column::BIT_SORTED_USES, row);
            }
            Row::BitOpShorts { write, inputs, .. } => {
                let values = self.macro_uses([inputs[0], inputs[1], write]);
                for (base, value) in [column::BITS, column::BIT_OP_RIGHT].into_iter().zip(values) {
                    let word = halves(value);
                    self.set_bits(base, word.low & 0xffff | word.high << 16);
                }
                self.sorted_uses(column::BIT_SORTED_USES, row);
            }
            Row::ShaInit { a, e } => {
                let [a, e] = self.macro_uses([a, e]).map(halves);
                let cells = self.sha.init(a, e);
                self.sha_row(row, &cells);
            }
            Row::ShaLoad { word, constant, shorts } => {
                let [word, constant] = self.macro_uses([word, constant]);
                let cells = self.sha.load(message_word(word, shorts), halves(constant));
                self.sha_row(row, &cells.expect("the machine ran these rows in this order"));
            }
            Row::ShaMix { constant } => {
                let [_, constant] = self.macro_uses([0, constant]);
                let cells = self.sha.mix(halves(constant));
                self.sha_row(row, &cells.expect("the machine ran these rows in this order"));
            }
            Row::ShaFini { a, e } => {
                self.macro_uses([a, e]);
                let cells = self.sha.fini();
                self.sha_row(row, &cells.expect("the machine ran these rows in this order"));
            }
            Row::SetGlobal { first, digest } => {
                self.set(column::GLOBAL_SELECT + usize::from(digest), Elem::ONE);
                for (index, address) in (first..).take(GLOBAL_READS).enumerate() {
                    self.use_value(column::GLOBAL_USES + USE_COLUMNS * index, address);
                }
                self.sorted_uses(column::GLOBAL_SORTED_USES, row);
            }
            Row::PoseidonLoad(ref load) => {
                let mut digest = [Elem::ZERO; DIGEST_ELEMENTS];
                for (index, address) in load.inputs.into_iter().enumerate() {
                    let value = self.use_value(column::USES + USE_COLUMNS * index, address);
                    digest[index] = value.elems()[0];
                }
                poseidon2::load(&mut self.state, load, digest);
                self.leave_state();
                self.sorted_uses(column::SORTED_USES, row);
            }
            Row::PoseidonFull { pair } => {
                let cells = poseidon2::full(&mut self.state, pair);
                self.set_all(column::FULL_FOURTH, &cells.fourth);
                self.set_all(column::FULL_MIDDLE, &cells.middle);
                self.set_all(column::FULL_MIDDLE_FOURTH, &cells.middle_fourth);
                self.leave_state();
                self.last_use();
            }
            Row::PoseidonPartial => {
                let cells = poseidon2::partial(&mut self.state);
                self.set_all(column::PARTIAL_FIRST, &cells.first);
                self.set_all(column::PARTIAL_FOURTH, &cells.fourth);
                self.leave_state();
                self.last_use();
            }
            Row::PoseidonStore { write, .. } => {
                for (index, address) in (write..).take(DIGEST_ELEMENTS).enumerate() {
                    self.use_value(column::USES + USE_COLUMNS * index, address);
                }
                self.leave_state();
                self.sorted_uses(column::SORTED_USES, row);
            }
        }
    }

    fn micro(&mut self, index: usize, micro: &Micro, write: u32) {
        let base = column::USES + 3 * USE_COLUMNS * index;
        let shift = column::MICRO_STRIDE * index;
        let [a, b] = operands(self.memory, micro).expect("the machine computed the same address");
        let x = self.use_value(base, a);
        self.use_value(base + USE_COLUMNS, b);
        let written = self.use_value(base + 2 * USE_COLUMNS, write);
        self.set(column::MICRO_DECODE + shift + micro.op as usize, Elem::ONE);
        match micro.op {
            MicroOp::MixRng => self.set(column::MICRO_EXTRA + shift, written.elems()[0]),
            MicroOp::Inv if micro.operands[1] == 0 => {
                self.set(column::MICRO_EXTRA + shift, x.elems()[0].inv());
            }
            _ => {}
        }
    }

    fn sha_row(&mut self, row: &Row, cells: &ShaRow) {
        let ShaRow { a, e, w } = *cells;
        for (index, (base, word)) in
            [(column::SHA_A, a), (column::SHA_E, e), (column::SHA_W, w)].into_iter().enumerate()
        {
            let Word { value, sum, carry } = word;
            self.set_bits(base, value);
            self.set(base + column::SHA_SUM, Elem::new(sum.low));
            self.set(base + column::SHA_SUM + 1, Elem::new(sum.high));
            self.set(column::SHA_CARRIES + 2 * index, Elem::new(carry.low));
            self.set(column::SHA_CARRIES + 2 * index + 1, Elem::new(carry.high));
        }
        self.sorted_uses(column::SHA_SORTED_USES, row);
    }

    /// Uses `addresses` in the columns of macro operations.
    fn macro_uses<const N: usize>(&mut self, addresses: [u32; N]) -> [Ext; N] {
        let mut base = column::MACRO_USES;
        addresses.map(|address| {
            let value = self.use_value(base, address);
            base += USE_COLUMNS;
            value
        })
    }

    fn use_value(&mut self, base: usize, address: u32) -> Ext {
        let value = self.memory[address as usize];
        self.set(base, Elem::new(address));
        self.set_all(base + 1, value.elems());
        value
    }

    /// As many uses in the order of addresses as `row` has: all but the last from column `base` on.
    fn sorted_uses(&mut self, base: usize, row: &Row) {
        for index in 1..row.use_count() {
            let value = self.memory[self.sorted.next()];
            let base = base + USE_COLUMNS * (index - 1);
            self.set(base, self.sorted.encoded());
            self.set_all(base + 1, value.elems());
        }
        self.sorted.next();
        self.used = true;
        self.last_use();
    }

    fn last_use(&mut self) {
        if self.used {
            let value = self.memory[self.sorted.address()];
            self.set(column::LAST_USE, self.sorted.encoded());
            self.set_all(column::LAST_USE + 1, value.elems());
        }
    }

    fn leave_state(&mut self) {
        let state = self.state;
        self.set_all(column::STATE, &state);
    }

    #[inline]
    fn set(&mut self, column: usize, value: Elem) {
        self.block[column][self.at] = value.as_u32_montgomery();
    }

    #[inline]
    fn set_all(&mut self, first: usize, values: &[Elem]) {
        for (index, value) in values.iter().enumerate() {
            self.set(first + index, *value);
        }
    }

    /// The lowest bit of `word`.
    fn set_bit(&mut self, column: usize, word: u32) {
        self.set(column, if word & 1 == 1 { Elem::ONE } else { Elem::ZERO });
    }

    fn set_bits(&mut self, first: usize, word: u32) {
        for bit in 0..u32::BITS as usize {
            self.set_bit(first + bit, word >> bit);
        }
    }
}
