//! The permutation in signed 32-bit words that are reduced late, for SSE4.1, AVX2 and AVX-512 without IFMA.
//!
//! `vpmuldq` and `vpmuludq` multiply the low words of 64-bit lanes, so that an S-box works on even and odd words
//! apart, from its first product to its last.
//!
//! **S-box.** Signed Montgomery products for R = 2^32: with any two factors in `-2^31..2^31` the result is in the
//! same range, and nothing is corrected in between. With factors in `-0.8 P..0.8 P` so is the result.
//!
//! **External matrix.** Words are added modulo 2^32, while what the sums are in truth is followed in 16-bit lanes, two
//! cells to a register, by the words' top 9 bits. That tells to within a quarter how many multiples of P to
//! subtract at the end, once for all additions of the matrix. A sum is at most 112 words, rows of the matrix adding
//! up to no more.
//!
//! **Partial rounds.** Even and odd words stay apart for all of them, unsigned, and `a * c + w` is reduced in one step, where
//! `w` is R times the cells' sum.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "several arrays go side by side in what must be unrolled"
)]

use core::arch::x86_64::{__m128i, __m256i, __m512i};

use super::constants::{
    HALF_FULL, MODULUS, PARTIAL, SECOND_HALF, diagonal, mul, power_of_two, round_constant,
};
use super::registers::{TOP_SHIFT, Words};
use super::{CELLS, DIGEST, RATE};
use crate::vector::square::LANES_MAX;
use crate::vector::{MU, P};

/// Multiples of P that sums are taken up by, so that numbers of multiples are never negative.
const OFFSET: u64 = 128;

/// One over P, for a number of multiples from a sum of tops: 2^(16 + 23) / P, rounded down.
const MULTIPLES: u16 = ((1 << (16 + TOP_SHIFT)) / MODULUS) as u16;

/// The high half of P. The low half being 1, `n * P` modulo 2^32 has `n` below `n * P_HIGH`.
const P_HIGH: u16 = (P >> 16) as u16;

const _: () = assert!(P & 0xffff == 1);

/// -1 / P modulo 2^32.
const NEGATIVE_MU: u32 = MU.wrapping_neg();

/// What tops lose by rounding down is up to 1 for each of the 112 words that sum up in a row, thus 56 on average; and
/// a number of multiples, itself rounded down, should be rounded to the nearest.
const ROUNDING: u64 = 112 / 2 + ((MODULUS / 2) >> TOP_SHIFT) + 7;

/// `number` in Montgomery form.
const fn montgomery(number: u64) -> u64 {
    mul(number, power_of_two(32))
}

/// What a layer adds to each cell after the external matrix.
struct Addends {
    words: [u32; CELLS],
    /// By pair of chunks and place in the chunk: those of both, as [`Words::tops`] has them.
    tops: [[[u64; 2]; 4]; 3],
}

impl Addends {
    const NONE: Self = Self::new([0; CELLS]);

    const fn new(constants: [u64; CELLS]) -> Self {
        let mut addends = Self { words: [0; CELLS], tops: [[[0; 2]; 4]; 3] };
        let mut i = 0;
        while i < CELLS {
            let number = constants[i] + OFFSET * MODULUS;
            addends.words[i] = number as u32;
            let top = (number >> TOP_SHIFT) + ROUNDING;
            let (pair, half) = (i / 4 % 3, i / 12);
            addends.tops[pair][i % 4][half] = top * 0x0001_0001_0001_0001;
            i += 1;
        }
        addends
    }
}

struct Tables {
    /// After the first layer, and after each full round of the first half. The last has the first partial round's.
    first: [Addends; HALF_FULL + 1],
    /// What each partial round adds to the first cell for the next, times R.
    partial: [u64; PARTIAL - 1],
    /// For the full round after the partial ones; less P.
    second_start: [u32; CELLS],
    /// After each full round of the second half.
    second: [Addends; HALF_FULL],
    /// The internal matrix's diagonal, less one.
    diagonal: [u32; CELLS],
}

const fn round_constants(round: usize) -> [u64; CELLS] {
    let mut constants = [0; CELLS];
    let mut i = 0;
    while i < CELLS {
        constants[i] = montgomery(round_constant(round, i));
        i += 1;
    }
    constants
}

impl Tables {
    const fn new() -> Self {
        let mut tables = Self {
            first: [Addends::NONE; HALF_FULL + 1],
            partial: [0; PARTIAL - 1],
            second_start: [0; CELLS],
            second: [Addends::NONE; HALF_FULL],
            diagonal: [0; CELLS],
        };
        let mut round = 0;
        while round < HALF_FULL {
            tables.first[round] = Addends::new(round_constants(round));
            round += 1;
        }
        let mut constants = [0; CELLS];
        constants[0] = montgomery(round_constant(HALF_FULL, 0));
        tables.first[HALF_FULL] = Addends::new(constants);
        let mut round = 0;
        while round < HALF_FULL - 1 {
            tables.second[round] = Addends::new(round_constants(SECOND_HALF + round + 1));
            round += 1;
        }
        let mut round = 0;
        while round < PARTIAL - 1 {
            tables.partial[round] =
                montgomery(montgomery(round_constant(HALF_FULL + round + 1, 0)));
            round += 1;
        }
        let constants = round_constants(SECOND_HALF);
        let mut cell = 0;
        while cell < CELLS {
            tables.second_start[cell] = (constants[cell] as u32).wrapping_sub(P);
            tables.diagonal[cell] = montgomery(diagonal(cell)) as u32;
            cell += 1;
        }
        tables
    }
}

static TABLES: Tables = Tables::new();

/// M4 times four cells, of words modulo 2^32.
#[inline(always)]
fn mix4<W: Words>(x: [W; 4]) -> [W; 4] {
    let (t0, t1) = (x[0].add(x[1]), x[2].add(x[3]));
    let t2 = x[1].add(x[1]).add(t1);
    let t3 = x[3].add(x[3]).add(t0);
    let t4 = t1.quadruple().add(t3);
    let t5 = t0.quadruple().add(t2);
    [t3.add(t5), t5, t2.add(t4), t4]
}

/// The same of 16-bit lanes.
#[inline(always)]
fn mix4_short<W: Words>(x: [W; 4]) -> [W; 4] {
    let (t0, t1) = (x[0].add_short(x[1]), x[2].add_short(x[3]));
    let t2 = x[1].add_short(x[1]).add_short(t1);
    let t3 = x[3].add_short(x[3]).add_short(t0);
    let t4 = t1.quadruple_short().add_short(t3);
    let t5 = t0.quadruple_short().add_short(t2);
    [t3.add_short(t5), t5, t2.add_short(t4), t4]
}

/// The external matrix and what is added after it: of words in `-P..P`, to words in about -0.8 P to 0.8 P.
#[inline(always)]
fn mix<W: Words>(cells: &mut [W; CELLS], addends: &Addends) {
    let mut tops = [[cells[0]; 4]; 3];
    for (pair, tops) in tops.iter_mut().enumerate() {
        for (i, top) in tops.iter_mut().enumerate() {
            *top = cells[4 * pair + i].tops(cells[4 * pair + 12 + i]);
        }
        *tops = mix4_short(*tops);
    }
    let mut sums = tops[0];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = sum.add_short(tops[1][i]).add_short(tops[2][i]);
        *sum = sum.add_short(sum.swap());
    }
    for (tops, addends) in tops.iter_mut().zip(&addends.tops) {
        for ((top, &sum), &addend) in tops.iter_mut().zip(&sums).zip(addends) {
            let sum = top.add_short(sum).add_short(W::splat_quad(addend));
            *top = sum.mul_high_short(W::splat_short(MULTIPLES));
        }
    }
    for chunk in cells.as_chunks_mut::<4>().0 {
        *chunk = mix4(*chunk);
    }
    let mut sums = [cells[0], cells[1], cells[2], cells[3]];
    for i in 4..CELLS {
        sums[i % 4] = sums[i % 4].add(cells[i]);
    }
    for pair in 0..3 {
        for i in 0..4 {
            let multiples = tops[pair][i];
            let multiples = multiples.spread(multiples.mul_low_short(W::splat_short(P_HIGH)));
            for (multiples, cell) in [(multiples.0, 4 * pair + i), (multiples.1, 4 * pair + 12 + i)]
            {
                let sum = cells[cell].add(sums[i]).add(W::splat(addends.words[cell]));
                cells[cell] = sum.sub(multiples);
            }
        }
    }
}

/// Signed Montgomery products of low words, in high words, step by step: several at once, since one alone is a chain of
/// instructions that each wait for the one before.
#[inline(always)]
fn products<W: Words, const COUNT: usize>(a: [W; COUNT], b: [W; COUNT]) -> [W; COUNT] {
    let (mut products, mut multiples) = (a, a);
    for i in 0..COUNT {
        products[i] = a[i].mul_signed(b[i]);
    }
    for i in 0..COUNT {
        multiples[i] = products[i].mul(W::splat(MU));
    }
    for i in 0..COUNT {
        multiples[i] = multiples[i].mul_signed(W::splat(P));
    }
    for i in 0..COUNT {
        products[i] = products[i].sub_wide(multiples[i]);
    }
    products
}

/// High words as low ones.
#[inline(always)]
fn high<W: Words, const COUNT: usize>(mut words: [W; COUNT]) -> [W; COUNT] {
    for word in &mut words {
        *word = word.high();
    }
    words
}

/// x^7 of signed low words, in high words.
#[inline(always)]
fn sboxes<W: Words, const COUNT: usize>(x: [W; COUNT]) -> [W; COUNT] {
    let x2 = high(products(x, x));
    let x3 = high(products(x2, x));
    let x4 = high(products(x2, x2));
    products(x3, x4)
}

/// One of [`sboxes`].
#[inline(always)]
fn sbox<W: Words>(x: W) -> W {
    sboxes([x])[0]
}

#[inline(always)]
fn full_round<W: Words>(cells: &mut [W; CELLS], addends: &Addends) {
    for pair in cells.as_chunks_mut::<2>().0 {
        let [a, b] = *pair;
        let powers = sboxes([a, a.high(), b, b.high()]);
        *pair = [W::merge(powers[0], powers[1]), W::merge(powers[2], powers[3])];
    }
    mix(cells, addends);
}

/// `sum / R` for a sum of products, in high words.
#[inline(always)]
fn reduce<W: Words>(sum: W) -> W {
    let quotient = sum.mul(W::splat(NEGATIVE_MU));
    sum.add_wide(quotient.mul(W::splat(P)))
}

/// The even or the odd words of the state while partial rounds last.
#[derive(Clone, Copy)]
struct Half<W> {
    /// The cells but the first, times the diagonal's entries.
    products: [W; CELLS],
    /// The sum of the cells but the first, times 2^32 + 1 modulo 2^64.
    sum: W,
    /// What the S-box made of the first cell, unsigned in both words of each lane.
    power: W,
}

impl<W: Words> Half<W> {
    /// From unsigned low words, of which the S-box takes the first signed.
    #[inline(always)]
    fn new(cells: [W; CELLS], first: W) -> Self {
        let power = sbox(first).high().add(W::splat(P));
        let mut half = Self { products: cells, sum: W::splat(0), power };
        for i in 1..CELLS {
            half.products[i] = cells[i].mul(W::splat(TABLES.diagonal[i]));
            // In both words of each lane.
            half.sum = half.sum.add_wide(cells[i].raise().high());
        }
        half
    }

    /// The first cell's part of a round, and the S-box of the next: a long chain of dependencies that is to overlap with
    /// the work on other cells. Returns the cell, in high words, and what is to be added to the others' products: R times the
    /// sum of all.
    #[inline(always)]
    fn first(&mut self, constant: u64) -> (W, W) {
        let modulus = W::splat(P);
        let sum = self.sum.add_wide(self.power);
        // The high word of 2^32 + 1 times the sum is the sum's high word plus its low one.
        let high = sum.high().sub(sum);
        let low = sum.min(sum.sub(modulus));
        let addend = low
            .mul(W::splat(power_of_two(32) as u32))
            .add_wide(high.mul(W::splat(power_of_two(64) as u32)));
        let product = self.power.mul(W::splat(TABLES.diagonal[0]));
        let cell = reduce(product.add_wide(addend).add_wide(W::splat_wide(constant)));
        self.power = sbox(cell.high().sub(modulus)).high().add(modulus);
        (cell, addend)
    }

    /// A round but the last.
    #[inline(always)]
    fn round(&mut self, constant: u64) {
        let (_, addend) = self.first(constant);
        let mut sum = W::splat(0);
        for i in 1..CELLS {
            let cell = reduce(self.products[i].add_wide(addend)).high();
            sum = sum.add_wide(cell);
            self.products[i] = cell.mul(W::splat(TABLES.diagonal[i]));
        }
        self.sum = sum;
    }

    /// The last round. Returns the cells, numbers below 2.02 P in high words.
    #[inline(always)]
    fn last_round(mut self) -> [W; CELLS] {
        let (first, addend) = self.first(0);
        self.products[0] = first;
        for i in 1..CELLS {
            self.products[i] = reduce(self.products[i].add_wide(addend));
        }
        self.products
    }
}

#[inline(always)]
fn partial_rounds<W: Words>(cells: &mut [W; CELLS]) {
    let modulus = W::splat(P);
    let (mut even, mut odd) = (*cells, *cells);
    for i in 0..CELLS {
        even[i] = cells[i].min(cells[i].add(modulus));
        odd[i] = even[i].high();
    }
    let mut even = Half::new(even, cells[0]);
    let mut odd = Half::new(odd, cells[0].high());
    for &constant in &TABLES.partial {
        even.round(constant);
        odd.round(constant);
    }
    let (even, odd) = (even.last_round(), odd.last_round());
    for i in 0..CELLS {
        let word = W::merge(even[i], odd[i]);
        cells[i] = word.min(word.sub(modulus)).add(W::splat(TABLES.second_start[i]));
    }
}

#[inline(always)]
fn permute<W: Words>(cells: &mut [W; CELLS]) {
    let (start, first) = TABLES.first.split_first().expect("tables are not empty");
    mix(cells, start);
    for addends in first {
        full_round(cells, addends);
    }
    partial_rounds(cells);
    for addends in &TABLES.second {
        full_round(cells, addends);
    }
}

#[inline(always)]
fn absorb<W: Words>(cells: &mut [W; CELLS], block: &[&[u32]]) {
    for (i, cell) in cells[..RATE].iter_mut().enumerate() {
        *cell = match block.get(i) {
            Some(words) => {
                let words = &words[..W::COUNT];
                // SAFETY: as many words as cut off above.
                unsafe { W::load(words.as_ptr()) }
            }
            None => W::splat(0),
        };
    }
    permute(cells);
}

#[inline(always)]
fn digests<W: Words>(cells: &[W; CELLS], out: &mut [[u32; DIGEST]]) {
    let mut words = [0; LANES_MAX];
    for (i, cell) in cells[..DIGEST].iter().enumerate() {
        let cell = cell.min(cell.add(W::splat(P)));
        // SAFETY: no register has more words than the array.
        unsafe { cell.store(words.as_mut_ptr()) };
        for (digest, word) in out[..W::COUNT].iter_mut().zip(words) {
            digest[i] = word;
        }
    }
}

/// A sponge for each word of a register.
#[derive(Clone, Copy)]
pub(crate) struct Sponge<W>([W; CELLS]);

macro_rules! sponge {
    ($register:ty, $features:literal) => {
        impl super::Sponge for Sponge<$register> {
            const LANES: usize = <$register>::COUNT;

            fn new() -> Self {
                // SAFETY: zeros are a value of integers; no instruction is involved.
                Self(unsafe { core::mem::zeroed() })
            }

            fn absorb(&mut self, block: &[&[u32]]) {
                #[target_feature(enable = $features)]
                fn inner(cells: &mut [$register; CELLS], block: &[&[u32]]) {
                    absorb(cells, block);
                }
                // SAFETY: `hash` makes sponges of this type only where the machine has the features.
                unsafe { inner(&mut self.0, block) }
            }

            fn digests(&self, out: &mut [[u32; DIGEST]]) {
                #[target_feature(enable = $features)]
                fn inner(cells: &[$register; CELLS], out: &mut [[u32; DIGEST]]) {
                    digests(cells, out);
                }
                // SAFETY: as in `absorb`.
                unsafe { inner(&self.0, out) }
            }
        }
    };
}

sponge!(__m128i, "sse4.1");
sponge!(__m256i, "avx2");
sponge!(__m512i, "avx512f,avx512bw,avx512vl");
