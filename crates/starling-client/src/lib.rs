//! A client: executes a guest, has its segments proved by nodes, verifies and joins what comes back,
//! and delivers one receipt.
//!
//! [`Service`] is the front door: it owns a data directory ([`Client`]), makes jobs ([`Client::create`]) and runs any
//! number of them at once ([`Service::submit`]). A job's state is a fold over its log ([`JobEvent`], [`JobState`]), so a
//! client can be killed at any instant and go on where it was. What is decided lies in the pure crate
//! `starling-job`; here are the zkVM's words for it and its I/O:
//!
//! - `service.rs`, what jobs share; `pool.rs`, the connected nodes; `peers.rs`, a job's view of them;
//! - `event.rs`, what is logged; `state.rs`, what that adds up to; `script.rs`, the plan that follows;
//! - `run.rs`, a job from its log to its receipt; `runner.rs`, the pump around its core in the middle;
//! - `source.rs` and `execution.rs`, the guest on its thread;
//! - `check.rs`, what a result must pass before it counts; `judge.rs`, a second look at what is here;
//! - `journal.rs`, the log when no run has it; `deliver.rs`, the receipt;
//! - `compress.rs`, composite receipts made succinct; `hosted.rs`, [`NetworkProver`] for host programs;
//! - `control.rs`, how other processes speak to the owner of a data directory;
//! - `local.rs`, nodes on this machine; `advertise.rs`, telling nodes elsewhere.
//!
//! It refuses to believe anything that a peer says, and to do anything that its log does not show.

mod advertise;
mod check;
mod client;
mod compress;
mod control;
mod deliver;
mod error;
mod event;
mod execution;
mod hosted;
mod journal;
mod judge;
mod local;
mod notes;
mod options;
mod peers;
mod pool;
mod progress;
mod request;
mod run;
mod runner;
mod script;
mod service;
mod source;
mod state;
mod translate;

pub use client::{Client, GivenReceipt, JobOptions, list_jobs};
pub use control::{ControlChannel, ControlError, ControlServer};
pub use deliver::{Delivered, Delivery, Facts, JOURNAL_PRINTED_BYTES_MAX};
pub use error::JobError;
pub use event::{AssumedFrom, ExecutionSummary, JobEvent, ZkvmEvent};
pub use hosted::NetworkProver;
pub use local::LocalNodes;
pub use options::{GuestOutput, NetworkOptions, RunOptions};
pub use progress::Progress;
pub use request::{Given, GuestRun, HostRun, JobRequest, Source};
pub use runner::Patience;
pub use script::{ZkvmArguments, ZkvmPiece};
pub use service::{JobHandle, Outcome, Service};
pub use starling_child::SandboxPolicy;
pub use starling_sched::{Terms, WEIGHT_MAX};
pub use state::{JobPhase, JobState, StateError, StoredKeccak, StoredSegment, ZkvmScript};
