//! A client: has the tasks of a job proved by nodes, verifies what comes back, and delivers what was asked for. The zkVM's
//! executes a guest, has its segments proved and joined, and delivers one receipt.
//!
//! [`Service`] is the front door: it owns a data directory ([`Client`]), makes jobs ([`Client::create`]) and runs any
//! number of them at once ([`Service::submit`]). A job's state is a fold over its log ([`JobEvent`], [`JobState`]), so a
//! client can be killed at any instant and go on where it was. What is decided lies in the pure crate
//! `starling-job`; here is the I/O around it, for any proof system ([`shell`]), and the zkVM's side of the seam
//! (`system.rs`).
//!
//! Of any system:
//! - `service.rs`, what jobs share; `pool.rs`, the connected nodes; `peers.rs`, a job's view of them;
//! - `run.rs`, a job from its log to what it delivers; `runner.rs`, the pump around its core in the middle;
//! - `check.rs`, what a result must pass before it counts; `judge.rs`, a second look at results; `look.rs`, what is still here;
//! - `journal.rs`, the log when no run has it; `damaged.rs`, a log that is damaged; `meter.rs`, what is counted;
//! - `control.rs`, how other processes speak to the owner of a data directory;
//! - `local.rs`, nodes on this machine; `advertise.rs`, telling nodes elsewhere.
//!
//! The zkVM's:
//! - `zkvm.rs`, its side of the seam; `event.rs`, what is logged; `state.rs`, what that adds up to; `script.rs`, the plan
//!   that follows; `source.rs` and `execution.rs`, the guest on its thread; `deliver.rs`, the receipt;
//! - `prune.rs`, what is over and forgotten; `recover.rs`, what blobs still give without their log;
//! - `compress.rs`, composite receipts made succinct; `hosted.rs`, [`NetworkProver`] for host programs, and `hooks.rs`, what
//!   calls theirs.
//!
//! It refuses to believe anything that a peer says, and to do anything that its log does not show.

mod advertise;
mod assignment;
mod check;
mod client;
mod compress;
mod control;
mod damaged;
mod deliver;
mod error;
mod event;
mod execution;
mod hooks;
mod hosted;
mod journal;
mod judge;
mod lines;
mod local;
mod look;
pub mod meter;
mod notes;
mod options;
pub mod paths;
mod peers;
mod pool;
mod progress;
mod prune;
mod recover;
mod request;
mod room;
#[doc(hidden)]
pub mod rules;
mod run;
mod runner;
mod runs;
mod script;
mod service;
mod source;
mod state;
mod summary;
mod system;
mod translate;
mod zkvm;

pub use assignment::Assignment;
pub use client::{GivenReceipt, JobOptions, find_jobs, list_jobs, load_job};
pub use control::{ControlChannel, ControlError};
pub use damaged::{DamagedJob, damaged_job};
pub use deliver::{Delivered, Facts, JOURNAL_PRINTED_BYTES_MAX, Written, work_receipt_path};
pub use error::JobError;
pub use event::{AssumedFrom, ExecutionSummary, JobEvent, ZkvmEvent};
pub use hosted::NetworkProver;
pub use local::LocalNodes;
pub use options::{GuestOutput, NetworkOptions, Patience, RunOptions};
pub use progress::JobProgress;
pub use prune::Pruned;
pub use recover::{Recovered, RecoveredReceipt, recover};
pub use request::{
    ARGUMENTS_SIZE_BYTES_MAX, Arguments, ArgumentsIn, Given, GuestRun, HostRun, JobRequest, Subject,
};
pub use script::{ZkvmArguments, ZkvmPiece};
pub use starling_child::SandboxPolicy;
pub use starling_sched::{Terms, WEIGHT_MAX};
pub use state::{JobPhase, JobState, StateError, StoredKeccak, StoredSegment, ZkvmScript};
pub use summary::JobSummary;

/// The client of any proof system: what to implement for one, and what that gives.
pub mod shell {
    pub use crate::{
        client::Client,
        control::ControlServer,
        room::JobRoom,
        service::{JobHandle, Outcome, Service},
        system::{
            Advert, Delivery, Finish, GroupResult, JobStage, NoSource, PutOut, Running, Start,
            System, Told,
        },
    };
}

/// A data directory and its jobs of the zkVM.
pub type Client = shell::Client<ZkvmScript>;

/// Where the owner of a data directory with jobs of the zkVM is spoken to.
pub type ControlServer = shell::ControlServer<ZkvmScript>;

/// A job of the zkVM that runs, or ran.
pub type JobHandle = shell::JobHandle<ZkvmScript>;

/// How a job of the zkVM ended.
pub type Outcome = shell::Outcome<ZkvmScript>;

/// Runs jobs of the zkVM.
pub type Service = shell::Service<ZkvmScript>;
