//! The books of a blob store: what is stored, what is promised, and whether more fits. Pure.

use std::collections::{BTreeMap, BTreeSet};

use starling_blobs::NoSpace;
use starling_types::{BlobRef, Reference};

use super::{disk::Disk, read::Stamp};

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

/// What a store holds. Every byte on disk is counted once: as stored, as reserved, or as departing.
#[derive(Debug)]
pub(super) struct Ledger {
    budget: DiskBudget,
    blobs: BTreeMap<Reference, Stored>,
    stored_bytes: u64,
    /// Promised to blobs on their way, whether written yet or not.
    reserved_bytes: u64,
    /// The share of `reserved_bytes` that is not written yet, so that the disk still counts it as free.
    pending_bytes: u64,
    /// Of former blobs whose files are being removed.
    departing_bytes: u64,
    /// Blobs whose files are being changed.
    claimed: BTreeSet<Reference>,
}

impl Ledger {
    pub fn new(budget: DiskBudget) -> Self {
        Self {
            budget,
            blobs: BTreeMap::new(),
            stored_bytes: 0,
            reserved_bytes: 0,
            pending_bytes: 0,
            departing_bytes: 0,
            claimed: BTreeSet::new(),
        }
    }

    pub fn used_bytes(&self) -> u64 {
        self.stored_bytes + self.changing_bytes()
    }

    /// What is used by no blob: by those on their way in or out.
    pub fn changing_bytes(&self) -> u64 {
        self.reserved_bytes + self.departing_bytes
    }

    pub fn budget(&self) -> DiskBudget {
        self.budget
    }

    /// Whether the caller is the one who changes the blob's file from now on.
    #[must_use]
    pub fn take_claim(&mut self, reference: Reference) -> bool {
        self.claimed.insert(reference)
    }

    pub fn give_back_claim(&mut self, reference: Reference) {
        self.claimed.remove(&reference);
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

    /// Strikes a blob out whose file is to be removed; its size, which is used until it has [departed](Self::departed).
    pub fn depart(&mut self, reference: Reference) -> Option<u64> {
        let size_bytes = self.remove_blob(reference)?;
        self.departing_bytes += size_bytes;
        Some(size_bytes)
    }

    /// Notes that the file of so many bytes is gone.
    pub fn departed(&mut self, size_bytes: u64) {
        self.departing_bytes -= size_bytes;
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
    pub fn blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let blobs = self.blobs.iter();
        blobs.map(|(reference, stored)| BlobRef {
            reference: *reference,
            size_bytes: stored.size_bytes,
        })
    }

    /// Why `extra_bytes` more, for a blob of `needed_bytes`, do not fit on `disk`.
    pub fn refusal(&self, ask: Ask, disk: Disk) -> Option<NoSpace> {
        let used_bytes = self.used_bytes();
        let wanted_bytes = ask.extra_bytes.saturating_add(ask.spare_bytes);
        if used_bytes.checked_add(wanted_bytes).is_none_or(|sum| sum > self.budget.max_bytes) {
            return Some(NoSpace::Budget {
                needed_bytes: ask.needed_bytes,
                // What the blob itself has reserved so far is not used by another blob.
                used_bytes: used_bytes - (ask.needed_bytes - ask.extra_bytes).min(used_bytes),
                max_bytes: self.budget.max_bytes,
            });
        }
        if disk.has_no_inodes() {
            return Some(NoSpace::NoInodes);
        }
        let free_bytes = disk.free_bytes.saturating_sub(self.pending_bytes);
        if free_bytes.saturating_sub(self.budget.min_free_bytes) < wanted_bytes {
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
    /// What is to be left for others.
    pub spare_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: DiskBudget = DiskBudget { max_bytes: 100, min_free_bytes: 10 };

    fn ask(bytes: u64) -> Ask {
        Ask { needed_bytes: bytes, extra_bytes: bytes, spare_bytes: 0 }
    }

    fn free(bytes: u64) -> Disk {
        Disk::with_free_bytes(bytes)
    }

    #[test]
    fn a_disk_that_takes_no_more_files_has_no_room_however_many_bytes_are_free() {
        let ledger = Ledger::new(BUDGET);
        let disk = |free_inodes| Disk { free_inodes, ..free(1000) };
        assert_eq!(ledger.refusal(ask(1), disk(Some(0))), Some(NoSpace::NoInodes));
        for free_inodes in [Some(1), None] {
            assert_eq!(ledger.refusal(ask(1), disk(free_inodes)), None);
        }
    }

    #[test]
    fn promised_bytes_count_against_the_budget_and_the_disk_until_released() {
        let mut ledger = Ledger::new(BUDGET);
        assert_eq!(ledger.refusal(ask(100), free(110)), None);
        ledger.reserve(60);
        let budget = NoSpace::Budget { needed_bytes: 41, used_bytes: 60, max_bytes: 100 };
        assert_eq!(ledger.refusal(ask(41), free(1000)), Some(budget));
        let disk = NoSpace::MinFree { needed_bytes: 40, free_bytes: 49, min_free_bytes: 10 };
        assert_eq!(ledger.refusal(ask(40), free(109)), Some(disk));
        // Once written, the disk's own count covers the bytes.
        ledger.written(60);
        assert_eq!(ledger.refusal(ask(40), free(50)), None);
        ledger.release(60, 0);
        assert_eq!(ledger.used_bytes(), 0);
    }

    #[test]
    fn what_is_to_be_left_for_others_counts_as_much_as_what_is_asked_for() {
        let mut ledger = Ledger::new(BUDGET);
        ledger.reserve(60);
        ledger.written(60);
        let spare = |spare_bytes| Ask { spare_bytes, ..ask(30) };
        assert_eq!(ledger.refusal(spare(10), free(50)), None);
        let budget = NoSpace::Budget { needed_bytes: 30, used_bytes: 60, max_bytes: 100 };
        assert_eq!(ledger.refusal(spare(11), free(50)), Some(budget));
        let disk = NoSpace::MinFree { needed_bytes: 30, free_bytes: 49, min_free_bytes: 10 };
        assert_eq!(ledger.refusal(spare(10), free(49)), Some(disk));
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        let mut ledger = Ledger::new(DiskBudget { max_bytes: u64::MAX, min_free_bytes: 0 });
        ledger.insert_blob(BlobRef { reference: Reference([1; 32]), size_bytes: 1 });
        assert!(ledger.refusal(ask(u64::MAX), free(u64::MAX)).is_some());
    }
}
