//! Files where a user wants them: what is at a path that he names decides how it is written.
//!
//! A file is replaced as a whole. A link is followed, so that what it leads to is replaced and not the link. Into a device or
//! a pipe bytes are written as they come, and it stays what it is.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use crate::{Existing, Readers, folder_of, write_whole};

/// What is at a path.
enum Target {
    /// A file, or nothing yet.
    File(PathBuf),
    /// What takes bytes as they come.
    Stream(PathBuf),
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        let Some(kind) = kind_of(fs::symlink_metadata(path))? else {
            return Ok(Self::File(path.to_owned()));
        };
        if !kind.is_symlink() {
            return Self::of_kind(path.to_owned(), kind);
        }
        match kind_of(fs::metadata(path))? {
            // A pipe that this process has has no other name.
            Some(kind) if is_stream(kind) => Ok(Self::Stream(path.to_owned())),
            Some(kind) => Self::of_kind(fs::canonicalize(path)?, kind),
            None => Err(io::Error::new(ErrorKind::NotFound, "it is a link that leads nowhere")),
        }
    }

    fn of_kind(path: PathBuf, kind: FileType) -> io::Result<Self> {
        let refused = |what| Err(io::Error::new(ErrorKind::InvalidInput, what));
        if kind.is_file() {
            Ok(Self::File(path))
        } else if kind.is_dir() {
            refused("it is a directory")
        } else if is_stream(kind) {
            Ok(Self::Stream(path))
        } else {
            refused("it is neither a file nor a pipe nor a character device")
        }
    }
}

/// Makes the file at `path`, which a user named, hold what `write` writes. Anyone may read it.
///
/// # Errors
/// As of [`write_whole`]. A device or a pipe may have got a part.
pub fn write_named(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    match Target::of(path)? {
        Target::File(path) => write_whole(&path, Readers::Anyone, Existing::Replace, write),
        Target::Stream(path) => {
            let file = OpenOptions::new().write(true).open(path)?;
            let mut buffered = BufWriter::new(&file);
            write(&mut buffered)?;
            buffered.flush()
        }
    }
}

/// Whether [`write_named`] could write there now, as far as that can be told without changing anything.
///
/// # Errors
/// Why not, in words that follow the path.
pub fn check_named(path: &Path) -> io::Result<()> {
    let Target::File(path) = Target::of(path)? else { return Ok(()) };
    if fs::metadata(&path).is_ok_and(|metadata| metadata.permissions().readonly()) {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it is read-only"));
    }
    let folder = folder_of(&path);
    if !folder.is_dir() {
        return Err(io::Error::new(ErrorKind::NotFound, "its directory does not exist"));
    }
    tempfile::tempfile_in(folder).map(drop)
}

/// `path` as another process can be told it, which has other descriptors, another terminal and another directory.
///
/// # Errors
/// When it leads to no file: another process has another, or would wait there for somebody who reads, for ever; as of
/// [`check_named`] when nothing can be written there.
pub fn elsewhere(path: &Path) -> io::Result<PathBuf> {
    match Target::of(path)? {
        Target::File(path) => std::path::absolute(path),
        Target::Stream(_) => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file")),
    }
}

/// What there is, if there is anything.
fn kind_of(found: io::Result<fs::Metadata>) -> io::Result<Option<FileType>> {
    match found {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn is_stream(kind: FileType) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    kind.is_char_device() || kind.is_fifo()
}

#[cfg(not(unix))]
fn is_stream(_: FileType) -> bool {
    false
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
        process::Command,
        thread,
    };

    use super::*;

    fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        write_named(path, |file| file.write_all(bytes))
    }

    #[test]
    fn a_link_is_followed_and_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, b"before").unwrap();
        symlink("file", &link).unwrap();
        check_named(&link).unwrap();
        write(&link, b"after").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"after");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_link_that_leads_nowhere_a_directory_and_what_is_read_only_are_refused_before_and_then() {
        let dir = tempfile::tempdir().unwrap();
        let dangling = dir.path().join("dangling");
        symlink("nothing", &dangling).unwrap();
        for (path, words) in [(dangling.as_path(), "leads nowhere"), (dir.path(), "a directory")] {
            assert!(check_named(path).unwrap_err().to_string().contains(words), "{words}");
            assert!(write(path, b"x").unwrap_err().to_string().contains(words), "{words}");
        }
        assert!(!dir.path().join("nothing").exists());
        let file = dir.path().join("file");
        fs::write(&file, b"kept").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        assert_eq!(check_named(&file).unwrap_err().to_string(), "it is read-only");
        let nowhere = dir.path().join("no/where");
        let said = check_named(&nowhere).unwrap_err().to_string();
        assert_eq!(said, "its directory does not exist");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_this_process_has_open_is_written_to_and_another_is_told_of_files_alone() {
        use std::io::Read as _;
        let own = |file: &dyn std::os::fd::AsRawFd| {
            PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
        };
        let (mut reader, writer) = io::pipe().unwrap();
        let pipe = own(&writer);
        check_named(&pipe).unwrap();
        write(&pipe, b"all of it").unwrap();
        drop(writer);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"all of it");

        let (_reader, writer) = io::pipe().unwrap();
        let refused = elsewhere(&own(&writer)).unwrap_err().to_string();
        assert_eq!(refused, "it is not a file");
        // A file that it has open has a name that others know.
        let file = tempfile::NamedTempFile::new().unwrap();
        let place = file.path().canonicalize().unwrap();
        assert_eq!(elsewhere(&own(file.as_file())).unwrap(), place);
        assert!(elsewhere(Path::new("new")).unwrap().is_absolute());
    }

    #[test]
    fn a_pipe_and_a_device_take_the_bytes_and_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        check_named(&pipe).unwrap();
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write(&pipe, b"all of it").unwrap();
        assert_eq!(reader.join().unwrap(), b"all of it");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        // The user may be able to replace it.
        for device in ["/dev/null", "/dev/full"].map(Path::new).into_iter().filter(|at| at.exists())
        {
            check_named(device).unwrap();
            assert_eq!(write(device, b"x").is_ok(), device.ends_with("null"), "{device:?}");
            assert!(fs::metadata(device).unwrap().file_type().is_char_device(), "{device:?}");
        }
    }
}
