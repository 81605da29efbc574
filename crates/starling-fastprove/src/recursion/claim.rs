//! What a receipt claims, put together from what its program put out and from what the receipts that went in said.

use risc0_binfmt::Digestible;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Assumption, Assumptions, MaybePruned, Output, ReceiptClaim, WorkClaim};

use super::error::ProveError;

/// A claim of which two parties may know different parts.
pub(crate) trait Merge: Digestible + Clone {
    /// What either knows of one claim. `self` and `other` have the same digest.
    fn with(&self, other: &Self) -> Self;
}

/// What is known of the claim that `proved`, the program's output, has the digest of.
///
/// # Errors
/// When `expected` is another claim.
pub(crate) fn merge<T: Merge>(proved: &T, expected: &T) -> Result<T, ProveError> {
    let (proved_digest, expected_digest) = (proved.digest::<Sha256>(), expected.digest::<Sha256>());
    if proved_digest != expected_digest {
        return Err(ProveError::OtherClaim { proved: proved_digest, expected: expected_digest });
    }
    Ok(proved.with(expected))
}

impl<T: Merge> Merge for MaybePruned<T> {
    fn with(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Value(value), Self::Value(other)) => Self::Value(value.with(other)),
            (Self::Value(_), Self::Pruned(_)) => self.clone(),
            (Self::Pruned(_), _) => other.clone(),
        }
    }
}

impl<T: Merge> Merge for Option<T>
where
    Option<T>: Digestible,
{
    fn with(&self, other: &Self) -> Self {
        match (self, other) {
            (Some(value), Some(other)) => Some(value.with(other)),
            _ => self.clone(),
        }
    }
}

impl Merge for ReceiptClaim {
    fn with(&self, other: &Self) -> Self {
        Self {
            pre: whole(&self.pre, &other.pre),
            post: whole(&self.post, &other.post),
            exit_code: self.exit_code,
            input: whole(&self.input, &other.input),
            output: self.output.with(&other.output),
        }
    }
}

impl Merge for Output {
    fn with(&self, other: &Self) -> Self {
        Self {
            journal: whole(&self.journal, &other.journal),
            assumptions: self.assumptions.with(&other.assumptions),
        }
    }
}

impl Merge for Assumptions {
    fn with(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, other)| whole::<Assumption>(one, other)).collect())
    }
}

impl Merge for WorkClaim<ReceiptClaim> {
    fn with(&self, other: &Self) -> Self {
        Self { claim: self.claim.with(&other.claim), work: whole(&self.work, &other.work) }
    }
}

/// The one that is not pruned, for values that are pruned as a whole or not at all.
fn whole<T: Clone>(one: &MaybePruned<T>, other: &MaybePruned<T>) -> MaybePruned<T> {
    match one {
        MaybePruned::Value(_) => one.clone(),
        MaybePruned::Pruned(_) => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use risc0_zkvm::{Digest, ExitCode, SystemState};

    use super::*;

    fn full() -> ReceiptClaim {
        let assumption =
            |word| Assumption { claim: Digest::from([word; 8]), control_root: Digest::ZERO };
        ReceiptClaim {
            pre: SystemState { pc: 4, merkle_root: Digest::from([1; 8]) }.into(),
            post: SystemState { pc: 0, merkle_root: Digest::ZERO }.into(),
            exit_code: ExitCode::Halted(0),
            input: None.into(),
            output: Some(Output {
                journal: b"journal".to_vec().into(),
                assumptions: Assumptions(vec![assumption(1).into(), assumption(2).into()]).into(),
            })
            .into(),
        }
    }

    fn pruned<T: Digestible>(value: &MaybePruned<T>) -> MaybePruned<T> {
        MaybePruned::Pruned(value.digest::<Sha256>())
    }

    #[test]
    fn what_either_knows_is_known() {
        let full = full();
        let without_states =
            ReceiptClaim { pre: pruned(&full.pre), post: pruned(&full.post), ..full.clone() };
        let without_output = ReceiptClaim { output: pruned(&full.output), ..full.clone() };
        let both = [(&without_states, &without_output), (&without_output, &without_states)];
        for (one, other) in both {
            let merged = merge(one, other).unwrap();
            assert_eq!(format!("{merged:?}"), format!("{full:?}"));
        }
    }

    #[test]
    fn assumptions_are_merged_one_by_one() {
        let full = full();
        let without = |at: usize| {
            let mut claim = full.clone();
            let output = claim.output.as_value_mut().unwrap().as_mut().unwrap();
            let list = output.assumptions.as_value_mut().unwrap();
            list.0[at] = pruned(&list.0[at]);
            claim
        };
        let merged = merge(&without(0), &without(1)).unwrap();
        assert_eq!(format!("{merged:?}"), format!("{full:?}"));
    }

    #[test]
    fn another_claim_is_an_error() {
        let other = ReceiptClaim { exit_code: ExitCode::Halted(1), ..full() };
        assert!(matches!(merge(&full(), &other), Err(ProveError::OtherClaim { .. })));
    }
}
