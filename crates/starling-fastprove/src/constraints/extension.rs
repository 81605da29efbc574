//! Vectors of extension field elements: four vectors, one for each coordinate.
//!
//! The extension is the field's polynomials modulo `x^4 + 11`.

use risc0_zkp::field::baby_bear::BabyBearElem as Elem;
use starling_babybear::vector::{P, Vector};

use super::bytecode::COORDINATES;

/// One element in each lane.
pub type ExtVector<V> = [V; COORDINATES];

/// What `x^4` is.
const X4: u32 = Elem::new(P - 11).as_u32_montgomery();

/// One, in Montgomery form.
const ONE: u32 = Elem::new(1).as_u32_montgomery();

/// Zero in all lanes.
#[inline(always)]
pub fn zero<V: Vector>() -> ExtVector<V> {
    [V::zero(), V::zero(), V::zero(), V::zero()]
}

/// One in all lanes.
#[inline(always)]
pub fn one<V: Vector>() -> ExtVector<V> {
    [V::splat(ONE), V::zero(), V::zero(), V::zero()]
}

/// Sums.
#[inline(always)]
pub fn add<V: Vector>(a: ExtVector<V>, b: ExtVector<V>) -> ExtVector<V> {
    [a[0].add(b[0]), a[1].add(b[1]), a[2].add(b[2]), a[3].add(b[3])]
}

/// Products.
#[inline(always)]
pub fn product<V: Vector>(a: ExtVector<V>, b: ExtVector<V>) -> ExtVector<V> {
    let x4 = V::splat(X4);
    let high0 = dot([(a[1], b[3]), (a[2], b[2]), (a[3], b[1])]);
    let high1 = dot([(a[2], b[3]), (a[3], b[2])]);
    let high2 = a[3].mul(b[3]);
    [
        dot([(a[0], b[0]), (x4, high0)]),
        dot([(a[0], b[1]), (a[1], b[0]), (x4, high1)]),
        dot([(a[0], b[2]), (a[1], b[1]), (a[2], b[0]), (x4, high2)]),
        dot([(a[0], b[3]), (a[1], b[2]), (a[2], b[1]), (a[3], b[0])]),
    ]
}

/// Inverses; that of zero is zero.
///
/// With `y = x^2`, an element is `even + x odd`, both linear in y. Times `even - x odd` it is linear in y as well, and
/// times that with the sign of y changed it is in the base field.
#[inline(always)]
pub fn inverse<V: Vector>(a: ExtVector<V>) -> ExtVector<V> {
    let x4 = V::splat(X4);
    let double1 = a[1].double();
    // (even + x odd)(even - x odd) = even^2 - y odd^2 = low + high y.
    let low = dot([(a[0], a[0]), (x4, dot([(a[2], a[2]), (double1.neg(), a[3])]))]);
    let high = dot([(a[0].double(), a[2]), (a[1].neg(), a[1]), (x4.neg(), a[3].mul(a[3]))]);
    let norm = dot([(low, low), (x4.neg(), high.mul(high))]);
    let inverse = base_inverse(norm);
    let (low, high) = (low.mul(inverse), high.neg().mul(inverse));
    // (a0 + a2 y - x (a1 + a3 y)) (low + high y), where y^2 = x^4.
    [
        dot([(a[0], low), (x4, a[2].mul(high))]),
        dot([(a[1].neg(), low), (x4, a[3].neg().mul(high))]),
        dot([(a[0], high), (a[2], low)]),
        dot([(a[1].neg(), high), (a[3].neg(), low)]),
    ]
}

/// `a^(P - 2)`.
#[inline(always)]
fn base_inverse<V: Vector>(a: V) -> V {
    let mut power = V::splat(ONE);
    for bit in (0..u32::BITS - (P - 2).leading_zeros()).rev() {
        power = power.mul(power);
        if (P - 2) >> bit & 1 == 1 {
            power = power.mul(a);
        }
    }
    power
}

/// The sum of up to four products.
#[inline(always)]
fn dot<V: Vector, const N: usize>(factors: [(V, V); N]) -> V {
    const { assert!(N > 0 && N <= 4, "a sum of two has room for two more, folded at the end") };
    let mut sum = factors[0].0.wide_mul(factors[0].1);
    for (left, right) in &factors[1..] {
        sum = left.wide_mul_add(*right, sum);
    }
    V::wide_reduce(if N > 2 { V::wide_fold(sum) } else { sum })
}

// That two products are as low as what is folded.
const _: () = assert!(2 * (P as u64 - 1) * (P as u64 - 1) < (P as u64) << u32::BITS);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use risc0_zkp::field::baby_bear::BabyBearExtElem as Ext;
    use risc0_zkp::field::{Elem as _, ExtElem as _};
    use starling_babybear::vector::{Isa, Kernel, dispatch};

    use super::*;

    /// The product of two elements and the inverse of the first, each in every lane; those of the first lane.
    struct Both([u32; 4], [u32; 4]);

    impl Kernel for Both {
        type Output = [[u32; 4]; 2];

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let (a, b) = (self.0.map(V::splat), self.1.map(V::splat));
            [product(a, b), inverse(a)].map(|value| {
                value.map(|vector| {
                    let mut lanes = [0; 16];
                    vector.write(&mut lanes, 0);
                    lanes[0]
                })
            })
        }
    }

    fn word() -> impl Strategy<Value = u32> {
        prop_oneof![Just(0), Just(1), Just(P - 1), 0..P]
    }

    proptest! {
        #[test]
        fn products_and_inverses_are_those_of_the_field(
            a in prop::array::uniform4(word()),
            b in prop::array::uniform4(word()),
        ) {
            let [x, y] = [a, b].map(|words| Ext::from_subelems(words.map(Elem::new_raw)));
            let words = |value: Ext| -> Vec<u32> {
                value.subelems().iter().map(|element| element.as_u32_montgomery()).collect()
            };
            for isa in Isa::available() {
                let [product, inverse] = dispatch(isa, Both(a, b));
                prop_assert_eq!(product.to_vec(), words(x * y));
                prop_assert_eq!(inverse.to_vec(), words(x.inv()));
            }
        }
    }
}
