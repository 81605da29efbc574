//! What a Starling process keeps on disk: blobs named by their Swarm reference, and the event log
//! that a job's state is folded from.
//!
//! Three parts, each of use without the others:
//!
//! - [`BlobStore`] keeps immutable [`Blobs`] as files, under a disk budget that refuses new blobs with a
//!   clear error instead of filling the disk. Whatever is read back is hashed before it counts. A blob stays as
//!   long as a [`Pin`] in this process or a durable root holds it.
//! - [`EventLog`] remembers what happened to each job, durably and in order, and the roots: what must stay for
//!   whom. [`LogReader`] looks on.
//! - [`DataDir`] is the directory that holds both, owned by one process at a time.
//!
//! Everything here blocks, but for [`EventLog::hand_over`]: call it from a thread that may wait. This crate does not know what a task,
//! a receipt or a peer is: it stores bytes, and events whose kinds and bodies are its caller's.
//!
//! ```
//! use starling_store::{DataDir, DiskBudget, Entry};
//! use starling_types::JobId;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("data");
//! let data = DataDir::open(&path, "an example")?;
//! let log = data.log()?;
//! let blobs = data.blobs_of(&log, DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 })?;
//!
//! // Blobs: bytes in, a name out, and the same bytes back.
//! let blob = blobs.put(b"hello world")?;
//! assert_eq!(blobs.get(blob.reference, 1024)?.as_deref(), Some(&b"hello world"[..]));
//!
//! // Events: appended by the owner, together with the blobs that they need, and read by anyone.
//! let job = JobId([7; 16]);
//! let stored = Entry::of_job(job, 1_700_000_000_000).event("input-stored", &*blob)?;
//! log.append_blocking(stored.holding([blob.clone()]))?;
//! let events = DataDir::peek(&path)?.expect("the log was just written").read(job)?;
//! assert_eq!((events[0].seq, events[0].kind.as_str()), (1, "input-stored"));
//!
//! // What its job needs stays; what nobody holds goes.
//! let reference = blob.reference;
//! drop((blob, blobs.put(b"left behind")?));
//! assert_eq!(blobs.collect()?, 11);
//! assert!(blobs.pin(reference)?.is_some());
//! # Ok(())
//! # }
//! ```

mod blobs;
mod data_dir;
mod log;
mod roots;
#[doc(hidden)]
pub mod rules;

pub use blobs::{BlobFile, BlobStore, DiskBudget, Usage};
pub use data_dir::{Aside, DataDir, DataDirError, KEY_SIZE_BYTES};
pub use log::{
    BODY_SIZE_BYTES_MAX, Ends, Entry, EventLog, JobKey, LogError, LogReader, Root, StoredEvent,
    wait_for_closed_logs,
};
pub use roots::RootName;
pub use starling_blobs::{BlobWriter, Blobs, NoSpace, Pin, ReadBlob, StoreError};
