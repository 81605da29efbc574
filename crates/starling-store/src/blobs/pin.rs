//! The right of a blob to stay, for as long as somebody in this process holds it.

use std::{ops::Deref, sync::Arc};

use starling_types::BlobRef;

use super::Shared;

/// Keeps a blob in the store until it and its clones are dropped. It reads as the [`BlobRef`].
///
/// Pins are counted in memory and end with the process: what must survive that, a
/// [root](crate::EventLog::root) names before the pin goes. A pin holds against
/// [`BlobStore::collect`](super::BlobStore::collect), not against a disk that damages the file.
#[derive(Debug)]
pub struct Pin {
    shared: Arc<Shared>,
    blob: BlobRef,
}

impl Pin {
    /// Pins whatever is or will be stored as `blob`. The ledger must not be locked by the caller, neither here nor
    /// where a pin is dropped.
    pub(super) fn of(shared: &Arc<Shared>, blob: BlobRef) -> Self {
        shared.ledger().pin(blob.reference);
        Self { shared: shared.clone(), blob }
    }

    /// The blob.
    pub fn blob(&self) -> BlobRef {
        self.blob
    }
}

impl Deref for Pin {
    type Target = BlobRef;

    fn deref(&self) -> &BlobRef {
        &self.blob
    }
}

impl Clone for Pin {
    fn clone(&self) -> Self {
        Self::of(&self.shared, self.blob)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.shared.ledger().unpin(self.blob.reference);
    }
}

/// Pins of the same blob are equal.
impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for Pin {}
