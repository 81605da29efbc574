//! Columns that are committed to.

use rayon::prelude::*;
use risc0_zkp::INV_RATE;
use risc0_zkp::core::digest::{DIGEST_WORDS, Digest};
use starling_babybear::ntt;

use super::engine::Engine;
use super::merkle::Tree;
use super::transcript::Transcript;
use crate::pool::Buffer;

/// Columns of one length: as polynomials, with the Merkle tree that commits to their values over the evaluation
/// domain, and with as much of these values as the engine was told to
/// [keep](Engine::keep_cosets).
///
/// Never changes once made, and may be shared by many proofs: the control group of a recursion program is the same
/// in all of them.
#[derive(Debug)]
pub struct Group {
    columns: usize,
    rows: usize,
    /// Bit-reversed: word `i` of a column is the coefficient of x^rev(i).
    coefficients: Buffer,
    /// The first cosets of values, each a matrix as large as the coefficients.
    cosets: Vec<Buffer>,
    tree: Tree,
}

impl Group {
    /// Commits to `columns` columns of a trace, given by their values in each cycle. Takes the trace's memory for
    /// the coefficients.
    ///
    /// # Panics
    ///
    /// Unless the trace splits into `columns` columns whose length is a power of two.
    pub fn from_trace(engine: &Engine, mut trace: Buffer, columns: usize) -> Self {
        let rows = rows_of(&trace, columns);
        // f(x) becomes f(3x): values over the domain then tell nothing of those in the trace that its random
        // rows do not cover.
        ntt::interpolate_shift(engine.isa(), &mut trace, rows);
        Self::from_coefficients(engine, trace, columns, engine.cosets_kept())
    }

    /// Commits to `columns` polynomials, given by their bit-reversed coefficients, and keeps so many cosets of their
    /// values.
    pub(super) fn from_coefficients(
        engine: &Engine,
        coefficients: Buffer,
        columns: usize,
        cosets_kept: usize,
    ) -> Self {
        let rows = rows_of(&coefficients, columns);
        let hasher = engine.hasher();
        let mut leaves = engine.pool().take(INV_RATE * rows * DIGEST_WORDS);
        let (digests, _) = leaves.as_chunks_mut();
        let mut cosets = Vec::with_capacity(cosets_kept);
        let mut spare = None;
        for (coset, digests) in digests.chunks_exact_mut(rows).enumerate() {
            let mut values = spare.take().unwrap_or_else(|| engine.pool().take(columns * rows));
            ntt::evaluate_coset(engine.isa(), &mut values, &coefficients, rows, coset);
            hasher.hash_rows(digests, &values);
            if coset < cosets_kept {
                cosets.push(values);
            } else {
                spare = Some(values);
            }
        }
        let tree = Tree::build(hasher, digests, INV_RATE);
        Self { columns, rows, coefficients, cosets, tree }
    }

    /// Gives up the evaluations that were kept, and with them up to nine tenths of the group's memory; each proof computes
    /// them again, twice. For groups that wait long for their next proof.
    pub fn forget_evaluations(&mut self) {
        self.cosets.clear();
    }

    /// The commitment: what a program's control ID is for its control group.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows the trace has, not its evaluations.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// `columns` times `rows` coefficients, each column bit-reversed.
    pub fn coefficients(&self) -> &[u32] {
        &self.coefficients
    }

    /// The values in a coset: those kept, or computed again into `scratch`.
    pub(super) fn coset<'a>(
        &'a self,
        engine: &Engine,
        coset: usize,
        scratch: &'a mut Option<Buffer>,
    ) -> &'a [u32] {
        if let Some(kept) = self.cosets.get(coset) {
            return kept;
        }
        let values = scratch.get_or_insert_with(|| engine.pool().take(self.coefficients.len()));
        ntt::evaluate_coset(engine.isa(), values, &self.coefficients, self.rows, coset);
        values
    }

    pub(super) fn commit(&self, transcript: &mut Transcript) {
        self.tree.commit(transcript);
    }

    /// Gathers what it takes to open `rows` of the evaluation domain, and forgets the evaluations.
    pub(super) fn sample(&self, engine: &Engine, rows: &[usize]) -> Sample<'_> {
        let needed: Vec<usize> = rows.iter().flat_map(|&row| self.tree.neighbours(row)).collect();
        let mut values = vec![0; self.columns * needed.len()];
        let cosets_gone = self.cosets.len()..INV_RATE;
        let isa = engine.isa();
        values
            .par_chunks_exact_mut(needed.len())
            .zip(self.coefficients.par_chunks_exact(self.rows))
            .enumerate()
            .for_each_init(
                || if cosets_gone.is_empty() { Vec::new() } else { vec![0; self.rows] },
                |scratch, (column, (values, coefficients))| {
                    let mut gather = |coset: usize, evaluations: &[u32]| {
                        for (value, &row) in values.iter_mut().zip(&needed) {
                            if row % INV_RATE == coset {
                                *value = evaluations[row / INV_RATE];
                            }
                        }
                    };
                    for (coset, evaluations) in self.cosets.iter().enumerate() {
                        gather(coset, &evaluations[column * self.rows..][..self.rows]);
                    }
                    for coset in cosets_gone.clone() {
                        ntt::evaluate_coset(isa, scratch, coefficients, self.rows, coset);
                        gather(coset, scratch);
                    }
                },
            );
        Sample { tree: &self.tree, needed: needed.len(), values }
    }
}

fn rows_of(matrix: &[u32], columns: usize) -> usize {
    let rows = matrix.len() / columns;
    assert_eq!(rows * columns, matrix.len(), "a matrix of {columns} columns");
    assert!(rows.is_power_of_two(), "columns of {rows} rows, not a power of two");
    rows
}

/// The values of a group that the queries will ask for.
pub(super) struct Sample<'a> {
    tree: &'a Tree,
    /// Length of a column of `values`: the neighbours of each queried row, query by query.
    needed: usize,
    values: Vec<u32>,
}

impl Sample<'_> {
    /// Opens `row`, which is what the `query`-th of the sampled rows was.
    pub fn open(&self, engine: &Engine, query: usize, row: usize, transcript: &mut Transcript) {
        let width = self.tree.neighbours(row).len();
        let block: Vec<u32> = self
            .values
            .chunks_exact(self.needed)
            .flat_map(|column| &column[query * width..][..width])
            .copied()
            .collect();
        self.tree.open(engine.hasher(), row, &block, transcript);
    }
}
