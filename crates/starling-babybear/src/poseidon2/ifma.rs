//! The permutation in 52-bit integers, with AVX-512 IFMA: the low or the high 52 bits of `a * b`, added to a
//! third number, 8 lanes at a time.
//!
//! An element takes 31 of the 52 bits: sums need no reduction, and products are brought back to about 32 bits.
//!
//! **Products in the S-box** are Montgomery products for R = 2^52. With `a * b = h * R + l`, and the multiple
//! `q * P = g * R + (R - l)` for `q = -l / P mod R`, the sum is `(h + g + 1) * R` and the result `h + g + 1`: four
//! instructions, the additions being part of them. The carry of 1 is there unless `l` is zero, so that it never
//! must be: one factor is odd, and the other neither zero nor R or above. What enters an S-box is odd because the layer before it computes
//! `8 y + P` instead of `y`, at no cost; within, `2 x + P` makes a factor odd with one instruction.
//!
//! **Scale.** Those multiples are made up for by the representation: the state holds `v * 2^48` for the element
//! `v`, an S-box's input is `v * 2^51`, and its output, with the factors of 2 within, `v^7 * 2^48` again.
//!
//! **Products with constants** in partial rounds are Barrett products with a precomputed quotient (Shoup):
//! `a * c - floor(a * floor(c * R / P) / R) * P` modulo R, three instructions, the addition of the rows' sum being part of
//! them. They leave a multiple of R in the register, above what multiplications read.
//!
//! **Round constants** of full rounds are added before the matrix instead of after it (see [`tables`]), to what leaves the
//! S-boxes, where an addition is part of a product.
//!
//! **Bounds.** What leaves an S-box is below 2^33 as long as what enters it is below 2^49. The external matrix
//! multiplies by at most 112, so that a state is below 2^40, or 2^46 where a sponge's capacity goes through the matrix
//! twice, and an S-box's input, 8 times that, below 2^49. In partial rounds the cells' sum is below 2^44, of which
//! no more than 2 P is added to each cell.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "several arrays go side by side in what must be unrolled"
)]

mod tables;

use core::arch::x86_64::*;

use super::constants::{HALF_FULL, MODULUS};
use super::{CELLS, DIGEST, RATE};
use tables::{
    ENTER, FIRST, Factor, LEAVE, NEGATIVE_INVERSE, NEGATIVE_P, ONE, RADIX, TABLES, WEIGHT,
};

/// 8 lanes of 52-bit integers. Bits above are ignored where they may occur.
type Lanes = __m512i;

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
