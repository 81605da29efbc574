//! The words every Starling crate agrees on: ids, units, index ranges and task names.
//!
//! This crate owns no behaviour beyond parsing, printing and comparing. It knows nothing of plans,
//! nodes, sockets or provers, and it stays that way: everything else depends on it.

pub mod as_hex;
mod code;
mod id;
mod input;
mod needs;
mod node;
mod profile;
mod progress;
mod system;
mod task;
mod unit;

pub use code::{KindCode, Task};
pub use id::{
    ClaimDigest, HostRunId, ImageId, JobId, JobSeed, NodeId, ParseIdError, Reference, WorkLogId,
};
pub use input::{INPUT_COUNT_MAX, Role};
pub use needs::{Need, Needs};
pub use node::{Capability, FailureClass, MemoryTable};
pub use profile::Profile;
pub use progress::{Progress, Stage};
pub use system::SystemName;
pub use task::{IndexRange, ParseTaskError, ReceiptKind, TaskId, TaskKind};
pub use unit::{BlobRef, ClientRun, Epoch, Incarnation, MemoryBytes, Millis, ParsePo2Error, Po2};
