//! As many vectors as one has lanes.

use super::Vector;

/// Lanes of the widest vector.
pub(crate) const LANES_MAX: usize = 16;

/// Lane `i` of vector `j` changes places with lane `j` of vector `i`, for the first [`Vector::LANES`] vectors.
#[inline(always)]
pub(crate) fn transpose<V: Vector>(square: &mut [V; LANES_MAX]) {
    exchange::<V, 8>(square);
    exchange::<V, 4>(square);
    exchange::<V, 2>(square);
    exchange::<V, 1>(square);
}

#[inline(always)]
fn exchange<V: Vector, const BLOCK: usize>(square: &mut [V; LANES_MAX]) {
    if BLOCK >= V::LANES {
        return;
    }
    for pair in 0..V::LANES / 2 {
        let low = (pair / BLOCK * 2 * BLOCK) | (pair % BLOCK);
        let high = low | BLOCK;
        (square[low], square[high]) = square[low].interleave::<BLOCK>(square[high]);
    }
}
