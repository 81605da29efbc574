//! Which sessions need which blobs: a blob goes when the last session that needs it ends.
//!
//! A node keeps what it fetched and what it made until the client's session is over, since others may
//! fetch it from here; after that nobody has a use for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_store::{BlobStore, Pin};
use starling_types::Reference;

/// The blobs of a node.
#[derive(Clone)]
pub(crate) struct Holdings {
    blobs: BlobStore,
}

/// One session's blobs. Dropping it lets them go.
pub(crate) struct Holding {
    blobs: BlobStore,
    pins: Mutex<BTreeMap<Reference, Pin>>,
}

impl Holdings {
    pub(crate) fn new(blobs: BlobStore) -> Self {
        Self { blobs }
    }

    /// The holding of a new session: empty.
    pub(crate) fn session(&self) -> Arc<Holding> {
        Arc::new(Holding { blobs: self.blobs.clone(), pins: Mutex::default() })
    }
}

impl Holding {
    /// Keeps the blob as long as this holding lives.
    pub(crate) fn hold(&self, pin: Pin) {
        lock(&self.pins).insert(pin.reference, pin);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        lock(&self.pins).clear();
        // What can't be removed now goes with the next session, or when the node starts anew.
        if let Err(error) = self.blobs.collect() {
            tracing::debug!(%error, "blobs stay");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The pins stay right when a thread panics: each change is a single step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_store::DiskBudget;

    use super::*;

    #[test]
    fn a_blob_goes_with_the_last_session_that_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let budget = DiskBudget { max_bytes: 1 << 20, min_free_bytes: 0 };
        let blobs = BlobStore::open(dir.path(), budget).unwrap();
        let pin = blobs.put(b"a segment").unwrap();
        let holdings = Holdings::new(blobs.clone());
        let (first, second) = (holdings.session(), holdings.session());
        first.hold(pin.clone());
        first.hold(pin.clone());
        second.hold(pin);
        drop(first);
        assert_eq!(blobs.used_bytes(), 9);
        drop(second);
        assert_eq!(blobs.used_bytes(), 0);
    }
}
