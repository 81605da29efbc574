//! The trace of a list of permutations: all data columns, and the globals.
//!
//! How rows follow from one another does not depend on the data, so what only the [schedule](super::schedule) says is made
//! once and copied. What does depend on it is computed for the rows of one permutation at a time, which then go to their
//! columns together: bits of a word become elements by shifts and masks that compilers turn into vectors, and writes run
//! along columns. The one thing that permutations hand on is the state of SHA-256, which is computed first.

use rayon::prelude::*;
use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

use super::block::{Block, ONE, Run, element, halves};
use super::layout::{
    BITS, CARRIED_DIGEST, COLUMNS, CONTROL, CONTROL_COLUMNS, CYCLE, CYCLE_INVERSE, FLAGS, IS_FIRST,
    KIND, TRANSITION,
};
use super::schedule::{self, Control, ROWS};
use super::sha::{self, Digest, STATE_WORDS};
use super::walk::digest_after;
use super::{GLOBALS, KeccakError, State, permutations_max};

/// The first row of the first permutation.
const FIRST_ROW: usize = 1;

/// Shares of the trace that threads take one after the other: enough for all to end at about the same time, and few
/// enough for their lists of columns to stay under two megabytes.
const SHARES: usize = 64;

/// The trace of a list of permutations.
pub(super) struct Trace<'a> {
    po2: usize,
    inputs: &'a [State],
    /// The state of SHA-256 before each permutation, and after the last.
    digests: Vec<Digest>,
}

impl<'a> Trace<'a> {
    /// The trace of the permutations of `inputs`, in 2^po2 rows.
    ///
    /// # Errors
    /// When there are none, or too many for the rows.
    pub fn new(inputs: &'a [State], po2: usize) -> Result<Self, KeccakError> {
        let (count, count_max) = (inputs.len(), permutations_max(po2)?);
        if !(1..=count_max).contains(&count) {
            return Err(KeccakError::Count { count, count_max, po2 });
        }
        let mut digests = vec![sha::INITIAL];
        let mut digest = sha::INITIAL;
        for lanes in inputs {
            digest = digest_after(lanes, &digest);
            digests.push(digest);
        }
        Ok(Self { po2, inputs, digests })
    }

    /// The globals: what all lanes hash to, by halves of words, and the count of rows.
    pub fn globals(&self) -> [u32; GLOBALS] {
        let mut globals = [element(1 << self.po2); GLOBALS];
        for (global, word) in globals.as_chunks_mut().0.iter_mut().zip(self.last_digest()) {
            *global = halves(word);
        }
        globals
    }

    /// Fills all [`COLUMNS`] data columns of 2^po2 rows, each word of them, on all threads of the current rayon pool.
    ///
    /// # Panics
    /// When `data` is of another size.
    pub fn fill(&self, data: &mut [u32]) {
        let rows = 1 << self.po2;
        assert_eq!(data.len(), COLUMNS * rows, "words of the data columns");
        let template = Template::new();
        self.fill_outside(data, &template);

        let share_permutations = self.inputs.len().div_ceil(SHARES);
        let shares = shares(data, rows, self.inputs.len(), share_permutations * ROWS);
        let inputs = self.inputs.par_chunks(share_permutations);
        let digests = self.digests.par_chunks(share_permutations);
        shares.into_par_iter().zip(inputs).zip(digests).for_each_init(
            || Box::new(Block::default()),
            |block, ((mut columns, inputs), digests)| {
                for ((at, lanes), digest) in inputs.iter().enumerate().zip(digests) {
                    block.walk(lanes, digest, &template.controls);
                    template.write(&mut columns, at * ROWS);
                    block.write(&mut columns, at * ROWS);
                }
            },
        );
        // No permutation comes before the first.
        for column in data[TRANSITION * rows..FLAGS * rows].chunks_exact_mut(rows) {
            column[FIRST_ROW] = 0;
        }
    }

    /// Fills the rows before and after the permutations, and the columns that count rows.
    fn fill_outside(&self, data: &mut [u32], template: &Template) {
        let rows = 1 << self.po2;
        let end = FIRST_ROW + self.inputs.len() * ROWS;
        let last = template.controls[ROWS - 1];
        let init = quiet_row(Control::INIT, Control::SHUTDOWN, &sha::INITIAL);
        let first_after = quiet_row(Control::SHUTDOWN, last, &self.last_digest());
        let after = quiet_row(Control::SHUTDOWN, Control::SHUTDOWN, &self.last_digest());
        data.par_chunks_exact_mut(rows).enumerate().for_each(|(at, column)| match at {
            CYCLE => {
                for (cell, row) in column.iter_mut().zip(0..) {
                    *cell = element(row);
                }
            }
            IS_FIRST => {
                column.fill(0);
                column[0] = ONE;
            }
            CYCLE_INVERSE => {
                column[0] = 0;
                fill_inverses(&mut column[1..], 1);
            }
            _ => {
                column[0] = init[at];
                column[end..].fill(after[at]);
                column[end] = first_after[at];
            }
        });
    }

    fn last_digest(&self) -> Digest {
        self.digests[self.inputs.len()]
    }
}

/// What is the same for all permutations.
struct Template {
    controls: Vec<Control>,
    /// Columns by their place, where no flags are.
    columns: Vec<(usize, Run)>,
}

impl Template {
    fn new() -> Self {
        let controls = schedule::permutation();
        let mut columns: Vec<_> =
            (KIND..BITS).chain(TRANSITION..FLAGS).map(|column| (column, [0; ROWS])).collect();
        // A permutation follows upon another; what comes before the first is put right elsewhere.
        let mut before = controls[ROWS - 1];
        for (row, &control) in controls.iter().enumerate() {
            let cells = quiet_row(control, before, &[0; STATE_WORDS]);
            for (column, run) in &mut columns {
                run[row] = cells[*column];
            }
            before = control;
        }
        // Of the row that reads: another permutation it is.
        let more =
            Control::transition(controls[ROWS - 1], true).map(|cell| cell.as_u32_montgomery());
        for (column, run) in &mut columns {
            if let Some(at) = column.checked_sub(TRANSITION) {
                run[0] = more[at];
            }
        }
        Self { controls, columns }
    }

    fn write(&self, columns: &mut [&mut [u32]], at: usize) {
        for (column, run) in &self.columns {
            columns[*column][at..at + ROWS].copy_from_slice(run);
        }
    }
}

/// A row whose words are 0 and that carries no lanes on, but for the columns that count rows; nothing comes after it.
fn quiet_row(control: Control, before: Control, digest: &Digest) -> [u32; COLUMNS] {
    let mut cells = [0; COLUMNS];
    cells[KIND + control.kind as usize] = ONE;
    for (cell, number) in cells[CONTROL..][..CONTROL_COLUMNS].iter_mut().zip(control.numbers()) {
        *cell = element(number as u32);
    }
    let transition = Control::transition(before, false);
    for (cell, value) in cells[TRANSITION..FLAGS].iter_mut().zip(transition) {
        *cell = value.as_u32_montgomery();
    }
    for (cells, &word) in cells[CARRIED_DIGEST..CYCLE].as_chunks_mut().0.iter_mut().zip(digest) {
        *cells = halves(word);
    }
    cells
}

/// The cells of the permutations, cut so that each share has `share_rows` of them, the last one what is left.
fn shares(
    data: &mut [u32],
    rows: usize,
    permutations: usize,
    share_rows: usize,
) -> Vec<Vec<&mut [u32]>> {
    let used = FIRST_ROW..FIRST_ROW + permutations * ROWS;
    let mut shares: Vec<_> =
        (0..used.len().div_ceil(share_rows)).map(|_| Vec::with_capacity(COLUMNS)).collect();
    for column in data.chunks_exact_mut(rows) {
        for (share, cells) in shares.iter_mut().zip(column[used.clone()].chunks_mut(share_rows)) {
            share.push(cells);
        }
    }
    shares
}

/// Fills `cells` with the inverses of `first`, the number after it, and so on: with one inversion.
fn fill_inverses(cells: &mut [u32], first: u32) {
    let mut product = Elem::ONE;
    for (cell, number) in cells.iter_mut().zip(first..) {
        *cell = product.as_u32_montgomery();
        product *= Elem::new(number);
    }
    let mut inverse = product.inv();
    for (at, cell) in cells.iter_mut().enumerate().rev() {
        *cell = (Elem::new_raw(*cell) * inverse).as_u32_montgomery();
        inverse *= Elem::new(first + at as u32);
    }
}
