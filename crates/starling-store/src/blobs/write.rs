//! Bytes on their way to disk: the space promised to them, and the file that they go to.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use starling_blobs::{Pin, Sink, StoreError};
use starling_types::BlobRef;
use tempfile::TempPath;

use super::{
    Shared,
    error::IoContext as _,
    ledger::{Ask, Ledger},
    read::Hashed,
};

/// Space promised to one blob; given back on drop, when the blob is stored or given up.
#[derive(Debug)]
pub(super) struct Reservation {
    shared: Arc<Shared>,
    reserved_bytes: u64,
    pending_bytes: u64,
}

impl Reservation {
    /// A reservation of nothing yet.
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), reserved_bytes: 0, pending_bytes: 0 }
    }

    /// Makes sure that `needed_bytes` are reserved in all.
    pub fn grow_to(&mut self, needed_bytes: u64) -> Result<(), StoreError> {
        let extra_bytes = needed_bytes.saturating_sub(self.reserved_bytes);
        if extra_bytes > 0 {
            self.shared.reserve(Ask { needed_bytes, extra_bytes, spare_bytes: 0 })?;
            self.reserved_bytes += extra_bytes;
            self.pending_bytes += extra_bytes;
        }
        Ok(())
    }

    /// Takes the promise back under a lock that the caller holds, together with what replaces it: at no
    /// instant may the books show the bytes twice, or not at all.
    pub fn release(&mut self, ledger: &mut Ledger) {
        ledger.release(self.reserved_bytes, self.pending_bytes);
        (self.reserved_bytes, self.pending_bytes) = (0, 0);
    }

    fn written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.pending_bytes);
        self.pending_bytes -= bytes;
        self.shared.ledger().written(bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // The lock may be held by code that has released the space already.
        if self.reserved_bytes > 0 {
            let shared = self.shared.clone();
            self.release(&mut shared.ledger());
        }
    }
}

/// A file being filled within its reservation. After a failed write it takes nothing more, since
/// nobody knows what of the piece reached the disk.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    path: PathBuf,
    size_bytes: u64,
    /// What the disk has set aside for it, from its beginning on.
    aside_bytes: u64,
    failed: Option<io::ErrorKind>,
}

impl Spool {
    /// Fills an empty file.
    pub fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_owned(), size_bytes: 0, aside_bytes: 0, failed: None }
    }

    pub fn append(&mut self, bytes: &[u8], space: &mut Reservation) -> Result<(), StoreError> {
        self.check()?;
        let size_bytes = self.size_bytes + bytes.len() as u64;
        space.grow_to(size_bytes)?;
        let written = self.file.write_all(bytes);
        self.failed = written.as_ref().err().map(io::Error::kind);
        written.context("write", &self.path)?;
        space.written(bytes.len() as u64);
        self.size_bytes = size_bytes;
        Ok(())
    }

    /// Has the disk set so many bytes aside, so that a disk or a quota that lacks them says so now; whether it can do that.
    #[cfg(target_os = "linux")]
    fn set_aside(&mut self, size_bytes: u64) -> Result<bool, StoreError> {
        use rustix::{
            fs::{FallocateFlags, fallocate},
            io::Errno,
        };
        if size_bytes <= self.aside_bytes {
            return Ok(true);
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, size_bytes) {
            Ok(()) => {
                self.aside_bytes = size_bytes;
                Ok(true)
            }
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(io::Error::from(error)).context("set space aside for", &self.path),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn set_aside(&mut self, _: u64) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Waits until the bytes are on the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.check()?;
        if self.aside_bytes > self.size_bytes {
            // Gives back what was set aside for nothing.
            self.file.set_len(self.size_bytes).context("cut", &self.path)?;
        }
        self.file.sync_all().context("sync", &self.path)
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.failed {
            Some(kind) => Err(io::Error::from(kind)).context("write", &self.path),
            None => Ok(()),
        }
    }
}

/// A file in the temp directory, removed on drop unless it became a blob.
#[derive(Debug)]
pub(super) struct Temp {
    spool: Spool,
    path: TempPath,
    space: Reservation,
}

impl Temp {
    pub fn new(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let dir = shared.layout.temp_dir();
        // Its owner's alone (mode 0600), and so is the blob: inputs and segments are secret.
        let file = tempfile::NamedTempFile::new_in(&dir).context("create a file in", &dir)?;
        let (file, path) = file.into_parts();
        let spool = Spool::new(file, &path);
        Ok(Self { spool, path, space: Reservation::new(shared) })
    }
}

impl Sink for Temp {
    fn reserve(&mut self, size_bytes: u64) -> Result<(), StoreError> {
        self.space.grow_to(size_bytes)?;
        // From then on the disk counts them itself.
        if self.spool.set_aside(size_bytes)? {
            self.space.written(size_bytes);
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.spool.append(bytes, &mut self.space)
    }

    /// Durably: what is returned survives a power cut.
    fn store_as(self: Box<Self>, blob: BlobRef) -> Result<Pin, StoreError> {
        let shared = self.space.shared.clone();
        // Before it is there: nobody may collect it in between.
        let pin = shared.pins.pin(blob);
        if shared.open_sound(blob.reference, Hashed::IfChanged)?.is_none() {
            self.spool.sync()?;
            let Self { path, mut space, .. } = *self;
            let rename = |target: &Path| path.persist(target).map_err(|error| error.error);
            shared.settle(blob, &mut space, rename)?;
        }
        Ok(pin)
    }
}
