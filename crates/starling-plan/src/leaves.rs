//! Tasks that begin with what the execution itself put out: with a segment, or with a keccak request.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, IndexRange, Po2};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeafState {
    Ready,
    Running,
    Accepted,
}

#[derive(Debug, Clone)]
struct Leaf {
    po2: Po2,
    input: BlobRef,
    state: LeafState,
}

/// The leaves of one kind, in the order of the execution. Each is ready from the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaves {
    leaves: Vec<Leaf>,
    /// Indices of ready leaves. By po2, since that decides who can hold them; no set is empty.
    ready: BTreeMap<Po2, BTreeSet<u32>>,
    /// By po2, how many leaves are not accepted.
    left: BTreeMap<Po2, u32>,
    running_count: u32,
    accepted_count: u32,
}

impl Leaves {
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

    /// How many leaves of this po2 are not accepted.
    pub(crate) fn left(&self, po2: Po2) -> u32 {
        self.left.get(&po2).copied().unwrap_or(0)
    }

    /// Adds the leaf `index`; not when that is not the next index, or one whose range would have no end.
    pub(crate) fn push(&mut self, index: u32, po2: Po2, input: BlobRef) -> bool {
        if index != self.count() || index == u32::MAX {
            return false;
        }
        self.leaves.push(Leaf { po2, input, state: LeafState::Ready });
        self.ready.entry(po2).or_default().insert(index);
        *self.left.entry(po2).or_default() += 1;
        true
    }

    /// The first ready leaf of this po2.
    pub(crate) fn first_ready(&self, po2: Po2) -> Option<u32> {
        self.ready.get(&po2)?.first().copied()
    }

    /// The po2 and the input of a leaf, if it is ready.
    pub(crate) fn ready_input(&self, index: u32) -> Option<(Po2, BlobRef)> {
        let leaf = self.leaves.get(index as usize)?;
        (leaf.state == LeafState::Ready).then_some((leaf.po2, leaf.input))
    }

    pub(crate) fn is_accepted(&self, index: u32) -> bool {
        self.leaves.get(index as usize).is_some_and(|leaf| leaf.state == LeafState::Accepted)
    }

    /// The inputs of the leaves that are not accepted.
    pub(crate) fn inputs_left(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let left = self.leaves.iter().filter(|leaf| leaf.state != LeafState::Accepted);
        left.map(|leaf| leaf.input)
    }

    /// Whether the leaf was ready; it runs then.
    pub(crate) fn start(&mut self, index: u32) -> bool {
        self.change(index, LeafState::Ready, LeafState::Running)
    }

    /// Whether the leaf ran; it is ready then.
    pub(crate) fn release(&mut self, index: u32) -> bool {
        self.change(index, LeafState::Running, LeafState::Ready)
    }

    /// Whether the leaf had no receipt so far.
    pub(crate) fn accept(&mut self, index: u32) -> bool {
        self.change(index, LeafState::Ready, LeafState::Accepted)
            || self.change(index, LeafState::Running, LeafState::Accepted)
    }

    /// Takes all leaves of `range` as accepted, since a receipt covers them.
    pub(crate) fn cover(&mut self, range: IndexRange) {
        for index in range.start()..range.end() {
            self.accept(index);
        }
    }

    /// Moves a leaf from the books of one state to those of another, if it is in the first.
    fn change(&mut self, index: u32, from: LeafState, to: LeafState) -> bool {
        let Some(leaf) = self.leaves.get_mut(index as usize).filter(|leaf| leaf.state == from)
        else {
            return false;
        };
        leaf.state = to;
        let po2 = leaf.po2;
        match from {
            LeafState::Ready => {
                if let Some(indices) = self.ready.get_mut(&po2) {
                    indices.remove(&index);
                    if indices.is_empty() {
                        self.ready.remove(&po2);
                    }
                }
            }
            LeafState::Running => self.running_count -= 1,
            LeafState::Accepted => unreachable!("what is accepted stays so"),
        }
        match to {
            LeafState::Ready => {
                self.ready.entry(po2).or_default().insert(index);
            }
            LeafState::Running => self.running_count += 1,
            LeafState::Accepted => {
                self.accepted_count += 1;
                if let Some(left) = self.left.get_mut(&po2) {
                    *left -= 1;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::Reference;

    use super::*;

    fn leaves(po2s: &[u32]) -> Leaves {
        let mut leaves = Leaves::default();
        let input = BlobRef { reference: Reference([0; 32]), size_bytes: 1 };
        for (index, po2) in (0..).zip(po2s) {
            assert!(leaves.push(index, Po2::try_from(*po2).unwrap(), input));
        }
        leaves
    }

    #[test]
    fn a_leaf_is_in_the_books_of_one_state_at_a_time() {
        let po2 = Po2::try_from(14).unwrap();
        let mut leaves = leaves(&[14, 15, 14]);
        assert_eq!((leaves.first_ready(po2), leaves.left(po2)), (Some(0), 2));
        assert!(leaves.start(0) && !leaves.start(0) && !leaves.release(1));
        assert_eq!((leaves.first_ready(po2), leaves.running_count()), (Some(2), 1));
        assert!(leaves.release(0) && !leaves.release(0));
        assert_eq!((leaves.first_ready(po2), leaves.running_count()), (Some(0), 0));
        assert!(leaves.start(0) && leaves.accept(0) && !leaves.accept(0) && !leaves.start(0));
        assert_eq!((leaves.running_count(), leaves.accepted_count(), leaves.left(po2)), (0, 1, 1));
        assert!(leaves.accept(2), "never started, and as good");
        assert_eq!((leaves.first_ready(po2), leaves.left(po2)), (None, 0));
        assert_eq!(leaves.inputs_left().count(), 1);
    }

    #[test]
    fn leaves_come_in_order() {
        let mut leaves = leaves(&[14]);
        let (po2, input) = leaves.ready_input(0).unwrap();
        assert!(!leaves.push(0, po2, input) && !leaves.push(2, po2, input));
        assert_eq!((leaves.count(), leaves.ready_input(1)), (1, None));
    }
}
