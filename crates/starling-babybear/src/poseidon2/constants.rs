//! The permutation's constants as numbers (not in Montgomery form), and the arithmetic to derive tables from
//! them at compile time.

use risc0_zkp::core::hash::poseidon2::{
    CELLS as RISC0_CELLS, M_INT_DIAG_HZN, ROUND_CONSTANTS, ROUNDS_HALF_FULL, ROUNDS_PARTIAL,
};

use super::CELLS;
use crate::vector::P;

const _: () = assert!(RISC0_CELLS == CELLS);
const _: () = assert!(ROUND_CONSTANTS.len() == ROUNDS * CELLS && M_INT_DIAG_HZN.len() == CELLS);

/// Full rounds before the partial ones, and as many after.
pub(super) const HALF_FULL: usize = ROUNDS_HALF_FULL;

/// Partial rounds.
pub(super) const PARTIAL: usize = ROUNDS_PARTIAL;

/// All rounds.
const ROUNDS: usize = 2 * HALF_FULL + PARTIAL;

/// The round in which the second half of the full rounds begins.
pub(super) const SECOND_HALF: usize = HALF_FULL + PARTIAL;

/// The modulus as a 64-bit number.
pub(super) const MODULUS: u64 = P as u64;

/// What `round` adds to `cell`.
pub(super) const fn round_constant(round: usize, cell: usize) -> u64 {
    ROUND_CONSTANTS[round * CELLS + cell].as_u32() as u64
}

/// The internal matrix is all ones plus this on the diagonal.
pub(super) const fn diagonal(cell: usize) -> u64 {
    M_INT_DIAG_HZN[cell].as_u32() as u64
}

/// `a * b` in the field.
pub(super) const fn mul(a: u64, b: u64) -> u64 {
    (a as u128 * b as u128 % MODULUS as u128) as u64
}

/// `a - b` in the field.
const fn sub(a: u64, b: u64) -> u64 {
    (a + MODULUS - b) % MODULUS
}

/// `2^exponent` in the field.
pub(super) const fn power_of_two(exponent: u32) -> u64 {
    power(2, exponent as u64)
}

/// `base^exponent` in the field.
const fn power(base: u64, mut exponent: u64) -> u64 {
    let (mut square, mut product) = (base, 1);
    while exponent > 0 {
        if exponent % 2 == 1 {
            product = mul(product, square);
        }
        square = mul(square, square);
        exponent /= 2;
    }
    product
}

/// `1 / a` in the field.
pub(super) const fn inverse(a: u64) -> u64 {
    power(a, MODULUS - 2)
}

/// The cells that the external matrix maps to `cells`.
///
/// With it, constants that a round adds after the matrix are added before it, where that costs nothing. The matrix is
/// a 4x4 matrix M4 on each chunk of four cells, then to each chunk the sum of all six: undone by taking a seventh of
/// the sum off each chunk, then the steps of M4 one by one backwards.
pub(super) const fn unmix(cells: [u64; CELLS]) -> [u64; CELLS] {
    let mut sums = [0; 4];
    let mut i = 0;
    while i < CELLS {
        sums[i % 4] = (sums[i % 4] + cells[i]) % MODULUS;
        i += 1;
    }
    let (seventh, half, quarter) = (inverse(7), inverse(2), inverse(4));
    let mut out = [0; CELLS];
    let mut at = 0;
    while at < CELLS {
        let mut y = [0; 4];
        let mut i = 0;
        while i < 4 {
            y[i] = sub(cells[at + i], mul(sums[i], seventh));
            i += 1;
        }
        // The names are those of `M4` in the backends.
        let (t2, t3) = (sub(y[2], y[3]), sub(y[0], y[1]));
        let t0 = mul(sub(y[1], t2), quarter);
        let t1 = mul(sub(y[3], t3), quarter);
        let x1 = mul(sub(t2, t1), half);
        let x3 = mul(sub(t3, t0), half);
        out[at] = sub(t0, x1);
        out[at + 1] = x1;
        out[at + 2] = sub(t1, x3);
        out[at + 3] = x3;
        at += 4;
    }
    out
}
