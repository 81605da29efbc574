//! What Starling processes say to each other: messages, their limits, tickets and signatures.
//!
//! This crate owns the bytes of the wire. Each message is a native type that is checked field by field
//! when it is decoded, so that the rest of Starling never meets a wrong one; the schema is
//! `proto/starling.proto`, and golden bytes in the tests keep both from drifting. It opens no socket,
//! reads no clock, and does not know what happens with a message.
//!
//! - [`NodeMessage`] and [`ClientMessage`] travel on a job connection ([`JOB_ALPN`]).
//! - [`BlobRequest`] and [`BlobHeader`] go before the bytes of a blob ([`BLOB_ALPN`]).
//! - [`JobAd`] is signed and spread by gossip.
//! - [`Ticket`] is a [`PeerAddr`] that people can copy and paste.
//!
//! ```
//! use starling_proto::{LeaseId, Message, NodeMessage};
//! use starling_types::{Epoch, JobId};
//!
//! let lease = LeaseId { job: JobId([1; 16]), epoch: Epoch(7) };
//! let message = NodeMessage::Decline { lease, busy: false };
//! let bytes = message.encode();
//! assert_eq!(bytes[..4], [0x22, 22, 10, 20]);
//! assert_eq!(NodeMessage::decode(&bytes), Ok(message));
//! assert!(NodeMessage::decode(b"not a message").is_err());
//! ```

mod ad;
mod addr;
mod blob;
mod client;
mod error;
mod field;
mod goodbye;
mod lease;
pub mod limits;
mod message;
mod node;
mod system;
#[cfg(test)]
mod tests;
mod ticket;
mod wire;

pub use ad::{AdError, JobAd};
pub use addr::{Network, PeerAddr, is_dialable};
pub use blob::{BlobHeader, BlobRequest};
pub use client::{ClientMessage, Grant, Input, Welcome};
pub use error::{DecodeError, FieldProblem};
pub use goodbye::GoodbyeReason;
pub use iroh_base::RelayUrl;
pub use lease::LeaseId;
pub use message::Message;
pub use node::{Done, Failure, Hello, NodeMessage};
pub use system::{Offer, Wanted};
pub use ticket::{ParseTicketError, Ticket};

/// The protocol between a client and a node that works for it.
pub const JOB_ALPN: &[u8] = b"/starling/job/1";

/// The protocol of fetching blobs.
pub const BLOB_ALPN: &[u8] = b"/starling/blob/1";
