//! Columns of a proof in one form at a time.
//!
//! A column is a polynomial: the prover interpolates it from the trace, hashes its values in each coset of the domain,
//! constrains them there once more, and mixes its coefficients. Each form is as large as the trace, and each can be
//! computed from each other, so a prover short of memory has one of them: [`Columns::turn`] transforms in place.
//! Going from values to other values is two transforms then, through the coefficients. With [spare](Columns::turn)
//! room the coefficients of as many columns are put aside, and going on is one transform for these.

use rayon::prelude::*;
use starling_babybear::ntt::{self, Points};

use super::engine::Engine;
use crate::pool::Buffer;

/// What the words of a matrix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Bit-reversed: word `i` of a column is the coefficient of x^rev(i).
    Coefficients,
    /// Values, in natural order.
    Values(Points),
}

/// A matrix of columns, and what it is at the moment.
#[derive(Debug)]
pub(super) struct Columns {
    rows: usize,
    matrix: Buffer,
    form: Form,
    /// The coefficients of the first columns, while these are values in the matrix.
    spare: Option<Buffer>,
}

impl Columns {
    /// # Panics
    ///
    /// Unless the matrix splits into `count` columns whose length is a power of two.
    pub fn new(matrix: Buffer, count: usize, form: Form) -> Self {
        let rows = matrix.len() / count;
        assert_eq!(rows * count, matrix.len(), "a matrix of {count} columns");
        assert!(rows.is_power_of_two(), "columns of {rows} rows, not a power of two");
        Self { rows, matrix, form, spare: None }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn count(&self) -> usize {
        self.matrix.len() / self.rows
    }

    /// How many columns' coefficients are put aside.
    pub fn spare_columns(&self) -> usize {
        self.spare.as_ref().map_or(0, |spare| spare.len() / self.rows)
    }

    /// The words, which must be in `form`.
    pub fn matrix(&self, form: Form) -> &[u32] {
        assert_eq!(self.form, form, "what the columns are at the moment");
        &self.matrix
    }

    /// Transforms the columns. When they cease to be coefficients, those of the first columns are put aside, of at most
    /// `spare_max`; when they become coefficients again, that memory is given back.
    pub fn turn(&mut self, engine: &Engine, to: Form, spare_max: usize) {
        let (isa, rows) = (engine.isa(), self.rows);
        match (self.form, to) {
            (Form::Coefficients, Form::Coefficients) => {}
            (Form::Coefficients, Form::Values(points)) => {
                self.put_aside(engine, spare_max.min(self.count()) * rows);
                let (values, coefficients, rest) = self.split();
                ntt::evaluate_at(isa, values, coefficients, rows, points);
                ntt::evaluate_in_place(isa, rest, rows, points);
            }
            (Form::Values(from), Form::Values(to)) if from == to => {}
            (Form::Values(from), Form::Values(to)) => {
                let (values, coefficients, rest) = self.split();
                ntt::evaluate_at(isa, values, coefficients, rows, to);
                ntt::move_values(isa, rest, rows, from, to);
            }
            (Form::Values(points), Form::Coefficients) => {
                let (_, _, rest) = self.split();
                ntt::interpolate_from(isa, rest, rows, points);
                self.take_back();
            }
        }
        self.form = to;
    }

    /// Turns a trace to coefficients whatever its words are: [`ntt::interpolate_shift_any`].
    pub fn interpolate_any(&mut self, engine: &Engine) {
        assert_eq!(self.form, Form::Values(Points::Trace), "what the columns are at the moment");
        ntt::interpolate_shift_any(engine.isa(), &mut self.matrix, self.rows);
        self.form = Form::Coefficients;
    }

    /// The first columns' values, their coefficients that were put aside, and the other columns.
    fn split(&mut self) -> (&mut [u32], &[u32], &mut [u32]) {
        let aside = self.spare.as_deref().unwrap_or(&[]);
        let (first, rest) = self.matrix.split_at_mut(aside.len());
        (first, aside, rest)
    }

    /// Puts the first `words` coefficients aside; what the matrix has there is garbage then.
    fn put_aside(&mut self, engine: &Engine, words: usize) {
        if words == 0 {
            return;
        }
        let mut spare = engine.pool().take(words);
        if words == self.matrix.len() {
            std::mem::swap(&mut spare, &mut self.matrix);
        } else {
            copy(&mut spare, &self.matrix[..words], self.rows);
        }
        self.spare = Some(spare);
    }

    fn take_back(&mut self) {
        match self.spare.take() {
            Some(spare) if spare.len() == self.matrix.len() => self.matrix = spare,
            Some(spare) => {
                let words = spare.len();
                copy(&mut self.matrix[..words], &spare, self.rows);
            }
            None => {}
        }
    }
}

/// Copies whole columns, on all threads.
fn copy(to: &mut [u32], from: &[u32], rows: usize) {
    to.par_chunks_exact_mut(rows)
        .zip(from.par_chunks_exact(rows))
        .for_each(|(to, from)| to.copy_from_slice(from));
}
