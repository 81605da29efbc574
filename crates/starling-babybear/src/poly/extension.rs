//! Extension elements in bulk: four vectors, one for each word.
//!
//! The extension is the field's polynomials modulo `X^4 + 11`. Products with a constant sum four products
//! of words for each word of the result; the sums are reduced once.

use risc0_core::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext, P};

use super::PLANES;
use crate::vector::Vector;

/// What `X^4` is.
const X4: Elem = Elem::new(P - 11);

/// One extension element in each lane.
pub(super) type ExtVector<V> = [V; PLANES];

/// The words of an extension element.
#[inline(always)]
pub(super) fn words(x: Ext) -> [u32; PLANES] {
    let [a, b, c, d] = x.elems() else { unreachable!("an extension element has four words") };
    [a, b, c, d].map(|word| word.as_u32_montgomery())
}

/// The extension element of four words.
#[inline(always)]
pub(super) fn from_words(words: [u32; PLANES]) -> Ext {
    let [a, b, c, d] = words.map(Elem::new_raw);
    Ext::new(a, b, c, d)
}

/// Reads four planes, each `stride` words after the one before.
#[inline(always)]
pub(super) fn read<V: Vector>(planes: &[u32], stride: usize, at: usize) -> ExtVector<V> {
    let mut x = [V::splat(0); PLANES];
    for (plane, x) in x.iter_mut().enumerate() {
        *x = V::read(planes, plane * stride + at);
    }
    x
}

/// Writes what [`read`] reads.
#[inline(always)]
pub(super) fn write<V: Vector>(x: ExtVector<V>, planes: &mut [u32], stride: usize, at: usize) {
    for (plane, x) in x.into_iter().enumerate() {
        x.write(planes, plane * stride + at);
    }
}

/// Sums.
#[inline(always)]
pub(super) fn add<V: Vector>(a: ExtVector<V>, b: ExtVector<V>) -> ExtVector<V> {
    [a[0].add(b[0]), a[1].add(b[1]), a[2].add(b[2]), a[3].add(b[3])]
}

/// The sum of all lanes.
#[inline(always)]
pub(super) fn sum_lanes<V: Vector>(x: ExtVector<V>) -> Ext {
    let mut sums = [0; PLANES];
    for (x, sum) in x.into_iter().zip(&mut sums) {
        let mut lanes = [0; 16];
        x.write(&mut lanes, 0);
        let sum_of_words: u64 = lanes[..V::LANES].iter().map(|lane| u64::from(*lane)).sum();
        *sum = (sum_of_words % u64::from(P)) as u32;
    }
    from_words(sums)
}

/// A constant to multiply extension elements with.
#[derive(Clone, Copy)]
pub(super) struct Factor<V> {
    words: [V; PLANES],
    /// The words times `X^4`: for products that reach beyond `X^3`.
    wrapped: [V; PLANES],
}

impl<V: Vector> Factor<V> {
    #[inline(always)]
    pub(super) fn new(x: Ext) -> Self {
        let [a, b, c, d] = words(x);
        let [e, f, g, h] = words(x * X4);
        Factor {
            words: [V::splat(a), V::splat(b), V::splat(c), V::splat(d)],
            wrapped: [V::splat(e), V::splat(f), V::splat(g), V::splat(h)],
        }
    }

    /// The products with `x`.
    #[inline(always)]
    pub(super) fn mul(&self, x: ExtVector<V>) -> ExtVector<V> {
        let mut sum = Sum::zero();
        self.mul_add(x, &mut sum);
        sum.reduce()
    }

    /// Adds the products with `x` to `sum`.
    #[inline(always)]
    pub(super) fn mul_add(&self, x: ExtVector<V>, sum: &mut Sum<V>) {
        let Factor { words: f, wrapped: w } = self;
        sum.0[0] = dot(x, [f[0], w[3], w[2], w[1]], sum.0[0]);
        sum.0[1] = dot(x, [f[1], f[0], w[3], w[2]], sum.0[1]);
        sum.0[2] = dot(x, [f[2], f[1], f[0], w[3]], sum.0[2]);
        sum.0[3] = dot(x, [f[3], f[2], f[1], f[0]], sum.0[3]);
    }
}

/// `sum` and four products. Takes a folded sum, and leaves one.
#[inline(always)]
pub(super) fn dot<V: Vector>(a: [V; 4], b: [V; 4], sum: V::Wide) -> V::Wide {
    let sum = a[1].wide_mul_add(b[1], a[0].wide_mul_add(b[0], sum));
    let sum = V::wide_fold(sum);
    V::wide_fold(a[3].wide_mul_add(b[3], a[2].wide_mul_add(b[2], sum)))
}

/// A sum of products of extension elements, each word folded but not reduced.
#[derive(Clone, Copy)]
pub(super) struct Sum<V: Vector>(pub(super) [V::Wide; PLANES]);

impl<V: Vector> Sum<V> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        Sum([V::splat(0).wide_mul(V::splat(0)); PLANES])
    }

    #[inline(always)]
    pub(super) fn reduce(self) -> ExtVector<V> {
        let [a, b, c, d] = self.0;
        [V::wide_reduce(a), V::wide_reduce(b), V::wide_reduce(c), V::wide_reduce(d)]
    }
}
