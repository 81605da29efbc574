//! The permutation in 64-bit integers, one sponge at a time, for machines without vectors.
//!
//! Such a machine starts one multiplication in a cycle, and a few other instructions beside it, so that multiplications
//! are what to save. A product that is reduced at once takes three. Here products are reduced only where the next would
//! overflow, and by the cheapest of these:
//!
//! - [`step`]: P being 15 * 2^27 + 1, a division by 2^27 modulo P takes shifts and no multiplication. It takes a sum
//!   back to 31 bits.
//! - [`reduce`] and [`reduce_product`]: Montgomery reductions for R = 2^32 and R = 2^64, two multiplications each. x^7
//!   is the exact product of two exact products, reduced once.
//! - [`remainder`]: in partial rounds, sums of multiples of constants are followed as 64-bit fractions of P, in which
//!   whole multiples of P overflow and vanish. One multiplication for each term and one for the sum leave the
//!   remainder itself.
//!
//! **Scale.** Divisions by powers of two are not undone. The integers stand for multiples of what they are in the
//! permutation, by a factor for each round ([`Tables::new`] follows it), with which that round's constants are
//! multiplied. The last partial round's constants convert to the factor that ends as Montgomery form.
//!
//! **Bounds.** An S-box's input is within 2^30, its power within 2^59 + 2^31, and one step later within 2^33. A row of
//! the external matrix sums up 112 of those, within 2^40.
#![allow(
    clippy::needless_range_loop,
    reason = "several arrays go side by side in what must be unrolled"
)]

use super::constants::{
    HALF_FULL, MODULUS, PARTIAL, SECOND_HALF, diagonal, mul, power as field_power, power_of_two,
    round_constant,
};
use super::{CELLS, DIGEST, RATE};
use crate::vector::{MU, P, fraction, remainder};

/// Bits that [`step`] divides by.
const STEP: u32 = 27;

/// (P - 1) / 2^27.
const STEP_FACTOR: i64 = ((MODULUS - 1) >> STEP) as i64;

const _: () = assert!(((STEP_FACTOR as u64) << STEP) + 1 == MODULUS);

/// What is added after a step to centre its results at zero. Addends before it make up for it.
const STEP_CENTRE: i64 = STEP_FACTOR << (STEP - 1);

/// What is taken off remainders to centre them at zero. Addends make up for it.
const CENTRE: u64 = MODULUS / 2;

/// A multiple of P above what rows of the external matrix sum up to: with it, no sum is negative.
const OFFSET: i64 = (MODULUS << 10) as i64;

const _: () = assert!(OFFSET >= 1 << 40);

/// Cells in partial rounds, and sums of them after [`reduce_rest`], are below this.
const CELL_END: u64 = MODULUS + (1 << 14);

/// Powers in partial rounds are below this.
const POWER_END: u64 = 2 * MODULUS + (1 << 28);

/// 1 / P modulo 2^64: one step of Newton's from the inverse modulo 2^32.
const INVERSE: u64 = {
    let mu = MU as u64;
    mu.wrapping_mul(2_u64.wrapping_sub(mu.wrapping_mul(MODULUS)))
};

const _: () = assert!(INVERSE.wrapping_mul(MODULUS) == 1);

const fn inverse(number: u64) -> u64 {
    field_power(number, MODULUS - 2)
}

/// The seventh root, which every element has one of.
const fn seventh_root(number: u64) -> u64 {
    let mut exponent = MODULUS;
    while !exponent.is_multiple_of(7) {
        exponent += MODULUS - 1;
    }
    field_power(number, exponent / 7)
}

/// What [`power`] divides the seventh power by, as a power of two: x^2 by 2^32, and it is in x^3 once and in x^4 twice;
/// then their product by 2^64.
const POWER: u32 = 3 * 32 + 64;

/// What a full round divides seventh powers by, as a power of two.
const FULL: u32 = POWER + 2 * STEP;

/// What a partial round divides seventh powers by, as a power of two.
const PARTIAL_POWER: u32 = POWER + 32;

/// Cells times factors, and an addend: as fractions.
struct Row {
    factors: [u64; CELLS],
    /// The factor of the sum of all cells but the first.
    rest: u64,
    /// The factor of the first cell's power, in the sum of all cells.
    power: u64,
}

impl Row {
    /// The internal matrix, from a scale to another. The first cell's power has a third.
    const fn new(from: u64, powers: u64, to: u64) -> Self {
        let ratio = mul(to, inverse(from));
        let power_ratio = mul(to, inverse(powers));
        let mut factors = [0; CELLS];
        // Where the first cell's power goes into its own row: once with the sum, once with the diagonal.
        factors[0] = fraction(mul((diagonal(0) + 1) % MODULUS, power_ratio));
        let mut cell = 1;
        while cell < CELLS {
            factors[cell] = fraction(mul(diagonal(cell), ratio));
            cell += 1;
        }
        Self { factors, rest: fraction(ratio), power: fraction(power_ratio) }
    }
}

struct Tables {
    /// What is added before the first full rounds.
    first: [[i64; CELLS]; HALF_FULL],
    /// What is added to the first cell before the first partial round.
    start: i64,
    /// Partial rounds but the last.
    inner: Row,
    /// What they add to the first cell for the round after each, as fractions.
    partial: [u64; PARTIAL - 1],
    /// The last partial round.
    last: Row,
    /// What it adds for the full round after it, as fractions.
    second_start: [u64; CELLS],
    /// What is added before the full rounds after that one.
    second: [[i64; CELLS]; HALF_FULL - 1],
}

/// The addend before a step that brings in a round's constant at a scale.
const fn before_step(scale: u64, round: usize, cell: usize) -> i64 {
    let after = mul(scale, round_constant(round, cell)) + MODULUS - STEP_CENTRE as u64;
    mul(after % MODULUS, power_of_two(STEP)) as i64
}

/// The addend to a fraction that brings in a round's constant at a scale.
const fn before_remainder(scale: u64, round: usize, cell: usize) -> u64 {
    fraction((mul(scale, round_constant(round, cell)) + CENTRE) % MODULUS)
}

impl Tables {
    const fn new() -> Self {
        let divisor = inverse(power_of_two(FULL));
        let mut first = [[0; CELLS]; HALF_FULL];
        // Words come in Montgomery form, and a step follows the first layer.
        let mut scale = power_of_two(32 - STEP);
        let mut round = 0;
        while round < HALF_FULL {
            let mut cell = 0;
            while cell < CELLS {
                first[round][cell] = before_step(scale, round, cell);
                cell += 1;
            }
            scale = mul(field_power(scale, 7), divisor);
            round += 1;
        }
        let start = before_step(scale, HALF_FULL, 0);
        let powers = mul(field_power(scale, 7), inverse(power_of_two(PARTIAL_POWER)));
        let mut partial = [0; PARTIAL - 1];
        let mut round = 0;
        while round < PARTIAL - 1 {
            partial[round] = before_remainder(scale, HALF_FULL + round + 1, 0);
            round += 1;
        }
        let mut second = [[0; CELLS]; HALF_FULL - 1];
        // Backwards from Montgomery form.
        let mut end = seventh_root(mul(power_of_two(32), power_of_two(FULL)));
        let mut round = HALF_FULL - 1;
        while round > 0 {
            let mut cell = 0;
            while cell < CELLS {
                second[round - 1][cell] = before_step(end, SECOND_HALF + round, cell);
                cell += 1;
            }
            end = seventh_root(mul(end, power_of_two(FULL)));
            round -= 1;
        }
        let mut second_start = [0; CELLS];
        let mut cell = 0;
        while cell < CELLS {
            second_start[cell] = before_remainder(end, SECOND_HALF, cell);
            cell += 1;
        }
        Self {
            first,
            start,
            inner: Row::new(scale, powers, scale),
            partial,
            last: Row::new(scale, powers, end),
            second_start,
            second,
        }
    }
}

static TABLES: Tables = Tables::new();

/// `number / 2^27`, less than P below the quotient's integer part and not above it.
#[inline(always)]
fn step(number: i64) -> i64 {
    (number >> STEP) - (number & ((1 << STEP) - 1)) * STEP_FACTOR
}

/// `number / 2^32`, less than P below the quotient's integer part and not above it.
#[inline(always)]
fn reduce(number: i64) -> i64 {
    let quotient = (number as u32).wrapping_mul(MU);
    (number >> 32) - ((u64::from(quotient) * MODULUS) >> 32) as i64
}

/// `a * b / 2^64`, less than P / 2 + 1 from the quotient's integer part.
#[inline(always)]
fn reduce_product(a: i64, b: i64) -> i64 {
    let product = i128::from(a) * i128::from(b);
    let quotient = (product as u64).wrapping_mul(INVERSE).cast_signed();
    let multiple = i128::from(quotient) * i128::from(P);
    (product >> 64) as i64 - (multiple >> 64) as i64
}

// What fractions are multiplied with before [`remainder`]: a cell, the rest, a power and an addend.
const _: () =
    assert!(CELL_END + CELL_END + POWER_END + 1 < ((1_u128 << 64) / MODULUS as u128) as u64);

/// x^7 divided by 2^[`POWER`]: within 2^59 + 2^31 for an x within 2^30.
#[inline(always)]
fn power(x: i64) -> i64 {
    // Within 2^31, then 2^61 and 2^62.
    let x2 = reduce(x * x);
    reduce_product(x2 * x, x2 * x2)
}

/// The first cell's power for partial rounds, above zero and below [`POWER_END`].
#[inline(always)]
fn partial_power(x: i64) -> u64 {
    (reduce(power(x)) + 2 * MODULUS as i64).cast_unsigned()
}

/// M4 times four cells.
#[inline(always)]
fn mix4(x: [i64; 4]) -> [i64; 4] {
    let (t0, t1) = (x[0] + x[1], x[2] + x[3]);
    let t2 = 2 * x[1] + t1;
    let t3 = 2 * x[3] + t0;
    let t4 = 4 * t1 + t3;
    let t5 = 4 * t0 + t2;
    [t3 + t5, t5, t2 + t4, t4]
}

/// The external matrix, and the sums that each cell is yet to be increased by.
#[inline(always)]
fn mix(cells: &mut [i64; CELLS]) -> [i64; 4] {
    let mut sums = [0; 4];
    for chunk in cells.as_chunks_mut::<4>().0 {
        *chunk = mix4(*chunk);
        for (sum, &cell) in sums.iter_mut().zip(chunk.iter()) {
            *sum += cell;
        }
    }
    sums
}

/// The external matrix and what is added after it, then S-boxes.
#[inline(always)]
fn full_round(cells: &mut [i64; CELLS], addends: &[i64; CELLS]) {
    let sums = mix(cells);
    let addends = addends.as_chunks::<4>().0;
    for (chunk, addends) in cells.as_chunks_mut::<4>().0.iter_mut().zip(addends) {
        for i in 0..4 {
            chunk[i] = step(power(step(chunk[i] + sums[i] + addends[i]) + STEP_CENTRE));
        }
    }
}

/// A sum of 23 cells to below [`CELL_END`].
#[inline(always)]
fn reduce_rest(sum: u64) -> u64 {
    /// Bits of the quotient's fixed point: as many as a product with a sum of 36 bits leaves.
    const BITS: u32 = 58;
    const RECIPROCAL: u64 = (1 << BITS) / MODULUS;
    sum - ((sum * RECIPROCAL) >> BITS) * MODULUS
}

/// From the external matrix, yet without its sums, to the input of S-boxes.
#[inline(always)]
fn partial_rounds(mixed: &mut [i64; CELLS], sums: [i64; 4]) {
    let mut cells = [0; CELLS];
    let mut rest = 0;
    for i in 1..CELLS {
        let cell = step(mixed[i] + sums[i % 4] + OFFSET) + MODULUS as i64;
        cells[i] = cell.cast_unsigned();
        rest += cells[i];
    }
    let mut power = partial_power(step(mixed[0] + sums[0] + TABLES.start) + STEP_CENTRE);
    let inner = &TABLES.inner;
    for &constant in &TABLES.partial {
        let others = reduce_rest(rest).wrapping_mul(inner.rest);
        let sum = others.wrapping_add(power.wrapping_mul(inner.power));
        let first = others.wrapping_add(constant);
        let first = remainder(first.wrapping_add(power.wrapping_mul(inner.factors[0])));
        // A long chain of dependencies, to overlap with the work on other cells.
        power = partial_power(first.wrapping_sub(CENTRE).cast_signed());
        rest = 0;
        for i in 1..CELLS {
            cells[i] = remainder(cells[i].wrapping_mul(inner.factors[i]).wrapping_add(sum));
            rest += cells[i];
        }
    }
    let last = &TABLES.last;
    let others = reduce_rest(rest).wrapping_mul(last.rest);
    let sum = others.wrapping_add(power.wrapping_mul(last.power));
    let first = others.wrapping_add(power.wrapping_mul(last.factors[0]));
    for i in 0..CELLS {
        let cell =
            if i == 0 { first } else { cells[i].wrapping_mul(last.factors[i]).wrapping_add(sum) };
        let cell = remainder(cell.wrapping_add(TABLES.second_start[i]));
        mixed[i] = cell.wrapping_sub(CENTRE).cast_signed();
    }
}

/// Words in Montgomery form to words in Montgomery form, below P.
fn permute(words: &mut [u32; CELLS]) {
    let mut cells = words.map(i64::from);
    for addends in &TABLES.first {
        full_round(&mut cells, addends);
    }
    let sums = mix(&mut cells);
    partial_rounds(&mut cells, sums);
    for cell in &mut cells {
        *cell = step(power(*cell));
    }
    for addends in &TABLES.second {
        full_round(&mut cells, addends);
    }
    let sums = mix(&mut cells);
    for (i, word) in words.iter_mut().enumerate() {
        // From -P to 2^14, both excluded.
        let cell = step(cells[i] + sums[i % 4] + OFFSET) as u32;
        *word = cell.min(cell.wrapping_add(P));
    }
}

/// One sponge.
#[derive(Clone, Copy)]
pub(crate) struct Sponge([u32; CELLS]);

impl super::Sponge for Sponge {
    const LANES: usize = 1;

    #[inline]
    fn new() -> Self {
        Self([0; CELLS])
    }

    #[inline]
    fn absorb(&mut self, block: &[&[u32]]) {
        for (i, cell) in self.0[..RATE].iter_mut().enumerate() {
            *cell = block.get(i).map_or(0, |words| words[0]);
        }
        permute(&mut self.0);
    }

    #[inline]
    fn digests(&self, out: &mut [[u32; DIGEST]]) {
        out[0].copy_from_slice(&self.0[..DIGEST]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number in the field.
    fn residue(number: i64) -> u64 {
        number.rem_euclid(MODULUS as i64).cast_unsigned()
    }

    #[test]
    fn remainders_are_exact_up_to_the_largest_sums() {
        let numbers = [0, 1, 2, MODULUS / 2, MODULUS - 2, MODULUS - 1, diagonal(0), diagonal(23)];
        let cells = [0, 1, MODULUS - 1, MODULUS, CELL_END - 1];
        let powers = [1, MODULUS, POWER_END - 1];
        for first in numbers {
            for second in numbers {
                for (cell, rest) in
                    cells.into_iter().flat_map(|cell| cells.map(|rest| (cell, rest)))
                {
                    for power in powers {
                        let sum = cell.wrapping_mul(fraction(first));
                        let sum = sum.wrapping_add(rest.wrapping_mul(fraction(second)));
                        let sum = sum.wrapping_add(power.wrapping_mul(fraction(MODULUS - 1)));
                        let sum = sum.wrapping_add(fraction(first));
                        let rows = mul(cell, first) + mul(rest, second) + mul(power, MODULUS - 1);
                        assert_eq!(remainder(sum), (rows + first) % MODULUS);
                    }
                }
            }
        }
    }

    #[test]
    fn powers_stay_in_bounds_and_are_seventh_powers() {
        const LIMIT: i64 = 1 << 30;
        let near = |number: i64| [number - 1, number, number + 1];
        let inputs = [-LIMIT + 1, -(1 << 27), 0, 1 << 27, STEP_CENTRE, CENTRE as i64, LIMIT - 1];
        for x in inputs.into_iter().flat_map(near) {
            let expected = field_power(residue(x), 7);
            let found = power(x);
            assert!(found.abs() < (1 << 59) + (1 << 31), "the power of {x} is {found}");
            assert!(step(found).abs() < 1 << 33);
            assert_eq!(mul(residue(found), power_of_two(POWER)), expected);
            assert_eq!(mul(residue(step(found)), power_of_two(POWER + STEP)), expected);
            let found = partial_power(x);
            assert!((1..POWER_END).contains(&found));
            assert_eq!(mul(found % MODULUS, power_of_two(PARTIAL_POWER)), expected);
        }
    }

    #[test]
    fn sums_of_cells_come_back_below_their_bound() {
        let most = 23 * (CELL_END - 1);
        for sum in [0, MODULUS - 1, MODULUS, 22 * MODULUS - 1, 23 * MODULUS, most] {
            let reduced = reduce_rest(sum);
            assert!(reduced < CELL_END);
            assert_eq!(reduced % MODULUS, sum % MODULUS);
        }
    }
}
