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

/// `base^exponent` in the field.
pub(super) const fn power(base: u64, mut exponent: u64) -> u64 {
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

/// `2^exponent` in the field.
pub(super) const fn power_of_two(exponent: u32) -> u64 {
    power(2, exponent as u64)
}
