//! The constants of [`super`], in its scales.

use crate::poseidon2::CELLS;
use crate::poseidon2::constants::{
    HALF_FULL, MODULUS, PARTIAL, SECOND_HALF, diagonal, mul, power, power_of_two, round_constant,
};

/// The exponent of the scale of the state.
const STATE_SCALE: u32 = 48;

/// The exponent of the scale of an S-box's input, [`WEIGHT`] times the state.
const SBOX_SCALE: u32 = 51;

/// The multiple of the state that enters an S-box: even, so that adding an odd number makes it odd, and such that
/// the scale stays the same from round to round, given the two doublings within.
pub(super) const WEIGHT: u64 = 1 << (SBOX_SCALE - STATE_SCALE);

/// A sponge's words are in this scale, RISC Zero's Montgomery form.
const WORD_SCALE: u32 = 32;

/// R.
pub(super) const RADIX: u64 = 1 << 52;

/// -1 / P modulo R.
pub(super) const NEGATIVE_INVERSE: u64 = {
    // Newton's iteration doubles the correct low bits, of which 1 has one.
    let mut inverse: u64 = 1;
    let mut bits = 1;
    while bits < 52 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(MODULUS.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse.wrapping_neg() % RADIX
};

/// -P modulo R.
pub(super) const NEGATIVE_P: u64 = RADIX - MODULUS;

/// A factor, and what estimates the quotient by a modulus of a product with it.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    pub(super) number: u64,
    pub(super) quotient: u64,
}

impl Factor {
    const fn new(number: u64, modulus: u64) -> Self {
        Self { number, quotient: (((number as u128) << 52) / modulus as u128) as u64 }
    }
}

/// Words to the state's scale.
pub(super) const ENTER: Factor = Factor::new(1 << (STATE_SCALE - WORD_SCALE), MODULUS);

/// The state's scale to words.
pub(super) const LEAVE: Factor = Factor::new(inverse(1 << (STATE_SCALE - WORD_SCALE)), MODULUS);

/// One, whose quotient reduces a sum.
pub(super) const ONE: Factor = Factor::new(1, MODULUS);

/// The first cell's part in the next S-box's input: once in the rows' sum and once on the diagonal. Even,
/// and reduced by even multiples of P, so that the input stays odd.
pub(super) const FIRST: Factor = {
    let number = mul(WEIGHT, diagonal(0) + 1);
    Factor::new(number + number % 2 * MODULUS, 2 * MODULUS)
};

/// What rounds add and multiply by.
pub(super) struct Tables {
    /// Added to the cells before the first layer.
    pub(super) start: [u64; CELLS],
    /// Added to the S-boxes' outputs of full rounds, and 1 for the product's carry.
    pub(super) full: [[u64; CELLS]; 2 * HALF_FULL],
    /// What makes the S-box's input of each partial round, and of the full round after them, from the first cell.
    pub(super) partial: [u64; PARTIAL + 1],
    /// What makes the S-boxes' inputs of the full round after the partial ones from the other cells.
    pub(super) second: [u64; CELLS],
    /// The internal matrix's diagonal, less one.
    pub(super) diagonal: [Factor; CELLS],
}

/// The constants of `round`, taken to before the matrix.
const fn unmixed(round: usize) -> [u64; CELLS] {
    let mut cells = [0; CELLS];
    let mut i = 0;
    while i < CELLS {
        cells[i] = mul(round_constant(round, i), power_of_two(STATE_SCALE));
        i += 1;
    }
    unmix(cells)
}

/// What to add to [`WEIGHT`] times a cell for an S-box's input in `round`: odd.
const fn sbox_constant(round: usize, cell: usize) -> u64 {
    let number = mul(round_constant(round, cell), power_of_two(SBOX_SCALE));
    number + (1 - number % 2) * MODULUS
}

impl Tables {
    const fn new() -> Self {
        let mut tables = Self {
            start: unmixed(0),
            full: [[0; CELLS]; 2 * HALF_FULL],
            partial: [0; PARTIAL + 1],
            second: [0; CELLS],
            diagonal: [ONE; CELLS],
        };
        // The last round of each half adds nothing: what follows has its own constants, or none.
        let mut round = 0;
        while round < HALF_FULL - 1 {
            tables.full[round] = unmixed(round + 1);
            tables.full[HALF_FULL + round] = unmixed(SECOND_HALF + round + 1);
            round += 1;
        }
        let mut round = 0;
        while round < 2 * HALF_FULL {
            let mut cell = 0;
            while cell < CELLS {
                tables.full[round][cell] += 1;
                cell += 1;
            }
            round += 1;
        }
        let mut round = 0;
        while round <= PARTIAL {
            tables.partial[round] = sbox_constant(HALF_FULL + round, 0);
            round += 1;
        }
        let mut cell = 0;
        while cell < CELLS {
            tables.second[cell] = sbox_constant(SECOND_HALF, cell);
            tables.diagonal[cell] = Factor::new(diagonal(cell), MODULUS);
            cell += 1;
        }
        tables
    }
}

/// The tables.
pub(super) static TABLES: Tables = Tables::new();

/// The cells that the external matrix maps to `cells`.
///
/// With it, constants that a round adds after the matrix are added before it, where that costs nothing. The matrix is
/// a 4x4 matrix M4 on each chunk of four cells, then to each chunk the sum of all six: undone by taking a seventh of
/// the sum off each chunk, then the steps of M4 one by one backwards.
const fn unmix(cells: [u64; CELLS]) -> [u64; CELLS] {
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

/// `a - b` in the field.
const fn sub(a: u64, b: u64) -> u64 {
    (a + MODULUS - b) % MODULUS
}

/// `1 / a` in the field.
const fn inverse(a: u64) -> u64 {
    power(a, MODULUS - 2)
}
