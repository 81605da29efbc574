//! The permutation in signed 32-bit words that are reduced late, for AVX2 and for AVX-512 without IFMA.
//!
//! `vpmuldq` and `vpmuludq` multiply the low words of 64-bit lanes, so that an S-box works on even and odd words
//! apart. It stays in such halves from its first product to its last.
//!
//! **S-box**: signed Montgomery products for R = 2^32. With any two factors in `-2^31..2^31` the result is in the same range,
//! so that nothing is corrected in between.
//!
//! **External matrix**: words are added modulo 2^32, while what the sums are in truth is
//! followed in 16-bit lanes, two cells to a register, by the words' top 9 bits. That tells to within a quarter how many
//! multiples of P to subtract, for all additions of the matrix at once. See [`Mixer`].
//!
//! **Partial rounds**: halves that stay apart for all 21 rounds, unsigned, with `a * c + w` reduced in one step,
//! where `w` is the rows' sum times R.

#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::constants::{
    HALF_FULL, MODULUS, PARTIAL, SECOND_HALF, diagonal, mul, power_of_two, round_constant,
};
use super::{CELLS, DIGEST, RATE};
use crate::vector::square::LANES_MAX;
use crate::vector::{MU, P};

/// A register of 32-bit words, used as 64-bit lanes and as 16-bit lanes too.
pub(crate) trait Words: Copy {
    /// 32-bit words.
    const COUNT: usize;

    /// # Safety
    /// `ptr` is valid for reads of `COUNT` words.
    unsafe fn load(ptr: *const u32) -> Self;
    /// # Safety
    /// `ptr` is valid for writes of `COUNT` words.
    unsafe fn store(self, ptr: *mut u32);
    fn splat(word: u32) -> Self;
    fn splat_wide(number: u64) -> Self;
    fn splat_short(number: u16) -> Self;
    /// The same 128 bits throughout.
    fn splat_quad(numbers: [u64; 2]) -> Self;

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    /// The smaller of unsigned words.
    fn min(self, other: Self) -> Self;
    fn shift_left_2(self) -> Self;

    fn add_wide(self, other: Self) -> Self;
    fn sub_wide(self, other: Self) -> Self;
    /// Products of the low words of 64-bit lanes.
    fn mul(self, other: Self) -> Self;
    /// Signed products of the low words of 64-bit lanes.
    fn mul_signed(self, other: Self) -> Self;
    /// The high word of each 64-bit lane in both.
    fn high(self) -> Self;
    /// The low word of each 64-bit lane in the place of the high one.
    fn raise(self) -> Self;
    /// The high words of two, as even and odd words.
    fn merge(even: Self, odd: Self) -> Self;

    /// The top 9 bits of words, signed, in 16-bit lanes: those of both in each 128 bits.
    fn tops(self, other: Self) -> Self;
    fn add_short(self, other: Self) -> Self;
    fn shift_left_2_short(self) -> Self;
    /// The high halves of unsigned 16-bit products.
    fn mul_high_short(self, other: Self) -> Self;
    /// The low halves of 16-bit products.
    fn mul_low_short(self, other: Self) -> Self;
    /// What [`Words::tops`] had of one changes places with what it had of the other.
    fn swap(self) -> Self;
    /// 16-bit lanes to the low halves of words and those of `high` to the high ones, in two registers as given to
    /// [`Words::tops`].
    fn spread(self, high: Self) -> (Self, Self);
}

macro_rules! words {
    ($register:ty, $count:literal: $load:ident $store:ident $splat:ident $splat_wide:ident $splat_short:ident $splat_quad:ident
     $add:ident $sub:ident $min:ident $sll:ident $add_wide:ident $sub_wide:ident $mul:ident $mul_signed:ident
     $sll_wide:ident $sra:ident $packs:ident $add_short:ident $sll_short:ident $mulhi:ident $mullo:ident
     $shuffle:ident $unpacklo:ident $unpackhi:ident, |$words:ident| $high:expr, |$even:ident, $odd:ident| $merge:expr) => {
        // SAFETY, for all: `hash` computes with this type only where the machine has its instructions.
        impl Words for $register {
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn load(ptr: *const u32) -> Self {
                // SAFETY: the caller vouches for the words.
                unsafe { $load(ptr.cast()) }
            }
            #[inline(always)]
            unsafe fn store(self, ptr: *mut u32) {
                // SAFETY: the caller vouches for the words.
                unsafe { $store(ptr.cast(), self) }
            }
            #[inline(always)]
            fn splat(word: u32) -> Self {
                unsafe { $splat(word as i32) }
            }
            #[inline(always)]
            fn splat_wide(number: u64) -> Self {
                unsafe { $splat_wide(number as i64) }
            }
            #[inline(always)]
            fn splat_short(number: u16) -> Self {
                unsafe { $splat_short(number as i16) }
            }
            #[inline(always)]
            fn splat_quad(numbers: [u64; 2]) -> Self {
                unsafe { $splat_quad(_mm_set_epi64x(numbers[1] as i64, numbers[0] as i64)) }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                unsafe { $sub(self, other) }
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                unsafe { $min(self, other) }
            }
            #[inline(always)]
            fn shift_left_2(self) -> Self {
                unsafe { $sll::<2>(self) }
            }
            #[inline(always)]
            fn add_wide(self, other: Self) -> Self {
                unsafe { $add_wide(self, other) }
            }
            #[inline(always)]
            fn sub_wide(self, other: Self) -> Self {
                unsafe { $sub_wide(self, other) }
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                unsafe { $mul(self, other) }
            }
            #[inline(always)]
            fn mul_signed(self, other: Self) -> Self {
                unsafe { $mul_signed(self, other) }
            }
            #[inline(always)]
            fn high(self) -> Self {
                let $words = self;
                unsafe { $high }
            }
            #[inline(always)]
            fn raise(self) -> Self {
                unsafe { $sll_wide::<32>(self) }
            }
            #[inline(always)]
            fn merge($even: Self, $odd: Self) -> Self {
                unsafe { $merge }
            }
            #[inline(always)]
            fn tops(self, other: Self) -> Self {
                unsafe { $packs($sra::<23>(self), $sra::<23>(other)) }
            }
            #[inline(always)]
            fn add_short(self, other: Self) -> Self {
                unsafe { $add_short(self, other) }
            }
            #[inline(always)]
            fn shift_left_2_short(self) -> Self {
                unsafe { $sll_short::<2>(self) }
            }
            #[inline(always)]
            fn mul_high_short(self, other: Self) -> Self {
                unsafe { $mulhi(self, other) }
            }
            #[inline(always)]
            fn mul_low_short(self, other: Self) -> Self {
                unsafe { $mullo(self, other) }
            }
            #[inline(always)]
            fn swap(self) -> Self {
                unsafe { $shuffle::<0b01_00_11_10>(self) }
            }
            #[inline(always)]
            fn spread(self, high: Self) -> (Self, Self) {
                unsafe { ($unpacklo(self, high), $unpackhi(self, high)) }
            }
        }
    };
}

words!(__m256i, 8: _mm256_loadu_si256 _mm256_storeu_si256 _mm256_set1_epi32 _mm256_set1_epi64x _mm256_set1_epi16 _mm256_broadcastsi128_si256
    _mm256_add_epi32 _mm256_sub_epi32 _mm256_min_epu32 _mm256_slli_epi32 _mm256_add_epi64 _mm256_sub_epi64
    _mm256_mul_epu32 _mm256_mul_epi32 _mm256_slli_epi64 _mm256_srai_epi32 _mm256_packs_epi32 _mm256_add_epi16 _mm256_slli_epi16
    _mm256_mulhi_epu16 _mm256_mullo_epi16 _mm256_shuffle_epi32 _mm256_unpacklo_epi16 _mm256_unpackhi_epi16,
    |words| _mm256_castps_si256(_mm256_movehdup_ps(_mm256_castsi256_ps(words))),
    |even, odd| _mm256_blend_epi32::<0b1010_1010>(even.high(), odd));
words!(__m512i, 16: _mm512_loadu_si512 _mm512_storeu_si512 _mm512_set1_epi32 _mm512_set1_epi64 _mm512_set1_epi16 _mm512_broadcast_i32x4
    _mm512_add_epi32 _mm512_sub_epi32 _mm512_min_epu32 _mm512_slli_epi32 _mm512_add_epi64 _mm512_sub_epi64
    _mm512_mul_epu32 _mm512_mul_epi32 _mm512_slli_epi64 _mm512_srai_epi32 _mm512_packs_epi32 _mm512_add_epi16 _mm512_slli_epi16
    _mm512_mulhi_epu16 _mm512_mullo_epi16 _mm512_shuffle_epi32 _mm512_unpacklo_epi16 _mm512_unpackhi_epi16,
    |words| _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(words))),
    |even, odd| _mm512_castps_si512(_mm512_mask_movehdup_ps(_mm512_castsi512_ps(odd), 0x5555, _mm512_castsi512_ps(even))));


/// How far [`Words::tops`] shifts.
const TOP_SHIFT: u32 = 23;

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
    partial: [u64; PARTIAL],
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
            partial: [0; PARTIAL],
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
            tables.partial[round] = montgomery(montgomery(round_constant(HALF_FULL + round + 1, 0)));
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
    let t4 = t1.shift_left_2().add(t3);
    let t5 = t0.shift_left_2().add(t2);
    [t3.add(t5), t5, t2.add(t4), t4]
}

/// The same of 16-bit lanes.
#[inline(always)]
fn mix4_short<W: Words>(x: [W; 4]) -> [W; 4] {
    let (t0, t1) = (x[0].add_short(x[1]), x[2].add_short(x[3]));
    let t2 = x[1].add_short(x[1]).add_short(t1);
    let t3 = x[3].add_short(x[3]).add_short(t0);
    let t4 = t1.shift_left_2_short().add_short(t3);
    let t5 = t0.shift_left_2_short().add_short(t2);
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
            for (multiples, cell) in
                [(multiples.0, 4 * pair + i), (multiples.1, 4 * pair + 12 + i)]
            {
                let sum = cells[cell].add(sums[i]).add(W::splat(addends.words[cell]));
                cells[cell] = sum.sub(multiples);
            }
        }
    }
}

/// Signed Montgomery products of low words, in high words.
#[inline(always)]
fn product<W: Words>(a: W, b: W) -> W {
    let product = a.mul_signed(b);
    let quotient = product.mul(W::splat(MU));
    product.sub_wide(quotient.mul_signed(W::splat(P)))
}

/// x^7 of signed low words, in high words. Several at once, step by step: one alone is a chain of instructions that
/// each wait for the one before.
#[inline(always)]
fn sboxes<W: Words, const COUNT: usize>(x: [W; COUNT]) -> [W; COUNT] {
    let (mut x2, mut x3, mut x7) = (x, x, x);
    products(&mut x2, &x, &x);
    raise_all(&mut x2);
    products(&mut x3, &x2, &x);
    raise_all(&mut x3);
    let x4 = x2;
    products(&mut x2, &x4, &x4);
    raise_all(&mut x2);
    products(&mut x7, &x3, &x2);
    x7
}

#[inline(always)]
fn raise_all<W: Words, const COUNT: usize>(out: &mut [W; COUNT]) {
    for i in 0..COUNT {
        out[i] = out[i].high();
    }
}

#[inline(always)]
fn products<W: Words, const COUNT: usize>(out: &mut [W; COUNT], a: &[W; COUNT], b: &[W; COUNT]) {
    let mut product = *a;
    let mut quotient = *a;
    for i in 0..COUNT {
        product[i] = a[i].mul_signed(b[i]);
    }
    for i in 0..COUNT {
        quotient[i] = product[i].mul(W::splat(MU));
    }
    for i in 0..COUNT {
        quotient[i] = quotient[i].mul_signed(W::splat(P));
    }
    for i in 0..COUNT {
        out[i] = product[i].sub_wide(quotient[i]);
    }
}

#[inline(always)]
fn sbox<W: Words>(x: W) -> W {
    sboxes([x])[0]
}

#[inline(always)]
fn full_round<W: Words>(cells: &mut [W; CELLS], addends: &Addends) {
    if W::COUNT == 8 {
    for pair in cells.as_chunks_mut::<2>().0 {
        let [a, b] = *pair;
        let y = sboxes([a, a.high(), b, b.high()]);
        pair[0] = W::merge(y[0], y[1]);
        pair[1] = W::merge(y[2], y[3]);
    }
    } else {
    for pair in cells.as_chunks_mut::<4>().0 {
        let [a, b, c, d] = *pair;
        let y = sboxes([a, a.high(), b, b.high(), c, c.high(), d, d.high()]);
        pair[0] = W::merge(y[0], y[1]);
        pair[1] = W::merge(y[2], y[3]);
        pair[2] = W::merge(y[4], y[5]);
        pair[3] = W::merge(y[6], y[7]);
    }
    }
    mix(cells, addends);
}

/// `(a * b + addend) / R` of unsigned low words, in high words.
#[inline(always)]
fn reduce<W: Words>(a: W, b: W, addend: W) -> W {
    let sum = a.mul(b).add_wide(addend);
    let quotient = sum.mul(W::splat(NEGATIVE_MU));
    sum.add_wide(quotient.mul(W::splat(P)))
}

/// The even or the odd words of the first cell while partial rounds last.
#[derive(Clone, Copy)]
struct First<W> {
    /// What the S-box made of it, unsigned in both words of each lane.
    power: W,
    /// What it became at last, as other cells are kept: a number below 2.02 P, in high words.
    cell: W,
}

impl<W: Words> First<W> {
    /// From signed low words.
    #[inline(always)]
    fn new(input: W) -> Self {
        Self { power: sbox(input).high().add(W::splat(P)), cell: input }
    }

    /// The first cell's part of a round, and the S-box of the next one, given the sum of the other cells times `2^32 + 1` modulo 2^64.
    /// Returns what is to be added to `2^32` times the other cells.
    ///
    /// The S-box is a long chain of dependencies and starts here, before the work on the other cells, for the two
    /// to overlap.
    #[inline(always)]
    fn round(&mut self, rest: W, constant: W) -> W {
        let modulus = W::splat(P);
        let sum = rest.add_wide(self.power);
        // The high word of 2^32 + 1 times the sum is the sum's high word plus its low one.
        let high = sum.high().sub(sum);
        let low = sum.min(sum.sub(modulus));
        let addend = low
            .mul(W::splat(power_of_two(32) as u32))
            .add_wide(high.mul(W::splat(power_of_two(64) as u32)));
        self.cell = reduce(self.power, W::splat(TABLES.diagonal[0]), addend.add_wide(constant));
        self.power = sbox(self.cell.high().sub(modulus)).high().add(modulus);
        addend
    }
}

#[inline(always)]
fn partial_rounds<W: Words>(cells: &mut [W; CELLS]) {
    let modulus = W::splat(P);
    let zero = W::splat(0);
    let mut first = [First::new(cells[0]), First::new(cells[0].high())];
    // The even and the odd words of the cells but the first, as in `First::cell`.
    let mut rest = [[zero; 2]; CELLS];
    let mut sums = [zero; 2];
    for i in 1..CELLS {
        let cell = cells[i].min(cells[i].add(modulus));
        rest[i] = [cell.raise(), cell];
        sums[0] = sums[0].add_wide(rest[i][0].high());
        sums[1] = sums[1].add_wide(rest[i][1].high());
    }
    for &constant in &TABLES.partial {
        let constant = W::splat_wide(constant);
        // One half after the other: the end of one overlaps with the start of the next.
        for half in 0..2 {
            let addend = first[half].round(sums[half], constant);
            let mut sum = zero;
            for i in 1..CELLS {
                let factor = W::splat(TABLES.diagonal[i]);
                rest[i][half] = reduce(rest[i][half].high(), factor, addend);
                sum = sum.add_wide(rest[i][half].high());
            }
            sums[half] = sum;
        }
    }
    rest[0] = [first[0].cell, first[1].cell];
    for i in 0..CELLS {
        let word = W::merge(rest[i][0], rest[i][1]);
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

sponge!(__m256i, "avx2");
sponge!(__m512i, "avx512f,avx512bw,avx512vl");
