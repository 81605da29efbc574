//! The blobs that a node keeps, each by its pin: what it fetched for a lease, and what it made. The core says when one goes.
//!
//! Pins change only where the core is told and asked, so that a blob stays as long as the core counts it as held, even while news
//! about it is on its way. So one task may let go of a blob while another task has just made the same blob.

use std::collections::BTreeMap;

use starling_blobs::Pin;
use starling_types::Reference;

/// The pins.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<Reference, Pin>);

impl Kept {
    /// Keeps a blob of which the core is told now.
    pub(crate) fn keep(&mut self, pin: Pin) {
        self.0.insert(pin.reference, pin);
    }

    /// Lets a blob go. It is garbage then, unless somebody else holds it.
    pub(crate) fn forget(&mut self, blob: Reference) {
        self.0.remove(&blob);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_blobs::{Blobs as _, MemoryBlobs};

    use super::*;

    #[test]
    fn a_blob_that_is_made_again_while_it_is_let_go_stays() {
        let (blobs, mut kept) = (MemoryBlobs::new(1 << 20), Kept::default());
        let made = || blobs.put(b"a result").unwrap();
        kept.keep(made());
        // Made again: of this one the core has not heard when it lets go of the first.
        let again = made();
        let result = again.reference;
        kept.forget(result);
        blobs.collect().unwrap();
        kept.keep(again);
        blobs.collect().unwrap();
        assert!(blobs.pin(result).unwrap().is_some());
        kept.forget(result);
        blobs.collect().unwrap();
        assert!(blobs.pin(result).unwrap().is_none());
    }
}
