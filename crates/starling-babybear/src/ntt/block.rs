//! The layers inside a block, which the first-level cache holds.
//!
//! Butterflies closer than a vector is wide pair lanes of one vector. Two neighbouring vectors exchange
//! lanes before and after, so that these are butterflies of two vectors like all others.

use super::plan::Plan;
use super::radix::{LOG_RADIX_MAX, Twiddles, butterfly, radix, step_layers, unrolled};
use crate::vector::{Factors, Kernel, Vector};

/// Evaluates the `block.len() >> expand_bits` coefficients into a block.
pub(super) struct Forward<'a> {
    pub(super) block: &'a mut [u32],
    /// `None`: they are in `block`, as many as it has words.
    pub(super) coeffs: Option<&'a [u32]>,
    pub(super) plan: &'a Plan,
    pub(super) expand_bits: u32,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { block, coeffs, plan, expand_bits } = self;
        match coeffs {
            // Zero-extended, a coefficient meets only zeros in its first layers, which leave copies of it.
            Some(coeffs) if expand_bits == 2 => {
                for (words, at) in block.chunks_exact_mut(4 * V::LANES).zip((0..).step_by(V::LANES))
                {
                    let [mut a, mut b, mut c, mut d] = V::read(coeffs, at).spread();
                    lane_layers::<V, true>(&mut a, &mut b, plan, expand_bits);
                    lane_layers::<V, true>(&mut c, &mut d, plan, expand_bits);
                    a.write(words, 0);
                    b.write(words, V::LANES);
                    c.write(words, 2 * V::LANES);
                    d.write(words, 3 * V::LANES);
                }
            }
            Some(coeffs) if expand_bits > 0 => {
                for (words, coeff) in block.chunks_exact_mut(1 << expand_bits).zip(coeffs) {
                    words.fill(*coeff);
                }
                all_lane_layers::<V, true>(block, plan, expand_bits);
            }
            unexpanded => {
                if let Some(coeffs) = unexpanded {
                    block.copy_from_slice(coeffs);
                }
                all_lane_layers::<V, true>(block, plan, 0);
            }
        }
        long_layers::<V, true>(block, plan, expand_bits.max(V::LANES.trailing_zeros()));
    }
}

/// Interpolates `block` in place.
#[inline(always)]
pub(super) fn inverse<V: Vector>(block: &mut [u32], plan: &Plan) {
    long_layers::<V, false>(block, plan, V::LANES.trailing_zeros());
    all_lane_layers::<V, false>(block, plan, 0);
    if let Some(scale) = plan.scale() {
        let scale = V::splat(scale);
        for at in (0..block.len()).step_by(V::LANES) {
            V::read(block, at).mul(scale).write(block, at);
        }
    }
}

/// The layers above the first `below`, whose butterflies are at least a vector apart.
#[inline(always)]
fn long_layers<V: Vector, const FORWARD: bool>(block: &mut [u32], plan: &Plan, below: u32) {
    let log = plan.log_block();
    let layers = log - below;
    let steps = layers.div_ceil(LOG_RADIX_MAX);
    let mut done = 0;
    for step in 0..steps {
        let layers = step_layers(layers, steps, step);
        let below = if FORWARD { below + done } else { log - done - layers };
        done += layers;
        match layers {
            1 => groups::<V, 2, FORWARD>(block, plan, below),
            2 => groups::<V, 4, FORWARD>(block, plan, below),
            3 => groups::<V, 8, FORWARD>(block, plan, below),
            _ => groups::<V, 16, FORWARD>(block, plan, below),
        }
    }
}

#[inline(always)]
fn groups<V: Vector, const RADIX: usize, const FORWARD: bool>(
    block: &mut [u32],
    plan: &Plan,
    below: u32,
) {
    let stride = 1_usize << below;
    for words in block.chunks_exact_mut(stride * RADIX) {
        for at in (0..stride).step_by(V::LANES) {
            let mut x = [V::splat(0); RADIX];
            unrolled!(RADIX, index => x[index] = V::read(words, at + index * stride));
            radix::<V, _, RADIX, FORWARD>(&mut x, &Table { layers: plan.layers(), stride, at });
            unrolled!(RADIX, index => x[index].write(words, at + index * stride));
        }
    }
}

/// The factors of a block's layers for the vectors at `at`.
struct Table<'a> {
    layers: &'a Factors,
    stride: usize,
    at: usize,
}

impl<V: Vector> Twiddles<V> for Table<'_> {
    #[inline(always)]
    fn get(&self, layer: usize, index: usize) -> Option<V::Factor> {
        Some(V::factors(self.layers, ((1 << layer) + index) * self.stride + self.at))
    }
}

#[inline(always)]
fn all_lane_layers<V: Vector, const FORWARD: bool>(block: &mut [u32], plan: &Plan, below: u32) {
    if V::LANES == 1 {
        return;
    }
    for words in block.chunks_exact_mut(2 * V::LANES) {
        let (mut a, mut b) = (V::read(words, 0), V::read(words, V::LANES));
        lane_layers::<V, FORWARD>(&mut a, &mut b, plan, below);
        a.write(words, 0);
        b.write(words, V::LANES);
    }
}

/// The layers above the first `below` whose butterflies lie inside `a` and inside `b`.
#[inline(always)]
fn lane_layers<V: Vector, const FORWARD: bool>(a: &mut V, b: &mut V, plan: &Plan, below: u32) {
    if FORWARD {
        lane_layer::<V, 1, FORWARD>(a, b, plan, below);
        lane_layer::<V, 2, FORWARD>(a, b, plan, below);
        lane_layer::<V, 4, FORWARD>(a, b, plan, below);
        lane_layer::<V, 8, FORWARD>(a, b, plan, below);
    } else {
        lane_layer::<V, 8, FORWARD>(a, b, plan, below);
        lane_layer::<V, 4, FORWARD>(a, b, plan, below);
        lane_layer::<V, 2, FORWARD>(a, b, plan, below);
        lane_layer::<V, 1, FORWARD>(a, b, plan, below);
    }
}

#[inline(always)]
fn lane_layer<V: Vector, const HALF: usize, const FORWARD: bool>(
    a: &mut V,
    b: &mut V,
    plan: &Plan,
    below: u32,
) {
    if HALF >= V::LANES || HALF >> below == 0 {
        return;
    }
    let twiddle = V::factors(plan.lanes(HALF.trailing_zeros() as usize), 0);
    let (low, high) = a.interleave::<HALF>(*b);
    let (low, high) = butterfly::<V, FORWARD>(low, high, Some(twiddle));
    (*a, *b) = low.interleave::<HALF>(high);
}
