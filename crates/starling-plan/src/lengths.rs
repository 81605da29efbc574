//! The longest run of neighbouring pieces, for merges of many at once.
//!
//! A *run* is a maximal sequence of pieces in which each begins where the one before ends. Wide merges are cheap beside
//! the leaves, so the rule is plain: merge as many as may be merged at once, from the front of a longest run. Merges are
//! taken from the front of a run, which costs O(log n); only a piece that is taken out of the middle of one, for a late
//! result or a revoked one, costs the length of what follows it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use starling_types::IndexRange;

/// Neighbouring pieces: a run, or the end of one. The longest comes first, ties to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stretch {
    pub(crate) piece_count: Reverse<u32>,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The runs of a frontier.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lengths {
    /// By where a run starts: where it ends, and its pieces.
    runs: BTreeMap<u32, (u32, u32)>,
    /// Runs of at least two pieces, longest first, ties to the left.
    by_length: BTreeSet<(Reverse<u32>, u32)>,
}

impl Lengths {
    /// The runs of at least two pieces, longest first.
    pub(crate) fn longest_first(&self) -> impl Iterator<Item = Stretch> + '_ {
        let end = |start: &u32| self.runs.get(start).map_or(*start, |(end, _)| *end);
        self.by_length.iter().map(move |(piece_count, start)| Stretch {
            piece_count: *piece_count,
            start: *start,
            end: end(start),
        })
    }

    /// Adds a piece that no run overlaps.
    pub(crate) fn insert(&mut self, piece: IndexRange) {
        let (mut start, mut end, mut count) = (piece.start(), piece.end(), 1);
        let before = self.runs.range(..start).next_back().map(|(start, (end, _))| (*start, *end));
        if let Some((left, _)) = before.filter(|(_, end)| *end == start) {
            count += self.take(left).1;
            start = left;
        }
        if self.runs.contains_key(&end) {
            let (right_end, right_count) = self.take(end);
            (end, count) = (right_end, count + right_count);
        }
        self.put(start, end, count);
    }

    /// Takes a piece out of its run. `count` counts the pieces of a range of what is left.
    pub(crate) fn remove(&mut self, piece: IndexRange, count: impl Fn(IndexRange) -> u32) {
        let run = self.runs.range(..=piece.start()).next_back().map(|(start, _)| *start);
        let Some(start) = run else { return };
        let (end, all) = self.take(start);
        let mut right_count = all - 1;
        if let Some(left) = IndexRange::new(start, piece.start()) {
            let right = IndexRange::new(piece.end(), end);
            right_count = right.map_or(0, count);
            self.put(start, left.end(), all - 1 - right_count);
        }
        if right_count > 0 {
            self.put(piece.end(), end, right_count);
        }
    }

    fn put(&mut self, start: u32, end: u32, count: u32) {
        self.runs.insert(start, (end, count));
        if count > 1 {
            self.by_length.insert((Reverse(count), start));
        }
    }

    fn take(&mut self, start: u32) -> (u32, u32) {
        let (end, count) = self.runs.remove(&start).unwrap_or((start, 0));
        self.by_length.remove(&(Reverse(count), start));
        (end, count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_longest_run_is_the_one_that_a_scan_finds(
            toggles in proptest::collection::vec(0u32..30, 1..200),
        ) {
            let mut pieces: BTreeSet<u32> = BTreeSet::new();
            let mut lengths = Lengths::default();
            for index in toggles {
                if pieces.remove(&index) {
                    lengths.remove(IndexRange::single(index), |range| {
                        pieces.range(range.start()..range.end()).count() as u32
                    });
                } else {
                    pieces.insert(index);
                    lengths.insert(IndexRange::single(index));
                }
                let length = |start: u32| (start..).take_while(|at| pieces.contains(at)).count();
                let starts = pieces.iter().filter(|at| **at == 0 || !pieces.contains(&(**at - 1)));
                let longest = starts.map(|at| (Reverse(length(*at)), *at)).min();
                let expected = longest.filter(|(length, _)| length.0 > 1).map(|(_, start)| start);
                prop_assert_eq!(lengths.longest_first().next().map(|run| run.start), expected);
            }
        }
    }
}
