//! 4 lanes in a 128-bit register.
//!
//! NEON has the high half of a doubled signed product in all four lanes at once, so that a Montgomery product
//! needs no separate treatment of even and odd lanes: with `q = a * b * MU mod 2^32` the doubled products
//! `2ab` and `2qP` agree in their low words, and half the difference of their high words is the result.

use core::arch::aarch64::*;

use super::factors::quotient;
use super::{Factors, Kernel, MU, P, Sealed, Vector};

/// 4 elements.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Neon(uint32x4_t);

impl Sealed for Neon {}

/// 64-bit numbers of the two low and of the two high lanes.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    low: uint64x2_t,
    high: uint64x2_t,
}

/// Factors, and what of a product with them their quotients give without another multiplication.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    words: uint32x4_t,
    quotients: uint32x4_t,
}

/// Words in `-P..P` to words in `0..P`.
#[inline(always)]
fn canonical(words: uint32x4_t) -> uint32x4_t {
    // SAFETY: NEON is part of the target's baseline where this module is compiled, here and below.
    unsafe { vminq_u32(words, vaddq_u32(words, vdupq_n_u32(P))) }
}

/// The Montgomery products of `left` and `right`, with `quotients` their low words times MU.
#[inline(always)]
fn reduce_product(left: uint32x4_t, right: uint32x4_t, quotients: uint32x4_t) -> uint32x4_t {
    // SAFETY: as in `canonical`.
    unsafe {
        // The doubling never saturates: that takes two factors of -2^31.
        let product = vqdmulhq_s32(vreinterpretq_s32_u32(left), vreinterpretq_s32_u32(right));
        let multiple = vqdmulhq_s32(vreinterpretq_s32_u32(quotients), vdupq_n_s32(P as i32));
        canonical(vreinterpretq_u32_s32(vhsubq_s32(product, multiple)))
    }
}

/// Takes `P * 2^32` off the numbers that hold as much, word by word: the low words lose nothing.
#[inline(always)]
fn fold(wide: uint64x2_t) -> uint64x2_t {
    // SAFETY: as in `canonical`.
    unsafe {
        let words = vreinterpretq_u32_u64(wide);
        let excess = vreinterpretq_u32_u64(vdupq_n_u64(u64::from(P) << 32));
        vreinterpretq_u64_u32(vminq_u32(words, vsubq_u32(words, excess)))
    }
}

impl Vector for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type Wide = Wide;
    type Factor = Factor;

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for 4 readable words.
        Self(unsafe { vld1q_u32(ptr) })
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for 4 writable words.
        unsafe { vst1q_u32(ptr, self.0) }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        // SAFETY: as in `canonical`.
        Self(unsafe { vdupq_n_u32(word) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as in `canonical`.
        Self(unsafe {
            let sum = vaddq_u32(self.0, other.0);
            vminq_u32(sum, vsubq_u32(sum, vdupq_n_u32(P)))
        })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as in `canonical`.
        Self(canonical(unsafe { vsubq_u32(self.0, other.0) }))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: as in `canonical`.
        let quotients = unsafe { vmulq_u32(self.0, vmulq_u32(other.0, vdupq_n_u32(MU))) };
        Self(reduce_product(self.0, other.0, quotients))
    }

    #[inline(always)]
    fn times(self, factor: Factor) -> Self {
        // SAFETY: as in `canonical`.
        let quotients = unsafe { vmulq_u32(self.0, factor.quotients) };
        Self(reduce_product(self.0, factor.words, quotients))
    }

    #[inline(always)]
    fn prepare(word: u32) -> Factor {
        Factor { words: Self::splat(word).0, quotients: Self::splat(quotient(word)).0 }
    }

    #[inline(always)]
    fn factors(table: &Factors, at: usize) -> Factor {
        let quotients = Self::read(table.quotients(), at).0;
        Factor { words: Self::read(table.words(), at).0, quotients }
    }

    #[inline(always)]
    fn factor(table: &Factors, at: usize) -> Factor {
        let quotients = Self::splat(table.quotients()[at]).0;
        Factor { words: Self::splat(table.words()[at]).0, quotients }
    }

    #[inline(always)]
    fn wide_mul(self, other: Self) -> Wide {
        // SAFETY: as in `canonical`.
        unsafe {
            Wide {
                low: vmull_u32(vget_low_u32(self.0), vget_low_u32(other.0)),
                high: vmull_high_u32(self.0, other.0),
            }
        }
    }

    #[inline(always)]
    fn wide_mul_add(self, other: Self, wide: Wide) -> Wide {
        // SAFETY: as in `canonical`.
        unsafe {
            Wide {
                low: vmlal_u32(wide.low, vget_low_u32(self.0), vget_low_u32(other.0)),
                high: vmlal_high_u32(wide.high, self.0, other.0),
            }
        }
    }

    #[inline(always)]
    fn wide_add(left: Wide, right: Wide) -> Wide {
        // SAFETY: as in `canonical`.
        unsafe {
            Wide { low: vaddq_u64(left.low, right.low), high: vaddq_u64(left.high, right.high) }
        }
    }

    #[inline(always)]
    fn wide_fold(wide: Wide) -> Wide {
        Wide { low: fold(wide.low), high: fold(wide.high) }
    }

    #[inline(always)]
    fn wide_reduce(wide: Wide) -> Self {
        // SAFETY: as in `canonical`.
        unsafe {
            let (low, high) = (vreinterpretq_u32_u64(wide.low), vreinterpretq_u32_u64(wide.high));
            let quotients = vmulq_u32(vuzp1q_u32(low, high), vdupq_n_u32(MU));
            let modulus = vdupq_n_u32(P);
            let multiples = vuzp2q_u32(
                vreinterpretq_u32_u64(vmull_u32(vget_low_u32(quotients), vget_low_u32(modulus))),
                vreinterpretq_u32_u64(vmull_high_u32(quotients, modulus)),
            );
            Self(canonical(vsubq_u32(vuzp2q_u32(low, high), multiples)))
        }
    }

    #[inline(always)]
    fn interleave<const BLOCK: usize>(self, other: Self) -> (Self, Self) {
        let (a, b) = (self.0, other.0);
        // SAFETY: as in `canonical`.
        let (even, odd) = unsafe {
            match BLOCK {
                1 => (vtrn1q_u32(a, b), vtrn2q_u32(a, b)),
                2 => {
                    let (a, b) = (vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b));
                    (
                        vreinterpretq_u32_u64(vtrn1q_u64(a, b)),
                        vreinterpretq_u32_u64(vtrn2q_u64(a, b)),
                    )
                }
                // Kernels name wider blocks too, where they then leave them out.
                _ => (a, b),
            }
        };
        (Self(even), Self(odd))
    }

    #[inline(always)]
    fn spread(self) -> [Self; 4] {
        // SAFETY: as in `canonical`.
        unsafe {
            [
                Self(vdupq_laneq_u32::<0>(self.0)),
                Self(vdupq_laneq_u32::<1>(self.0)),
                Self(vdupq_laneq_u32::<2>(self.0)),
                Self(vdupq_laneq_u32::<3>(self.0)),
            ]
        }
    }

    #[inline(never)]
    fn apart<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Self>()
    }
}
