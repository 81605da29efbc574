//! All columns into few combos, each times its power of the mix.

use rayon::prelude::*;
use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::BabyBearExtElem as Ext;

use super::PLANES;
use super::extension::{dot, from_words, words};
use super::tiles::tiles_mut;
use crate::vector::{Isa, Kernel, Vector, dispatch};

/// Rows that are mixed at a time. A combo's planes of them are 64 KiB, which any second-level cache holds; a column's
/// are four pages in a row, which the prefetchers reward.
const MIX_ROWS: usize = 4096;

/// Columns that a pass over a combo's planes takes: as many products as [`dot`] sums before it reduces.
const BATCH: usize = 4;

/// Adds column `i` of `coeffs`, times `start * mix^i`, to combo `which[i]`. `CpuHal::mix_poly_coeffs`.
///
/// `combos` are four planes of `rows` words each, in the order of the coefficients.
///
/// # Panics
/// If `coeffs` isn't a column of `rows` for each of `which`, `combos` isn't whole combos, or one that `which`
/// names isn't there.
pub fn mix_into(
    isa: Isa,
    combos: &mut [u32],
    rows: usize,
    coeffs: &[u32],
    which: &[u32],
    start: Ext,
    mix: Ext,
) {
    assert_eq!(coeffs.len(), which.len() * rows, "a combo for each column");
    let count = combo_count(combos, rows);
    let mut members = vec![Vec::new(); count];
    let mut power = start;
    for (column, combo) in which.iter().enumerate() {
        let combo = *combo as usize;
        assert!(combo < count, "column {column} is for combo {combo} of {count}");
        members[combo].push(Member { column, power: words(power) });
        power *= mix;
    }
    // A tile is whole vectors, or the only one.
    let isa = if rows < isa.lanes() { Isa::Scalar } else { isa };
    let members = &members;
    tiles_mut(combos, rows, MIX_ROWS).into_par_iter().for_each(|(row, mut planes)| {
        dispatch(isa, Mix { planes: &mut planes, coeffs, rows, row, members });
    });
}

/// Subtracts from each combo the low coefficients that make it divisible. `CpuHal::combos_prepare`.
///
/// Register `i` has `reg_sizes[i]` of the coefficients in `coeff_u`, and is in combo `reg_combos[i]`; what of
/// `coeff_u` is left is the check polynomials', which are the last combo. `combos` are in natural order.
///
/// # Panics
/// If `combos` isn't whole combos, one that `reg_combos` names isn't there, or `coeff_u` ends early.
pub fn combos_prepare(
    combos: &mut [u32],
    rows: usize,
    coeff_u: &[Ext],
    reg_sizes: &[u32],
    reg_combos: &[u32],
    mix: Ext,
) {
    assert_eq!(reg_sizes.len(), reg_combos.len(), "a combo for each register");
    let check = combo_count(combos, rows) - 1;
    let mut subtract = |combo: usize, row: usize, value: Ext| {
        let at = |plane| (combo * PLANES + plane) * rows + row;
        let old = from_words([combos[at(0)], combos[at(1)], combos[at(2)], combos[at(3)]]);
        for (plane, word) in words(old - value).into_iter().enumerate() {
            combos[at(plane)] = word;
        }
    };
    let mut power = Ext::ONE;
    let mut rest = coeff_u;
    for (size, combo) in reg_sizes.iter().zip(reg_combos) {
        let (of_register, others) = rest.split_at(*size as usize);
        for (row, coeff) in of_register.iter().enumerate() {
            subtract(*combo as usize, row, power * *coeff);
        }
        power *= mix;
        rest = others;
    }
    for coeff in rest {
        subtract(check, 0, power * *coeff);
        power *= mix;
    }
}

fn combo_count(combos: &[u32], rows: usize) -> usize {
    assert!(rows.is_power_of_two(), "{rows} rows: must be a power of two");
    assert_eq!(combos.len() % (PLANES * rows), 0, "{} words are not whole combos", combos.len());
    combos.len() / (PLANES * rows)
}

/// A column of a combo.
#[derive(Clone)]
struct Member {
    column: usize,
    power: [u32; PLANES],
}

struct Mix<'a, 'b> {
    /// This tile of all combos' planes.
    planes: &'a mut [&'b mut [u32]],
    coeffs: &'a [u32],
    rows: usize,
    /// Where the tile begins.
    row: usize,
    members: &'a [Vec<Member>],
}

impl Kernel for Mix<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        for (planes, members) in self.planes.chunks_exact_mut(PLANES).zip(self.members) {
            for batch in members.chunks(BATCH) {
                let rows = planes[0].len();
                // What a short batch lacks is its first column again, times zero.
                let mut columns = [&self.coeffs[..0]; BATCH];
                let mut powers = [[V::splat(0); BATCH]; PLANES];
                for (index, column) in columns.iter_mut().enumerate() {
                    let member = batch.get(index).unwrap_or(&batch[0]);
                    let at = member.column * self.rows + self.row;
                    *column = &self.coeffs[at..at + rows];
                    if index < batch.len() {
                        for (powers, word) in powers.iter_mut().zip(member.power) {
                            powers[index] = V::splat(word);
                        }
                    }
                }
                for at in (0..rows).step_by(V::LANES) {
                    let mut x = [V::splat(0); BATCH];
                    for (x, column) in x.iter_mut().zip(columns) {
                        *x = V::read(column, at);
                    }
                    for (plane, powers) in planes.iter_mut().zip(powers) {
                        let zero = V::splat(0).wide_mul(V::splat(0));
                        let sum = V::wide_reduce(dot(x, powers, zero));
                        V::read(plane, at).add(sum).write(plane, at);
                    }
                }
            }
        }
    }
}
