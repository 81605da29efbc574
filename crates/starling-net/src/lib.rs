//! The network of one Starling process: job connections, blob transfer and job ads, over QUIC.
//!
//! [`Net`] is the front door. It owns the endpoint and knows peers, streams and bytes; what a job is, and
//! whether a result is any good, it does not know. No service outside of the peers themselves is used,
//! and a relay only if one is configured.
//!
//! - Nodes dial clients ([`Net::connect_job`], [`Net::accept_job`]); both get a [`Session`] of typed
//!   messages in order, bounded in size and number.
//! - Blobs are fetched by name from peers that have them ([`Net::fetch`]), over a connection of their own or
//!   over a job connection in either direction, so that a node behind a NAT can hand out results.
//! - Ads spread by gossip ([`Net::ads`]).
//!
//! Every peer is known by its key. Nothing that it sends is believed beyond that: sizes are checked
//! before they are used, bytes are hashed before they are stored, and a peer that stops answering is left.
//! All bounds are in [`limits`].
//!
//! Where blobs lie is the store's matter ([`Blobs`](starling_blobs::Blobs)), and time and tasks are `n0_future`'s, so that a
//! browser can be a peer. What may wait for a disk does so in one place (`blocking.rs`).
//!
//! ```
//! use starling_blobs::{Blobs, MemoryBlobs};
//! use starling_net::{Net, NetConfig, Source};
//! use starling_proto::NodeMessage;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let blobs = MemoryBlobs::new(1 << 30);
//! let client = Net::bind(NetConfig::loopback([1; 32]), blobs.clone()).await?;
//! let node = Net::bind(NetConfig::loopback([2; 32]), MemoryBlobs::new(1 << 30)).await?;
//!
//! // The node dials the client and speaks first.
//! let at_node = node.connect_job(&client.addr()).await?;
//! at_node.send(&NodeMessage::WorkRequested).await?;
//! let mut at_client = client.accept_job().await.expect("the client is open");
//! assert_eq!(at_client.recv().await?, Some(NodeMessage::WorkRequested));
//! assert_eq!(at_client.peer(), node.id());
//!
//! // It fetches a blob over the same connection.
//! let blob = blobs.put(b"a segment")?;
//! let source = Source::via(client.addr(), at_node.handle());
//! let report = node.fetch(blob.blob(), &[source]).await?;
//! assert_eq!(report.from, Some(client.id()));
//!
//! node.close().await;
//! client.close().await;
//! # Ok(())
//! # }
//! ```

mod addr;
mod ads;
mod allowance;
mod blocking;
mod close;
mod dial;
mod door;
mod fetch;
mod frame;
mod handshakes;
mod jobs;
pub mod limits;
mod net;
mod places;
mod pool;
mod quota;
mod serve;
mod session;
mod turns;

pub use addr::node_id_of;
pub use ads::{Ads, NetClosed};
pub use dial::ConnectError;
pub use fetch::{FetchError, FetchReport, Source, SourceError, SourceFailure};
pub use frame::ProtocolError;
pub use net::{BindError, Net, NetConfig};
pub use quota::Quota;
pub use session::{
    ClientSession, NodeSession, Session, SessionError, SessionHandle, SessionReceiver,
    SessionSender,
};
pub use starling_proto::{ParseTicketError, PeerAddr, Ticket};
pub use turns::Turn;
