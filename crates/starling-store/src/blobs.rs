//! Blob files: immutable bytes named by their Swarm reference, under a disk budget, with owners.
//!
//! It is one of the [`Blobs`], whose rules it keeps on a disk. A blob is in the store either whole and durable, or not at
//! all. It stays as long as a [`Pin`] holds it; what must stay for longer is named by a
//! [root](crate::EventLog::root), which is durable. [`BlobStore::collect`] removes what neither holds.
//!
//! Nothing that comes back from the disk is believed: [`BlobStore::pin`], [`BlobStore::open_blob`] and
//! [`BlobStore::get`] hash the file before it counts. One that is not what its name says is dropped, and counts
//! as missing.
//!
//! A directory belongs to one open store at a time; [`DataDir`](crate::DataDir) sees to that.

mod change;
mod disk;
mod error;
mod layout;
mod ledger;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use starling_blobs::{BlobWriter, Blobs, NoSpace, Pin, Pins, ReadBlob, Sink, StoreError};
use starling_types::{BlobRef, Reference};

use self::{
    layout::Layout,
    ledger::{Ask, Ledger},
    write::Temp,
};
pub use self::{ledger::DiskBudget, read::BlobFile};
use crate::roots::{RootName, RootSets};

/// What a store's bytes are used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Blobs that a root names.
    pub rooted_bytes: u64,
    /// Blobs that no root names and a pin holds: they are on their way to a root, or are read.
    pub pinned_bytes: u64,
    /// Blobs that nothing holds and that are not collected yet.
    pub garbage_bytes: u64,
    /// What is not yet a blob, and what was one and is not yet removed.
    pub changing_bytes: u64,
}

impl Usage {
    /// All of it, which counts against the budget.
    pub fn total_bytes(&self) -> u64 {
        let Self { rooted_bytes, pinned_bytes, garbage_bytes, changing_bytes } = self;
        rooted_bytes + pinned_bytes + garbage_bytes + changing_bytes
    }
}

/// Blobs in a directory. Clones share one store; all operations block.
#[derive(Debug, Clone)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    /// Locked before the roots and the pins, where several are. Nothing under the lock waits for the disk.
    ledger: Mutex<Ledger>,
    /// Told whenever a file that was being changed is changed.
    changed: Condvar,
    /// Held by a collection: one at a time, so that what was let go before it is gone after it.
    collecting: Mutex<()>,
    pins: Pins,
    roots: Arc<RootSets>,
}

impl BlobStore {
    /// Opens the store in `dir`, which is created if need be. No root holds its blobs: it keeps nothing that is
    /// not pinned, and so nothing of an earlier process.
    ///
    /// Files that were never finished are removed. A store that is over its budget opens, but takes nothing
    /// more.
    ///
    /// # Errors
    /// When `dir` cannot be created, listed or cleaned.
    pub fn open(dir: &Path, budget: DiskBudget) -> Result<Self, StoreError> {
        Self::open_rooted(dir, budget, Arc::default())
    }

    /// As [`Self::open`], with what `roots` name kept.
    pub(crate) fn open_rooted(
        dir: &Path,
        budget: DiskBudget,
        roots: Arc<RootSets>,
    ) -> Result<Self, StoreError> {
        let layout = Layout::create(dir)?;
        let ledger = layout.scan(budget)?;
        let pins = Pins::default();
        // Whatever an earlier process left there.
        pins.note_let_go(ledger.blobs().map(|blob| blob.reference));
        let shared = Shared {
            layout,
            ledger: Mutex::new(ledger),
            changed: Condvar::new(),
            collecting: Mutex::default(),
            pins,
            roots,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// As [`Blobs::put`], durably.
    ///
    /// # Errors
    /// As there.
    pub fn put(&self, bytes: &[u8]) -> Result<Pin, StoreError> {
        Blobs::put(self, bytes)
    }

    /// As [`Blobs::writer`].
    ///
    /// # Errors
    /// When no file can be created.
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        Blobs::writer(self)
    }

    /// As [`Blobs::pin`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pin(&self, reference: Reference) -> Result<Option<Pin>, StoreError> {
        Blobs::pin(self, reference)
    }

    /// Removes every blob that neither a pin nor a root holds; the number of bytes freed. What it costs follows from what
    /// was let go since the last time, not from what is stored.
    ///
    /// It may run beside anything else that this process does with the store and its roots.
    ///
    /// # Errors
    /// When a file cannot be removed: the first of such errors. All others are gone by then, and that one is tried again the
    /// next time.
    pub fn collect(&self) -> Result<u64, StoreError> {
        let Shared { collecting, pins, roots, .. } = &*self.shared;
        let _turn = collecting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut let_go = pins.take_let_go();
        let_go.append(&mut roots.take_let_go());
        let (mut freed_bytes, mut failed) = (0, None);
        for reference in let_go {
            match self.shared.remove_garbage(reference) {
                Ok(size_bytes) => freed_bytes += size_bytes,
                Err(error) => {
                    pins.note_let_go([reference]);
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(freed_bytes), Err)
    }

    /// Why a blob of `size_bytes` would not fit now, with `spare_bytes` left for others; `None` when it would. Nothing is
    /// promised by that.
    ///
    /// # Errors
    /// When the disk can't be asked for its free space.
    pub fn no_room_for(
        &self,
        size_bytes: u64,
        spare_bytes: u64,
    ) -> Result<Option<NoSpace>, StoreError> {
        let disk = self.shared.layout.disk()?;
        let ask = Ask { needed_bytes: size_bytes, extra_bytes: size_bytes, spare_bytes };
        Ok(self.shared.ledger().refusal(ask, disk))
    }

    /// All blobs that are there, in the order of their names.
    pub fn list(&self) -> Vec<BlobRef> {
        self.shared.ledger().blobs().collect()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.shared.layout.dir()
    }

    /// How much disk blobs may take.
    pub fn budget(&self) -> DiskBudget {
        self.shared.ledger().budget()
    }

    /// The most that blobs can ever use, in bytes: by the budget, and on an empty disk of this size.
    ///
    /// # Errors
    /// When the disk can't be asked for its size.
    pub fn limit_bytes(&self) -> Result<u64, StoreError> {
        let DiskBudget { max_bytes, min_free_bytes } = self.budget();
        let size_bytes = self.shared.layout.disk()?.size_bytes;
        Ok(max_bytes.min(size_bytes.saturating_sub(min_free_bytes)))
    }

    /// What the blobs take that stay under `root`, in bytes. It walks them.
    pub fn bytes_under(&self, root: &RootName) -> u64 {
        let named = self.shared.roots.get(root);
        let ledger = self.shared.ledger();
        named.into_iter().filter_map(|reference| ledger.size_of(reference)).sum()
    }

    /// What the used bytes are used for. It walks all blobs: meant for people.
    pub fn usage(&self) -> Usage {
        let Shared { pins, roots, .. } = &*self.shared;
        let ledger = self.shared.ledger();
        let mut usage = Usage { changing_bytes: ledger.changing_bytes(), ..Usage::default() };
        for BlobRef { reference, size_bytes } in ledger.blobs() {
            *match (roots.hold(reference), pins.hold(reference)) {
                (true, _) => &mut usage.rooted_bytes,
                (false, true) => &mut usage.pinned_bytes,
                (false, false) => &mut usage.garbage_bytes,
            } += size_bytes;
        }
        usage
    }

    /// What counts against the budget, in bytes: blobs, and the space taken by blobs on their way.
    pub fn used_bytes(&self) -> u64 {
        self.shared.ledger().used_bytes()
    }
}

impl Blobs for BlobStore {
    fn sink(&self) -> Result<Box<dyn Sink>, StoreError> {
        Ok(Box::new(Temp::new(&self.shared)?))
    }

    fn open(&self, reference: Reference) -> Result<Option<Box<dyn ReadBlob>>, StoreError> {
        let file = self.open_blob(reference)?;
        Ok(file.map(|file| Box::new(file) as Box<dyn ReadBlob>))
    }

    fn collect(&self) -> Result<u64, StoreError> {
        Self::collect(self)
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing under the lock panics half-way through a change.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, ask: Ask) -> Result<(), StoreError> {
        let mut ledger = self.ledger();
        // A look at the disk that waits for nothing. Within the lock: two must not rely on the same space.
        let disk = self.layout.disk()?;
        match ledger.refusal(ask, disk) {
            Some(refusal) => Err(refusal.into()),
            None => {
                ledger.reserve(ask.extra_bytes);
                Ok(())
            }
        }
    }
}
