//! The layers that join blocks: a strip one cache line wide across all rows at a time.
//!
//! Rows are a power of two of at least 16 KiB apart, so all of a strip's lines compete for the same few
//! places of a cache. Each line is therefore read from the column once and written once; between the
//! first and the last step the strip is in a buffer of its own. An evaluation reads its blocks from a scratch
//! with a stride that spreads them, and writes lines whole and past the caches: the domain of a proof is larger than
//! any, and to write a line otherwise is to fetch it first.

use super::plan::{LOG_ROWS_MAX, Stage, TILE_WIDTH};
use super::radix::{LOG_RADIX_MAX, Twiddles, radix, step_layers, unrolled};
use crate::vector::{Factors, Kernel, Vector};

/// Bytes of a cache line.
pub(super) const LINE_BYTES: usize = 64;

const _: () = assert!(TILE_WIDTH * size_of::<u32>() == LINE_BYTES);

const BUFFER_WORDS: usize = TILE_WIDTH << LOG_ROWS_MAX;

#[repr(align(64))]
struct Buffer([u32; BUFFER_WORDS]);

/// Runs `stage` over all of `column`, in place.
#[inline(always)]
pub(super) fn run<V: Vector, const FORWARD: bool>(column: &mut [u32], stage: &Stage) {
    let size = stage.stride << stage.log_rows;
    for column in column.chunks_exact_mut(size) {
        run_strips::<V, FORWARD>(None, column, stage, false);
    }
}

/// Runs `stage`, forward, over the blocks in `scratch`, which are [`scratch_stride`] apart, into `column`,
/// which is written past the caches if `streaming`.
#[inline(always)]
pub(super) fn run_from<V: Vector>(
    scratch: &[u32],
    column: &mut [u32],
    stage: &Stage,
    streaming: bool,
) {
    // Rows are whole lines: if one begins on a border, all do.
    let streaming = streaming && column.as_ptr().addr().is_multiple_of(LINE_BYTES);
    run_strips::<V, true>(Some(scratch), column, stage, streaming);
    V::fence();
}

/// Words from a row of a scratch to the next: a cache line more than a row, so that the lines of a strip
/// lie in different places of a cache.
#[inline(always)]
pub(super) fn scratch_stride(stage: &Stage) -> usize {
    stage.stride + TILE_WIDTH
}

#[inline(always)]
fn run_strips<V: Vector, const FORWARD: bool>(
    scratch: Option<&[u32]>,
    column: &mut [u32],
    stage: &Stage,
    streaming: bool,
) {
    let Workspace { mut strip, mut factors } = Workspace::default();
    factors.0[..stage.first.len()].copy_from_slice(&stage.first);
    // Past the caches, lines must be written whole, one after the other.
    let copies = streaming && V::LANES < TILE_WIDTH;
    for at in (0..stage.stride).step_by(TILE_WIDTH) {
        let mut tile = Tile {
            scratch,
            column,
            streaming,
            at,
            strip: &mut strip.0,
            factors: &mut factors.0,
            stage,
        };
        let end = if copies { Place::Strip } else { Place::Column };
        V::apart(Layers::<FORWARD> { tile: &mut tile, end });
        if copies {
            tile.copy_out::<V>();
        }
    }
}

/// What a strip is computed in.
pub(super) struct Workspace {
    strip: Buffer,
    factors: Buffer,
}

impl Default for Workspace {
    #[inline(always)]
    fn default() -> Self {
        Self { strip: Buffer([0; BUFFER_WORDS]), factors: Buffer([0; BUFFER_WORDS]) }
    }
}

impl Workspace {
    /// Runs `stage`, forward, over the strip at `at` of the blocks in `scratch`, which are [`scratch_stride`] apart;
    /// the strip's rows, one after the other. `factors` are [`Stage::factors_at`] there.
    #[inline(always)]
    pub(super) fn strip<V: Vector>(
        &mut self,
        scratch: &[u32],
        stage: &Stage,
        at: usize,
        factors: &[u32],
    ) -> &[u32] {
        self.factors.0[..factors.len()].copy_from_slice(factors);
        let mut tile = Tile {
            scratch: Some(scratch),
            column: &mut [],
            streaming: false,
            at,
            strip: &mut self.strip.0,
            factors: &mut self.factors.0,
            stage,
        };
        V::apart(Layers::<true> { tile: &mut tile, end: Place::Strip });
        &self.strip.0[..TILE_WIDTH << stage.log_rows]
    }
}

/// Where a step finds the strip's rows, or leaves them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Column,
    Strip,
}

struct Tile<'a> {
    /// Where the column's rows are read, if not from the column itself.
    scratch: Option<&'a [u32]>,
    column: &'a mut [u32],
    /// Whether the column is written past the caches. Its rows then begin on a line's border.
    streaming: bool,
    /// Where the strip begins in each row.
    at: usize,
    strip: &'a mut [u32; BUFFER_WORDS],
    /// What the rows of this strip are multiplied with. Left ready for the next strip.
    factors: &'a mut [u32; BUFFER_WORDS],
    stage: &'a Stage,
}

/// All layers of a strip's stage, from the column to `end`.
struct Layers<'t, 'a, const FORWARD: bool> {
    tile: &'t mut Tile<'a>,
    end: Place,
}

impl<const FORWARD: bool> Kernel for Layers<'_, '_, FORWARD> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { tile, end } = self;
        // Two at least: the first and the last differ in where they read and write.
        let log_rows = tile.stage.log_rows;
        let steps = log_rows.div_ceil(LOG_RADIX_MAX).max(2);
        let mut done = 0;
        for step in 0..steps {
            let layers = step_layers(log_rows, steps, step);
            let below = if FORWARD { done } else { log_rows - done - layers };
            let from = if step == 0 { Place::Column } else { Place::Strip };
            let to = if step + 1 == steps { end } else { Place::Strip };
            done += layers;
            match layers {
                0 => tile.step::<V, 1, FORWARD>(below, from, to),
                1 => tile.step::<V, 2, FORWARD>(below, from, to),
                2 => tile.step::<V, 4, FORWARD>(below, from, to),
                3 => tile.step::<V, 8, FORWARD>(below, from, to),
                _ => tile.step::<V, 16, FORWARD>(below, from, to),
            }
        }
    }
}

impl Tile<'_> {
    /// `RADIX.ilog2()` layers, above the first `below`.
    #[inline(always)]
    fn step<V: Vector, const RADIX: usize, const FORWARD: bool>(
        &mut self,
        below: u32,
        from: Place,
        to: Place,
    ) {
        if below == 0 {
            self.groups::<V, RADIX, FORWARD, true>(below, from, to);
        } else {
            self.groups::<V, RADIX, FORWARD, false>(below, from, to);
        }
    }

    #[inline(always)]
    fn groups<V: Vector, const RADIX: usize, const FORWARD: bool, const LOWEST: bool>(
        &mut self,
        below: u32,
        from: Place,
        to: Place,
    ) {
        let layers = RADIX.trailing_zeros();
        for group in 0..1_usize << (self.stage.log_rows - layers) {
            let low = group & ((1 << below) - 1);
            let row = (group >> below << (below + layers)) | low;
            let twiddles = Constants::<LOWEST> { roots: &self.stage.roots, below, low };
            for lane in (0..TILE_WIDTH).step_by(V::LANES) {
                let mut x = self.load::<V, RADIX>(row, below, lane, from);
                if FORWARD && from == Place::Column {
                    self.twist(&mut x, row, below, lane);
                }
                radix::<V, _, RADIX, FORWARD>(&mut x, &twiddles);
                if !FORWARD && to == Place::Column {
                    self.twist(&mut x, row, below, lane);
                }
                self.store(&x, row, below, lane, to);
            }
        }
    }

    #[inline(always)]
    fn load<V: Vector, const RADIX: usize>(
        &self,
        row: usize,
        below: u32,
        lane: usize,
        from: Place,
    ) -> [V; RADIX] {
        let (words, start, stride): (&[u32], _, _) = match from {
            Place::Column => match self.scratch {
                Some(scratch) => (scratch, self.at, scratch_stride(self.stage)),
                None => (self.column, self.at, self.stage.stride),
            },
            Place::Strip => (self.strip, 0, TILE_WIDTH),
        };
        let mut x = [V::splat(0); RADIX];
        let at = |index: usize| start + (row + (index << below)) * stride + lane;
        unrolled!(RADIX, index => x[index] = V::read(words, at(index)));
        x
    }

    #[inline(always)]
    fn store<V: Vector, const RADIX: usize>(
        &mut self,
        x: &[V; RADIX],
        row: usize,
        below: u32,
        lane: usize,
        to: Place,
    ) {
        let (words, start, stride): (&mut [u32], _, _) = match to {
            Place::Column => (self.column, self.at, self.stage.stride),
            Place::Strip => (self.strip, 0, TILE_WIDTH),
        };
        let at = |index: usize| start + (row + (index << below)) * stride + lane;
        if self.streaming && to == Place::Column {
            unrolled!(RADIX, index => stream(x[index], words, at(index)));
        } else {
            unrolled!(RADIX, index => x[index].write(words, at(index)));
        }
    }

    /// Writes the strip into the column, past the caches.
    #[inline(always)]
    fn copy_out<V: Vector>(&mut self) {
        for (row, line) in
            self.strip.chunks_exact(TILE_WIDTH).enumerate().take(1 << self.stage.log_rows)
        {
            for lane in (0..TILE_WIDTH).step_by(V::LANES) {
                stream(V::read(line, lane), self.column, row * self.stage.stride + self.at + lane);
            }
        }
    }

    /// Multiplies each row with its factors, and moves these on to the next strip.
    #[inline(always)]
    fn twist<V: Vector, const RADIX: usize>(
        &mut self,
        x: &mut [V; RADIX],
        row: usize,
        below: u32,
        lane: usize,
    ) {
        unrolled!(RADIX, index => {
            let row = row + (index << below);
            let at = row * TILE_WIDTH + lane;
            let factor = V::read(self.factors, at);
            x[index] = x[index].mul(factor);
            factor.times(V::factor(&self.stage.step, row)).write(self.factors, at)
        });
    }
}

/// Writes `x` to `words[at..]`, past the caches. Only within [`run_from`], which fences.
#[inline(always)]
fn stream<V: Vector>(x: V, words: &mut [u32], at: usize) {
    let words = &mut words[at..at + V::LANES];
    assert!(words.as_ptr().addr().is_multiple_of(size_of_val(words)), "lanes must be aligned");
    // SAFETY: these are LANES words, aligned to as many; `run_from` fences before it returns, and nothing
    // until then tells another thread of them.
    #[allow(unsafe_code)]
    unsafe {
        x.stream(words.as_mut_ptr());
    }
}

/// Factors that do not depend on the position in the row. `LOWEST` says that no layer is below, where the
/// first factor of each layer is one.
struct Constants<'a, const LOWEST: bool> {
    roots: &'a Factors,
    below: u32,
    low: usize,
}

impl<V: Vector, const LOWEST: bool> Twiddles<V> for Constants<'_, LOWEST> {
    #[inline(always)]
    fn get(&self, layer: usize, index: usize) -> Option<V::Factor> {
        if LOWEST {
            (index != 0).then(|| V::factor(self.roots, (1 << layer) + index))
        } else {
            Some(V::factor(self.roots, (((1 << layer) + index) << self.below) + self.low))
        }
    }
}
