//! The event log: what happened to each job, in order, for good.
//!
//! Events are only ever appended, numbered from 1 without gaps for each job; a whole job can be
//! forgotten. An append that returned has reached the disk (write-ahead log, `synchronous=FULL`). What
//! an event means is its writer's business: here it has a kind, a JSON body and a time.

mod error;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use serde::{Serialize, de::DeserializeOwned};
use starling_types::JobId;

pub use self::error::LogError;
use self::error::SqliteContext;

/// The largest body of an event. Events name blobs, they do not hold them; a mebibyte is a thousand
/// times what an event needs, and small enough to read a log of them back.
pub const BODY_SIZE_BYTES_MAX: usize = 1 << 20;

/// The version of the tables below, kept as SQLite's `user_version`; zero is a new file.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE events (
        job   BLOB NOT NULL,
        seq   INTEGER NOT NULL,
        kind  TEXT NOT NULL,
        body  TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (job, seq)
    ) STRICT;
";

/// How long to wait for another process that writes: one owner at a time leaves only the moments in
/// which a reader opens or closes the file, but a slow disk can stretch those.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent<'a> {
    kind: &'a str,
    body: String,
}

impl<'a> NewEvent<'a> {
    /// An event whose body is `body` as JSON.
    ///
    /// # Errors
    /// When `body` has no JSON form, or exceeds [`BODY_SIZE_BYTES_MAX`].
    pub fn new(kind: &'a str, body: &impl Serialize) -> Result<Self, LogError> {
        let body = serde_json::to_string(body)
            .map_err(|cause| LogError::Encode { kind: kind.to_owned(), cause })?;
        if body.len() > BODY_SIZE_BYTES_MAX {
            return Err(LogError::BodyTooLarge { kind: kind.to_owned(), size_bytes: body.len() });
        }
        Ok(Self { kind, body })
    }
}

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number among the events of its job, from 1.
    pub seq: u64,
    /// What kind of event it is.
    pub kind: String,
    /// Its body as JSON text.
    pub body: String,
    /// When it happened, by its writer's clock, in milliseconds since 1970.
    pub at_ms: u64,
}

impl StoredEvent {
    /// The body as the type it was written from.
    ///
    /// # Errors
    /// When it is not of that type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, LogError> {
        serde_json::from_str(&self.body).map_err(|cause| LogError::Decode {
            kind: self.kind.clone(),
            seq: self.seq,
            cause,
        })
    }
}

/// The event log of the process that owns the data directory.
#[derive(Debug)]
pub struct EventLog {
    reader: LogReader,
}

impl EventLog {
    /// Opens the log in the file at `path`, which is created if need be.
    ///
    /// # Errors
    /// [`LogError::NewerSchema`] when a later version of Starling has written it.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let connection = Connection::open(path).context("open", path)?;
        Self::prepare(connection, path)
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, LogError> {
        connection.busy_timeout(BUSY_TIMEOUT).context("open", path)?;
        // `fullfsync` matters on macOS, where a plain fsync stops at the drive's cache.
        for (pragma, value) in
            [("journal_mode", "WAL"), ("synchronous", "FULL"), ("fullfsync", "ON")]
        {
            connection.pragma_update(None, pragma, value).context("set up", path)?;
        }
        let transaction = begin(&mut connection).context("set up", path)?;
        if schema_version(&transaction, path)? == 0 {
            transaction.execute_batch(SCHEMA).context("set up", path)?;
            let updated = transaction.pragma_update(None, "user_version", SCHEMA_VERSION);
            updated.context("set up", path)?;
        }
        transaction.commit().context("set up", path)?;
        Ok(Self { reader: LogReader::new(connection, path) })
    }

    /// Appends one event, durably; its number.
    ///
    /// # Errors
    /// [`LogError::NoSpace`] when the disk is full. Nothing is appended then, nor on any other error.
    pub fn append(
        &self,
        job: JobId,
        kind: &str,
        body: &impl Serialize,
        at_ms: u64,
    ) -> Result<u64, LogError> {
        self.append_all(job, &[NewEvent::new(kind, body)?], at_ms)
    }

    /// Appends events, durably, all or none; the number of the last event of the job.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_all(
        &self,
        job: JobId,
        events: &[NewEvent<'_>],
        at_ms: u64,
    ) -> Result<u64, LogError> {
        let path = &self.reader.path;
        let mut connection = self.reader.connection();
        let mut append = || {
            let transaction = begin(&mut connection)?;
            let mut seq: i64 = transaction
                .prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE job = ?1")?
                .query_row(params![job.as_bytes()], |row| row.get(0))?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events (job, seq, kind, body, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            // SQLite's integers are signed; no clock reaches the difference.
            let at_ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
            for NewEvent { kind, body } in events {
                seq += 1;
                insert.execute(params![job.as_bytes(), seq, kind, body, at_ms])?;
            }
            drop(insert);
            transaction.commit()?;
            Ok(seq)
        };
        append().context("append to", path).map(i64::cast_unsigned)
    }

    /// Removes all events of a job; how many there were. Its numbering starts over.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&self, job: JobId) -> Result<u64, LogError> {
        let delete = "DELETE FROM events WHERE job = ?1";
        let deleted = self.reader.connection().execute(delete, params![job.as_bytes()]);
        Ok(deleted.context("forget a job in", &self.reader.path)? as u64)
    }

    /// See [`LogReader::read`].
    pub fn read(&self, job: JobId) -> Result<Vec<StoredEvent>, LogError> {
        self.reader.read(job)
    }

    /// See [`LogReader::read_from`].
    pub fn read_from(&self, job: JobId, after_seq: u64) -> Result<Vec<StoredEvent>, LogError> {
        self.reader.read_from(job, after_seq)
    }

    /// See [`LogReader::jobs`].
    pub fn jobs(&self) -> Result<Vec<JobId>, LogError> {
        self.reader.jobs()
    }
}

/// Reads an event log, also one that another process is appending to.
#[derive(Debug)]
pub struct LogReader {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl LogReader {
    /// Opens the log in the file at `path` to read only; `None` when nothing has been set up there yet.
    ///
    /// # Errors
    /// [`LogError::NewerSchema`] when a later version of Starling has written it.
    pub fn open(path: &Path) -> Result<Option<Self>, LogError> {
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).context("open", path)?;
        connection.busy_timeout(BUSY_TIMEOUT).context("open", path)?;
        let is_set_up = schema_version(&connection, path)? > 0;
        Ok(is_set_up.then(|| Self::new(connection, path)))
    }

    fn new(connection: Connection, path: &Path) -> Self {
        Self { connection: Mutex::new(connection), path: path.to_owned() }
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
            let rows = select.query_map(params![job.as_bytes(), after_seq], |row| {
                let (seq, at_ms) = (row.get::<_, i64>(0)?, row.get::<_, i64>(3)?);
                Ok(StoredEvent {
                    seq: seq.cast_unsigned(),
                    kind: row.get(1)?,
                    body: row.get(2)?,
                    at_ms: at_ms.cast_unsigned(),
                })
            })?;
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

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic interrupted was rolled back when it was dropped.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a transaction that writes. Taking the write lock at once keeps what is read in it true.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// The version of the tables in the file; zero when there are none.
fn schema_version(connection: &Connection, path: &Path) -> Result<i64, LogError> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    let found = version.context("read", path)?;
    if found > SCHEMA_VERSION {
        let path = path.to_owned();
        return Err(LogError::NewerSchema { path, found, supported: SCHEMA_VERSION });
    }
    Ok(found)
}
