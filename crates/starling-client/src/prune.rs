//! Forgetting jobs that are over.
//!
//! A job that is done keeps its receipt, and one that was cancelled its place in the list, until somebody has no more use for
//! them. What can be gone on with is never forgotten here: a job that is open, that failed, or whose log is damaged.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use starling_store::{Entry, JobKey};
use starling_types::JobId;

use crate::{
    JobError, JobPhase, JobSummary, ZkvmScript, client::Client, journal::unix_ms, runs::Busy,
};

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// How many jobs.
    pub jobs: u64,
    /// What only they held, in bytes.
    pub freed_bytes: u64,
}

impl Client<ZkvmScript> {
    /// Forgets the jobs that have been done or cancelled for so long, with their receipts in the store. Blocks.
    ///
    /// # Errors
    /// When the log can't be read or written. What was forgotten before stays so.
    pub fn prune(&self, idle: Duration) -> Result<Pruned, JobError> {
        let now_ms = unix_ms();
        let before_ms = now_ms.saturating_sub(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        let mut pruned = Pruned::default();
        for id in self.log.keys()?.iter().filter_map(JobKey::job) {
            if !self.is_over_since(id, before_ms)? {
                continue;
            }
            let _change = match self.runs.change(id) {
                Ok(change) => change,
                // It delivers once more.
                Err(Busy::Runs | Busy::Ends) => continue,
            };
            // It may have been begun anew until now.
            if self.is_over_since(id, before_ms)? {
                self.log.append_blocking(Entry::of_job(id, now_ms).anew())?;
                pruned.jobs += 1;
            }
        }
        pruned.freed_bytes = self.blobs.collect()?;
        Ok(pruned)
    }

    fn is_over_since(&self, id: JobId, before_ms: u64) -> Result<bool, JobError> {
        let Some(ends) = self.log.ends(&id.into())? else { return Ok(false) };
        let Ok(summary) = JobSummary::of(id, &ends) else { return Ok(false) };
        let is_over = matches!(summary.phase, JobPhase::Done { .. } | JobPhase::Cancelled);
        Ok(is_over && summary.changed_at_ms <= before_ms)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_types::{ImageId, JobSeed};

    use super::*;
    use crate::{JobEvent, ZkvmEvent, request};

    const DAY_MS: u64 = 24 * 3600 * 1000;

    /// A job of this guest that was written to last at this time, with this event.
    fn job(
        client: &Client<ZkvmScript>,
        guest: &[u8],
        at_ms: u64,
        last: impl FnOnce(&starling_store::Pin) -> JobEvent,
    ) -> JobId {
        let pin = client.put(guest).unwrap();
        let mut run = request::tests::run();
        run.guest = pin.blob();
        let request = request::tests::request(run);
        let id = request.job_id();
        let created = JobEvent::Own(ZkvmEvent::Created {
            request,
            image_id: ImageId([1; 32]),
            seed: JobSeed([2; 32]),
        });
        let last = last(&pin);
        let entry = Entry::of_job(id, at_ms).event("created", &created).unwrap();
        client.log.append_blocking(entry.event("last", &last).unwrap().holding([pin])).unwrap();
        id
    }

    #[test]
    fn jobs_that_have_been_over_for_long_go_with_their_blobs_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::<ZkvmScript>::open(dir.path(), "a test", 1 << 30).unwrap();
        let now_ms = unix_ms();
        let done = |pin: &starling_store::Pin| {
            let receipt = pin.blob();
            JobEvent::Own(ZkvmEvent::Done { receipt, work_receipt: None, seconds: 1.0 })
        };
        let failed = |_: &starling_store::Pin| JobEvent::Failed { message: "no".into() };
        let (old, new) = (now_ms - 40 * DAY_MS, now_ms - 20 * DAY_MS);
        let gone = [
            job(&client, b"done long ago", old, done),
            job(&client, b"cancelled", old, |_| JobEvent::Cancelled),
        ];
        let stays = [job(&client, b"done lately", new, done), job(&client, b"failed", old, failed)];
        let month = Duration::from_millis(30 * DAY_MS);
        let freed_bytes = (b"done long ago".len() + b"cancelled".len()) as u64;
        assert_eq!(client.prune(month).unwrap(), Pruned { jobs: 2, freed_bytes });
        let left = |ids: [JobId; 2]| ids.map(|id| client.log.ends(&id.into()).unwrap().is_some());
        assert_eq!((left(gone), left(stays)), ([false; 2], [true; 2]));
        assert_eq!(client.prune(month).unwrap(), Pruned::default());
        assert_eq!(client.prune(Duration::ZERO).unwrap().jobs, 1, "one failed, and can go on");
    }
}
