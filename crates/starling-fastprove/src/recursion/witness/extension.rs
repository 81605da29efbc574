//! Products in the extension field, reduced late.

use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use starling_babybear::vector::{MU, P};

/// x^4 in the extension field, in Montgomery form.
const X4: u64 = Elem::new(P - 11).as_u32_montgomery() as u64;

/// `left * right`: 7 reductions, where multiplying element by element takes 19.
#[inline]
pub(super) fn product(left: Ext, right: Ext) -> Ext {
    let word = |element: Elem| u64::from(element.as_u32_montgomery());
    let [a0, a1, a2, a3] = [0, 1, 2, 3].map(|at| word(left.elems()[at]));
    let [b0, b1, b2, b3] = [0, 1, 2, 3].map(|at| word(right.elems()[at]));
    // Up to four products of two words below P fit in 64 bits.
    let high0 = reduce(a1 * b3 + a2 * b2 + a3 * b1);
    let high1 = reduce(a2 * b3 + a3 * b2);
    let high2 = reduce(a3 * b3);
    Ext::from(
        [
            a0 * b0 + X4 * high0,
            a0 * b1 + a1 * b0 + X4 * high1,
            a0 * b2 + a1 * b1 + a2 * b0 + X4 * high2,
            a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
        ]
        .map(|sum| Elem::new_raw(reduce(sum) as u32)),
    )
}

/// The Montgomery reduction of a sum of up to four products.
#[inline]
fn reduce(sum: u64) -> u64 {
    let quotient = (sum as u32).wrapping_mul(MU);
    let multiple = u64::from(quotient) * u64::from(P);
    // Of the same low word, so the difference of the high words is exact: more than -P, and less than 2 P, since four
    // times P^2 is less than 2 P * 2^32.
    let (high, multiple) = ((sum >> 32) as u32, (multiple >> 32) as u32);
    let (difference, borrow) = high.overflowing_sub(multiple);
    let word = if borrow {
        difference.wrapping_add(P)
    } else if difference >= P {
        difference - P
    } else {
        difference
    };
    u64::from(word)
}

const _: () = assert!(4 * (P as u64 - 1) * (P as u64 - 1) < (2 * P as u64) << 32);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use risc0_zkp::field::Elem as _;

    use super::*;

    fn word() -> impl Strategy<Value = u32> {
        prop_oneof![Just(0), Just(1), Just(P - 1), 0..P]
    }

    proptest! {
        #[test]
        fn products_are_those_of_the_field(a in prop::array::uniform4(word()), b in prop::array::uniform4(word())) {
            let [a, b] = [a, b].map(|words| Ext::from(words.map(Elem::new_raw)));
            prop_assert_eq!(product(a, b), a * b);
            prop_assert_eq!(product(a, Ext::ONE), a);
        }
    }
}
