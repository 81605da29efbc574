//! The provers of a prover process: RISC Zero's own for segments and keccak, and either for recursion.
//!
//! Whatever is returned was verified by the stock verifier: by the prover that made it, or here.

use std::rc::Rc;

use anyhow::{Context as _, ensure};
use risc0_binfmt::Digestible as _;
use risc0_circuit_keccak::{
    KECCAK_CONTROL_IDS, get_control_id,
    prove::{Seal, keccak_prover, zkr::get_keccak_zkr},
};
use risc0_zkp::{core::hash::sha::Impl as Sha256, field::baby_bear::BabyBearElem};
use risc0_zkvm::{
    ProveKeccakRequest, ProverOpts, ProverServer, ReceiptClaim, Segment, SegmentReceipt,
    SuccinctReceipt, Unknown, get_prover_server,
};
use serde::{Deserialize, Serialize};
use starling_fastprove::recursion::{Options, Prover};
use starling_types::Profile;

use crate::{
    AssumptionId, WorkReceipt,
    twice::Reproved,
    verify::{assumption_context, verifier_context},
};

/// How recursion (lift, join and all that follows) is proved. Both make receipts that the stock verifier accepts
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
    threads: Option<u32>,
    profile: Profile,
    reproved: Reproved,
}

fn options(threads: Option<u32>, profile: Profile) -> Options {
    let mut options = Options::default();
    if let Some(threads) = threads {
        options.threads = threads as usize;
    }
    if profile == Profile::Frugal {
        options.cosets_kept = 0;
        options.programs_kept = 1;
        options.pool_bytes = 0;
    }
    options
}

/// A keccak proof on its way to become a receipt.
#[derive(Clone)]
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
        let profile = Profile::default();
        let fast = match backend {
            Backend::Fast => Some(Prover::new(options(threads, profile))?),
            Backend::Stock => None,
        };
        let stock = get_prover_server(&opts)?;
        Ok(Self { stock, fast, threads, profile, reproved: Reproved::default() })
    }

    /// Begins a task that is to be proved like this. Another profile than the last task's takes another prover, which
    /// has to make its recursion programs ready anew: a second, and nothing is left in memory of the other.
    pub(crate) fn prepare(&mut self, profile: Profile) -> anyhow::Result<()> {
        self.reproved.take();
        if self.fast.is_some() && profile != self.profile {
            self.fast = Some(Prover::new(options(self.threads, profile))?);
        }
        self.profile = profile;
        Ok(())
    }

    /// What `prove` makes; if that does not verify, what it makes the second time.
    pub(crate) fn twice<T>(&self, prove: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.reproved.prove(prove)
    }

    /// How many proofs of the task did not verify and were made once more.
    pub(crate) fn reproved(&self) -> u32 {
        self.reproved.take()
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
        if self.fast.is_none() {
            return self.stock.prove_keccak(request).map(KeccakProof::Lifted);
        }
        let prover = keccak_prover()?;
        let seal = prover.prove(&request.input, request.po2)?;
        prover.verify(&seal).context("the finished keccak proof does not verify")?;
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
