//! The receipts that are accepted and in no running join: what the next joins are made of.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use starling_types::{BlobRef, IndexRange};

use crate::{
    lengths::{Lengths, Stretch},
    runs::Runs,
};

/// An accepted receipt and the segments that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) range: IndexRange,
    pub(crate) blob: BlobRef,
}

/// Disjoint pieces in order.
#[derive(Debug, Clone)]
pub(crate) struct Frontier {
    pieces: BTreeMap<u32, Piece>,
    rule: Rule,
}

/// Which pieces are merged next.
#[derive(Debug, Clone)]
enum Rule {
    /// The pair that [`crate::runs`] names.
    Pairs(Runs),
    /// As many neighbours as there are, up to `width`, of a longest run.
    Groups { width: u32, runs: Lengths },
}

impl Frontier {
    pub(crate) fn of_pairs() -> Self {
        Self { pieces: BTreeMap::new(), rule: Rule::Pairs(Runs::default()) }
    }

    /// Of groups of at least two and at most `width`.
    pub(crate) fn of_groups(width: u32) -> Self {
        let rule = Rule::Groups { width: width.max(2), runs: Lengths::default() };
        Self { pieces: BTreeMap::new(), rule }
    }

    /// Adds a piece. Nothing in the frontier overlaps it.
    pub(crate) fn insert(&mut self, piece: Piece) {
        match &mut self.rule {
            Rule::Pairs(runs) => runs.insert(piece.range.start(), piece.range.end()),
            Rule::Groups { runs, .. } => runs.insert(piece.range),
        }
        self.pieces.insert(piece.range.start(), piece);
    }

    /// Takes the piece that starts at `start`.
    pub(crate) fn remove(&mut self, start: u32) -> Option<Piece> {
        let piece = self.pieces.remove(&start)?;
        match &mut self.rule {
            Rule::Pairs(runs) => runs.remove(start),
            Rule::Groups { runs, .. } => {
                let pieces = &self.pieces;
                runs.remove(piece.range, |part| {
                    pieces.range(part.start()..part.end()).count() as u32
                });
            }
        }
        Some(piece)
    }

    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        match &mut self.rule {
            Rule::Pairs(runs) => *runs = Runs::default(),
            Rule::Groups { runs, .. } => *runs = Lengths::default(),
        }
    }

    /// The ranges of the pieces to merge next: each as if those before it had been taken out.
    pub(crate) fn groups(&self) -> impl Iterator<Item = IndexRange> + '_ {
        let (pairs, wide) = match &self.rule {
            Rule::Pairs(runs) => (Some(self.pairs_of(runs)), None),
            Rule::Groups { width, runs } => (None, Some(self.groups_of(*width, runs))),
        };
        pairs.into_iter().flatten().chain(wide.into_iter().flatten())
    }

    fn pairs_of<'a>(&'a self, runs: &'a Runs) -> impl Iterator<Item = IndexRange> + 'a {
        let mut left = runs.without();
        std::iter::from_fn(move || {
            let pair = left.best_pair()?;
            let range = IndexRange::new(pair.start, pair.start + pair.segment_count)?;
            self.starts_in(range).for_each(|start| left.take(start));
            Some(range)
        })
    }

    fn groups_of<'a>(
        &'a self,
        width: u32,
        runs: &'a Lengths,
    ) -> impl Iterator<Item = IndexRange> + 'a {
        let mut whole = runs.longest_first().peekable();
        // What is left of runs of which the front is taken.
        let mut rests = BTreeSet::new();
        std::iter::from_fn(move || {
            let rest_is_longer = match (rests.first(), whole.peek()) {
                (Some(rest), Some(run)) => rest < run,
                (rest, _) => rest.is_some(),
            };
            let run = if rest_is_longer { rests.pop_first() } else { whole.next() };
            let Stretch { piece_count: Reverse(count), start, end } = run?;
            let rest = self.starts_in(IndexRange::new(start, end)?).nth(width as usize);
            if let Some(rest) = rest.filter(|_| count - width > 1) {
                rests.insert(Stretch { piece_count: Reverse(count - width), start: rest, end });
            }
            IndexRange::new(start, rest.unwrap_or(end))
        })
    }

    fn starts_in(&self, range: IndexRange) -> impl Iterator<Item = u32> + '_ {
        self.pieces.range(range.start()..range.end()).map(|(start, _)| *start)
    }

    fn width(&self) -> usize {
        match &self.rule {
            Rule::Pairs(_) => 2,
            Rule::Groups { width, .. } => *width as usize,
        }
    }

    /// The pieces that cover `range` and nothing else, if there are at least two such and no more than are merged at
    /// once.
    pub(crate) fn group(&self, range: IndexRange) -> Option<Vec<Piece>> {
        let mut group = Vec::new();
        let mut next = range.start();
        while next < range.end() && group.len() < self.width() {
            let piece = *self.pieces.get(&next)?;
            next = piece.range.end();
            group.push(piece);
        }
        (next == range.end() && group.len() > 1).then_some(group)
    }

    /// The piece that covers `range` and nothing else, if there is one.
    pub(crate) fn exactly(&self, range: IndexRange) -> Option<Piece> {
        self.pieces.get(&range.start()).copied().filter(|piece| piece.range == range)
    }

    /// The pieces that have a segment in common with `range`, in order.
    pub(crate) fn overlapping(&self, range: IndexRange) -> impl Iterator<Item = Piece> + '_ {
        let before = self.pieces.range(..range.start()).next_back().map(|(_, piece)| *piece);
        let reaching_in = before.filter(|piece| piece.range.end() > range.start());
        let inside = self.pieces.range(range.start()..range.end()).map(|(_, piece)| *piece);
        reaching_in.into_iter().chain(inside)
    }

    /// All pieces in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Piece> + '_ {
        self.pieces.values().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use starling_types::Reference;

    use super::*;

    proptest! {
        #[test]
        fn what_is_merged_next_is_best_once_all_before_it_is_taken(
            cuts in proptest::collection::vec((1u32..4, any::<bool>()), 1..60),
            width in 2u32..6,
        ) {
            for mut frontier in [Frontier::of_pairs(), Frontier::of_groups(width)] {
                let mut start = 0;
                for (length, is_there) in &cuts {
                    let range = IndexRange::new(start, start + length).expect("no piece is empty");
                    let blob = BlobRef { reference: Reference([0; 32]), size_bytes: 1 };
                    if *is_there {
                        frontier.insert(Piece { range, blob });
                    }
                    start += length;
                }
                let all: Vec<IndexRange> = frontier.groups().collect();
                for range in all {
                    prop_assert_eq!(frontier.groups().next(), Some(range));
                    for piece in frontier.group(range).expect("they stand side by side") {
                        frontier.remove(piece.range.start());
                    }
                }
                prop_assert_eq!(frontier.groups().next(), None);
            }
        }
    }
}
