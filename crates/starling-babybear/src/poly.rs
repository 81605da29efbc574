//! What the prover does with polynomials between committing to them and folding them: evaluate, mix, divide, fold.
//!
//! Values are those of `risc0_zkp`'s `CpuHal`, but an array of extension elements is four *planes* here,
//! one array for each of their words, so that lanes of a vector are rows as everywhere else. Four planes
//! of `rows` words, one after the other, are a polynomial over the extension field; several of those, one
//! after the other, are the *combos* that RISC Zero mixes all columns into.
//!
//! Evaluating and mixing take coefficients in either [`Order`]: RISC Zero reverses all of them into natural
//! order first, which costs a pass over every column that nothing needs.

mod divide;
mod evaluate;
mod extension;
mod fold;
mod mix;
mod powers;
mod tiles;

#[cfg(test)]
mod tests;

pub use divide::{NonZeroRemainder, combos_divide, divide};
pub use evaluate::{Query, evaluate_at};
pub use fold::{FOLD, fri_fold, sum_planes};
pub use mix::{combos_prepare, mix_into};
pub use powers::{powers, powers_into};

/// Words of an extension element, hence planes of an array of them.
pub const PLANES: usize = 4;

/// Which power a coefficient's row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Row `i` belongs to the power `i`.
    Natural,
    /// Row `i` belongs to the power that `i` is with its bits reversed. Interpolation leaves this.
    BitReversed,
}

/// Copies row `row` of a matrix of columns of `rows` words: a word for each column. `CpuHal::gather_sample`.
///
/// # Panics
/// If `row` isn't below `rows`, or `matrix` isn't `out.len()` columns.
pub fn gather_row(out: &mut [u32], matrix: &[u32], rows: usize, row: usize) {
    assert!(row < rows, "row {row} of {rows}");
    assert_eq!(matrix.len(), out.len() * rows, "a word for each column");
    for (word, column) in out.iter_mut().zip(matrix.chunks_exact(rows)) {
        *word = column[row];
    }
}
