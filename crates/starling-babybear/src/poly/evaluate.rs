//! Columns at points of the extension field.
//!
//! Many columns are evaluated at few points. Rows are taken a tile at a time; the powers of a point within
//! a tile are the same for all tiles but for one factor, so that a small table of them serves all columns
//! from the second-level cache, and each coefficient is read from memory once.

use rayon::prelude::*;
use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::BabyBearExtElem as Ext;

use super::extension::{ExtVector, Factor, Sum, add, read, sum_lanes, write};
use super::tiles::TILE_ROWS;
use super::{Order, PLANES, powers};
use crate::vector::square::LANES_MAX;
use crate::vector::{Isa, Kernel, Vector, dispatch};

/// One value wanted: that of column `column` at `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Index of the column.
    pub column: usize,
    /// The point.
    pub x: Ext,
}

/// The values of `queries`, in their order, for columns of `rows` coefficients. `CpuHal::batch_evaluate_any`.
///
/// Queries of one column should be neighbours: its coefficients are then read once for all of them.
///
/// # Panics
/// If `rows` isn't a power of two, `coeffs` isn't whole columns of it, or a query's column isn't there.
#[must_use]
pub fn evaluate_at(
    isa: Isa,
    coeffs: &[u32],
    rows: usize,
    queries: &[Query],
    order: Order,
) -> Vec<Ext> {
    assert!(rows.is_power_of_two(), "{rows} rows: must be a power of two");
    assert_eq!(coeffs.len() % rows, 0, "{} words are not whole columns of {rows}", coeffs.len());
    let columns = coeffs.len() / rows;
    let tile_rows = rows.min(TILE_ROWS);
    let tiles = rows / tile_rows;
    // A kernel takes two vectors at a time.
    let isa = if tile_rows < 2 * LANES_MAX { Isa::Scalar } else { isa };

    let mut points: Vec<Ext> = Vec::new();
    let mut wanted = Vec::with_capacity(queries.len());
    for Query { column, x } in queries {
        assert!(*column < columns, "column {column} of {columns}");
        let known = points.iter().position(|point| point == x);
        wanted.push((*column, known.unwrap_or(points.len())));
        if known.is_none() {
            points.push(*x);
        }
    }
    let mut inner = vec![0; points.len() * PLANES * tile_rows];
    let mut outer = vec![0; points.len() * PLANES * tiles];
    for (index, point) in points.iter().enumerate() {
        let (in_tile, of_tiles) = match order {
            Order::Natural => (*point, point.pow(tile_rows)),
            Order::BitReversed => (point.pow(tiles), *point),
        };
        let words = PLANES * tile_rows;
        powers(isa, &mut inner[index * words..][..words], in_tile, order);
        let words = PLANES * tiles;
        powers(isa, &mut outer[index * words..][..words], of_tiles, order);
    }

    let evaluate = |first: usize, last: usize| {
        let kernel = Evaluate {
            coeffs,
            rows,
            wanted: &wanted,
            inner: &inner,
            tile_rows,
            outer: &outer,
            tiles,
            range: first..last,
        };
        dispatch(isa, kernel)
    };
    let pieces = rayon::current_num_threads().min(tiles);
    (0..pieces)
        .into_par_iter()
        .map(|piece| evaluate(tiles * piece / pieces, tiles * (piece + 1) / pieces))
        .reduce(
            || vec![Ext::ZERO; queries.len()],
            |mut left, right| {
                left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
                left
            },
        )
}

struct Evaluate<'a> {
    coeffs: &'a [u32],
    rows: usize,
    /// Column and index of the point.
    wanted: &'a [(usize, usize)],
    /// For each point, four planes of its powers within a tile.
    inner: &'a [u32],
    tile_rows: usize,
    /// For each point, four planes of the power that each tile begins with.
    outer: &'a [u32],
    tiles: usize,
    /// The tiles to sum up.
    range: std::ops::Range<usize>,
}

impl Kernel for Evaluate<'_> {
    type Output = Vec<Ext>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<Ext> {
        // For each query a sum in each lane.
        let mut sums = vec![0; self.wanted.len() * PLANES * V::LANES];
        for tile in self.range {
            for ((column, point), sums) in
                self.wanted.iter().zip(sums.chunks_exact_mut(PLANES * V::LANES))
            {
                let at = column * self.rows + tile * self.tile_rows;
                let coeffs = &self.coeffs[at..at + self.tile_rows];
                let words = PLANES * self.tile_rows;
                let powers = &self.inner[point * words..][..words];
                let mut factor = [0; PLANES];
                for (plane, word) in factor.iter_mut().enumerate() {
                    *word = self.outer[(point * PLANES + plane) * self.tiles + tile];
                }
                let factor = Factor::<V>::new(super::extension::from_words(factor));
                let sum = factor.mul(dot::<V>(coeffs, powers));
                write(add(sum, read(sums, V::LANES, 0)), sums, V::LANES, 0);
            }
        }
        let mut values = Vec::with_capacity(self.wanted.len());
        for sums in sums.chunks_exact(PLANES * V::LANES) {
            values.push(sum_lanes::<V>(read(sums, V::LANES, 0)));
        }
        values
    }
}

/// The sum of coefficients times powers, in each lane over its rows.
#[inline(always)]
fn dot<V: Vector>(coeffs: &[u32], powers: &[u32]) -> ExtVector<V> {
    let rows = coeffs.len();
    let mut sum = Sum::<V>::zero();
    if rows < 2 * V::LANES {
        // A single row: the only tile that is shorter than two lanes.
        let coeff = V::read(coeffs, 0);
        for (plane, sum) in sum.0.iter_mut().enumerate() {
            *sum = V::wide_fold(coeff.wide_mul_add(V::read(powers, plane * rows), *sum));
        }
    } else {
        for at in (0..rows).step_by(2 * V::LANES) {
            let (left, right) = (V::read(coeffs, at), V::read(coeffs, at + V::LANES));
            for (plane, sum) in sum.0.iter_mut().enumerate() {
                let at = plane * rows + at;
                let with_left = left.wide_mul_add(V::read(powers, at), *sum);
                let with_both = right.wide_mul_add(V::read(powers, at + V::LANES), with_left);
                *sum = V::wide_fold(with_both);
            }
        }
    }
    sum.reduce()
}
