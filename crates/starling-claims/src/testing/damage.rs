//! Damaged bytes, for the unit tests of this crate and of those above it.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Every way to damage `bytes` that a test can afford: cut off at `cuts` places, and `flips` single bits
/// flipped at places drawn from a fixed seed.
pub(crate) fn damaged(bytes: &[u8], cuts: usize, flips: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let step = bytes.len().div_ceil(cuts).max(1);
    let cut = (0..bytes.len()).step_by(step).map(|end| bytes[..end].to_vec());
    let flipped = (0..flips).map(move |_| {
        let mut damaged = bytes.to_vec();
        let at = random.next_u64() as usize % damaged.len();
        damaged[at] ^= 1 << (random.next_u32() % 8);
        damaged
    });
    cut.chain(flipped)
}
