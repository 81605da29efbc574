//! The provers of a prover process: RISC Zero's own for segments, and either for keccak and recursion.
//!
//! Whatever is returned was verified by the stock verifier: by the prover that made it, or here.

use std::rc::Rc;

use anyhow::{Context as _, ensure};
use risc0_binfmt::Digestible as _;
use risc0_circuit_keccak::{
    KECCAK_CONTROL_IDS, KeccakState, get_control_id,
    prove::{KeccakProver, Seal, zkr::get_keccak_zkr},
};
use risc0_zkp::{core::hash::sha::Impl as Sha256, field::baby_bear::BabyBearElem};
use risc0_zkvm::{
    ProveKeccakRequest, ProverOpts, ProverServer, ReceiptClaim, Segment, SegmentReceipt,
    SuccinctReceipt, Unknown, get_prover_server,
};
use serde::{Deserialize, Serialize};
use starling_fastprove::{
    keccak,
    recursion::{Options, Prover},
    stark::MemoryPlan,
};

use crate::{
    AssumptionId, WorkReceipt,
    verify::{assumption_context, verifier_context},
};

/// What a keccak proof may hold in memory, as long as it can do with so little: the largest there are, of 2^18 rows,
/// take 1.2 GB at least, those of 2^17 half of that. Up to 2^15 rows nothing has to be computed twice.
const KECCAK_BUDGET_BYTES: usize = 1 << 30;

/// How keccak and recursion (lift, join and all that follows) are proved. Both make receipts that the stock verifier accepts
/// and that the other goes on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// With SIMD, as this project does it.
    #[default]
    Fast,
    /// With the prover of `risc0-zkvm`, to compare.
    Stock,
}

impl Backend {
    /// Its word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Stock => "stock",
        }
    }
}

/// What proves the tasks of this process.
pub(crate) struct Provers {
    stock: Rc<dyn ProverServer>,
    fast: Option<Prover>,
}

/// A keccak proof on its way to become a receipt.
pub(crate) enum KeccakProof {
    /// The circuit's proof, to be lifted.
    Seal(Seal),
    /// The stock prover lifts in the same step.
    Lifted(SuccinctReceipt<Unknown>),
}

impl Provers {
    /// With `threads`, or as many as there are cores.
    pub(crate) fn new(backend: Backend, threads: Option<u32>) -> anyhow::Result<Self> {
        let opts = ProverOpts::succinct().with_dev_mode(false);
        let fast = match backend {
            Backend::Fast => {
                let mut options = Options::default();
                if let Some(threads) = threads {
                    options.threads = threads as usize;
                }
                Some(Prover::new(options)?)
            }
            Backend::Stock => None,
        };
        Ok(Self { stock: get_prover_server(&opts)?, fast })
    }

    pub(crate) fn prove_segment(&self, segment: &Segment) -> anyhow::Result<SegmentReceipt> {
        self.make_room();
        self.stock.prove_segment(&verifier_context(), segment)
    }

    pub(crate) fn lift(
        &self,
        receipt: &SegmentReceipt,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        match &self.fast {
            Some(fast) => Ok(fast.lift(receipt)?),
            None => self.stock.lift(receipt),
        }
    }

    pub(crate) fn lift_work(&self, receipt: &SegmentReceipt) -> anyhow::Result<WorkReceipt> {
        match &self.fast {
            Some(fast) => Ok(fast.lift_povw(receipt)?),
            None => verified_work(self.stock.lift_povw(receipt)?),
        }
    }

    pub(crate) fn join(
        &self,
        left: &SuccinctReceipt<ReceiptClaim>,
        right: &SuccinctReceipt<ReceiptClaim>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        match &self.fast {
            Some(fast) => Ok(fast.join(left, right)?),
            None => self.stock.join(left, right),
        }
    }

    pub(crate) fn join_work(
        &self,
        left: &WorkReceipt,
        right: &WorkReceipt,
    ) -> anyhow::Result<WorkReceipt> {
        match &self.fast {
            Some(fast) => Ok(fast.join_povw(left, right)?),
            None => verified_work(self.stock.join_povw(left, right)?),
        }
    }

    pub(crate) fn resolve(
        &self,
        conditional: &SuccinctReceipt<ReceiptClaim>,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        match &self.fast {
            Some(fast) => Ok(fast.resolve(conditional, assumption)?),
            None => self.stock.resolve(conditional, assumption),
        }
    }

    pub(crate) fn resolve_work(
        &self,
        conditional: &WorkReceipt,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<WorkReceipt> {
        match &self.fast {
            Some(fast) => Ok(fast.resolve_povw(conditional, assumption)?),
            None => verified_work(self.stock.resolve_povw(conditional, assumption)?),
        }
    }

    pub(crate) fn unwrap_work(
        &self,
        receipt: &WorkReceipt,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        let unwrapped = match &self.fast {
            Some(fast) => return Ok(fast.unwrap_povw(receipt)?),
            None => self.stock.unwrap_povw(receipt)?,
        };
        unwrapped.verify_integrity_with_context(&verifier_context())?;
        Ok(unwrapped)
    }

    pub(crate) fn union(
        &self,
        one: &SuccinctReceipt<Unknown>,
        other: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        Ok(match &self.fast {
            Some(fast) => fast.union(one, other)?.into_unknown(),
            None => self.stock.union(one, other)?.into_unknown(),
        })
    }

    /// Proves the permutations of `request`, whose numbers must be those of the circuit.
    pub(crate) fn prove_keccak(&self, request: &ProveKeccakRequest) -> anyhow::Result<KeccakProof> {
        self.make_room();
        let Some(fast) = &self.fast else {
            return self.stock.prove_keccak(request).map(KeccakProof::Lifted);
        };
        let seal = fast.with_engine(|engine| {
            let plan = MemoryPlan::for_budget(&keccak::demand(request.po2)?, KECCAK_BUDGET_BYTES);
            keccak::prove(&engine.with_plan(plan), &request.input, request.po2)
        })?;
        KeccakVerifier.verify(&seal).context("the finished keccak proof does not verify")?;
        Ok(KeccakProof::Seal(seal))
    }

    /// Lifts a keccak proof of `request`: the receipt proves `assumption`.
    pub(crate) fn lift_keccak(
        &self,
        request: &ProveKeccakRequest,
        proof: KeccakProof,
        assumption: &AssumptionId,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        let receipt = match (proof, &self.fast) {
            (KeccakProof::Lifted(receipt), _) => receipt,
            (KeccakProof::Seal(_), None) => anyhow::bail!("a seal of another prover"),
            (KeccakProof::Seal(seal), Some(fast)) => {
                let control_id = *get_control_id(request.po2);
                let program = get_keccak_zkr(request.po2)?;
                let allowed = KECCAK_CONTROL_IDS.to_vec();
                fast.prove_zkr(&program, control_id, allowed, &lift_input(request, seal))?
            }
        };
        ensure!(
            receipt.claim.digest::<Sha256>() == assumption.claim,
            "the finished keccak proof is not of the permutations that were asked for"
        );
        receipt.verify_integrity_with_context(&assumption_context(assumption.control_root))?;
        Ok(receipt)
    }

    /// Gives back what recursion keeps for its next proof: it would lie beside what a large segment takes.
    fn make_room(&self) {
        if let Some(fast) = &self.fast {
            fast.release_memory();
        }
    }
}

/// RISC Zero's verifier of keccak seals, which is a method of its provers. This one proves nothing.
struct KeccakVerifier;

impl KeccakProver for KeccakVerifier {
    fn prove(&self, _: &[KeccakState], _: usize) -> anyhow::Result<Seal> {
        anyhow::bail!("this verifies keccak proofs, it makes none")
    }
}

/// What the program reads that lifts a keccak proof: the root of the programs that its receipt belongs to, the seal,
/// the claim in halves of words, and the count of cycles.
fn lift_input(request: &ProveKeccakRequest, seal: Seal) -> Vec<u32> {
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

fn verified_work(receipt: WorkReceipt) -> anyhow::Result<WorkReceipt> {
    receipt.verify_integrity_with_context(&verifier_context())?;
    Ok(receipt)
}
