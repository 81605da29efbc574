//! Which blobs the log keeps for the job: those still needed, and few more, so that a long job does not fill the disk.

use std::collections::BTreeSet;

use starling_types::{BlobRef, Reference};

use crate::{JobCore, Script, records::Then};

/// So many bytes are done with at least before they are let go: a receipt or less. What is kept besides does not matter
/// where it is small.
const DONE_BYTES_MIN: u64 = 128 << 10;

/// Nor are they less than this part of what was kept the last time: so much of the disk is done with at most. To let go walks
/// what is kept, which costs each blob that goes so many steps.
const KEPT_PART: u64 = 16;

/// How much the log keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// What was read by results that were accepted since it was last let go.
    done_bytes: u64,
    kept_bytes: u64,
}

impl Kept {
    /// These are done with: what a result was made of that was accepted, or what counts for good and was read on.
    pub(crate) fn done_with<'a>(&mut self, blobs: impl IntoIterator<Item = &'a BlobRef>) {
        self.done_bytes += size_bytes(blobs);
    }

    fn is_due(&self, lacks_room: bool) -> bool {
        let enough_bytes = match lacks_room {
            true => 1,
            false => DONE_BYTES_MIN.max(self.kept_bytes / KEPT_PART),
        };
        self.done_bytes >= enough_bytes
    }
}

fn size_bytes<'a>(blobs: impl IntoIterator<Item = &'a BlobRef>) -> u64 {
    blobs.into_iter().map(|blob| blob.size_bytes).sum()
}

impl<S: Script> JobCore<S> {
    /// Lets go of what is done with, when enough of it has come together, or room is needed.
    pub(crate) fn trim(&mut self) {
        if self.is_working() && self.kept.is_due(self.room.is_lacking()) {
            self.let_go();
        }
    }

    /// Lets go of all that is done with.
    pub(crate) fn let_go(&mut self) {
        let mut needed: BTreeSet<BlobRef> = self.live_blobs().into_iter().collect();
        needed.extend(self.state.asked_blobs());
        // What is on its way to the log comes to it before this does, and would be let go with the rest.
        needed.extend(self.records.blobs());
        self.kept = Kept { done_bytes: 0, kept_bytes: size_bytes(&needed) };
        let keep: BTreeSet<Reference> = needed.iter().map(|blob| blob.reference).collect();
        self.record_keeping(Vec::new(), Vec::new(), Some(keep), Then::Trimmed);
    }
}
