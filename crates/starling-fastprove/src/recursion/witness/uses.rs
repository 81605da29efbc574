//! The order in which the circuit looks at the memory: by address, each as often as it is used.

use risc0_zkp::field::Elem as _;
use risc0_zkp::field::baby_bear::BabyBearElem as Elem;

/// Walks through all uses of the memory, sorted by address.
#[derive(Clone)]
pub(super) struct SortedUses<'a> {
    counts: &'a [u32],
    /// The address of the use before, if there was one.
    address: usize,
    /// Uses of that address that are still to come.
    left: u32,
    encoded: Elem,
}

/// Where each address begins among the sorted uses.
pub(super) struct Firsts(Vec<u32>);

impl Firsts {
    pub fn new(counts: &[u32]) -> Self {
        let mut sum = 0;
        let first = |count: &u32| {
            let first = sum;
            sum += count;
            first
        };
        Self(counts.iter().map(first).collect())
    }

    /// The uses from the `position`th on.
    pub fn uses_from<'a>(&self, counts: &'a [u32], position: usize) -> SortedUses<'a> {
        // The address of the use before, whose first is before or at `position - 1`.
        let address =
            self.0.partition_point(|&first| (first as usize) < position).saturating_sub(1);
        let left = self.0[address] + counts[address] - position as u32;
        SortedUses { counts, address, left, encoded: Elem::new(address as u32) }
    }
}

impl SortedUses<'_> {
    /// The address of the next use.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub fn next(&mut self) -> usize {
        while self.left == 0 {
            self.address += 1;
            self.encoded += Elem::ONE;
            self.left = self.counts[self.address];
        }
        self.left -= 1;
        self.address
    }

    /// The address that [`SortedUses::next`] returned last.
    pub fn address(&self) -> usize {
        self.address
    }

    /// That as an element.
    pub fn encoded(&self) -> Elem {
        self.encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_comes_as_often_as_it_is_used_wherever_the_walk_begins() {
        let counts = [3, 1, 4, 1, 0, 2];
        let sorted = [0, 0, 0, 1, 2, 2, 2, 2, 3, 5, 5];
        let firsts = Firsts::new(&counts);
        for begin in 0..sorted.len() {
            let mut uses = firsts.uses_from(&counts, begin);
            for &address in &sorted[begin..] {
                assert_eq!(uses.next(), address);
                assert_eq!(uses.encoded(), Elem::new(address as u32));
            }
        }
    }
}
