//! How many leases and results need each blob: it goes with the last.

use std::collections::BTreeMap;

use starling_types::Reference;

/// The blobs that are needed, with how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blobs {
    counts: BTreeMap<Reference, u32>,
}

impl Blobs {
    pub(crate) fn hold(&mut self, blob: Reference) {
        *self.counts.entry(blob).or_default() += 1;
    }

    /// Whether nobody needs the blob any more.
    pub(crate) fn release(&mut self, blob: Reference) -> bool {
        let Some(count) = self.counts.get_mut(&blob) else { return false };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.counts.remove(&blob);
        }
        is_last
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_goes_with_the_last_that_needs_it() {
        let blob = Reference([1; 32]);
        let mut blobs = Blobs::default();
        blobs.hold(blob);
        blobs.hold(blob);
        assert!(!blobs.release(blob));
        assert!(blobs.release(blob));
        assert!(!blobs.release(blob), "nobody held it");
        assert_eq!(blobs.count(), 0);
    }
}
