//! A node: hears of clients, pulls leases from them, proves them, and hands the results out.
//!
//! The node believes nothing either: inputs are fetched by reference and re-hashed, proofs are made in a supervised
//! process, and a client gets no more than the slots that are free. It holds no state worth saving: a node that dies
//! costs its clients the leases it held.
//!
//! Everything is decided in `starling-node-core`, which is pure. Here is what does it: [`Node`] (`node.rs`) passes
//! events in and carries actions out, with connections (`sessions.rs`), tasks of fetching, proving and storing
//! (`work.rs`), and a thread for small work on the disk (`disk.rs`).

mod disk;
mod kept;
mod log;
pub mod meter;
mod needs;
mod node;
mod provers;
mod sessions;
mod work;

pub use needs::{needs_of, speed_guess};
pub use node::{Node, NodeConfig, NodeError, SystemProver};
pub use starling_node_core::{Need, Needs};
