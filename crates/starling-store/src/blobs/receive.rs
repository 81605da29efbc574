//! Receiving a blob whose name is known, from a sender that may stop, stall or lie.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use starling_types::{BlobRef, Reference};

use super::{
    BlobStore, Shared,
    error::{IoContext, ReceiveError, StoreError},
    ledger::Partial,
    write::{Reservation, Spool},
};
use starling_swarm::ReferenceHasher;

/// A blob being received. [`Self::finish`] checks and stores it; dropped before that, what has arrived
/// stays on disk, and the next [`BlobStore::receive`] of the same blob goes on behind it.
#[derive(Debug)]
pub struct Incoming {
    expected: BlobRef,
    resumed_bytes: u64,
    hasher: ReferenceHasher,
    spool: Spool,
    /// Declared last: the claim ends when the file is closed.
    claim: Claim,
}

impl Incoming {
    pub(super) fn new(store: &BlobStore, expected: BlobRef) -> Result<Self, StoreError> {
        let mut claim = Claim::take(&store.shared, expected.reference)?;
        if claim.kept_bytes > expected.size_bytes {
            claim.discard_file()?;
        }
        claim.space.grow_to(expected.size_bytes)?;
        let (file, hasher) = claim.open_file()?;
        let resumed_bytes = claim.kept_bytes;
        let spool = Spool::new(file, &claim.path, resumed_bytes);
        Ok(Self { expected, resumed_bytes, hasher, spool, claim })
    }

    /// How many bytes are here already: where the sender must go on.
    pub fn offset_bytes(&self) -> u64 {
        self.spool.size_bytes()
    }

    /// Takes the next bytes of the blob.
    ///
    /// # Errors
    /// [`ReceiveError::TooLong`] when there are more than announced. After a failure of the disk the
    /// blob cannot be finished, and the bytes so far are deleted on drop.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        let missing = self.expected.size_bytes - self.spool.size_bytes();
        if bytes.len() as u64 > missing {
            return Err(ReceiveError::TooLong { expected: self.expected });
        }
        let appended = self.spool.append(bytes, &mut self.claim.space);
        self.claim.kept_bytes = if self.spool.has_failed() { 0 } else { self.spool.size_bytes() };
        appended?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Checks that the bytes are the blob, and stores it durably.
    ///
    /// # Errors
    /// [`ReceiveError::Incomplete`] keeps the bytes for another attempt; [`ReceiveError::WrongBytes`]
    /// deletes them.
    pub fn finish(mut self) -> Result<BlobRef, ReceiveError> {
        let expected = self.expected;
        let received_bytes = self.spool.size_bytes();
        if received_bytes < expected.size_bytes && !self.spool.has_failed() {
            return Err(ReceiveError::Incomplete { expected, received_bytes });
        }
        // From here on the file becomes the blob, or it is worthless.
        self.claim.kept_bytes = 0;
        self.spool.sync()?;
        let actual = self.hasher.finish().reference;
        if actual != expected.reference {
            let resumed_bytes = self.resumed_bytes;
            let expected = expected.reference;
            return Err(ReceiveError::WrongBytes { expected, actual, resumed_bytes });
        }
        let Claim { shared, path, space, .. } = &mut self.claim;
        shared.settle(expected, space, |target| fs::rename(path, target))?;
        Ok(expected)
    }
}

/// The sole right to the partial file of a blob.
#[derive(Debug)]
struct Claim {
    shared: Arc<Shared>,
    reference: Reference,
    path: PathBuf,
    /// The size of the partial file if it is worth keeping, else zero.
    kept_bytes: u64,
    space: Reservation,
}

impl Claim {
    fn take(shared: &Arc<Shared>, reference: Reference) -> Result<Self, StoreError> {
        let begun = shared.ledger().begin_receive(reference);
        let kept_bytes = begun.ok_or(StoreError::Busy { reference })?;
        let path = shared.layout.partial_path(reference);
        let space = Reservation::over_written(shared, kept_bytes);
        Ok(Self { shared: shared.clone(), reference, path, kept_bytes, space })
    }

    /// The partial file with its cursor at its end, and a hasher that has seen what it holds.
    fn open_file(&mut self) -> Result<(File, ReferenceHasher), StoreError> {
        let path = &self.path;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).context("open", path)?;
        let mut hasher = ReferenceHasher::new();
        // One byte more than expected, to notice a file that somebody else has written to.
        let mut kept = (&file).take(self.kept_bytes + 1);
        let read_bytes = io::copy(&mut kept, &mut hasher).context("read", path)?;
        if read_bytes == self.kept_bytes {
            return Ok((file, hasher));
        }
        drop(file);
        self.discard_file()?;
        let file = options.create_new(true).open(&self.path).context("create", &self.path)?;
        Ok((file, ReferenceHasher::new()))
    }

    fn discard_file(&mut self) -> Result<(), StoreError> {
        self.kept_bytes = 0;
        remove_if_there(&self.path).context("remove", &self.path)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // All under one lock: the next claim must find the file and the books in agreement.
        let mut ledger = self.shared.ledger();
        self.space.release(&mut ledger);
        if self.kept_bytes > 0 {
            let partial = Partial { size_bytes: self.kept_bytes, touched: SystemTime::now() };
            ledger.insert_partial(self.reference, partial);
        } else if let Err(error) = remove_if_there(&self.path) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "cannot remove a partial blob");
        }
        ledger.end_receive(self.reference);
    }
}

/// Removes a file; one that is gone already is no error.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
