//! Hashing of pages of memory, as RISC Zero's zkVM does it: each two bytes of a page are an element.

use rayon::prelude::*;

use super::{Tile, hash_tile, write_digests};
use crate::poseidon2::{DIGEST, RATE, Sponge};
use crate::vector::square::LANES_MAX;
use crate::vector::{Isa, Kernel, P, Vector, dispatch};

/// Bytes of a page.
pub const PAGE_BYTES: usize = 1024;

/// Bytes of a block of [`RATE`] elements.
const BLOCK_BYTES: usize = 2 * RATE;

/// Pages of a tile: one vector of any instruction set, so that a few pages already are work for several threads.
const TILE_PAGES: usize = LANES_MAX;

/// R^2 mod P for R = 2^32: a Montgomery product with it brings an integer into Montgomery form.
const INTO_MONTGOMERY: u32 = ((1_u128 << 64) % P as u128) as u32;

/// Hashes pages: `out[i]` is the digest of `pages[i]`, its bytes taken as little-endian 16-bit integers.
///
/// Like the hashes of rows, digests are in Montgomery form.
///
/// # Panics
/// If `out` has not a digest for each page.
pub fn hash_pages(isa: Isa, pages: &[&[u8; PAGE_BYTES]], out: &mut [[u32; DIGEST]]) {
    assert_eq!(out.len(), pages.len(), "a digest for each page");
    let tiles = pages.par_chunks(TILE_PAGES).zip(out.par_chunks_mut(TILE_PAGES));
    tiles.for_each(|(pages, out)| hash_tile(isa, Pages { isa, pages, out }));
}

struct Pages<'a> {
    isa: Isa,
    pages: &'a [&'a [u8; PAGE_BYTES]],
    out: &'a mut [[u32; DIGEST]],
}

impl Tile for Pages<'_> {
    #[inline(always)]
    fn hash<S: Sponge>(self) {
        for (pages, out) in self.pages.chunks(S::LANES).zip(self.out.chunks_mut(S::LANES)) {
            let mut sponge = S::new();
            // One cell of every lane after the other; lanes without a page hash zeros.
            let mut words = [0; RATE * LANES_MAX];
            for at in (0..PAGE_BYTES).step_by(BLOCK_BYTES) {
                for (lane, page) in pages.iter().enumerate() {
                    let (halves, _) = page[at..at + BLOCK_BYTES].as_chunks();
                    for (cell, half) in halves.iter().enumerate() {
                        words[cell * S::LANES + lane] = u16::from_le_bytes(*half).into();
                    }
                }
                let words = &mut words[..RATE * S::LANES];
                dispatch(self.isa, IntoMontgomery(words));
                let mut block: [&[u32]; RATE] = [&[]; RATE];
                for (cell, lanes) in block.iter_mut().zip(words.chunks_exact(S::LANES)) {
                    *cell = lanes;
                }
                sponge.absorb(&block);
            }
            write_digests(&[sponge], out);
        }
    }
}

/// Brings integers into Montgomery form; there are as many as fill vectors.
struct IntoMontgomery<'a>(&'a mut [u32]);

impl Kernel for IntoMontgomery<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let factor = V::prepare(INTO_MONTGOMERY);
        for at in (0..self.0.len()).step_by(V::LANES) {
            V::read(self.0, at).times(factor).write(self.0, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    use risc0_core::field::baby_bear::BabyBearElem as Elem;
    use risc0_zkp::core::hash::poseidon2::{CELLS, poseidon2_mix};

    use super::*;
    use crate::testing::sizes;

    /// Block by block with RISC Zero's own permutation.
    fn expected(page: &[u8; PAGE_BYTES]) -> [u32; DIGEST] {
        let mut cells = [Elem::new(0); CELLS];
        for block in page.chunks(BLOCK_BYTES) {
            for (cell, half) in cells.iter_mut().zip(block.chunks(2)) {
                *cell = Elem::new(u16::from_le_bytes([half[0], half[1]]).into());
            }
            poseidon2_mix(&mut cells);
        }
        std::array::from_fn(|i| cells[i].as_u32_montgomery())
    }

    fn compare(pages: &[[u8; PAGE_BYTES]]) {
        let expected: Vec<_> = pages.iter().map(expected).collect();
        let pages: Vec<_> = pages.iter().collect();
        for isa in Isa::available() {
            let mut out = vec![[0; DIGEST]; pages.len()];
            hash_pages(isa, &pages, &mut out);
            assert_eq!(out, expected, "{} pages on {}", pages.len(), isa.name());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "half an hour; edge values go the same way")]
    fn pages_hash_as_risc_zero_hashes_them_however_many_there_are() {
        let mut rng = StdRng::seed_from_u64(0);
        for count in [0, 1, 2, 7, 15, 16, 17, 33, 100] {
            let mut pages = vec![[0; PAGE_BYTES]; count];
            pages.iter_mut().for_each(|page| rng.fill(page));
            compare(&pages);
        }
    }

    #[test]
    fn pages_of_edge_values_hash_as_risc_zero_hashes_them() {
        for count in sizes(&[1, 20], 1) {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                compare(&vec![[byte; PAGE_BYTES]; count]);
            }
        }
    }
}
