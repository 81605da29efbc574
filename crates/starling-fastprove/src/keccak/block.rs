//! The rows of one permutation, word by word, on their way to the columns.

use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::State;
use super::layout::{
    BIT_WORDS, BITS, CARRIED_DIGEST, CARRIED_LANES, CYCLE, FLAG_WORDS, FLAGS, LANE_PIECES,
};
use super::schedule::{Control, ROWS, WRITE_ROW};
use super::sha::{Digest, STATE_WORDS};
use super::walk::{Row, Walk};

/// What a bit that is set is as an element.
pub(super) const ONE: u32 = Elem::ONE.as_u32_montgomery();

/// A word of each of the rows.
pub(super) type Run = [u32; ROWS];

/// The rows of one permutation.
pub(super) struct Block {
    bits: [Run; BIT_WORDS],
    flags: [Run; FLAG_WORDS],
    digests: [Run; STATE_WORDS],
    /// The lanes that are hashed before [`WRITE_ROW`], and from there on.
    lanes: [State; 2],
}

impl Default for Block {
    fn default() -> Self {
        Self {
            bits: [[0; ROWS]; BIT_WORDS],
            flags: [[0; ROWS]; FLAG_WORDS],
            digests: [[0; ROWS]; STATE_WORDS],
            lanes: [[0; BIT_WORDS]; 2],
        }
    }
}

impl Block {
    /// Goes through the permutation of `lanes`, which is hashed on from `digest`.
    pub fn walk(&mut self, lanes: &State, digest: &Digest, controls: &[Control]) {
        let mut walk = Walk::new(*lanes, *digest);
        for (at, &control) in controls.iter().enumerate() {
            let Row { bits, flags, digest } = walk.step(control);
            place(&mut self.bits, at, &bits);
            place(&mut self.flags, at, &flags.0);
            place(&mut self.digests, at, &digest);
        }
        self.lanes = [*lanes, walk.lanes()];
    }

    /// Writes the rows to their columns, `at` being the first.
    pub fn write(&self, columns: &mut [&mut [u32]], at: usize) {
        let rows = at..at + ROWS;
        let spread = |run: &Run, columns: &mut [&mut [u32]]| {
            for (bit, column) in columns.iter_mut().enumerate() {
                for (cell, word) in column[rows.clone()].iter_mut().zip(run) {
                    *cell = 0u32.wrapping_sub(word >> bit & 1) & ONE;
                }
            }
        };
        for (run, columns) in self.bits.iter().zip(columns[BITS..CARRIED_LANES].chunks_mut(32)) {
            spread(run, columns);
        }
        // The last word has more bits than columns.
        for (run, columns) in self.flags.iter().zip(columns[FLAGS..].chunks_mut(32)) {
            spread(run, columns);
        }

        let columns_of_lane = columns[CARRIED_LANES..CARRIED_DIGEST].chunks_exact_mut(LANE_PIECES);
        let [input, output] = &self.lanes;
        for ((columns, input), output) in columns_of_lane.zip(input).zip(output) {
            for (piece, column) in columns.iter_mut().enumerate() {
                let (hashed, written) = column[rows.clone()].split_at_mut(WRITE_ROW);
                let cell = |lane: u64| element((lane >> (16 * piece)) as u32 & 0xffff);
                hashed.fill(cell(*input));
                written.fill(cell(*output));
            }
        }
        let (columns_of_word, _) = columns[CARRIED_DIGEST..CYCLE].as_chunks_mut();
        for ([low, high], run) in columns_of_word.iter_mut().zip(&self.digests) {
            let cells = low[rows.clone()].iter_mut().zip(&mut high[rows.clone()]);
            for ((low, high), &word) in cells.zip(run) {
                [*low, *high] = halves(word);
            }
        }
    }
}

/// A value as an element.
pub(super) fn element(value: u32) -> u32 {
    Elem::new(value).as_u32_montgomery()
}

/// The halves of a word as elements, the lower first.
pub(super) fn halves(word: u32) -> [u32; 2] {
    [element(word & 0xffff), element(word >> 16)]
}

fn place<const WORDS: usize>(runs: &mut [Run; WORDS], at: usize, words: &[u32; WORDS]) {
    for (run, &word) in runs.iter_mut().zip(words) {
        run[at] = word;
    }
}
