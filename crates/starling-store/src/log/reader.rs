//! Reading a log, whoever writes it.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, Row, params, params_from_iter};
use starling_types::JobId;

use super::{
    entry::StoredEvent,
    error::{LogError, SqliteContext},
    schema,
};

/// Reads an event log, also one that another process is appending to.
#[derive(Debug)]
pub struct LogReader {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl LogReader {
    /// Opens the log in the file at `path` to read only; `None` when there is none yet.
    ///
    /// # Errors
    /// [`LogError::OtherSchema`] when another version of Starling has written it, [`LogError::Ruined`] when it is no log.
    pub fn open(path: &Path) -> Result<Option<Self>, LogError> {
        if !schema::exists(path)? {
            return Ok(None);
        }
        let reader = Self::open_prepared(path)?;
        schema::check(&reader.connection(), path)?;
        Ok(Some(reader))
    }

    /// Opens a log that is known to be set up.
    pub(super) fn open_prepared(path: &Path) -> Result<Self, LogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).context("open", path)?;
        connection.busy_timeout(schema::BUSY_TIMEOUT).context("open", path)?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    /// All events of a job in order; none for a job that is not known.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when an event is missing.
    pub fn read(&self, job: JobId) -> Result<Vec<StoredEvent>, LogError> {
        self.read_from(job, 0)
    }

    /// The events of a job after the one numbered `after_seq`, in order.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_from(&self, job: JobId, after_seq: u64) -> Result<Vec<StoredEvent>, LogError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection.prepare_cached(
                "SELECT seq, kind, body, at_ms FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq",
            )?;
            let after_seq = i64::try_from(after_seq).unwrap_or(i64::MAX);
            let rows =
                select.query_map(params![job.as_bytes(), after_seq], |row| stored(row, 0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let events = read().context("read", &self.path)?;
        for (index, event) in events.iter().enumerate() {
            let expected_seq = after_seq + 1 + index as u64;
            if event.seq != expected_seq {
                let (path, found_seq) = (self.path.clone(), event.seq);
                return Err(LogError::Damaged { path, job, expected_seq, found_seq });
            }
        }
        Ok(events)
    }

    /// All jobs with events, those that began first first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn jobs(&self) -> Result<Vec<JobId>, LogError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection
                .prepare_cached("SELECT job FROM events GROUP BY job ORDER BY min(at_ms), job")?;
            let rows = select.query_map([], |row| row.get(0).map(JobId))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().context("read", &self.path)
    }

    /// The first events of the jobs that have none of these kinds: of those that are not over, say. One query, whatever else the
    /// log has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn begun_without(&self, kinds: &[&str]) -> Result<Vec<(JobId, StoredEvent)>, LogError> {
        let connection = self.connection();
        let read = || {
            let places = vec!["?"; kinds.len()].join(", ");
            let mut select = connection.prepare(&format!(
                "SELECT job, seq, kind, body, at_ms FROM (SELECT DISTINCT job FROM events) JOIN events USING (job) \
                 WHERE seq = 1 AND NOT EXISTS \
                 (SELECT 1 FROM events AS ends WHERE ends.job = events.job AND ends.kind IN ({places})) ORDER BY job"
            ))?;
            let rows = select.query_map(params_from_iter(kinds), |row| {
                Ok((JobId(row.get(0)?), stored(row, 1)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().context("read", &self.path)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic interrupted was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event in a row, whose number, kind, body and time stand in this order from a column on.
fn stored(row: &Row<'_>, first: usize) -> rusqlite::Result<StoredEvent> {
    let (seq, at_ms) = (row.get::<_, i64>(first)?, row.get::<_, i64>(first + 3)?);
    Ok(StoredEvent {
        seq: seq.cast_unsigned(),
        kind: row.get(first + 1)?,
        body: row.get(first + 2)?,
        at_ms: at_ms.cast_unsigned(),
    })
}
