//! The files that a task's blobs are in on the parent's side: inputs, opened before a child is asked, and the result.

use std::path::{Path, PathBuf};

use starling_types::FailureClass;
use tokio::fs::File;

use crate::{ProveFailure, TaskWork};

/// The inputs of a task, open.
pub(super) struct Inputs(pub(super) Vec<(PathBuf, File, u64)>);

impl Inputs {
    pub(super) async fn open(work: &TaskWork) -> Result<Self, ProveFailure> {
        let mut files = Vec::with_capacity(work.inputs.len());
        for input in &work.inputs {
            let opened = async {
                let file = File::open(&input.path).await?;
                let size_bytes = file.metadata().await?.len();
                Ok((input.path.clone(), file, size_bytes))
            };
            files.push(opened.await.map_err(|error| unreadable(&input.path, &error))?);
        }
        Ok(Self(files))
    }

    pub(super) fn sizes(&self) -> Vec<u64> {
        self.0.iter().map(|(_, _, size_bytes)| *size_bytes).collect()
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> ProveFailure {
    let message = format!("cannot read {}: {error}", path.display());
    ProveFailure::Refused { class: FailureClass::Input, message }
}

/// Writes a result where it is wanted. It is not synced: whoever stores it does that, and until then it can be made again.
pub(super) async fn keep_result(path: PathBuf, result: Vec<u8>) -> Result<(), ProveFailure> {
    let shown = path.display().to_string();
    let write = move || {
        // Nobody reads it before this is over; half of it is of use to nobody.
        std::fs::write(&path, result).inspect_err(|_| drop(std::fs::remove_file(&path)))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| {
        let message = format!("cannot write {shown}: {error}");
        ProveFailure::Refused { class: FailureClass::Node, message }
    })
}
