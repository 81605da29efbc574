//! The check of a result: fetched by its reference, re-hashed, verified, its claim compared.
//!
//! Nothing counts before it has passed here. Checks run beside the event loop, a few at a time, so that
//! a stranger's result can neither hold the loop up nor fill memory.

use std::{future::Future, sync::Arc, time::Duration};

use starling_net::{FetchError, Net, Source};
use starling_store::{BlobStore, StoreError};
use starling_types::{BlobRef, NodeId, TaskId};
use starling_zkvm::{Expected, verify_task};
use tokio::{sync::Semaphore, time::timeout};

/// The largest receipt blob that is fetched. A succinct receipt has about 225 KB; a segment receipt of
/// po2 24, the largest, stays under 1 MB.
pub(crate) const RESULT_SIZE_BYTES_MAX: u64 = 8 << 20;

/// How long a result may be on its way: 8 MiB at 70 KB/s. A node that drips holds up its own task only,
/// which goes elsewhere then.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Results that are verified at the same time: each takes some 15 ms of one core, and a few MB.
const VERIFIED_MAX: usize = 16;

/// What a check found.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The result is what it must be, and it is in the store.
    Accepted,
    /// It is not, and its maker is at fault.
    Refused { reason: String },
    /// It could not be had, which proves no fault.
    Unfetchable { reason: String },
    /// There is no room for it here.
    NoSpace(StoreError),
}

/// Makes checks.
#[derive(Clone)]
pub(crate) struct Checker {
    net: Net,
    blobs: BlobStore,
    permits: Arc<Semaphore>,
}

impl Checker {
    pub(crate) fn new(net: Net, blobs: BlobStore) -> Self {
        Self { net, blobs, permits: Arc::new(Semaphore::new(VERIFIED_MAX)) }
    }

    /// The check of `blob`, which `node` reports as the result of `task` and which must claim `expected`.
    pub(crate) fn check(
        &self,
        node: NodeId,
        source: Option<Source>,
        task: TaskId,
        blob: BlobRef,
        expected: Expected,
    ) -> impl Future<Output = Verdict> + Send + 'static {
        let Self { net, blobs, permits } = self.clone();
        async move {
            if blob.size_bytes > RESULT_SIZE_BYTES_MAX {
                let reason = format!(
                    "a receipt of {} bytes, above the {RESULT_SIZE_BYTES_MAX} that any has",
                    blob.size_bytes
                );
                return Verdict::Refused { reason };
            }
            let sources: Vec<Source> = source.into_iter().collect();
            match timeout(FETCH_TIMEOUT, net.fetch(blob, &sources)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return unfetched(error, node),
                Err(_) => {
                    let reason = format!("not fetched within {} s", FETCH_TIMEOUT.as_secs());
                    return Verdict::Unfetchable { reason };
                }
            }
            let _permit = permits.acquire_owned().await;
            let judged = tokio::task::spawn_blocking(move || judge(&blobs, task, blob, &expected));
            judged.await.unwrap_or_else(|error| Verdict::Unfetchable { reason: error.to_string() })
        }
    }
}

fn unfetched(error: FetchError, node: NodeId) -> Verdict {
    match error {
        FetchError::Store(error @ StoreError::NoSpace(_)) => Verdict::NoSpace(error),
        FetchError::WrongBytes { peer, .. } if peer == node => {
            Verdict::Refused { reason: error.to_string() }
        }
        error => Verdict::Unfetchable { reason: error.to_string() },
    }
}

fn judge(blobs: &BlobStore, task: TaskId, blob: BlobRef, expected: &Expected) -> Verdict {
    let bytes = match blobs.get(blob.reference, RESULT_SIZE_BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Verdict::Unfetchable { reason: "it vanished from the store".into() },
        Err(error) => return Verdict::Unfetchable { reason: error.to_string() },
    };
    match verify_task(task, &bytes, expected) {
        Ok(()) => Verdict::Accepted,
        Err(refusal) => {
            // What is false is not kept. A removal that fails costs space only.
            if let Err(error) = blobs.remove(blob.reference) {
                tracing::debug!(%error, "can't remove a refused result");
            }
            Verdict::Refused { reason: refusal.to_string() }
        }
    }
}
