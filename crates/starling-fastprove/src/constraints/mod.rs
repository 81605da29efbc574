//! A circuit's constraints, evaluated on SIMD vectors.
//!
//! The build script compiles (`compiler`) the constraint list that a circuit crate is published with to bytecode
//! (`bytecode`); [`Constraints`] evaluates it. Data enters as evaluated columns and leaves as the four planes of the
//! check polynomial: the constraints, mixed by powers of a challenge and divided by what vanishes on the trace.
//! Nothing is checked here: columns that break the constraints give a polynomial of too high a degree.
//!
//! How it is fast: the rows of the domain are cut into blocks, and each operation of the program runs over a whole
//! block (`kernel`), so that decoding it costs little. What the operations read was copied to one near place before
//! (`plan`), for columns of a matrix are a power of two apart, and would fight for the same few lines of the caches.
//! Sums of products are reduced once, and linear maps between values and constraints are not computed in any row.

mod bytecode;
#[cfg(test)]
mod compiler;
mod extension;
pub(crate) mod keccak;
mod kernel;
mod plan;
mod published;
mod sums;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use rayon::prelude::*;
use risc0_zkp::INV_RATE;
use risc0_zkp::core::log2_ceil;
use risc0_zkp::field::baby_bear::{BabyBearElem as Elem, BabyBearExtElem as Ext};
use risc0_zkp::field::{Elem as _, RootsOfUnity as _};
use risc0_zkp::taps::TapSet;
use starling_babybear::vector::{Isa, dispatch};

use self::bytecode::{COORDINATES, Code, DecodeError, Weight};
use self::kernel::Blocks;
use self::plan::{BLOCK, Plan, PlanError};
pub use self::published::{keccak, keccak_taps, recursion, rv32im, rv32im_sums};
pub use self::sums::{RunningSums, Trace};

/// The evaluation domain is the subgroup of order 4n times this, apart from the trace's own.
const SHIFT: Elem = Elem::new(3);

/// Rows that one thread takes at a time: enough blocks for the setting up of its memory not to matter, few enough for
/// all threads to end at about the same time.
const CHUNK_ROWS: usize = 16 * BLOCK;

/// Why a [`Constraints`] cannot be made.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    /// The bytes are not bytecode.
    #[error(transparent)]
    Bytecode(#[from] DecodeError),
    /// The bytecode refers to what the circuit does not have.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The bytecode computes something else.
    #[error("the program leaves {found} results, not {expected}")]
    Roots {
        /// The results that there are.
        found: usize,
        /// The results that are wanted.
        expected: usize,
    },
    /// The bytecode's running sums cannot fill columns.
    #[error("the running sums {0}")]
    Sums(&'static str),
}

/// The constraints of a circuit, ready to be evaluated.
#[derive(Debug)]
pub struct Constraints {
    code: Code,
    /// With the rows of one coset side by side.
    coset: Plan,
    /// With the rows of all cosets in turns. Only who wants the whole domain at once pays for it.
    whole: OnceLock<Plan>,
    taps: &'static TapSet<'static>,
}

/// Which rows there are values of, and in which order.
///
/// With n = 2^po2 and w the root of unity of order 4n, the domain's row i is at x = 3 w^i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// All 4n rows.
    Whole,
    /// The n rows 4j + k, for this k and all j in order. A tap that reads so many cycles back stays among them.
    Coset(usize),
}

/// What constraints are evaluated on.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// The vectors to use.
    pub isa: Isa,
    /// The binary logarithm of n, the trace's rows.
    pub po2: usize,
    /// The rows.
    pub domain: Domain,
    /// The values of each group of the taps: column after column, each of the domain's rows.
    pub groups: &'a [&'a [u32]],
    /// The lists of globals, in the order in which the verifier hands them to `PolyExt::poly_ext`.
    pub globals: &'a [&'a [u32]],
    /// The challenge whose powers mix the constraints.
    pub poly_mix: Ext,
}

impl Constraints {
    fn new(bytecode: &[u8], taps: &'static TapSet<'static>) -> Result<Self, LoadError> {
        let code = Code::decode(bytecode)?;
        if code.roots.len() != COORDINATES {
            return Err(LoadError::Roots { found: code.roots.len(), expected: COORDINATES });
        }
        let coset = Plan::new(&code, taps, 1)?;
        Ok(Self { code, coset, whole: OnceLock::new(), taps })
    }

    /// Evaluates the check polynomial in every row of the domain, into the four planes of `check`, on all threads of the
    /// current rayon pool.
    ///
    /// # Panics
    ///
    /// When the shapes disagree: `check` must have 4 planes of the domain's rows, each group the taps' columns, and the
    /// globals what the constraints refer to.
    pub fn eval_check(&self, check: &mut [u32], evaluation: &Evaluation<'_>) {
        let Evaluation { isa, domain, groups, globals, .. } = *evaluation;
        let rows = evaluation.rows();
        assert_eq!(check.len(), COORDINATES * rows, "words of the check polynomial's planes");
        assert_eq!(groups.len(), self.taps.num_groups(), "groups of columns");
        for (index, group) in groups.iter().enumerate() {
            assert_eq!(group.len(), self.taps.group_size(index) * rows, "words of group {index}");
        }
        let plan = match domain {
            Domain::Coset(_) => &self.coset,
            Domain::Whole => self.whole.get_or_init(|| {
                Plan::new(&self.code, self.taps, INV_RATE).expect(
                    "how far apart rows are does not make a difference to what is referred to",
                )
            }),
        };
        let weights = weights(&self.code.weights, evaluation.poly_mix);
        let inverses = evaluation.vanishing_inverses();

        let (low, high) = check.split_at_mut(2 * rows);
        let ((first, second), (third, fourth)) = (low.split_at_mut(rows), high.split_at_mut(rows));
        (
            first.par_chunks_mut(CHUNK_ROWS),
            second.par_chunks_mut(CHUNK_ROWS),
            third.par_chunks_mut(CHUNK_ROWS),
            fourth.par_chunks_mut(CHUNK_ROWS),
        )
            .into_par_iter()
            .enumerate()
            .for_each_init(
                || plan.slab(globals, &inverses),
                |slab, (at, (first, second, third, fourth))| {
                    let start = at * CHUNK_ROWS;
                    let check = [first, second, third, fourth];
                    let weights = &weights;
                    dispatch(isa, Blocks { plan, slab, groups, rows, weights, start, check });
                },
            );
    }
}

impl Evaluation<'_> {
    /// How many rows the domain has.
    fn rows(&self) -> usize {
        match self.domain {
            Domain::Coset(_) => 1 << self.po2,
            Domain::Whole => INV_RATE << self.po2,
        }
    }

    /// 1 / (x^n - 1), which repeats after as many rows as are returned.
    fn vanishing_inverses(&self) -> Vec<u32> {
        let root = Elem::ROU_FWD[log2_ceil(INV_RATE)];
        let inverse = |coset: usize| {
            let vanishing = SHIFT.pow(1 << self.po2) * root.pow(coset) - Elem::ONE;
            vanishing.inv().as_u32_montgomery()
        };
        match self.domain {
            Domain::Coset(coset) => vec![inverse(coset)],
            Domain::Whole => (0..INV_RATE).map(inverse).collect(),
        }
    }
}

/// The coordinates of `weights` for a challenge.
fn weights(weights: &[Weight], challenge: Ext) -> Vec<[u32; COORDINATES]> {
    let exponents = weights.iter().flatten().map(|(_, power)| power.exponent);
    let top = exponents.max().unwrap_or(0) as usize;
    let powers: Vec<Ext> = std::iter::successors(Some(Ext::ONE), |power| Some(*power * challenge))
        .take(top + 1)
        .collect();
    let x = Ext::new(Elem::ZERO, Elem::ONE, Elem::ZERO, Elem::ZERO);
    let coordinates = |weight: &Weight| {
        let mut sum = Ext::ZERO;
        for (factor, power) in weight {
            let power = powers[power.exponent as usize] * x.pow(power.coordinate as usize);
            sum += power * Elem::new(*factor);
        }
        let mut words = [0; COORDINATES];
        for (word, element) in words.iter_mut().zip(sum.elems()) {
            *word = element.as_u32_montgomery();
        }
        words
    };
    weights.iter().map(coordinates).collect()
}
