//! Several layers of butterflies at once, on as many vectors as fit the registers.

use crate::vector::Vector;

/// Where the butterflies of a radix step get their factors from.
pub(super) trait Twiddles<V: Vector> {
    /// The factor of butterfly `index` of `layer`, which pairs vectors `1 << layer` apart; `None` is one.
    fn get(&self, layer: usize, index: usize) -> Option<V::Factor>;
}

/// Runs `$body` for each `$index` below `$count`, which is 16 at most. Written out instead of a loop: the
/// compiler unrolls only short bodies, and an array that a loop indexes lives in memory, not in registers.
macro_rules! unrolled {
    ($count:expr, $index:ident => $body:expr) => {
        unrolled!(@ $count, $index => $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $count:expr, $index:ident => $body:expr; $($number:literal)*) => {{
        $(
            if $number < $count {
                let $index = $number;
                $body;
            }
        )*
    }};
}
pub(super) use unrolled;

/// `RADIX.ilog2()` layers: decimation in time, nearest pairs first, if `FORWARD`; else decimation in
/// frequency, farthest pairs first.
#[inline(always)]
pub(super) fn radix<V: Vector, T: Twiddles<V>, const RADIX: usize, const FORWARD: bool>(
    x: &mut [V; RADIX],
    twiddles: &T,
) {
    const { assert!(RADIX.is_power_of_two() && RADIX <= 16) };
    let layers = RADIX.trailing_zeros() as usize;
    unrolled!(layers, done => {
        let layer = if FORWARD { done } else { layers - 1 - done };
        unrolled!(RADIX / 2, pair => {
            let index = pair & ((1 << layer) - 1);
            let low = (pair >> layer << (layer + 1)) | index;
            let high = low | (1 << layer);
            (x[low], x[high]) = butterfly::<V, FORWARD>(x[low], x[high], twiddles.get(layer, index));
        })
    });
}

/// One butterfly: in time if `FORWARD`, else in frequency.
#[inline(always)]
pub(super) fn butterfly<V: Vector, const FORWARD: bool>(
    a: V,
    b: V,
    twiddle: Option<V::Factor>,
) -> (V, V) {
    if FORWARD {
        let b = match twiddle {
            Some(twiddle) => b.times(twiddle),
            None => b,
        };
        (a.add(b), a.sub(b))
    } else {
        let difference = a.sub(b);
        match twiddle {
            Some(twiddle) => (a.add(b), difference.times(twiddle)),
            None => (a.add(b), difference),
        }
    }
}

/// The most layers of one radix step. Sixteen vectors and constants fill the registers of AVX-512 and NEON; the other
/// ISAs have half as many or fewer, and yet gain more by fewer passes than they lose by spilling.
pub(super) const LOG_RADIX_MAX: u32 = 4;

/// How `layers` are cut into steps: the layers of step `index` out of `steps`, as evenly as can be.
#[inline(always)]
pub(super) fn step_layers(layers: u32, steps: u32, index: u32) -> u32 {
    layers * (index + 1) / steps - layers * index / steps
}
