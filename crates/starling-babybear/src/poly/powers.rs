//! The powers of a point, in either order.
//!
//! Both orders double: with the first 2^b at hand, the next 2^b are those times one constant.

use risc0_core::field::Elem as _;
use risc0_core::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};

use super::extension::{Factor, from_words, read, words, write};
use super::{Order, PLANES};
use crate::vector::{Isa, Kernel, Vector, dispatch};

/// Fills `out` with the powers of `x`.
///
/// # Panics
/// If the length of `out` isn't a power of two.
pub fn powers_into(isa: Isa, out: &mut [u32], x: Elem, order: Order) {
    let factors = factors(x, out.len(), order);
    dispatch(isa, Powers { out, factors: &factors });
}

/// Fills the four planes of `out` with the powers of `x`.
///
/// # Panics
/// If a plane's length isn't a power of two.
pub fn powers(isa: Isa, out: &mut [u32], x: Ext, order: Order) {
    assert_eq!(out.len() % PLANES, 0, "{} words are not four planes", out.len());
    let factors = factors(x, out.len() / PLANES, order);
    dispatch(isa, ExtPowers { out, factors: &factors });
}

/// The constant of each doubling, from one power to `count`.
fn factors<E: risc0_core::field::Elem>(x: E, count: usize, order: Order) -> Vec<E> {
    assert!(count.is_power_of_two(), "{count} powers: must be a power of two");
    let squarings = std::iter::successors(Some(x), |x| Some(*x * *x));
    let mut factors: Vec<E> = squarings.take(count.trailing_zeros() as usize).collect();
    if order == Order::BitReversed {
        factors.reverse();
    }
    factors
}

struct Powers<'a> {
    out: &'a mut [u32],
    factors: &'a [Elem],
}

impl Kernel for Powers<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.out[0] = Elem::ONE.as_u32_montgomery();
        for (log, factor) in self.factors.iter().enumerate() {
            let half = 1 << log;
            if half < V::LANES {
                for at in 0..half {
                    let power = Elem::new_raw(self.out[at]) * *factor;
                    self.out[half + at] = power.as_u32_montgomery();
                }
            } else {
                let factor = V::splat(factor.as_u32_montgomery());
                for at in (0..half).step_by(V::LANES) {
                    V::read(self.out, at).mul(factor).write(self.out, half + at);
                }
            }
        }
    }
}

struct ExtPowers<'a> {
    out: &'a mut [u32],
    factors: &'a [Ext],
}

impl Kernel for ExtPowers<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let count = self.out.len() / PLANES;
        for (plane, word) in words(Ext::ONE).into_iter().enumerate() {
            self.out[plane * count] = word;
        }
        for (log, factor) in self.factors.iter().enumerate() {
            let half = 1 << log;
            if half < V::LANES {
                for at in 0..half {
                    let mut power = [0; PLANES];
                    for (plane, word) in power.iter_mut().enumerate() {
                        *word = self.out[plane * count + at];
                    }
                    let power = from_words(power) * *factor;
                    for (plane, word) in words(power).into_iter().enumerate() {
                        self.out[plane * count + half + at] = word;
                    }
                }
            } else {
                let factor = Factor::<V>::new(*factor);
                for at in (0..half).step_by(V::LANES) {
                    let power = factor.mul(read(self.out, count, at));
                    write(power, self.out, count, half + at);
                }
            }
        }
    }
}
