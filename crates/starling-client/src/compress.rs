//! Compression: a composite receipt becomes one STARK, proved by nodes like any other job.

use std::sync::Arc;

use starling_types::ReceiptKind;
use starling_zkvm::{
    InnerReceipt, Receipt,
    receipt::{nested_composites, replace_nested},
};

use crate::{JobError, JobHandle, RunOptions, Service, run::blocking};

impl Service {
    /// The receipts, the composite ones among them made succinct: what [`Client::give`](crate::Client::give) takes.
    ///
    /// # Errors
    /// As [`Self::compress`], and those of its job.
    pub async fn all_succinct(
        &self,
        receipts: Vec<Receipt>,
        options: &RunOptions,
    ) -> Result<Vec<Receipt>, Arc<JobError>> {
        let mut succinct = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            succinct.push(match receipt.inner {
                InnerReceipt::Composite(_) => self.compressed(receipt, options).await?,
                _ => receipt,
            });
        }
        Ok(succinct)
    }

    /// A job that makes a receipt of `kind` of a composite one: each segment's receipt is lifted, all are joined, and
    /// what was assumed is resolved. Composite receipts among its assumptions come first, each in a job of its own,
    /// which is over when this returns.
    ///
    /// # Errors
    /// [`JobError`]; asking for it again goes on where this stopped.
    pub async fn compress(
        &self,
        mut receipt: Receipt,
        kind: ReceiptKind,
        options: &RunOptions,
    ) -> Result<JobHandle, Arc<JobError>> {
        // Their depth is bounded: deeper ones are refused when a receipt is read.
        let nested = nested_composites(&receipt).map_err(JobError::from)?;
        for (index, nested) in nested {
            let compressed = self.compressed(nested, options).await?;
            receipt = replace_nested(receipt, index, compressed).map_err(JobError::from)?;
        }
        let client = self.client().clone();
        let create = move || client.create_compression(&receipt, kind);
        let job = blocking("a composite receipt", create).await??;
        tracing::info!(%job, "compressing a composite receipt");
        Ok(self.submit(job, options.clone()))
    }

    /// A composite receipt, made succinct; only its job keeps it.
    async fn compressed(
        &self,
        receipt: Receipt,
        options: &RunOptions,
    ) -> Result<Receipt, Arc<JobError>> {
        // Boxed, since a receipt may hold receipts that hold receipts.
        let job = Box::pin(self.compress(receipt, ReceiptKind::Succinct, options)).await?;
        Ok(job.result().await?.receipt.clone())
    }
}
