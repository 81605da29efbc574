//! Small work on blobs and files, one after the other on a thread of its own: no task of the runtime waits for it.
//!
//! This is for machines with threads and files. A browser would do the same at once, and remember its speed elsewhere.
//!
//! What is asked for is done in that order. So a blob that is forgotten and at once needed again is fetched anew, and
//! not found here a moment before it goes: whoever fetches waits for [`Disk::settled`] first.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use starling_blobs::Blobs;
use starling_files::{Existing, Readers, open_regular, write_whole};
use starling_types::Reference;
use tokio::sync::{mpsc, oneshot};

use crate::kept::Kept;

/// The most of a small file that is read: more than any that is written here has.
const SMALL_FILE_SIZE_BYTES_MAX: u64 = 1 << 20;

/// A small file of an earlier run, if it is there and can be read; why not, is told. Blocks, but waits for nobody.
pub(crate) fn read(path: &Path) -> Option<String> {
    let read = open_regular(path)
        .and_then(|file| std::io::read_to_string(file.take(SMALL_FILE_SIZE_BYTES_MAX)));
    match read {
        Ok(text) => Some(text),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "a file can't be read, and is made anew");
            }
            None
        }
    }
}

/// The thread. It ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Disk {
    /// Unbounded, since each entry stands for a lease or a blob that the core held, and those are bounded.
    chores: mpsc::UnboundedSender<Chore>,
}

enum Chore {
    Forget(Reference),
    RemoveFile(PathBuf),
    Write { path: PathBuf, text: String },
    Look { room_bytes: u64, seen: oneshot::Sender<bool> },
    Settle(oneshot::Sender<()>),
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(blobs: Arc<dyn Blobs>, kept: Kept) -> std::io::Result<Self> {
        let (chores, mut asked) = mpsc::unbounded_channel::<Chore>();
        std::thread::Builder::new().name("disk".into()).spawn(move || {
            while let Some(chore) = asked.blocking_recv() {
                chore.run(&*blobs, &kept);
            }
        })?;
        Ok(Self { chores })
    }

    /// Lets a blob go that is kept.
    pub(crate) fn forget(&self, blob: Reference) {
        self.ask(Chore::Forget(blob));
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove_file(&self, path: PathBuf) {
        self.ask(Chore::RemoveFile(path));
    }

    /// Writes a small file, whole or not at all.
    pub(crate) fn write(&self, path: PathBuf, text: String) {
        self.ask(Chore::Write { path, text });
    }

    /// Whether there is so much room for blobs.
    pub(crate) async fn has_room(&self, room_bytes: u64) -> bool {
        let (seen, answer) = oneshot::channel();
        self.ask(Chore::Look { room_bytes, seen });
        answer.await.unwrap_or(false)
    }

    /// Waits until everything that was asked for before is done.
    pub(crate) async fn settled(&self) {
        let (done, answer) = oneshot::channel();
        self.ask(Chore::Settle(done));
        let _ = answer.await;
    }

    fn ask(&self, chore: Chore) {
        // The thread ends after the last sender alone, unless it panicked: then the disk is left as it is.
        let _ = self.chores.send(chore);
    }
}

impl Chore {
    fn run(self, blobs: &dyn Blobs, kept: &Kept) {
        match self {
            Self::Forget(blob) => kept.forget(blob, blobs),
            Self::RemoveFile(path) => {
                // Nothing is there when the prover failed before it wrote.
                let _ = std::fs::remove_file(path);
            }
            Self::Write { path, text } => {
                let (readers, existing) = (Readers::Anyone, Existing::Replace);
                let written =
                    write_whole(&path, readers, existing, |file| file.write_all(text.as_bytes()));
                if let Err(error) = written {
                    tracing::debug!(path = %path.display(), %error, "a file was not written");
                }
            }
            Self::Look { room_bytes, seen } => {
                // What is reserved is given back with the writer.
                let reserved = blobs.writer().and_then(|mut writer| writer.reserve(room_bytes));
                let _ = seen.send(reserved.is_ok());
            }
            Self::Settle(done) => {
                let _ = done.send(());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_blobs::MemoryBlobs;

    use super::*;

    struct Bench {
        disk: Disk,
        blobs: MemoryBlobs,
        kept: Kept,
        dir: tempfile::TempDir,
    }

    fn bench(max_bytes: u64) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (blobs, kept) = (MemoryBlobs::new(max_bytes), Kept::default());
        let disk = Disk::start(Arc::new(blobs.clone()), kept.clone()).unwrap();
        Bench { disk, blobs, kept, dir }
    }

    #[tokio::test]
    async fn what_was_forgotten_is_gone_once_the_disk_has_settled() {
        let Bench { disk, blobs, kept, dir } = bench(1 << 20);
        let (gone, stays) = (blobs.put(b"a segment").unwrap(), blobs.put(b"another").unwrap());
        let [gone, stays] = [gone, stays].map(|pin| {
            let reference = pin.reference;
            kept.keep(pin);
            reference
        });
        let (file, speed) = (dir.path().join("scratch"), dir.path().join("speed"));
        std::fs::write(&file, b"a receipt").unwrap();
        disk.forget(gone);
        disk.remove_file(file.clone());
        disk.remove_file(file.clone());
        disk.write(speed.clone(), "lift 1 2".into());
        disk.settled().await;
        assert!(blobs.pin(gone).unwrap().is_none() && blobs.pin(stays).unwrap().is_some());
        assert!(!file.exists());
        assert_eq!(read(&speed).as_deref(), Some("lift 1 2"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_that_is_written_anew_is_never_half_there() {
        use std::os::unix::fs::MetadataExt as _;
        let Bench { disk, dir, .. } = bench(1000);
        let speed = dir.path().join("speed");
        let inode = || std::fs::metadata(&speed).unwrap().ino();
        disk.write(speed.clone(), "lift 1 2".into());
        disk.settled().await;
        let (before, open) = (inode(), std::fs::File::open(&speed).unwrap());
        disk.write(speed.clone(), "lift 3 4".into());
        disk.settled().await;
        // What was there is another file, as it was: it was not written over.
        assert_ne!(inode(), before);
        assert_eq!(std::io::read_to_string(open).unwrap(), "lift 1 2");
        assert_eq!(read(&speed).as_deref(), Some("lift 3 4"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_in_the_place_of_a_small_file_is_not_waited_for_and_a_file_takes_its_place() {
        let Bench { disk, dir, .. } = bench(1000);
        let speed = dir.path().join("speed");
        let made = std::process::Command::new("mkfifo").arg(&speed).status().unwrap();
        assert!(made.success());
        assert_eq!(read(&speed), None);
        disk.write(speed.clone(), "lift 1 2".into());
        disk.settled().await;
        assert_eq!(read(&speed).as_deref(), Some("lift 1 2"));
    }

    #[tokio::test]
    async fn a_look_at_the_room_takes_none() {
        let Bench { disk, blobs, dir: _dir, .. } = bench(1000);
        assert!(disk.has_room(1000).await);
        assert!(!disk.has_room(1001).await);
        assert_eq!(blobs.used_bytes(), 0);
    }
}
