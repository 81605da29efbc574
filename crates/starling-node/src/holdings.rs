//! Which sessions need which blobs: a blob goes when the last session that needs it ends.
//!
//! A node keeps what it fetched and what it made until the client's session is over, since others may
//! fetch it from here; after that nobody has a use for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_store::BlobStore;
use starling_types::Reference;

/// The blobs of a node, counted by the sessions that need them.
#[derive(Clone)]
pub(crate) struct Holdings {
    blobs: BlobStore,
    counts: Arc<Mutex<BTreeMap<Reference, usize>>>,
}

/// One session's blobs. Dropping it lets them go.
pub(crate) struct Holding {
    all: Holdings,
    mine: Mutex<BTreeSet<Reference>>,
}

impl Holdings {
    pub(crate) fn new(blobs: BlobStore) -> Self {
        Self { blobs, counts: Arc::default() }
    }

    /// The holding of a new session: empty.
    pub(crate) fn session(&self) -> Arc<Holding> {
        Arc::new(Holding { all: self.clone(), mine: Mutex::default() })
    }
}

impl Holding {
    /// Keeps the blob, which is or will be in the store, as long as this holding lives.
    pub(crate) fn hold(&self, reference: Reference) {
        if lock(&self.mine).insert(reference) {
            *lock(&self.all.counts).entry(reference).or_default() += 1;
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mine = std::mem::take(&mut *lock(&self.mine));
        let mut counts = lock(&self.all.counts);
        for reference in mine {
            if let Some(count) = counts.get_mut(&reference) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&reference);
                    // A blob that can't be removed now goes when the node starts anew.
                    if let Err(error) = self.all.blobs.remove(reference) {
                        tracing::debug!(%error, "a blob stays");
                    }
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts stay right when a thread panics: each change is a single step.
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
        let blob = blobs.put(b"a segment").unwrap();
        let holdings = Holdings::new(blobs.clone());
        let (first, second) = (holdings.session(), holdings.session());
        first.hold(blob.reference);
        first.hold(blob.reference);
        second.hold(blob.reference);
        drop(first);
        assert!(blobs.blob(blob.reference).is_some());
        drop(second);
        assert!(blobs.blob(blob.reference).is_none());
    }
}
