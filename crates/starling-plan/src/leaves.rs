//! Tasks that begin with what comes from outside: a segment, a keccak request, a piece of known work.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, IndexRange, Reference};

use crate::Certainty;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeafState {
    Ready,
    Running,
    Accepted(Certainty),
}

impl LeafState {
    fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

#[derive(Debug, Clone)]
struct Leaf<K> {
    class: K,
    input: BlobRef,
    state: LeafState,
    /// Whether its input is missing: then it is not offered.
    is_withheld: bool,
}

/// The leaves of one kind, in the order in which they came. Each is ready from the start. `K` tells apart what needs
/// different nodes.
#[derive(Debug, Clone)]
pub(crate) struct Leaves<K> {
    leaves: Vec<Leaf<K>>,
    /// Which leaves read a blob.
    by_input: BTreeSet<(Reference, u32)>,
    /// Indices of leaves that can be started, by class; no set is empty.
    ready: BTreeMap<K, BTreeSet<u32>>,
    /// By class, how many leaves are not accepted.
    left: BTreeMap<K, u32>,
    running_count: u32,
    accepted_count: u32,
    provisional_count: u32,
}

impl<K> Default for Leaves<K> {
    fn default() -> Self {
        Self {
            leaves: Vec::new(),
            by_input: BTreeSet::new(),
            ready: BTreeMap::new(),
            left: BTreeMap::new(),
            running_count: 0,
            accepted_count: 0,
            provisional_count: 0,
        }
    }
}

impl<K: Copy + Ord> Leaves<K> {
    /// How many leaves there are. [`Self::push`] keeps this below `u32::MAX`.
    pub(crate) fn count(&self) -> u32 {
        self.leaves.len() as u32
    }

    pub(crate) fn running_count(&self) -> u32 {
        self.running_count
    }

    pub(crate) fn accepted_count(&self) -> u32 {
        self.accepted_count
    }

    /// How many of the accepted ones are so provisionally.
    pub(crate) fn provisional_count(&self) -> u32 {
        self.provisional_count
    }

    /// How many leaves of this class are not accepted.
    pub(crate) fn left(&self, class: K) -> u32 {
        self.left.get(&class).copied().unwrap_or(0)
    }

    /// Adds the leaf `index`; not when that is not the next index, or one whose range would have no end.
    pub(crate) fn push(&mut self, index: u32, class: K, input: BlobRef) -> bool {
        if index != self.count() || index == u32::MAX {
            return false;
        }
        self.by_input.insert((input.reference, index));
        self.leaves.push(Leaf { class, input, state: LeafState::Ready, is_withheld: false });
        *self.left.entry(class).or_default() += 1;
        self.list(index);
        true
    }

    /// The leaves of this class that can be started, in order.
    pub(crate) fn ready(&self, class: K) -> impl Iterator<Item = u32> + '_ {
        self.ready.get(&class).into_iter().flatten().copied()
    }

    /// The class and the input of a leaf, if it can be started.
    pub(crate) fn ready_input(&self, index: u32) -> Option<(K, BlobRef)> {
        let leaf = self.leaves.get(index as usize)?;
        let is_ready = leaf.state == LeafState::Ready && !leaf.is_withheld;
        is_ready.then_some((leaf.class, leaf.input))
    }

    pub(crate) fn is_accepted(&self, index: u32) -> bool {
        self.leaves.get(index as usize).is_some_and(|leaf| leaf.state.is_accepted())
    }

    /// The inputs that may still be read: of the leaves that are not accepted for good.
    pub(crate) fn inputs_left(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let is_done = |leaf: &&Leaf<K>| leaf.state != LeafState::Accepted(Certainty::Final);
        self.leaves.iter().filter(is_done).map(|leaf| leaf.input)
    }

    /// Whether the leaf was ready; it runs then.
    pub(crate) fn start(&mut self, index: u32) -> bool {
        self.ready_input(index).is_some() && self.set(index, LeafState::Running)
    }

    /// Whether the leaf ran; it is ready then.
    pub(crate) fn release(&mut self, index: u32) -> bool {
        self.is(index, LeafState::Running) && self.set(index, LeafState::Ready)
    }

    /// Whether the leaf had no result so far.
    pub(crate) fn accept(&mut self, index: u32, certainty: Certainty) -> bool {
        let is_known = (index as usize) < self.leaves.len();
        is_known && !self.is_accepted(index) && self.set(index, LeafState::Accepted(certainty))
    }

    /// Whether the leaf's result was provisional; it is final then.
    pub(crate) fn confirm(&mut self, index: u32) -> bool {
        self.is(index, LeafState::Accepted(Certainty::Provisional))
            && self.set(index, LeafState::Accepted(Certainty::Final))
    }

    /// Takes a leaf's result back, if it has one; its input, which is read again.
    pub(crate) fn revoke(&mut self, index: u32) -> Option<BlobRef> {
        if !self.is_accepted(index) {
            return None;
        }
        self.set(index, LeafState::Ready);
        Some(self.leaves[index as usize].input)
    }

    /// Takes all leaves of `range` as accepted, since a result covers them.
    pub(crate) fn cover(&mut self, range: IndexRange) {
        for index in range.start()..range.end() {
            self.accept(index, Certainty::Final);
        }
    }

    /// Says whether an input is missing. The leaves that read it are not offered while it is.
    pub(crate) fn set_missing(&mut self, input: Reference, is_missing: bool) {
        let readers = self.by_input.range((input, 0)..=(input, u32::MAX));
        for index in readers.map(|(_, index)| *index).collect::<Vec<_>>() {
            let leaf = &mut self.leaves[index as usize];
            if leaf.is_withheld != is_missing {
                leaf.is_withheld = is_missing;
                self.list(index);
            }
        }
    }

    fn is(&self, index: u32, state: LeafState) -> bool {
        self.leaves.get(index as usize).is_some_and(|leaf| leaf.state == state)
    }

    /// Moves a leaf from the books of one state to those of another.
    fn set(&mut self, index: u32, to: LeafState) -> bool {
        let leaf = &mut self.leaves[index as usize];
        let class = leaf.class;
        let from = std::mem::replace(&mut leaf.state, to);
        let count = |state: LeafState, of: LeafState| u32::from(state == of);
        let provisional = LeafState::Accepted(Certainty::Provisional);
        self.running_count += count(to, LeafState::Running);
        self.running_count -= count(from, LeafState::Running);
        self.provisional_count += count(to, provisional);
        self.provisional_count -= count(from, provisional);
        let left = self.left.entry(class).or_default();
        *left += u32::from(from.is_accepted());
        *left -= u32::from(to.is_accepted());
        self.accepted_count += u32::from(to.is_accepted());
        self.accepted_count -= u32::from(from.is_accepted());
        self.list(index);
        true
    }

    /// Puts a leaf among those that can be started, or takes it out.
    fn list(&mut self, index: u32) {
        let is_ready = self.ready_input(index).is_some();
        let class = self.leaves[index as usize].class;
        if is_ready {
            self.ready.entry(class).or_default().insert(index);
        } else if let Some(indices) = self.ready.get_mut(&class) {
            indices.remove(&index);
            if indices.is_empty() {
                self.ready.remove(&class);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FINAL: Certainty = Certainty::Final;

    fn blob(name: u8) -> BlobRef {
        BlobRef { reference: Reference([name; 32]), size_bytes: 1 }
    }

    fn leaves(classes: &[u32]) -> Leaves<u32> {
        let mut leaves = Leaves::default();
        for (index, class) in (0..).zip(classes) {
            assert!(leaves.push(index, *class, blob(index as u8)));
        }
        leaves
    }

    #[test]
    fn a_leaf_is_in_the_books_of_one_state_at_a_time() {
        let mut leaves = leaves(&[14, 15, 14]);
        assert_eq!((leaves.ready(14).next(), leaves.left(14)), (Some(0), 2));
        assert!(leaves.start(0) && !leaves.start(0) && !leaves.release(1));
        assert_eq!((leaves.ready(14).next(), leaves.running_count()), (Some(2), 1));
        assert!(leaves.release(0) && !leaves.release(0));
        assert_eq!((leaves.ready(14).next(), leaves.running_count()), (Some(0), 0));
        assert!(leaves.start(0) && leaves.accept(0, FINAL));
        assert!(!leaves.accept(0, FINAL) && !leaves.start(0));
        assert_eq!((leaves.running_count(), leaves.accepted_count(), leaves.left(14)), (0, 1, 1));
        assert!(leaves.accept(2, FINAL), "never started, and as good");
        assert_eq!((leaves.ready(14).next(), leaves.left(14)), (None, 0));
        assert_eq!(leaves.inputs_left().count(), 1);
    }

    #[test]
    fn leaves_come_in_order() {
        let mut leaves = leaves(&[14]);
        let (class, input) = leaves.ready_input(0).unwrap();
        assert!(!leaves.push(0, class, input) && !leaves.push(2, class, input));
        assert_eq!((leaves.count(), leaves.ready_input(1)), (1, None));
    }

    #[test]
    fn a_leaf_whose_input_is_missing_is_not_offered_until_it_is_there_again() {
        let mut leaves = leaves(&[14]);
        assert!(leaves.start(0));
        leaves.set_missing(blob(0).reference, true);
        assert!(leaves.release(0));
        assert_eq!(leaves.ready(14).next(), None);
        assert!(!leaves.start(0));
        leaves.set_missing(blob(0).reference, false);
        assert_eq!(leaves.ready(14).next(), Some(0));
    }

    #[test]
    fn a_provisional_result_keeps_its_input_until_it_is_final() {
        let mut leaves = leaves(&[14]);
        assert!(leaves.accept(0, Certainty::Provisional));
        assert_eq!((leaves.inputs_left().count(), leaves.provisional_count()), (1, 1));
        assert!(leaves.confirm(0) && !leaves.confirm(0));
        assert_eq!((leaves.inputs_left().count(), leaves.provisional_count()), (0, 0));
        assert_eq!(leaves.revoke(0), Some(blob(0)));
        assert_eq!((leaves.ready(14).next(), leaves.left(14)), (Some(0), 1));
        assert_eq!(leaves.revoke(0), None);
    }
}
