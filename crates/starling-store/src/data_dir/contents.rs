//! What belongs into a data directory, and what a directory is by what lies in it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::Path,
};

use super::{DataDirError, Owner, log_path};
use crate::LogError;

/// The folders of a data directory that are cleared.
const CLEARED: [&str; 2] = ["scratch", "blobs"];

/// What else is made in one, here and by those who own one.
const MADE: [&str; 8] = ["control", "key", "local", "lock", "log", "node", "speed", "starling.db"];

/// How the names of files begin that lie beside the log, and of those that are not finished.
const BEGINNINGS: [&str; 4] = ["starling.db-", "starling.db.", "blobs.ruined-", ".tmp"];

/// Whether what has this name in a data directory is Starling's own.
pub(super) fn is_own(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_whole = CLEARED.iter().chain(&MADE).any(|own| *own == name);
    is_whole || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// All that lies in a directory.
fn names(path: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Looks at whether there is a data directory at `path`, or nothing yet. One is known by its log or its lock: names as `local` are
/// those of others as well.
pub(super) fn check(path: &Path) -> Result<(), DataDirError> {
    // Where nothing is seen, whoever opens something there says why.
    let Ok(names) = names(path) else { return Ok(()) };
    let lock = path.join("lock");
    let is_file = lock.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let has_lock = || is_file && File::open(&lock).is_ok_and(|lock| Owner::read(&lock).is_some());
    if names.iter().all(|name| is_own(name)) || log_path(path).exists() || has_lock() {
        return Ok(());
    }
    Err(DataDirError::NotOne { path: path.to_owned() })
}

/// Refuses a directory in which something else has the names that a data directory uses: its folders are cleared, its lock is
/// written to.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), DataDirError> {
    let foreign = |name| Err(DataDirError::Foreign { path: path.to_owned(), name });
    // The folders first: one of ours is made after its lock, maybe at this moment, by another process.
    let folder = CLEARED.into_iter().find(|name| path.join(name).symlink_metadata().is_ok());
    let lock = path.join("lock");
    match lock.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => match File::open(&lock) {
            Ok(lock) if Owner::read(&lock).is_none() => foreign("lock"),
            // Whoever opens it to write says what is wrong with it.
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => match folder {
            // A copy of a data directory may lack the lock.
            Some(name) if !log_path(path).exists() => foreign(name),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Refuses a directory whose log is gone and whose blobs are there, or what SQLite had beside the log. A log is made before the first
/// blob, so something other than Starling has removed it.
pub(super) fn refuse_lost_log(path: &Path) -> Result<(), LogError> {
    let log = log_path(path);
    let is_gone =
        || log.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let fault = match () {
        () if !is_gone() => return Ok(()),
        () if has_blobs(&path.join("blobs")) => "it is gone, and blobs that it named are here",
        () if size_bytes(&path.join("starling.db-wal")) > 0 => {
            "it is gone, and a part of it is in starling.db-wal"
        }
        () => return Ok(()),
    };
    // Another process may have made both since the first look.
    match is_gone() {
        true => Err(LogError::Ruined { path: log, fault: fault.to_owned() }),
        false => Ok(()),
    }
}

/// Whether there is a whole blob in the folder of a store. Each lies in a folder that is named by its first two digits.
fn has_blobs(blobs: &Path) -> bool {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let is_shelf = |name: OsString| {
        name.len() == 2 && name.to_str().is_some_and(|name| u8::from_str_radix(name, 16).is_ok())
    };
    entries(blobs)
        .filter(|entry| is_shelf(entry.file_name()))
        .any(|shelf| entries(&shelf.path()).next().is_some())
}

fn size_bytes(path: &Path) -> u64 {
    path.symlink_metadata().map_or(0, |metadata| metadata.len())
}

/// Keeps other users out of a directory that was there before, open to them: what jobs are about lies in it. One that is not
/// ours, or that has other things in it, is left as it is.
#[cfg(unix)]
pub(super) fn keep_others_out(path: &Path) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    let (shown, mode) = (path.display(), format!("{mode:o}"));
    // A shared folder (`/tmp`, one of a group) is not ours for being empty.
    let is_ours = metadata.mode() & 0o7000 == 0
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && names(path).is_ok_and(|names| names.iter().all(|name| is_own(name)));
    let closed = is_ours && fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_ok();
    if closed {
        tracing::warn!(path = %shown, %mode, "other users could read the data directory: its mode is now 700");
    } else {
        tracing::warn!(path = %shown, %mode, "other users can read the data directory, and with it the inputs and seeds of jobs: its mode stays as it is, because the directory is not only this program's");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::DataDir;

    #[test]
    fn a_directory_of_something_else_is_told_from_one_that_is_empty_or_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        check(&path).unwrap();
        fs::create_dir(&path).unwrap();
        check(&path).unwrap();
        // Names that others have too.
        for name in ["local", "locks", "keys"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        let refused = check(&path).unwrap_err();
        assert!(matches!(refused, DataDirError::NotOne { .. }), "{refused}");
        fs::write(path.join("lock"), "somebody else's").unwrap();
        check(&path).unwrap_err();
        fs::remove_file(path.join("lock")).unwrap();
        drop(DataDir::open(&path, "").unwrap());
        check(&path).unwrap();
    }

    #[test]
    fn a_log_that_is_gone_while_its_blobs_are_there_is_refused_and_nothing_is_made_or_removed() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "").unwrap();
        assert!(DataDir::peek(dir.path()).unwrap().is_none(), "a new directory");
        let log = data.log().unwrap();
        let blobs = data.blobs_of(&log, crate::DiskBudget::up_to(1 << 20)).unwrap();
        let blob = blobs.put(b"a segment").unwrap();
        drop((log, blobs));
        fs::remove_file(log_path(dir.path())).unwrap();
        let before = names(dir.path()).unwrap();
        let peeked = DataDir::peek(dir.path()).map(|log| log.is_some()).unwrap_err().to_string();
        let opened = data.log().unwrap_err().to_string();
        assert_eq!(peeked, opened);
        assert!(opened.contains("it is gone, and blobs that it named are here"), "{opened}");
        assert!(!data.has_sound_log().unwrap());
        assert_eq!(names(dir.path()).unwrap(), before);
        // Once they are put aside, a new one may begin.
        let aside = data.put_aside().unwrap();
        assert!(aside.log.is_none() && aside.blobs.is_some());
        let log = data.log().unwrap();
        let blobs = data.blobs_of(&log, crate::DiskBudget::up_to(1 << 20)).unwrap();
        assert!(blobs.open_blob(blob.reference).unwrap().is_none());
    }

    #[test]
    fn a_log_of_which_only_what_lay_beside_it_is_left_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "").unwrap();
        fs::write(dir.path().join("starling.db-wal"), "events").unwrap();
        let error = data.log().unwrap_err().to_string();
        assert!(error.contains("a part of it is in starling.db-wal"), "{error}");
        assert_eq!(fs::read(dir.path().join("starling.db-wal")).unwrap(), b"events");
    }

    #[test]
    fn all_that_is_made_in_a_data_directory_is_known_as_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "").unwrap();
        let log = data.log().unwrap();
        data.blobs_of(&log, crate::DiskBudget::up_to(0)).unwrap();
        data.scratch().unwrap();
        data.load_or_create_key(|| [7; 32]).unwrap();
        let names = names(dir.path()).unwrap();
        assert!(names.len() >= 5, "{names:?}");
        assert!(names.iter().all(|name| is_own(name)), "{names:?}");
        for other in ["starling", "keys", "blobs2", "receipt"] {
            assert!(!is_own(OsStr::new(other)), "{other}");
        }
    }
}
