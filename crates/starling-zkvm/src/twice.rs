//! A proof that does not verify is made once more.
//!
//! If a proof was made without an error and does not verify, a bit flipped, or it was one of the few
//! draws of randomness that a prover gets wrong (risc0 #3798). Each proof draws new randomness, so the second proof differs. If it
//! fails too, that is not an accident: then the error stands, and this machine is at fault.

use std::{cell::Cell, fmt::Display};

use risc0_zkp::verify::VerificationError;
use starling_fastprove::{keccak::KeccakError, recursion::ProveError, segment::SegmentError};

/// Counts the proofs that did not verify and were made once more.
#[derive(Debug, Default)]
pub(crate) struct Reproved(Cell<u32>);

impl Reproved {
    /// What `prove` makes; if that does not verify, what it makes the second time.
    ///
    /// # Errors
    /// That of `prove`, the last one.
    pub(crate) fn prove<T>(&self, prove: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.prove_by(is_unverified, prove)
    }

    /// The same, with another word on which errors are those of proofs that do not verify.
    ///
    /// # Errors
    /// That of `prove`, the last one.
    pub(crate) fn prove_by<T, E: Display>(
        &self,
        is_unverified: impl Fn(&E) -> bool,
        prove: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        prove_twice(&self.0, is_unverified, prove)
    }

    /// How many there were since this was asked last.
    pub(crate) fn take(&self) -> u32 {
        self.0.take()
    }
}

/// Whether the error says that a proof was made and is wrong, rather than that none could be made.
///
/// A trace that breaks the constraints makes such a proof too, and shows before the verifier is asked.
pub(crate) fn is_unverified(error: &anyhow::Error) -> bool {
    is_own_fault(error) || matches!(error.downcast_ref(), Some(SegmentError::Trace))
}

/// Whether it says that this prover or its machine is at fault: the trace of a segment may break the constraints because
/// the segment does.
pub(crate) fn is_own_fault(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ProveError::Unverified { .. } | ProveError::Trace { .. }))
        || matches!(error.downcast_ref(), Some(SegmentError::Unverified { .. }))
        || matches!(error.downcast_ref(), Some(KeccakError::Trace))
        || error.downcast_ref::<VerificationError>().is_some()
}

/// Calls `prove`, and once more if it failed with an error that `is_unverified`, which `again` counts.
fn prove_twice<T, E: Display>(
    again: &Cell<u32>,
    is_unverified: impl Fn(&E) -> bool,
    mut prove: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    match prove() {
        Err(error) if is_unverified(&error) => {
            tracing::warn!("proving once more: {error:#}");
            again.set(again.get().saturating_add(1));
            prove()
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use anyhow::Context as _;
    use starling_fastprove::segment::WitnessError;

    use super::*;

    /// Fails with these errors in turn, then succeeds; how often it was called.
    fn failing(errors: &[&'static str]) -> (Result<u32, &'static str>, u32, u32) {
        let (again, mut calls) = (Cell::new(0), 0);
        let result = prove_twice(
            &again,
            |error| *error == "unverified",
            || {
                calls += 1;
                errors.get(calls as usize - 1).map_or(Ok(7), |error| Err(*error))
            },
        );
        (result, calls, again.get())
    }

    #[test]
    fn a_proof_that_does_not_verify_is_made_once_more_and_counted() {
        assert_eq!(failing(&[]), (Ok(7), 1, 0));
        assert_eq!(failing(&["unverified"]), (Ok(7), 2, 1));
    }

    #[test]
    fn it_is_not_made_a_third_time() {
        assert_eq!(failing(&["unverified", "unverified"]), (Err("unverified"), 2, 1));
        assert_eq!(failing(&["unverified", "refused"]), (Err("refused"), 2, 1));
    }

    #[test]
    fn what_cannot_be_proved_is_not_tried_again() {
        assert_eq!(failing(&["refused"]), (Err("refused"), 1, 0));
    }

    #[test]
    fn only_errors_of_finished_proofs_are_of_that_kind_whatever_context_they_have() {
        let unverified = ProveError::Unverified { program: "lift".into(), reason: "seal".into() };
        let errors = [
            anyhow::Error::new(unverified),
            anyhow::Error::new(ProveError::Trace { program: "join".into() }),
            Err::<(), _>(VerificationError::InvalidProof).context("keccak").unwrap_err(),
        ];
        assert!(errors.iter().all(is_unverified) && errors.iter().all(is_own_fault));
        let input = ProveError::Input { role: "receipt", reason: "short".into() };
        assert!(![anyhow::Error::new(input), anyhow::anyhow!("no")].iter().any(is_unverified));
    }

    #[test]
    fn a_segment_that_breaks_the_constraints_is_proved_twice_and_then_at_fault_itself() {
        let trace = anyhow::Error::new(SegmentError::Trace);
        assert!(is_unverified(&trace) && !is_own_fault(&trace));
        let unverified = anyhow::Error::new(SegmentError::Unverified { reason: "seal".into() });
        assert!(is_unverified(&unverified) && is_own_fault(&unverified));
        let witness = WitnessError { reason: "no such page".into() };
        assert!(!is_unverified(&anyhow::Error::new(SegmentError::Witness(witness))));
    }

    #[test]
    fn the_count_is_of_the_time_since_it_was_taken_last() {
        let reproved = Reproved::default();
        let mut fails = true;
        let made = reproved.prove(|| {
            if std::mem::take(&mut fails) {
                Err(VerificationError::InvalidProof)?
            }
            Ok(7)
        });
        assert_eq!((made.unwrap(), reproved.take(), reproved.take()), (7, 1, 0));
    }
}
