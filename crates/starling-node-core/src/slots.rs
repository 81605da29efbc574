//! The slots of a node and the memory that they share.
//!
//! Both are taken before a lease is accepted, and given back when nothing of it runs any more. So a node never
//! works on more than it said it could hold, also when several clients grant it leases that would fit one by one.

use starling_types::MemoryBytes;

use crate::event::WorkId;

/// What nothing works with at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unused {
    pub(crate) slots: usize,
    pub(crate) memory: MemoryBytes,
}

/// The slots, each with what works in it.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    taken: Vec<Option<(WorkId, MemoryBytes)>>,
    memory: MemoryBytes,
}

impl Slots {
    pub(crate) fn new(count: u32, memory: MemoryBytes) -> Self {
        Self { taken: vec![None; count.max(1) as usize], memory }
    }

    /// How many slots there are.
    pub(crate) fn count(&self) -> usize {
        self.taken.len()
    }

    pub(crate) fn memory(&self) -> MemoryBytes {
        self.memory
    }

    pub(crate) fn free(&self) -> Unused {
        let used: u64 = self.taken.iter().flatten().map(|(_, memory)| memory.0).sum();
        Unused {
            slots: self.taken.iter().filter(|slot| slot.is_none()).count(),
            memory: MemoryBytes(self.memory.0.saturating_sub(used)),
        }
    }

    /// Whether a slot is free, and this much memory.
    pub(crate) fn has_room(&self, memory: MemoryBytes) -> bool {
        let free = self.free();
        free.slots > 0 && memory <= free.memory
    }

    /// A slot with `memory` for `work`, if there is one and there is as much.
    pub(crate) fn take(&mut self, work: WorkId, memory: MemoryBytes) -> Option<usize> {
        if !self.has_room(memory) {
            return None;
        }
        let slot = self.taken.iter().position(Option::is_none)?;
        self.taken[slot] = Some((work, memory));
        Some(slot)
    }

    pub(crate) fn give_back(&mut self, slot: usize) {
        self.taken[slot] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_taken_with_its_memory_and_given_back_with_it() {
        let mut slots = Slots::new(2, MemoryBytes(100));
        assert_eq!(slots.take(WorkId(1), MemoryBytes(60)), Some(0));
        assert_eq!(
            slots.take(WorkId(2), MemoryBytes(60)),
            None,
            "a slot is free, its memory is not"
        );
        assert_eq!(slots.take(WorkId(3), MemoryBytes(40)), Some(1));
        assert_eq!(slots.take(WorkId(4), MemoryBytes(0)), None, "memory is free, no slot is");
        slots.give_back(0);
        assert_eq!(slots.free(), Unused { slots: 1, memory: MemoryBytes(60) });
        assert_eq!(slots.take(WorkId(5), MemoryBytes(60)), Some(0));
    }
}
