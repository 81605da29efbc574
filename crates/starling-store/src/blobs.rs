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

mod error;
mod layout;
mod ledger;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_blobs::{BlobWriter, Blobs, Pin, Pins, ReadBlob, Sink, StoreError};
use starling_files::sync_dir;
use starling_types::{BlobRef, Reference};

use self::{
    error::IoContext as _,
    layout::Layout,
    ledger::{Ask, Ledger},
    write::{Reservation, Temp},
};
pub use self::{ledger::DiskBudget, read::BlobFile};
use crate::roots::RootSets;

/// Blobs in a directory. Clones share one store; all operations block.
#[derive(Debug, Clone)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    /// Locked before the roots and the pins, where several are.
    ledger: Mutex<Ledger>,
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
        let ledger = Mutex::new(layout.scan(budget)?);
        Ok(Self { shared: Arc::new(Shared { layout, ledger, pins: Pins::default(), roots }) })
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

    /// Removes every blob that neither a pin nor a root holds; the number of bytes freed.
    ///
    /// It may run beside anything else that this process does with the store and its roots.
    ///
    /// # Errors
    /// When a file cannot be removed; others may be gone by then.
    pub fn collect(&self) -> Result<u64, StoreError> {
        // The ledger first: a blob whose pin is gone by now is named by its root already.
        let mut ledger = self.shared.ledger();
        let is_unpinned = |reference: &Reference| !self.shared.pins.hold(*reference);
        let unpinned: Vec<_> = ledger.references().filter(is_unpinned).collect();
        let garbage = self.shared.roots.unnamed(unpinned.into_iter());
        let mut freed_bytes = 0;
        for reference in garbage {
            let path = self.shared.layout.blob_path(reference);
            remove_if_there(&path).context("remove", &path)?;
            freed_bytes += ledger.remove_blob(reference).unwrap_or(0);
        }
        Ok(freed_bytes)
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
        let dir = self.layout.dir();
        let mut ledger = self.ledger();
        let free_bytes = layout::free_bytes(dir).context("ask for the free space of", dir)?;
        match ledger.refusal(ask, free_bytes) {
            Some(refusal) => Err(refusal.into()),
            None => {
                ledger.reserve(ask.extra_bytes);
                Ok(())
            }
        }
    }

    /// Moves a finished, synced file to its place as `blob`, durably; its space is no longer reserved,
    /// but used.
    fn settle(
        &self,
        blob: BlobRef,
        space: &mut Reservation,
        rename_to: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let path = self.layout.blob_path(blob.reference);
        // Locked throughout, the sync included: a blob that others see is one that survives a power cut.
        let mut ledger = self.ledger();
        let shard = self.layout.create_shard(&path).context("create the directory of", &path)?;
        rename_to(&path).context("move a blob to", &path)?;
        space.release(&mut ledger);
        ledger.insert_blob(blob);
        if let Err(error) = sync_dir(&shard) {
            remove_if_there(&path).context("remove", &path)?;
            ledger.remove_blob(blob.reference);
            return Err(error).context("sync", &shard);
        }
        Ok(())
    }
}

/// Removes a file; one that is gone already is no error.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
