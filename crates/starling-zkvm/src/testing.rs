//! What the unit tests share: shipped guests, a tiny one, and damaged bytes.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::Guest;

#[path = "../tests/tiny/mod.rs"]
pub(crate) mod tiny;

/// How much larger a segment can be once decoded than its content was.
pub(crate) const DECODED_TIMES_MAX: u64 = 6;

/// The bytes of a shipped guest.
pub(crate) fn guest_bytes(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/bin");
    std::fs::read(folder.join(name)).unwrap()
}

/// A shipped guest.
pub(crate) fn guest(name: &str) -> Guest {
    Guest::parse(guest_bytes(name)).unwrap()
}

/// A guest that ends at once.
pub(crate) fn halting_guest() -> Guest {
    Guest::parse(tiny::program(1, 0)).unwrap()
}

/// Every way to damage `bytes` that a test can afford: cut off at `cuts` places, and `flips` single bits
/// flipped at places drawn from a fixed seed.
pub(crate) fn damaged(bytes: &[u8], cuts: usize, flips: usize) -> impl Iterator<Item = Vec<u8>> {
    use rand_chacha::{
        ChaCha20Rng,
        rand_core::{Rng as _, SeedableRng as _},
    };

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
