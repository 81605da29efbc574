//! Hashing of a matrix's rows and of pairs of digests with Poseidon2, as RISC Zero's "poseidon2" suite does it, and of
//! pages of memory, as its zkVM does.
//!
//! All cut the work into tiles for the current rayon pool; a tile is hashed by one thread, as many rows at
//! a time as the instruction set has lanes. Digests are words in RISC Zero's order, elements in Montgomery form.

mod pages;

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{__m128i, __m256i, __m512i};

use rayon::prelude::*;

#[cfg(any(test, all(target_arch = "aarch64", target_feature = "neon")))]
use crate::poseidon2::plain;
use crate::poseidon2::{DIGEST, RATE, Sponge, integers};
#[cfg(target_arch = "x86_64")]
use crate::poseidon2::{ifma, words};
use crate::vector::Isa;
use crate::vector::square::LANES_MAX;
#[cfg(any(test, all(target_arch = "aarch64", target_feature = "neon")))]
use crate::vector::{Kernel, Vector, dispatch};

pub use self::pages::{PAGE_BYTES, hash_pages};

/// Rows of a tile: a line of memory (16 words) of a column serves all its rows at once, also where a vector is
/// shorter, and a page's address is translated once for 64. More would push the tile's sponges out of the nearest cache.
const TILE_ROWS: usize = 64;

/// Hashes each row of a matrix: `out[i]` is the digest of the `i`th element of every column, in order.
///
/// # Panics
/// If `matrix` is not `columns` columns of `rows` words, or `out` not `rows` digests.
pub fn hash_rows(isa: Isa, out: &mut [[u32; DIGEST]], matrix: &[u32], rows: usize, columns: usize) {
    assert_eq!(matrix.len(), rows * columns, "a matrix of {columns} columns of {rows} words");
    assert_eq!(out.len(), rows, "a digest for each of {rows} rows");
    out.par_chunks_mut(TILE_ROWS).enumerate().for_each(|(tile, out)| {
        hash_tile(isa, Rows { out, matrix, rows, columns, first: tile * TILE_ROWS });
    });
}

/// Hashes each pair of neighbours: `parents[i]` is the digest of `children[2 * i]` and the next.
///
/// # Panics
/// If there are not twice as many children as parents.
pub fn hash_pairs(isa: Isa, children: &[[u32; DIGEST]], parents: &mut [[u32; DIGEST]]) {
    assert_eq!(children.len(), 2 * parents.len(), "two children for each parent");
    let tiles = children.par_chunks(2 * TILE_ROWS).zip(parents.par_chunks_mut(TILE_ROWS));
    tiles.for_each(|(children, out)| hash_tile(isa, Pairs { children, out }));
}

/// What a tile hashes.
trait Tile {
    /// Hashes the tile with sponges of type `S`.
    fn hash<S: Sponge>(self);
}

/// Runs `tile` with the sponges of `isa`.
fn hash_tile<T: Tile>(isa: Isa, tile: T) {
    assert!(isa.is_available(), "this machine does not execute {}", isa.name());
    match isa {
        Isa::Scalar => tile.hash::<integers::Sponge>(),
        // Signed products, which the others are quick by, came with SSE4.1.
        #[cfg(target_arch = "x86_64")]
        Isa::Sse2 => tile.hash::<integers::Sponge>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Sse41 => tile.hash::<words::Sponge<__m128i>>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => tile.hash::<words::Sponge<__m256i>>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => tile.hash::<words::Sponge<__m512i>>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Ifma => tile.hash::<ifma::Sponge>(),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        Isa::Neon => dispatch(isa, Plain(tile)),
    }
}

/// A tile with the sponges of whatever vector there is.
#[cfg(any(test, all(target_arch = "aarch64", target_feature = "neon")))]
struct Plain<T>(T);

#[cfg(any(test, all(target_arch = "aarch64", target_feature = "neon")))]
impl<T: Tile> Kernel for Plain<T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.0.hash::<plain::Sponge<V>>();
    }
}

/// Rows `first..` of a matrix.
struct Rows<'a> {
    out: &'a mut [[u32; DIGEST]],
    matrix: &'a [u32],
    rows: usize,
    columns: usize,
    first: usize,
}

impl Tile for Rows<'_> {
    #[inline(always)]
    fn hash<S: Sponge>(self) {
        let mut sponges = vec![S::new(); self.out.len().div_ceil(S::LANES)];
        // Lanes without a row, in the last group, hash zeros.
        let mut padded = [[0; LANES_MAX]; RATE];
        // No columns are hashed as one block of zeros.
        for start in (0..self.columns.max(1)).step_by(RATE) {
            let count = RATE.min(self.columns - start);
            for (group, sponge) in sponges.iter_mut().enumerate() {
                let lanes = group * S::LANES..self.out.len().min((group + 1) * S::LANES);
                let mut block: [&[u32]; RATE] = [&[]; RATE];
                for (i, cell) in block[..count].iter_mut().enumerate() {
                    let column = &self.matrix[(start + i) * self.rows + self.first..];
                    *cell = &column[lanes.clone()];
                }
                if lanes.len() < S::LANES {
                    for (cell, padded) in block[..count].iter_mut().zip(&mut padded) {
                        padded[..lanes.len()].copy_from_slice(cell);
                        *cell = padded;
                    }
                }
                sponge.absorb(&block[..count]);
            }
        }
        write_digests(&sponges, self.out);
    }
}

/// Neighbouring digests.
struct Pairs<'a> {
    children: &'a [[u32; DIGEST]],
    out: &'a mut [[u32; DIGEST]],
}

impl Tile for Pairs<'_> {
    #[inline(always)]
    fn hash<S: Sponge>(self) {
        for (children, out) in self.children.chunks(2 * S::LANES).zip(self.out.chunks_mut(S::LANES))
        {
            let mut words = [[0; LANES_MAX]; RATE];
            for (lane, pair) in children.as_chunks::<2>().0.iter().enumerate() {
                for (cell, &word) in words.iter_mut().zip(pair.as_flattened()) {
                    cell[lane] = word;
                }
            }
            let mut sponge = S::new();
            sponge.absorb(&words.each_ref().map(|lanes| &lanes[..]));
            write_digests(&[sponge], out);
        }
    }
}

/// Writes the digests of as many lanes as `out` has room for.
#[inline(always)]
fn write_digests<S: Sponge>(sponges: &[S], out: &mut [[u32; DIGEST]]) {
    for (sponge, out) in sponges.iter().zip(out.chunks_mut(S::LANES)) {
        let mut all = [[0; DIGEST]; LANES_MAX];
        sponge.digests(&mut all);
        out.copy_from_slice(&all[..out.len()]);
    }
}

#[cfg(test)]
mod tests {
    use risc0_core::field::baby_bear::BabyBear;
    use risc0_zkp::core::digest::Digest;
    use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
    use risc0_zkp::hal::cpu::CpuHal;
    use risc0_zkp::hal::{Buffer as _, Hal as _};

    use super::*;
    use crate::testing::{edge_words, elems, random_words, sizes};

    fn hal() -> CpuHal<BabyBear> {
        CpuHal::new(Poseidon2HashSuite::new_suite())
    }

    fn expected_rows(matrix: &[u32], rows: usize) -> Vec<[u32; DIGEST]> {
        let hal = hal();
        let out = hal.alloc_digest("out", rows);
        hal.hash_rows(&out, &hal.copy_from_elem("matrix", &elems(matrix)));
        out.to_vec().into_iter().map(<[u32; DIGEST]>::from).collect()
    }

    fn expected_pairs(children: &[[u32; DIGEST]]) -> Vec<[u32; DIGEST]> {
        let hal = hal();
        let mut nodes = vec![Digest::ZERO; children.len()];
        nodes.extend(children.iter().map(|&words| Digest::from(words)));
        let io = hal.copy_from_digest("nodes", &nodes);
        hal.hash_fold(&io, children.len(), children.len() / 2);
        let nodes = io.to_vec();
        nodes[children.len() / 2..children.len()].iter().map(|&node| node.into()).collect()
    }

    fn compare_rows(matrix: &[u32], rows: usize) {
        let columns = matrix.len() / rows;
        let expected = expected_rows(matrix, rows);
        for isa in Isa::available() {
            let mut out = vec![[0; DIGEST]; rows];
            hash_rows(isa, &mut out, matrix, rows, columns);
            assert_eq!(out, expected, "{rows} rows of {columns} columns on {}", isa.name());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "half an hour; edge values go the same way")]
    fn rows_hash_as_risc_zero_hashes_them_whatever_the_shape() {
        for rows in [1, 2, 3, 8, 16, 21, 64, 100, 256] {
            for columns in [1, 4, 15, 16, 17, 32, 40] {
                compare_rows(&random_words(rows as u64, rows * columns), rows);
            }
        }
    }

    #[test]
    fn edge_values_hash_as_risc_zero_hashes_them() {
        // A single row of one block is what Miri has the time for.
        let columns = if cfg!(miri) { RATE } else { 3 * RATE };
        for word in [0, 1, crate::vector::P - 1] {
            for rows in sizes(&[1, 16], 1) {
                compare_rows(&vec![word; rows * columns], rows);
            }
        }
        for rows in sizes(&[1, 4096], 1) {
            compare_rows(&edge_words(rows * columns), rows);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "half an hour; the vectors are tested by themselves")]
    fn sponges_of_any_vector_hash_as_risc_zero_does() {
        for rows in [5, 64] {
            let columns = 40;
            let matrix = edge_words(rows * columns);
            let expected = expected_rows(&matrix, rows);
            for isa in Isa::available() {
                let mut out = vec![[0; DIGEST]; rows];
                let matrix = &matrix;
                dispatch(isa, Plain(Rows { out: &mut out, matrix, rows, columns, first: 0 }));
                assert_eq!(out, expected, "{rows} rows on {}", isa.name());
            }
        }
    }

    #[test]
    fn no_columns_hash_as_one_block_of_zeros() {
        let suite = Poseidon2HashSuite::new_suite();
        let expected: [u32; DIGEST] = (*suite.hashfn.hash_elem_slice(&[])).into();
        for isa in Isa::available() {
            let mut out = [[1; DIGEST]; 3];
            hash_rows(isa, &mut out, &[], 3, 0);
            assert_eq!(out, [expected; 3], "{}", isa.name());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "half an hour; rows are hashed by the same sponges")]
    fn pairs_hash_as_risc_zero_hashes_them() {
        for parents in [1, 2, 7, 16, 64, 128, 200] {
            for words in [random_words(7, parents * 16), edge_words(parents * 16)] {
                let children = words.as_chunks::<DIGEST>().0;
                let expected = expected_pairs(children);
                for isa in Isa::available() {
                    let mut out = vec![[0; DIGEST]; parents];
                    hash_pairs(isa, children, &mut out);
                    assert_eq!(out, expected, "{parents} parents on {}", isa.name());
                }
            }
        }
    }
}
