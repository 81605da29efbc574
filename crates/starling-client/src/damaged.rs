//! Jobs whose logs are damaged: what is still known of such a job, and how to begin it anew or give it up.
//!
//! Damage to the log of one job leaves other jobs alone. A job whose log does not add up never goes on, because nobody knows what
//! is missing.

use std::path::Path;

use starling_store::{DataDir, Ends, JobKey, LogError};
use starling_types::{ImageId, JobId};

use crate::{
    JobError, JobEvent, JobPhase, JobRequest, StateError, ZkvmEvent,
    client::{Client, load_job},
    summary,
    system::System,
};

/// What the two ends of a log still tell that is damaged.
#[derive(Debug, Clone, PartialEq)]
pub struct DamagedJob {
    /// What the log has its events under: its id, unless that is what came to harm.
    pub key: JobKey,
    /// What is wrong.
    pub fault: String,
    /// How many events are there.
    pub event_count: u64,
    /// What was asked.
    pub request: Option<JobRequest>,
    /// The guest's image id.
    pub image_id: Option<ImageId>,
    /// Where it stood at last.
    pub phase: Option<JobPhase>,
    /// When its log was written to first, as far as it is there, in Unix milliseconds.
    pub first_at_ms: u64,
    /// When it was written to last, in Unix milliseconds.
    pub changed_at_ms: u64,
}

impl DamagedJob {
    /// That of the events under `key`, which have these ends.
    pub(crate) fn of(key: JobKey, ends: &Ends, fault: String) -> Self {
        let Ends { first, last, event_count } = ends;
        let (request, image_id) = match serde_json::from_str(&first.body) {
            Ok(JobEvent::Own(ZkvmEvent::Created { request, image_id, .. })) => {
                (Some(request), Some(image_id))
            }
            _ => (None, None),
        };
        Self {
            key,
            fault,
            event_count: *event_count,
            request,
            image_id,
            phase: serde_json::from_str(&last.body).ok().map(summary::phase_after),
            first_at_ms: first.at_ms,
            changed_at_ms: last.at_ms,
        }
    }
}

/// What is wrong with events that no job's id stands at.
pub(crate) const NO_ID: &str = "the key is no job id, so nobody can tell which job it is";

/// What is known of a damaged job of the data directory at `path`, whether or not a process has it open; `None` when nothing is
/// wrong with it, or there is none.
///
/// # Errors
/// When the log as a whole can't be read.
pub fn damaged_job(path: &Path, key: &JobKey) -> Result<Option<DamagedJob>, JobError> {
    let fault = match key.job().map(|id| load_job(path, id)) {
        None => NO_ID.to_owned(),
        Some(Err(error)) if error.damaged_job().is_some() => error.to_string(),
        Some(Err(JobError::State(StateError::Unknown { .. })) | Ok(_)) => return Ok(None),
        Some(Err(error)) => return Err(error),
    };
    let Some(reader) = DataDir::peek(path)? else { return Ok(None) };
    Ok(reader.ends(key)?.map(|ends| DamagedJob::of(key.clone(), &ends, fault)))
}

impl JobError {
    /// The job whose log is damaged, if that is what is wrong: asked for anew, it is begun anew.
    pub fn damaged_job(&self) -> Option<JobId> {
        match self {
            Self::Log(LogError::Damaged { job, .. })
            | Self::State(
                StateError::Unreadable { job, .. } | StateError::Incomplete { job, .. },
            ) => Some(*job),
            _ => None,
        }
    }
}

impl<S: System> Client<S> {
    /// Removes events that no job's id stands at. Whose they were can't be told: but what stays for a job that has no events was
    /// kept for them.
    pub(crate) fn forget(&self, key: JobKey) -> Result<(), JobError> {
        self.log.forget(key)?;
        for id in self.log.rooted_jobs() {
            if self.log.ends(&id.into())?.is_some() {
                continue;
            }
            // One that is being made has no events yet, and looks the same.
            let _change = self.runs.change(id).map_err(|_| JobError::Running { job: id })?;
            if self.log.ends(&id.into())?.is_none() {
                self.log.root(id.into()).remove()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rusqlite::Connection;
    use starling_types::JobSeed;
    use tempfile::TempDir;

    use super::*;
    use crate::{ZkvmScript, client::list_jobs, journal::entry_of, request};

    type Zkvm = Client<ZkvmScript>;

    fn open(dir: &TempDir) -> Zkvm {
        Client::open(dir.path(), "a test", 1 << 30).unwrap()
    }

    /// Asks for a job whose guest is these bytes.
    fn ask(client: &Zkvm, guest: &[u8], fresh: bool) -> Result<JobId, JobError> {
        let guest = client.put(guest).unwrap();
        let mut run = request::tests::run();
        run.guest = guest.blob();
        let request = request::tests::request(run);
        let id = request.job_id();
        client.create_as(id, fresh, || {
            let (image_id, seed) = (ImageId([1; 32]), JobSeed([2; 32]));
            Ok((vec![ZkvmEvent::Created { request, image_id, seed }], vec![guest]))
        })
    }

    /// A job with a guest and four more events, the last of which says that it failed.
    fn job(client: &Zkvm, guest: &[u8]) -> JobId {
        let id = ask(client, guest, false).unwrap();
        let state = client.job(id).unwrap();
        let failed = |number| JobEvent::Failed { message: format!("failure {number}") };
        let events: Vec<_> = (2..=5).map(failed).collect();
        client.log.append_blocking(entry_of::<ZkvmScript>(&state, &events).unwrap()).unwrap();
        id
    }

    /// Changes the log as only something other than Starling does.
    fn tamper(dir: &TempDir, change: &str) {
        let log = Connection::open(dir.path().join("starling.db")).unwrap();
        assert_eq!(log.execute(change, []).unwrap(), 1, "{change}");
    }

    /// What may happen to one event of a job, and what is said of it.
    const HARMS: [(&str, &str); 4] = [
        ("DELETE FROM events WHERE seq = 3", "event 3 of job "),
        ("DELETE FROM events WHERE seq = 1", "event 1 of job "),
        ("UPDATE events SET body = '{\"nothing\"' WHERE seq = 4", "event 4 of job "),
        ("UPDATE events SET body = CAST(x'ff' AS TEXT) WHERE seq = 4", "event 4 of job "),
    ];

    #[test]
    fn a_job_whose_log_is_damaged_can_be_looked_at_given_up_and_begun_anew_beside_others() {
        for (harm, said) in HARMS {
            let dir = tempfile::tempdir().unwrap();
            let id = job(&open(&dir), b"a guest");
            tamper(&dir, harm);
            let client = open(&dir);
            let other = job(&client, b"another guest");
            let error = ask(&client, b"a guest", false).unwrap_err();
            assert_eq!(error.damaged_job(), Some(id), "{error}");
            assert!(error.to_string().contains(said), "{error}");
            let left = damaged_job(dir.path(), &id.into()).unwrap().unwrap();
            assert!(left.fault.contains(said), "{}", left.fault);
            let is_begun = !harm.contains("seq = 1");
            assert_eq!((left.request.is_some(), left.image_id.is_some()), (is_begun, is_begun));
            assert_eq!(left.phase, Some(JobPhase::Failed { message: "failure 5".into() }));
            assert_eq!(damaged_job(dir.path(), &other.into()).unwrap(), None);

            ask(&client, b"a guest", true).unwrap();
            assert_eq!(client.log.read(id).unwrap().len(), 1, "it is begun anew");
            assert!(client.job(id).is_ok() && client.job(other).is_ok());
            assert_eq!(client.log.read(other).unwrap().len(), 5);
        }
    }

    #[test]
    fn a_damaged_job_that_is_given_up_frees_what_it_holds_and_nothing_else() {
        for (harm, _) in HARMS {
            let dir = tempfile::tempdir().unwrap();
            let id = job(&open(&dir), b"a guest");
            tamper(&dir, harm);
            let client = open(&dir);
            let other = job(&client, b"another guest");
            assert_eq!(client.cancel(id).unwrap(), 7, "{harm}");
            assert_eq!(client.log.keys().unwrap(), [JobKey::from(other)]);
            assert_eq!(client.blob_bytes(), 13);
            assert_eq!(client.job(other).unwrap().id, other);
        }
    }

    #[test]
    fn a_list_says_what_is_wrong_with_a_job_and_has_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let client = open(&dir);
        let (id, other) = (job(&client, b"a guest"), job(&client, b"another guest"));
        drop(client);
        tamper(&dir, &format!("DELETE FROM events WHERE seq = 3 AND job = x'{id}'"));
        let jobs = list_jobs(dir.path()).unwrap();
        let damaged: Vec<_> = jobs.iter().filter_map(|job| job.as_ref().err()).collect();
        assert_eq!((jobs.len(), damaged.len(), &damaged[0].key), (2, 1, &JobKey::from(id)));
        assert!(damaged[0].fault.contains("1 of its 5 events is missing"), "{}", damaged[0].fault);
        assert!(jobs.iter().flatten().any(|job| job.id == other));
    }

    #[test]
    fn events_of_a_job_that_is_no_job_any_more_are_removed_with_what_it_held() {
        let dir = tempfile::tempdir().unwrap();
        let id = ask(&open(&dir), b"a guest", false).unwrap();
        tamper(&dir, "UPDATE events SET job = x'abcd'");
        let client = open(&dir);
        let other = job(&client, b"another guest");
        client.give_up_hosted().unwrap();
        let key = client.log.keys().unwrap().into_iter().find(|key| key.job().is_none()).unwrap();
        let left = damaged_job(dir.path(), &key).unwrap().unwrap();
        assert_eq!((left.key.to_string().as_str(), left.event_count), ("abcd", 1));
        assert_eq!(list_jobs(dir.path()).unwrap().iter().flatten().count(), 1);
        assert_eq!(client.log.root(id.into()).references().len(), 1, "it keeps its guest");
        assert_eq!(client.cancel(key).unwrap(), 7);
        assert_eq!(client.log.keys().unwrap(), [JobKey::from(other)]);
        assert_eq!(client.blob_bytes(), 13);
    }
}
