//! Factors that are known before what they multiply.
//!
//! A caller that multiplies many elements by the same factor can prepare it once, and each backend has its own way to be quicker
//! then: see [`Vector::Factor`](super::Vector::Factor). A [`Factors`] holds what any of them may want.

use super::{MU, P};

/// A table of factors, for every backend.
#[derive(Debug)]
pub struct Factors {
    words: Vec<u32>,
    quotients: Vec<u32>,
    fractions: Vec<u64>,
}

impl Factors {
    /// A table of `words`, in Montgomery form.
    #[must_use]
    pub fn new(words: Vec<u32>) -> Self {
        let quotients = words.iter().map(|&word| quotient(word)).collect();
        let fractions = words.iter().map(|&word| fraction_of_word(word)).collect();
        Self { words, quotients, fractions }
    }

    /// The factors in Montgomery form.
    #[inline(always)]
    pub(crate) fn words(&self) -> &[u32] {
        &self.words
    }

    /// [`quotient`] of each.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code, reason = "NEON's"))]
    pub(super) fn quotients(&self) -> &[u32] {
        &self.quotients
    }

    /// [`fraction_of_word`] of each.
    #[inline(always)]
    pub(super) fn fractions(&self) -> &[u64] {
        &self.fractions
    }
}

/// The word times [`MU`], modulo 2^32: of a product with a factor `f` and an element `x`, the Montgomery reduction takes off
/// `x * quotient(f) mod 2^32` times P.
pub(super) const fn quotient(word: u32) -> u32 {
    word.wrapping_mul(MU)
}

/// `number / P` as a fraction of 2^64, rounded up: less than 1 too much.
pub(crate) const fn fraction(number: u64) -> u64 {
    (((number as u128) << 64) / P as u128) as u64 + 1
}

/// The remainder of P that a sum of fractions stands for; whole multiples of P overflowed and vanished.
///
/// Each fraction was too large by less than 1, and so the sum by less than what all of them were multiplied with, summed
/// up. As long as that is at most 2^64 / P, the remainder is too large by less than 1, which rounding down takes off.
#[inline(always)]
pub(crate) fn remainder(fraction: u64) -> u64 {
    ((u128::from(fraction) * u128::from(P)) >> 64) as u64
}

/// The fraction of what a word in Montgomery form stands for. An element times it leaves, as [`remainder`], the product
/// in the element's form.
pub(super) const fn fraction_of_word(word: u32) -> u64 {
    /// 1 / 2^32 modulo P: of 2^32 * RADIX_INVERSE = 1 + k P, k is -1 / P modulo 2^32.
    const RADIX_INVERSE: u64 = (1 + MU.wrapping_neg() as u64 * P as u64) >> 32;
    fraction(word as u64 * RADIX_INVERSE % P as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use risc0_core::field::baby_bear::BabyBearElem as Elem;

    use super::*;

    #[test]
    fn one_leaves_every_element_as_it_is() {
        let one = fraction_of_word(Elem::new(1).as_u32_montgomery());
        for element in [0, 1, P / 2, P - 1] {
            assert_eq!(remainder(one.wrapping_mul(u64::from(element))), u64::from(element));
        }
    }

    proptest! {
        #[test]
        fn remainders_are_exact(factor in 0..u64::from(P), element in 0..=u64::from(u32::MAX)) {
            let expected = u128::from(factor) * u128::from(element) % u128::from(P);
            let found = remainder(fraction(factor).wrapping_mul(element));
            prop_assert_eq!(u128::from(found), expected);
        }
    }
}
