//! The accumulator columns of a segment's trace: that all lookups and all memory accesses come out even.
//!
//! Each row adds fractions to a sum that starts with the first row, and shows it in its columns on the way; over all rows
//! it is zero. Rows are cut into chunks, in which threads add up alone; what was before a chunk is added to
//! its cells once all chunks' totals are known.

use rayon::prelude::*;
use starling_babybear::vector::{Isa, P};

use crate::circuits::{GroupKind, RV32IM};
use crate::constraints::{Trace, rv32im_sums};

/// Rows that one thread takes at a time: some blocks for each kind of row, so that few of them are not full, and enough
/// chunks for all threads. Memory: 64 KiB, besides that of the programs.
const CHUNK_ROWS: usize = 4096;

/// Extension elements have so many coordinates.
const COORDINATES: usize = 4;

/// No field element: marks cells that a row's sum does not go through.
const UNSET: u32 = u32::MAX;

/// What cells hold that no constraint speaks of: a row's sum goes through fewer columns than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// Zero.
    Zero,
    /// What the stock prover leaves there, so that seals can be compared: it adds the sum of the rows before to a word of
    /// all ones, as if that were an element, and the result may be none either. Only for tests: transforms of
    /// what is not an element is wrong.
    Stock,
}

/// Fills the running sums' columns of the group `accum` over 2^`po2` rows, from the columns `data` (211 of them), the
/// `globals` (90) and the challenges `mix` (36), on all threads of the current rayon pool. All are in Montgomery form and
/// column-major. The first 23 columns of `accum` are not touched.
///
/// # Panics
///
/// When the shapes are not the circuit's.
pub fn accumulate(
    isa: Isa,
    po2: usize,
    data: &[u32],
    globals: &[u32],
    mix: &[u32],
    accum: &mut [u32],
    unset: Unset,
) {
    let rows = 1 << po2;
    let [of_data, of_accum] = [GroupKind::Data, GroupKind::Accum].map(|kind| RV32IM.group(kind));
    let sums = rv32im_sums();
    assert_eq!(sums.group(), of_accum, "the group of the running sums");
    assert_eq!(data.len(), RV32IM.columns(of_data) * rows, "words of the data columns");
    assert_eq!(accum.len(), RV32IM.columns(of_accum) * rows, "words of the accumulators");
    assert_eq!((globals.len(), mix.len()), (RV32IM.globals, RV32IM.mix), "globals and challenges");

    let mut columns = [[].as_slice(); 3];
    columns[of_data] = data;
    let trace = Trace { isa, rows, groups: &columns, globals: &[globals, mix] };
    let mut chunks = chunks(&mut accum[sums.first_column() * rows..], rows);
    let totals: Vec<[u32; COORDINATES]> = chunks
        .par_iter_mut()
        .enumerate()
        .map(|(at, chunk)| {
            chunk.iter_mut().for_each(|column| column.fill(UNSET));
            sums.add_rows(&trace, at * CHUNK_ROWS, chunk);
            add_up(chunk)
        })
        .collect();
    let mut before = [0; COORDINATES];
    let mut befores = Vec::with_capacity(totals.len());
    for total in totals {
        befores.push(before);
        before = add_elements(before, total);
    }
    let all = before;
    chunks.par_iter_mut().zip(befores).enumerate().for_each(|(at, (chunk, before))| {
        // Before the first row is the last.
        let row_before = if at == 0 { all } else { before };
        add_before(chunk, before, row_before, unset);
    });
}

/// The parts that chunks of rows have of all `columns`.
fn chunks(columns: &mut [u32], rows: usize) -> Vec<Vec<&mut [u32]>> {
    let mut chunks: Vec<Vec<&mut [u32]>> = Vec::new();
    chunks.resize_with(rows.div_ceil(CHUNK_ROWS), Vec::new);
    for column in columns.chunks_exact_mut(rows) {
        for (chunk, part) in chunks.iter_mut().zip(column.chunks_mut(CHUNK_ROWS)) {
            chunk.push(part);
        }
    }
    chunks
}

/// Adds to each row's total those of the rows before in the chunk; the last.
fn add_up(chunk: &mut [&mut [u32]]) -> [u32; COORDINATES] {
    let first = chunk.len() - COORDINATES;
    let mut totals = [0; COORDINATES];
    for (column, sum) in chunk[first..].iter_mut().zip(&mut totals) {
        for word in column.iter_mut() {
            *sum = add(*sum, *word);
            *word = *sum;
        }
    }
    totals
}

/// Adds to each cell the sum of the rows before: `before` the chunk, which the row before shows as `row_before`, and in the
/// chunk.
fn add_before(
    chunk: &mut [&mut [u32]],
    before: [u32; COORDINATES],
    row_before: [u32; COORDINATES],
    unset: Unset,
) {
    let (elements, totals) = chunk.split_at_mut(chunk.len() - COORDINATES);
    for (coordinate, total) in totals.iter_mut().enumerate() {
        for word in total.iter_mut() {
            *word = add(*word, before[coordinate]);
        }
        for column in elements.iter_mut().skip(coordinate).step_by(COORDINATES) {
            let shown = [row_before[coordinate]].into_iter().chain(total.iter().copied());
            for (word, before) in column.iter_mut().zip(shown) {
                *word = match (*word, unset) {
                    (UNSET, Unset::Zero) => 0,
                    (word, _) => add(word, before),
                };
            }
        }
    }
}

fn add_elements(a: [u32; COORDINATES], b: [u32; COORDINATES]) -> [u32; COORDINATES] {
    std::array::from_fn(|at| add(a[at], b[at]))
}

/// The sum of two elements; and of a word of all ones and an element what the stock prover makes of them.
fn add(a: u32, b: u32) -> u32 {
    let sum = a.wrapping_add(b);
    if sum >= P { sum - P } else { sum }
}

#[cfg(test)]
mod tests;
