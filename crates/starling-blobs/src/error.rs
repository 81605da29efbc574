//! What can go wrong with blobs.

use std::{io, path::PathBuf};

use starling_types::{BlobRef, Reference};
use thiserror::Error;

/// Why a blob was refused for want of space. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoSpace {
    /// The blobs would exceed what the user allows them.
    #[error(
        "no space for a blob of {needed_bytes} bytes: {used_bytes} of the {max_bytes} bytes of the disk budget are used"
    )]
    Budget {
        /// The size of the blob, as far as known.
        needed_bytes: u64,
        /// What all other blobs use, those on their way included.
        used_bytes: u64,
        /// The budget.
        max_bytes: u64,
    },
    /// The disk would be left with less than the user wants to keep free.
    #[error(
        "no space for a blob of {needed_bytes} bytes: the disk has {free_bytes} bytes free, of which {min_free_bytes} stay free"
    )]
    MinFree {
        /// The size of the blob, as far as known.
        needed_bytes: u64,
        /// What the disk has free, less what blobs on their way will still take.
        free_bytes: u64,
        /// What must stay free.
        min_free_bytes: u64,
    },
    /// The blobs would exceed what they are allowed in memory.
    #[error(
        "no space for a blob of {needed_bytes} bytes: {used_bytes} of the {max_bytes} bytes that blobs may \
         take in memory are used"
    )]
    Memory {
        /// The size of the blob, as far as known.
        needed_bytes: u64,
        /// What all other blobs use, those on their way included.
        used_bytes: u64,
        /// What they are allowed.
        max_bytes: u64,
    },
    /// The disk holds as many files as it can, however many bytes are free.
    #[error(
        "no space for a blob: no inodes are left on its disk, which holds as many files as it can"
    )]
    NoInodes,
    /// The operating system refused: this user has all that it may have of the disk.
    #[error("cannot write {}: the user's quota on this disk is used up", path.display())]
    Quota {
        /// The file that was being written.
        path: PathBuf,
    },
    /// The operating system refused: the disk is full or a quota is used up.
    #[error("cannot write {}: the disk is full or a quota is used up", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
}

/// A failed operation on a store of blobs.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no room for the blob.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// The stored blob is larger than the reader accepts.
    #[error("blob {reference} has {size_bytes} bytes where at most {size_bytes_max} are expected")]
    TooLarge {
        /// The blob.
        reference: Reference,
        /// Its size.
        size_bytes: u64,
        /// What the reader accepts.
        size_bytes_max: u64,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// Why bytes that came from elsewhere did not become a stored blob.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// The sender went on after the announced size. Nothing of this piece was taken.
    #[error("blob {reference} is longer than the {size_bytes} bytes announced", reference = .expected.reference, size_bytes = .expected.size_bytes)]
    TooLong {
        /// What was announced.
        expected: BlobRef,
    },
    /// The bytes ended early.
    #[error("blob {reference} ended after {received_bytes} of {size_bytes} bytes", reference = .expected.reference, size_bytes = .expected.size_bytes)]
    Incomplete {
        /// What was announced.
        expected: BlobRef,
        /// What has arrived.
        received_bytes: u64,
    },
    /// The bytes are not the blob.
    #[error("expected blob {expected}, received {actual}")]
    WrongBytes {
        /// The reference asked for.
        expected: Reference,
        /// The reference of the bytes that came.
        actual: Reference,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
