//! The files of prover processes: inputs on their way from the blobs to a process, and its result on the way back.
//!
//! If blobs are files, a process reads them in place. Otherwise it gets copies in the scratch folder,
//! which need not be on a disk either.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use starling_blobs::{Blobs, Pin, ReadBlob, StoreError};
use starling_node_core::{StoreFailure, WorkId};
use starling_types::BlobRef;
use tempfile::{NamedTempFile, TempPath};
use tokio::task::spawn_blocking;

/// The folder, and the blobs that go through it.
#[derive(Clone)]
pub(crate) struct Scratch {
    blobs: Arc<dyn Blobs>,
    dir: PathBuf,
}

/// An input in a file, which stays as long as this is kept.
pub(crate) enum InFile {
    /// The blob's own.
    Own { path: PathBuf, _blob: Box<dyn ReadBlob> },
    /// A copy.
    Copy(TempPath),
}

impl InFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own { path, .. } => path,
            Self::Copy(path) => path,
        }
    }
}

impl Scratch {
    pub(crate) fn new(blobs: Arc<dyn Blobs>, dir: PathBuf) -> Self {
        Self { blobs, dir }
    }

    /// Where the proof for a lease lies.
    pub(crate) fn output(&self, work: WorkId) -> PathBuf {
        self.dir.join(work.0.to_string())
    }

    /// The inputs in files, each hashed again if it may have changed since it came.
    pub(crate) async fn open(&self, inputs: Vec<BlobRef>) -> Result<Vec<InFile>, String> {
        let scratch = self.clone();
        let opened = spawn_blocking(move || {
            inputs.iter().map(|input| scratch.open_one(*input)).collect::<Result<_, _>>()
        });
        opened.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn open_one(&self, input: BlobRef) -> Result<InFile, String> {
        let blob = self.blobs.open(input.reference).map_err(|error| error.to_string())?;
        let blob = blob.ok_or_else(|| {
            format!("input {:#} is missing or damaged on this node", input.reference)
        })?;
        match blob.path().map(Path::to_owned) {
            Some(path) => Ok(InFile::Own { path, _blob: blob }),
            None => self.copy(blob).map(InFile::Copy).map_err(|error| {
                format!("input {:#} was not copied to a file: {error}", input.reference)
            }),
        }
    }

    fn copy(&self, mut blob: Box<dyn ReadBlob>) -> io::Result<TempPath> {
        let mut file = NamedTempFile::new_in(&self.dir)?;
        io::copy(&mut blob, &mut file)?;
        Ok(file.into_temp_path())
    }

    /// Makes the proof for a lease a blob.
    pub(crate) async fn store(&self, work: WorkId) -> Result<Pin, StoreFailure> {
        let (blobs, path) = (self.blobs.clone(), self.output(work));
        let stored = spawn_blocking(move || store(&*blobs, &path)).await;
        stored.unwrap_or_else(|error| Err(StoreFailure::Storage(error.to_string())))
    }
}

fn store(blobs: &dyn Blobs, path: &Path) -> Result<Pin, StoreFailure> {
    let copied = || -> Result<Pin, StoreError> {
        let mut writer = blobs.writer()?;
        let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut writer));
        // What the store says is inside.
        read.map_err(|error| {
            let io = |cause| StoreError::Io { action: "read", path: path.to_owned(), cause };
            error.downcast::<StoreError>().unwrap_or_else(io)
        })?;
        writer.finish()
    };
    copied().map_err(|error| match error {
        StoreError::NoSpace(_) => StoreFailure::NoRoom,
        error => StoreFailure::Storage(error.to_string()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use starling_blobs::MemoryBlobs;

    use super::*;

    #[tokio::test]
    async fn blobs_in_memory_are_lent_to_a_process_as_files_and_its_result_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = MemoryBlobs::new(1 << 20);
        let scratch = Scratch::new(Arc::new(blobs.clone()), dir.path().to_owned());
        let contents = [&b"a segment"[..], b"another"];
        let pins = contents.map(|bytes| blobs.put(bytes).unwrap());
        let inputs = scratch.open(pins.iter().map(Pin::blob).collect()).await.unwrap();
        for (input, bytes) in inputs.iter().zip(contents) {
            assert_eq!(fs::read(input.path()).unwrap(), bytes);
        }
        drop(inputs);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "a copy stayed");

        fs::write(scratch.output(WorkId(7)), b"a receipt").unwrap();
        let result = scratch.store(WorkId(7)).await.unwrap();
        assert_eq!(blobs.pin(result.reference).unwrap(), Some(result));
    }

    #[tokio::test]
    async fn what_is_missing_is_told_by_its_name_and_what_does_not_fit_as_a_lack_of_room() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = MemoryBlobs::new(8);
        let scratch = Scratch::new(Arc::new(blobs.clone()), dir.path().to_owned());
        let gone = blobs.put(b"segment").unwrap().blob();
        blobs.collect().unwrap();
        let error = scratch.open(vec![gone]).await.err().unwrap();
        assert!(error.contains(&format!("{:#}", gone.reference)), "{error}");

        fs::write(scratch.output(WorkId(7)), b"a receipt").unwrap();
        let error = scratch.store(WorkId(7)).await.unwrap_err();
        assert!(matches!(error, StoreFailure::NoRoom), "{error:?}");
        let error = scratch.store(WorkId(8)).await.unwrap_err();
        assert!(matches!(error, StoreFailure::Storage(_)), "{error:?}");
    }
}
