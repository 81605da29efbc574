//! The event log: what happened to each job, in order, for good, and what blobs must stay for it.
//!
//! Events are only ever appended, numbered from 1 without gaps for each job; a whole job can be
//! forgotten. An append that returned has reached the disk (write-ahead log, `synchronous=FULL`). What
//! an event means is its writer's business: here it has a kind, a JSON body and a time.
//!
//! [Roots](EventLog::root) are kept in the same file, so that an event and the blobs that it names are there
//! together or not at all.
//!
//! All writing is done by one thread (`log/writer.rs`), which puts what waits for it into one transaction: many
//! appends cost one sync. Reading has a connection of its own and waits for no writer.

mod beside;
mod entry;
mod error;
mod key;
mod reader;
mod root;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use rusqlite::Connection;
use starling_types::JobId;

pub use self::writer::wait_for_closed_logs;
pub use self::{
    entry::{BODY_SIZE_BYTES_MAX, Entry, StoredEvent},
    error::LogError,
    key::JobKey,
    reader::{Ends, LogReader},
    root::Root,
};
use self::{error::SqliteContext, writer::Writer};
use crate::{
    data_dir::Lock,
    roots::{RootName, RootSets},
};

/// The event log of the process that owns the data directory. When it is dropped, what was handed to it is written before
/// anybody else can have the directory. To drop it waits for that, except on the threads of an async runtime.
#[derive(Debug)]
pub struct EventLog {
    reader: Arc<LogReader>,
    writer: Writer,
    roots: Arc<RootSets>,
}

impl EventLog {
    /// Opens the log in the file at `path`, which is created if there is none.
    ///
    /// # Errors
    /// [`LogError::OtherSchema`] when another version of Starling has written it, [`LogError::Ruined`] when what is there is no
    /// log: it is left as it is.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Self::open_locked(path, None)
    }

    /// As [`Self::open`], of a directory whose lock is held until all is written.
    pub(crate) fn open_locked(path: &Path, lock: Option<Arc<Lock>>) -> Result<Self, LogError> {
        if !schema::exists(path)? {
            schema::create(path)?;
        }
        Self::over(Connection::open(path).context("open", path)?, path, lock)
    }

    fn over(
        connection: Connection,
        path: &Path,
        lock: Option<Arc<Lock>>,
    ) -> Result<Self, LogError> {
        schema::prepare(&connection, path)?;
        let roots = Arc::new(schema::roots(&connection, path)?);
        let reader = Arc::new(LogReader::open_prepared(path)?);
        let writer = Writer::start(connection, path, roots.clone(), lock)?;
        Ok(Self { reader, writer, roots })
    }

    /// Appends `entry`; the number of the job's last event, once that is on the disk. To drop the future does not take the entry
    /// back.
    ///
    /// The entry is handed over before this returns: entries are written in the order of these calls. The caller bounds
    /// how many are under way.
    ///
    /// # Errors
    /// [`LogError::NoSpace`] when the disk is full: nothing of the entry is there then, nor on any other error.
    /// What was handed over for the same job before the failure was known fails with it
    /// ([`LogError::AfterFailure`]), so that no event stands where another should be.
    pub fn hand_over(
        &self,
        entry: Entry,
    ) -> impl Future<Output = Result<u64, LogError>> + Send + use<> {
        self.writer.hand_over(entry)
    }

    /// As [`Self::hand_over`], for callers that may wait.
    ///
    /// # Errors
    /// As [`Self::hand_over`].
    pub fn append_blocking(&self, entry: Entry) -> Result<u64, LogError> {
        self.writer.append_blocking(entry)
    }

    /// To read it with, which keeps neither the log's writer nor its directory.
    pub fn reader(&self) -> Arc<LogReader> {
        self.reader.clone()
    }

    /// Waits until all that was handed over before is in the log, or has failed: then reading misses nothing of it. Blocks.
    pub fn settle(&self) {
        self.writer.settle();
    }

    /// The blobs that stay under `name`, to be changed where no events go with it.
    pub fn root(&self, name: RootName) -> Root<'_> {
        Root::new(self, name)
    }

    /// See [`LogReader::read`].
    pub fn read(&self, job: JobId) -> Result<Vec<StoredEvent>, LogError> {
        self.reader.read(job)
    }

    /// See [`LogReader::read_from`].
    pub fn read_from(&self, job: JobId, after_seq: u64) -> Result<Vec<StoredEvent>, LogError> {
        self.reader.read_from(job, after_seq)
    }

    /// See [`LogReader::ends`].
    pub fn ends(&self, key: &JobKey) -> Result<Option<Ends>, LogError> {
        self.reader.ends(key)
    }

    /// See [`LogReader::keys`].
    pub fn keys(&self) -> Result<Vec<JobKey>, LogError> {
        self.reader.keys()
    }

    /// The jobs for which blobs stay.
    pub fn rooted_jobs(&self) -> BTreeSet<JobId> {
        self.roots.jobs()
    }

    /// Removes the events under a key. Of a job, its root stays: an [`Entry`] [anew](Entry::anew) takes both. Waits for the disk.
    ///
    /// # Errors
    /// As [`Self::hand_over`].
    pub fn forget(&self, key: JobKey) -> Result<(), LogError> {
        self.append_blocking(Entry::forgetting(key)).map(|_| ())
    }

    /// See [`LogReader::begun_without`].
    pub fn begun_without(&self, kinds: &[&str]) -> Result<Vec<(JobId, StoredEvent)>, LogError> {
        self.reader.begun_without(kinds)
    }

    /// What all roots name, for the store that keeps it.
    pub(crate) fn roots(&self) -> &Arc<RootSets> {
        &self.roots
    }
}
