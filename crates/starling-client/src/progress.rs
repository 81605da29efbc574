//! What a job tells whoever watches it.

use serde::{Deserialize, Serialize};
use starling_types::Millis;

/// A job's progress at one moment. Watchers see the newest, not each one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Segments emitted so far.
    pub segments: u32,
    /// Whether the guest has ended, so that `segments` is final.
    pub executed: bool,
    /// Segments proved (and lifted, when the receipt is to be succinct).
    pub leaves_accepted: u32,
    /// What nodes say they have done of others, all together, in thousandths of one.
    pub leaves_partly_permille: u64,
    /// Joins accepted.
    pub joins_accepted: u32,
    /// What nodes say they have done of others.
    pub joins_partly_permille: u64,
    /// Joins that the segments so far need.
    pub joins_total: u32,
    /// Keccak proofs accepted, united or not.
    pub keccaks_accepted: u32,
    /// What nodes say they have done of others.
    pub keccaks_partly_permille: u64,
    /// Keccak proofs that the guest asked for so far.
    pub keccaks_total: u32,
    /// Assumptions resolved.
    pub resolves_accepted: u32,
    /// What nodes say they have done of others.
    pub resolves_partly_permille: u64,
    /// Assumptions to resolve, once the guest has ended.
    pub resolves_total: u32,
    /// Nodes connected.
    pub nodes: u32,
    /// Nodes that hold a lease.
    pub nodes_busy: u32,
    /// Time left by the nodes' own speed, where it can be told.
    pub eta: Option<Millis>,
    /// Why nothing can be handed out, when that is so.
    pub waiting: Option<String>,
    /// Whether all tasks are done and the receipt is being put together.
    pub delivering: bool,
}
