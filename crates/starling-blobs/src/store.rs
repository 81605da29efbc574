//! What a store of blobs does. Some of it may wait for a disk: call it where that may be.

use std::{fmt::Debug, io::Read, path::Path};

use starling_swarm::reference_of;
use starling_types::{BlobRef, Reference};

use crate::{BlobWriter, Incoming, Pin, StoreError};

/// Immutable bytes by name, under a bound. A blob is there either whole or not at all, and space is taken as bytes arrive,
/// never on a word.
///
/// Whatever takes or opens a blob returns a [`Pin`]: as long as it lives, the blob stays. [`Blobs::collect`] removes what
/// nothing holds, and nothing else removes a blob.
pub trait Blobs: Debug + Send + Sync {
    /// A place for the bytes of one blob. They are not checked on the way: use what is made of it, [`Blobs::put`],
    /// [`Blobs::writer`] and [`Blobs::receive`].
    ///
    /// # Errors
    /// When the store fails.
    fn sink(&self) -> Result<Box<dyn Sink>, StoreError>;

    /// Opens a blob that is here and sound; `None` when it is not.
    ///
    /// # Errors
    /// When the store fails.
    fn open(&self, reference: Reference) -> Result<Option<Box<dyn ReadBlob>>, StoreError>;

    /// Removes every blob that nothing holds; the number of bytes freed. It may run beside anything else.
    ///
    /// # Errors
    /// When the store fails; some blobs may be gone by then.
    fn collect(&self) -> Result<u64, StoreError>;

    /// Holds a blob that is here and sound; `None` when it is not.
    ///
    /// # Errors
    /// When the store fails.
    fn pin(&self, reference: Reference) -> Result<Option<Pin>, StoreError> {
        Ok(self.open(reference)?.map(|blob| blob.pin().clone()))
    }

    /// Stores bytes that are at hand. A sound blob that is there already is not stored again.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when they do not fit; nothing of them stays then.
    fn put(&self, bytes: &[u8]) -> Result<Pin, StoreError> {
        let blob = BlobRef { reference: reference_of(bytes), size_bytes: bytes.len() as u64 };
        if let Some(pin) = self.pin(blob.reference)? {
            return Ok(pin);
        }
        let mut sink = self.sink()?;
        sink.append(bytes)?;
        sink.store_as(blob)
    }

    /// Takes a blob of unknown name and length, piece by piece.
    ///
    /// # Errors
    /// When the store fails.
    fn writer(&self) -> Result<BlobWriter, StoreError> {
        Ok(BlobWriter::new(self.sink()?))
    }

    /// Takes the blob `blob` from one sender, who is not trusted, from its first byte to its last.
    ///
    /// # Errors
    /// When the store fails.
    fn receive(&self, blob: BlobRef) -> Result<Incoming, StoreError> {
        Ok(Incoming::new(blob, self.writer()?))
    }
}

/// Where a store puts the bytes of one blob. Dropped before they are stored, it leaves nothing behind.
pub trait Sink: Debug + Send {
    /// Makes sure that a blob of `size_bytes` fits.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when it does not.
    fn reserve(&mut self, size_bytes: u64) -> Result<(), StoreError>;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when they do not fit.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Makes what was taken the blob `blob`, whose bytes it must be, unless that is here and sound already.
    ///
    /// # Errors
    /// When the store fails; then nothing of the blob stays.
    fn store_as(self: Box<Self>, blob: BlobRef) -> Result<Pin, StoreError>;
}

/// A blob to be read, from its start. It was sound when it was opened, and stays until this is dropped.
pub trait ReadBlob: Debug + Read + Send {
    /// What is read.
    fn pin(&self) -> &Pin;

    /// The file that it lies in, if it lies in one, for another process to open while this is kept.
    fn path(&self) -> Option<&Path> {
        None
    }
}
