//! Number-theoretic transforms of a matrix's columns: what `risc0_zkp`'s `CpuHal` computes, value for value.
//!
//! Evaluations are in natural order, coefficients in bit-reversed order, as RISC Zero keeps them: row `i` of
//! a column of coefficients belongs to the power `bit_reverse(i)`. So interpolation decimates in frequency,
//! evaluation in time, and neither ever permutes memory.
//!
//! A column is touched twice, whatever its size up to 2^20: it is cut into *blocks* (`block`), all of whose
//! layers run inside the first-level cache, and into *tiles* (`tile`), strips one cache line wide across
//! all blocks, that do up to eight of the layers that join blocks. What else the prover wants of a column rides
//! along without a pass of its own: the shift `f(x) -> f(3x)` and the division by the size are part of the
//! twiddle factors (`plan`), and the layers that only copy coefficients into an expanded column are part
//! of loading them.
//!
//! Columns are spread over the threads of the current rayon pool; a single column is one thread's work.

mod block;
mod plan;
mod radix;
mod reverse;
mod sample;
mod tile;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use risc0_core::field::baby_bear::BabyBearElem as Elem;

use self::plan::{Kind, Plan};
use crate::poly::{Order, powers_into};
use crate::vector::{Isa, Kernel, P, Vector, dispatch};

/// Coefficients in a column below which vectors do not pay: shorter ones run on scalars.
///
/// A block must hold two vectors of every width, and an expanded one is loaded from one vector of
/// coefficients: 32 rows would do.
const VECTOR_ROWS_MIN: usize = 64;

/// Bytes of evaluations from which on they are written past the caches: what is smaller may still be in the
/// second- or third-level cache when it is hashed.
const STREAMING_BYTES_MIN: usize = 8 << 20;

/// What RISC Zero multiplies `x` with, so that no query reveals a value of the trace.
const ZK_SHIFT: u32 = 3;

/// Where the values of a column's polynomial are known. With n rows and w the root of unity of order n:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Points {
    /// Row `i` is the value at w^i / 3: a column of the trace, whose polynomial `f` is committed to as `f(3x)`.
    Trace,
    /// Row `i` is row `4 i + coset` of the domain four times as large.
    Coset(usize),
}

/// Replaces each column's evaluations by the coefficients of the polynomial through them.
///
/// `CpuHal::batch_interpolate_ntt`. Row `i` of the result belongs to the power `bit_reverse(i)`.
///
/// # Panics
/// If `rows` isn't a power of two up to 2^27, or `matrix` isn't whole columns of it.
pub fn interpolate(isa: Isa, matrix: &mut [u32], rows: usize) {
    interpolate_from(isa, matrix, rows, Points::Coset(0));
}

/// [`interpolate`], then [`zk_shift`], for the price of the first.
///
/// # Panics
/// As [`interpolate`].
pub fn interpolate_shift(isa: Isa, matrix: &mut [u32], rows: usize) {
    interpolate_from(isa, matrix, rows, Points::Trace);
}

/// Replaces each column's values at `points` by the coefficients of the polynomial through them.
///
/// # Panics
/// As [`interpolate`], or if `points` are a coset that isn't below four.
pub fn interpolate_from(isa: Isa, matrix: &mut [u32], rows: usize, points: Points) {
    check(matrix, rows);
    interpolate_words(isa, matrix, rows, points);
}

/// As [`interpolate_shift`], of words that need not be elements. Only who compares proofs with those of a prover that has
/// such words wants this: they count modulo [`P`] as long as no sum or difference overflows, and then for nothing.
///
/// # Panics
/// As [`interpolate`].
pub fn interpolate_shift_any(isa: Isa, matrix: &mut [u32], rows: usize) {
    check_shape(matrix.len(), rows);
    interpolate_words(isa, matrix, rows, Points::Trace);
}

fn interpolate_words(isa: Isa, matrix: &mut [u32], rows: usize, points: Points) {
    let plan = Plan::get(Kind::interpolation(points), rows.trailing_zeros());
    let isa = narrow(isa, rows);
    matrix
        .par_chunks_exact_mut(rows)
        .for_each(|column| dispatch(isa, Interpolate { column, plan }));
}

/// Evaluates each column's polynomial on `rows << expand_bits` points: row `i` of `out` is its value at
/// the `i`-th power of their root of unity.
///
/// `CpuHal::batch_expand_into_evaluate_ntt`. `coeffs` are in bit-reversed order; what `out` held does not
/// matter. A large `out` that begins on the border of a cache line (64 bytes) is written past the caches, which
/// takes a third off the time.
///
/// # Panics
/// If `rows << expand_bits` isn't a power of two up to 2^27, `coeffs` isn't whole columns of `rows`, or
/// `out` isn't `coeffs.len() << expand_bits` long.
pub fn expand_evaluate(isa: Isa, out: &mut [u32], coeffs: &[u32], rows: usize, expand_bits: u32) {
    check(coeffs, rows);
    assert_eq!(
        out.len(),
        coeffs.len() << expand_bits,
        "out must have room for the expanded columns"
    );
    evaluate(isa, out, coeffs, rows, Kind::Evaluate, expand_bits);
}

/// Evaluates each column's polynomial on one coset of the domain expanded four times: row `i` of `out`
/// is row `4 i + coset` of what [`expand_evaluate`] with two bits gives.
///
/// A prover short of memory hashes and checks coset by coset.
///
/// # Panics
/// As [`expand_evaluate`], for no bits; or if `coset` isn't below four.
pub fn evaluate_coset(isa: Isa, out: &mut [u32], coeffs: &[u32], rows: usize, coset: usize) {
    evaluate_at(isa, out, coeffs, rows, Points::Coset(coset));
}

/// Evaluates each column's polynomial at `points` into `out`.
///
/// # Panics
/// As [`evaluate_coset`].
pub fn evaluate_at(isa: Isa, out: &mut [u32], coeffs: &[u32], rows: usize, points: Points) {
    check(coeffs, rows);
    assert_eq!(out.len(), coeffs.len(), "there are as many values as coefficients");
    evaluate(isa, out, coeffs, rows, Kind::evaluation(points), 0);
}

/// Replaces each column's coefficients by its polynomial's values at `points`.
///
/// # Panics
/// As [`interpolate_from`].
pub fn evaluate_in_place(isa: Isa, matrix: &mut [u32], rows: usize, points: Points) {
    check(matrix, rows);
    let plan = Plan::get(Kind::evaluation(points), rows.trailing_zeros());
    let isa = narrow(isa, rows);
    let streaming = size_of_val(matrix) >= STREAMING_BYTES_MIN;
    matrix.par_chunks_exact_mut(rows).for_each_init(Scratch::default, |scratch, column| {
        dispatch(
            isa,
            Evaluate { out: column, coeffs: None, plan, expand_bits: 0, scratch, streaming },
        );
    });
}

/// Replaces each column's values at the points `from` by those at the points `to`: interpolates and evaluates, for a
/// prover that has room for one of them alone.
///
/// # Panics
/// As [`interpolate_from`].
pub fn move_values(isa: Isa, matrix: &mut [u32], rows: usize, from: Points, to: Points) {
    check(matrix, rows);
    let log_rows = rows.trailing_zeros();
    let inverse = Plan::get(Kind::interpolation(from), log_rows);
    let plan = Plan::get(Kind::evaluation(to), log_rows);
    let isa = narrow(isa, rows);
    let streaming = size_of_val(matrix) >= STREAMING_BYTES_MIN;
    matrix.par_chunks_exact_mut(rows).for_each_init(Scratch::default, |scratch, column| {
        dispatch(isa, Interpolate { column: &mut *column, plan: inverse });
        let coeffs = None;
        dispatch(isa, Evaluate { out: column, coeffs, plan, expand_bits: 0, scratch, streaming });
    });
}

/// Values of each column's polynomial at a few points: for each of `columns` a word in `out` for each of `wanted`, which
/// are rows of the values at some points.
///
/// # Panics
/// As [`evaluate_at`], or if a row isn't below `rows`, or `out` hasn't as many words as are wanted of all columns.
pub fn sample(isa: Isa, out: &mut [u32], columns: &[u32], rows: usize, wanted: &[(Points, usize)]) {
    check(columns, rows);
    assert_eq!(out.len(), columns.len() / rows * wanted.len(), "what is wanted of each column");
    if wanted.is_empty() {
        return;
    }
    let parts = &sample::Parts::new(rows, wanted);
    let isa = narrow(isa, rows);
    let columns = columns.par_chunks_exact(rows);
    out.par_chunks_exact_mut(wanted.len()).zip(columns).for_each_init(
        sample::Room::default,
        |room, (out, coeffs)| {
            parts.pick(isa, out, coeffs, room);
        },
    );
}

fn evaluate(isa: Isa, out: &mut [u32], coeffs: &[u32], rows: usize, kind: Kind, expand_bits: u32) {
    let plan = Plan::get(kind, rows.trailing_zeros() + expand_bits);
    let isa = narrow(isa, rows);
    let streaming = size_of_val(out) >= STREAMING_BYTES_MIN;
    out.par_chunks_exact_mut(rows << expand_bits).zip(coeffs.par_chunks_exact(rows)).for_each_init(
        Scratch::default,
        |scratch, (out, coeffs)| {
            let coeffs = Some(coeffs);
            dispatch(isa, Evaluate { out, coeffs, plan, expand_bits, scratch, streaming });
        },
    );
}

/// Turns the coefficients of each `f(x)` into those of `f(3x)`. `CpuHal::zk_shift`.
///
/// # Panics
/// As [`interpolate`].
pub fn zk_shift(isa: Isa, matrix: &mut [u32], rows: usize) {
    check(matrix, rows);
    let mut factors = vec![0; rows];
    powers_into(isa, &mut factors, Elem::new(ZK_SHIFT), Order::BitReversed);
    matrix
        .par_chunks_exact_mut(rows)
        .for_each(|column| dispatch(isa, Multiply { column, factors: &factors }));
}

/// Permutes the rows of each column: row `i` goes where `i` with its bits reversed says.
/// `CpuHal::batch_bit_reverse`.
///
/// # Panics
/// As [`interpolate`].
pub fn bit_reverse(isa: Isa, matrix: &mut [u32], rows: usize) {
    check_shape(matrix.len(), rows);
    // Squares of lanes need as many rows.
    let isa = if rows < isa.lanes() * isa.lanes() { Isa::Scalar } else { isa };
    matrix
        .par_chunks_exact_mut(rows)
        .for_each(|column| dispatch(isa, reverse::BitReverse { column }));
}

/// What a transform takes: whole columns of field elements.
fn check(matrix: &[u32], rows: usize) {
    check_shape(matrix.len(), rows);
    debug_assert!(
        matrix.iter().all(|&word| word < P),
        "a word is not an element in Montgomery form"
    );
}

fn check_shape(len: usize, rows: usize) {
    assert!(
        rows.is_power_of_two() && rows.trailing_zeros() <= plan::LOG_SIZE_MAX,
        "{rows} rows: must be a power of two up to 2^{}",
        plan::LOG_SIZE_MAX
    );
    assert_eq!(len % rows, 0, "{len} words are not whole columns of {rows} rows");
}

/// The ISA that columns of `rows` coefficients are transformed with.
fn narrow(isa: Isa, rows: usize) -> Isa {
    if rows < VECTOR_ROWS_MIN { Isa::Scalar } else { isa }
}

struct Interpolate<'a> {
    column: &'a mut [u32],
    plan: &'a Plan,
}

impl Kernel for Interpolate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for stage in self.plan.stages().iter().rev() {
            tile::run::<V, false>(self.column, stage);
        }
        for block in self.column.chunks_exact_mut(self.plan.block_size()) {
            block::inverse::<V>(block, self.plan);
        }
    }
}

struct Evaluate<'a> {
    out: &'a mut [u32],
    /// `None`: they are in `out`.
    coeffs: Option<&'a [u32]>,
    plan: &'a Plan,
    expand_bits: u32,
    scratch: &'a mut Scratch,
    streaming: bool,
}

impl Kernel for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Evaluate { out, coeffs, plan, expand_bits, scratch, streaming } = self;
        let Some((first, others)) = plan.stages().split_first() else {
            return V::apart(block::Forward { block: out, coeffs, plan, expand_bits });
        };
        let stride = tile::scratch_stride(first);
        let words = scratch.words(stride << first.log_rows);
        let size = first.stride << first.log_rows;
        for (part, out) in out.chunks_exact_mut(size).enumerate() {
            let size = size >> expand_bits;
            let coeffs = coeffs.map_or(&*out, |coeffs| &coeffs[part * size..][..size]);
            let coeffs = coeffs.chunks_exact(first.stride >> expand_bits);
            for (row, coeffs) in words.chunks_exact_mut(stride).zip(coeffs) {
                let (block, coeffs) = (&mut row[..first.stride], Some(coeffs));
                V::apart(block::Forward { block, coeffs, plan, expand_bits });
            }
            tile::run_from::<V>(words, out, first, streaming);
        }
        for stage in others {
            tile::run::<V, true>(out, stage);
        }
    }
}

/// Room for the blocks that a stage joins, on a cache line's border.
#[derive(Default)]
struct Scratch(Vec<u32>);

impl Scratch {
    fn words(&mut self, count: usize) -> &mut [u32] {
        const LINE_WORDS: usize = tile::LINE_BYTES / size_of::<u32>();
        if self.0.len() < count + LINE_WORDS {
            self.0 = vec![0; count + LINE_WORDS];
        }
        let skip = self.0.as_ptr().align_offset(tile::LINE_BYTES);
        &mut self.0[skip..skip + count]
    }
}

struct Multiply<'a> {
    column: &'a mut [u32],
    factors: &'a [u32],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let whole = self.column.len() / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            V::read(self.column, at).mul(V::read(self.factors, at)).write(self.column, at);
        }
        for (word, factor) in self.column[whole..].iter_mut().zip(&self.factors[whole..]) {
            *word = (Elem::new_raw(*word) * Elem::new_raw(*factor)).as_u32_montgomery();
        }
    }
}
