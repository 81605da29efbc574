//! The provers of a prover process: RISC Zero's own for segments, and either for recursion.

use std::rc::Rc;

use risc0_zkvm::{
    ProverOpts, ProverServer, ReceiptClaim, Segment, SegmentReceipt, SuccinctReceipt,
    get_prover_server,
};
use serde::{Deserialize, Serialize};
use starling_fastprove::recursion::{Options, Prover};

use crate::verify::verifier_context;

/// How recursion (lift, join) is proved. Both make receipts that the stock verifier accepts and that the
/// other goes on with.
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
        // What recursion keeps for its next proof would lie beside what a large segment takes.
        if let Some(fast) = &self.fast {
            fast.release_memory();
        }
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
}
