//! Division by `x - z`, which runs from the highest coefficient down: each step needs the one before.
//!
//! A polynomial is cut into as many segments as a vector has lanes, and each lane runs its own. What runs into a
//! segment from above is known after a first pass, in which every segment is evaluated at `z`.

use rayon::prelude::*;
use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::BabyBearExtElem as Ext;
use thiserror::Error;

use super::PLANES;
use super::extension::{ExtVector, Factor, add, from_words, words};
use crate::vector::square::{LANES_MAX, transpose};
use crate::vector::{Isa, Kernel, Vector, dispatch};

/// A combo was not divisible by what it should vanish at: what was committed does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "combo {combo} leaves a remainder when divided by x - {point:?}; the evaluations it was made from are wrong"
)]
pub struct NonZeroRemainder {
    /// Index of the combo.
    pub combo: usize,
    /// Where it should have been zero.
    pub point: Ext,
}

/// Divides each combo by `x - z` for all `z` of its entry in `points`. `CpuHal::combos_divide`, which panics
/// where this returns an error.
///
/// `combos` are four planes of `rows` words each, in natural order.
///
/// # Errors
/// If a division leaves a remainder. The combos are useless then.
///
/// # Panics
/// If `combos` isn't as many combos as `points` has entries, or `rows` isn't a power of two.
pub fn combos_divide(
    isa: Isa,
    combos: &mut [u32],
    rows: usize,
    points: &[Vec<Ext>],
) -> Result<(), NonZeroRemainder> {
    assert_eq!(combos.len(), points.len() * PLANES * rows, "points for each combo");
    combos.par_chunks_exact_mut(PLANES * rows).zip(points).enumerate().try_for_each(
        |(combo, (planes, points))| {
            for point in points {
                if divide(isa, planes, *point) != Ext::ZERO {
                    return Err(NonZeroRemainder { combo, point: *point });
                }
            }
            Ok(())
        },
    )
}

/// Divides the polynomial in four `planes`, in natural order, by `x - z`, and returns the remainder.
///
/// # Panics
/// If a plane's length isn't a power of two.
#[must_use]
pub fn divide(isa: Isa, planes: &mut [u32], z: Ext) -> Ext {
    let rows = planes.len() / PLANES;
    assert!(
        rows.is_power_of_two() && planes.len() == PLANES * rows,
        "{} words are not four planes of a power of two",
        planes.len()
    );
    // Each lane's segment is whole squares of lanes.
    let isa = if rows < isa.lanes() * isa.lanes() { Isa::Scalar } else { isa };
    dispatch(isa, Divide { planes, rows, z })
}

struct Divide<'a> {
    planes: &'a mut [u32],
    rows: usize,
    z: Ext,
}

/// `LANES` rows of each lane's segment: as many vectors for each plane, each with one row of every segment.
type Square<V> = [[V; LANES_MAX]; PLANES];

impl Kernel for Divide<'_> {
    type Output = Ext;

    #[inline(always)]
    fn run<V: Vector>(mut self) -> Ext {
        let segment = self.rows / V::LANES;
        let factor = Factor::<V>::new(self.z);

        let mut values = [V::splat(0); PLANES];
        for at in (0..segment).step_by(V::LANES).rev() {
            let square = self.load::<V>(segment, at);
            for row in (0..V::LANES).rev() {
                values = add(factor.mul(values), row_of(&square, row));
            }
        }

        // What runs into each segment: the value of all that is above it.
        let mut lanes = [[0; LANES_MAX]; PLANES];
        for (lanes, values) in lanes.iter_mut().zip(values) {
            values.write(lanes, 0);
        }
        let across = self.z.pow(segment);
        let mut carry = Ext::ZERO;
        for lane in (0..V::LANES).rev() {
            let value =
                from_words([lanes[0][lane], lanes[1][lane], lanes[2][lane], lanes[3][lane]]);
            for (lanes, word) in lanes.iter_mut().zip(words(carry)) {
                lanes[lane] = word;
            }
            carry = carry * across + value;
        }
        let remainder = carry;

        let mut carry = [V::splat(0); PLANES];
        for (carry, lanes) in carry.iter_mut().zip(&lanes) {
            *carry = V::read(lanes, 0);
        }
        for at in (0..segment).step_by(V::LANES).rev() {
            let mut square = self.load::<V>(segment, at);
            for row in (0..V::LANES).rev() {
                let next = add(factor.mul(carry), row_of(&square, row));
                for (plane, carry) in square.iter_mut().zip(carry) {
                    plane[row] = carry;
                }
                carry = next;
            }
            self.store::<V>(square, segment, at);
        }
        remainder
    }
}

impl Divide<'_> {
    #[inline(always)]
    fn load<V: Vector>(&self, segment: usize, at: usize) -> Square<V> {
        let mut square = [[V::splat(0); LANES_MAX]; PLANES];
        for (plane, square) in square.iter_mut().enumerate() {
            for (lane, x) in square.iter_mut().enumerate().take(V::LANES) {
                *x = V::read(self.planes, plane * self.rows + lane * segment + at);
            }
            transpose(square);
        }
        square
    }

    #[inline(always)]
    fn store<V: Vector>(&mut self, mut square: Square<V>, segment: usize, at: usize) {
        for (plane, square) in square.iter_mut().enumerate() {
            transpose(square);
            for (lane, x) in square.iter().enumerate().take(V::LANES) {
                x.write(self.planes, plane * self.rows + lane * segment + at);
            }
        }
    }
}

#[inline(always)]
fn row_of<V: Vector>(square: &Square<V>, row: usize) -> ExtVector<V> {
    [square[0][row], square[1][row], square[2][row], square[3][row]]
}
