//! Small work on blobs and files, one after the other on a thread of its own: no task of the runtime waits for it.
//!
//! This is for machines with threads and files. A browser would do the same at once, and remember its speed elsewhere.
//!
//! Requests are carried out in their order, so garbage goes before a later request is met. A blob that is forgotten and at once
//! needed again must be fetched anew, and not be found here a moment before it goes: so a fetch first waits for
//! [`Disk::settled`].
//!
//! A disk may hang, and clients go on to grant and to revoke meanwhile: no more waits for it than [`CHORES_MAX`].

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use starling_blobs::Blobs;
use starling_files::{Existing, Readers, open_regular, write_whole};
use tokio::sync::{mpsc, oneshot};

/// Chores that wait for the disk at most: many times what the leases of a large node need at a time.
const CHORES_MAX: usize = 1024;

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
                tracing::warn!(path = %path.display(), %error, "can't read a file, so it is made anew");
            }
            None
        }
    }
}

/// The thread. It ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Disk {
    chores: mpsc::Sender<Chore>,
    standing: Arc<Mutex<Standing>>,
}

/// What is done before the next chore, and once however often it is asked for.
#[derive(Default)]
struct Standing {
    /// Whether there is garbage.
    collect: bool,
    /// What is to be written, and where: the last counts.
    write: Option<(PathBuf, String)>,
}

enum Chore {
    RemoveFile(PathBuf),
    Look {
        room_bytes: u64,
        seen: oneshot::Sender<bool>,
    },
    Settle(oneshot::Sender<()>),
    /// What stands to be done.
    Standing,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(blobs: Arc<dyn Blobs>) -> std::io::Result<Self> {
        let (chores, mut asked) = mpsc::channel::<Chore>(CHORES_MAX);
        let disk = Self { chores, standing: Arc::default() };
        let standing = disk.standing.clone();
        std::thread::Builder::new().name("disk".into()).spawn(move || {
            while let Some(chore) = asked.blocking_recv() {
                let now = std::mem::take(&mut *lock(&standing));
                now.run(&*blobs);
                chore.run(&*blobs);
            }
        })?;
        Ok(disk)
    }

    /// Has the blobs removed that nobody holds any more.
    pub(crate) fn collect(&self) {
        lock(&self.standing).collect = true;
        self.ask(Chore::Standing);
    }

    /// Removes a file, if it is there. Of one that a disk which hangs has no ears for, the folder is rid when the node starts
    /// anew.
    pub(crate) fn remove_file(&self, path: PathBuf) {
        self.ask(Chore::RemoveFile(path));
    }

    /// Writes the one small file of a node, whole or not at all.
    pub(crate) fn write(&self, path: PathBuf, text: String) {
        lock(&self.standing).write = Some((path, text));
        self.ask(Chore::Standing);
    }

    /// Whether there is so much room for blobs. A disk that hangs has none.
    pub(crate) async fn has_room(&self, room_bytes: u64) -> bool {
        let (seen, answer) = oneshot::channel();
        self.ask(Chore::Look { room_bytes, seen });
        answer.await.unwrap_or(false)
    }

    /// Waits until everything that was asked for before is done.
    pub(crate) async fn settled(&self) {
        let (done, answer) = oneshot::channel();
        // The thread ends after the last sender alone, unless it panicked: then the disk is left as it is.
        let _ = self.chores.send(Chore::Settle(done)).await;
        let _ = answer.await;
    }

    /// What finds no place is left undone, but for what stands to be done: that is done before any of those that wait.
    fn ask(&self, chore: Chore) {
        if self.chores.try_send(chore).is_err() {
            tracing::debug!("the disk is far behind");
        }
    }
}

fn lock(standing: &Mutex<Standing>) -> MutexGuard<'_, Standing> {
    // Each change is a single step.
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Standing {
    fn run(self, blobs: &dyn Blobs) {
        // What can't be removed now goes with the next, or when the node starts anew.
        if self.collect
            && let Err(error) = blobs.collect()
        {
            tracing::debug!(%error, "blobs stay");
        }
        if let Some((path, text)) = self.write {
            let (readers, existing) = (Readers::Anyone, Existing::Replace);
            let written =
                write_whole(&path, readers, existing, |file| file.write_all(text.as_bytes()));
            if let Err(error) = written {
                tracing::debug!(path = %path.display(), %error, "a file was not written");
            }
        }
    }
}

impl Chore {
    fn run(self, blobs: &dyn Blobs) {
        match self {
            Self::RemoveFile(path) => {
                // Nothing is there when the prover failed before it wrote.
                let _ = std::fs::remove_file(path);
            }
            Self::Look { room_bytes, seen } => {
                // What is reserved is given back with the writer.
                let reserved = blobs.writer().and_then(|mut writer| writer.reserve(room_bytes));
                let _ = seen.send(reserved.is_ok());
            }
            Self::Settle(done) => {
                let _ = done.send(());
            }
            Self::Standing => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc as blocking;

    use starling_blobs::{MemoryBlobs, ReadBlob, Sink, StoreError};
    use starling_types::Reference;

    use super::*;

    struct Bench {
        disk: Disk,
        blobs: MemoryBlobs,
        dir: tempfile::TempDir,
    }

    fn bench(max_bytes: u64) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let blobs = MemoryBlobs::new(max_bytes);
        let disk = Disk::start(Arc::new(blobs.clone())).unwrap();
        Bench { disk, blobs, dir }
    }

    /// Blobs on a disk that hangs, whenever garbage is to go, until it is told to go on.
    #[derive(Debug)]
    struct Hung {
        blobs: MemoryBlobs,
        hangs: blocking::SyncSender<()>,
        goes_on: Mutex<blocking::Receiver<()>>,
    }

    impl Blobs for Hung {
        fn sink(&self) -> Result<Box<dyn Sink>, StoreError> {
            self.blobs.sink()
        }

        fn open(&self, reference: Reference) -> Result<Option<Box<dyn ReadBlob>>, StoreError> {
            self.blobs.open(reference)
        }

        fn collect(&self) -> Result<u64, StoreError> {
            let _ = self.hangs.try_send(());
            // Once nobody holds it up any more, it goes on for good.
            let _ = self.goes_on.lock().unwrap().recv();
            self.blobs.collect()
        }
    }

    #[tokio::test]
    async fn a_disk_that_hangs_has_a_bounded_number_of_chores_and_what_stands_is_done_when_it_goes_on()
     {
        let (dir, blobs) = (tempfile::tempdir().unwrap(), MemoryBlobs::new(1 << 20));
        let ((hangs, hung), (go_on, goes_on)) =
            (blocking::sync_channel(1), blocking::channel::<()>());
        let goes_on = Mutex::new(goes_on);
        let disk = Disk::start(Arc::new(Hung { blobs: blobs.clone(), hangs, goes_on })).unwrap();
        disk.collect();
        hung.recv().unwrap();
        let result = blobs.put(b"a result").unwrap().reference;
        let speed = dir.path().join("speed");
        for lease in 0..10 * CHORES_MAX {
            disk.remove_file(dir.path().join(lease.to_string()));
            disk.collect();
            disk.write(speed.clone(), lease.to_string());
        }
        assert_eq!((disk.chores.capacity(), disk.chores.max_capacity()), (0, CHORES_MAX));
        assert!(!disk.has_room(1).await, "nobody waits for it");
        drop(go_on);
        disk.settled().await;
        assert!(blobs.pin(result).unwrap().is_none());
        assert_eq!(read(&speed), Some((10 * CHORES_MAX - 1).to_string()));
    }

    #[tokio::test]
    async fn what_was_forgotten_is_gone_once_the_disk_has_settled() {
        let Bench { disk, blobs, dir } = bench(1 << 20);
        let gone = blobs.put(b"a segment").unwrap().reference;
        let stays = blobs.put(b"another").unwrap();
        let (file, speed) = (dir.path().join("scratch"), dir.path().join("speed"));
        std::fs::write(&file, b"a receipt").unwrap();
        disk.collect();
        disk.remove_file(file.clone());
        disk.remove_file(file.clone());
        disk.write(speed.clone(), "lift 1 2".into());
        disk.settled().await;
        assert!(
            blobs.pin(gone).unwrap().is_none() && blobs.pin(stays.reference).unwrap().is_some()
        );
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
