//! Proving with SIMD, as this project does it.

use anyhow::Context as _;
use risc0_circuit_keccak::{KECCAK_CONTROL_IDS, KECCAK_PO2_RANGE};
use risc0_zkp::field::baby_bear::BabyBearElem;
use risc0_zkvm::{ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown};
use starling_fastprove::recursion::{Code, Options, Prover, RECURSION_PO2};

use super::{KeccakProof, Prove};
use crate::{
    AssumptionId, WorkReceipt,
    leaf::{KeccakRequest, Segment},
    verify::assumption_context,
};

/// The fast provers.
pub(super) struct Fast(Prover);

impl Fast {
    /// With `threads`, or as many as there are cores.
    pub(super) fn new(threads: Option<u32>) -> anyhow::Result<Self> {
        let mut options = Options::default();
        if let Some(threads) = threads {
            options.threads = threads as usize;
        }
        Ok(Self(Prover::new(options, starling_programs::words)?))
    }
}

impl Prove for Fast {
    fn prove_segment(&self, segment: &Segment) -> anyhow::Result<SegmentReceipt> {
        // What recursion keeps for its next proof would lie beside what a large segment takes.
        self.0.release_memory();
        leaves::prove_segment(segment)
    }

    fn lift(&self, receipt: &SegmentReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.0.lift(receipt)?)
    }

    fn lift_work(&self, receipt: &SegmentReceipt) -> anyhow::Result<WorkReceipt> {
        Ok(self.0.lift_povw(receipt)?)
    }

    fn join(
        &self,
        left: &SuccinctReceipt<ReceiptClaim>,
        right: &SuccinctReceipt<ReceiptClaim>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.0.join(left, right)?)
    }

    fn join_work(&self, left: &WorkReceipt, right: &WorkReceipt) -> anyhow::Result<WorkReceipt> {
        Ok(self.0.join_povw(left, right)?)
    }

    fn resolve(
        &self,
        conditional: &SuccinctReceipt<ReceiptClaim>,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.0.resolve(conditional, assumption)?)
    }

    fn resolve_work(
        &self,
        conditional: &WorkReceipt,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<WorkReceipt> {
        Ok(self.0.resolve_povw(conditional, assumption)?)
    }

    fn unwrap_work(&self, receipt: &WorkReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        Ok(self.0.unwrap_povw(receipt)?)
    }

    fn union(
        &self,
        one: &SuccinctReceipt<Unknown>,
        other: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        Ok(self.0.union(one, other)?.into_unknown())
    }

    fn prove_keccak(&self, request: &KeccakRequest) -> anyhow::Result<KeccakProof> {
        self.0.release_memory();
        leaves::prove_keccak(request).map(KeccakProof::Seal)
    }

    fn lift_keccak(
        &self,
        request: &KeccakRequest,
        proof: KeccakProof,
        assumption: &AssumptionId,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        let seal = match proof {
            KeccakProof::Seal(seal) => seal,
            #[cfg(feature = "stock")]
            KeccakProof::Lifted(_) => anyhow::bail!("a receipt of another prover"),
        };
        let control_id = request
            .po2
            .checked_sub(*KECCAK_PO2_RANGE.start())
            .and_then(|at| KECCAK_CONTROL_IDS.get(at))
            .with_context(|| {
                format!("there is no program for keccak proofs of po2 {}", request.po2)
            })?;
        let words = starling_programs::words(&format!("keccak_lift_{}.zkr", request.po2))?;
        let program = Code::from_words(&words, RECURSION_PO2);
        let input = lift_input(request, seal);
        let receipt = self.0.prove_zkr(&program, *control_id, &KECCAK_CONTROL_IDS, &input)?;
        receipt.verify_integrity_with_context(&assumption_context(assumption.control_root))?;
        Ok(receipt)
    }
}

/// What the program reads that lifts a keccak proof: the root of the programs that its receipt belongs to, the seal,
/// the claim in halves of words, and the count of cycles.
fn lift_input(request: &KeccakRequest, seal: Vec<u32>) -> Vec<u32> {
    // The program reads field elements as the circuits keep them in memory.
    let element = |value: u32| BabyBearElem::new(value).as_u32_montgomery();
    let halves =
        request.claim_digest.as_words().iter().flat_map(|word| [word & 0xffff, word >> 16]);
    let mut input = request.control_root.as_words().to_vec();
    input.extend(seal);
    input.extend(halves.map(element));
    input.push(1 << request.po2);
    input
}

/// Segments and keccak are not fast yet: RISC Zero's provers prove them.
#[cfg(feature = "stock")]
mod leaves {
    use anyhow::Context as _;
    use risc0_circuit_keccak::prove::keccak_prover;
    use risc0_zkvm::SegmentReceipt;

    use crate::{
        backend::{Prove as _, stock::Stock},
        leaf::{KeccakRequest, Segment},
    };

    pub(super) fn prove_segment(segment: &Segment) -> anyhow::Result<SegmentReceipt> {
        Stock::new()?.prove_segment(segment)
    }

    pub(super) fn prove_keccak(request: &KeccakRequest) -> anyhow::Result<Vec<u32>> {
        let prover = keccak_prover()?;
        let seal = prover.prove(&request.input, request.po2)?;
        prover.verify(&seal).context("the finished keccak proof does not verify")?;
        Ok(seal)
    }
}

/// Segments and keccak are not fast yet, and this build has none of RISC Zero's provers.
#[cfg(not(feature = "stock"))]
mod leaves {
    use risc0_zkvm::SegmentReceipt;

    use crate::leaf::{KeccakRequest, Segment};

    pub(super) fn prove_segment(_: &Segment) -> anyhow::Result<SegmentReceipt> {
        anyhow::bail!("this build proves no segments: build it with --features stock")
    }

    pub(super) fn prove_keccak(_: &KeccakRequest) -> anyhow::Result<Vec<u32>> {
        anyhow::bail!("this build proves no keccak permutations: build it with --features stock")
    }
}
