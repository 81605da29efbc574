//! The provers of a prover process: this project's own, and RISC Zero's to compare with.
//!
//! Whatever is returned was verified by the stock verifier: by the prover that made it, or here. What does not verify is
//! proved once more, with new randomness. RISC Zero's prover is C++ that takes half an hour to compile: it is there in
//! builds with the feature `stock` alone.

mod fast;
#[cfg(feature = "stock")]
mod stock;

use anyhow::ensure;
use risc0_binfmt::Digestible as _;
use risc0_zkp::core::hash::sha::Impl as Sha256;
use risc0_zkvm::{ReceiptClaim, SegmentReceipt, SuccinctReceipt, Unknown};
use serde::{Deserialize, Serialize};
use starling_babybear::vector::Isa;
use starling_types::Profile;

use crate::{
    AssumptionId, WorkReceipt,
    leaf::{KeccakRequest, Segment},
    twice::Reproved,
};

/// Who proves. All make receipts that the stock verifier accepts and that the others go on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// With SIMD, as this project does it.
    #[default]
    Fast,
    /// With the prover of `risc0-zkvm`, to compare.
    #[cfg(feature = "stock")]
    Stock,
}

impl Backend {
    /// Those of this build.
    pub const ALL: &[Self] = &[
        Self::Fast,
        #[cfg(feature = "stock")]
        Self::Stock,
    ];

    /// Its word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            #[cfg(feature = "stock")]
            Self::Stock => "stock",
        }
    }
}

/// The sets of vectors that the fast prover could compute with on this machine, the widest last. It takes that one, or
/// another that `STARLING_ISA` in its environment names, to compare.
pub fn vectors() -> impl Iterator<Item = &'static str> {
    Isa::available().map(Isa::name)
}

/// The set that it computes with in this process, and in those that inherit its environment.
pub fn vectors_used() -> &'static str {
    Isa::best().name()
}

/// The variable of the environment that names a set.
pub const VARIABLE: &str = "STARLING_ISA";

/// Those that are narrower than the one that it computes with, the widest of them first.
pub fn narrower_vectors() -> Vec<&'static str> {
    let mut narrower: Vec<_> = vectors().take_while(|name| *name != vectors_used()).collect();
    narrower.reverse();
    narrower
}

/// Whether the environment names vectors that this machine has, or none.
///
/// # Errors
/// A sentence that says which it has.
pub fn check_vectors() -> Result<(), String> {
    Isa::wanted().map(drop).map_err(|name| {
        let names: Vec<_> = vectors().collect();
        format!("STARLING_ISA is {name:?}: this machine has {}", names.join(", "))
    })
}

/// What proves the tasks of this process.
pub(crate) struct Provers {
    prover: Box<dyn Prove>,
    reproved: Reproved,
}

/// A keccak proof on its way to become a receipt.
#[derive(Clone)]
pub(crate) enum KeccakProof {
    /// The circuit's proof, to be lifted.
    Seal(Vec<u32>),
    /// The stock prover lifts in the same step.
    #[cfg(feature = "stock")]
    Lifted(SuccinctReceipt<Unknown>),
}

/// One kind of task after the other. Receipts that are returned were verified.
pub(crate) trait Prove {
    /// What is proved from here on may take so much memory.
    fn prepare(&mut self, profile: Profile) -> anyhow::Result<()>;

    fn prove_segment(&self, segment: &Segment) -> anyhow::Result<SegmentReceipt>;

    fn lift(&self, receipt: &SegmentReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>>;

    fn lift_work(&self, receipt: &SegmentReceipt) -> anyhow::Result<WorkReceipt>;

    fn join(
        &self,
        left: &SuccinctReceipt<ReceiptClaim>,
        right: &SuccinctReceipt<ReceiptClaim>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>>;

    fn join_work(&self, left: &WorkReceipt, right: &WorkReceipt) -> anyhow::Result<WorkReceipt>;

    fn resolve(
        &self,
        conditional: &SuccinctReceipt<ReceiptClaim>,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>>;

    fn resolve_work(
        &self,
        conditional: &WorkReceipt,
        assumption: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<WorkReceipt>;

    fn unwrap_work(&self, receipt: &WorkReceipt) -> anyhow::Result<SuccinctReceipt<ReceiptClaim>>;

    fn union(
        &self,
        one: &SuccinctReceipt<Unknown>,
        other: &SuccinctReceipt<Unknown>,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>>;

    /// Proves the permutations of `request`, whose numbers must be those of the circuit.
    fn prove_keccak(&self, request: &KeccakRequest) -> anyhow::Result<KeccakProof>;

    /// Lifts a keccak proof of `request`: the receipt belongs to the programs that `assumption` names. Whether it
    /// proves `assumption` is not looked at.
    fn lift_keccak(
        &self,
        request: &KeccakRequest,
        proof: KeccakProof,
        assumption: &AssumptionId,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>>;
}

impl Provers {
    /// With `threads`, or as many as there are cores.
    pub(crate) fn new(backend: Backend, threads: Option<u32>) -> anyhow::Result<Self> {
        let prover: Box<dyn Prove> = match backend {
            Backend::Fast => Box::new(fast::Fast::new(threads)?),
            #[cfg(feature = "stock")]
            Backend::Stock => Box::new(stock::Stock::new()?),
        };
        Ok(Self { prover, reproved: Reproved::default() })
    }

    /// Begins a task that is to be proved like this.
    pub(crate) fn prepare(&mut self, profile: Profile) -> anyhow::Result<()> {
        self.reproved.take();
        self.prover.prepare(profile)
    }

    /// What `prove` makes; if that does not verify, what it makes the second time.
    pub(crate) fn twice<T>(&self, prove: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.reproved.prove(prove)
    }

    /// The same, with another word on which errors are those of proofs that do not verify.
    pub(crate) fn twice_if<T, E: std::fmt::Display>(
        &self,
        is_unverified: impl Fn(&E) -> bool,
        prove: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        self.reproved.prove_by(is_unverified, prove)
    }

    /// How many proofs of the task did not verify and were made once more.
    pub(crate) fn reproved(&self) -> u32 {
        self.reproved.take()
    }

    /// Lifts a keccak proof of `request`: the receipt proves `assumption`.
    pub(crate) fn lift_keccak(
        &self,
        request: &KeccakRequest,
        proof: KeccakProof,
        assumption: &AssumptionId,
    ) -> anyhow::Result<SuccinctReceipt<Unknown>> {
        let receipt = self.prover.lift_keccak(request, proof, assumption)?;
        ensure!(
            receipt.claim.digest::<Sha256>() == assumption.claim,
            "the finished keccak proof is not of the permutations that were asked for"
        );
        Ok(receipt)
    }
}

impl std::ops::Deref for Provers {
    type Target = dyn Prove;

    fn deref(&self) -> &Self::Target {
        self.prover.as_ref()
    }
}
