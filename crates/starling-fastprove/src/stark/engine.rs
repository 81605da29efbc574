//! What every step of a proof shares: vectors, a hash suite and memory.

use std::fmt;

use rayon::prelude::*;
use risc0_zkp::INV_RATE;
use risc0_zkp::core::digest::{DIGEST_WORDS, Digest};
use risc0_zkp::core::hash::{HashFn, HashSuite};
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem};
use starling_babybear::hash;
use starling_babybear::vector::Isa;

use super::memory::MemoryPlan;
use crate::pool::Pool;

/// The words of a digest. For Poseidon2 they are elements in Montgomery form.
pub(super) type Words = [u32; DIGEST_WORDS];

/// The suite whose hashes [`starling_babybear::hash`] computes.
const POSEIDON2: &str = "poseidon2";

/// Rows that one thread copies side by side and hashes at a time: four lines of memory of each column, read in one go
/// for the prefetchers (a tenth less time than reading 128 columns in turns), and 32 KiB of 128 columns stay near.
const BLOCK_ROWS: usize = 64;

/// Vectors, hash suite and memory of a proof.
pub struct Engine {
    isa: Isa,
    suite: HashSuite<BabyBear>,
    pool: Pool,
    plan: MemoryPlan,
}

impl Engine {
    /// An engine for proofs with `suite`, in memory from `pool`. Poseidon2 is hashed on `isa`'s vectors, any other
    /// suite by its own function, row by row; both on all threads of the current rayon pool.
    pub fn new(isa: Isa, suite: HashSuite<BabyBear>, pool: Pool) -> Self {
        Self { isa, suite, pool, plan: MemoryPlan::EVERYTHING }
    }

    /// Proofs have no more in memory at a time than `plan` says. [Everything](MemoryPlan::EVERYTHING), unless told
    /// otherwise.
    pub fn with_plan(mut self, plan: MemoryPlan) -> Self {
        self.plan = MemoryPlan { cosets_kept: plan.cosets_kept.min(INV_RATE), ..plan };
        self
    }

    /// What of a proof is in memory at a time.
    pub fn plan(&self) -> MemoryPlan {
        self.plan
    }

    /// The vectors in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The hash suite of the transcript and of the trees.
    pub fn suite(&self) -> &HashSuite<BabyBear> {
        &self.suite
    }

    /// Where buffers come from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn hasher(&self) -> Hasher<'_> {
        let function = (self.suite.name != POSEIDON2).then_some(self.suite.hashfn.as_ref());
        Hasher { isa: self.isa, function }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({}, {})", self.isa.name(), self.suite.name)
    }
}

/// The tree hashes of an engine's suite, in a form that threads can share.
#[derive(Clone, Copy)]
pub(super) struct Hasher<'a> {
    isa: Isa,
    /// `None`: Poseidon2, on vectors.
    function: Option<&'a dyn HashFn<BabyBear>>,
}

impl Hasher<'_> {
    /// Hashes each row of a column-major `matrix` to a word of `digests`, on all threads.
    pub fn hash_rows(self, digests: &mut [Words], matrix: &[u32]) {
        let rows = digests.len();
        digests.par_chunks_mut(BLOCK_ROWS).enumerate().for_each_init(
            Vec::new,
            |block, (at, digests)| {
                let first = at * BLOCK_ROWS;
                block.clear();
                for column in matrix.chunks_exact(rows) {
                    block.extend_from_slice(&column[first..first + digests.len()]);
                }
                self.hash_block(digests, block);
            },
        );
    }

    /// [`Hasher::hash_rows`] on the caller's thread.
    pub fn hash_block(self, digests: &mut [Words], block: &[u32]) {
        let rows = digests.len();
        let columns = block.len() / rows;
        let Some(function) = self.function else {
            return hash::hash_rows(self.isa, digests, block, rows, columns);
        };
        let mut elements = vec![BabyBearElem::new_raw(0); columns];
        for (row, digest) in digests.iter_mut().enumerate() {
            for (element, column) in elements.iter_mut().zip(block.chunks_exact(rows)) {
                *element = BabyBearElem::new_raw(column[row]);
            }
            *digest = (*function.hash_elem_slice(&elements)).into();
        }
    }

    /// Hashes each pair of `children` to one of the half as many `parents`, on all threads.
    pub fn hash_pairs(self, children: &[Words], parents: &mut [Words]) {
        let Some(function) = self.function else {
            return hash::hash_pairs(self.isa, children, parents);
        };
        parents.par_chunks_mut(BLOCK_ROWS).zip(children.par_chunks(2 * BLOCK_ROWS)).for_each(
            |(parents, children)| {
                for (parent, [left, right]) in parents.iter_mut().zip(children.as_chunks().0) {
                    *parent =
                        (*function.hash_pair(&Digest::from(*left), &Digest::from(*right))).into();
                }
            },
        );
    }
}
