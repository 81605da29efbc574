//! Columns at a few points of the domain.
//!
//! A row of the values lies in one strip of the last stage, and a strip needs nothing of the others: a caller that wants few
//! rows computes the blocks, and then the strips that these rows are in. Nothing is written but what is wanted.

use super::plan::{Kind, Plan, Stage, TILE_WIDTH};
use super::{Evaluate, Points, Scratch, block, tile};
use crate::vector::{Isa, Kernel, Vector, dispatch};

/// Where the wanted values of a column come from: a part for each transform.
pub(super) struct Parts(Vec<Part>);

struct Part {
    plan: &'static Plan,
    source: Source,
}

enum Source {
    /// All values, of which these rows are wanted.
    Whole(Vec<Pick>),
    /// The strips of the only stage that have wanted rows.
    Strips(Vec<Strip>),
}

struct Strip {
    /// Where it begins in each row of the stage.
    at: usize,
    /// What its rows are multiplied with.
    factors: Vec<u32>,
    picks: Vec<Pick>,
}

/// One wanted value.
struct Pick {
    /// Where it is.
    from: usize,
    /// Its index among the wanted.
    to: usize,
}

impl Parts {
    /// # Panics
    /// If a row isn't below `rows`.
    pub(super) fn new(rows: usize, wanted: &[(Points, usize)]) -> Self {
        let mut groups: Vec<(Points, Vec<Pick>)> = Vec::new();
        for (to, &(points, from)) in wanted.iter().enumerate() {
            assert!(from < rows, "row {from} of {rows}");
            let at = groups.iter().position(|(known, _)| *known == points).unwrap_or_else(|| {
                groups.push((points, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(Pick { from, to });
        }
        let part = |(points, picks)| {
            let plan = Plan::get(Kind::evaluation(points), rows.trailing_zeros());
            let source = match plan.stages() {
                [stage] => Source::Strips(strips(stage, picks)),
                _ => Source::Whole(picks),
            };
            Part { plan, source }
        };
        Self(groups.into_iter().map(part).collect())
    }
}

fn strips(stage: &Stage, picks: Vec<Pick>) -> Vec<Strip> {
    let mut strips: Vec<Strip> = Vec::new();
    for Pick { from, to } in picks {
        let (row, position) = (from / stage.stride, from % stage.stride);
        let (at, lane) = (position / TILE_WIDTH * TILE_WIDTH, position % TILE_WIDTH);
        let index = strips.iter().position(|strip| strip.at == at).unwrap_or_else(|| {
            strips.push(Strip { at, factors: stage.factors_at(at), picks: Vec::new() });
            strips.len() - 1
        });
        strips[index].picks.push(Pick { from: row * TILE_WIDTH + lane, to });
    }
    strips
}

/// What a thread computes a column's values in.
#[derive(Default)]
pub(super) struct Room {
    scratch: Scratch,
    whole: Vec<u32>,
}

impl Parts {
    /// Writes the wanted values of the column with `coeffs` to `out`.
    pub(super) fn pick(&self, isa: Isa, out: &mut [u32], coeffs: &[u32], room: &mut Room) {
        let Room { scratch, whole } = room;
        for Part { plan, source } in &self.0 {
            match source {
                Source::Whole(picks) => {
                    whole.resize(coeffs.len(), 0);
                    let (coeffs, out_whole) = (Some(coeffs), &mut whole[..]);
                    let (expand_bits, streaming) = (0, false);
                    let evaluate =
                        Evaluate { out: out_whole, coeffs, plan, expand_bits, scratch, streaming };
                    dispatch(isa, evaluate);
                    picks.iter().for_each(|pick| out[pick.to] = whole[pick.from]);
                }
                Source::Strips(strips) => {
                    dispatch(isa, PickStrips { out: &mut *out, coeffs, plan, strips, scratch });
                }
            }
        }
    }
}

struct PickStrips<'a> {
    out: &'a mut [u32],
    coeffs: &'a [u32],
    plan: &'a Plan,
    strips: &'a [Strip],
    scratch: &'a mut Scratch,
}

impl Kernel for PickStrips<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let PickStrips { out, coeffs, plan, strips, scratch } = self;
        let stage = &plan.stages()[0];
        let stride = tile::scratch_stride(stage);
        let words = scratch.words(stride << stage.log_rows);
        let blocks = coeffs.chunks_exact(stage.stride);
        for (row, coeffs) in words.chunks_exact_mut(stride).zip(blocks) {
            let (block, coeffs) = (&mut row[..stage.stride], Some(coeffs));
            V::apart(block::Forward { block, coeffs, plan, expand_bits: 0 });
        }
        let mut workspace = tile::Workspace::default();
        for strip in strips {
            let values = workspace.strip::<V>(words, stage, strip.at, &strip.factors);
            strip.picks.iter().for_each(|pick| out[pick.to] = values[pick.from]);
        }
    }
}
