//! How the receipts of keccak proofs become one.
//!
//! The guest adds up its keccak claims in a Merkle mountain range, and assumes the root of that. So the
//! unions have no choice, unlike joins:
//!
//! - While the guest runs, every complete subtree, leaves `k * 2^h` to `(k + 1) * 2^h`, is a union of its two
//!   halves.
//! - When the number of leaves is final, the *peaks* are left, one complete subtree for each binary digit of
//!   that number, the largest first. They fold from the left: `((p0 + p1) + p2) + …`. Each fold covers the
//!   leaves from the first on, so it is named by its range as well.
//!
//! All these ranges form one tree: any two are disjoint or one contains the other. So a receipt is known to
//! be superseded when a piece contains its range. (RISC Zero's host makes the same tree of finished proofs:
//! risc0-zkvm `mmr.rs`, `host/server/prove/union_peak.rs`.)

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, IndexRange, Reference};

use crate::{Accepted, Certainty, frontier::Piece, joins::Dissolved, tree::Tree};

/// The leaf at which the right half of a union starts: the middle of a complete subtree; the last peak of a
/// fold.
fn split(range: IndexRange) -> u32 {
    if is_complete(range) {
        range.start() + range.count() / 2
    } else {
        range.end() - lowest_digit(range.end())
    }
}

/// What the union tree makes of `leaves`, when `merge` is what a union makes of its two halves; `None` without leaves.
pub fn fold<T: Copy>(leaves: &[T], merge: &impl Fn(T, T) -> T) -> Option<T> {
    let subtree = |range: IndexRange| fold_range(leaves, range, merge);
    IndexRange::new(0, u32::try_from(leaves.len()).ok()?).map(subtree)
}

fn fold_range<T: Copy>(leaves: &[T], range: IndexRange, merge: &impl Fn(T, T) -> T) -> T {
    match halves(range) {
        None => leaves[range.start() as usize],
        Some((left, right)) => {
            merge(fold_range(leaves, left, merge), fold_range(leaves, right, merge))
        }
    }
}

/// The two ranges that a union is made of; `None` for a leaf.
fn halves(range: IndexRange) -> Option<(IndexRange, IndexRange)> {
    let middle = split(range);
    Some((IndexRange::new(range.start(), middle)?, IndexRange::new(middle, range.end())?))
}

fn is_complete(range: IndexRange) -> bool {
    range.count().is_power_of_two() && range.start().is_multiple_of(range.count())
}

fn lowest_digit(number: u32) -> u32 {
    number & number.wrapping_neg()
}

/// The receipts of keccak proofs, on their way to one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unions {
    /// How many leaves there are, once that is final.
    leaf_count: Option<u32>,
    /// The accepted receipts that no accepted union was made of, by where they start.
    pieces: BTreeMap<u32, Piece>,
    /// The unions whose two halves are pieces and that do not run, by size, then by start.
    ready: BTreeSet<(u32, IndexRange)>,
    running: BTreeSet<IndexRange>,
    /// What the pieces were made of.
    tree: Tree,
}

impl Unions {
    /// Says that there will be no more leaves than these.
    pub(crate) fn end(&mut self, leaf_count: u32) {
        self.leaf_count = Some(leaf_count);
        let mut fold = IndexRange::new(0, leaf_count);
        while let Some(range) = fold.filter(|range| !is_complete(*range)) {
            self.note_if_ready(range);
            fold = IndexRange::new(0, split(range));
        }
    }

    /// Adds the receipt of a leaf. It is the leaf's first, and no union covers the leaf.
    pub(crate) fn add_leaf(&mut self, index: u32, blob: BlobRef) {
        let range = IndexRange::single(index);
        self.tree.insert(range, blob, Certainty::Final, Vec::new());
        self.insert(Piece { range, blob });
    }

    /// Whether the tree over `leaf_count` leaves so far has this union.
    pub(crate) fn is_union(&self, range: IndexRange, leaf_count: u32) -> bool {
        if range.count() < 2 || range.end() > leaf_count {
            return false;
        }
        is_complete(range)
            || self.leaf_count.is_some_and(|count| {
                // A fold covers the first few peaks: its end has the same first digits as the count.
                let digit = lowest_digit(range.end());
                range.start() == 0 && range.end() == count - count % digit
            })
    }

    /// The unions that can be started, the smallest first, ties to the left: it is the farthest from the root.
    pub(crate) fn ready(&self) -> impl Iterator<Item = IndexRange> + '_ {
        self.ready.iter().map(|(_, range)| *range)
    }

    /// The left and the right receipt of a union that can be started.
    pub(crate) fn inputs(&self, range: IndexRange) -> Option<[BlobRef; 2]> {
        self.ready.contains(&(range.count(), range)).then(|| self.halves_of(range))?
    }

    pub(crate) fn running_count(&self) -> u32 {
        self.running.len() as u32
    }

    /// How many unions the receipts are made of, given how many leaves are: each makes one piece of two.
    pub(crate) fn accepted_count(&self, leaves_accepted: u32) -> u32 {
        leaves_accepted - self.pieces.len() as u32
    }

    /// Whether a receipt of the union was accepted, or of one that contains it.
    pub(crate) fn is_accepted(&self, range: IndexRange) -> bool {
        let piece = self.pieces.range(..=range.start()).next_back();
        piece.is_some_and(|(_, piece)| piece.range.contains(range))
    }

    /// Whether the union was ready; it runs then.
    pub(crate) fn start(&mut self, range: IndexRange) -> bool {
        self.ready.remove(&(range.count(), range)) && self.running.insert(range)
    }

    /// Whether the union ran; it is ready then.
    pub(crate) fn release(&mut self, range: IndexRange) -> bool {
        self.running.remove(&range) && self.ready.insert((range.count(), range))
    }

    /// Takes the receipt of a union of this tree; `None` when one of its halves has none yet.
    pub(crate) fn accept(&mut self, range: IndexRange, blob: BlobRef) -> Option<Accepted> {
        if self.is_accepted(range) {
            return Some(Accepted::AlreadyAccepted);
        }
        self.halves_of(range)?;
        self.running.remove(&range);
        self.ready.remove(&(range.count(), range));
        self.cover(range, blob);
        Some(Accepted::New)
    }

    /// Takes the receipt of a union of this tree for all that it covers. Nothing runs.
    pub(crate) fn restore(&mut self, range: IndexRange, blob: BlobRef) -> Accepted {
        if self.is_accepted(range) {
            return Accepted::AlreadyAccepted;
        }
        self.ready.retain(|(_, ready)| !range.contains(*ready));
        self.cover(range, blob);
        Accepted::New
    }

    /// The receipt of the root, once the number of leaves is final.
    pub(crate) fn root(&self) -> Option<BlobRef> {
        let whole = IndexRange::new(0, self.leaf_count?)?;
        let piece = self.pieces.get(&0).filter(|piece| piece.range == whole)?;
        Some(piece.blob)
    }

    /// Takes a receipt back that proved false, and all that was made of it; `None` when there is none.
    pub(crate) fn revoke(&mut self, range: IndexRange) -> Option<Dissolved> {
        let top = self.tree.contains(range).then(|| self.tree.top(range))?;
        let mut dissolved = Dissolved::default();
        if let Some(parent) = self.parent(top) {
            self.ready.remove(&(parent.count(), parent));
            dissolved.running.extend(self.running.take(&parent));
        }
        self.pieces.remove(&top.start());
        let fallen = self.tree.remove(range)?;
        for orphan in fallen.orphans {
            self.insert(orphan);
            dissolved.orphans.push(orphan.blob);
        }
        dissolved.bare = fallen.bare;
        Some(dissolved)
    }

    /// The receipts that have this blob and are not united.
    pub(crate) fn standing_with(&self, reference: Reference) -> Vec<IndexRange> {
        let with = self.pieces.values().filter(|piece| piece.blob.reference == reference);
        with.map(|piece| piece.range).collect()
    }

    /// The receipts that may still be read.
    pub(crate) fn live_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        self.pieces.values().map(|piece| piece.blob)
    }

    fn halves_of(&self, range: IndexRange) -> Option<[BlobRef; 2]> {
        let (left, right) = halves(range)?;
        let blob = |half: IndexRange| {
            let piece = self.pieces.get(&half.start()).filter(|piece| piece.range == half)?;
            Some(piece.blob)
        };
        Some([blob(left)?, blob(right)?])
    }

    /// Puts a receipt in the place of all that it covers.
    fn cover(&mut self, range: IndexRange, blob: BlobRef) {
        let covered = self.pieces.range(range.start()..range.end());
        let covered: Vec<IndexRange> = covered.map(|(_, piece)| piece.range).collect();
        for piece in &covered {
            self.pieces.remove(&piece.start());
        }
        self.tree.insert(range, blob, Certainty::Final, covered);
        self.insert(Piece { range, blob });
    }

    fn insert(&mut self, piece: Piece) {
        self.pieces.insert(piece.range.start(), piece);
        if let Some(parent) = self.parent(piece.range) {
            self.note_if_ready(parent);
        }
    }

    fn note_if_ready(&mut self, range: IndexRange) {
        if self.halves_of(range).is_some() && !self.running.contains(&range) {
            self.ready.insert((range.count(), range));
        }
    }

    /// The union that `range` is a half of, as far as that is settled.
    fn parent(&self, range: IndexRange) -> Option<IndexRange> {
        if is_complete(range) {
            let count = range.count().checked_mul(2)?;
            let start = range.start() - range.start() % count;
            let parent = IndexRange::new(start, start.checked_add(count)?)?;
            if self.leaf_count.is_none_or(|leaf_count| parent.end() <= leaf_count) {
                return Some(parent);
            }
        }
        let leaf_count = self.leaf_count?;
        if range.start() > 0 {
            return IndexRange::new(0, range.end());
        }
        // The next peak is the highest digit of what is left.
        let digit = (leaf_count - range.end()).checked_ilog2()?;
        IndexRange::new(0, range.end() + (1 << digit))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::Reference;

    use super::*;

    fn range(start: u32, end: u32) -> IndexRange {
        IndexRange::new(start, end).unwrap()
    }

    fn blob(name: u32) -> BlobRef {
        BlobRef { reference: Reference([0; 32]), size_bytes: name.into() }
    }

    fn all_ready(unions: &Unions) -> Vec<IndexRange> {
        unions.ready().collect()
    }

    /// A final tree of which all leaves are accepted.
    fn proved(leaf_count: u32) -> Unions {
        let mut unions = Unions::default();
        (0..leaf_count).for_each(|index| unions.add_leaf(index, blob(index)));
        unions.end(leaf_count);
        unions
    }

    /// The ranges that the guest's accumulator makes of leaves that come one by one: it merges peaks of
    /// one height on arrival, and folds what is left at the end.
    fn unions_of_the_guest(leaf_count: u32) -> BTreeSet<IndexRange> {
        let mut unions = BTreeSet::new();
        let mut peaks: Vec<(u32, IndexRange)> = Vec::new();
        for index in 0..leaf_count {
            let mut new = (0, IndexRange::single(index));
            while let Some(last) = peaks.pop_if(|last| last.0 == new.0) {
                new = (new.0 + 1, range(last.1.start(), new.1.end()));
                unions.insert(new.1);
            }
            peaks.push(new);
        }
        let folds = peaks.iter().skip(1).map(|(_, peak)| range(0, peak.end()));
        unions.extend(folds);
        unions
    }

    #[test]
    fn the_tree_has_the_unions_that_the_guest_makes_and_no_others() {
        for leaf_count in 1..=40 {
            let mut unions = proved(leaf_count);
            let expected = unions_of_the_guest(leaf_count);
            for start in 0..=leaf_count {
                for end in start + 1..=leaf_count + 2 {
                    let range = range(start, end);
                    let is_union = unions.is_union(range, leaf_count);
                    assert_eq!(is_union, expected.contains(&range), "{range} of {leaf_count}");
                }
            }
            let mut made = BTreeSet::new();
            let next = |unions: &Unions| unions.ready().next();
            while let Some(range) = next(&unions) {
                assert!(unions.start(range));
                assert_eq!(unions.accept(range, blob(0)), Some(Accepted::New));
                made.insert(range);
            }
            assert_eq!(made, expected, "{leaf_count} leaves");
            assert!(unions.root().is_some());
            assert_eq!(unions.accepted_count(leaf_count), leaf_count - 1);
        }
    }

    #[test]
    fn complete_subtrees_are_ready_before_the_number_of_leaves_is_known_and_folds_after() {
        let mut unions = Unions::default();
        [2, 0, 1].into_iter().for_each(|index| unions.add_leaf(index, blob(index)));
        assert_eq!(all_ready(&unions), [range(0, 2)]);
        assert!(!unions.is_union(range(0, 3), 3));
        unions.accept(range(0, 2), blob(10));
        assert_eq!(unions.ready().next(), None);
        unions.end(3);
        assert_eq!(all_ready(&unions), [range(0, 3)]);
        assert_eq!(unions.inputs(range(0, 3)), Some([blob(10), blob(2)]));
    }

    #[test]
    fn peaks_fold_from_the_left() {
        // 7 = 4 + 2 + 1.
        assert_eq!(split(range(0, 7)), 6);
        assert_eq!(split(range(0, 6)), 4);
        assert_eq!(split(range(0, 4)), 2);
        assert_eq!(split(range(4, 6)), 5);
        let depth = fold(&[0; 7], &|left: u32, right| left.max(right) + 1);
        assert_eq!(depth, Some(4));
        assert_eq!(fold(&[] as &[u32], &|left, _| left), None);
    }

    #[test]
    fn one_leaf_is_its_own_root() {
        let unions = proved(1);
        assert_eq!((unions.root(), unions.ready().next()), (Some(blob(0)), None));
    }

    #[test]
    fn a_running_union_is_not_ready_and_a_released_one_is_again() {
        let mut unions = proved(2);
        assert!(unions.start(range(0, 2)) && !unions.start(range(0, 2)));
        assert_eq!((unions.ready().next(), unions.inputs(range(0, 2))), (None, None));
        assert!(unions.release(range(0, 2)) && !unions.release(range(0, 2)));
        assert_eq!(unions.ready().next(), Some(range(0, 2)));
    }

    #[test]
    fn a_union_without_its_inputs_is_not_accepted_but_restored() {
        let mut unions = Unions::default();
        unions.add_leaf(0, blob(0));
        assert_eq!(unions.accept(range(0, 2), blob(9)), None);
        assert_eq!(unions.restore(range(0, 4), blob(9)), Accepted::New);
        assert_eq!(unions.restore(range(0, 2), blob(8)), Accepted::AlreadyAccepted);
        assert!(unions.is_accepted(range(2, 4)) && !unions.is_accepted(range(4, 8)));
        unions.end(4);
        assert_eq!(unions.root(), Some(blob(9)));
        assert_eq!(unions.live_blobs().collect::<Vec<_>>(), [blob(9)]);
    }
}
