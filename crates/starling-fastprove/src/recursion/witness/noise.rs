//! What is below the program in every column.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use rayon::prelude::*;
use risc0_zkp::ZK_CYCLES;
use starling_babybear::vector::P;

use crate::recursion::Seed;

/// All random elements of one proof. They follow from its seed, so that the same seed makes the same proof.
pub(crate) struct Noise(ChaCha20Rng);

impl Noise {
    /// The noise of the proof whose seed this is.
    pub fn new(seed: Seed) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Fills what is below row `rows` in all columns of `group`, each `column_len` long: zeros, and at the end random
    /// elements.
    ///
    /// Each column has a stream of its own, whichever thread fills it.
    pub fn fill_below(&self, group: usize, columns: &mut [u32], column_len: usize, rows: usize) {
        columns.par_chunks_exact_mut(column_len).enumerate().for_each(|(index, column)| {
            let below = &mut column[rows..];
            let (zeros, noise) = below.split_at_mut(below.len() - ZK_CYCLES);
            zeros.fill(0);
            let mut stream = self.0.clone();
            stream.set_stream(((group as u64) << u32::BITS) | index as u64);
            for word in noise {
                // Of 64 bits, so that no element is more likely than another by more than 2^-33.
                *word = (stream.next_u64() % u64::from(P)) as u32;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const COLUMNS: usize = 5;
    const COLUMN_LEN: usize = 1 << 11;
    const ROWS: usize = 7;

    /// The columns of a group, over garbage.
    fn columns(seed: u8, group: usize) -> Vec<u32> {
        let mut columns = vec![u32::MAX; COLUMNS * COLUMN_LEN];
        Noise::new([seed; 32]).fill_below(group, &mut columns, COLUMN_LEN, ROWS);
        columns
    }

    #[test]
    fn noise_is_as_many_rows_as_the_verifier_expects_below_zeros_below_the_program() {
        for column in columns(1, 0).chunks(COLUMN_LEN) {
            let (program, below) = column.split_at(ROWS);
            let (zeros, noise) = below.split_at(below.len() - ZK_CYCLES);
            assert!(program.iter().all(|word| *word == u32::MAX), "what the program fills");
            assert!(zeros.iter().all(|word| *word == 0));
            // That two of so few are equal, or one is 0, is a matter of one in a thousand.
            assert!(noise.iter().all(|word| *word < P));
            assert!(noise.iter().collect::<BTreeSet<_>>().len() > ZK_CYCLES - 5);
        }
    }

    #[test]
    fn each_seed_group_and_column_has_noise_of_its_own() {
        assert!(columns(1, 0) == columns(1, 0));
        let mut seen = BTreeSet::new();
        for (seed, group) in [(1, 0), (1, 2), (2, 0)] {
            for column in columns(seed, group).chunks(COLUMN_LEN) {
                assert!(seen.insert(column[COLUMN_LEN - ZK_CYCLES..].to_vec()));
            }
        }
    }
}
