//! FRI: that a committed polynomial is of low degree.
//!
//! Each round commits to the values of the polynomial, [`FRI_FOLD`] of them to a row, and folds it by that factor
//! with a challenge, until [`FINAL_DEGREE`] or fewer coefficients are left, which are sent. Then come the queries: each
//! opens one row of every tree.

use risc0_zkp::core::digest::DIGEST_WORDS;
use risc0_zkp::core::log2_ceil;
use risc0_zkp::field::baby_bear::BabyBearElem;
use risc0_zkp::{FRI_FOLD, INV_RATE, QUERIES};
use starling_babybear::poly::PLANES;
use starling_babybear::{ntt, poly};

use super::engine::Engine;
use super::group::{Group, Sample};
use super::merkle::Tree;
use super::transcript::Transcript;
use crate::pool::Buffer;

/// Folding ends at this many coefficients; `risc0_zkp`'s own constant for it is private.
const FINAL_DEGREE: usize = 256;

struct Round {
    /// Rows of the tree.
    rows: usize,
    evaluations: Buffer,
    tree: Tree,
}

/// Proves the degree of `polynomial`, four planes of bit-reversed coefficients, and opens `groups` in the rows that
/// the queries fall on: there the verifier ties its values to theirs.
pub(super) fn prove(
    engine: &Engine,
    mut polynomial: Buffer,
    groups: &[&Group],
    transcript: &mut Transcript,
) {
    let domain = polynomial.len() / PLANES * INV_RATE;
    let mut rounds = Vec::new();
    while polynomial.len() / PLANES > FINAL_DEGREE {
        let round = Round::commit(engine, &polynomial, transcript);
        let mut folded = engine.pool().take(polynomial.len() / FRI_FOLD);
        poly::fri_fold(engine.isa(), &mut folded, &polynomial, transcript.random_ext_elem());
        polynomial = folded;
        rounds.push(round);
    }

    let degree = polynomial.len() / PLANES;
    ntt::bit_reverse(engine.isa(), &mut polynomial, degree);
    transcript.write_u32_slice(&polynomial);
    let elements: Vec<_> = polynomial.iter().map(|&word| BabyBearElem::new_raw(word)).collect();
    transcript.commit(&engine.suite().hashfn.hash_elem_slice(&elements));

    // The challenges no longer depend on what is written, so all are known before the first is answered.
    let bits = log2_ceil(domain);
    let rows: Vec<usize> = (0..QUERIES).map(|_| transcript.random_bits(bits) as usize).collect();
    let samples: Vec<Sample<'_>> = groups.iter().map(|group| group.sample(engine, &rows)).collect();
    for (query, mut row) in rows.into_iter().enumerate() {
        for sample in &samples {
            sample.open(engine, query, row, transcript);
        }
        for round in &rounds {
            row %= round.rows;
            round.open(engine, row, transcript);
        }
    }
}

impl Round {
    fn commit(engine: &Engine, polynomial: &[u32], transcript: &mut Transcript) -> Self {
        let degree = polynomial.len() / PLANES;
        let mut evaluations = engine.pool().take(polynomial.len() * INV_RATE);
        ntt::expand_evaluate(engine.isa(), &mut evaluations, polynomial, degree, INV_RATE.ilog2());
        let rows = degree * INV_RATE / FRI_FOLD;
        let mut leaves = engine.pool().take(rows * DIGEST_WORDS);
        let (digests, _) = leaves.as_chunks_mut();
        engine.hasher().hash_rows(digests, &evaluations);
        let tree = Tree::build(engine.hasher(), digests, 1);
        tree.commit(transcript);
        Self { rows, evaluations, tree }
    }

    fn open(&self, engine: &Engine, row: usize, transcript: &mut Transcript) {
        let block: Vec<u32> = self
            .evaluations
            .chunks_exact(self.rows)
            .flat_map(|column| &column[self.tree.neighbours(row)])
            .copied()
            .collect();
        self.tree.open(engine.hasher(), row, &block, transcript);
    }
}
