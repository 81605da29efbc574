//! Which receipts of segments are joined, and which joins run.
//!
//! Accepted receipts only ever merge. So a late join fits either if its two inputs still stand in the
//! frontier side by side, or not at all: no others can cover its range together.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, IndexRange};

use crate::{
    Accepted,
    frontier::{Frontier, Piece},
};

/// The receipts of a job's segments, on their way to one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joins {
    frontier: Frontier,
    /// The joins that run, with their inputs, which are not in the frontier.
    running: BTreeMap<IndexRange, (Piece, Piece)>,
    /// Every range that a join was accepted for, so that a second receipt is told from a useless one.
    accepted: BTreeSet<IndexRange>,
}

impl Joins {
    /// Adds the receipt of a leaf.
    pub(crate) fn add_leaf(&mut self, index: u32, blob: BlobRef) {
        self.frontier.insert(Piece { range: IndexRange::single(index), blob });
    }

    /// The join to start next: of all that leave ⌊k/2⌋ disjoint joins possible in a run of k neighbours,
    /// the one with the fewest segments, ties to the left.
    pub(crate) fn best(&self) -> Option<IndexRange> {
        self.frontier.best_pair()
    }

    /// The left and the right receipt of a join that can be started.
    pub(crate) fn inputs(&self, range: IndexRange) -> Option<(Piece, Piece)> {
        self.frontier.pair(range)
    }

    pub(crate) fn running_count(&self) -> u32 {
        self.running.len() as u32
    }

    pub(crate) fn is_accepted(&self, range: IndexRange) -> bool {
        self.accepted.contains(&range)
    }

    /// How many joins the receipts are made of, given how many leaves are: each join makes one piece of two.
    pub(crate) fn accepted_count(&self, leaves_accepted: u32) -> u32 {
        leaves_accepted - (self.frontier.len() + 2 * self.running.len()) as u32
    }

    /// Whether the two inputs stood side by side; the join runs then.
    pub(crate) fn start(&mut self, range: IndexRange) -> bool {
        let Some(pair) = self.take_pair(range) else { return false };
        self.running.insert(range, pair);
        true
    }

    /// Whether the join ran. It dissolves: its inputs may pair anew.
    pub(crate) fn release(&mut self, range: IndexRange) -> bool {
        let Some((left, right)) = self.running.remove(&range) else { return false };
        self.frontier.insert(left);
        self.frontier.insert(right);
        true
    }

    pub(crate) fn accept(&mut self, range: IndexRange, blob: BlobRef) -> Accepted {
        if self.is_accepted(range) {
            return Accepted::AlreadyAccepted;
        }
        if self.running.remove(&range).is_none() && self.take_pair(range).is_none() {
            return Accepted::Superseded;
        }
        self.accepted.insert(range);
        self.frontier.insert(Piece { range, blob });
        Accepted::New
    }

    /// Takes a receipt for all that it covers, joined or not. Nothing runs.
    pub(crate) fn restore(&mut self, range: IndexRange, blob: BlobRef) -> Accepted {
        if self.is_accepted(range) {
            return Accepted::AlreadyAccepted;
        }
        let covered: Vec<Piece> = self.frontier.overlapping(range).collect();
        if covered.iter().any(|piece| !range.contains(piece.range)) {
            return Accepted::Superseded;
        }
        for piece in covered {
            self.frontier.remove(piece.range.start());
        }
        self.accepted.insert(range);
        self.frontier.insert(Piece { range, blob });
        Accepted::New
    }

    /// Takes the one receipt that covers `range` and nothing else out of here, if it is there.
    pub(crate) fn take(&mut self, range: IndexRange) -> Option<BlobRef> {
        self.frontier.exactly(range)?;
        self.frontier.remove(range.start()).map(|piece| piece.blob)
    }

    /// Forgets the receipts, since a later one covers them all. Nothing runs.
    pub(crate) fn clear(&mut self) {
        self.frontier = Frontier::default();
    }

    /// The receipts that are in no running join, in segment order.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.frontier.iter().map(|piece| piece.blob)
    }

    /// The receipts that may still be read.
    pub(crate) fn live_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let joining = self.running.values().flat_map(|(left, right)| [left.blob, right.blob]);
        self.receipts().chain(joining)
    }

    fn take_pair(&mut self, range: IndexRange) -> Option<(Piece, Piece)> {
        let pair = self.frontier.pair(range)?;
        self.frontier.remove(pair.0.range.start());
        self.frontier.remove(pair.1.range.start());
        Some(pair)
    }
}
