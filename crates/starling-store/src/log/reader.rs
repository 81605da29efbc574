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

/// All jobs. Each is found from the one before through the index over jobs, so that this costs by the jobs, however many
/// events they have.
const JOBS: &str = "
    WITH RECURSIVE jobs (job) AS (
        SELECT (SELECT min(job) FROM events)
        UNION ALL
        SELECT (SELECT min(job) FROM events WHERE job > jobs.job) FROM jobs
        WHERE jobs.job IS NOT NULL
    )
    SELECT job FROM jobs WHERE job IS NOT NULL
    ORDER BY
        (SELECT at_ms FROM events WHERE events.job = jobs.job ORDER BY seq LIMIT 1),
        job";

/// A job's first event and its last, in one statement: so they are of one moment.
const ENDS: &str = "
    SELECT seq, kind, body, at_ms FROM events
    WHERE job = ?1 AND seq IN (
        (SELECT min(seq) FROM events WHERE job = ?1),
        (SELECT max(seq) FROM events WHERE job = ?1)
    )
    ORDER BY seq";

const EVENTS: &str =
    "SELECT seq, kind, body, at_ms FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq";

/// The first event of a job's log and the last, which may be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The first.
    pub first: StoredEvent,
    /// The last.
    pub last: StoredEvent,
}

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
            let mut select = connection.prepare_cached(EVENTS)?;
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

    /// The first event of a job and the last, however many are between; `None` for a job that is not known.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when the first is missing.
    pub fn ends(&self, job: JobId) -> Result<Option<Ends>, LogError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection.prepare_cached(ENDS)?;
            let rows = select.query_map(params![job.as_bytes()], |row| stored(row, 0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let events = read().context("read", &self.path)?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
        if first.seq != 1 {
            let (path, found_seq) = (self.path.clone(), first.seq);
            return Err(LogError::Damaged { path, job, expected_seq: 1, found_seq });
        }
        Ok(Some(Ends { first: first.clone(), last: last.clone() }))
    }

    /// All jobs with events, those that began first first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn jobs(&self) -> Result<Vec<JobId>, LogError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection.prepare_cached(JOBS)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rusqlite::{Params, StatementStatus};

    use super::*;

    /// A log of `job_count` jobs with `event_count` events each.
    fn filled(dir: &Path, job_count: u8, event_count: u32) -> LogReader {
        let path = dir.join(format!("{job_count}-{event_count}.db"));
        schema::create(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        for job in 0..job_count {
            let fill = "
                WITH RECURSIVE seqs (seq) AS (
                    SELECT 1 UNION ALL SELECT seq + 1 FROM seqs WHERE seq < ?2
                )
                INSERT INTO events SELECT ?1, seq, 'ticked', '0', 1000 - seq FROM seqs";
            connection.execute(fill, params![JobId([job; 16]).as_bytes(), event_count]).unwrap();
        }
        LogReader::open(&path).unwrap().unwrap()
    }

    /// The steps that SQLite's machine takes for a statement: what it costs, on any machine.
    fn steps(reader: &LogReader, sql: &str, params: impl Params) -> i32 {
        let connection = reader.connection();
        let mut statement = connection.prepare(sql).unwrap();
        let mut rows = statement.query(params).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        statement.get_status(StatementStatus::VmStep)
    }

    #[test]
    fn a_list_of_jobs_costs_by_the_jobs_whatever_the_number_of_their_events() {
        let dir = tempfile::tempdir().unwrap();
        let (short, long) = (filled(dir.path(), 20, 10), filled(dir.path(), 20, 2_000));
        let job = JobId([7; 16]);
        assert_eq!(long.jobs().unwrap(), short.jobs().unwrap());
        let ends = long.ends(job).unwrap().unwrap();
        assert_eq!((ends.first.seq, ends.last.seq), (1, 2_000));
        assert_eq!(steps(&short, JOBS, []), steps(&long, JOBS, []));
        let of_job = params![job.as_bytes()];
        assert_eq!(steps(&short, ENDS, of_job), steps(&long, ENDS, of_job));
        // And it is seen to count: all events of a job cost by their number.
        let all = params![job.as_bytes(), 0];
        assert!(steps(&long, EVENTS, all) > 100 * steps(&short, EVENTS, all));
    }

    #[test]
    fn the_ends_of_a_log_are_its_first_event_and_its_last_which_may_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let reader = filled(dir.path(), 1, 1);
        let ends = reader.ends(JobId([0; 16])).unwrap().unwrap();
        assert_eq!((ends.first.seq, &ends.last), (1, &ends.first));
        assert_eq!(reader.ends(JobId([1; 16])).unwrap(), None);
        assert_eq!(filled(dir.path(), 0, 0).jobs().unwrap(), []);
    }
}
