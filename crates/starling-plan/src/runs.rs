//! Which neighbouring pair to join next, in O(log n) for each change.
//!
//! A *run* is a maximal sequence of available pieces in which each begins where the one before ends. In a
//! run of k pieces, ⌊k/2⌋ joins can go on at once, provided that no join leaves an odd number of pieces
//! on both of its sides:
//!
//! - k even: the pair must begin at an even offset of the run, so that both sides are even;
//! - k odd: any pair will do, since one side is even and the other odd.
//!
//! Among those pairs the one with the fewest segments wins, ties to the left: small receipts first keeps
//! the tree balanced.
//!
//! The rule is exact and no run is ever rescanned: a segment tree over the starts of pieces summarizes
//! every stretch of the job by its first run, its last run and the best pair of the runs in between. A
//! run's own summary keeps its best pair for either parity of offset, so that two stretches combine in
//! O(1) whatever came before them.

use std::collections::BTreeMap;

/// Two neighbouring pieces; ordered by how good it is to join them, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    /// Segments in both pieces together.
    pub(crate) segment_count: u32,
    /// Where the left piece starts.
    pub(crate) start: u32,
}

/// A run, or the part of it that lies in one stretch.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    /// Whether the run has an odd number of pieces.
    is_odd: bool,
    first_piece_segment_count: u32,
    last_piece_segment_count: u32,
    /// The best pair among those at even offsets, and among those at odd offsets.
    best: [Option<Pair>; 2],
}

impl Run {
    fn of_piece(start: u32, end: u32) -> Self {
        let segment_count = end - start;
        Self {
            start,
            end,
            is_odd: true,
            first_piece_segment_count: segment_count,
            last_piece_segment_count: segment_count,
            best: [None; 2],
        }
    }

    /// `self` continued by `right`, which begins where `self` ends.
    fn continued(self, right: Self) -> Self {
        let bridge = Pair {
            segment_count: self.last_piece_segment_count + right.first_piece_segment_count,
            start: self.end - self.last_piece_segment_count,
        };
        // The bridge begins at the last piece of `self`: an even offset when `self` is odd.
        let bridge_parity = usize::from(!self.is_odd);
        let best = [0, 1].map(|parity| {
            let of_bridge = (parity == bridge_parity).then_some(bridge);
            let of_right = right.best[parity ^ usize::from(self.is_odd)];
            best_of([self.best[parity], of_right, of_bridge])
        });
        Self {
            start: self.start,
            end: right.end,
            is_odd: self.is_odd ^ right.is_odd,
            first_piece_segment_count: self.first_piece_segment_count,
            last_piece_segment_count: right.last_piece_segment_count,
            best,
        }
    }

    /// The best pair of the run, given that it extends no further on either side.
    fn best_pair(self) -> Option<Pair> {
        let [even, odd] = self.best;
        if self.is_odd { best_of([even, odd]) } else { even }
    }
}

fn best_of<const N: usize>(pairs: [Option<Pair>; N]) -> Option<Pair> {
    pairs.into_iter().flatten().min()
}

/// All that matters of a stretch of the job to its surroundings.
#[derive(Debug, Clone, Copy)]
enum Stretch {
    Empty,
    OneRun(Run),
    /// At least two runs; `inner_best` is the best pair of those between the first and the last.
    Runs {
        first: Run,
        inner_best: Option<Pair>,
        last: Run,
    },
}

impl Stretch {
    fn then(self, right: Self) -> Self {
        let (left_first, left_best, left_last) = match self {
            Self::Empty => return right,
            Self::OneRun(run) => (None, None, run),
            Self::Runs { first, inner_best, last } => (Some(first), inner_best, last),
        };
        let (right_first, right_best, right_last) = match right {
            Self::Empty => return self,
            Self::OneRun(run) => (run, None, None),
            Self::Runs { first, inner_best, last } => (first, inner_best, Some(last)),
        };
        if left_last.end != right_first.start {
            // Two runs meet at a gap: each that has another run on its far side is complete.
            let left_closed = left_first.and_then(|_| left_last.best_pair());
            let right_closed = right_last.and_then(|_| right_first.best_pair());
            return Self::Runs {
                first: left_first.unwrap_or(left_last),
                inner_best: best_of([left_best, right_best, left_closed, right_closed]),
                last: right_last.unwrap_or(right_first),
            };
        }
        let bridge = left_last.continued(right_first);
        match (left_first, right_last) {
            (None, None) => Self::OneRun(bridge),
            (Some(first), None) => Self::Runs { first, inner_best: left_best, last: bridge },
            (None, Some(last)) => Self::Runs { first: bridge, inner_best: right_best, last },
            (Some(first), Some(last)) => Self::Runs {
                first,
                inner_best: best_of([left_best, right_best, bridge.best_pair()]),
                last,
            },
        }
    }

    fn best_pair(self) -> Option<Pair> {
        match self {
            Self::Empty => None,
            Self::OneRun(run) => run.best_pair(),
            Self::Runs { first, inner_best, last } => {
                best_of([first.best_pair(), inner_best, last.best_pair()])
            }
        }
    }
}

/// The runs of a job's available pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// A complete binary tree: node 1 is the root, node i has the children 2i and 2i + 1, and the last
    /// half are the leaves, one for each segment at which a piece could start. Empty before the first piece.
    nodes: Vec<Stretch>,
}

impl Runs {
    /// Makes the piece `start..end` available. No available piece overlaps it.
    pub(crate) fn insert(&mut self, start: u32, end: u32) {
        let index = start as usize;
        if index >= self.leaf_count() {
            self.grow(index + 1);
        }
        self.set(index, Stretch::OneRun(Run::of_piece(start, end)));
    }

    /// Makes the piece that starts at `start` unavailable.
    pub(crate) fn remove(&mut self, start: u32) {
        let index = start as usize;
        if index < self.leaf_count() {
            self.set(index, Stretch::Empty);
        }
    }

    /// The runs as they would be if some pieces were not there: none yet.
    pub(crate) fn without(&self) -> Without<'_> {
        Without { runs: self, changed: BTreeMap::new() }
    }

    fn leaf_count(&self) -> usize {
        self.nodes.len() / 2
    }

    fn set(&mut self, leaf: usize, stretch: Stretch) {
        let mut node = self.leaf_count() + leaf;
        self.nodes[node] = stretch;
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].then(self.nodes[2 * node + 1]);
        }
    }

    /// Makes room for `leaf_count` leaves: at least twice as many as before, so that growing is O(1) for
    /// each leaf in the long run.
    fn grow(&mut self, leaf_count: usize) {
        let leaf_count = leaf_count.next_power_of_two();
        let mut nodes = vec![Stretch::Empty; 2 * leaf_count];
        let leaves = &self.nodes[self.leaf_count()..];
        nodes[leaf_count..leaf_count + leaves.len()].copy_from_slice(leaves);
        for node in (1..leaf_count).rev() {
            nodes[node] = nodes[2 * node].then(nodes[2 * node + 1]);
        }
        self.nodes = nodes;
    }
}

/// Runs of which some pieces are taken, beside those as they are: only what stands above these is copied.
#[derive(Debug)]
pub(crate) struct Without<'a> {
    runs: &'a Runs,
    changed: BTreeMap<usize, Stretch>,
}

impl Without<'_> {
    /// The pair to join next.
    pub(crate) fn best_pair(&self) -> Option<Pair> {
        (self.runs.leaf_count() > 0).then(|| self.stretch(1).best_pair())?
    }

    /// Takes the piece that starts at `start`. O(log n), whatever was taken before.
    pub(crate) fn take(&mut self, start: u32) {
        let mut node = self.runs.leaf_count() + start as usize;
        self.changed.insert(node, Stretch::Empty);
        while node > 1 {
            node /= 2;
            self.changed.insert(node, self.stretch(2 * node).then(self.stretch(2 * node + 1)));
        }
    }

    fn stretch(&self, node: usize) -> Stretch {
        self.changed.get(&node).copied().unwrap_or_else(|| self.runs.nodes[node])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule as the module header states it, by scanning everything.
    fn best_pair_by_scan(pieces: &BTreeMap<u32, u32>) -> Option<Pair> {
        let mut runs: Vec<Vec<(u32, u32)>> = Vec::new();
        for (&start, &end) in pieces {
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|piece| piece.1 == start) => {
                    run.push((start, end));
                }
                _ => runs.push(vec![(start, end)]),
            }
        }
        let pairs = runs.iter().flat_map(|run| {
            let step = if run.len() % 2 == 0 { 2 } else { 1 };
            run.windows(2).step_by(step)
        });
        pairs.map(|pair| Pair { segment_count: pair[1].1 - pair[0].0, start: pair[0].0 }).min()
    }

    proptest! {
        #[test]
        fn the_tree_finds_the_pair_that_a_scan_finds(
            cuts in proptest::collection::vec(1u32..4, 1..60),
            toggles in proptest::collection::vec(any::<prop::sample::Index>(), 1..200),
        ) {
            let mut start = 0;
            let all: Vec<(u32, u32)> = cuts.iter().map(|length| {
                let piece = (start, start + length);
                start = piece.1;
                piece
            }).collect();
            let mut pieces = BTreeMap::new();
            let mut runs = Runs::default();
            for toggle in toggles {
                let &(start, end) = toggle.get(&all);
                if pieces.remove(&start).is_some() {
                    runs.remove(start);
                } else {
                    pieces.insert(start, end);
                    runs.insert(start, end);
                }
                prop_assert_eq!(runs.without().best_pair(), best_pair_by_scan(&pieces));
            }
        }
    }
}
