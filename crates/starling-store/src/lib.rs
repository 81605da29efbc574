//! What a Starling process keeps on disk: blobs named by their Swarm reference, and the event log
//! that a job's state is folded from.
//!
//! Three parts, each of use without the others:
//!
//! - [`BlobStore`] keeps immutable blobs as files, under a disk budget that refuses new blobs with a
//!   clear error instead of filling the disk. Bytes are hashed again whenever they are read.
//! - [`EventLog`] remembers what happened to each job, durably and in order; [`LogReader`] looks on.
//! - [`DataDir`] is the directory that holds both, owned by one process at a time.
//!
//! Everything here blocks: call it from a thread that may wait. This crate does not know what a task,
//! a receipt or a peer is: it stores bytes, and events whose kinds and bodies are its caller's.
//!
//! ```
//! use starling_store::{DataDir, DiskBudget};
//! use starling_types::JobId;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("data");
//! let data = DataDir::open(&path, "an example")?;
//!
//! // Blobs: bytes in, a name out, and the same bytes back.
//! let blobs = data.blobs(DiskBudget { max_bytes: 1 << 30, min_free_bytes: 0 })?;
//! let blob = blobs.put(b"hello world")?;
//! assert_eq!(
//!     blob.reference.to_string(),
//!     "92672a471f4419b255d7cb0cf313474a6f5856fb347c5ece85fb706d644b630f",
//! );
//! assert_eq!(blobs.get(blob.reference, 1024)?.as_deref(), Some(&b"hello world"[..]));
//!
//! // Events: appended by the owner, read by anyone, also while the owner runs.
//! let log = data.log()?;
//! let job = JobId([7; 16]);
//! log.append(job, "input-stored", &blob, 1_700_000_000_000)?;
//! let events = DataDir::peek(&path)?.expect("the log was just written").read(job)?;
//! assert_eq!((events[0].seq, events[0].kind.as_str()), (1, "input-stored"));
//! assert_eq!(events[0].decode::<starling_types::BlobRef>()?, blob);
//! # Ok(())
//! # }
//! ```

mod blobs;
mod data_dir;
mod log;

pub use blobs::{
    BlobStore, BlobWriter, DiskBudget, Incoming, NoSpace, PARTIAL_AGE_MAX, ReceiveError, StoreError,
};
pub use data_dir::{DataDir, DataDirError, KEY_SIZE_BYTES};
pub use log::{BODY_SIZE_BYTES_MAX, EventLog, LogError, LogReader, NewEvent, StoredEvent};
