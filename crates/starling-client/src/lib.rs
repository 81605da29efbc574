//! A client: executes a guest, has its segments proved by nodes, verifies and joins what comes back,
//! and delivers one receipt.
//!
//! [`Client`] is the front door: it owns a data directory, makes jobs ([`Client::create`]) and runs
//! them ([`Client::run`]). A job's state is a fold over its log ([`JobEvent`], [`JobState`]), so a
//! client can be killed at any instant and go on where it was. What is decided lies in the pure crate
//! `starling-job`; here are the zkVM's words for it and its I/O:
//!
//! - `event.rs`, what is logged; `state.rs`, what that adds up to; `script.rs`, the plan that follows;
//! - `run.rs`, a job from its log to its receipt; `runner.rs`, the pump around its core in the middle;
//! - `source.rs` and `execution.rs`, the guest on its thread; `peers.rs`, the connected nodes;
//! - `check.rs`, what a result must pass before it counts; `judge.rs`, a second look at what is here;
//! - `journal.rs`, the log when no run has it; `deliver.rs`, the receipt;
//! - `compress.rs`, composite receipts made succinct; `hosted.rs`, [`NetworkProver`] for host programs;
//! - `local.rs`, nodes on this machine; `advertise.rs`, telling nodes elsewhere.
//!
//! It refuses to believe anything that a peer says, and to do anything that its log does not show.

mod advertise;
mod check;
mod client;
mod compress;
mod deliver;
mod error;
mod event;
mod execution;
mod hosted;
mod journal;
mod judge;
mod local;
mod notes;
mod peers;
mod progress;
mod request;
mod run;
mod runner;
mod script;
mod source;
mod state;
mod translate;

pub use client::{Client, GivenReceipt, JobOptions, list_jobs};
pub use deliver::{Delivery, JOURNAL_PRINTED_BYTES_MAX};
pub use error::JobError;
pub use event::{AssumedFrom, ExecutionSummary, JobEvent, ZkvmEvent};
pub use hosted::NetworkProver;
pub use local::LocalNodes;
pub use progress::Progress;
pub use request::{Given, GuestRun, HostRun, JobRequest, Source};
pub use run::RunOptions;
pub use runner::Patience;
pub use script::{ZkvmArguments, ZkvmPiece};
pub use state::{JobPhase, JobState, StateError, StoredKeccak, StoredSegment, ZkvmScript};
