//! Blobs with owners, wherever they are kept: what a store can be asked, and what is the same in all of them.
//!
//! [`Blobs`] is all that a network and a node need of a store. What may not differ is here, once: a blob's bytes are
//! named and compared while they come ([`BlobWriter`], [`Incoming`]), and it stays as long as a [`Pin`] holds it. A store
//! adds where bytes go ([`Sink`]), how they are read back ([`ReadBlob`]), and what is garbage.
//!
//! There are two: files that outlive the process, in `starling-store`, and [`MemoryBlobs`]. This crate opens no file,
//! starts no thread and asks no clock: it builds wherever Rust does.
//!
//! ```
//! use std::io::Read as _;
//!
//! use starling_blobs::{Blobs, MemoryBlobs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let blobs = MemoryBlobs::new(1 << 20);
//! let pin = blobs.put(b"hello world")?;
//!
//! // Everybody who knows the name gets the bytes, for as long as somebody holds them.
//! let mut bytes = Vec::new();
//! blobs.open(pin.reference)?.expect("it is pinned").read_to_end(&mut bytes)?;
//! assert_eq!(bytes, b"hello world");
//!
//! let reference = pin.reference;
//! drop(pin);
//! assert_eq!(blobs.collect()?, 11);
//! assert!(blobs.pin(reference)?.is_none());
//! # Ok(())
//! # }
//! ```

mod error;
mod incoming;
mod memory;
mod pin;
mod store;
mod writer;

pub use error::{NoSpace, ReceiveError, StoreError};
pub use incoming::Incoming;
pub use memory::MemoryBlobs;
pub use pin::{Pin, Pins};
pub use store::{Blobs, ReadBlob, Sink};
pub use writer::BlobWriter;
