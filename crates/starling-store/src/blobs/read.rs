//! Reading blobs back: a file counts once its bytes were hashed and are those of its name.
//!
//! A file is hashed in whole before it is handed out, and again only when it may have changed since: its
//! [`Stamp`] is remembered. That does not show when a disk reads back something else than was written, so a caller with a reason
//! for doubt has it [hashed](BlobStore::recheck) whatever its stamp says. A damaged blob is dropped here, and nowhere else; it
//! counts as missing.

use std::{
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use starling_blobs::{Pin, ReadBlob, StoreError};
use starling_swarm::{ReferenceHasher, reference_of};
use starling_types::{BlobRef, Reference};
use tracing::warn;

use super::{BlobStore, Shared, error::IoContext as _};

/// How old the last change of a file must be for its times to tell of the next: clocks of file systems step by
/// up to two seconds, and a change within the same step shows in no time stamp.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// What tells that a file was changed or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size_bytes: u64,
    modified: Option<SystemTime>,
    /// The file's number, and when its bytes or its metadata were last changed: no program can set that back.
    #[cfg(unix)]
    inode_and_change: (u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            size_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode_and_change: (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&path.metadata()?))
    }

    /// Whether any later change would show.
    fn is_settled(&self, now: SystemTime) -> bool {
        self.modified
            .and_then(|modified| now.duration_since(modified).ok())
            .is_some_and(|age| age >= SETTLED_AFTER)
    }
}

/// A blob to be read, from its start: its bytes were those of its name when it was opened, and it stays in the
/// store until this is dropped.
#[derive(Debug)]
pub struct BlobFile {
    file: File,
    path: PathBuf,
    pin: Pin,
}

impl BlobFile {
    /// Where it lies, for another process to open while this is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Read for BlobFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for BlobFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

impl ReadBlob for BlobFile {
    fn pin(&self) -> &Pin {
        &self.pin
    }

    fn path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

/// Whether a file that looks as it did when it was last found sound is hashed once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hashed {
    IfChanged,
    Always,
}

impl BlobStore {
    /// As [`Self::pin`], and the file is read and hashed even where it looks as it did when it was found sound before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn recheck(&self, reference: Reference) -> Result<Option<Pin>, StoreError> {
        Ok(self.open_hashed(reference, Hashed::Always)?.map(|blob| blob.pin))
    }

    /// Opens a blob that is here and sound; `None` when it is not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open_blob(&self, reference: Reference) -> Result<Option<BlobFile>, StoreError> {
        self.open_hashed(reference, Hashed::IfChanged)
    }

    fn open_hashed(
        &self,
        reference: Reference,
        hashed: Hashed,
    ) -> Result<Option<BlobFile>, StoreError> {
        // Pinned before it is looked for: what is found does not go away.
        let Some(pin) = self.pin_unchecked(reference) else { return Ok(None) };
        let sound = self.shared.open_sound(reference, hashed)?;
        let Some((file, size_bytes)) = sound else { return Ok(None) };
        debug_assert_eq!(size_bytes, pin.size_bytes, "the ledger has the sizes of sound files");
        Ok(Some(BlobFile { file, path: self.shared.layout.blob_path(reference), pin }))
    }

    /// The bytes of a blob that is here and sound; `None` when it is not. What is returned is what was hashed.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] when the blob exceeds `size_bytes_max`, and when the file cannot be read.
    pub fn get(
        &self,
        reference: Reference,
        size_bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(pin) = self.pin_unchecked(reference) else { return Ok(None) };
        if pin.size_bytes > size_bytes_max {
            // A damaged file may be too long as well: then it is not the blob that is too large.
            let sound = self.shared.open_sound(reference, Hashed::IfChanged)?;
            let Some((_, size_bytes)) = sound else { return Ok(None) };
            return Err(StoreError::TooLarge { reference, size_bytes, size_bytes_max });
        }
        let path = self.shared.layout.blob_path(reference);
        let Some(file) = self.shared.open_file(reference)? else { return Ok(None) };
        let stamp = Stamp::of(&file.metadata().context("look at", &path)?);
        let mut bytes = Vec::with_capacity(usize::try_from(pin.size_bytes).unwrap_or(0));
        // One byte more than a sound file has, to tell one that is longer.
        file.take(pin.size_bytes + 1).read_to_end(&mut bytes).context("read", &path)?;
        if reference_of(&bytes) != reference {
            self.shared.drop_damaged(reference, stamp)?;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Holds a blob that the ledger knows of, whatever its file holds.
    fn pin_unchecked(&self, reference: Reference) -> Option<Pin> {
        let size_bytes = self.shared.ledger().size_of(reference)?;
        Some(self.shared.pins.pin(BlobRef { reference, size_bytes }))
    }
}

impl Shared {
    /// The file of a blob, at its start, and its size, once every byte of it is known to be right.
    pub(super) fn open_sound(
        &self,
        reference: Reference,
        hashed: Hashed,
    ) -> Result<Option<(File, u64)>, StoreError> {
        let path = self.layout.blob_path(reference);
        let Some(mut file) = self.open_file(reference)? else { return Ok(None) };
        let stamp = Stamp::of(&file.metadata().context("look at", &path)?);
        let looks_sound = self.ledger().checked(reference) == Some(stamp);
        if looks_sound && hashed == Hashed::IfChanged {
            return Ok(Some((file, stamp.size_bytes)));
        }
        let mut hasher = ReferenceHasher::new();
        io::copy(&mut file, &mut hasher).context("read", &path)?;
        let found = hasher.finish();
        if found.reference != reference {
            self.drop_damaged(reference, stamp)?;
            return Ok(None);
        }
        let unchanged = Stamp::of(&file.metadata().context("look at", &path)?) == stamp;
        if unchanged && stamp.is_settled(SystemTime::now()) {
            self.ledger().set_checked(reference, stamp);
        }
        file.rewind().context("read", &path)?;
        Ok(Some((file, found.size_bytes)))
    }

    /// The file of a blob that the ledger knows of.
    fn open_file(&self, reference: Reference) -> Result<Option<File>, StoreError> {
        let path = self.layout.blob_path(reference);
        if self.ledger().size_of(reference).is_none() {
            return Ok(None);
        }
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut ledger = self.ledger();
                // Looked at again under the lock: it may have been put anew.
                if !path.exists() && ledger.remove_blob(reference).is_some() {
                    warn!(%reference, "a blob's file has disappeared");
                }
                Ok(None)
            }
            opened => opened.map(Some).context("open", &path),
        }
    }
}
