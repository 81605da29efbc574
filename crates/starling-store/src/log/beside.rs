//! The file beside the log, in which events are until SQLite puts them into the log itself (`-wal`).
//!
//! As long as another program reads the log as it was at some moment, nothing that came after that can be put into it. The file
//! grows then with each event, until that program has done or is ended. That is for a person to do, who is told once.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// From which size on it is told. What is usual is [some MiB](super::schema::BESIDE_SIZE_BYTES_KEPT); a long transaction of an
/// honest reader, as a backup, lets it grow to some more.
const SIZE_BYTES_TOLD: u64 = 64 << 20;

/// The file beside a log.
#[derive(Debug)]
pub(super) struct Beside {
    file: PathBuf,
    /// Where processes lock what they read of it.
    locks: PathBuf,
    alarm: Alarm,
}

/// Whether it was told that the file is large.
#[derive(Debug, Default)]
struct Alarm {
    is_told: bool,
}

impl Beside {
    pub fn of(log: &Path) -> Self {
        let beside = |ending| {
            let mut path = log.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        Self { file: beside("-wal"), locks: beside("-shm"), alarm: Alarm::default() }
    }

    /// The other processes that keep the log locked to write.
    pub fn writers(&self) -> String {
        self.holders(WRITE_BYTES)
    }

    /// The other processes that lock one of these bytes, by their numbers and names, as far as the system tells.
    fn holders(&self, bytes: RangeInclusive<u64>) -> String {
        let pids = pids(&self.locks, bytes);
        let names = pids.into_iter().filter(|pid| *pid != std::process::id()).map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
            format!("process {pid} ({name})")
        });
        let names: Vec<_> = names.collect();
        if names.is_empty() { "one that the system does not name".into() } else { names.join(", ") }
    }

    /// Looks at its size, and says so when it has become too large.
    pub fn look(&mut self) {
        let size_bytes = fs::metadata(&self.file).map_or(0, |metadata| metadata.len());
        if self.alarm.rings(size_bytes) {
            let (path, readers) = (self.file.display(), self.holders(READ_BYTES));
            tracing::warn!(%path, size_bytes, %readers, "another program keeps reading the job log, such as an open database browser or a backup that hangs: until it ends, this file grows with each event");
        }
    }
}

/// What SQLite locks to read, `WAL_READ_LOCK(0)` to `WAL_READ_LOCK(4)` in its unix-wal locking, which has a byte for each lock from
/// 120 on.
const READ_BYTES: RangeInclusive<u64> = 123..=127;

/// What it locks to write: `WAL_WRITE_LOCK`.
const WRITE_BYTES: RangeInclusive<u64> = 120..=120;

impl Alarm {
    /// Whether a file of this size is to be told of: once, until it has become small again.
    fn rings(&mut self, size_bytes: u64) -> bool {
        let is_large = size_bytes > SIZE_BYTES_TOLD;
        let rings = is_large && !self.is_told;
        // SQLite writes it from its beginning again, and only then cuts it off.
        self.is_told = is_large || (self.is_told && size_bytes > SIZE_BYTES_TOLD / 2);
        rings
    }
}

#[cfg(target_os = "linux")]
fn pids(locks: &Path, bytes: RangeInclusive<u64>) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = fs::metadata(locks).map(|metadata| metadata.ino());
    let table = fs::read_to_string("/proc/locks");
    let told = table.ok().zip(inode.ok());
    told.map_or(Vec::new(), |(table, inode)| holders_in(&table, inode, &bytes))
}

#[cfg(not(target_os = "linux"))]
fn pids(_: &Path, _: RangeInclusive<u64>) -> Vec<u32> {
    Vec::new()
}

/// The processes that `/proc/locks` names for these bytes of the file with this inode.
#[cfg(any(target_os = "linux", test))]
fn holders_in(table: &str, inode: u64, bytes: &RangeInclusive<u64>) -> Vec<u32> {
    let holder = |line: &str| {
        // A number, its kind, its manner, how it locks; then who, what and from which byte to which.
        let mut words = line.split_whitespace().skip(4);
        let (pid, file, from) = (words.next()?, words.next()?, words.next()?);
        let is_it = file.rsplit(':').next()?.parse() == Ok(inode);
        (is_it && bytes.contains(&from.parse().ok()?)).then_some(pid.parse().ok()?)
    };
    let mut pids: Vec<u32> = table.lines().filter_map(holder).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_become_large_is_told_of_once_until_it_was_small_again() {
        let mut alarm = Alarm::default();
        let sizes = [1 << 20, SIZE_BYTES_TOLD, SIZE_BYTES_TOLD + 1, 1 << 30];
        assert_eq!(sizes.map(|size_bytes| alarm.rings(size_bytes)), [false, false, true, false]);
        assert!(!alarm.rings(SIZE_BYTES_TOLD - 1) && !alarm.rings(SIZE_BYTES_TOLD + 1));
        assert!(!alarm.rings(4 << 20) && alarm.rings(SIZE_BYTES_TOLD + 1));
    }

    #[test]
    fn who_reads_and_who_writes_is_told_from_who_has_the_log_open() {
        let table = "\
            1: POSIX  ADVISORY  READ  412 08:01:7777 123 123\n\
            2: POSIX  ADVISORY  READ  412 08:01:7777 124 124\n\
            2: -> POSIX  ADVISORY  WRITE 499 08:01:7777 123 123\n\
            3: POSIX  ADVISORY  READ  413 08:01:7777 128 128\n\
            7: POSIX  ADVISORY  WRITE 416 08:01:7777 120 120\n\
            4: POSIX  ADVISORY  READ  414 08:01:7778 124 124\n\
            5: FLOCK  ADVISORY  WRITE 415 08:01:7777 0 EOF\n\
            6: OFDLCK ADVISORY  READ  -1 08:01:7777 124 124\n\
            nonsense\n";
        assert_eq!(holders_in(table, 7777, &READ_BYTES), [412]);
        assert_eq!(holders_in(table, 7777, &WRITE_BYTES), [416]);
    }
}
