//! Columns to test with.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use risc0_core::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};

use crate::vector::P;

/// The sizes `all`; under Miri, which takes a thousand times as long, those of them up to `limit`.
pub(crate) fn sizes(all: &[usize], limit: usize) -> impl Iterator<Item = usize> {
    all.iter().copied().filter(move |&size| !cfg!(miri) || size <= limit)
}

/// Canonical words at random, the same for the same seed.
pub(crate) fn random_words(seed: u64, count: usize) -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(0..P)).collect()
}

/// The words where carries and borrows change, in no simple order.
pub(crate) fn edge_words(count: usize) -> Vec<u32> {
    let edges = [0, 1, P - 1, P / 2, P / 2 + 1, 0x0fff_fffe, P - 2, 2];
    random_words(0, count).into_iter().map(|word| edges[word as usize % edges.len()]).collect()
}

/// Extension elements at random, the same for the same seed.
pub(crate) fn random_exts(seed: u64, count: usize) -> Vec<Ext> {
    let words = random_words(seed, 4 * count);
    elems(&words).chunks_exact(4).map(|x| Ext::new(x[0], x[1], x[2], x[3])).collect()
}

/// Words as RISC Zero's elements.
pub(crate) fn elems(words: &[u32]) -> Vec<Elem> {
    words.iter().map(|word| Elem::new_raw(*word)).collect()
}

/// RISC Zero's elements as words.
pub(crate) fn words_of(elems: &[Elem]) -> Vec<u32> {
    elems.iter().map(Elem::as_u32_montgomery).collect()
}
