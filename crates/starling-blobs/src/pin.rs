//! The right of a blob to stay, for as long as somebody in this process holds it.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_types::{BlobRef, Reference};

/// How many pins there are of each blob of a store, whether it is there or only on its way, and of which the last pin has
/// gone: what is garbage is looked for among these. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    pins: BTreeMap<Reference, usize>,
    let_go: BTreeSet<Reference>,
}

impl Pins {
    /// Pins whatever is or will be stored as `blob`.
    ///
    /// A search for a blob pins it first, and a removal looks here under the lock of its store, which the
    /// first look takes as well: so what was found does not go away.
    pub fn pin(&self, blob: BlobRef) -> Pin {
        *self.counts().pins.entry(blob.reference).or_default() += 1;
        Pin { pins: self.clone(), blob }
    }

    /// Whether a pin holds this blob.
    pub fn hold(&self, reference: Reference) -> bool {
        self.counts().pins.contains_key(&reference)
    }

    /// What its last pin has let go since this was asked the last time, and what was [handed back](Self::note_let_go). Some
    /// of it may be pinned again.
    pub fn take_let_go(&self) -> BTreeSet<Reference> {
        mem::take(&mut self.counts().let_go)
    }

    /// Has these looked at as well, the next time.
    pub fn note_let_go(&self, references: impl IntoIterator<Item = Reference>) {
        self.counts().let_go.extend(references);
    }

    fn unpin(&self, reference: Reference) {
        let Counts { pins, let_go } = &mut *self.counts();
        if let Entry::Occupied(mut count) = pins.entry(reference) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
                let_go.insert(reference);
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
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

impl Borrow<BlobRef> for Pin {
    fn borrow(&self) -> &BlobRef {
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
        assert_eq!(pins.take_let_go(), BTreeSet::new());
        drop(second);
        assert!(!pins.hold(blob.reference) && pins.hold(other.reference));
        // It is told once.
        assert_eq!(pins.take_let_go(), BTreeSet::from([blob.reference]));
        assert_eq!(pins.take_let_go(), BTreeSet::new());
    }
}
