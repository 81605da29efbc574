//! The file: its tables, how a connection is set up, and the statements that write.

use std::{fs, io, path::Path, time::Duration};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use starling_files::sync_dir;
use starling_types::Reference;
use tempfile::NamedTempFile;

use super::{
    entry::{Entry, NewEvent},
    error::{LogError, SqliteContext},
};
use crate::roots::{RootName, RootSets};

/// The version of the tables below, kept as SQLite's `user_version`; zero is what databases of others have.
pub(super) const SCHEMA_VERSION: i64 = 3;

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

/// What is left of the file beside the log once all of it is in the log. SQLite puts it there from about this size on.
pub(super) const BESIDE_SIZE_BYTES_KEPT: u64 = 4 << 20;

/// Whether there is a file at `path`.
///
/// # Errors
/// [`LogError::Ruined`] for one without a byte, since a log is made whole or not at all, and for what is not a file. The file is not opened, for closing it would
/// end the locks that SQLite has on it.
pub(super) fn exists(path: &Path) -> Result<bool, LogError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(ruined(path, "it is not a file")),
        Ok(metadata) if metadata.len() == 0 => Err(ruined(path, "it is empty")),
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => match path.symlink_metadata() {
            // SQLite would make a log where it leads.
            Ok(_) => Err(ruined(path, "it is a link that leads to no file")),
            Err(_) => Ok(false),
        },
        Err(cause) => Err(LogError::File { action: "look at", path: path.to_owned(), cause }),
    }
}

/// Makes an empty log at `path`, where there is no file: it appears with its tables, so that a process that is killed
/// leaves none that looks damaged. It is its owner's alone, since it will hold the seeds of jobs, and SQLite gives its other
/// files the same mode.
pub(super) fn create(path: &Path) -> Result<(), LogError> {
    let not_created = |cause| LogError::File { action: "create", path: path.to_owned(), cause };
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(folder).map_err(not_created)?.into_temp_path();
    let set_up = || {
        let connection = Connection::open(&file)?;
        connection.pragma_update(None, "fullfsync", "ON")?;
        connection.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        connection.close().map_err(|(_, error)| error)
    };
    set_up().context("set up", path)?;
    match file.persist_noclobber(path) {
        // Somebody else was faster.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        placed => placed.map_err(|error| not_created(error.error))?,
    }
    sync_dir(folder).map_err(not_created)
}

/// Sets a connection that writes up.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), LogError> {
    connection.busy_timeout(BUSY_TIMEOUT).context("open", path)?;
    // Before anything is written to what may be somebody else's file.
    check(connection, path)?;
    // `fullfsync` matters on macOS, where a plain fsync stops at the drive's cache.
    for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("fullfsync", "ON")] {
        connection.pragma_update(None, pragma, value).context("set up", path)?;
    }
    let kept = BESIDE_SIZE_BYTES_KEPT.cast_signed();
    connection.pragma_update(None, "journal_size_limit", kept).context("set up", path)?;
    fold(connection);
    Ok(())
}

/// Puts all that is beside the log into it, and empties the file beside it: one that a killed process left may be large. Where
/// somebody reads on, it is left for the next time, since nothing is lost by that.
pub(super) fn fold(connection: &Connection) {
    let put = || {
        // Nobody is waited for.
        connection.busy_timeout(Duration::ZERO)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    };
    if let Err(error) = put() {
        tracing::debug!(%error, "the file beside the job log stays as it is");
    }
    if let Err(error) = connection.busy_timeout(BUSY_TIMEOUT) {
        tracing::debug!(%error, "the job log waits for nobody");
    }
}

/// Looks at whether a database is a log of this version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), LogError> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    match version.context("read", path)? {
        SCHEMA_VERSION => {}
        // No log has ever had this one.
        0 => return Err(ruined(path, "it is a database of something else")),
        found => {
            let path = path.to_owned();
            return Err(LogError::OtherSchema { path, found, supported: SCHEMA_VERSION });
        }
    }
    const TABLES: &str =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('events', 'roots')";
    let tables = connection.query_row(TABLES, [], |row| row.get::<_, i64>(0));
    if tables.context("read", path)? != 2 {
        return Err(ruined(path, "its tables are missing"));
    }
    Ok(())
}

fn ruined(path: &Path, fault: &str) -> LogError {
    LogError::Ruined { path: path.to_owned(), fault: fault.to_owned() }
}

/// What all roots name.
pub(super) fn roots(connection: &Connection, path: &Path) -> Result<RootSets, LogError> {
    let sets = RootSets::default();
    let mut damaged_count = 0_usize;
    let mut read = || {
        let mut select = connection.prepare("SELECT name, reference FROM roots")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            // A root is of one job, and so is the harm that it came to.
            match (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_blob().map(Reference::from_slice)) {
                (Ok(name), Ok(Some(reference))) => {
                    sets.load(RootName::stored(name.to_owned()), reference);
                }
                _ => damaged_count += 1,
            }
        }
        Ok(())
    };
    read().context("read", path)?;
    if damaged_count > 0 {
        let path = path.display();
        tracing::warn!(%path, damaged_count, "the log names blobs in a form that can't be read; they are not kept");
    }
    Ok(sets)
}

/// Begins a transaction that writes. Taking the write lock at once keeps what is read in it true.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Writes an entry; the number of the job's last event.
pub(super) fn write(transaction: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<u64> {
    let mut seq = 0;
    if let Some(job) = &entry.job {
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
        let named: Vec<[u8; 32]> = transaction
            .prepare_cached("SELECT reference FROM roots WHERE name = ?1")?
            .query_map(params![name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut delete =
            transaction.prepare_cached("DELETE FROM roots WHERE name = ?1 AND reference = ?2")?;
        // What stays is not written again: most does.
        for reference in named.into_iter().map(Reference).filter(|named| !keep.contains(named)) {
            delete.execute(params![name, reference.as_bytes()])?;
        }
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
