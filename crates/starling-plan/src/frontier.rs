//! The receipts that are accepted and in no running join: what the next joins are made of.

use std::collections::BTreeMap;

use starling_types::{BlobRef, IndexRange};

use crate::{lengths::Lengths, runs::Runs};

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

    /// The range of the pieces to merge next.
    pub(crate) fn best(&self) -> Option<IndexRange> {
        match &self.rule {
            Rule::Pairs(runs) => {
                let pair = runs.best_pair()?;
                IndexRange::new(pair.start, pair.start + pair.segment_count)
            }
            Rule::Groups { width, runs } => {
                let start = runs.longest()?;
                let group =
                    self.pieces.range(start..).take(*width as usize).map(|(_, piece)| piece);
                let mut end = start;
                for piece in group.take_while(|piece| runs.holds(start, piece.range)) {
                    end = piece.range.end();
                }
                IndexRange::new(start, end)
            }
        }
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
