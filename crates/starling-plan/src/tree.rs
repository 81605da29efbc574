//! What each accepted result was made of: results that merge form a tree, and this keeps it.
//!
//! When a result proves false, the results that were made of it fall, and the other results that they consumed stand again. So the
//! tree remembers what was consumed, and says which of these blobs may be read again while something is provisional.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, IndexRange, Reference};

use crate::{Certainty, frontier::Piece};

#[derive(Debug, Clone)]
struct Node {
    blob: BlobRef,
    /// The results that this one consumed. Leaves have none; a restored result has what of them was there.
    parts: Vec<IndexRange>,
    /// The result that consumed this one.
    parent: Option<IndexRange>,
    certainty: Certainty,
    /// How many results of the subtree are provisional, this one included.
    provisional_count: u32,
}

/// The accepted results of one range of leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<IndexRange, Node>,
    by_blob: BTreeSet<(Reference, IndexRange)>,
    /// How many results are provisional.
    provisional_count: u32,
}

/// What fell with a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fallen {
    /// The result and those that were made of it, from the top down.
    pub(crate) path: Vec<IndexRange>,
    /// What they had consumed, which stands again.
    pub(crate) orphans: Vec<Piece>,
    /// Leaves of the range of the topmost that no orphan covers.
    pub(crate) bare: Vec<u32>,
}

impl Tree {
    pub(crate) fn contains(&self, range: IndexRange) -> bool {
        self.nodes.contains_key(&range)
    }

    pub(crate) fn blob(&self, range: IndexRange) -> Option<BlobRef> {
        self.nodes.get(&range).map(|node| node.blob)
    }

    /// How many results are provisional.
    pub(crate) fn provisional_count(&self) -> u32 {
        self.provisional_count
    }

    /// Adds a result that is not here, and consumed `parts`, each of them a top so far.
    pub(crate) fn insert(
        &mut self,
        range: IndexRange,
        blob: BlobRef,
        certainty: Certainty,
        parts: Vec<IndexRange>,
    ) {
        let mut provisional_count = u32::from(certainty == Certainty::Provisional);
        for part in &parts {
            if let Some(node) = self.nodes.get_mut(part) {
                node.parent = Some(range);
                provisional_count += node.provisional_count;
            }
        }
        self.provisional_count += u32::from(certainty == Certainty::Provisional);
        self.by_blob.insert((blob.reference, range));
        let node = Node { blob, parts, parent: None, certainty, provisional_count };
        self.nodes.insert(range, node);
    }

    /// Whether the result was provisional; it is final then.
    pub(crate) fn confirm(&mut self, range: IndexRange) -> bool {
        match self.nodes.get_mut(&range) {
            Some(node) if node.certainty == Certainty::Provisional => {
                node.certainty = Certainty::Final;
            }
            _ => return false,
        }
        self.provisional_count -= 1;
        let mut above = Some(range);
        while let Some(node) = above.and_then(|range| self.nodes.get_mut(&range)) {
            node.provisional_count -= 1;
            above = node.parent;
        }
        true
    }

    /// The result that consumed `range`, directly or not; itself, if none did.
    pub(crate) fn top(&self, range: IndexRange) -> IndexRange {
        let mut top = range;
        while let Some(parent) = self.nodes.get(&top).and_then(|node| node.parent) {
            top = parent;
        }
        top
    }

    /// Takes a result out, and those that were made of it; `None` when it is not here.
    pub(crate) fn remove(&mut self, range: IndexRange) -> Option<Fallen> {
        let mut path = vec![range];
        let mut node = self.nodes.get(&range)?;
        while let Some(parent) = node.parent {
            path.push(parent);
            node = self.nodes.get(&parent)?;
        }
        path.reverse();
        let fallen: Vec<Node> = path.iter().filter_map(|range| self.take(*range)).collect();
        let parts = fallen.into_iter().flat_map(|node| node.parts);
        let mut orphans = Vec::new();
        for part in parts {
            if let Some(node) = self.nodes.get_mut(&part) {
                node.parent = None;
                orphans.push(Piece { range: part, blob: node.blob });
            }
        }
        orphans.sort_by_key(|piece| piece.range);
        let whole = path[0];
        let mut bare = Vec::new();
        let mut next = whole.start();
        for orphan in &orphans {
            bare.extend(next..orphan.range.start());
            next = orphan.range.end();
        }
        bare.extend(next..whole.end());
        Some(Fallen { path, orphans, bare })
    }

    fn take(&mut self, range: IndexRange) -> Option<Node> {
        let node = self.nodes.remove(&range)?;
        self.by_blob.remove(&(node.blob.reference, range));
        self.provisional_count -= u32::from(node.certainty == Certainty::Provisional);
        Some(node)
    }

    /// The results that have this blob.
    pub(crate) fn of_blob(&self, reference: Reference) -> Vec<IndexRange> {
        // No range is before this one.
        let from = self.by_blob.range((reference, IndexRange::single(0))..);
        from.take_while(|(blob, _)| *blob == reference).map(|(_, range)| *range).collect()
    }

    pub(crate) fn is_provisional(&self, range: IndexRange) -> bool {
        self.nodes.get(&range).is_some_and(|node| node.certainty == Certainty::Provisional)
    }

    /// The provisional results, consumed or not: a check reads them once more.
    pub(crate) fn provisional(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let provisional = |node: &&Node| node.certainty == Certainty::Provisional;
        self.nodes.values().filter(provisional).map(|node| node.blob)
    }

    /// The consumed blobs that are read again should something provisional prove false: what a provisional result
    /// consumed, and what was consumed beside something provisional.
    pub(crate) fn kept(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.nodes.values().filter(|node| node.provisional_count > 0).flat_map(|node| {
            let is_provisional = node.certainty == Certainty::Provisional;
            let below = node.provisional_count - u32::from(is_provisional);
            let parts = node.parts.iter().filter_map(|part| self.nodes.get(part));
            parts
                .filter(move |part| is_provisional || part.provisional_count < below)
                .map(|part| part.blob)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(start: u32, end: u32) -> IndexRange {
        IndexRange::new(start, end).unwrap()
    }

    fn blob(name: u8) -> BlobRef {
        BlobRef { reference: Reference([name; 32]), size_bytes: name.into() }
    }

    /// Leaves 0 to 3, of which 1 is provisional; 0..2 and 0..3 over them.
    fn tree() -> Tree {
        let mut tree = Tree::default();
        for index in 0..3 {
            let certainty = if index == 1 { Certainty::Provisional } else { Certainty::Final };
            tree.insert(range(index, index + 1), blob(index as u8), certainty, vec![]);
        }
        tree.insert(range(0, 2), blob(10), Certainty::Final, vec![range(0, 1), range(1, 2)]);
        tree.insert(range(0, 3), blob(20), Certainty::Final, vec![range(0, 2), range(2, 3)]);
        tree
    }

    #[test]
    fn what_was_consumed_beside_something_provisional_is_kept_and_nothing_else() {
        let mut tree = tree();
        let kept = |tree: &Tree| tree.kept().map(|blob| blob.size_bytes).collect::<Vec<_>>();
        assert_eq!(kept(&tree), [0, 2]);
        assert!(tree.confirm(range(1, 2)) && !tree.confirm(range(1, 2)));
        assert_eq!(kept(&tree), [0; 0]);
    }

    #[test]
    fn a_result_takes_down_what_was_made_of_it_and_what_that_consumed_stands_again() {
        let mut tree = tree();
        assert_eq!(tree.top(range(1, 2)), range(0, 3));
        assert_eq!(tree.provisional_count(), 1);
        let fallen = tree.remove(range(1, 2)).unwrap();
        assert_eq!(tree.provisional_count(), 0);
        assert_eq!(tree.of_blob(blob(20).reference), []);
        assert_eq!(fallen.path, [range(0, 3), range(0, 2), range(1, 2)]);
        let orphans: Vec<_> = fallen.orphans.iter().map(|piece| piece.range).collect();
        assert_eq!((orphans, fallen.bare), (vec![range(0, 1), range(2, 3)], vec![1]));
        assert_eq!(tree.top(range(0, 1)), range(0, 1));
        assert_eq!(tree.remove(range(1, 2)), None);
    }

    #[test]
    fn a_result_whose_parts_are_unknown_leaves_its_leaves_bare() {
        let mut tree = Tree::default();
        tree.insert(range(1, 2), blob(1), Certainty::Final, vec![]);
        tree.insert(range(0, 3), blob(9), Certainty::Final, vec![range(1, 2)]);
        let fallen = tree.remove(range(0, 3)).unwrap();
        assert_eq!((fallen.bare, fallen.orphans.len()), (vec![0, 2], 1));
        assert_eq!(tree.of_blob(blob(1).reference), [range(1, 2)]);
    }
}
