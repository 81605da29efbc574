//! Networks of the fake system: real nodes with real prover processes, over real QUIC, with stores on a disk. The client is
//! the real scheduler with as little around it as can be (`client.rs`), since it breaks what the real one keeps whole; the real
//! one is in `processes.rs`, and in `room.rs`, where its disk is full. Seconds each.

#![allow(clippy::unwrap_used)]

mod client;
mod faults;
mod links;
mod node;
mod room;
mod slots;
mod wide;

use std::time::Duration;

use starling_net::NetConfig;
use starling_plan::{MergesPlan, MergesShape, TaskCost};
use starling_types::{MemoryBytes, Millis};

use self::client::{Checks, Client};

/// No step of a test takes so long, unless something hangs.
const HANGS_AFTER: Duration = Duration::from_secs(60);

/// What every task needs.
const COST: TaskCost = TaskCost { memory: MemoryBytes::from_mib(64), work: Millis(100) };

fn loopback(key: u8) -> NetConfig {
    NetConfig::loopback([key; 32])
}

/// So many pieces of raw data of so many bytes, each its own.
fn raw(count: u32, size_bytes: usize) -> Vec<Vec<u8>> {
    let piece = |index: u32| index.to_le_bytes().into_iter().cycle().take(size_bytes).collect();
    (0..count).map(piece).collect()
}

fn shape(width: u32) -> MergesShape {
    MergesShape { width, leaf: COST, merge: COST, finish: COST }
}

/// A client with a job of wide merges over `raw`.
async fn merging(key: u8, raw: &[Vec<u8>]) -> Client<MergesPlan> {
    let checks = Checks::of_merges(raw);
    Client::new(key, raw, checks, |blobs| MergesPlan::new(&shape(4), blobs)).await
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS_AFTER, future).await.expect("hangs")
}
