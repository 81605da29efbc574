//! The check of a result: fetched by its reference, re-hashed, judged by its system.
//!
//! Nothing counts before it has passed here. Checks run beside the event loop, a few at a time, so that
//! a stranger's result can neither hold the loop up nor fill memory.

use std::{future::Future, sync::Arc, time::Duration};

use starling_job::{Shortage, Verdict};
use starling_net::{FetchError, FetchReport, Net, Source};
use starling_plan::Certainty;
use starling_store::{BlobStore, NoSpace, Pin, StoreError};
use starling_types::{BlobRef, JobId, NodeId, Task};
use tokio::sync::Semaphore;

use crate::{
    room::{Needed, find_room, shortage},
    run::blocking,
    system::System,
};

/// How long a result may be on its way, once it is its turn: 8 MiB at 70 KB/s. A node that drips holds up its own task only,
/// which goes elsewhere then.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Results that are verified at the same time, of all jobs: each takes some 15 ms of one core, and a few MB.
const VERIFIED_MAX: usize = 16;

/// Makes checks. Clones share what they may do at a time.
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

    /// The check of `blob`, which `node` reports as the result of `task` of `job` and which must claim `expected`.
    pub(crate) fn check<S: System>(
        &self,
        job: JobId,
        node: NodeId,
        source: Option<Source>,
        task: Task,
        blob: BlobRef,
        expected: S::Expected,
    ) -> impl Future<Output = Verdict<S>> + Send + use<S> {
        let Self { net, blobs, permits } = self.clone();
        async move {
            if blob.size_bytes > S::RESULT_SIZE_BYTES_MAX {
                let reason = format!(
                    "a result of {} bytes, above the {} that any has",
                    blob.size_bytes,
                    S::RESULT_SIZE_BYTES_MAX
                );
                return Verdict::Refused { reason };
            }
            // Asked before anything is sent: a node that waits is not asked for the same bytes again and again.
            let needed = Needed { size_bytes: blob.size_bytes, spare_bytes: 0 };
            let room = blobs.clone();
            let look = move || {
                let lacking = find_room(&room, needed).ok()??;
                Some(shortage(&room, Some(job), needed, &lacking))
            };
            let found = blocking("the look for room for a result", look).await;
            if let Ok(Some(shortage)) = found {
                return Verdict::LacksRoom { shortage };
            }
            let sources: Vec<Source> = source.into_iter().collect();
            // The turn is kept until the result is judged: what is fetched and not judged would pile up on the disk.
            let FetchReport { pin, turn: _turn, .. } =
                match net.fetch_within(blob, &sources, FETCH_TIMEOUT).await {
                    Ok(fetched) => fetched,
                    Err(error) => {
                        return unfetched(error, node, |lacking| {
                            shortage(&blobs, Some(job), needed, lacking)
                        });
                    }
                };
            let _permit = permits.acquire_owned().await;
            let judged = move || judge::<S>(&blobs, task, pin, &expected);
            let judged = blocking("the check of a result", judged).await;
            judged.unwrap_or_else(|error| Verdict::Ours { reason: error.to_string() })
        }
    }
}

/// What it says of a result that it could not be fetched.
fn unfetched<S: System>(
    error: FetchError,
    node: NodeId,
    shortage: impl FnOnce(&NoSpace) -> Shortage,
) -> Verdict<S> {
    match error {
        FetchError::Store(StoreError::NoSpace(lacking)) => {
            Verdict::LacksRoom { shortage: shortage(&lacking) }
        }
        FetchError::WrongBytes { peer, .. } if peer == node => {
            Verdict::Refused { reason: error.to_string() }
        }
        error => Verdict::Unfetchable { reason: error.to_string() },
    }
}

/// Reads and verifies what was fetched. A refused result is not removed here: the node that reported it named a blob,
/// and that may be somebody else's. It is garbage when nobody else holds it.
fn judge<S: System>(blobs: &BlobStore, task: Task, pin: Pin, expected: &S::Expected) -> Verdict<S> {
    let bytes = match blobs.get(pin.reference, S::RESULT_SIZE_BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Verdict::Ours { reason: "it was damaged on this disk".into() },
        Err(error) => return Verdict::Ours { reason: error.to_string() },
    };
    match S::check(task, &bytes, expected) {
        Ok(Certainty::Final) => Verdict::Accepted(pin),
        Ok(Certainty::Provisional) => Verdict::Provisional(pin),
        Err(reason) => {
            drop(pin);
            // What can't be removed now costs space only.
            if let Err(error) = blobs.collect() {
                tracing::debug!(%error, "can't remove a refused result");
            }
            Verdict::Refused { reason }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_store::{DataDir, DiskBudget, Entry, EventLog};
    use starling_types::TaskId;
    use starling_zkvm::{ExitCode, Expected, SegmentClaim};

    use super::*;
    use crate::ZkvmScript;

    fn open() -> (tempfile::TempDir, EventLog, BlobStore) {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "a test").unwrap();
        let log = data.log().unwrap();
        let budget = DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 };
        let blobs = data.blobs_of(&log, budget).unwrap();
        (dir, log, blobs)
    }

    fn judged(blobs: &BlobStore, pin: Pin) -> Verdict<ZkvmScript> {
        judge(blobs, TaskId::Lift(0).into(), pin, &Expected::Claim(claim()))
    }

    fn claim() -> SegmentClaim {
        let digest = starling_zkvm::Digest::ZERO;
        SegmentClaim {
            pre: digest,
            post: digest,
            exit_code: ExitCode::Halted(0),
            input: digest,
            output: digest,
        }
    }

    /// What any node may report as its result: it need not have made it, only to know its name.
    #[test]
    fn a_refused_result_that_another_job_needs_stays() {
        let (_dir, log, blobs) = open();
        let guest = blobs.put(b"another job's guest").unwrap();
        let job = Entry::of_job(JobId([1; 16]), 0).event("created", &()).unwrap();
        log.append_blocking(job.holding([guest.clone()])).unwrap();
        let reference = guest.reference;
        let verdict = judged(&blobs, guest);
        assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
        assert!(blobs.pin(reference).unwrap().is_some(), "another job's guest is gone");
    }

    #[test]
    fn a_result_that_is_refused_for_one_task_stays_for_the_one_that_it_was_accepted_for() {
        let (_dir, _log, blobs) = open();
        // Accepted a moment ago, and not in the log yet.
        let accepted: Verdict<ZkvmScript> = Verdict::Accepted(blobs.put(b"a receipt").unwrap());
        let Verdict::Accepted(pin) = &accepted else { panic!("accepted") };
        let verdict = judged(&blobs, pin.clone());
        assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
        assert!(blobs.pin(pin.reference).unwrap().is_some(), "an accepted receipt is gone");
    }

    #[test]
    fn a_result_that_this_disk_damaged_is_nobody_elses_fault() {
        let (dir, _log, blobs) = open();
        let pin = blobs.put(b"a receipt").unwrap();
        let name = pin.reference.to_string();
        let path = dir.path().join("blobs").join(&name[..2]).join(&name);
        std::fs::write(path, b"no receit").unwrap();
        let verdict = judged(&blobs, pin);
        assert!(matches!(verdict, Verdict::Ours { .. }), "{verdict:?}");
    }

    #[test]
    fn a_refused_result_that_nobody_needs_goes() {
        let (_dir, _log, blobs) = open();
        let verdict = judged(&blobs, blobs.put(b"no receipt").unwrap());
        assert!(matches!(verdict, Verdict::Refused { .. }), "{verdict:?}");
        assert_eq!(blobs.used_bytes(), 0);
    }
}
