//! Compression: a composite receipt becomes one STARK, proved by nodes like any other job.

use std::io;

use starling_types::ReceiptKind;
use starling_zkvm::{
    InnerReceipt, Receipt,
    receipt::{nested_composites, read_receipt, replace_nested},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Client, Delivery, JobError, Progress, RunOptions};

impl Client {
    /// The receipts, the composite ones among them made succinct: what [`Client::give`] takes.
    ///
    /// # Errors
    /// As [`Client::compress`].
    pub async fn all_succinct(
        &self,
        receipts: Vec<Receipt>,
        options: &RunOptions,
        progress: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Vec<Receipt>, JobError> {
        let mut succinct = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            succinct.push(match receipt.inner {
                InnerReceipt::Composite(_) => {
                    self.compressed(receipt, options, progress, stop).await?
                }
                _ => receipt,
            });
        }
        Ok(succinct)
    }

    /// Makes a receipt of `kind` of a composite one: each segment's receipt is lifted, all are joined, and what
    /// was assumed is resolved. Composite receipts among its assumptions come first, each in a job of its own.
    ///
    /// # Errors
    /// [`JobError`]; running it again goes on where this run stopped.
    pub async fn compress(
        &self,
        mut receipt: Receipt,
        kind: ReceiptKind,
        options: &RunOptions,
        progress: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Delivery, JobError> {
        // Their depth is bounded: deeper ones are refused when a receipt is read.
        for (index, nested) in nested_composites(&receipt)? {
            let compressed = self.compressed(nested, options, progress, stop).await?;
            receipt = replace_nested(receipt, index, compressed)?;
        }
        let job = self.create_compression(&receipt, kind)?;
        tracing::info!(%job, "compressing a composite receipt");
        self.run(job, options.clone(), io::sink(), progress, stop.clone()).await
    }

    /// A composite receipt, made succinct; only its job keeps it.
    async fn compressed(
        &self,
        receipt: Receipt,
        options: &RunOptions,
        progress: &watch::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Receipt, JobError> {
        let path = self.scratch.join("assumption.receipt");
        let options = RunOptions { receipt: path.clone(), ..options.clone() };
        let compressing = self.compress(receipt, ReceiptKind::Succinct, &options, progress, stop);
        // Boxed, since a receipt may hold receipts that hold receipts.
        let done = Box::pin(compressing).await.and_then(|_| Ok(read_receipt(&path)?));
        let _ = std::fs::remove_file(&path);
        done
    }
}
