//! A node: hears of jobs, pulls leases from their clients, proves them, and hands the results out.
//!
//! The node believes nothing either: inputs are fetched by reference and re-hashed, proofs are made
//! in a supervised process, and a client gets no more than the slots that are free. It holds no
//! state worth saving: a node that dies costs its clients the leases it held.
//!
//! [`Node`] is the front door: it listens for ads and serves each client it hears of in a session of
//! its own (`session.rs`), all of them sharing the slots (`slots.rs`).

mod holdings;
mod node;
mod renewals;
mod session;
mod slots;
mod speed;
mod work;

pub use node::{Node, NodeConfig, costs_of};
pub use session::SessionEnd;
