//! The receipts that are accepted and in no running join: what the next joins are made of.

use std::collections::BTreeMap;

use starling_types::{BlobRef, IndexRange};

use crate::runs::Runs;

/// An accepted receipt and the segments that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) range: IndexRange,
    pub(crate) blob: BlobRef,
}

/// Disjoint pieces in segment order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frontier {
    pieces: BTreeMap<u32, Piece>,
    runs: Runs,
}

impl Frontier {
    /// Adds a piece. Nothing in the frontier overlaps it.
    pub(crate) fn insert(&mut self, piece: Piece) {
        self.runs.insert(piece.range.start(), piece.range.end());
        self.pieces.insert(piece.range.start(), piece);
    }

    /// Takes the piece that starts at `start`.
    pub(crate) fn remove(&mut self, start: u32) -> Option<Piece> {
        let piece = self.pieces.remove(&start)?;
        self.runs.remove(start);
        Some(piece)
    }

    /// The range of the two pieces to join next; [`crate::runs`] has the rule.
    pub(crate) fn best_pair(&self) -> Option<IndexRange> {
        let pair = self.runs.best_pair()?;
        IndexRange::new(pair.start, pair.start + pair.segment_count)
    }

    /// The two pieces that cover `range` and nothing else, if there are such.
    pub(crate) fn pair(&self, range: IndexRange) -> Option<(Piece, Piece)> {
        let left = *self.pieces.get(&range.start())?;
        let right = *self.pieces.get(&left.range.end())?;
        (right.range.end() == range.end()).then_some((left, right))
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
