//! Provers in supervised child processes, whatever they prove.
//!
//! A task is a function from bytes to bytes: [`Prover`] is what each proof system implements, without files, processes
//! or limits. A process is one host of it: [`serve`] is the main function of the child, [`ProverProcess`] its supervisor
//! in the parent. The two ends say to each other what `protocol.rs` lists.
//!
//! ```no_run
//! # use std::time::Duration;
//! use starling_child::{ProverConfig, ProverProcess, TaskWork};
//!
//! # async fn prove(work: TaskWork) -> Result<(), starling_child::ProveFailure> {
//! let config = ProverConfig::new("risc0/a54dc85a/2", "starling", ["prover".to_owned()]);
//! let report = ProverProcess::new(config).run(&work, Duration::from_secs(600)).await?;
//! println!("{:?}", report.peak_memory);
//! # Ok(())
//! # }
//! ```
//!
//! It is a process because provers are native code fed by strangers: a crash, a hang or lack of memory costs one task.
//! There is one child for each system, and its arguments say which: two releases of a system, which cannot be linked into
//! one program, so stand beside each other. Blobs go through its pipes, and it gives up everything else of its machine but
//! the processor and some memory (`sandbox.rs`). Nothing here knows a system, a kind of task, or what a blob holds.

mod course;
mod ended;
mod failure;
mod host;
mod killed;
mod lack;
mod phases;
mod process;
mod protocol;
mod prover;
#[doc(hidden)]
pub mod rules;
mod sandbox;
mod tail;
mod usage;

pub use course::{Course, Phase, Proof, phase};
pub use ended::Ended;
pub use failure::ProveFailure;
pub use host::{ServeError, serve};
pub use phases::Phases;
pub use process::{ProverConfig, ProverProcess, TimeLimits};
pub use protocol::{
    ARGUMENTS_BYTES_MAX, InputFile, PhaseTime, RESULT_BYTES_MAX, StepTime, TaskWork, WorkReport,
};
pub use prover::{Blob, BlobError, Input, Proved, Prover, Refusal, Setup, Work};
pub use sandbox::{ParseSandboxPolicyError, Sandbox, SandboxError, SandboxPolicy};
pub use starling_types::Role;
