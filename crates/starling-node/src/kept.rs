//! The blobs that a node keeps, each by its pin: what it fetched for a lease, and what it made. The core says when one goes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_blobs::{Blobs, Pin};
use starling_types::Reference;

/// The pins. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<BTreeMap<Reference, Pin>>>);

impl Kept {
    /// Keeps a blob.
    pub(crate) fn keep(&self, pin: Pin) {
        self.pins().insert(pin.reference, pin);
    }

    /// Lets a blob go, and with it whatever else nobody holds. Blocks.
    pub(crate) fn forget(&self, blob: Reference, blobs: &dyn Blobs) {
        self.pins().remove(&blob);
        // What can't be removed now goes with the next, or when the node starts anew.
        if let Err(error) = blobs.collect() {
            tracing::debug!(%error, "blobs stay");
        }
    }

    fn pins(&self) -> MutexGuard<'_, BTreeMap<Reference, Pin>> {
        // The map stays right when a thread panics: each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
