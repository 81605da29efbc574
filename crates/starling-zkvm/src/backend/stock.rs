//! The prover of `risc0-zkvm`, to compare with.

use std::rc::Rc;

use anyhow::Context as _;
use risc0_zkvm::{
    ProverOpts, ProverServer, ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown,
    get_prover_server,
};

use super::{KeccakProof, Prove};
use crate::{
    AssumptionId, WorkReceipt,
    leaf::{KeccakRequest, Segment},
    verify::{assumption_context, verifier_context},
};

/// RISC Zero's prover. It takes its threads from the process.
pub(super) struct Stock(Rc<dyn ProverServer>);

impl Stock {
    pub(super) fn new() -> anyhow::Result<Self> {
        let opts = ProverOpts::succinct().with_dev_mode(false);
        get_prover_server(&opts).map(Self)
    }
}

/// A value of ours as the stock type that is serialised in the same way: that cannot be constructed.
fn stock<T: serde::de::DeserializeOwned>(ours: &impl serde::Serialize) -> anyhow::Result<T> {
    let bytes = bincode::serialize(ours)?;
    bincode::deserialize(&bytes).context("the stock prover's type differs from ours")
}

fn verified_work(receipt: WorkReceipt) -> anyhow::Result<WorkReceipt> {
    receipt.verify_integrity_with_context(&verifier_context())?;
    Ok(receipt)
}

impl Prove for Stock {
    fn prove_segment(&self, segment: &Segment) -> anyhow::Result<SegmentReceipt> {
        self.0.prove_segment(&verifier_context(), &stock(segment)?)
    }

    fn lift(&self, receipt: &SegmentReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        self.0.lift(receipt)
    }

    fn lift_work(&self, receipt: &SegmentReceipt) -> anyhow::Result<WorkReceipt> {
        verified_work(self.0.lift_povw(receipt)?)
    }

    fn join(
        &self,
        left: &SuccinctReceipt<ReceiptClaim>,
        right: &SuccinctReceipt<ReceiptClaim>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        self.0.join(left, right)
    }

    fn join_work(&self, left: &WorkReceipt, right: &WorkReceipt) -> anyhow::Result<WorkReceipt> {
        verified_work(self.0.join_povw(left, right)?)
    }

    fn resolve(
        &self,
        conditional: &SuccinctReceipt<ReceiptClaim>,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        self.0.resolve(conditional, assumption)
    }

    fn resolve_work(
        &self,
        conditional: &WorkReceipt,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<WorkReceipt> {
        verified_work(self.0.resolve_povw(conditional, assumption)?)
    }

    fn unwrap_work(&self, receipt: &WorkReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>> {
        let unwrapped = self.0.unwrap_povw(receipt)?;
        unwrapped.verify_integrity_with_context(&verifier_context())?;
        Ok(unwrapped)
    }

    fn union(
        &self,
        one: &SuccinctReceipt<Unknown>,
        other: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        Ok(self.0.union(one, other)?.into_unknown())
    }

    /// Lifts in the same step.
    fn prove_keccak(&self, request: &KeccakRequest) -> anyhow::Result<KeccakProof> {
        self.0.prove_keccak(&stock(request)?).map(KeccakProof::Lifted)
    }

    fn lift_keccak(
        &self,
        _: &KeccakRequest,
        proof: KeccakProof,
        assumption: &AssumptionId,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        let KeccakProof::Lifted(receipt) = proof else {
            anyhow::bail!("a seal of another prover");
        };
        receipt.verify_integrity_with_context(&assumption_context(assumption.control_root))?;
        Ok(receipt)
    }
}
