//! Columns that are committed to.

use risc0_zkp::INV_RATE;
use risc0_zkp::core::digest::{DIGEST_WORDS, Digest};
use starling_babybear::ntt::{self, Points};

use super::columns::{Columns, Form};
use super::engine::{Engine, Words};
use super::merkle::Tree;
use super::transcript::Transcript;
use crate::pool::Buffer;

/// Columns of one length: as polynomials, with the Merkle tree that commits to their values over the evaluation
/// domain, and with as much of these values as the engine was told to
/// [keep](super::MemoryPlan::cosets_kept).
///
/// One that is [ready](Group::from_trace) never changes, and may be shared by many proofs: the control group of a
/// recursion program is the same in all of them. Those that a session commits to itself are turned from one form to
/// another as the proof needs them.
#[derive(Debug)]
pub struct Group {
    columns: usize,
    rows: usize,
    content: Content,
    tree: Tree,
}

#[derive(Debug)]
enum Content {
    /// Every word is 0: every coefficient, and every value anywhere.
    Zero,
    Polynomials {
        columns: Columns,
        /// The first cosets of values, each a matrix as large as the columns.
        cosets: Vec<Buffer>,
    },
}

impl Group {
    /// Commits to `columns` columns of a trace, given by their values in each cycle, for as many proofs as share it.
    /// Takes the trace's memory for the coefficients.
    ///
    /// # Panics
    ///
    /// Unless the trace splits into `columns` columns whose length is a power of two.
    pub fn from_trace(engine: &Engine, trace: Buffer, columns: usize) -> Self {
        let mut group = Self::commit_trace(engine, trace, columns, engine.plan().spare_columns);
        group.rest(engine);
        group
    }

    /// As [`Group::from_trace`], but leaves the columns as the last coset of values that was hashed; `spare_max` as in
    /// [`Columns::turn`].
    pub(super) fn commit_trace(
        engine: &Engine,
        trace: Buffer,
        columns: usize,
        spare_max: usize,
    ) -> Self {
        let mut columns = Columns::new(trace, columns, Form::Values(Points::Trace));
        // f(x) becomes f(3x): values over the domain then tell nothing of those in the trace that its random
        // rows do not cover.
        columns.turn(engine, Form::Coefficients, 0);
        Self::commit_columns(engine, columns, engine.plan().cosets_kept, spare_max)
    }

    /// As [`Group::commit_trace`], whatever the words of the trace are.
    pub(super) fn commit_any(
        engine: &Engine,
        trace: Buffer,
        columns: usize,
        spare_max: usize,
    ) -> Self {
        let mut columns = Columns::new(trace, columns, Form::Values(Points::Trace));
        columns.interpolate_any(engine);
        Self::commit_columns(engine, columns, engine.plan().cosets_kept, spare_max)
    }

    /// Commits to `columns` polynomials, given by their bit-reversed coefficients, and keeps no values.
    pub(super) fn from_coefficients(engine: &Engine, coefficients: Buffer, columns: usize) -> Self {
        let columns = Columns::new(coefficients, columns, Form::Coefficients);
        let mut group = Self::commit_columns(engine, columns, 0, engine.plan().spare_columns);
        group.rest(engine);
        group
    }

    fn commit_columns(
        engine: &Engine,
        mut columns: Columns,
        cosets_kept: usize,
        spare_max: usize,
    ) -> Self {
        let (count, rows) = (columns.count(), columns.rows());
        let hasher = engine.hasher();
        let mut leaves = engine.pool().take(INV_RATE * rows * DIGEST_WORDS);
        let (digests, _) = leaves.as_chunks_mut();
        let mut cosets = Vec::with_capacity(cosets_kept);
        for (coset, digests) in digests.chunks_exact_mut(rows).enumerate() {
            if coset < cosets_kept {
                let mut values = engine.pool().take(count * rows);
                let coefficients = columns.matrix(Form::Coefficients);
                ntt::evaluate_coset(engine.isa(), &mut values, coefficients, rows, coset);
                hasher.hash_rows(digests, &values);
                cosets.push(values);
            } else {
                let form = Form::Values(Points::Coset(coset));
                columns.turn(engine, form, spare_max);
                hasher.hash_rows(digests, columns.matrix(form));
            }
        }
        let tree = Tree::build(hasher, digests, INV_RATE);
        Self { columns: count, rows, content: Content::Polynomials { columns, cosets }, tree }
    }

    /// Commits to `columns` columns of `rows` zeros each. Takes neither time nor memory: all leaves of the tree are
    /// equal, and so are all nodes of a layer.
    ///
    /// # Panics
    ///
    /// Unless `rows` is a power of two.
    pub fn zero(engine: &Engine, columns: usize, rows: usize) -> Self {
        assert!(rows.is_power_of_two(), "columns of {rows} rows, not a power of two");
        let hasher = engine.hasher();
        let mut leaf = [Words::default()];
        hasher.hash_block(&mut leaf, &vec![0; columns]);
        let tree = Tree::uniform(hasher, leaf[0], INV_RATE * rows);
        Self { columns, rows, content: Content::Zero, tree }
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

    /// `columns` times `rows` coefficients, each column bit-reversed; nothing where all are zero.
    ///
    /// # Panics
    ///
    /// When the columns are something else at the moment.
    pub(super) fn coefficients(&self) -> Option<&[u32]> {
        match &self.content {
            Content::Zero => None,
            Content::Polynomials { columns, .. } => Some(columns.matrix(Form::Coefficients)),
        }
    }

    /// How many columns' coefficients are put aside.
    pub(super) fn spare_columns(&self) -> usize {
        match &self.content {
            Content::Zero => 0,
            Content::Polynomials { columns, .. } => columns.spare_columns(),
        }
    }

    /// Turns the columns to the trace, its values in each cycle; nothing where all are zero.
    pub(super) fn trace(&mut self, engine: &Engine, spare_max: usize) -> Option<&[u32]> {
        match &mut self.content {
            Content::Zero => None,
            Content::Polynomials { columns, .. } => {
                let form = Form::Values(Points::Trace);
                columns.turn(engine, form, spare_max);
                Some(columns.matrix(form))
            }
        }
    }

    /// Turns the columns to coefficients, and gives back all memory that these do not need.
    pub(super) fn rest(&mut self, engine: &Engine) {
        if let Content::Polynomials { columns, .. } = &mut self.content {
            columns.turn(engine, Form::Coefficients, 0);
        }
    }

    /// Turns the columns to the values in `coset`, unless these are kept.
    pub(super) fn turn(&mut self, engine: &Engine, coset: usize, spare_max: usize) {
        if let Content::Polynomials { columns, cosets } = &mut self.content
            && coset >= cosets.len()
        {
            columns.turn(engine, Form::Values(Points::Coset(coset)), spare_max);
        }
    }

    /// The values in `coset`, to which the group was [turned](Group::turn).
    pub(super) fn turned<'a>(
        &'a self,
        engine: &Engine,
        coset: usize,
        scratch: &'a mut Option<Buffer>,
    ) -> &'a [u32] {
        match &self.content {
            Content::Zero => self.zeros(engine, scratch),
            Content::Polynomials { columns, cosets } => match cosets.get(coset) {
                Some(kept) => kept,
                None => columns.matrix(Form::Values(Points::Coset(coset))),
            },
        }
    }

    /// The values in `coset` of a group that is shared: those kept, or computed again into `scratch`.
    pub(super) fn computed<'a>(
        &'a self,
        engine: &Engine,
        coset: usize,
        scratch: &'a mut Option<Buffer>,
    ) -> &'a [u32] {
        match &self.content {
            Content::Zero => self.zeros(engine, scratch),
            Content::Polynomials { columns, cosets } => {
                if let Some(kept) = cosets.get(coset) {
                    return kept;
                }
                let coefficients = columns.matrix(Form::Coefficients);
                let values = scratch.get_or_insert_with(|| engine.pool().take(coefficients.len()));
                ntt::evaluate_coset(engine.isa(), values, coefficients, self.rows, coset);
                values
            }
        }
    }

    fn zeros<'a>(&self, engine: &Engine, scratch: &'a mut Option<Buffer>) -> &'a [u32] {
        let len = self.columns * self.rows;
        scratch.get_or_insert_with(|| engine.pool().take_filled(len, 0))
    }

    pub(super) fn commit(&self, transcript: &mut Transcript) {
        self.tree.commit(transcript);
    }

    /// Gathers what it takes to open `rows` of the evaluation domain.
    pub(super) fn sample(&self, engine: &Engine, rows: &[usize]) -> Sample<'_> {
        let needed: Vec<usize> = rows.iter().flat_map(|&row| self.tree.neighbours(row)).collect();
        let mut values = vec![0; self.columns * needed.len()];
        if let Content::Polynomials { columns, cosets } = &self.content {
            let places: Vec<(usize, usize)> =
                needed.iter().map(|row| (row % INV_RATE, row / INV_RATE)).collect();
            // What is not kept follows from the coefficients.
            let gone: Vec<usize> =
                (0..places.len()).filter(|&at| places[at].0 >= cosets.len()).collect();
            let wanted: Vec<(Points, usize)> =
                gone.iter().map(|&at| (Points::Coset(places[at].0), places[at].1)).collect();
            let mut sampled = vec![0; self.columns * wanted.len()];
            let coefficients = columns.matrix(Form::Coefficients);
            ntt::sample(engine.isa(), &mut sampled, coefficients, self.rows, &wanted);

            for (column, values) in values.chunks_exact_mut(needed.len()).enumerate() {
                for (value, &(coset, row)) in values.iter_mut().zip(&places) {
                    if let Some(kept) = cosets.get(coset) {
                        *value = kept[column * self.rows + row];
                    }
                }
                for (&at, &word) in gone.iter().zip(&sampled[column * gone.len()..]) {
                    values[at] = word;
                }
            }
        }
        Sample { tree: &self.tree, needed: needed.len(), values }
    }
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
