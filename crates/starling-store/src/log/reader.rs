//! Reading a log, also one that another process writes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params, params_from_iter};
use starling_types::JobId;

use super::{
    entry::StoredEvent,
    error::{LogError, SqliteContext},
    key::JobKey,
    schema,
};

/// All that events are under. Each is found from the one before through the index over jobs, so that this costs by the jobs,
/// however many events they have.
const KEYS: &str = "
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

/// How many events of a job there are up to one of them. The index alone is read, some tens of nanoseconds an event.
const COUNT: &str = "SELECT count(*) FROM events WHERE job = ?1 AND seq <= ?2";

const EVENTS: &str =
    "SELECT seq, kind, body, at_ms FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq";

/// The first event of a job's log that is there and the last, which may be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The first.
    pub first: StoredEvent,
    /// The last.
    pub last: StoredEvent,
    /// How many there are, with these two. Of an undamaged log it is the number of the last.
    pub event_count: u64,
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
    /// [`LogError::OtherSchema`] when another version of Starling has written it, [`LogError::Ruined`] when it is not a log.
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
        Ok(Self { connection: Mutex::new(connect(path)?), path: path.to_owned() })
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

    /// The first event under a key and the last, however many are between and whatever is missing there; `None` where there is
    /// none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ends(&self, key: &JobKey) -> Result<Option<Ends>, LogError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection.prepare_cached(ENDS)?;
            let rows = select.query_map(params![key.as_bytes()], |row| stored(row, 0))?;
            let mut events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let Some(last) = events.pop() else { return Ok(None) };
            // What is appended between the two statements is not counted.
            let upto = params![key.as_bytes(), last.seq.cast_signed()];
            let mut count = connection.prepare_cached(COUNT)?;
            let event_count = count.query_row(upto, |row| row.get::<_, i64>(0))?.cast_unsigned();
            let first = events.pop().unwrap_or_else(|| last.clone());
            Ok(Some(Ends { first, last, event_count }))
        };
        read().context("read", &self.path)
    }

    /// All that events are under, those first that began first: jobs, and what came to harm.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn keys(&self) -> Result<Vec<JobKey>, LogError> {
        let connection = self.connection();
        let read = || {
            let mut select = connection.prepare_cached(KEYS)?;
            let rows = select.query_map([], |row| row.get(0).map(JobKey::stored))?;
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
                 WHERE seq = 1 AND length(job) = 16 AND NOT EXISTS \
                 (SELECT 1 FROM events AS ends WHERE ends.job = events.job AND ends.kind IN ({places})) ORDER BY job"
            ))?;
            let rows = select.query_map(params_from_iter(kinds), |row| {
                Ok((JobId(row.get(0)?), stored(row, 1)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().context("read", &self.path)
    }

    /// Whether all of the file fits together. It reads all of it.
    pub(crate) fn is_whole(&self) -> Result<bool, LogError> {
        let looked =
            self.connection().query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        Ok(looked.context("read", &self.path)? == "ok")
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic interrupted was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event in a row, whose number, kind, body and time stand in this order from a column on.
fn stored(row: &Row<'_>, first: usize) -> rusqlite::Result<StoredEvent> {
    let (seq, at_ms) = (row.get::<_, i64>(first)?, row.get::<_, i64>(first + 3)?);
    // Text that a damaged disk has changed belongs to one event: that event is lost and its job's log is damaged, not every log.
    let text = |column| -> rusqlite::Result<String> {
        Ok(row.get_ref(column)?.as_str().unwrap_or_default().to_owned())
    };
    Ok(StoredEvent {
        seq: seq.cast_unsigned(),
        kind: text(first + 1)?,
        body: text(first + 2)?,
        at_ms: at_ms.cast_unsigned(),
    })
}

/// A connection that writes nothing. Where nothing may be written, not even the files that SQLite has beside a log in use, it
/// takes the log as one that nobody changes: a process that could change it would have those files there.
fn connect(path: &Path) -> Result<Connection, LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).context("open", path)?;
    connection.busy_timeout(schema::BUSY_TIMEOUT).context("open", path)?;
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)) {
        Err(error) if is_for_want_of_writing(&error) => {}
        // What else is wrong shows when it is read.
        _ => return Ok(connection),
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    let beside = PathBuf::from(beside);
    if fs::metadata(&beside).is_ok_and(|metadata| metadata.len() > 0) {
        return Err(LogError::HalfReadable { path: path.to_owned(), beside });
    }
    let flags = flags | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(immutable(path), flags).context("open", path)
}

/// Whether SQLite could not make the files that it has beside a log.
fn is_for_want_of_writing(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error_code()
        .is_some_and(|code| matches!(code, ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// What SQLite calls a file that nobody changes.
fn immutable(path: &Path) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            _ => uri.extend(['%', digit(byte >> 4), digit(byte & 0xf)]),
        }
    }
    uri.push_str("?immutable=1");
    uri
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
    fn a_list_of_jobs_reads_two_events_of_each_and_counts_the_rest_in_the_index_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (short, long) = (filled(dir.path(), 20, 10), filled(dir.path(), 20, 2_000));
        let job = JobId([7; 16]);
        assert_eq!(long.keys().unwrap(), short.keys().unwrap());
        let ends = long.ends(&job.into()).unwrap().unwrap();
        assert_eq!((ends.first.seq, ends.last.seq, ends.event_count), (1, 2_000, 2_000));
        assert_eq!(steps(&short, KEYS, []), steps(&long, KEYS, []));
        let of_job = params![job.as_bytes()];
        assert_eq!(steps(&short, ENDS, of_job), steps(&long, ENDS, of_job));
        // And it is seen to count: all events of a job cost by their number.
        let all = params![job.as_bytes(), 0];
        assert!(steps(&long, EVENTS, all) > 100 * steps(&short, EVENTS, all));
        let connection = long.connection();
        let how = format!("EXPLAIN QUERY PLAN {COUNT}");
        let how = connection.query_row(&how, params![job.as_bytes(), 0], |row| row.get(3));
        let how: String = how.unwrap();
        assert!(how.contains("COVERING INDEX"), "{how}");
    }

    #[test]
    fn the_ends_of_a_log_are_its_first_event_and_its_last_which_may_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let reader = filled(dir.path(), 1, 1);
        let ends = reader.ends(&JobId([0; 16]).into()).unwrap().unwrap();
        assert_eq!((ends.first.seq, &ends.last, ends.event_count), (1, &ends.first, 1));
        assert_eq!(reader.ends(&JobId([1; 16]).into()).unwrap(), None);
        assert_eq!(filled(dir.path(), 0, 0).keys().unwrap(), []);
    }

    #[test]
    fn a_log_that_nobody_changes_is_found_whatever_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("50% of? it#all \u{e4}");
        fs::create_dir(&folder).unwrap();
        drop(filled(&folder, 2, 3));
        let path = folder.join("2-3.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(immutable(&path), flags).unwrap();
        let count = connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0));
        assert_eq!(count, Ok(6));
    }
}
