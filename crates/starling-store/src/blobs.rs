//! Blob files: immutable bytes named by their Swarm reference, under a disk budget.
//!
//! Blobs enter through [`BlobStore::put`] (bytes at hand), [`BlobStore::writer`] (bytes of unknown
//! length) and [`BlobStore::receive`] (named bytes from a sender that is not trusted); each reserves its
//! space first, and a blob is in the store either whole and durable, or not at all. Blobs leave through
//! [`BlobStore::get`], which hashes them again: a file that is not what its name says is never returned.
//!
//! What interrupted receives left is kept to be resumed, but never at the cost of a new blob: when
//! space is short, these partial files go first.
//!
//! A directory belongs to one open store at a time; [`DataDir`](crate::DataDir) sees to that.

mod error;
mod layout;
mod ledger;
mod receive;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use starling_types::{BlobRef, Reference};
use tracing::{debug, warn};

pub(crate) use self::layout::sync_dir;
use self::{
    error::IoContext,
    layout::Layout,
    ledger::{Ask, Ledger},
    receive::remove_if_there,
    write::{Reservation, Temp},
};
pub use self::{
    error::{NoSpace, ReceiveError, StoreError},
    ledger::DiskBudget,
    receive::Incoming,
    write::BlobWriter,
};
use starling_swarm::{ReferenceHasher, reference_of};

/// How long what an interrupted receive left is kept: a day outlives a night with the lid closed, and a
/// holder that was gone for longer seldom comes back.
pub const PARTIAL_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

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
    ledger: Mutex<Ledger>,
}

impl BlobStore {
    /// Opens the store in `dir`, which is created if need be.
    ///
    /// Files that were never finished are removed; those that a receive can go on with stay. A store
    /// that is over its budget opens, but takes nothing more.
    ///
    /// # Errors
    /// When `dir` cannot be created, listed or cleaned.
    pub fn open(dir: &Path, budget: DiskBudget) -> Result<Self, StoreError> {
        let layout = Layout::create(dir)?;
        let ledger = Mutex::new(layout.scan(budget)?);
        Ok(Self { shared: Arc::new(Shared { layout, ledger }) })
    }

    /// Stores `bytes` durably. A blob that is there already is not written again.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when they do not fit; nothing of them stays then.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, StoreError> {
        let blob = BlobRef { reference: reference_of(bytes), size_bytes: bytes.len() as u64 };
        if !self.shared.holds(blob)? {
            let mut temp = Temp::new(&self.shared)?;
            temp.append(bytes)?;
            temp.store_as(&self.shared, blob)?;
        }
        Ok(blob)
    }

    /// Stores a copy of the file at `path`, of any size.
    ///
    /// # Errors
    /// As [`Self::put`], and when the file cannot be read.
    pub fn put_file(&self, path: &Path) -> Result<BlobRef, StoreError> {
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
        BlobWriter::new(self)
    }

    /// Reserves space for a blob and receives it, going on behind what an interrupted receive left.
    ///
    /// A blob that is stored already is received, checked and written anew: ask [`Self::blob`] first.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another [`Incoming`] for the same blob lives, [`StoreError::NoSpace`]
    /// when it does not fit.
    pub fn receive(&self, blob: BlobRef) -> Result<Incoming, StoreError> {
        Incoming::new(self, blob)
    }

    /// The bytes of a blob, checked against its name; `None` when it is not stored. A file that is not
    /// what its name says is removed, and counts as not stored.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] when the blob exceeds `size_bytes_max`.
    pub fn get(
        &self,
        reference: Reference,
        size_bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((size_bytes, mut file)) = self.open_read(reference)? else { return Ok(None) };
        let path = self.shared.layout.blob_path(reference);
        let mut bytes = Vec::new();
        let actual = if size_bytes <= size_bytes_max {
            bytes.reserve_exact(usize::try_from(size_bytes).unwrap_or(0));
            file.take(size_bytes).read_to_end(&mut bytes).context("read", &path)?;
            reference_of(&bytes)
        } else {
            // A damaged file may be too long as well: then it is not the blob that is too large.
            let mut hasher = ReferenceHasher::new();
            io::copy(&mut file, &mut hasher).context("read", &path)?;
            hasher.finish().reference
        };
        if actual != reference {
            warn!(path = %path.display(), "removing a blob file that is not what its name says");
            self.remove(reference)?;
            return Ok(None);
        }
        if size_bytes > size_bytes_max {
            return Err(StoreError::TooLarge { reference, size_bytes, size_bytes_max });
        }
        Ok(Some(bytes))
    }

    /// The size of a blob and its file, to read from the start; `None` when it is not stored.
    ///
    /// The bytes are *not* checked: for a reader that hashes them itself, as every receiving peer does.
    ///
    /// # Errors
    /// When the file is there and cannot be opened.
    pub fn open_read(&self, reference: Reference) -> Result<Option<(u64, File)>, StoreError> {
        let Some(path) = self.path_of(reference) else { return Ok(None) };
        match File::open(&path) {
            Ok(file) => {
                let size_bytes = file.metadata().context("look at", &path)?.len();
                Ok(Some((size_bytes, file)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                warn!(path = %path.display(), "a blob file has disappeared");
                self.shared.ledger().remove_blob(reference);
                Ok(None)
            }
            Err(error) => Err(error).context("open", &path),
        }
    }

    /// The name and size of a stored blob. The file is not looked at.
    pub fn blob(&self, reference: Reference) -> Option<BlobRef> {
        let size_bytes = self.shared.ledger().size_of(reference)?;
        Some(BlobRef { reference, size_bytes })
    }

    /// Where a stored blob lies. The file is not looked at.
    pub fn path_of(&self, reference: Reference) -> Option<PathBuf> {
        self.blob(reference).map(|_| self.shared.layout.blob_path(reference))
    }

    /// Removes a blob, if it is stored; the number of bytes freed.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn remove(&self, reference: Reference) -> Result<u64, StoreError> {
        self.shared.remove(&mut self.shared.ledger(), reference)
    }

    /// Removes every blob that `keep` does not want, and what receives left longer than
    /// [`PARTIAL_AGE_MAX`] ago; the number of bytes freed.
    ///
    /// The store is locked meanwhile: `keep` must not call it.
    ///
    /// # Errors
    /// When a file cannot be removed; the others may be gone by then.
    pub fn retain(&self, keep: impl Fn(Reference) -> bool) -> Result<u64, StoreError> {
        let mut ledger = self.shared.ledger();
        let unwanted: Vec<_> = ledger.blobs().filter(|reference| !keep(*reference)).collect();
        let mut freed_bytes = 0;
        for reference in unwanted {
            freed_bytes += self.shared.remove(&mut ledger, reference)?;
        }
        let oldest_kept = SystemTime::now().checked_sub(PARTIAL_AGE_MAX);
        for reference in oldest_kept.map(|time| ledger.partials_before(time)).unwrap_or_default() {
            freed_bytes += self.shared.remove_partial(&mut ledger, reference)?;
        }
        Ok(freed_bytes)
    }

    /// What counts against the budget, in bytes: blobs, what interrupted receives left, and the space
    /// reserved for blobs on their way.
    pub fn used_bytes(&self) -> u64 {
        self.shared.ledger().used_bytes()
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic under the lock can only come from `retain`'s caller, before anything changed.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves space, at the cost of partial files, oldest first, where that is enough.
    fn reserve(&self, ask: Ask) -> Result<(), StoreError> {
        let mut ledger = self.ledger();
        loop {
            let dir = self.layout.dir();
            let free_bytes = layout::free_bytes(dir).context("ask for the free space of", dir)?;
            let Some(refusal) = ledger.refusal(ask, free_bytes, false) else {
                ledger.reserve(ask.extra_bytes);
                return Ok(());
            };
            match ledger.oldest_partial() {
                Some(partial) if ledger.refusal(ask, free_bytes, true).is_none() => {
                    debug!(reference = %partial, "dropping a partial blob to make room");
                    self.remove_partial(&mut ledger, partial)?;
                }
                _ => return Err(refusal.into()),
            }
        }
    }

    /// Whether the blob is stored, as far as the size of its file tells.
    fn holds(&self, blob: BlobRef) -> Result<bool, StoreError> {
        if self.ledger().size_of(blob.reference) != Some(blob.size_bytes) {
            return Ok(false);
        }
        let path = self.layout.blob_path(blob.reference);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len() == blob.size_bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("look at", &path),
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
        ledger.insert_blob(blob.reference, blob.size_bytes);
        if let Err(error) = sync_dir(&shard) {
            self.remove(&mut ledger, blob.reference)?;
            return Err(error).context("sync", &shard);
        }
        Ok(())
    }

    fn remove(&self, ledger: &mut Ledger, reference: Reference) -> Result<u64, StoreError> {
        let path = self.layout.blob_path(reference);
        if ledger.size_of(reference).is_some() {
            remove_if_there(&path).context("remove", &path)?;
        }
        Ok(ledger.remove_blob(reference).unwrap_or(0))
    }

    fn remove_partial(&self, ledger: &mut Ledger, reference: Reference) -> Result<u64, StoreError> {
        let path = self.layout.partial_path(reference);
        remove_if_there(&path).context("remove", &path)?;
        Ok(ledger.remove_partial(reference).unwrap_or(0))
    }
}
