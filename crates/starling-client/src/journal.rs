//! A job's log and its state, which never part: what is recorded is durable first and applied then.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use starling_store::EventLog;
use starling_types::JobId;

use crate::{JobError, JobEvent, JobState, StateError};

/// The log of one job, open for writing, and the state that it adds up to.
pub(crate) struct JobJournal {
    log: Arc<EventLog>,
    state: JobState,
}

impl JobJournal {
    /// Opens the log of `job`.
    pub(crate) fn open(log: Arc<EventLog>, job: JobId) -> Result<Self, JobError> {
        let state = JobState::load(&log.read(job)?, job)?;
        Ok(Self { log, state })
    }

    /// Where the job stands.
    pub(crate) fn state(&self) -> &JobState {
        &self.state
    }

    /// Makes `event` durable and applies it.
    ///
    /// # Errors
    /// When it can't be written; it has then not happened.
    pub(crate) fn record(&mut self, event: JobEvent) -> Result<(), JobError> {
        let job = self.state.id;
        let seq = self.log.append(job, event.kind(), &event, unix_ms())?;
        self.state.apply(event).map_err(|detail| StateError::Unreadable { job, seq, detail })?;
        Ok(())
    }
}

/// The time of day in Unix milliseconds; zero on a clock set before 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
