//! Changing the file of a blob: moving it to its place, and removing it as garbage or because it is damaged.
//!
//! Each of these takes as long as the disk likes, so none is done under the lock of the books: puts of other blobs don't wait
//! for it. A change of a file holds the [`Claim`] of its name, and another change of the same file waits. The books say
//! that a blob is there after its file is durable, and that it is not before the file goes: so a blob that is found there
//! survives a power cut, and one that is pinned and found stays.

use std::{fs, io, path::Path, sync::PoisonError};

use starling_blobs::StoreError;
use starling_files::sync_dir;
use starling_types::{BlobRef, Reference};
use tracing::warn;

use super::{Shared, error::IoContext as _, read::Stamp, write::Reservation};

/// The right to change the file of a blob; given back on drop.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    shared: &'a Shared,
    reference: Reference,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.shared.ledger().give_back_claim(self.reference);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Waits until nobody else changes the file of this blob.
    pub(super) fn claim(&self, reference: Reference) -> Claim<'_> {
        let mut ledger = self.ledger();
        while !ledger.take_claim(reference) {
            ledger = self.changed.wait(ledger).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { shared: self, reference }
    }

    /// Moves a finished, synced file to its place as `blob`, durably; its space is no longer reserved, but used. The
    /// caller has pinned the blob, and found it missing since. If somebody else has put it meanwhile, that one stays.
    pub(super) fn settle(
        &self,
        blob: BlobRef,
        space: &mut Reservation,
        rename_to: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let _claim = self.claim(blob.reference);
        if self.ledger().size_of(blob.reference).is_some() {
            return Ok(());
        }
        let path = self.layout.blob_path(blob.reference);
        let shard = self.layout.create_shard(&path).context("create the directory of", &path)?;
        rename_to(&path).context("move a blob to", &path)?;
        if let Err(error) = sync_dir(&shard) {
            remove_if_there(&path).context("remove", &path)?;
            return Err(error).context("sync", &shard);
        }
        let mut ledger = self.ledger();
        space.release(&mut ledger);
        ledger.insert_blob(blob);
        Ok(())
    }

    /// Removes a blob, unless a pin or a root holds it; its size.
    pub(super) fn remove_garbage(&self, reference: Reference) -> Result<u64, StoreError> {
        let _claim = self.claim(reference);
        let Some(size_bytes) = self.depart(reference) else { return Ok(0) };
        let path = self.layout.blob_path(reference);
        let removed = remove_if_there(&path).context("remove", &path);
        let mut ledger = self.ledger();
        ledger.departed(size_bytes);
        if removed.is_err() {
            ledger.insert_blob(BlobRef { reference, size_bytes });
        }
        removed.map(|()| size_bytes)
    }

    /// Takes a blob that nothing holds out of the books, but for its space. From now on nobody finds it.
    fn depart(&self, reference: Reference) -> Option<u64> {
        // Locked throughout: a search for a blob pins it first. And the pins before the roots: a blob whose pin is gone by
        // now is named by its root already.
        let mut ledger = self.ledger();
        let is_held = self.pins.hold(reference) || self.roots.hold(reference);
        if is_held { None } else { ledger.depart(reference) }
    }

    /// Removes a file that was found damaged when it had `stamp`, unless it has been replaced since.
    pub(super) fn drop_damaged(
        &self,
        reference: Reference,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        let path = self.layout.blob_path(reference);
        let _claim = self.claim(reference);
        if Stamp::at(&path).is_ok_and(|now| now != stamp) {
            return Ok(());
        }
        warn!(%reference, path = %path.display(), "a blob is damaged on the disk: it was dropped and is missing now");
        remove_if_there(&path).context("remove", &path)?;
        self.ledger().remove_blob(reference);
        Ok(())
    }
}

/// Removes a file; one that is gone already is not an error.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
