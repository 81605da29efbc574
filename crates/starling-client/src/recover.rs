//! What a data directory still gives whose log is lost.
//!
//! Without the log nobody knows what jobs there were, which segments belong together or what their receipts must claim. A finished
//! receipt needs none of that: it says itself what it proves. So those among the blobs are written to files, and the ruined log is
//! put aside, whole, so that the directory can be used again.

use std::path::{Path, PathBuf};

use starling_store::{Aside, DataDir, DiskBudget};
use starling_types::{BlobRef, ImageId};
use starling_zkvm::receipt::{read_receipt, receipt_info, write_receipt};

use crate::JobError;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The receipts, in the order of their blobs' names.
    pub receipts: Vec<RecoveredReceipt>,
    /// Where the ruined log is now; none where there was none at all.
    pub log: Option<PathBuf>,
    /// Where the blobs are now, which no other log names: for a backup of the log, or to be removed.
    pub blobs: Option<PathBuf>,
    /// What they take, in bytes.
    pub blob_bytes: u64,
}

/// A finished receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredReceipt {
    /// Its file.
    pub file: PathBuf,
    /// What it is: `succinct`, say.
    pub kind: String,
    /// The guest that it is of, if it says so.
    pub image_id: Option<ImageId>,
}

/// Writes the finished receipts among the blobs of the data directory at `path` to files in `to`, and puts its log and blobs aside: the log
/// is ruined or gone. `None` when nothing is wrong with the log: then all that is there can be had with its help. Blocks.
///
/// # Errors
/// When another process has the directory, or something can't be read or written. The log stays in its place then.
pub fn recover(path: &Path, to: &Path) -> Result<Option<Recovered>, JobError> {
    let dir = DataDir::open(path, "starling job recover")?;
    if dir.has_sound_log()? {
        return Ok(None);
    }
    // Nothing is put there, and nothing removed.
    let blobs = dir.unrooted_blobs(DiskBudget::up_to(0))?;
    let mut receipts = Vec::new();
    let mut blob_bytes = 0;
    for blob in blobs.list() {
        blob_bytes += blob.size_bytes;
        // One that has come to harm is dropped by that, and of no use.
        let Some(found) = blobs.open_blob(blob.reference)? else { continue };
        if let Some(receipt) = receipt_in(found.path(), blob, to)? {
            receipts.push(receipt);
        }
    }
    drop(blobs);
    let Aside { log, blobs } = dir.put_aside()?;
    Ok(Some(Recovered { receipts, log, blobs, blob_bytes }))
}

/// The receipt that is in a blob's file, if it is one, written to a file in `to` that is named after the blob.
fn receipt_in(file: &Path, blob: BlobRef, to: &Path) -> Result<Option<RecoveredReceipt>, JobError> {
    let Ok(receipt) = read_receipt(file) else { return Ok(None) };
    let Ok(info) = receipt_info(&receipt) else { return Ok(None) };
    let name = blob.reference.to_string();
    let path = to.join(format!("{}.receipt", &name[..16]));
    write_receipt(&path, &receipt)?;
    Ok(Some(RecoveredReceipt {
        file: path,
        kind: info.kind.to_string(),
        image_id: info.image_id.map(|digest| ImageId(digest.into())),
    }))
}
