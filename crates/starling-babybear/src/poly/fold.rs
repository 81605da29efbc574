//! Combos into one polynomial, and that into one of a sixteenth of its degree.

use rayon::prelude::*;
use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::BabyBearExtElem as Ext;

use super::PLANES;
use super::extension::{Factor, Sum, read};
use super::tiles::{TILE_ROWS, tiles_mut};
use crate::vector::{Isa, Kernel, Vector, dispatch};

/// How many coefficients a round of FRI folds into one.
pub const FOLD: usize = risc0_zkp::FRI_FOLD;

/// Fills the four planes of `out` with the sum of all combos. `CpuHal::eltwise_sum_extelem`.
///
/// # Panics
/// If `combos` isn't a whole number of polynomials of `out`'s length.
pub fn sum_planes(isa: Isa, out: &mut [u32], combos: &[u32]) {
    let rows = plane_len(out);
    assert_eq!(combos.len() % out.len(), 0, "combos must be as long as their sum");
    let isa = if rows < isa.lanes() { Isa::Scalar } else { isa };
    tiles_mut(out, rows, TILE_ROWS).into_par_iter().for_each(|(row, mut out)| {
        dispatch(isa, SumPlanes { out: &mut out, combos, rows, row });
    });
}

/// Fills the four planes of `out` with what a round of FRI leaves of the polynomial in the four planes of `coeffs`,
/// both in bit-reversed order. `CpuHal::fri_fold`.
///
/// # Panics
/// If `coeffs` isn't [`FOLD`] times as long as `out`, or a plane's length isn't a power of two.
pub fn fri_fold(isa: Isa, out: &mut [u32], coeffs: &[u32], mix: Ext) {
    let rows = plane_len(out);
    assert_eq!(coeffs.len(), FOLD * out.len(), "{FOLD} coefficients fold into one");
    let mut powers = [Ext::ONE; FOLD];
    for index in 1..FOLD {
        powers[index] = powers[index - 1] * mix;
    }
    let isa = if rows < isa.lanes() { Isa::Scalar } else { isa };
    tiles_mut(out, rows, TILE_ROWS).into_par_iter().for_each(|(row, mut out)| {
        dispatch(isa, Fold { out: &mut out, coeffs, rows, row, powers: &powers });
    });
}

fn plane_len(out: &[u32]) -> usize {
    let rows = out.len() / PLANES;
    assert!(
        rows.is_power_of_two() && out.len() == PLANES * rows,
        "{} words are not four planes of a power of two",
        out.len()
    );
    rows
}

struct SumPlanes<'a, 'b> {
    out: &'a mut [&'b mut [u32]],
    combos: &'a [u32],
    rows: usize,
    row: usize,
}

impl Kernel for SumPlanes<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (plane, out) in self.out.iter_mut().enumerate() {
            for at in (0..out.len()).step_by(V::LANES) {
                let mut sum = V::splat(0);
                for combo in self.combos.chunks_exact(PLANES * self.rows) {
                    sum = sum.add(V::read(combo, plane * self.rows + self.row + at));
                }
                sum.write(out, at);
            }
        }
    }
}

struct Fold<'a, 'b> {
    out: &'a mut [&'b mut [u32]],
    coeffs: &'a [u32],
    rows: usize,
    row: usize,
    powers: &'a [Ext; FOLD],
}

impl Kernel for Fold<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let mut factors = [Factor::<V>::new(Ext::ONE); FOLD];
        for (factor, power) in factors.iter_mut().zip(self.powers) {
            *factor = Factor::new(*power);
        }
        let shift = usize::BITS - FOLD.trailing_zeros();
        for at in (0..self.out[0].len()).step_by(V::LANES) {
            let mut sum = Sum::zero();
            for (index, factor) in factors.iter().enumerate() {
                // Bit-reversed: the lowest bits of a power come first.
                let part = index.reverse_bits() >> shift;
                let x = read(self.coeffs, FOLD * self.rows, part * self.rows + self.row + at);
                factor.mul_add(x, &mut sum);
            }
            for (out, x) in self.out.iter_mut().zip(sum.reduce()) {
                x.write(out, at);
            }
        }
    }
}
