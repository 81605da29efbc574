//! Which results are merged, and which merges run: neighbours, bound when somebody is there to merge them.
//!
//! Accepted results only ever merge, unless one proves false. So a late merge fits if its inputs still stand in the
//! frontier side by side, or not at all.

use std::collections::BTreeMap;

use starling_types::{BlobRef, IndexRange, Reference};

use crate::{
    Accepted, Certainty,
    frontier::{Frontier, Piece},
    tree::Tree,
};

/// The results of a job's leaves, on their way to one.
#[derive(Debug, Clone)]
pub(crate) struct Joins {
    frontier: Frontier,
    /// The merges that run, with their inputs, which are not in the frontier.
    running: BTreeMap<IndexRange, Vec<Piece>>,
    tree: Tree,
}

/// What changed since results proved false.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dissolved {
    /// Merges that ran and lost an input.
    pub(crate) running: Vec<IndexRange>,
    /// What stands again.
    pub(crate) orphans: Vec<BlobRef>,
    /// Leaves that are to be done again.
    pub(crate) bare: Vec<u32>,
}

impl Joins {
    /// Of pairs.
    pub(crate) fn binary() -> Self {
        Self::over(Frontier::of_pairs())
    }

    /// Of up to `width` neighbours at once.
    pub(crate) fn wide(width: u32) -> Self {
        Self::over(Frontier::of_groups(width))
    }

    fn over(frontier: Frontier) -> Self {
        Self { frontier, running: BTreeMap::new(), tree: Tree::default() }
    }

    /// Adds the result of a leaf.
    pub(crate) fn add_leaf(&mut self, index: u32, blob: BlobRef, certainty: Certainty) {
        let range = IndexRange::single(index);
        self.tree.insert(range, blob, certainty, Vec::new());
        self.frontier.insert(Piece { range, blob });
    }

    /// The merges to start next, each as if those before it were started.
    pub(crate) fn ready(&self) -> impl Iterator<Item = IndexRange> + '_ {
        self.frontier.groups()
    }

    /// The inputs of a merge that can be started, in order.
    pub(crate) fn inputs(&self, range: IndexRange) -> Option<Vec<Piece>> {
        self.frontier.group(range)
    }

    pub(crate) fn running_count(&self) -> u32 {
        self.running.len() as u32
    }

    pub(crate) fn is_accepted(&self, range: IndexRange) -> bool {
        self.tree.contains(range)
    }

    /// How many results stand that no merge has consumed, those that are being merged included.
    pub(crate) fn piece_count(&self) -> u32 {
        let merging: usize = self.running.values().map(Vec::len).sum();
        (self.frontier.len() + merging) as u32
    }

    /// Whether the inputs stood side by side; the merge runs then.
    pub(crate) fn start(&mut self, range: IndexRange) -> bool {
        let Some(group) = self.take_group(range) else { return false };
        self.running.insert(range, group);
        true
    }

    /// Whether the merge ran. It dissolves: its inputs may pair anew.
    pub(crate) fn release(&mut self, range: IndexRange) -> bool {
        let Some(group) = self.running.remove(&range) else { return false };
        group.into_iter().for_each(|piece| self.frontier.insert(piece));
        true
    }

    pub(crate) fn accept(
        &mut self,
        range: IndexRange,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Accepted {
        if self.is_accepted(range) {
            return Accepted::AlreadyAccepted;
        }
        let group = self.running.remove(&range).or_else(|| self.take_group(range));
        let Some(group) = group else { return Accepted::Superseded };
        self.put(range, blob, certainty, &group);
        Accepted::New
    }

    /// Takes a result for all that it covers, merged or not. Nothing runs.
    pub(crate) fn restore(
        &mut self,
        range: IndexRange,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Accepted {
        if self.is_accepted(range) {
            return Accepted::AlreadyAccepted;
        }
        let covered: Vec<Piece> = self.frontier.overlapping(range).collect();
        if covered.iter().any(|piece| !range.contains(piece.range)) {
            return Accepted::Superseded;
        }
        for piece in &covered {
            self.frontier.remove(piece.range.start());
        }
        self.put(range, blob, certainty, &covered);
        Accepted::New
    }

    fn put(&mut self, range: IndexRange, blob: BlobRef, certainty: Certainty, parts: &[Piece]) {
        let parts = parts.iter().map(|piece| piece.range).collect();
        self.tree.insert(range, blob, certainty, parts);
        self.frontier.insert(Piece { range, blob });
    }

    /// Whether the result was provisional; it is final then.
    pub(crate) fn confirm(&mut self, range: IndexRange) -> bool {
        self.tree.confirm(range)
    }

    pub(crate) fn provisional_count(&self) -> u32 {
        self.tree.provisional_count()
    }

    /// Takes a result back that proved false, and all that was made of it; `None` when there is none. The
    /// caller that took the topmost of them out of here has put it back before.
    pub(crate) fn revoke(&mut self, range: IndexRange) -> Option<Dissolved> {
        let top = self.tree.contains(range).then(|| self.tree.top(range))?;
        let mut dissolved = Dissolved::default();
        let before = self.running.range(..=IndexRange::new(top.start(), u32::MAX)?).next_back();
        let merging = before.map(|(range, _)| *range).filter(|range| range.contains(top));
        if let Some(merging) = merging {
            self.release(merging);
            dissolved.running.push(merging);
        }
        self.frontier.remove(top.start());
        let fallen = self.tree.remove(range)?;
        for orphan in fallen.orphans {
            self.frontier.insert(orphan);
            dissolved.orphans.push(orphan.blob);
        }
        dissolved.bare = fallen.bare;
        Some(dissolved)
    }

    /// The result of exactly this range, if nothing has consumed it.
    pub(crate) fn standing(&self, range: IndexRange) -> Option<BlobRef> {
        self.frontier.exactly(range).map(|piece| piece.blob)
    }

    /// The results that have this blob and are read again: nothing has consumed them, or they are still to be checked.
    pub(crate) fn read_with(&self, reference: Reference) -> Vec<IndexRange> {
        let mut ranges = self.tree.of_blob(reference);
        ranges.retain(|range| self.tree.top(*range) == *range || self.is_provisional(*range));
        ranges
    }

    pub(crate) fn is_provisional(&self, range: IndexRange) -> bool {
        self.tree.is_provisional(range)
    }

    /// The provisional results, which are read once more to be checked.
    pub(crate) fn provisional(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.tree.provisional()
    }

    /// Takes the one result that covers `range` and nothing else out of here, if it is there.
    pub(crate) fn take(&mut self, range: IndexRange) -> Option<BlobRef> {
        self.frontier.exactly(range)?;
        self.frontier.remove(range.start()).map(|piece| piece.blob)
    }

    /// Takes back what [`Self::take`] took.
    pub(crate) fn put_back(&mut self, range: IndexRange) {
        if let Some(blob) = self.tree.blob(range) {
            self.frontier.insert(Piece { range, blob });
        }
    }

    /// Forgets all results, since a later one covers them. Nothing runs.
    pub(crate) fn clear(&mut self) {
        self.frontier.clear();
        self.tree = Tree::default();
    }

    /// The results that are in no running merge, in order.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.frontier.iter().map(|piece| piece.blob)
    }

    /// The results that may still be read.
    pub(crate) fn live_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let merging = self.running.values().flatten().map(|piece| piece.blob);
        self.receipts().chain(merging).chain(self.tree.kept())
    }

    fn take_group(&mut self, range: IndexRange) -> Option<Vec<Piece>> {
        let group = self.frontier.group(range)?;
        for piece in &group {
            self.frontier.remove(piece.range.start());
        }
        Some(group)
    }
}
