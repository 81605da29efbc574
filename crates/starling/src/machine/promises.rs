//! What the provers of a user have been promised of a machine's memory.
//!
//! Memory that is free when a node starts is free as well when a second one does, as long as the first has nothing to prove: each
//! would count on all of it. So each leaves a note of what it may take, in a folder of the user's that ends with the session, and
//! who starts later counts on the rest. A note is locked by its process, so that one which was killed leaves none that counts.
//! Where the system has no such folder (`XDG_RUNTIME_DIR`), nobody knows of anybody.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use starling_types::MemoryBytes;
use tempfile::{NamedTempFile, TempPath};

/// How the names of notes begin.
const PREFIX: &str = "memory-";

/// The most of a note that is read: a number.
const NOTE_SIZE_BYTES_MAX: u64 = 32;

/// The most notes that are read: more than a user has provers.
const NOTE_COUNT_MAX: usize = 1024;

/// What this process was promised, noted as long as it lives.
#[derive(Debug)]
pub struct Promise {
    _locked: File,
    _note: TempPath,
}

impl Promise {
    /// Notes that the provers of this process may take so much. Where it can't be noted, nobody is told.
    pub fn note(memory: MemoryBytes) -> Option<Self> {
        let folder = folder()?;
        match Self::note_in(&folder, memory) {
            Ok(promise) => Some(promise),
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "other provers are not told of this one");
                None
            }
        }
    }

    fn note_in(folder: &Path, memory: MemoryBytes) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // Nobody takes it for one that was left behind: it has its name once it is locked.
        let mut note = NamedTempFile::with_prefix_in(".new-", folder)?;
        note.as_file().try_lock().map_err(io::Error::from)?;
        write!(note, "{}", memory.0)?;
        let name = note.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join(name.replacen(".new-", PREFIX, 1));
        let (locked, unnamed) = note.into_parts();
        unnamed.persist(&path).map_err(|error| error.error)?;
        Ok(Self { _locked: locked, _note: TempPath::try_from_path(path)? })
    }
}

/// What other provers of this user have been promised.
pub fn of_others() -> MemoryBytes {
    folder().map_or(MemoryBytes(0), |folder| in_folder(&folder))
}

/// Where notes are.
fn folder() -> Option<PathBuf> {
    let session = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    session.is_absolute().then(|| session.join("starling"))
}

fn in_folder(folder: &Path) -> MemoryBytes {
    let Ok(entries) = fs::read_dir(folder) else { return MemoryBytes(0) };
    let notes = entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let amounts = notes.take(NOTE_COUNT_MAX).filter_map(|note| promised(&note.path()));
    MemoryBytes(amounts.fold(0, u64::saturating_add))
}

/// What a note promises, unless its process is gone: then it goes as well.
fn promised(note: &Path) -> Option<u64> {
    let file = starling_files::open_regular(note).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => {
            let _ = fs::remove_file(note);
            return None;
        }
        Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    file.take(NOTE_SIZE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_provers_were_promised_adds_up_and_ends_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("starling");
        assert_eq!(in_folder(&folder), MemoryBytes(0));
        let [one, other] =
            [1000, 300].map(|bytes| Promise::note_in(&folder, MemoryBytes(bytes)).unwrap());
        assert_eq!(in_folder(&folder), MemoryBytes(1300));
        drop(one);
        assert_eq!(in_folder(&folder), MemoryBytes(300));
        drop(other);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn the_note_of_a_process_that_was_killed_counts_for_nothing_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("memory-left");
        fs::write(&left, "1000").unwrap();
        fs::write(folder.path().join("other"), "1000").unwrap();
        assert_eq!(in_folder(folder.path()), MemoryBytes(0));
        assert!(!left.exists() && folder.path().join("other").exists());
    }

    #[test]
    fn a_note_with_anything_in_it_promises_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("memory-odd");
        for text in ["", "much", "-1", &"9".repeat(1000)] {
            fs::write(&note, text).unwrap();
            let locked = File::open(&note).unwrap();
            locked.lock().unwrap();
            assert_eq!(in_folder(folder.path()), MemoryBytes(0), "{text:?}");
        }
    }
}
