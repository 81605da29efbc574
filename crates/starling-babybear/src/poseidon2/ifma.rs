//! The permutation in 52-bit integers, with AVX-512 IFMA: `a * b + c` on the low or the high 52 bits of a
//! product, 8 at a time.
//!
//! Everything rests on the operands' 52 bits leaving 21 above an element: sums need no reduction, and only
//! products are brought back to about 32 bits.
//!
//! **Products in the S-box** are Montgomery products for R = 2^52: of `a * b = h * R + l` and the multiple
//! `q * P = g * R + (R - l)`, with `q = -l / P mod R`, the sum is `(h + g + 1) * R` and the result `h + g + 1`,
//! four instructions, the addends of two being free. The carry of 1 is there unless `l` is zero. So `l` must
//! never be: one factor is odd, the other not zero, and both are below R. What enters an S-box is odd since the layer before it computes `8 y + P`
//! instead of `y`, at no cost; within, `2 x + P` makes a factor odd at the cost of one instruction.
//!
//! **Scale.** Those multiples of 2 are compensated in the scale of the representation: the state holds `v * 2^48`
//! for the element `v`, an S-box's input `v * 2^51`, and with the factors of 2 inside, x^7 of
//! that comes out as `v^7 * 2^48` again.
//!
//! **Products with constants** in partial rounds are Barrett products with a precomputed quotient (Shoup):
//! `a * c - floor(a * floor(c * R / P) / R) * P` modulo R, three instructions, and adding the rows' sum is free. They leave
//! a multiple of R, which all later steps ignore.
//!
//! **Round constants** of full rounds are added to the S-boxes' outputs before the matrix instead of after it
//! (see [`unmix`]), as free addends.

#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::constants::{
    HALF_FULL, MODULUS, PARTIAL, SECOND_HALF, diagonal, mul, power_of_two, round_constant, unmix,
};
use super::{CELLS, DIGEST, RATE};

/// 8 lanes of 52-bit integers. Bits above are ignored where they may occur.
type Lanes = __m512i;

/// The exponent of the scale of the state.
const STATE_SCALE: u32 = 48;

/// The exponent of the scale of an S-box's input, [`WEIGHT`] times the state.
const SBOX_SCALE: u32 = 51;

/// The multiple of the state that enters an S-box: even, so that adding an odd number makes it odd, and such that
/// the scale stays the same from round to round, given the two doublings within.
const WEIGHT: u64 = 1 << (SBOX_SCALE - STATE_SCALE);

/// A sponge's words are in this scale, RISC Zero's Montgomery form.
const WORD_SCALE: u32 = 32;

/// R.
const RADIX: u64 = 1 << 52;

/// -1 / P modulo R.
const NEGATIVE_INVERSE: u64 = {
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
const NEGATIVE_P: u64 = RADIX - MODULUS;

/// A factor, and what estimates the quotient by a modulus of a product with it.
#[derive(Clone, Copy)]
struct Factor {
    number: u64,
    quotient: u64,
}

impl Factor {
    const fn new(number: u64, modulus: u64) -> Self {
        Self { number, quotient: (((number as u128) << 52) / modulus as u128) as u64 }
    }
}

/// Words to the state's scale.
const ENTER: Factor = Factor::new(1 << (STATE_SCALE - WORD_SCALE), MODULUS);

/// The state's scale to words.
const LEAVE: Factor = Factor::new(super::constants::inverse(1 << (STATE_SCALE - WORD_SCALE)), MODULUS);

/// One, whose quotient reduces a sum.
const ONE: Factor = Factor::new(1, MODULUS);

/// The first cell's part in the next S-box's input: once in the rows' sum and once on the diagonal. Even,
/// and reduced by even multiples of P, so that the input stays odd.
const FIRST: Factor = {
    let number = mul(WEIGHT, diagonal(0) + 1);
    Factor::new(number + number % 2 * MODULUS, 2 * MODULUS)
};

struct Tables {
    /// Added to the cells before the first layer.
    start: [u64; CELLS],
    /// Added to the S-boxes' outputs of full rounds, and 1 for the product's carry.
    full: [[u64; CELLS]; 2 * HALF_FULL],
    /// What makes the S-box's input of each partial round, and of the full round after them, from the first cell.
    partial: [u64; PARTIAL + 1],
    /// What makes the S-boxes' inputs of the full round after the partial ones from the other cells.
    second: [u64; CELLS],
    /// The internal matrix's diagonal, less one.
    diagonal: [Factor; CELLS],
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

static TABLES: Tables = Tables::new();

/// `number` in all lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn all(number: u64) -> Lanes {
    _mm512_set1_epi64(number as i64)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add(a: Lanes, b: Lanes) -> Lanes {
    _mm512_add_epi64(a, b)
}

/// `sum` plus the low 52 bits of `a * b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn low(sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
    _mm512_madd52lo_epu64(sum, a, b)
}

/// `sum` plus the high 52 bits of `a * b`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn high(sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
    _mm512_madd52hi_epu64(sum, a, b)
}

/// The Montgomery product of an odd `a` and a `b` not zero, plus `sum - 1`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn montgomery(sum: Lanes, a: Lanes, b: Lanes) -> Lanes {
    let quotient = low(all(0), low(all(0), a, b), all(NEGATIVE_INVERSE));
    high(high(sum, a, b), quotient, all(MODULUS))
}

/// `sum + a * factor`, reduced to below `sum + 2 P`, modulo R.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn barrett(sum: Lanes, a: Lanes, factor: Factor) -> Lanes {
    let quotient = high(all(0), a, all(factor.quotient));
    low(low(sum, a, all(factor.number)), quotient, all(NEGATIVE_P))
}

/// x^7 of an odd `x`, plus `sum - 1`: as few instructions as possible.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sbox(sum: Lanes, x: Lanes) -> Lanes {
    let x2 = montgomery(all(1), x, x);
    let x2 = low(all(MODULUS), x2, all(2));
    let x4 = montgomery(all(1), x2, x2);
    let x6 = montgomery(all(1), x2, x4);
    montgomery(sum, x, x6)
}

/// x^7 of an odd `x`: one instruction more, and the shortest chain of dependencies, which bounds partial rounds.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sbox_short(x: Lanes) -> Lanes {
    let x2 = montgomery(all(1), x, x);
    let x3 = montgomery(all(1), x, x2);
    let x2 = low(all(MODULUS), x2, all(2));
    let x3 = low(all(MODULUS), x3, all(2));
    let x4 = montgomery(all(1), x2, x2);
    montgomery(all(1), x3, x4)
}

/// M4 times four cells.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn mix4(x: [Lanes; 4]) -> [Lanes; 4] {
    let (t0, t1) = (add(x[0], x[1]), add(x[2], x[3]));
    let t2 = low(t1, x[1], all(2));
    let t3 = low(t0, x[3], all(2));
    let t4 = low(t3, t1, all(4));
    let t5 = low(t2, t0, all(4));
    [add(t3, t5), t5, add(t2, t4), t4]
}

/// M4 times each chunk, in place, and the sums over chunks.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn mix_chunks(cells: &mut [Lanes; CELLS]) -> [Lanes; 4] {
    let mut sums = [all(0); 4];
    for chunk in cells.as_chunks_mut::<4>().0 {
        *chunk = mix4(*chunk);
        for (sum, &cell) in sums.iter_mut().zip(chunk.iter()) {
            *sum = add(*sum, cell);
        }
    }
    sums
}

/// The external matrix between two full rounds.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn mix_for_sboxes(cells: &mut [Lanes; CELLS]) {
    let mut sums = mix_chunks(cells);
    for sum in &mut sums {
        *sum = low(all(MODULUS), *sum, all(WEIGHT));
    }
    for chunk in cells.as_chunks_mut::<4>().0 {
        for (cell, &sum) in chunk.iter_mut().zip(&sums) {
            *cell = low(sum, *cell, all(WEIGHT));
        }
    }
}

/// The external matrix before the partial rounds.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn mix(cells: &mut [Lanes; CELLS]) {
    let sums = mix_chunks(cells);
    for chunk in cells.as_chunks_mut::<4>().0 {
        for (cell, &sum) in chunk.iter_mut().zip(&sums) {
            *cell = add(sum, *cell);
        }
    }
}

/// The external matrix's rows of the chunks from `first` on alone.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn mix_some<const CHUNKS: usize>(cells: &[Lanes; CELLS], first: usize) -> [[Lanes; 4]; CHUNKS] {
    let chunks = cells.as_chunks::<4>().0;
    let mut sum = chunks[0];
    for chunk in &chunks[1..] {
        for (sum, &cell) in sum.iter_mut().zip(chunk) {
            *sum = add(*sum, cell);
        }
    }
    let mut out = [[all(0); 4]; CHUNKS];
    for (out, chunk) in out.iter_mut().zip(&chunks[first..]) {
        for ((out, &sum), &cell) in out.iter_mut().zip(&sum).zip(chunk) {
            *out = add(sum, cell);
        }
        *out = mix4(*out);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn sboxes(cells: &mut [Lanes; CELLS], constants: &[u64; CELLS]) {
    for (cell, &constant) in cells.iter_mut().zip(constants) {
        *cell = sbox(all(constant), *cell);
    }
}

/// The rows of the internal matrix, written out: the compiler would loop, and wait for memory.
macro_rules! rows {
    ($cells:ident, $sum:ident: $($i:literal)*) => {
        $($cells[$i] = barrett($sum, $cells[$i], TABLES.diagonal[$i]);)*
    };
}

/// A partial round. The first cell is kept as the S-box's input, here and in the round that has `constant`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn partial_round(cells: &mut [Lanes; CELLS], constant: u64) {
    let mut sums = [cells[1], cells[2], cells[3], cells[4]];
    for i in 5..CELLS {
        sums[i % 4] = add(sums[i % 4], cells[i]);
    }
    let rest = add(add(sums[0], sums[1]), add(sums[2], sums[3]));
    let x = sbox_short(cells[0]);
    let next = low(low(all(constant), rest, all(WEIGHT)), x, all(FIRST.number));
    cells[0] = low(next, high(all(0), x, all(FIRST.quotient)), all(RADIX - 2 * MODULUS));
    let sum = barrett(all(0), add(rest, x), ONE);
    rows!(cells, sum: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
}

/// All but the last layer. The cells come with what [`Tables::start`] has for them.
#[target_feature(enable = "avx512f,avx512ifma")]
fn permute(cells: &mut [Lanes; CELLS]) {
    let (first, second) = TABLES.full.split_at(HALF_FULL);
    mix_for_sboxes(cells);
    for constants in &first[..HALF_FULL - 1] {
        sboxes(cells, constants);
        mix_for_sboxes(cells);
    }
    sboxes(cells, &first[HALF_FULL - 1]);
    mix(cells);
    cells[0] = low(all(TABLES.partial[0]), cells[0], all(WEIGHT));
    for &constant in &TABLES.partial[1..] {
        partial_round(cells, constant);
    }
    for i in 1..CELLS {
        cells[i] = low(all(TABLES.second[i]), cells[i], all(WEIGHT));
    }
    for constants in &second[..HALF_FULL - 1] {
        sboxes(cells, constants);
        mix_for_sboxes(cells);
    }
    sboxes(cells, &second[HALF_FULL - 1]);
}

/// 16 sponges, as two times 8, each left before the last layer: of that, absorbing needs the capacity alone and
/// a digest its own words alone.
#[derive(Clone, Copy)]
pub(crate) struct Sponge([[Lanes; CELLS]; 2]);

#[target_feature(enable = "avx512f,avx512ifma")]
fn absorb(cells: &mut [Lanes; CELLS], block: &[&[u32]], lane: usize) {
    let kept = mix_some::<2>(cells, RATE / 4);
    for (i, &start) in TABLES.start.iter().enumerate() {
        cells[i] = if i >= RATE {
            add(all(start), kept[(i - RATE) / 4][i % 4])
        } else if let Some(words) = block.get(i) {
            let words: &[u32] = &words[lane..lane + 8];
            // SAFETY: 8 words, as cut off above.
            let words = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
            barrett(all(start), _mm512_cvtepu32_epi64(words), ENTER)
        } else {
            all(start)
        };
    }
    permute(cells);
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn digest_words(cells: &[Lanes; CELLS]) -> [[u32; 8]; DIGEST] {
    let mixed = mix_some::<2>(cells, 0);
    let modulus = all(MODULUS);
    let mut digest = [[0; 8]; DIGEST];
    for (words, &cell) in digest.iter_mut().zip(mixed.as_flattened()) {
        // Below 2 P, so that the low word is all, and once P off it makes it canonical.
        let number = barrett(all(0), cell, LEAVE);
        let number = _mm512_min_epu32(number, _mm512_sub_epi32(number, modulus));
        // SAFETY: 8 words are written to an array of 8.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), _mm512_cvtepi64_epi32(number)) };
    }
    digest
}

impl super::Sponge for Sponge {
    const LANES: usize = 16;

    fn new() -> Self {
        // SAFETY: zeros are a value of integers; no instruction is involved.
        Self(unsafe { core::mem::zeroed() })
    }

    fn absorb(&mut self, block: &[&[u32]]) {
        for (half, cells) in self.0.iter_mut().enumerate() {
            // SAFETY: `hash` makes sponges of this type only where the machine has the features.
            unsafe { absorb(cells, block, half * 8) }
        }
    }

    fn digests(&self, out: &mut [[u32; DIGEST]]) {
        for (cells, out) in self.0.iter().zip(out[..Self::LANES].chunks_exact_mut(8)) {
            // SAFETY: as in `absorb`.
            let words = unsafe { digest_words(cells) };
            for (lane, digest) in out.iter_mut().enumerate() {
                *digest = words.map(|word| word[lane]);
            }
        }
    }
}
