//! Room for what a job puts on this disk.
//!
//! The source and the results fill the disk. Results come first: an accepted result lets go of its inputs, and so makes room.
//! So the source leaves some room for results. If there is no more room than that, the source waits on its own thread until results
//! or people have made some. Nothing is lost: it goes on where it stopped.
//!
//! The job's core decides whether the wait is in vain. For that it is told whether anything but the job itself is in the way.

use std::{
    sync::{Arc, OnceLock},
    thread::sleep,
    time::Duration,
};

use starling_job::Shortage;
use starling_net::limits::FETCH_COUNT_MAX;
use starling_store::{BlobStore, NoSpace, Pin, StoreError};
use starling_types::JobId;

/// A source leaves no more of the budget to results than this part, but for one result at least: a job that nearly fills its
/// budget has more use for its pieces.
const SPARE_PART: u64 = 8;

/// Nor more than this, however large results are and however many are on their way.
const SPARE_BYTES_MAX: u64 = 256 << 20;

/// How long until it is looked again whether there is room.
const TRY_PERIOD: Duration = Duration::from_millis(250);

/// Where a job puts what its source puts out.
#[derive(Debug, Clone)]
pub struct JobRoom {
    blobs: BlobStore,
    /// None as long as there is no job yet.
    job: Arc<OnceLock<JobId>>,
    result_bytes: u64,
}

impl JobRoom {
    /// Room for `job`, whose results have about so many bytes.
    pub fn new(blobs: BlobStore, job: JobId, result_bytes: u64) -> Self {
        Self { blobs, job: Arc::new(job.into()), result_bytes }
    }

    /// As [`Self::new`], for a job that is made when its source has put something out.
    pub(crate) fn of_none_yet(blobs: BlobStore, result_bytes: u64) -> Self {
        Self { blobs, job: Arc::default(), result_bytes }
    }

    /// Says which job it is. The first counts.
    pub(crate) fn is_for(&self, job: JobId) {
        let _ = self.job.set(job);
    }

    /// Puts what a source puts out after `piece_count` other pieces into the store, as soon as there is room for it besides some
    /// for results. Each time that there is none, `tell` hears what is missing; when it says that nobody waits for the blob any
    /// more, it is `None`. Blocks.
    ///
    /// # Errors
    /// When the store fails, or the blob is larger than all that blobs may take.
    pub fn put(
        &self,
        bytes: &[u8],
        piece_count: u32,
        mut tell: impl FnMut(Shortage) -> bool,
    ) -> Result<Option<Pin>, StoreError> {
        let Self { blobs, job, result_bytes } = self;
        let (size_bytes, max_bytes) = (bytes.len() as u64, blobs.budget().max_bytes);
        let spare_bytes = for_results(max_bytes, *result_bytes, piece_count);
        let needed = Needed { size_bytes, spare_bytes };
        loop {
            let lacking = match find_room(blobs, needed)? {
                None => match blobs.put(bytes) {
                    Err(StoreError::NoSpace(lacking)) if size_bytes <= max_bytes => lacking,
                    put => return put.map(Some),
                },
                // No wait will help it.
                Some(lacking) if size_bytes > max_bytes => return Err(lacking.into()),
                Some(lacking) => lacking,
            };
            if !tell(shortage(blobs, job.get().copied(), needed, &lacking)) {
                return Ok(None);
            }
            sleep(TRY_PERIOD);
        }
    }
}

/// What a source leaves to results of a job that has put out so many pieces: as much as may be on its way at a time, which is no
/// more than there are pieces to be worked on, and a result of two of them at last.
fn for_results(budget_bytes: u64, result_bytes: u64, piece_count: u32) -> u64 {
    let at_once = (FETCH_COUNT_MAX as u64).min(u64::from(piece_count) + 1);
    let part_bytes = (budget_bytes / SPARE_PART).max(result_bytes);
    result_bytes.saturating_mul(at_once).min(part_bytes).min(SPARE_BYTES_MAX)
}

/// What there must be room for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needed {
    /// What is to be stored.
    pub(crate) size_bytes: u64,
    /// What is to be left to others besides.
    pub(crate) spare_bytes: u64,
}

/// Why there is no room though all garbage is gone that goes; `None` when there is some. Blocks.
pub(crate) fn find_room(blobs: &BlobStore, needed: Needed) -> Result<Option<NoSpace>, StoreError> {
    let Needed { size_bytes, spare_bytes } = needed;
    if blobs.no_room_for(size_bytes, spare_bytes)?.is_none() {
        return Ok(None);
    }
    // What can't be removed takes room, and all else is gone: the look says what is left.
    if let Err(error) = blobs.collect() {
        tracing::debug!(%error, "garbage stays");
    }
    blobs.no_room_for(size_bytes, spare_bytes)
}

/// What is missing for what `job` needs next, in words that say what is full and where, and whether anybody else could make
/// room.
pub(crate) fn shortage(
    blobs: &BlobStore,
    job: Option<JobId>,
    needed: Needed,
    lacking: &NoSpace,
) -> Shortage {
    let Needed { size_bytes, spare_bytes } = needed;
    let own_bytes = job.map_or(0, |job| blobs.bytes_under(&job.into()));
    let max_bytes = blobs.budget().max_bytes;
    // Where the disk does not say how large it is, the budget alone counts.
    let limit_bytes = blobs.limit_bytes().unwrap_or(max_bytes);
    let is_own = own_bytes.saturating_add(size_bytes).saturating_add(spare_bytes) > limit_bytes;
    let spare = match spare_bytes {
        0 => String::new(),
        bytes => format!(" and {bytes} for results"),
    };
    let dir = blobs.dir().display();
    let reason = match is_own {
        true => {
            let whose = if limit_bytes < max_bytes { "disk for blobs" } else { "disk budget" };
            format!(
                "no space for {size_bytes} bytes{spare}: the job itself still needs {own_bytes} of the {limit_bytes} bytes of the \
                 {whose} (blobs lie in {dir})"
            )
        }
        false => {
            let others_bytes = blobs.used_bytes().saturating_sub(own_bytes);
            let left = match spare_bytes {
                0 => String::new(),
                bytes => format!(", and {bytes} are left to results"),
            };
            format!(
                "{lacking}; blobs that are not this job's take {others_bytes} bytes{left} (blobs lie in {dir})"
            )
        }
    };
    Shortage { reason, is_own }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_store::{DataDir, DiskBudget, Entry};

    use super::*;

    const JOB: JobId = JobId([1; 16]);

    #[test]
    fn what_is_left_to_results_follows_from_the_job_and_has_a_bound() {
        let receipt = 256 << 10;
        assert_eq!(for_results(100 << 30, receipt, 0), receipt, "one segment makes one result");
        assert_eq!(for_results(100 << 30, receipt, 3), 4 * receipt);
        assert_eq!(for_results(100 << 30, receipt, 100_000), FETCH_COUNT_MAX as u64 * receipt);
        assert_eq!(for_results(4 << 20, receipt, 100_000), 2 * receipt, "an eighth of the budget");
        assert_eq!(for_results(1 << 20, receipt, 100_000), receipt, "one at least");
        assert_eq!(for_results(u64::MAX, u64::MAX, u32::MAX), SPARE_BYTES_MAX);
    }

    #[test]
    fn it_is_told_apart_whether_the_job_itself_or_somebody_else_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "a test").unwrap();
        let log = data.log().unwrap();
        let budget = DiskBudget { max_bytes: 1_000, min_free_bytes: 0 };
        let blobs = data.blobs_of(&log, budget).unwrap();
        let room = JobRoom::new(blobs.clone(), JOB, 100);
        let said = |bytes: usize| {
            let mut said = None;
            let pin = room.put(&vec![7; bytes], 0, |shortage| {
                said = Some(shortage);
                false
            });
            assert_eq!(pin.unwrap().is_some(), said.is_none());
            said
        };
        let own = blobs.put(&[1; 500]).unwrap();
        log.append_blocking(Entry::of_job(JOB, 0).event("began", &()).unwrap().holding([own]))
            .unwrap();
        assert_eq!(said(400), None, "with 100 for a result it is all that there is");
        blobs.collect().unwrap();
        let others = blobs.put(&[2; 300]).unwrap();
        let shortage = said(300).unwrap();
        assert!(!shortage.is_own, "{}", shortage.reason);
        assert!(
            shortage.reason.contains("not this job's take 300 bytes, and 100 are left to results"),
            "{}",
            shortage.reason
        );
        let shortage = said(401).unwrap();
        assert!(shortage.is_own, "{}", shortage.reason);
        for word in ["401 bytes and 100 for results", "500 of the 1000 bytes of the disk budget"] {
            assert!(shortage.reason.contains(word), "{}", shortage.reason);
        }
        drop(others);
        assert_eq!(said(300), None);
        let error = room.put(&[0; 1_001], 0, |_| true).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace(_)), "no wait will help it: {error}");
    }
}
