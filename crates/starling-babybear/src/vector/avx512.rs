//! 16 lanes in a 512-bit register.
//!
//! `vpmuludq` multiplies the even words of two registers, so that a product works on the even and the odd
//! lanes apart and merges the high halves.

use core::arch::x86_64::*;

use super::{Kernel, MU, P, Sealed, Vector};

/// 16 elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Avx512(__m512i);

impl Sealed for Avx512 {}

/// The even words of a register.
const EVEN: __mmask16 = 0x5555;

/// Runs `kernel` where the compiler may use AVX-512.
///
/// Not its DQ part: of the products that find quotients only the low halves are used, and the compiler then
/// prefers `vpmullq` to `vpmuludq`, which is three instructions in one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline(never)]
pub(super) fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

/// The odd words of a register, in the even places. What is in the odd ones is unspecified.
#[inline(always)]
fn odd(words: __m512i) -> __m512i {
    // SAFETY: values of this module's types exist only where the features do.
    unsafe { _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(words))) }
}

/// The high halves of the even and of the odd lanes' 64-bit numbers.
#[inline(always)]
fn high(even: __m512i, odd: __m512i) -> __m512i {
    // SAFETY: as in `odd`.
    unsafe {
        _mm512_castps_si512(_mm512_mask_movehdup_ps(
            _mm512_castsi512_ps(odd),
            EVEN,
            _mm512_castsi512_ps(even),
        ))
    }
}

/// Words in `-P..P` to words in `0..P`.
#[inline(always)]
fn canonical(words: __m512i) -> __m512i {
    // SAFETY: as in `odd`.
    unsafe { _mm512_min_epu32(words, _mm512_add_epi32(words, _mm512_set1_epi32(P as i32))) }
}

/// The difference between the high halves of two sets of numbers whose low halves are equal.
#[inline(always)]
fn reduce(wide: Wide, quotients: Wide) -> __m512i {
    // SAFETY: as in `odd`.
    unsafe {
        let modulus = _mm512_set1_epi32(P as i32);
        let even = _mm512_mul_epu32(quotients.even, modulus);
        let odd = _mm512_mul_epu32(quotients.odd, modulus);
        // Low halves cancel: subtracting before the merge saves a shuffle.
        let even = _mm512_sub_epi32(wide.even, even);
        let odd = _mm512_sub_epi32(wide.odd, odd);
        canonical(high(even, odd))
    }
}

/// 64-bit numbers of the even and of the odd lanes.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    even: __m512i,
    odd: __m512i,
}

impl Vector for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    type Wide = Wide;

    super::factors_are_words!();

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for 16 readable words; the features as in `odd`.
        Self(unsafe { _mm512_loadu_si512(ptr.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 16 writable words; the features as in `odd`.
        unsafe { _mm512_storeu_si512(ptr.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 16 writable, aligned words; the features as in `odd`.
        unsafe { _mm512_stream_si512(ptr.cast(), self.0) }
    }

    #[inline(always)]
    fn fence() {
        // SAFETY: part of the baseline of the target.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: as in `odd`.
        Self(unsafe { _mm512_set1_epi32(word as i32) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as in `odd`.
        Self(unsafe {
            let sum = _mm512_add_epi32(self.0, other.0);
            _mm512_min_epu32(sum, _mm512_sub_epi32(sum, _mm512_set1_epi32(P as i32)))
        })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `odd`.
        Self(canonical(unsafe { _mm512_sub_epi32(self.0, other.0) }))
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
                even: _mm512_mul_epu32(self.0, other.0),
                odd: _mm512_mul_epu32(odd(self.0), odd(other.0)),
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
                even: _mm512_add_epi64(left.even, right.even),
                odd: _mm512_add_epi64(left.odd, right.odd),
            }
        }
    }

    #[inline(always)]
    fn wide_fold(wide: Wide) -> Wide {
        // Word by word: the low words lose nothing, the high ones P if they hold as much.
        // SAFETY: as in `odd`.
        unsafe {
            let excess = _mm512_set1_epi64((P as i64) << 32);
            Wide {
                even: _mm512_min_epu32(wide.even, _mm512_sub_epi32(wide.even, excess)),
                odd: _mm512_min_epu32(wide.odd, _mm512_sub_epi32(wide.odd, excess)),
            }
        }
    }

    #[inline(always)]
    fn wide_reduce(wide: Wide) -> Self {
        // SAFETY: as in `odd`.
        let quotients = unsafe {
            let mu = _mm512_set1_epi32(MU as i32);
            Wide { even: _mm512_mul_epu32(wide.even, mu), odd: _mm512_mul_epu32(wide.odd, mu) }
        };
        Self(reduce(wide, quotients))
    }

    #[inline(always)]
    fn interleave<const BLOCK: usize>(self, other: Self) -> (Self, Self) {
        let (a, b) = (self.0, other.0);
        // SAFETY: as in `odd`.
        let (even, odd) = unsafe {
            match BLOCK {
                1 => (
                    _mm512_mask_shuffle_epi32::<0b10_10_00_00>(a, !EVEN, b),
                    _mm512_mask_shuffle_epi32::<0b11_11_01_01>(b, EVEN, a),
                ),
                2 => (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)),
                4 => (
                    _mm512_mask_shuffle_i32x4::<0b10_10_00_00>(a, 0xf0f0, b, b),
                    _mm512_mask_shuffle_i32x4::<0b11_11_01_01>(b, 0x0f0f, a, a),
                ),
                8 => (
                    _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b),
                    _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b),
                ),
                _ => (a, b),
            }
        };
        (Self(even), Self(odd))
    }

    #[inline(always)]
    fn spread(self) -> [Self; 4] {
        // SAFETY: as in `odd`.
        unsafe {
            let first = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
            let step = _mm512_set1_epi32(4);
            let second = _mm512_add_epi32(first, step);
            let third = _mm512_add_epi32(second, step);
            let fourth = _mm512_add_epi32(third, step);
            [
                Self(_mm512_permutexvar_epi32(first, self.0)),
                Self(_mm512_permutexvar_epi32(second, self.0)),
                Self(_mm512_permutexvar_epi32(third, self.0)),
                Self(_mm512_permutexvar_epi32(fourth, self.0)),
            ]
        }
    }

    #[inline(always)]
    fn apart<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: as in `odd`.
        unsafe { enter(kernel) }
    }
}
