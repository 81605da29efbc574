//! 8 lanes in a 256-bit register, worked as the AVX-512 backend does.

use core::arch::x86_64::*;

use super::{Kernel, MU, P, Sealed, Vector};

/// 8 elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Avx2(__m256i);

impl Sealed for Avx2 {}

/// Runs `kernel` where the compiler may use AVX2.
#[target_feature(enable = "avx2")]
#[inline(never)]
pub(super) fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// The odd words of a register, in the even places. What is in the odd ones is unspecified.
#[inline(always)]
fn odd(words: __m256i) -> __m256i {
    // SAFETY: values of this module's types exist only where the features do.
    unsafe { _mm256_castps_si256(_mm256_movehdup_ps(_mm256_castsi256_ps(words))) }
}

/// The high halves of the even and of the odd lanes' 64-bit numbers.
#[inline(always)]
fn high(even: __m256i, odds: __m256i) -> __m256i {
    // SAFETY: as in `odd`.
    unsafe { _mm256_blend_epi32::<0b1010_1010>(odd(even), odds) }
}

/// Words in `-P..P` to words in `0..P`.
#[inline(always)]
fn canonical(words: __m256i) -> __m256i {
    // SAFETY: as in `odd`.
    unsafe { _mm256_min_epu32(words, _mm256_add_epi32(words, _mm256_set1_epi32(P as i32))) }
}

/// The difference between the high halves of two sets of numbers whose low halves are equal.
#[inline(always)]
fn reduce(wide: Wide, quotients: Wide) -> __m256i {
    // SAFETY: as in `odd`.
    unsafe {
        let modulus = _mm256_set1_epi32(P as i32);
        let even = _mm256_mul_epu32(quotients.even, modulus);
        let odd = _mm256_mul_epu32(quotients.odd, modulus);
        // Low halves cancel: subtracting before the merge saves one.
        let even = _mm256_sub_epi32(wide.even, even);
        let odd = _mm256_sub_epi32(wide.odd, odd);
        canonical(high(even, odd))
    }
}

/// 64-bit numbers of the even and of the odd lanes.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    even: __m256i,
    odd: __m256i,
}

impl Vector for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type Wide = Wide;

    super::factors_are_words!();

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for 8 readable words; the features as in `odd`.
        Self(unsafe { _mm256_loadu_si256(ptr.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 8 writable words; the features as in `odd`.
        unsafe { _mm256_storeu_si256(ptr.cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 8 writable, aligned words; the features as in `odd`.
        unsafe { _mm256_stream_si256(ptr.cast(), self.0) }
    }

    #[inline(always)]
    fn fence() {
        // SAFETY: part of the baseline of the target.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: as in `odd`.
        Self(unsafe { _mm256_set1_epi32(word as i32) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as in `odd`.
        Self(unsafe {
            let sum = _mm256_add_epi32(self.0, other.0);
            _mm256_min_epu32(sum, _mm256_sub_epi32(sum, _mm256_set1_epi32(P as i32)))
        })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `odd`.
        Self(canonical(unsafe { _mm256_sub_epi32(self.0, other.0) }))
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
                even: _mm256_mul_epu32(self.0, other.0),
                odd: _mm256_mul_epu32(odd(self.0), odd(other.0)),
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
                even: _mm256_add_epi64(left.even, right.even),
                odd: _mm256_add_epi64(left.odd, right.odd),
            }
        }
    }

    #[inline(always)]
    fn wide_fold(wide: Wide) -> Wide {
        // Word by word: the low words lose nothing, the high ones P if they hold as much.
        // SAFETY: as in `odd`.
        unsafe {
            let excess = _mm256_set1_epi64x((P as i64) << 32);
            Wide {
                even: _mm256_min_epu32(wide.even, _mm256_sub_epi32(wide.even, excess)),
                odd: _mm256_min_epu32(wide.odd, _mm256_sub_epi32(wide.odd, excess)),
            }
        }
    }

    #[inline(always)]
    fn wide_reduce(wide: Wide) -> Self {
        // SAFETY: as in `odd`.
        let quotients = unsafe {
            let mu = _mm256_set1_epi32(MU as i32);
            Wide { even: _mm256_mul_epu32(wide.even, mu), odd: _mm256_mul_epu32(wide.odd, mu) }
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
                    _mm256_blend_epi32::<0b1010_1010>(a, _mm256_shuffle_epi32::<0b10_10_00_00>(b)),
                    _mm256_blend_epi32::<0b1010_1010>(_mm256_shuffle_epi32::<0b11_11_01_01>(a), b),
                ),
                2 => (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)),
                4 => (
                    _mm256_permute2x128_si256::<0x20>(a, b),
                    _mm256_permute2x128_si256::<0x31>(a, b),
                ),
                // Kernels name wider blocks too, where they then leave them out.
                _ => (a, b),
            }
        };
        (Self(even), Self(odd))
    }

    #[inline(always)]
    fn spread(self) -> [Self; 4] {
        // SAFETY: as in `odd`.
        unsafe {
            let first = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
            let step = _mm256_set1_epi32(2);
            let second = _mm256_add_epi32(first, step);
            let third = _mm256_add_epi32(second, step);
            let fourth = _mm256_add_epi32(third, step);
            [
                Self(_mm256_permutevar8x32_epi32(self.0, first)),
                Self(_mm256_permutevar8x32_epi32(self.0, second)),
                Self(_mm256_permutevar8x32_epi32(self.0, third)),
                Self(_mm256_permutevar8x32_epi32(self.0, fourth)),
            ]
        }
    }

    #[inline(always)]
    fn apart<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: as in `odd`.
        unsafe { enter(kernel) }
    }
}
