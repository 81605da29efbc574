//! Where a blob store keeps its files, and what it finds there when it opens.
//!
//! | path | holds |
//! |---|---|
//! | `<dir>/92/92672a47…` | a whole blob: first two hex digits, then all 64 |
//! | `<dir>/temp/…` | bytes being written; worthless after a crash |
//!
//! A blob reaches its place by renaming a finished, synced file, so that a file there is whole.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use starling_blobs::StoreError;
use starling_files::sync_dir;
use starling_types::{BlobRef, Reference};
use tracing::{debug, warn};

use super::{
    disk::Disk,
    error::IoContext as _,
    ledger::{DiskBudget, Ledger},
};

#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
    /// The directories of blobs that are known to survive a power cut.
    durable_shards: Mutex<BTreeSet<PathBuf>>,
}

impl Layout {
    /// Makes the directories below `dir`, and `dir`.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        let layout = Self { dir: dir.to_owned(), durable_shards: Mutex::default() };
        let temp = layout.temp_dir();
        fs::create_dir_all(&temp).context("create the directory", &temp)?;
        Ok(layout)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn blob_path(&self, reference: Reference) -> PathBuf {
        let name = reference.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    pub fn temp_dir(&self) -> PathBuf {
        self.dir.join("temp")
    }

    /// The directory of the blob, on disk.
    pub fn create_shard(&self, blob_path: &Path) -> io::Result<PathBuf> {
        let shard = blob_path.parent().unwrap_or(&self.dir);
        // Locked throughout, which happens once for each: code that finds one there relies on it.
        let mut durable = self.durable_shards.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = match fs::create_dir(shard) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        if is_new || !durable.contains(shard) {
            sync_dir(&self.dir)?;
            durable.insert(shard.to_owned());
        }
        Ok(shard.to_owned())
    }

    /// What the disk has.
    pub fn disk(&self) -> Result<Disk, StoreError> {
        Disk::of(&self.dir).context("ask for the free space of", &self.dir)
    }

    /// Removes what writers that died left behind, and takes stock of the rest.
    pub fn scan(&self, budget: DiskBudget) -> Result<Ledger, StoreError> {
        for (_, path, _) in files(&self.temp_dir())? {
            warn!(path = %path.display(), "removing a file that was never finished");
            fs::remove_file(&path).context("remove", &path)?;
        }
        let mut ledger = Ledger::new(budget);
        let mut shards = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).context("list", &self.dir)? {
            let entry = entry.context("list", &self.dir)?;
            let shard = entry.path();
            let is_dir = entry.file_type().context("look at", &shard)?.is_dir();
            if !is_dir || entry.file_name().len() != 2 {
                continue;
            }
            shards.insert(shard.clone());
            for (reference, path, metadata) in files(&shard)? {
                match reference.filter(|reference| self.blob_path(*reference) == path) {
                    Some(reference) => {
                        ledger.insert_blob(BlobRef { reference, size_bytes: metadata.len() });
                    }
                    None => {
                        debug!(path = %path.display(), "leaving a file that is not a blob alone")
                    }
                }
            }
        }
        if !shards.is_empty() {
            sync_dir(&self.dir).context("sync", &self.dir)?;
        }
        *self.durable_shards.lock().unwrap_or_else(PoisonError::into_inner) = shards;
        Ok(ledger)
    }
}

/// The plain files in a directory, with the references that they are named by.
fn files(dir: &Path) -> Result<Vec<(Option<Reference>, PathBuf, fs::Metadata)>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).context("list", dir)? {
        let entry = entry.context("list", dir)?;
        let path = entry.path();
        let metadata = entry.metadata().context("look at", &path)?;
        if metadata.is_file() {
            let reference = entry.file_name().to_str().and_then(|name| name.parse().ok());
            files.push((reference, path, metadata));
        }
    }
    Ok(files)
}
