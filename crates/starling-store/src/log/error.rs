//! What can go wrong with the event log, and what SQLite says when the disk is full.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};
use starling_types::JobId;
use thiserror::Error;

use super::{BODY_SIZE_BYTES_MAX, beside::Beside, schema::BUSY_TIMEOUT};
use crate::roots::RootName;

/// A failed operation on an [`EventLog`](super::EventLog) or a [`LogReader`](super::LogReader).
#[derive(Debug, Error)]
pub enum LogError {
    /// The disk has no room for more. Nothing was appended; what was stays readable.
    #[error(
        "cannot {action} the job log {}: {cause}; the disk is full, over its quota or failing",
        path.display()
    )]
    NoSpace {
        /// What was tried.
        action: &'static str,
        /// The log.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// The file of the log could not be made or looked at.
    #[error("cannot {action} the job log {}: {cause}; check the path and its permissions", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The log.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// An earlier append under the same name failed, and this one was handed over before that was known. Nothing
    /// of it was appended.
    #[error("cannot append to the job log {}: an earlier write for {name} failed", path.display())]
    AfterFailure {
        /// The log.
        path: PathBuf,
        /// The job or the root.
        name: RootName,
    },
    /// The thread that writes the log is gone: a defect of ours. Whether this was appended is not known.
    #[error("the thread that writes the job log {} has died", path.display())]
    Stopped {
        /// The log.
        path: PathBuf,
    },
    /// There is no thread for writing the log.
    #[error(
        "cannot start the thread that writes the job log {}: {cause}; this user or machine has reached its limit of threads",
        path.display()
    )]
    NoThread {
        /// The log.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// Another version of Starling has written the log.
    #[error(
        "job log {} has schema {found}, but this version of starling knows {supported}",
        path.display()
    )]
    OtherSchema {
        /// The log.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema known here.
        supported: i64,
    },
    /// What is at its place is empty, something else, or damaged as a whole.
    #[error(
        "{} is not a job log that can be read: {fault}. Without a backup, which jobs there were and how far each had come is lost. \
         Receipts that were written to files are not, and finished ones among the blobs beside it can be recovered until \
         another log is begun there. Put a backup in its place",
        path.display()
    )]
    Ruined {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// Another program has locked the log to write, and does not let go of it. Nothing was appended.
    #[error(
        "cannot {action} the job log {}: another program has had it locked for {} s: {holders}",
        path.display(), BUSY_TIMEOUT.as_secs()
    )]
    Locked {
        /// What was tried.
        action: &'static str,
        /// The log.
        path: PathBuf,
        /// Which program, as far as the system tells.
        holders: String,
    },
    /// The file at its place is no longer the one that was opened. Nothing was appended.
    #[error(
        "the job log {} was moved, removed or replaced while this process was using it: nothing more is recorded until it is back \
         in its place",
        path.display()
    )]
    Gone {
        /// The log.
        path: PathBuf,
    },
    /// An event is missing: something other than Starling has changed the log. The logs of other jobs are no worse for it.
    #[error(
        "job log {} is damaged: event {expected_seq} of job {job} is missing, and event {found_seq} is in its place",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The job.
        job: JobId,
        /// The number of the event that is missing.
        expected_seq: u64,
        /// The number of the event that stands in its place.
        found_seq: u64,
    },
    /// The log lies where nothing may be written, and not all of it can be read so.
    #[error(
        "the last events of the job log {} are in a file beside it, {}, which can't be read while the directory is not writable: look \
         at a copy of the directory, or make it writable",
        path.display(), beside.display()
    )]
    HalfReadable {
        /// The log.
        path: PathBuf,
        /// What else there is of it.
        beside: PathBuf,
    },
    /// An event is too large for the log.
    #[error(
        "a {kind} event of {size_bytes} bytes is too large for the job log: at most {BODY_SIZE_BYTES_MAX}; store a blob and name it"
    )]
    BodyTooLarge {
        /// The kind of the event.
        kind: String,
        /// The size of its body.
        size_bytes: usize,
    },
    /// The body of an event has no JSON form.
    #[error("cannot write a {kind} event as JSON: {cause}")]
    Encode {
        /// The kind of the event.
        kind: String,
        /// What is wrong.
        cause: serde_json::Error,
    },
    /// Anything else that SQLite says.
    #[error("cannot {action} the job log {}: {cause}", path.display())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The log.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
}

/// Says what was tried, and on what.
pub(super) trait SqliteContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, LogError>;
}

impl<T> SqliteContext<T> for rusqlite::Result<T> {
    fn context(self, action: &'static str, log: &Path) -> Result<T, LogError> {
        self.map_err(|cause| {
            let path = log.to_owned();
            if is_no_space(&cause) {
                LogError::NoSpace { action, path, cause }
            } else if is_busy(&cause) {
                LogError::Locked { action, path, holders: Beside::of(log).writers() }
            } else if is_damage(&cause) {
                LogError::Ruined { path, fault: cause.to_string() }
            } else {
                LogError::Sqlite { action, path, cause }
            }
        })
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Whether what SQLite reads is not a database, or one whose pages do not fit together.
fn is_damage(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error_code()
        .is_some_and(|code| matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// SQLite says `FULL` when a write fails with "no space left", but reports an exhausted quota as a
/// failed write, and a shared-memory file that cannot grow as an error of its own.
fn is_no_space(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        error.code == ErrorCode::DiskFull
            || matches!(error.extended_code, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE)
    })
}
