//! One lane in a general-purpose register: any machine, and the measure of the others.

use super::factors::{fraction_of_word, remainder};
use super::{Factors, Kernel, MU, P, Sealed, Vector};

/// One element.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Scalar(u32);

impl Sealed for Scalar {}

/// `word` or `word + P`, whichever is in `0..P`, for a word in `-P..P`.
#[inline(always)]
fn canonical(word: u32) -> u32 {
    word.min(word.wrapping_add(P))
}

/// The Montgomery reduction of `wide`, with `quotient = wide * MU mod 2^32` at hand.
#[inline(always)]
fn reduce(wide: u64, quotient: u32) -> u32 {
    let multiple = u64::from(quotient) * u64::from(P);
    canonical(((wide >> 32) as u32).wrapping_sub((multiple >> 32) as u32))
}

impl Vector for Scalar {
    const LANES: usize = 1;
    const REGISTERS: usize = 16;
    type Wide = u64;

    /// A fraction: two multiplications leave the remainder itself, where [`Vector::mul`] takes three, and then has to
    /// correct it.
    type Factor = u64;

    #[inline(always)]
    unsafe fn load(ptr: *const u32) -> Self {
        // SAFETY: the caller vouches for one readable word.
        Self(unsafe { ptr.read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, ptr: *mut u32) {
        // SAFETY: the caller vouches for one writable word.
        unsafe { ptr.write_unaligned(self.0) }
    }

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(word)
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let sum = self.0.wrapping_add(other.0);
        Self(sum.min(sum.wrapping_sub(P)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(canonical(self.0.wrapping_sub(other.0)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let wide = self.wide_mul(other);
        Self(reduce(wide, (wide as u32).wrapping_mul(MU)))
    }

    #[inline(always)]
    fn times(self, factor: u64) -> Self {
        Self(remainder(factor.wrapping_mul(u64::from(self.0))) as u32)
    }

    #[inline(always)]
    fn prepare(word: u32) -> u64 {
        fraction_of_word(word)
    }

    #[inline(always)]
    fn factors(table: &Factors, at: usize) -> u64 {
        table.fractions()[at]
    }

    #[inline(always)]
    fn factor(table: &Factors, at: usize) -> u64 {
        table.fractions()[at]
    }

    #[inline(always)]
    fn wide_mul(self, other: Self) -> u64 {
        u64::from(self.0) * u64::from(other.0)
    }

    #[inline(always)]
    fn wide_mul_add(self, other: Self, wide: u64) -> u64 {
        wide.wrapping_add(self.wide_mul(other))
    }

    #[inline(always)]
    fn wide_add(left: u64, right: u64) -> u64 {
        left.wrapping_add(right)
    }

    #[inline(always)]
    fn wide_fold(wide: u64) -> u64 {
        wide.min(wide.wrapping_sub(u64::from(P) << 32))
    }

    #[inline(always)]
    fn wide_reduce(wide: u64) -> Self {
        Self(reduce(wide, (wide as u32).wrapping_mul(MU)))
    }

    #[inline(always)]
    fn interleave<const BLOCK: usize>(self, other: Self) -> (Self, Self) {
        // One lane has no blocks: kernels leave such layers out, but name them.
        (self, other)
    }

    #[inline(always)]
    fn spread(self) -> [Self; 4] {
        [self; 4]
    }

    #[inline(never)]
    fn apart<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Self>()
    }
}
