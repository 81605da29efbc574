//! Receiving a blob whose name is known, from a sender that may stop, stall or lie.
//!
//! All bytes of a blob come from one sender, so that wrong ones are its fault and nobody else's. They are hashed chunk by
//! chunk as they come. What an interrupted receive left is not kept: blobs have a few megabytes, and a beginning of
//! unknown origin would leave the blame open.

use starling_types::BlobRef;

use crate::{BlobWriter, Pin, ReceiveError, StoreError};

/// A blob being received. [`Self::finish`] checks and stores it; dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    expected: BlobRef,
    writer: BlobWriter,
}

impl Incoming {
    pub(crate) fn new(expected: BlobRef, writer: BlobWriter) -> Self {
        Self { expected, writer }
    }

    /// How many bytes are still to come.
    pub fn missing_bytes(&self) -> u64 {
        self.expected.size_bytes - self.writer.size_bytes()
    }

    /// Takes the next bytes of the blob. Space is taken for them as they come.
    ///
    /// # Errors
    /// [`ReceiveError::TooLong`] when there are more than announced; [`StoreError::NoSpace`] when they do not
    /// fit.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        if bytes.len() as u64 > self.missing_bytes() {
            return Err(ReceiveError::TooLong { expected: self.expected });
        }
        self.writer.append(bytes).map_err(StoreError::into)
    }

    /// Checks that the bytes are the blob, and stores it.
    ///
    /// # Errors
    /// [`ReceiveError::Incomplete`], [`ReceiveError::WrongBytes`]: nothing of the blob stays.
    pub fn finish(self) -> Result<Pin, ReceiveError> {
        let Self { expected, writer } = self;
        let received_bytes = writer.size_bytes();
        if received_bytes < expected.size_bytes {
            return Err(ReceiveError::Incomplete { expected, received_bytes });
        }
        let (actual, sink) = writer.into_parts();
        if actual != expected {
            return Err(ReceiveError::WrongBytes {
                expected: expected.reference,
                actual: actual.reference,
            });
        }
        Ok(sink.store_as(expected)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use starling_swarm::reference_of;

    use super::*;
    use crate::{Blobs as _, MemoryBlobs};

    fn bytes() -> Vec<u8> {
        (0..6000).map(|i| (i % 251) as u8).collect()
    }

    fn blob() -> BlobRef {
        BlobRef { reference: reference_of(&bytes()), size_bytes: 6000 }
    }

    #[test]
    fn a_sender_that_goes_on_after_the_announced_size_is_stopped() {
        let mut incoming = MemoryBlobs::new(1 << 20).receive(blob()).unwrap();
        let bytes = bytes();
        incoming.write(&bytes[..5999]).unwrap();
        assert_eq!(incoming.missing_bytes(), 1);
        let error = incoming.write(&[bytes[5999], 0]).unwrap_err();
        assert!(matches!(error, ReceiveError::TooLong { .. }), "{error}");
        // The right last byte still makes the blob whole.
        incoming.write(&bytes[5999..]).unwrap();
        assert_eq!(incoming.finish().unwrap().blob(), blob());
    }

    #[test]
    fn a_wrongly_announced_size_never_passes() {
        let blobs = MemoryBlobs::new(1 << 20);
        for size_bytes in [5999, 0] {
            let mut incoming = blobs.receive(BlobRef { size_bytes, ..blob() }).unwrap();
            incoming.write(&bytes()[..size_bytes as usize]).unwrap();
            assert!(matches!(incoming.finish(), Err(ReceiveError::WrongBytes { .. })));
        }
        assert_eq!(blobs.used_bytes(), 0);
    }

    #[test]
    fn one_wrong_bit_anywhere_is_the_senders_fault_and_nothing_is_stored() {
        let blobs = MemoryBlobs::new(1 << 20);
        for position in [0, 4095, 4096, 5999] {
            let mut wrong = bytes();
            wrong[position] ^= 1;
            let mut incoming = blobs.receive(blob()).unwrap();
            for piece in wrong.chunks(1000) {
                incoming.write(piece).unwrap();
            }
            let error = incoming.finish().unwrap_err();
            assert!(matches!(error, ReceiveError::WrongBytes { .. }), "{error}");
            assert_eq!((blobs.pin(blob().reference).unwrap(), blobs.used_bytes()), (None, 0));
        }
    }
}
