//! What receipts must claim: computed by the client from its own execution, compared with what peers prove.
//!
//! A claim says: started at this state, ended at that one, in this way, with this output. Joining is
//! associative, so the claim of a range depends on its first and last segment alone. What else a proof may be
//! about (an assumption, counted work) has its own words in [`AssumptionId`], [`OutputParts`] and [`Work`].

mod assumption;
mod work;

use risc0_binfmt::Digestible as _;
use risc0_circuit_rv32im::Rv32imV2Claim;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{Digest, ExitCode, MaybePruned, Output, ReceiptClaim, SystemState};
use risc0_zkvm_platform::syscall::halt;
use serde::{Deserialize, Serialize};

pub use self::{
    assumption::{AssumptionId, OutputParts},
    work::{PovwJob, Work},
};

/// The most bytes of a journal that a delivered claim repeats, as RISC Zero's prover has it. The receipt holds
/// the journal anyway; a second copy of a large one would double the file and what reading it takes. The claim
/// then names it by its digest, which every verifier accepts.
pub const JOURNAL_OPENED_BYTES_MAX: usize = 1 << 20;

/// The claim of one segment, small enough to be kept for every segment of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentClaim {
    /// Merkle root of the memory before the segment.
    #[serde(with = "hex_digest")]
    pub pre: Digest,
    /// Merkle root of the memory after it; zero when the guest halted.
    #[serde(with = "hex_digest")]
    pub post: Digest,
    /// How the segment ended: [`ExitCode::SystemSplit`] for all but a job's last.
    pub exit_code: ExitCode,
    /// Digest of the input that the claim is bound to; zero for guests that read from the host.
    #[serde(with = "hex_digest")]
    pub input: Digest,
    /// Digest of the output (journal and assumptions); zero where there is none.
    #[serde(with = "hex_digest")]
    pub output: Digest,
}

/// The executor ended a segment in a way that no claim describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the executor ended a segment with the unknown halt type {halt_type}")]
pub struct UnknownHalt {
    /// The type as the kernel gave it.
    pub halt_type: u16,
}

impl SegmentClaim {
    /// The claim that a receipt of an executed segment will make.
    pub fn of_executed(claim: &Rv32imV2Claim) -> Result<Self, UnknownHalt> {
        let exit_code = match claim.terminate_state {
            None => ExitCode::SystemSplit,
            Some(state) => match u32::from(state.a0.1) {
                halt::TERMINATE => ExitCode::Halted(state.a0.0.into()),
                halt::PAUSE => ExitCode::Paused(state.a0.0.into()),
                _ => return Err(UnknownHalt { halt_type: state.a0.1 }),
            },
        };
        // A halted machine cannot be resumed: the circuit leaves its state out of the claim.
        let halted = matches!(exit_code, ExitCode::Halted(_));
        Ok(Self {
            pre: claim.pre_state,
            post: if halted { Digest::ZERO } else { claim.post_state },
            exit_code,
            input: claim.input,
            output: claim.output.unwrap_or(Digest::ZERO),
        })
    }

    /// The claim that a segment's receipt makes; `None` when its states are pruned.
    pub fn of_receipt(claim: &ReceiptClaim) -> Option<Self> {
        let root =
            |state: &MaybePruned<SystemState>| state.as_value().ok().map(|state| state.merkle_root);
        let claimed = Self {
            pre: root(&claim.pre)?,
            post: root(&claim.post)?,
            exit_code: claim.exit_code,
            input: claim.input.digest::<Sha256>(),
            output: claim.output.digest::<Sha256>(),
        };
        // A program counter in a state is in the digest alone; no prover of this release writes one.
        (claimed.digest() == claim.digest::<Sha256>()).then_some(claimed)
    }

    /// The claim of `self` followed by `right`.
    pub fn join(&self, right: &Self) -> Self {
        Self { pre: self.pre, input: self.input, ..*right }
    }

    /// The claim as receipts carry it, its output as a digest.
    pub fn to_receipt_claim(&self) -> ReceiptClaim {
        let state = |merkle_root| MaybePruned::Value(SystemState { pc: 0, merkle_root });
        ReceiptClaim {
            pre: state(self.pre),
            post: state(self.post),
            exit_code: self.exit_code,
            input: MaybePruned::Pruned(self.input),
            output: MaybePruned::Pruned(self.output),
        }
    }

    /// The same claim with another output: what remains when assumptions are resolved.
    pub fn with_output(&self, output: Digest) -> Self {
        Self { output, ..*self }
    }

    /// The claim with its output opened, as a delivered receipt carries it; `None` when `journal`, without any
    /// assumption, is not what the claim's output commits to.
    ///
    /// The journal itself is in it up to [`JOURNAL_OPENED_BYTES_MAX`].
    pub fn with_journal(&self, journal: &[u8]) -> Option<ReceiptClaim> {
        self.opened(journal, &[])
    }

    /// As [`Self::with_journal`], with the assumptions that the output commits to.
    pub fn opened(&self, journal: &[u8], assumptions: &[AssumptionId]) -> Option<ReceiptClaim> {
        let output: MaybePruned<Option<Output>> = if self.output == Digest::ZERO {
            (journal.is_empty() && assumptions.is_empty()).then_some(None)?.into()
        } else {
            let parts = OutputParts::new(journal, assumptions.to_vec());
            let mut output = parts.to_output();
            if journal.len() <= JOURNAL_OPENED_BYTES_MAX {
                output.journal = journal.to_vec().into();
            }
            Some(output).into()
        };
        (output.digest::<Sha256>() == self.output)
            .then(|| ReceiptClaim { output, ..self.to_receipt_claim() })
    }

    /// The digest that names the claim.
    pub fn digest(&self) -> Digest {
        self.to_receipt_claim().digest::<Sha256>()
    }

    /// The image id of the program whose execution starts where this claim starts.
    pub fn image_id(&self) -> Digest {
        SystemState { pc: 0, merkle_root: self.pre }.digest::<Sha256>()
    }
}

mod hex_digest {
    use risc0_zkvm::Digest;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(digest.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn output_of(journal: &[u8]) -> Digest {
        OutputParts::new(journal, vec![]).digest_after(0)
    }

    fn chain(segment_count: u32) -> Vec<SegmentClaim> {
        let state = |index: u32| Digest::from([index + 1; 8]);
        let last = segment_count - 1;
        (0..segment_count)
            .map(|index| SegmentClaim {
                pre: state(index),
                post: if index == last { Digest::ZERO } else { state(index + 1) },
                exit_code: if index == last { ExitCode::Halted(0) } else { ExitCode::SystemSplit },
                input: Digest::ZERO,
                output: if index == last { output_of(b"journal") } else { Digest::ZERO },
            })
            .collect()
    }

    #[test]
    fn every_split_of_a_range_joins_to_the_same_claim() {
        let claims = chain(5);
        let expected = claims[0].join(&claims[4]);
        for split in 1..5 {
            let left = claims[0].join(&claims[split - 1]);
            let right = claims[split].join(&claims[4]);
            assert_eq!(left.join(&right), expected, "split at {split}");
            let stock = left.to_receipt_claim().join(&right.to_receipt_claim());
            assert_eq!(stock.digest::<Sha256>(), expected.digest());
        }
    }

    #[test]
    fn a_whole_claim_is_the_one_the_stock_verifier_expects() {
        let claims = chain(3);
        let whole = claims[0].join(&claims[2]);
        let stock = ReceiptClaim::ok(whole.image_id(), b"journal".to_vec());
        assert_eq!(whole.digest(), stock.digest::<Sha256>());
        assert_eq!(whole.with_journal(b"journal").unwrap().digest::<Sha256>(), whole.digest());
    }

    #[test]
    fn another_journal_does_not_open_the_claim() {
        let claims = chain(2);
        assert!(claims[1].with_journal(b"forged").is_none());
        assert!(claims[0].with_journal(b"journal").is_none());
        assert!(claims[0].with_journal(b"").is_some());
    }

    #[test]
    fn a_small_journal_is_in_the_claim_and_a_large_one_is_named_by_its_digest() {
        for (size_bytes, opened) in
            [(JOURNAL_OPENED_BYTES_MAX, true), (JOURNAL_OPENED_BYTES_MAX + 1, false)]
        {
            let journal = vec![7; size_bytes];
            let claim = chain(1)[0].with_output(output_of(&journal));
            let whole = claim.with_journal(&journal).unwrap();
            let stock = ReceiptClaim::ok(claim.image_id(), journal);
            assert_eq!(whole.digest::<Sha256>(), stock.digest::<Sha256>());
            let output = whole.output.as_value().unwrap().as_ref().unwrap();
            assert_eq!(output.journal.as_value().is_ok(), opened, "{size_bytes} bytes");
        }
    }

    #[test]
    fn assumptions_are_part_of_what_an_output_commits_to() {
        let assumed = AssumptionId { claim: Digest::from([5; 8]), control_root: Digest::ZERO };
        let output = OutputParts::new(b"journal", vec![assumed]);
        let claim = chain(1)[0].with_output(output.digest_after(0));
        assert!(claim.with_journal(b"journal").is_none());
        assert!(claim.opened(b"journal", &[assumed]).is_some());
        assert!(claim.with_output(output.digest_after(1)).with_journal(b"journal").is_some());
    }

    #[test]
    fn a_claim_survives_the_job_log() {
        for claim in chain(2) {
            let text = serde_json::to_string(&claim).unwrap();
            assert_eq!(serde_json::from_str::<SegmentClaim>(&text).unwrap(), claim);
        }
    }
}
