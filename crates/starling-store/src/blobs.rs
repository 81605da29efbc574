//! Blob files: immutable bytes named by their Swarm reference, under a disk budget, with owners.
//!
//! Blobs enter through [`BlobStore::put`] (bytes at hand), [`BlobStore::writer`] (bytes of unknown
//! length) and [`BlobStore::receive`] (named bytes from a sender that is not trusted). A blob is in the
//! store either whole and durable, or not at all, and space is taken as bytes arrive, never on a word.
//!
//! Each of them returns a [`Pin`]: as long as it lives, the blob stays. What must stay for longer is named
//! by a [root](crate::EventLog::root), which is durable. [`BlobStore::collect`] removes what neither holds,
//! and nothing else removes a blob.
//!
//! Nothing that comes back from the disk is believed: [`BlobStore::pin`], [`BlobStore::open_blob`] and
//! [`BlobStore::get`] hash the file before it counts. One that is not what its name says is dropped, and counts
//! as missing.
//!
//! A directory belongs to one open store at a time; [`DataDir`](crate::DataDir) sees to that.

mod error;
mod layout;
mod ledger;
mod pin;
mod read;
mod receive;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_files::sync_dir;
use starling_swarm::reference_of;
use starling_types::BlobRef;

use self::{
    error::IoContext,
    layout::Layout,
    ledger::{Ask, Ledger},
    write::{Reservation, Temp},
};
pub use self::{
    error::{NoSpace, ReceiveError, StoreError},
    ledger::DiskBudget,
    pin::Pin,
    read::BlobFile,
    receive::Incoming,
    write::BlobWriter,
};
use crate::roots::RootSets;

/// The size of the pieces that [`BlobStore::put_file`] copies in: large enough that the calls do not
/// count, and small beside anything else in memory.
const COPY_SIZE_BYTES: usize = 256 * 1024;

/// Blobs in a directory. Clones share one store; all operations block.
#[derive(Debug, Clone)]
pub struct BlobStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    /// Locked before the roots, where both are.
    ledger: Mutex<Ledger>,
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
        Ok(Self { shared: Arc::new(Shared { layout, ledger, roots }) })
    }

    /// Stores `bytes` durably. A sound blob that is there already is not written again.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when they do not fit; nothing of them stays then.
    pub fn put(&self, bytes: &[u8]) -> Result<Pin, StoreError> {
        let blob = BlobRef { reference: reference_of(bytes), size_bytes: bytes.len() as u64 };
        if let Some(pin) = self.pin(blob.reference)? {
            return Ok(pin);
        }
        let mut temp = Temp::new(&self.shared)?;
        temp.append(bytes)?;
        temp.store_as(blob)
    }

    /// Stores a copy of the file at `path`, of any size.
    ///
    /// # Errors
    /// As [`Self::put`], and when the file cannot be read.
    pub fn put_file(&self, path: &Path) -> Result<Pin, StoreError> {
        let mut file = File::open(path).context("open", path)?;
        let mut writer = self.writer()?;
        writer.reserve(file.metadata().context("look at", path)?.len())?;
        let mut buffer = vec![0; COPY_SIZE_BYTES];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return writer.finish(),
                Ok(read_bytes) => writer.append(&buffer[..read_bytes])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("read", path),
            }
        }
    }

    /// Takes a blob of unknown name and length, piece by piece.
    ///
    /// # Errors
    /// When no file can be created.
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        BlobWriter::new(&self.shared)
    }

    /// Takes the blob `blob` from one sender, from its first byte to its last.
    ///
    /// # Errors
    /// When no file can be created.
    pub fn receive(&self, blob: BlobRef) -> Result<Incoming, StoreError> {
        Ok(Incoming::new(blob, self.writer()?))
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
        let garbage = self.shared.roots.unnamed(ledger.unpinned());
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
