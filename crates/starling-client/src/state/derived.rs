//! What follows from an execution and is kept, so that no result costs a walk over all segments.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{IndexRange, Reference};
use starling_zkvm::{AssumptionId, Digest};

use crate::AssumedFrom;

/// What follows from the execution and would take long to find each time that a result is to be checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Derived {
    /// What the execution put out.
    pub(super) blobs: BTreeSet<Reference>,
    /// What each union of keccak proofs claims.
    pub(super) unions: BTreeMap<IndexRange, AssumptionId>,
    /// What the guest assumed, as far as the log has told.
    pub(super) assumed: Vec<(AssumptionId, AssumedFrom)>,
    /// The receipts among what it is assumed from.
    pub(super) given: BTreeSet<Reference>,
    /// The digest of the output after so many assumptions are resolved; empty without an output.
    pub(super) outputs: Vec<Digest>,
}

/// The guest's own mountain range over its keccak proofs: complete subtrees as their last leaf comes, and in the end those
/// that are left, folded from the left.
impl Derived {
    pub(super) fn add_keccak(&mut self, index: u32, assumption: AssumptionId) {
        let mut range = IndexRange::single(index);
        let mut united = assumption;
        self.unions.insert(range, united);
        // One more subtree is complete for each zero at the end of the count.
        for height in 0..range.end().trailing_zeros() {
            let Some(left) = IndexRange::new(range.start() - (1 << height), range.start()) else {
                return;
            };
            let (Some(whole), Some(first)) = (left.join(range), self.unions.get(&left)) else {
                return;
            };
            united = first.union(&united);
            range = whole;
            self.unions.insert(range, united);
        }
    }

    /// What the first complete subtrees of `count` leaves are folded to, one more each time; the last covers all.
    pub(super) fn folds(&self, count: u32) -> Vec<(IndexRange, AssumptionId)> {
        let mut folds: Vec<(IndexRange, AssumptionId)> = Vec::new();
        let (mut start, mut left) = (0, count);
        while left > 0 {
            let size = 1 << left.ilog2();
            let peak = IndexRange::new(start, start + size);
            let Some((peak, claim)) = peak.and_then(|peak| Some((peak, *self.unions.get(&peak)?)))
            else {
                break;
            };
            let fold =
                folds.last().and_then(|(range, all)| Some((range.join(peak)?, all.union(&claim))));
            folds.push(fold.unwrap_or((peak, claim)));
            (start, left) = (start + size, left - size);
        }
        folds
    }

    pub(super) fn fold_keccaks(&mut self, count: u32) {
        let folds = self.folds(count);
        self.unions.extend(folds);
    }
}
