//! Taking a blob whose name is not known yet.

use std::io::{self, Write};

use starling_swarm::ReferenceHasher;
use starling_types::BlobRef;

use crate::{Pin, Sink, StoreError};

/// Takes the bytes of a blob; [`Self::finish`] names and stores it. Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct BlobWriter {
    hasher: ReferenceHasher,
    sink: Box<dyn Sink>,
    size_bytes: u64,
}

impl BlobWriter {
    pub(crate) fn new(sink: Box<dyn Sink>) -> Self {
        Self { hasher: ReferenceHasher::new(), sink, size_bytes: 0 }
    }

    /// How many bytes it has taken.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// What was written, named, and where it is.
    pub(crate) fn into_parts(self) -> (BlobRef, Box<dyn Sink>) {
        (self.hasher.finish(), self.sink)
    }

    /// Makes sure that a blob of `size_bytes` fits, before the work of writing it.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when it does not.
    pub fn reserve(&mut self, size_bytes: u64) -> Result<(), StoreError> {
        self.sink.reserve(size_bytes)
    }

    /// Takes the next bytes of the blob.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`] when they do not fit. After [`StoreError::Io`] the blob cannot be finished.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.sink.append(bytes)?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Stores the blob.
    ///
    /// # Errors
    /// When the store fails or is full; then nothing of the blob stays.
    pub fn finish(self) -> Result<Pin, StoreError> {
        let (blob, sink) = self.into_parts();
        sink.store_as(blob)
    }
}

/// Like [`BlobWriter::append`]; the [`StoreError`] is inside the [`io::Error`].
impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(|error| match error {
            StoreError::NoSpace(_) => io::Error::new(io::ErrorKind::StorageFull, error),
            _ => io::Error::other(error),
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
