//! A node: hears of clients, pulls leases from them, proves them, and hands the results out.
//!
//! The node believes nothing either: inputs are fetched by reference and re-hashed, proofs are made in a supervised
//! process, and a client gets no more than the slots that are free. It holds no state worth saving: a node that dies
//! costs its clients the leases it held.
//!
//! Everything is decided in `starling-node-core`, which is pure. Here is what does it: [`Node`] (`node.rs`) passes
//! events in and carries actions out, with connections (`sessions.rs`) and tasks of fetching, proving and storing
//! (`work.rs`). What hosts a proof on this machine is apart from that: processes (`provers.rs`), the files that they read and
//! write (`scratch.rs`), and a thread for small work that may wait for a disk (`disk.rs`). Blobs are in whatever store the
//! network serves: files, or memory.

mod disk;
mod kept;
mod log;
pub mod meter;
mod node;
mod provers;
mod scratch;
mod sessions;
mod work;

pub use node::{Node, NodeConfig, NodeError, NodeFiles, SystemProver};
pub use starling_node_core::{Figures, limits::NAMED_PATIENCE};
