//! The right of a blob to stay, for as long as somebody in this process holds it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_types::{BlobRef, Reference};

/// How many pins there are of each blob of a store, whether it is there or only on its way. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<BTreeMap<Reference, usize>>>);

impl Pins {
    /// Pins whatever is or will be stored as `blob`.
    ///
    /// Whoever looks for a blob pins it first, and whoever removes one looks here under the lock of its store, which the
    /// first look takes as well: so what was found does not go away.
    pub fn pin(&self, blob: BlobRef) -> Pin {
        *self.counts().entry(blob.reference).or_default() += 1;
        Pin { pins: self.clone(), blob }
    }

    /// Whether a pin holds this blob.
    pub fn hold(&self, reference: Reference) -> bool {
        self.counts().contains_key(&reference)
    }

    fn unpin(&self, reference: Reference) {
        if let Entry::Occupied(mut count) = self.counts().entry(reference) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Reference, usize>> {
        // Each change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a blob in its store until it and its clones are dropped. It reads as the [`BlobRef`].
///
/// Pins are counted in memory and end with the process. A pin holds against [`Blobs::collect`](crate::Blobs::collect), not
/// against a disk that damages a file.
#[derive(Debug)]
pub struct Pin {
    pins: Pins,
    blob: BlobRef,
}

impl Pin {
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
        self.pins.pin(self.blob)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.unpin(self.blob.reference);
    }
}

/// Pins of the same blob are equal.
impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for Pin {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_held_until_the_last_of_its_pins_is_gone() {
        let pins = Pins::default();
        let [blob, other] =
            [1, 2].map(|byte| BlobRef { reference: Reference([byte; 32]), size_bytes: 1 });
        let (first, _other) = (pins.pin(blob), pins.pin(other));
        let second = first.clone();
        drop(first);
        assert!(pins.hold(blob.reference));
        drop(second);
        assert!(!pins.hold(blob.reference) && pins.hold(other.reference));
    }
}
