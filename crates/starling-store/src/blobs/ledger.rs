//! The books of a blob store: what is stored, what is promised, and whether more fits. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use starling_types::Reference;

use super::error::NoSpace;

/// How much disk blobs may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskBudget {
    /// The most that blobs may use, in bytes.
    pub max_bytes: u64,
    /// What must stay free on the disk that holds them, in bytes.
    pub min_free_bytes: u64,
}

impl DiskBudget {
    /// What stays free whatever the budget says, so that logs can always be written.
    pub const MIN_FREE_BYTES: u64 = 256 << 20;

    /// A budget of `max_bytes` that keeps [`Self::MIN_FREE_BYTES`] free.
    pub fn up_to(max_bytes: u64) -> Self {
        Self { max_bytes, min_free_bytes: Self::MIN_FREE_BYTES }
    }
}

/// The part of a blob that an interrupted receive left, and that nobody is receiving now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial {
    pub size_bytes: u64,
    pub touched: SystemTime,
}

/// What a store holds. Every byte on disk is counted once: as stored, as partial, or as reserved.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: DiskBudget,
    blobs: BTreeMap<Reference, u64>,
    stored_bytes: u64,
    partials: BTreeMap<Reference, Partial>,
    partial_bytes: u64,
    receiving: BTreeSet<Reference>,
    /// Promised to blobs on their way, whether written yet or not.
    reserved_bytes: u64,
    /// The share of `reserved_bytes` that is not written yet, so that the disk still counts it as free.
    pending_bytes: u64,
}

impl Ledger {
    pub fn new(budget: DiskBudget) -> Self {
        Self {
            budget,
            blobs: BTreeMap::new(),
            stored_bytes: 0,
            partials: BTreeMap::new(),
            partial_bytes: 0,
            receiving: BTreeSet::new(),
            reserved_bytes: 0,
            pending_bytes: 0,
        }
    }

    pub fn used_bytes(&self) -> u64 {
        self.stored_bytes + self.partial_bytes + self.reserved_bytes
    }

    pub fn size_of(&self, reference: Reference) -> Option<u64> {
        self.blobs.get(&reference).copied()
    }

    pub fn insert_blob(&mut self, reference: Reference, size_bytes: u64) {
        self.remove_blob(reference);
        self.blobs.insert(reference, size_bytes);
        self.stored_bytes += size_bytes;
    }

    /// The size of the blob that was removed.
    pub fn remove_blob(&mut self, reference: Reference) -> Option<u64> {
        let size_bytes = self.blobs.remove(&reference)?;
        self.stored_bytes -= size_bytes;
        Some(size_bytes)
    }

    pub fn blobs(&self) -> impl Iterator<Item = Reference> + '_ {
        self.blobs.keys().copied()
    }

    pub fn insert_partial(&mut self, reference: Reference, partial: Partial) {
        self.remove_partial(reference);
        self.partials.insert(reference, partial);
        self.partial_bytes += partial.size_bytes;
    }

    /// The size of the partial that was removed.
    pub fn remove_partial(&mut self, reference: Reference) -> Option<u64> {
        let partial = self.partials.remove(&reference)?;
        self.partial_bytes -= partial.size_bytes;
        Some(partial.size_bytes)
    }

    /// The partials that were last touched before `before`.
    pub fn partials_before(&self, before: SystemTime) -> Vec<Reference> {
        let old = self.partials.iter().filter(|(_, partial)| partial.touched < before);
        old.map(|(reference, _)| *reference).collect()
    }

    pub fn oldest_partial(&self) -> Option<Reference> {
        let oldest = self.partials.iter().min_by_key(|(_, partial)| partial.touched)?;
        Some(*oldest.0)
    }

    /// Moves the partial, if there is one, into what is reserved, and returns its size; `None` when the
    /// blob is being received already.
    pub fn begin_receive(&mut self, reference: Reference) -> Option<u64> {
        if !self.receiving.insert(reference) {
            return None;
        }
        let partial_bytes = self.remove_partial(reference).unwrap_or(0);
        self.reserved_bytes += partial_bytes;
        Some(partial_bytes)
    }

    pub fn end_receive(&mut self, reference: Reference) {
        self.receiving.remove(&reference);
    }

    /// Why `extra_bytes` more, for a blob of `needed_bytes`, do not fit on a disk with `free_bytes`.
    ///
    /// With `evicting`, the answer is for a store that has given up all its partials.
    pub fn refusal(&self, ask: Ask, free_bytes: u64, evicting: bool) -> Option<NoSpace> {
        let evictable = if evicting { self.partial_bytes } else { 0 };
        let used_bytes = self.used_bytes() - evictable;
        if used_bytes.checked_add(ask.extra_bytes).is_none_or(|sum| sum > self.budget.max_bytes) {
            return Some(NoSpace::Budget {
                needed_bytes: ask.needed_bytes,
                // What the blob itself has reserved so far is no other blob's use.
                used_bytes: used_bytes - (ask.needed_bytes - ask.extra_bytes).min(used_bytes),
                max_bytes: self.budget.max_bytes,
            });
        }
        let free_bytes = free_bytes.saturating_add(evictable).saturating_sub(self.pending_bytes);
        if free_bytes.saturating_sub(self.budget.min_free_bytes) < ask.extra_bytes {
            return Some(NoSpace::MinFree {
                needed_bytes: ask.needed_bytes,
                free_bytes,
                min_free_bytes: self.budget.min_free_bytes,
            });
        }
        None
    }

    /// Promises bytes that [`Self::refusal`] had nothing against.
    pub fn reserve(&mut self, extra_bytes: u64) {
        self.reserved_bytes += extra_bytes;
        self.pending_bytes += extra_bytes;
    }

    /// Notes that reserved bytes were written, so that the disk counts them itself.
    pub fn written(&mut self, bytes: u64) {
        self.pending_bytes -= bytes;
    }

    /// Takes a promise back.
    pub fn release(&mut self, reserved_bytes: u64, pending_bytes: u64) {
        self.reserved_bytes -= reserved_bytes;
        self.pending_bytes -= pending_bytes;
    }
}

/// A request for space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// The size of the blob, as far as known.
    pub needed_bytes: u64,
    /// What of it is not reserved yet.
    pub extra_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: DiskBudget = DiskBudget { max_bytes: 100, min_free_bytes: 10 };

    fn ask(bytes: u64) -> Ask {
        Ask { needed_bytes: bytes, extra_bytes: bytes }
    }

    #[test]
    fn promised_bytes_count_against_the_budget_and_the_disk_until_released() {
        let mut ledger = Ledger::new(BUDGET);
        assert_eq!(ledger.refusal(ask(100), 110, false), None);
        ledger.reserve(60);
        let budget = NoSpace::Budget { needed_bytes: 41, used_bytes: 60, max_bytes: 100 };
        assert_eq!(ledger.refusal(ask(41), 1000, false), Some(budget));
        let disk = NoSpace::MinFree { needed_bytes: 40, free_bytes: 49, min_free_bytes: 10 };
        assert_eq!(ledger.refusal(ask(40), 109, false), Some(disk));
        // Once written, the disk's own count covers the bytes.
        ledger.written(60);
        assert_eq!(ledger.refusal(ask(40), 50, false), None);
        ledger.release(60, 0);
        assert_eq!(ledger.used_bytes(), 0);
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        let mut ledger = Ledger::new(DiskBudget { max_bytes: u64::MAX, min_free_bytes: 0 });
        ledger.insert_blob(Reference([1; 32]), 1);
        assert!(ledger.refusal(ask(u64::MAX), u64::MAX, false).is_some());
    }

    #[test]
    fn partials_count_as_used_but_can_be_given_up() {
        let mut ledger = Ledger::new(BUDGET);
        let partial = Partial { size_bytes: 70, touched: SystemTime::UNIX_EPOCH };
        ledger.insert_partial(Reference([1; 32]), partial);
        assert!(ledger.refusal(ask(50), 1000, false).is_some());
        assert_eq!(ledger.refusal(ask(50), 1000, true), None);
    }
}
