//! The twiddle factors of a transform, computed once for each kind and size and kept.
//!
//! A transform of 2^m points on the coset `s * w^i` has layers of 2^n points, n = 1..=m, whose twiddle
//! factors are `w_n^i * s^(2^(m-n))`. The shift by `s` therefore costs nothing: it is in the tables. The
//! layers of a *block* have theirs written out, a vector's worth at a time. The layers of a *stage*,
//! which joins blocks, factor them: with `r` the row, `p` the position in the block,
//! `(w_n^p * s')^bit_reverse(r)` is multiplied once for all layers, and what is left of each layer is a
//! constant. The first factor runs along with `p`, so that a table of 2^m words never crosses the cache.

use std::sync::OnceLock;

use risc0_core::field::baby_bear::BabyBearElem as Elem;
use risc0_core::field::{Elem as _, RootsOfUnity};

use super::{Points, ZK_SHIFT};
use crate::vector::Factors;

/// The largest transform there is a root of unity for.
pub(super) const LOG_SIZE_MAX: u32 = 27;

/// Words of a block: 16 KiB, half of the smallest first-level cache around, since the twiddle factors
/// of its layers are as many.
const LOG_BLOCK_MAX: u32 = 12;

/// Rows of a stage: a tile of 2^8 rows is 16 KiB, and its running factors are as many.
pub(super) const LOG_ROWS_MAX: u32 = 8;

/// Words of a tile's row: a cache line, and the widest vector.
pub(super) const TILE_WIDTH: usize = 16;

/// Layers whose butterflies can lie inside a vector of 16 lanes.
const LANE_LAYERS: usize = 4;

/// The expansion whose cosets [`Points::Coset`] names.
const COSETS: usize = 4;

/// Which transform a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// From coefficients to evaluations.
    Evaluate,
    /// The same at the coset of the domain four times as large that this number, below four, says.
    EvaluateCoset(usize),
    /// The same at a third of each point, which gives `f` from the coefficients of `f(3x)`.
    EvaluateUnshift,
    /// From evaluations to coefficients.
    Interpolate,
    /// The same, to the coefficients of `f(3x)`.
    InterpolateShift,
    /// From evaluations at that coset.
    InterpolateCoset(usize),
}

/// How many kinds there are.
const KINDS: usize = 4 + 2 * COSETS;

impl Kind {
    /// From coefficients to values at `points`.
    pub(super) fn evaluation(points: Points) -> Self {
        match points {
            Points::Trace => Kind::EvaluateUnshift,
            Points::Coset(0) => Kind::Evaluate,
            Points::Coset(coset) => Kind::EvaluateCoset(checked(coset)),
        }
    }

    /// From values at `points` to coefficients.
    pub(super) fn interpolation(points: Points) -> Self {
        match points {
            Points::Trace => Kind::InterpolateShift,
            Points::Coset(0) => Kind::Interpolate,
            Points::Coset(coset) => Kind::InterpolateCoset(checked(coset)),
        }
    }

    fn index(self) -> usize {
        match self {
            Kind::Evaluate => 0,
            Kind::EvaluateUnshift => 1,
            Kind::Interpolate => 2,
            Kind::InterpolateShift => 3,
            Kind::EvaluateCoset(coset) => 4 + coset,
            Kind::InterpolateCoset(coset) => 4 + COSETS + coset,
        }
    }
}

fn checked(coset: usize) -> usize {
    assert!(coset < COSETS, "coset {coset}: there are {COSETS}");
    coset
}

/// The tables of one transform.
#[derive(Debug)]
pub(super) struct Plan {
    log_block: u32,
    /// For each layer of a block, with `half` the distance of its butterflies: from `half` on, `half` factors.
    layers: Factors,
    /// The layers of 2, 4, 8 and 16 points, repeated to fill the widest vector.
    lanes: [Factors; LANE_LAYERS],
    /// From the blocks upwards.
    stages: Vec<Stage>,
    /// What every coefficient is multiplied with, where no stage does it already.
    scale: Option<u32>,
}

/// Up to eight layers that join blocks of `stride` words, which are the rows here.
#[derive(Debug)]
pub(super) struct Stage {
    /// Distance of a row from the next.
    pub(super) stride: usize,
    pub(super) log_rows: u32,
    /// The constants of each layer, as in [`Plan::layers`] but over rows.
    pub(super) roots: Factors,
    /// Each row's factors for the first tile.
    pub(super) first: Vec<u32>,
    /// What each row's factors are multiplied with from a tile to the next.
    pub(super) step: Factors,
}

impl Plan {
    /// The plan for `1 << log_size` points.
    pub(super) fn get(kind: Kind, log_size: u32) -> &'static Plan {
        static PLANS: [[OnceLock<Plan>; LOG_SIZE_MAX as usize + 1]; KINDS] =
            [const { [const { OnceLock::new() }; LOG_SIZE_MAX as usize + 1] }; KINDS];
        assert!(log_size <= LOG_SIZE_MAX, "a transform of 2^{log_size}: at most 2^{LOG_SIZE_MAX}");
        PLANS[kind.index()][log_size as usize].get_or_init(|| Plan::new(kind, log_size))
    }

    fn new(kind: Kind, log_size: u32) -> Self {
        let start =
            |coset, roots: &[Elem]| roots[log_size as usize + COSETS.ilog2() as usize].pow(coset);
        let shift = match kind {
            Kind::Evaluate | Kind::Interpolate => Elem::ONE,
            Kind::EvaluateCoset(coset) => start(coset, Elem::ROU_FWD),
            Kind::InterpolateCoset(coset) => start(coset, Elem::ROU_REV),
            Kind::InterpolateShift => Elem::new(ZK_SHIFT),
            Kind::EvaluateUnshift => Elem::new(ZK_SHIFT).inv(),
        };
        match kind {
            Kind::Evaluate | Kind::EvaluateCoset(_) | Kind::EvaluateUnshift => {
                Self::with(log_size, Elem::ROU_FWD, shift, None)
            }
            Kind::Interpolate | Kind::InterpolateShift | Kind::InterpolateCoset(_) => {
                let size_inverse = Elem::from_u64(1 << log_size).inv();
                Self::with(log_size, Elem::ROU_REV, shift, Some(size_inverse))
            }
        }
    }

    fn with(log_size: u32, roots: &[Elem], shift: Elem, scale: Option<Elem>) -> Self {
        // The factor that the shift puts on layers of 2^log points.
        let shift_at = |log: u32| shift.pow(1 << (log_size - log));

        let log_block = log_size.min(LOG_BLOCK_MAX);
        let mut layers = vec![0; 1 << log_block];
        for log in 1..=log_block {
            let half = 1 << (log - 1);
            fill_powers(&mut layers[half..2 * half], roots[log as usize], shift_at(log));
        }
        let lanes = std::array::from_fn(|log| {
            let half = 1 << log;
            let lane = |lane| layers.get(half + lane % half).copied().unwrap_or_default();
            Factors::new((0..TILE_WIDTH).map(lane).collect())
        });

        let mut stages = Vec::new();
        let mut log_stride = log_block;
        while log_stride < log_size {
            let log_rows = (log_size - log_stride).min(LOG_ROWS_MAX);
            let log = log_stride + log_rows;
            let scale = scale.filter(|_| log == log_size).unwrap_or(Elem::ONE);
            stages.push(Stage::new(log_stride, log_rows, roots, shift_at(log), scale));
            log_stride = log;
        }
        let scale = scale.filter(|_| stages.is_empty()).map(|scale| scale.as_u32_montgomery());
        Plan { log_block, layers: Factors::new(layers), lanes, stages, scale }
    }

    #[inline(always)]
    pub(super) fn log_block(&self) -> u32 {
        self.log_block
    }

    #[inline(always)]
    pub(super) fn block_size(&self) -> usize {
        1 << self.log_block
    }

    #[inline(always)]
    pub(super) fn layers(&self) -> &Factors {
        &self.layers
    }

    /// The factors of the layer whose butterflies are `1 << log` apart, by lane.
    #[inline(always)]
    pub(super) fn lanes(&self, log: usize) -> &Factors {
        &self.lanes[log]
    }

    #[inline(always)]
    pub(super) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    #[inline(always)]
    pub(super) fn scale(&self) -> Option<u32> {
        self.scale
    }
}

impl Stage {
    /// Each row's factors for the strip at `at`.
    pub(super) fn factors_at(&self, at: usize) -> Vec<u32> {
        let mut factors = self.first.clone();
        for (row, &step) in factors.chunks_exact_mut(TILE_WIDTH).zip(self.step.words()) {
            let jump = Elem::new_raw(step).pow(at / TILE_WIDTH);
            for word in row {
                *word = (Elem::new_raw(*word) * jump).as_u32_montgomery();
            }
        }
        factors
    }

    fn new(log_stride: u32, log_rows: u32, roots: &[Elem], shift: Elem, scale: Elem) -> Self {
        let rows = 1_usize << log_rows;
        let root = roots[(log_stride + log_rows) as usize];
        let mut constants = vec![0; rows];
        for log in 1..=log_rows {
            let half = 1 << (log - 1);
            fill_powers(&mut constants[half..2 * half], roots[log as usize], Elem::ONE);
        }
        let mut first = vec![0; rows * TILE_WIDTH];
        let mut step = vec![0; rows];
        for (row, (first, step)) in first.chunks_exact_mut(TILE_WIDTH).zip(&mut step).enumerate() {
            let power = row.reverse_bits() >> (usize::BITS - log_rows);
            fill_powers(first, root.pow(power), shift.pow(power) * scale);
            *step = root.pow(power * TILE_WIDTH).as_u32_montgomery();
        }
        let (roots, step) = (Factors::new(constants), Factors::new(step));
        Stage { stride: 1 << log_stride, log_rows, roots, first, step }
    }
}

/// `start`, `start * x`, `start * x^2`, ...
fn fill_powers(words: &mut [u32], x: Elem, start: Elem) {
    let mut power = start;
    for word in words {
        *word = power.as_u32_montgomery();
        power *= x;
    }
}
