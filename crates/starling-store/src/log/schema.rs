//! The file: its tables, how a connection is set up, and the statements that write.

use std::{fs::File, io, path::Path, time::Duration};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use starling_types::Reference;

use super::{
    entry::{Entry, NewEvent},
    error::{LogError, SqliteContext},
};
use crate::roots::{RootName, RootSets};

/// The version of the tables below, kept as SQLite's `user_version`; zero is a new file.
const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE events (
        job   BLOB NOT NULL,
        seq   INTEGER NOT NULL,
        kind  TEXT NOT NULL,
        body  TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (job, seq)
    ) STRICT;
    CREATE TABLE roots (
        name      TEXT NOT NULL,
        reference BLOB NOT NULL,
        PRIMARY KEY (name, reference)
    ) STRICT, WITHOUT ROWID;
";

/// How long to wait for another process that writes: one owner at a time leaves only the moments in
/// which a reader opens or closes the file, but a slow disk can stretch those.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the file, if there is none, for its owner alone: it holds the seeds of jobs. SQLite gives its other files
/// the same mode.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    // A file that is there is not opened: closing it would end the locks that SQLite has on it.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Sets a connection that writes up, and the tables if there are none.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), LogError> {
    connection.busy_timeout(BUSY_TIMEOUT).context("open", path)?;
    // `fullfsync` matters on macOS, where a plain fsync stops at the drive's cache.
    for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("fullfsync", "ON")] {
        connection.pragma_update(None, pragma, value).context("set up", path)?;
    }
    let transaction = begin(connection).context("set up", path)?;
    if !is_set_up(&transaction, path)? {
        transaction.execute_batch(SCHEMA).context("set up", path)?;
        let updated = transaction.pragma_update(None, "user_version", SCHEMA_VERSION);
        updated.context("set up", path)?;
    }
    transaction.commit().context("set up", path)
}

/// Whether the tables are there.
pub(super) fn is_set_up(connection: &Connection, path: &Path) -> Result<bool, LogError> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    match version.context("read", path)? {
        0 => Ok(false),
        SCHEMA_VERSION => Ok(true),
        found => {
            let path = path.to_owned();
            Err(LogError::OtherSchema { path, found, supported: SCHEMA_VERSION })
        }
    }
}

/// What all roots name.
pub(super) fn roots(connection: &Connection, path: &Path) -> Result<RootSets, LogError> {
    let sets = RootSets::default();
    let read = || {
        let mut select = connection.prepare("SELECT name, reference FROM roots")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            sets.load(RootName::stored(row.get(0)?), Reference(row.get(1)?));
        }
        Ok(())
    };
    read().context("read", path)?;
    Ok(sets)
}

/// Begins a transaction that writes. Taking the write lock at once keeps what is read in it true.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Writes an entry; the number of the job's last event.
pub(super) fn write(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<u64> {
    let mut seq = 0;
    if let Some(job) = entry.job {
        let job = job.as_bytes();
        if entry.anew {
            transaction.execute("DELETE FROM events WHERE job = ?1", params![job])?;
        }
        seq = transaction
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE job = ?1")?
            .query_row(params![job], |row| row.get::<_, i64>(0))?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (job, seq, kind, body, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        // SQLite's integers are signed; no clock reaches the difference.
        let at_ms = i64::try_from(entry.at_ms).unwrap_or(i64::MAX);
        for NewEvent { kind, body } in &entry.events {
            seq += 1;
            insert.execute(params![job, seq, kind, body, at_ms])?;
        }
    }
    write_root(transaction, entry)?;
    Ok(seq.cast_unsigned())
}

fn write_root(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let name = entry.root.as_str();
    if let Some(keep) = &entry.change.keep {
        let mut kept = Vec::new();
        for reference in keep {
            let is_there = transaction
                .prepare_cached("SELECT 1 FROM roots WHERE name = ?1 AND reference = ?2")?
                .exists(params![name, reference.as_bytes()])?;
            if is_there {
                kept.push(*reference);
            }
        }
        transaction.execute("DELETE FROM roots WHERE name = ?1", params![name])?;
        kept.iter().try_for_each(|reference| insert_root(transaction, name, *reference))?;
    }
    entry.change.add.iter().try_for_each(|pin| insert_root(transaction, name, pin.reference))
}

fn insert_root(
    transaction: &Transaction<'_>,
    name: &str,
    reference: Reference,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT OR IGNORE INTO roots (name, reference) VALUES (?1, ?2)")?
        .execute(params![name, reference.as_bytes()])?;
    Ok(())
}
