//! The data directory: where a Starling process keeps its state, owned by one process at a time.
//!
//! | name | holds |
//! |---|---|
//! | `blobs/` | the [`BlobStore`] |
//! | `starling.db` | the [`EventLog`] (SQLite, with its `-wal` and `-shm` beside it) |
//! | `key` | the secret key that names this machine, for its owner's eyes only |
//! | `lock` | locked by the owning process; its text says who that is |
//! | `scratch/` | files on their way somewhere else |
//!
//! The lock is the operating system's: it ends with the process, however that ends. [`DataDir::peek`]
//! reads the log without it.

mod contents;
mod disk;

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use starling_files::{Existing, Readers, open_regular, sync_dir, write_whole};
use thiserror::Error;

#[cfg(unix)]
use self::contents::keep_others_out;
use self::contents::refuse_foreign;
use crate::{BlobStore, DiskBudget, EventLog, LogError, LogReader, StoreError};

/// The size of the secret key.
pub const KEY_SIZE_BYTES: usize = 32;

/// What is read of a lock file: room for a process id and a purpose, whatever else the file holds.
const LOCK_SIZE_BYTES_MAX: u64 = 256;

/// Where the log and the blobs of a directory have been put; none where there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The log.
    pub log: Option<PathBuf>,
    /// The folder of the blobs.
    pub blobs: Option<PathBuf>,
}

/// An owned data directory. Keep it for as long as anything opened through it is in use.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: Arc<Lock>,
}

/// The lock of a directory: held as well by the thread that writes its log, so that nobody else opens it before all is written.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// A data directory that cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process owns it, or this one does already.
    #[error("data directory {} is in use by {}", path.display(), owner(*pid, purpose))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The owner's process id, if it has said so.
        pid: Option<u32>,
        /// What the owner does, in its own words; empty if it has not said so.
        purpose: String,
    },
    /// What lies there under a name that a data directory uses was not made by one, and would be overwritten or removed.
    #[error("{} is not a data directory, and has `{name}` in it, which would not be safe there", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What is in the way.
        name: &'static str,
    },
    /// There is something else, and nothing of Starling's in it.
    #[error("{} is no data directory: nothing in it is Starling's", path.display())]
    NotOne {
        /// The directory.
        path: PathBuf,
    },
    /// The key file does not hold a key.
    #[error(
        "key file {} has {size_bytes} bytes instead of {KEY_SIZE_BYTES}; restore it, or delete it to get \
         a new identity",
        path.display()
    )]
    KeySize {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

fn owner(pid: Option<u32>, purpose: &str) -> String {
    match (pid, purpose) {
        (None, _) => "another process".to_owned(),
        (Some(pid), "") => format!("process {pid}"),
        (Some(pid), purpose) => format!("process {pid} ({purpose})"),
    }
}

impl DataDir {
    /// Opens the directory at `path`, creating it if need be, and owns it until dropped, and until what was handed to its log is
    /// written.
    ///
    /// `purpose` tells a second opener, in a few words on one line, what this process is doing.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] while it is owned already, [`DataDirError::Foreign`] when what lies there under the names of a
    /// data directory is somebody else's: nothing of it is touched then.
    pub fn open(path: &Path, purpose: &str) -> Result<Self, DataDirError> {
        create_private(path).map_err(io_error("create the data directory", path))?;
        refuse_foreign(path)?;
        #[cfg(unix)]
        keep_others_out(path);
        let lock_path = path.join("lock");
        let mut lock = open_lock(&lock_path).map_err(io_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let Owner { pid, purpose } = Owner::read(&lock).unwrap_or_default();
                return Err(DataDirError::InUse { path: path.to_owned(), pid, purpose });
            }
            Err(TryLockError::Error(error)) => return Err(io_error("lock", &lock_path)(error)),
        }
        // Who owns it is a courtesy: a disk that is too full for it does not stop us here.
        let _ = write_owner(&mut lock, purpose);
        Ok(Self { path: path.to_owned(), lock: Arc::new(Lock(lock)) })
    }

    /// Whether what has this name in a data directory is Starling's own. The log has more files, whose names begin alike.
    pub fn has_own(name: &OsStr) -> bool {
        contents::is_own(name)
    }

    /// Looks at whether there is a data directory at `path`, or nothing yet.
    ///
    /// # Errors
    /// [`DataDirError::NotOne`] when something else is there.
    pub fn check(path: &Path) -> Result<(), DataDirError> {
        contents::check(path)
    }

    /// What is wrong with the disk that `path` lies on, or is to lie on, for a data directory, in words; `None` when nothing is.
    pub fn disk_fault(path: &Path) -> Option<String> {
        disk::fault(path)
    }

    /// The event log of the directory at `path`, to read while another process may own it; `None` when
    /// there is none yet.
    ///
    /// # Errors
    /// As [`LogReader::open`], and [`LogError::Ruined`] when it is gone and what it named is there.
    pub fn peek(path: &Path) -> Result<Option<LogReader>, LogError> {
        contents::refuse_lost_log(path)?;
        LogReader::open(&log_path(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens its blobs, of which those stay that the roots of `log` name, which is its own. Open them once and
    /// clone the store.
    ///
    /// # Errors
    /// As [`BlobStore::open`].
    pub fn blobs_of(&self, log: &EventLog, budget: DiskBudget) -> Result<BlobStore, StoreError> {
        BlobStore::open_rooted(&self.path.join("blobs"), budget, log.roots().clone())
    }

    /// Opens the blobs of a directory without a log: none of them outlives the process that pins it.
    ///
    /// # Errors
    /// As [`BlobStore::open`].
    pub fn unrooted_blobs(&self, budget: DiskBudget) -> Result<BlobStore, StoreError> {
        BlobStore::open(&self.path.join("blobs"), budget)
    }

    /// Opens its event log. That its disk may harm the log is told.
    ///
    /// # Errors
    /// As [`EventLog::open`], and [`LogError::Ruined`] when it is gone and what it named is there: a new one would name none of
    /// that, so that all of it would be removed.
    pub fn log(&self) -> Result<EventLog, LogError> {
        contents::refuse_lost_log(&self.path)?;
        if let Some(fault) = disk::fault(&self.path) {
            tracing::warn!(path = %self.path.display(), "{fault}");
        }
        EventLog::open_locked(&log_path(&self.path), Some(self.lock.clone()))
    }

    /// Whether there is a log, and all of it can be read. It reads all of it.
    ///
    /// # Errors
    /// When it is of another version of Starling, or can't be looked at.
    pub fn has_sound_log(&self) -> Result<bool, LogError> {
        match Self::peek(&self.path).and_then(|log| log.map_or(Ok(false), |log| log.is_whole())) {
            Err(LogError::Ruined { .. }) => Ok(false),
            looked => looked,
        }
    }

    /// Puts the log and the blobs aside, under names that neither has: the next log names no blob, so that all of them would be
    /// removed, and a backup of the log would find none. Open no blobs of the directory meanwhile.
    ///
    /// # Errors
    /// When a file can't be renamed.
    pub fn put_aside(&self) -> Result<Aside, DataDirError> {
        let (log, blobs) = (log_path(&self.path), self.path.join("blobs"));
        let with = |path: &Path, ending: &str| {
            let mut path = path.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        let place = |path: &Path, number: u32| with(path, &format!(".ruined-{number}"));
        let is_free =
            |number: &u32| ![&log, &blobs].iter().any(|path| place(path, *number).exists());
        let number = (1..).find(is_free).unwrap_or(u32::MAX);
        let put = |from: &Path, to: PathBuf| match fs::rename(from, &to) {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("put aside", from)(error)),
        };
        let blobs = put(&blobs, place(&blobs, number))?;
        // The log last: what lies beside it is of no use to another, and a directory without its blobs is still one with a ruined log.
        for ending in ["-shm", "-wal"] {
            put(&with(&log, ending), with(&place(&log, number), ending))?;
        }
        let log = put(&log, place(&log, number))?;
        sync_dir(&self.path).map_err(io_error("sync", &self.path))?;
        Ok(Aside { log, blobs })
    }

    /// An empty folder for files on their way: what lay in it is of a process that was killed. Make it once.
    ///
    /// # Errors
    /// When it cannot be made or emptied.
    pub fn scratch(&self) -> Result<PathBuf, DataDirError> {
        let path = self.path.join("scratch");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("empty", &path)(error));
            }
            _ => {}
        }
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        Ok(path)
    }

    /// The secret key kept here; the first time, the one that `generate` returns.
    ///
    /// # Errors
    /// [`DataDirError::KeySize`] when the file holds something else: it is never overwritten.
    pub fn load_or_create_key(
        &self,
        generate: impl FnOnce() -> [u8; KEY_SIZE_BYTES],
    ) -> Result<[u8; KEY_SIZE_BYTES], DataDirError> {
        let path = self.path.join("key");
        match open_regular(&path) {
            Ok(file) => read_key(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = generate();
                Self::create_key(&path, &key).map_err(io_error("create the key file", &path))?;
                Ok(key)
            }
            Err(error) => Err(io_error("open the key file", &path)(error)),
        }
    }

    fn create_key(path: &Path, key: &[u8]) -> io::Result<()> {
        write_whole(path, Readers::Owner, Existing::Keep, |file| file.write_all(key))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that nobody is told of an owner that has left.
        let _ = self.0.set_len(0);
    }
}

/// Who a lock says that its owner is: nobody, where it is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: Option<u32>,
    pub(crate) purpose: String,
}

impl Owner {
    /// Reads a lock from its beginning; `None` for a file that is not a lock. A lock holds a process id and a purpose on one line,
    /// or nothing.
    fn read(lock: &File) -> Option<Self> {
        let mut bytes = Vec::new();
        lock.take(LOCK_SIZE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Self::parse(&bytes)
    }

    /// As [`Self::read`], of what is in the file.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let text = String::from_utf8_lossy(bytes);
        let (pid, purpose) = text.split_once(' ').filter(|_| !text.contains('\n'))?;
        let purpose = purpose.chars().filter(|c| !c.is_control()).collect();
        Some(Self { pid: Some(pid.parse().ok()?), purpose })
    }
}

fn log_path(data_dir: &Path) -> PathBuf {
    data_dir.join("starling.db")
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    move |cause| DataDirError::Io { action, path: path.to_owned(), cause }
}

fn read_key(file: File, path: &Path) -> Result<[u8; KEY_SIZE_BYTES], DataDirError> {
    let metadata = file.metadata().map_err(io_error("look at", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            tracing::warn!(%path, mode = %format!("{mode:o}"), "other users can read the secret key: only its owner should be able to");
        }
    }
    let mut bytes = Vec::with_capacity(KEY_SIZE_BYTES + 1);
    // One byte more than a key, to tell a file that is too long.
    let mut head = file.take(KEY_SIZE_BYTES as u64 + 1);
    head.read_to_end(&mut bytes).map_err(io_error("read the key file", path))?;
    bytes
        .try_into()
        .map_err(|_| DataDirError::KeySize { path: path.to_owned(), size_bytes: metadata.len() })
}

/// Opens the lock file, for its owner's eyes only. A link is not followed: what it leads to would be truncated.
fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

fn write_owner(lock: &mut File, purpose: &str) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    // A purpose may name a file, whose name may have anything in it; the text is one line, by which a lock is known.
    let purpose: String = purpose.chars().filter(|c| !c.is_control()).collect();
    write!(lock, "{} {purpose}", std::process::id())
}

/// Creates the directory for its owner alone: the log holds the seeds that mask what guests keep in memory.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_in_scratch_is_gone_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "killed").unwrap();
        fs::write(data.scratch().unwrap().join("half"), "a receipt").unwrap();
        drop(data);
        let scratch = DataDir::open(dir.path(), "next").unwrap().scratch().unwrap();
        assert_eq!(fs::read_dir(scratch).unwrap().count(), 0);
    }

    #[test]
    fn a_second_opener_is_told_who_owns_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/data");
        let owned = DataDir::open(&path, "starling prove fib.bin").unwrap();
        let error = DataDir::open(&path, "starling node").unwrap_err();
        let said = format!(
            "data directory {} is in use by process {} (starling prove fib.bin)",
            path.display(),
            std::process::id()
        );
        assert_eq!(error.to_string(), said);
        drop(owned);
        DataDir::open(&path, "starling node").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_file_that_is_a_link_is_refused_and_what_it_leads_to_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (target, data) = (dir.path().join("target"), dir.path().join("data"));
        fs::write(&target, "precious").unwrap();
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&target, data.join("lock")).unwrap();
        let error = DataDir::open(&data, "").unwrap_err();
        assert!(matches!(error, DataDirError::Io { action: "open", .. }), "{error}");
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_was_open_to_others_is_closed_unless_it_is_not_for_this_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mode_after = |mode| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            drop(DataDir::open(dir.path(), "").unwrap());
            fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777
        };
        assert_eq!(mode_after(0o755), 0o700, "empty");
        drop(DataDir::open(dir.path(), "").unwrap().log().unwrap());
        assert_eq!(mode_after(0o750), 0o700, "with a log and a lock");
        fs::write(dir.path().join("index.html"), "").unwrap();
        assert_eq!(mode_after(0o755), 0o755, "somebody's folder");
    }

    #[test]
    fn a_lock_file_with_any_text_names_no_false_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let read = |text: &[u8]| {
            fs::write(&path, text).unwrap();
            Owner::read(&File::open(&path).unwrap())
        };
        let owner = |pid, purpose: &str| Some(Owner { pid, purpose: purpose.to_owned() });
        assert_eq!(read(b""), owner(None, ""));
        assert_eq!(read(b"12 "), owner(Some(12), ""));
        assert_eq!(read(b"12 a\x1b[31mb"), owner(Some(12), "a[31mb"));
        for text in [&b"12"[..], b"-1 x", b"12 a\nb", &vec![b'7'; 1 << 20]] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_a_clear_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(&file.path().join("data"), "").unwrap_err().to_string();
        assert!(error.starts_with("cannot create the data directory "), "{error}");
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "").unwrap();
        assert_eq!(data.load_or_create_key(|| [7; 32]).unwrap(), [7; 32]);
        let again = data.load_or_create_key(|| panic!("there is a key already")).unwrap();
        assert_eq!(again, [7; 32]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_the_key_is_refused_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "").unwrap();
        let made = std::process::Command::new("mkfifo").arg(dir.path().join("key")).status();
        assert!(made.unwrap().success());
        let error = data.load_or_create_key(|| [7; 32]).unwrap_err().to_string();
        assert!(error.starts_with("cannot open the key file"), "{error}");
        assert!(error.ends_with("it is not a regular file"), "{error}");
    }

    #[test]
    fn a_key_file_of_another_size_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path(), "").unwrap();
        for size_bytes in [0, 31, 33, 5000] {
            fs::write(dir.path().join("key"), vec![1; size_bytes]).unwrap();
            let error = data.load_or_create_key(|| [7; 32]).unwrap_err().to_string();
            assert!(error.contains(&format!("has {size_bytes} bytes instead of 32")), "{error}");
            assert_eq!(fs::read(dir.path().join("key")).unwrap().len(), size_bytes);
        }
    }
}
