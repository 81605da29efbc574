//! The Poseidon2 permutation of RISC Zero's hash (24 cells, x^7, 8 full and 21 partial rounds), in as many
//! lanes as a machine has, as a sponge.
//!
//! The sponge overwrites: each block of up to [`RATE`] words replaces the first cells and is mixed in; the first
//! [`DIGEST`] cells are the digest. A short block is filled up with zeros. This module owns the arithmetic
//! and nothing of how rows and trees are hashed; that is [`crate::hash`].
//!
//! Four implementations: `plain` (NEON) computes in the canonical form of [`crate::vector`], with any of its vectors;
//! [`integers`] computes in 64-bit integers, for machines without vectors or with SSE2 alone; `words` (SSE4.1, AVX2,
//! AVX-512) computes in 32-bit words and reduces late; `ifma` (AVX-512 IFMA) computes in 52-bit integers, which need no
//! reduction but in the S-box.

pub(crate) mod constants;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;
pub(crate) mod integers;
#[cfg(any(test, all(target_arch = "aarch64", target_feature = "neon")))]
pub(crate) mod plain;
#[cfg(target_arch = "x86_64")]
mod registers;
#[cfg(target_arch = "x86_64")]
pub(crate) mod words;

/// Cells of the permutation.
pub(crate) const CELLS: usize = 24;

/// Cells that a block replaces.
pub(crate) const RATE: usize = 16;

/// Words of a digest.
pub(crate) const DIGEST: usize = 8;

/// As many sponges as there are lanes.
pub(crate) trait Sponge: Copy {
    /// Sponges at once.
    const LANES: usize;

    /// Sponges that have absorbed nothing.
    fn new() -> Self;

    /// Replaces the first cells by the words of `block` (a slice of `LANES` words for each cell), the others of the [`RATE`]
    /// by zero, and mixes.
    fn absorb(&mut self, block: &[&[u32]]);

    /// Writes the digest of each lane.
    fn digests(&self, out: &mut [[u32; DIGEST]]);
}
