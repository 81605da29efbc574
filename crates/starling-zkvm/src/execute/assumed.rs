//! What a guest takes for true without proving it: claims of other receipts, and results of keccak.
//!
//! Shared between the executor's thread, where a guest assumes, and the one that hands out segments, which needs
//! the whole list for the last of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ExecuteError;
use crate::AssumptionId;

/// The most assumptions of an execution. Each takes a resolve of its own, one after the other, and 68 bytes in
/// every receipt from the last segment's on.
pub const ASSUMPTIONS_MAX: usize = 1 << 14;

/// The most keccak requests of an execution: at po2 17, 43 million permutations, or 5.8 GB hashed.
pub const KECCAK_REQUESTS_MAX: usize = 1 << 16;

/// The claims that a guest may assume, and those that it did.
pub(super) struct Assumed {
    given: Vec<AssumptionId>,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// In the order of calls.
    assumptions: Vec<AssumptionId>,
    /// In the order of calls: what each keccak request's receipt proves.
    keccaks: Vec<AssumptionId>,
}

/// When an assumption must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// At once: the guest asks whether there is a receipt.
    AtHand,
    /// In the end: it may be of keccak requests.
    Later,
}

/// Why the guest's assumption was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no receipt of it.
    Unknown,
    /// There were too many already.
    TooMany,
}

impl Assumed {
    pub(super) fn new(given: Vec<AssumptionId>) -> Self {
        Self { given, made: Mutex::default() }
    }

    /// Remembers that the guest assumes `assumption`.
    pub(super) fn assume(&self, assumption: AssumptionId, proof: Proof) -> Result<(), Refused> {
        let mut made = self.made();
        // What was assumed before is known, or will be looked for in the end.
        let known = || {
            let proved = assumption.proof();
            self.given.contains(&proved)
                || made.assumptions.iter().any(|earlier| earlier.proof() == proved)
        };
        if proof == Proof::AtHand && !known() {
            return Err(Refused::Unknown);
        }
        if made.assumptions.len() == ASSUMPTIONS_MAX {
            return Err(Refused::TooMany);
        }
        made.assumptions.push(assumption);
        Ok(())
    }

    /// Remembers a keccak request; its index, or `None` when there are too many.
    pub(super) fn add_keccak(&self, proved: AssumptionId) -> Option<u32> {
        let mut made = self.made();
        let index = made.keccaks.len();
        if index == KECCAK_REQUESTS_MAX {
            return None;
        }
        made.keccaks.push(proved);
        u32::try_from(index).ok()
    }

    /// How many keccak requests there were.
    pub(super) fn keccak_count(&self) -> u32 {
        // `add_keccak` bounds it.
        self.made().keccaks.len() as u32
    }

    /// What the guest assumed, in the order of resolving: the last is first.
    ///
    /// # Errors
    /// [`ExecuteError::UnknownAssumption`] when neither a given receipt nor all keccak proofs together prove one.
    pub(super) fn list(&self) -> Result<Vec<AssumptionId>, ExecuteError> {
        let made = self.made();
        let all = &made.keccaks;
        let keccak = (!all.is_empty()).then(|| AssumptionId::of_union(all));
        let unknown = made.assumptions.iter().find(|assumption| {
            let proved = assumption.proof();
            !self.given.contains(&proved) && keccak != Some(proved)
        });
        match unknown {
            Some(&AssumptionId { claim, control_root }) => {
                Err(ExecuteError::UnknownAssumption { claim, control_root, image_id: None })
            }
            None => Ok(made.assumptions.iter().rev().copied().collect()),
        }
    }

    /// A panic elsewhere leaves these lists as they are: they are only ever appended to.
    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use risc0_zkvm::Digest;

    use super::*;

    fn claim(word: u32) -> Digest {
        Digest::from([word; 8])
    }

    fn assumed(word: u32) -> AssumptionId {
        AssumptionId { claim: claim(word), control_root: Digest::ZERO }
    }

    fn keccak(word: u32) -> AssumptionId {
        AssumptionId { claim: claim(word), control_root: claim(99) }
    }

    #[test]
    fn the_list_begins_with_what_was_assumed_last() {
        let all = Assumed::new(vec![
            AssumptionId::of_receipt(claim(1)),
            AssumptionId::of_receipt(claim(2)),
        ]);
        for word in [1, 2, 1] {
            all.assume(assumed(word), Proof::AtHand).unwrap();
        }
        assert_eq!(all.list().unwrap(), [assumed(1), assumed(2), assumed(1)]);
    }

    #[test]
    fn what_nobody_can_prove_is_refused_at_once() {
        let all = Assumed::new(vec![AssumptionId::of_receipt(claim(1)), keccak(2)]);
        assert_eq!(all.assume(assumed(3), Proof::AtHand), Err(Refused::Unknown));
        // A receipt from other programs is not a proof for those who ask for an ordinary one, nor the reverse.
        assert_eq!(all.assume(assumed(2), Proof::AtHand), Err(Refused::Unknown));
        assert_eq!(all.assume(keccak(1), Proof::AtHand), Err(Refused::Unknown));
        all.assume(keccak(2), Proof::AtHand).unwrap();
        assert_eq!(all.list().unwrap(), [keccak(2)]);
    }

    #[test]
    fn keccak_proofs_are_assumed_all_together() {
        let all = Assumed::new(vec![]);
        assert_eq!(all.add_keccak(keccak(1)), Some(0));
        assert_eq!(all.add_keccak(keccak(2)), Some(1));
        let root = keccak(1).union(&keccak(2));
        all.assume(root, Proof::Later).unwrap();
        assert_eq!(all.list().unwrap(), [root]);
        // Known from now on, also to those who ask for a receipt at once.
        all.assume(root, Proof::AtHand).unwrap();
        // A proof that came after the guest assumed its root makes it another root.
        all.add_keccak(keccak(3));
        match all.list().unwrap_err() {
            ExecuteError::UnknownAssumption { claim, .. } => assert_eq!(claim, root.claim),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn there_is_a_most_of_everything() {
        let all = Assumed::new(vec![AssumptionId::of_receipt(claim(1))]);
        for _ in 0..ASSUMPTIONS_MAX {
            all.assume(assumed(1), Proof::AtHand).unwrap();
        }
        assert_eq!(all.assume(assumed(1), Proof::AtHand), Err(Refused::TooMany));
        for _ in 0..KECCAK_REQUESTS_MAX {
            all.add_keccak(keccak(1)).unwrap();
        }
        assert_eq!(all.add_keccak(keccak(1)), None);
    }
}
