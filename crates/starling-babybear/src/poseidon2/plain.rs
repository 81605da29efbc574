//! The permutation in canonical elements, for any [`Vector`].

use super::constants::{
    HALF_FULL, PARTIAL, SECOND_HALF, diagonal, mul, power_of_two, round_constant,
};
use super::{CELLS, DIGEST, RATE};
use crate::vector::Vector;
use crate::vector::square::LANES_MAX;

/// Constants in Montgomery form.
struct Tables {
    /// What each full round adds.
    full: [[u32; CELLS]; 2 * HALF_FULL],
    /// What each partial round adds to the first cell.
    partial: [u32; PARTIAL],
    /// The internal matrix's diagonal, less one.
    diagonal: [u32; CELLS],
}

/// `number` in Montgomery form.
const fn montgomery(number: u64) -> u32 {
    mul(number, power_of_two(32)) as u32
}

impl Tables {
    const fn new() -> Self {
        let mut tables =
            Self { full: [[0; CELLS]; 2 * HALF_FULL], partial: [0; PARTIAL], diagonal: [0; CELLS] };
        let mut cell = 0;
        while cell < CELLS {
            let mut round = 0;
            while round < HALF_FULL {
                tables.full[round][cell] = montgomery(round_constant(round, cell));
                tables.full[HALF_FULL + round][cell] =
                    montgomery(round_constant(SECOND_HALF + round, cell));
                round += 1;
            }
            tables.diagonal[cell] = montgomery(diagonal(cell));
            cell += 1;
        }
        let mut round = 0;
        while round < PARTIAL {
            tables.partial[round] = montgomery(round_constant(HALF_FULL + round, 0));
            round += 1;
        }
        tables
    }
}

static TABLES: Tables = Tables::new();

/// x^7.
#[inline(always)]
fn sbox<V: Vector>(x: V) -> V {
    let x2 = x.mul(x);
    x2.mul(x).mul(x2.mul(x2))
}

/// The external matrix.
#[inline(always)]
fn mix<V: Vector>(cells: &mut [V; CELLS]) {
    let mut sums = [V::zero(); 4];
    for chunk in cells.chunks_exact_mut(4) {
        let (t0, t1) = (chunk[0].add(chunk[1]), chunk[2].add(chunk[3]));
        let t2 = chunk[1].double().add(t1);
        let t3 = chunk[3].double().add(t0);
        let t4 = t1.double().double().add(t3);
        let t5 = t0.double().double().add(t2);
        for (i, out) in [t3.add(t5), t5, t2.add(t4), t4].into_iter().enumerate() {
            chunk[i] = out;
            sums[i] = sums[i].add(out);
        }
    }
    for (i, cell) in cells.iter_mut().enumerate() {
        *cell = cell.add(sums[i % 4]);
    }
}

#[inline(always)]
fn full_round<V: Vector>(cells: &mut [V; CELLS], constants: &[u32; CELLS]) {
    for (cell, &constant) in cells.iter_mut().zip(constants) {
        *cell = sbox(cell.add(V::splat(constant)));
    }
    mix(cells);
}

#[inline(always)]
fn partial_round<V: Vector>(cells: &mut [V; CELLS], constant: u32) {
    cells[0] = sbox(cells[0].add(V::splat(constant)));
    let sum = cells[1..].iter().fold(cells[0], |sum, &cell| sum.add(cell));
    for (cell, &factor) in cells.iter_mut().zip(&TABLES.diagonal) {
        *cell = cell.times(V::prepare(factor)).add(sum);
    }
}

#[inline(always)]
fn permute<V: Vector>(cells: &mut [V; CELLS]) {
    let (first, second) = TABLES.full.split_at(HALF_FULL);
    mix(cells);
    for constants in first {
        full_round(cells, constants);
    }
    for &constant in &TABLES.partial {
        partial_round(cells, constant);
    }
    for constants in second {
        full_round(cells, constants);
    }
}

/// A sponge in each lane of a vector.
#[derive(Clone, Copy)]
pub(crate) struct Sponge<V>([V; CELLS]);

impl<V: Vector> super::Sponge for Sponge<V> {
    const LANES: usize = V::LANES;

    #[inline(always)]
    fn new() -> Self {
        Self([V::zero(); CELLS])
    }

    #[inline(always)]
    fn absorb(&mut self, block: &[&[u32]]) {
        for (i, cell) in self.0[..RATE].iter_mut().enumerate() {
            *cell = block.get(i).map_or(V::zero(), |words| V::read(words, 0));
        }
        permute(&mut self.0);
    }

    #[inline(always)]
    fn digests(&self, out: &mut [[u32; DIGEST]]) {
        let mut words = [0; LANES_MAX];
        for (i, cell) in self.0[..DIGEST].iter().enumerate() {
            cell.write(&mut words, 0);
            for (digest, word) in out[..V::LANES].iter_mut().zip(words) {
                digest[i] = word;
            }
        }
    }
}
