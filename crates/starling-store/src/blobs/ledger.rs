//! The books of a blob store: what is stored, what is promised, and whether more fits. Pure.

use std::collections::BTreeMap;

use starling_blobs::NoSpace;
use starling_types::{BlobRef, Reference};

use super::read::Stamp;

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

/// A blob that is stored.
#[derive(Debug)]
struct Stored {
    size_bytes: u64,
    /// What its file looked like when it was last found sound.
    checked: Option<Stamp>,
}

/// What a store holds. Every byte on disk is counted once: as stored, or as reserved.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: DiskBudget,
    blobs: BTreeMap<Reference, Stored>,
    stored_bytes: u64,
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
            reserved_bytes: 0,
            pending_bytes: 0,
        }
    }

    pub fn used_bytes(&self) -> u64 {
        self.stored_bytes + self.reserved_bytes
    }

    pub fn size_of(&self, reference: Reference) -> Option<u64> {
        self.blobs.get(&reference).map(|stored| stored.size_bytes)
    }

    pub fn insert_blob(&mut self, blob: BlobRef) {
        self.remove_blob(blob.reference);
        self.blobs.insert(blob.reference, Stored { size_bytes: blob.size_bytes, checked: None });
        self.stored_bytes += blob.size_bytes;
    }

    /// The size of the blob that was removed.
    pub fn remove_blob(&mut self, reference: Reference) -> Option<u64> {
        let Stored { size_bytes, .. } = self.blobs.remove(&reference)?;
        self.stored_bytes -= size_bytes;
        Some(size_bytes)
    }

    /// What the file of a blob looked like when it was last found sound.
    pub fn checked(&self, reference: Reference) -> Option<Stamp> {
        self.blobs.get(&reference)?.checked
    }

    pub fn set_checked(&mut self, reference: Reference, stamp: Stamp) {
        if let Some(stored) = self.blobs.get_mut(&reference) {
            stored.checked = Some(stamp);
        }
    }

    /// All blobs that are stored.
    pub fn references(&self) -> impl Iterator<Item = Reference> + '_ {
        self.blobs.keys().copied()
    }

    /// Why `extra_bytes` more, for a blob of `needed_bytes`, do not fit on a disk with `free_bytes`.
    pub fn refusal(&self, ask: Ask, free_bytes: u64) -> Option<NoSpace> {
        let used_bytes = self.used_bytes();
        if used_bytes.checked_add(ask.extra_bytes).is_none_or(|sum| sum > self.budget.max_bytes) {
            return Some(NoSpace::Budget {
                needed_bytes: ask.needed_bytes,
                // What the blob itself has reserved so far is no other blob's use.
                used_bytes: used_bytes - (ask.needed_bytes - ask.extra_bytes).min(used_bytes),
                max_bytes: self.budget.max_bytes,
            });
        }
        let free_bytes = free_bytes.saturating_sub(self.pending_bytes);
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
        assert_eq!(ledger.refusal(ask(100), 110), None);
        ledger.reserve(60);
        let budget = NoSpace::Budget { needed_bytes: 41, used_bytes: 60, max_bytes: 100 };
        assert_eq!(ledger.refusal(ask(41), 1000), Some(budget));
        let disk = NoSpace::MinFree { needed_bytes: 40, free_bytes: 49, min_free_bytes: 10 };
        assert_eq!(ledger.refusal(ask(40), 109), Some(disk));
        // Once written, the disk's own count covers the bytes.
        ledger.written(60);
        assert_eq!(ledger.refusal(ask(40), 50), None);
        ledger.release(60, 0);
        assert_eq!(ledger.used_bytes(), 0);
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        let mut ledger = Ledger::new(DiskBudget { max_bytes: u64::MAX, min_free_bytes: 0 });
        ledger.insert_blob(BlobRef { reference: Reference([1; 32]), size_bytes: 1 });
        assert!(ledger.refusal(ask(u64::MAX), u64::MAX).is_some());
    }
}
