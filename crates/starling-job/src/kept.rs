//! What the log keeps for the job: what is still needed, and little more, so that a long job does not fill the disk.

use std::collections::BTreeSet;

use starling_types::Reference;

use crate::{JobCore, Script, records::Then};

/// So many results are accepted at least before it is looked again what is done with: they are some 15 MB, and to look
/// walks the plan.
const ACCEPTED_MIN: usize = 64;

/// Nor are there fewer than this part of what was kept the last time: what is done with is an eighth of the disk at most,
/// and a result costs eight steps of a walk.
const KEPT_PART: usize = 8;

/// How much the log keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    accepted: usize,
    kept: usize,
}

impl Kept {
    /// One more result was accepted: what it was made of is done with.
    pub(crate) fn accepted(&mut self) {
        self.accepted += 1;
    }

    fn is_due(&self) -> bool {
        self.accepted >= ACCEPTED_MIN.max(self.kept / KEPT_PART)
    }
}

impl<S: Script> JobCore<S> {
    /// Lets go of what is done with, when enough of it has come together and nothing is on its way to the log, which would
    /// be let go with it.
    pub(crate) fn trim(&mut self) {
        let is_quiet = self.records.count() == 0 && self.looking.is_empty();
        if !self.is_working() || !is_quiet || !self.kept.is_due() {
            return;
        }
        let needed = self.live_blobs().into_iter().chain(self.state.asked_blobs());
        let keep: BTreeSet<Reference> = needed.map(|blob| blob.reference).collect();
        self.kept = Kept { accepted: 0, kept: keep.len() };
        self.record_keeping(Vec::new(), Vec::new(), Some(keep), Then::Trimmed);
    }
}
