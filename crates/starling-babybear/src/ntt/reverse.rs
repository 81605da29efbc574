//! Bit reversal of a column, a square of words at a time.
//!
//! A row's index is a high part, a middle part and a low part, the outer ones as long as lanes have bits. Words with one
//! middle part are a square: each high part's line of all low parts. Reversed, it is the square of the
//! reversed middle part, transposed, with its lines and lanes in reversed order. So squares change places in pairs,
//! and memory is touched in whole lines.

use crate::vector::square::{LANES_MAX, transpose};
use crate::vector::{Kernel, Vector};

pub(super) struct BitReverse<'a> {
    pub(super) column: &'a mut [u32],
}

impl Kernel for BitReverse<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let rows = self.column.len();
        let bits = rows.trailing_zeros() - 2 * V::LANES.trailing_zeros();
        let middles = 1_usize << bits;
        let stride = rows / V::LANES;
        for middle in 0..middles {
            let other = reversed(middle, bits);
            if middle > other {
                continue;
            }
            let left = load::<V>(self.column, stride, middle);
            let right = load::<V>(self.column, stride, other);
            store(left, self.column, stride, other);
            store(right, self.column, stride, middle);
        }
    }
}

/// `index` with its low `bits` bits reversed; it has no others.
#[inline(always)]
fn reversed(index: usize, bits: u32) -> usize {
    // Two shifts, since one by all bits is none.
    index.reverse_bits() >> 1 >> (usize::BITS - 1 - bits)
}

/// The square of `middle`, its lines in reversed order, transposed.
#[inline(always)]
fn load<V: Vector>(column: &[u32], stride: usize, middle: usize) -> [V; LANES_MAX] {
    let bits = V::LANES.trailing_zeros();
    let mut square = [V::splat(0); LANES_MAX];
    for (line, x) in square.iter_mut().enumerate().take(V::LANES) {
        *x = V::read(column, reversed(line, bits) * stride + middle * V::LANES);
    }
    transpose(&mut square);
    square
}

/// Stores what [`load`] gave as the square of `middle`.
#[inline(always)]
fn store<V: Vector>(square: [V; LANES_MAX], column: &mut [u32], stride: usize, middle: usize) {
    let bits = V::LANES.trailing_zeros();
    for (line, x) in square.into_iter().enumerate().take(V::LANES) {
        x.write(column, reversed(line, bits) * stride + middle * V::LANES);
    }
}
