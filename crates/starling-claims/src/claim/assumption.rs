//! What a guest assumes, and how assumptions are put together: lists in an output, unions of keccak proofs.

use std::fmt;

use super::hex_digest;
use risc0_binfmt::{Digestible as _, tagged_list_cons, tagged_struct};
use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use risc0_zkvm::{
    ALLOWED_CONTROL_ROOT, Assumption, Assumptions, Digest, MaybePruned, Output, UnionClaim,
};
use serde::{Deserialize, Serialize};

/// A statement that a guest takes for true, or that a receipt proves: [`Assumption`] as small data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssumptionId {
    /// The digest of what is claimed.
    #[serde(with = "hex_digest")]
    pub claim: Digest,
    /// The root of the recursion programs that a proof of it must come from. Of a guest's assumption, zero
    /// stands for those of its own receipt.
    #[serde(with = "hex_digest")]
    pub control_root: Digest,
}

impl AssumptionId {
    /// A claim that is proved with the programs of an ordinary receipt.
    pub fn of_receipt(claim: Digest) -> Self {
        Self { claim, control_root: ALLOWED_CONTROL_ROOT }
    }

    /// The digest that names it in a list or a union.
    pub fn digest(&self) -> Digest {
        self.to_assumption().digest::<Sha256>()
    }

    /// What a union of a receipt of `self` and one of `other` proves, in either order.
    pub fn union(&self, other: &Self) -> Self {
        let (one, other) = (self.digest(), other.digest());
        let claim = UnionClaim { left: one.min(other), right: one.max(other) };
        Self::of_receipt(claim.digest::<Sha256>())
    }

    /// What the keccak proofs `leaves`, neighbours in a union tree, are united to: the one leaf, a complete subtree of
    /// 2^h leaves, or the first leaves of all.
    ///
    /// The shape is that of RISC Zero's Merkle mountain range, which the guest builds in the same way: complete
    /// subtrees unite their halves, and those that are left in the end are folded from the left.
    ///
    /// # Panics
    /// When there are no leaves: nothing is united to nothing.
    pub fn of_union(leaves: &[Self]) -> Self {
        let count = leaves.len();
        if count <= 1 {
            return *leaves.first().expect("a union has leaves");
        }
        let middle = if count.is_power_of_two() {
            count / 2
        } else {
            // The last complete subtree joins all that is left of it.
            count - (1 << count.trailing_zeros())
        };
        let (left, right) = leaves.split_at(middle);
        Self::of_union(left).union(&Self::of_union(right))
    }

    /// Whether a receipt of `proved` resolves the assumption.
    pub fn is_resolved_by(&self, proved: &Self) -> bool {
        *proved == self.proof()
    }

    /// What a receipt that resolves the assumption proves: a control root of zero is filled in.
    pub fn proof(&self) -> Self {
        let own = self.control_root == Digest::ZERO;
        if own { Self::of_receipt(self.claim) } else { *self }
    }

    fn to_assumption(self) -> Assumption {
        Assumption { claim: self.claim, control_root: self.control_root }
    }
}

impl From<&Assumption> for AssumptionId {
    fn from(assumption: &Assumption) -> Self {
        Self { claim: assumption.claim, control_root: assumption.control_root }
    }
}

impl fmt::Debug for AssumptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssumptionId({} under {})", self.claim, self.control_root)
    }
}

/// What a session put out, small enough to keep and complete enough to open its claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputParts {
    /// The digest of the journal.
    #[serde(with = "hex_digest")]
    pub journal: Digest,
    /// What the guest assumed, in the order of resolving: what it assumed last is first.
    pub assumptions: Vec<AssumptionId>,
}

impl OutputParts {
    /// The parts of an output with this journal.
    pub fn new(journal: &[u8], assumptions: Vec<AssumptionId>) -> Self {
        Self { journal: *Sha256::hash_bytes(journal), assumptions }
    }

    /// The digest of the output when the first `resolved` assumptions are gone; all of them, if there are fewer.
    pub fn digest_after(&self, resolved: usize) -> Digest {
        self.after(resolved).digest::<Sha256>()
    }

    /// [`Self::digest_after`] of each count of resolved assumptions, from none to all: each takes two hashes.
    pub fn digests(&self) -> Vec<Digest> {
        let output =
            |list: &Digest| tagged_struct::<Sha256>("risc0.Output", &[&self.journal, list], &[]);
        let mut list = Digest::ZERO;
        let mut digests = vec![output(&list)];
        for assumption in self.assumptions.iter().rev() {
            list = tagged_list_cons::<Sha256>("risc0.Assumptions", &assumption.digest(), &list);
            digests.push(output(&list));
        }
        digests.reverse();
        digests
    }

    /// The output as a segment carries it to its prover: assumptions opened, the journal as its digest.
    pub fn to_output(&self) -> Output {
        self.after(0)
    }

    fn after(&self, resolved: usize) -> Output {
        let left = self.assumptions.get(resolved..).unwrap_or_default();
        let left = left.iter().map(|assumption| assumption.to_assumption().into()).collect();
        Output { journal: MaybePruned::Pruned(self.journal), assumptions: Assumptions(left).into() }
    }

    /// The parts of an output whose assumptions are opened; `None` when they are not.
    pub fn of(output: &Output) -> Option<Self> {
        let assumptions = match &output.assumptions {
            MaybePruned::Value(list) => list
                .iter()
                .map(|assumption| assumption.as_value().ok().map(AssumptionId::from))
                .collect::<Option<_>>()?,
            // The digest of an empty list.
            MaybePruned::Pruned(digest) if *digest == Digest::ZERO => Vec::new(),
            MaybePruned::Pruned(_) => return None,
        };
        Some(Self { journal: output.journal.digest::<Sha256>(), assumptions })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn leaves(count: u32) -> Vec<AssumptionId> {
        let id = |index| AssumptionId {
            claim: Digest::from([index + 1; 8]),
            control_root: Digest::from([99; 8]),
        };
        (0..count).map(id).collect()
    }

    /// The range as the guest grows it: peaks of equal height merge, and in the end all fold from the left.
    fn mountains(leaves: &[AssumptionId]) -> AssumptionId {
        let mut peaks: Vec<(AssumptionId, u32)> = Vec::new();
        for leaf in leaves {
            let mut new = (*leaf, 0);
            while let Some(peak) = peaks.pop_if(|peak| peak.1 == new.1) {
                new = (peak.0.union(&new.0), new.1 + 1);
            }
            peaks.push(new);
        }
        peaks.into_iter().map(|peak| peak.0).reduce(|all, peak| all.union(&peak)).unwrap()
    }

    #[test]
    fn the_union_of_all_leaves_is_the_root_that_the_guest_computes() {
        for count in 1..70 {
            let leaves = leaves(count);
            assert_eq!(AssumptionId::of_union(&leaves), mountains(&leaves), "{count} leaves");
        }
    }

    #[test]
    fn a_part_of_the_tree_is_named_by_its_leaves_alone() {
        let leaves = leaves(7);
        let [left, right, last] =
            [0..4, 4..6, 6..7].map(|part| AssumptionId::of_union(&leaves[part]));
        assert_eq!(AssumptionId::of_union(&leaves), left.union(&right).union(&last));
        assert_eq!(AssumptionId::of_union(&leaves[..6]), left.union(&right));
        assert_eq!(right, leaves[4].union(&leaves[5]));
        assert_eq!(last, leaves[6]);
    }

    #[test]
    fn a_union_is_the_same_in_either_order() {
        let leaves = leaves(2);
        assert_eq!(leaves[0].union(&leaves[1]), leaves[1].union(&leaves[0]));
        assert_eq!(leaves[0].union(&leaves[1]).control_root, ALLOWED_CONTROL_ROOT);
    }

    #[test]
    fn a_control_root_of_zero_asks_for_an_ordinary_receipt() {
        let claim = Digest::from([5; 8]);
        let own = AssumptionId { claim, control_root: Digest::ZERO };
        let other = AssumptionId { claim, control_root: Digest::from([6; 8]) };
        assert!(own.is_resolved_by(&AssumptionId::of_receipt(claim)));
        assert!(!own.is_resolved_by(&other));
        assert!(other.is_resolved_by(&other));
        assert!(!other.is_resolved_by(&AssumptionId::of_receipt(claim)));
    }

    #[test]
    fn resolving_shortens_the_list_from_its_head_as_the_stock_claim_does() {
        let output = OutputParts::new(b"journal", leaves(3));
        let mut stock = output.to_output();
        for resolved in 0..3 {
            assert_eq!(output.digest_after(resolved), stock.digest::<Sha256>());
            let list = stock.assumptions.as_value_mut().unwrap();
            let head = leaves(3)[resolved].digest();
            list.resolve(&head).unwrap();
        }
        assert_eq!(output.digest_after(3), stock.digest::<Sha256>());
        assert_eq!(output.digest_after(9), stock.digest::<Sha256>());
    }

    #[test]
    fn the_digests_of_all_steps_at_once_are_those_of_each() {
        for count in [0, 1, 7] {
            let output = OutputParts::new(b"journal", leaves(count));
            let each = (0..=count as usize).map(|resolved| output.digest_after(resolved));
            assert_eq!(output.digests(), each.collect::<Vec<_>>(), "{count}");
        }
    }

    #[test]
    fn an_output_is_read_back_unless_its_list_is_pruned() {
        let parts = OutputParts::new(b"journal", leaves(2));
        let mut output = parts.to_output();
        assert_eq!(OutputParts::of(&output), Some(parts.clone()));
        output.assumptions = MaybePruned::Pruned(output.assumptions.digest::<Sha256>());
        assert_eq!(OutputParts::of(&output), None);
        output.assumptions = MaybePruned::Pruned(Digest::ZERO);
        assert_eq!(OutputParts::of(&output), Some(OutputParts { assumptions: vec![], ..parts }));
    }

    #[test]
    fn output_parts_survive_the_job_log() {
        let parts = OutputParts::new(b"journal", leaves(2));
        let text = serde_json::to_string(&parts).unwrap();
        assert_eq!(serde_json::from_str::<OutputParts>(&text).unwrap(), parts);
    }
}
