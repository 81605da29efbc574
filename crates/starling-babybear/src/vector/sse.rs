//! 4 lanes in a 128-bit register, worked as the AVX2 backend does: with SSE4.1, as nearly every x86-64 machine has, or
//! with the SSE2 that all of them have.

use core::arch::x86_64::*;
use core::marker::PhantomData;

use super::{Kernel, MU, P, Sealed, Vector};

/// 4 elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Sse<L>(__m128i, PhantomData<L>);

impl<L> Sealed for Sse<L> {}

/// Runs `kernel` on what every x86-64 machine executes.
#[inline(never)]
pub(super) fn enter_sse2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Sse<Sse2>>()
}

/// Runs `kernel` where the compiler may use SSE4.1.
#[target_feature(enable = "sse4.1")]
#[inline(never)]
pub(super) fn enter_sse41<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Sse<Sse41>>()
}

/// What SSE4.1 has an instruction for, and SSE2 takes some for.
pub(super) trait Level: Copy + Send + Sync + 'static {
    /// Takes `modulus`, at most [`P`] in each word, off the words that are not below it, of words below twice as much.
    /// Where it is zero, any word stays.
    fn wrap(words: __m128i, modulus: __m128i) -> __m128i;

    /// Words in `-P..P` to words in `0..P`.
    fn canonical(words: __m128i) -> __m128i;

    /// The even words of the first and the odd words of the second.
    fn blend(even: __m128i, odd: __m128i) -> __m128i;

    /// Runs `kernel` where the compiler may use this level.
    fn enter<K: Kernel>(kernel: K) -> K::Output;
}

/// The baseline of the target.
#[derive(Clone, Copy)]
pub(super) struct Sse2;

impl Sse2 {
    /// Adds `addend` to the words that are negative.
    #[inline(always)]
    fn add_to_negative(words: __m128i, addend: __m128i) -> __m128i {
        // SAFETY: SSE2 is part of the baseline of the target.
        unsafe { _mm_add_epi32(words, _mm_and_si128(_mm_srai_epi32::<31>(words), addend)) }
    }
}

impl Level for Sse2 {
    #[inline(always)]
    fn enter<K: Kernel>(kernel: K) -> K::Output {
        enter_sse2(kernel)
    }

    #[inline(always)]
    fn wrap(words: __m128i, modulus: __m128i) -> __m128i {
        // SAFETY: as in `add_to_negative`.
        Self::add_to_negative(unsafe { _mm_sub_epi32(words, modulus) }, modulus)
    }

    #[inline(always)]
    fn canonical(words: __m128i) -> __m128i {
        // SAFETY: as in `add_to_negative`.
        Self::add_to_negative(words, unsafe { _mm_set1_epi32(P as i32) })
    }

    #[inline(always)]
    fn blend(even: __m128i, odd: __m128i) -> __m128i {
        // SAFETY: as in `add_to_negative`.
        unsafe {
            let (even, odd) = (_mm_castsi128_ps(even), _mm_castsi128_ps(odd));
            // Both even words, then both odd ones.
            let words = _mm_castps_si128(_mm_shuffle_ps::<0b11_01_10_00>(even, odd));
            _mm_shuffle_epi32::<0b11_01_10_00>(words)
        }
    }
}

/// Since 2008.
#[derive(Clone, Copy)]
pub(super) struct Sse41;

impl Level for Sse41 {
    #[inline(always)]
    fn enter<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: as in `Sse::odd`: values of this level exist only where the feature does.
        unsafe { enter_sse41(kernel) }
    }

    #[inline(always)]
    fn wrap(words: __m128i, modulus: __m128i) -> __m128i {
        // SAFETY: vectors of this level exist only where the features do.
        unsafe { _mm_min_epu32(words, _mm_sub_epi32(words, modulus)) }
    }

    #[inline(always)]
    fn canonical(words: __m128i) -> __m128i {
        // SAFETY: as in `wrap`.
        unsafe { _mm_min_epu32(words, _mm_add_epi32(words, _mm_set1_epi32(P as i32))) }
    }

    #[inline(always)]
    fn blend(even: __m128i, odd: __m128i) -> __m128i {
        // Counts in halves of words.
        // SAFETY: as in `wrap`.
        unsafe { _mm_blend_epi16::<0b1100_1100>(even, odd) }
    }
}

/// The odd words of a register, in the even places. What is in the odd ones is unspecified.
#[inline(always)]
fn odd(words: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of the baseline of the target.
    unsafe { _mm_shuffle_epi32::<0b11_11_01_01>(words) }
}

/// The high halves of the even and of the odd lanes' 64-bit numbers.
#[inline(always)]
fn high<L: Level>(even: __m128i, odds: __m128i) -> __m128i {
    L::blend(odd(even), odds)
}

/// The difference between the high halves of two sets of numbers whose low halves are equal.
#[inline(always)]
fn reduce<L: Level>(wide: Wide, quotients: Wide) -> __m128i {
    // SAFETY: as in `odd`.
    let (even, odd) = unsafe {
        let modulus = _mm_set1_epi32(P as i32);
        let even = _mm_mul_epu32(quotients.even, modulus);
        let odd = _mm_mul_epu32(quotients.odd, modulus);
        // Low halves cancel: subtracting before the merge saves one.
        (_mm_sub_epi32(wide.even, even), _mm_sub_epi32(wide.odd, odd))
    };
    L::canonical(high::<L>(even, odd))
}

/// 64-bit numbers of the even and of the odd lanes.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    even: __m128i,
    odd: __m128i,
}

impl<L: Level> Sse<L> {
    #[inline(always)]
    fn new(words: __m128i) -> Self {
        Self(words, PhantomData)
    }
}

impl<L: Level> Vector for Sse<L> {
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    type Wide = Wide;

    super::factors_are_words!();

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for 4 readable words.
        Self::new(unsafe { _mm_loadu_si128(ptr.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 4 writable words.
        unsafe { _mm_storeu_si128(ptr.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 4 writable, aligned words.
        unsafe { _mm_stream_si128(ptr.cast(), self.0) }
    }

    #[inline(always)]
    fn fence() {
        // SAFETY: part of the baseline of the target.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: as in `odd`.
        Self::new(unsafe { _mm_set1_epi32(word as i32) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as in `odd`.
        let (sum, modulus) = unsafe { (_mm_add_epi32(self.0, other.0), _mm_set1_epi32(P as i32)) };
        Self::new(L::wrap(sum, modulus))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `odd`.
        Self::new(L::canonical(unsafe { _mm_sub_epi32(self.0, other.0) }))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self::wide_reduce(self.wide_mul(other))
    }

    #[inline(always)]
    fn wide_mul(self, other: Self) -> Wide {
        // SAFETY: as in `odd`.
        unsafe {
            Wide {
                even: _mm_mul_epu32(self.0, other.0),
                odd: _mm_mul_epu32(odd(self.0), odd(other.0)),
            }
        }
    }

    #[inline(always)]
    fn wide_mul_add(self, other: Self, wide: Wide) -> Wide {
        Self::wide_add(wide, self.wide_mul(other))
    }

    #[inline(always)]
    fn wide_add(left: Wide, right: Wide) -> Wide {
        // SAFETY: as in `odd`.
        unsafe {
            Wide {
                even: _mm_add_epi64(left.even, right.even),
                odd: _mm_add_epi64(left.odd, right.odd),
            }
        }
    }

    #[inline(always)]
    fn wide_fold(wide: Wide) -> Wide {
        // Word by word: the low words lose nothing, the high ones P if they hold as much.
        // SAFETY: as in `odd`.
        let excess = unsafe { _mm_set1_epi64x((P as i64) << 32) };
        Wide { even: L::wrap(wide.even, excess), odd: L::wrap(wide.odd, excess) }
    }

    #[inline(always)]
    fn wide_reduce(wide: Wide) -> Self {
        // SAFETY: as in `odd`.
        let quotients = unsafe {
            let mu = _mm_set1_epi32(MU as i32);
            Wide { even: _mm_mul_epu32(wide.even, mu), odd: _mm_mul_epu32(wide.odd, mu) }
        };
        Self::new(reduce::<L>(wide, quotients))
    }

    #[inline(always)]
    fn interleave<const BLOCK: usize>(self, other: Self) -> (Self, Self) {
        let (a, b) = (self.0, other.0);
        // SAFETY: as in `odd`.
        let (even, odd) = unsafe {
            match BLOCK {
                1 => (L::blend(a, _mm_shuffle_epi32::<0b10_10_00_00>(b)), L::blend(odd(a), b)),
                2 => (_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b)),
                // Kernels name wider blocks too, where they then leave them out.
                _ => (a, b),
            }
        };
        (Self::new(even), Self::new(odd))
    }

    #[inline(always)]
    fn spread(self) -> [Self; 4] {
        // SAFETY: as in `odd`.
        unsafe {
            [
                Self::new(_mm_shuffle_epi32::<0b00_00_00_00>(self.0)),
                Self::new(_mm_shuffle_epi32::<0b01_01_01_01>(self.0)),
                Self::new(_mm_shuffle_epi32::<0b10_10_10_10>(self.0)),
                Self::new(_mm_shuffle_epi32::<0b11_11_11_11>(self.0)),
            ]
        }
    }

    #[inline(always)]
    fn apart<K: Kernel>(kernel: K) -> K::Output {
        L::enter(kernel)
    }
}
