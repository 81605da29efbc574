//! Receiving a blob whose name is known, from a sender that may stop, stall or lie.
//!
//! All bytes of a blob come from one sender, so that wrong ones are its fault and nobody else's. What an
//! interrupted receive left is not kept: blobs have a few megabytes, and a beginning of unknown origin would
//! leave the blame open.

use starling_types::BlobRef;

use super::{
    error::{ReceiveError, StoreError},
    pin::Pin,
    write::BlobWriter,
};

/// A blob being received. [`Self::finish`] checks and stores it; dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    expected: BlobRef,
    writer: BlobWriter,
}

impl Incoming {
    pub(super) fn new(expected: BlobRef, writer: BlobWriter) -> Self {
        Self { expected, writer }
    }

    /// Takes the next bytes of the blob. Space is taken for them as they come.
    ///
    /// # Errors
    /// [`ReceiveError::TooLong`] when there are more than announced; [`StoreError::NoSpace`] when they do not
    /// fit.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        let missing = self.expected.size_bytes - self.writer.size_bytes();
        if bytes.len() as u64 > missing {
            return Err(ReceiveError::TooLong { expected: self.expected });
        }
        self.writer.append(bytes).map_err(StoreError::into)
    }

    /// Checks that the bytes are the blob, and stores it durably.
    ///
    /// # Errors
    /// [`ReceiveError::Incomplete`], [`ReceiveError::WrongBytes`]: nothing of the blob stays.
    pub fn finish(self) -> Result<Pin, ReceiveError> {
        let Self { expected, writer } = self;
        let received_bytes = writer.size_bytes();
        if received_bytes < expected.size_bytes {
            return Err(ReceiveError::Incomplete { expected, received_bytes });
        }
        let (actual, temp) = writer.into_parts();
        if actual != expected {
            return Err(ReceiveError::WrongBytes {
                expected: expected.reference,
                actual: actual.reference,
            });
        }
        Ok(temp.store_as(expected)?)
    }
}
