//! Files written whole or not at all, and there after a power cut; and read without waiting for anybody.
//!
//! A file is filled beside its place, synced, and renamed to it; then the directory is synced. This crate owns that
//! order and nothing else: what a file means, and what is to be done when the disk is full, is its caller's.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use tempfile::NamedTempFile;

mod named;

pub use named::{check_named, elsewhere, write_named};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone: mode 0600.
    Owner,
    /// Anyone: mode 0644.
    Anyone,
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It stays, and the call fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
}

/// Makes the file at `path` hold what `write` writes.
///
/// # Errors
/// What `write` or the operating system says. What was at `path` is there as before then.
pub fn write_whole(
    path: &Path,
    readers: Readers,
    existing: Existing,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path);
    // A temporary file is its owner's alone from the start.
    let file = NamedTempFile::new_in(folder)?;
    let mut buffered = BufWriter::new(file.as_file());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    if readers == Readers::Anyone {
        let_anyone_read(file.as_file())?;
    }
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => file.persist(path)?,
        Existing::Keep => file.persist_noclobber(path)?,
    };
    sync_dir(folder)
}

/// Opens a file to be read that was written here. Anything else than a regular file is refused before it is opened: a pipe in its
/// place would be waited for, until somebody writes to it.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when it is not a regular file; what the operating system says.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// The directory that a path lies in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes renames in `dir` survive a power cut. Elsewhere than on Unix a directory cannot be synced.
///
/// # Errors
/// When the operating system cannot sync it.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn let_anyone_read(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn let_anyone_read(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn write(path: &Path, existing: Existing, bytes: &[u8]) -> io::Result<()> {
        write_whole(path, Readers::Owner, existing, |file| file.write_all(bytes))
    }

    #[test]
    fn a_file_is_replaced_or_kept_as_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, Existing::Keep, b"first").unwrap();
        let error = write(&path, Existing::Keep, b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write(&path, Existing::Replace, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, Existing::Replace, b"before").unwrap();
        let failed = write_whole(&path, Readers::Owner, Existing::Replace, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_or_a_folder_in_the_place_of_a_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, file) = (dir.path().join("pipe"), dir.path().join("file"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [&pipe, dir.path()] {
            let error = open_regular(path).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file");
        }
        assert_eq!(open_regular(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
        write(&file, Existing::Keep, b"bytes").unwrap();
        assert_eq!(io::read_to_string(open_regular(&file).unwrap()).unwrap(), "bytes");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_read_by_those_who_may() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for (readers, mode) in [(Readers::Owner, 0o600), (Readers::Anyone, 0o644)] {
            let path = dir.path().join(format!("{readers:?}"));
            write_whole(&path, readers, Existing::Keep, |_| Ok(())).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
    }
}
