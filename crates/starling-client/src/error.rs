//! Why a job did not end in a receipt, sorted by what its user can do about it.

use std::{path::PathBuf, time::Duration};

use starling_job::Trouble;
use starling_net::BindError;
use starling_plan::PlanError;
use starling_store::{DataDirError, LogError, StoreError};
use starling_types::{JobId, NodeId, ReceiptKind, SystemName};
use starling_zkvm::{ExecuteError, GuestError, ReceiptError, groth16::Groth16Error};
use thiserror::Error;

use crate::StateError;

/// Why a job did not end in a receipt.
#[derive(Debug, Error)]
pub enum JobError {
    /// The data directory can't be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The job log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The job's log does not make a job.
    #[error(transparent)]
    State(#[from] StateError),
    /// A blob could not be kept or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network endpoint could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A node's ticket is asked for, and this client's own was given.
    #[error("the ticket of {id:#} is this client's own: join with one that a node printed")]
    OwnTicket {
        /// This client.
        id: NodeId,
    },
    /// The guest's input could not be read.
    #[error("can't read the input: {0}")]
    Input(std::io::Error),
    /// The guest is not a program.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The guest did not run to its end.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The guest ended, and says that it failed.
    #[error(
        "the guest ended with {exit} and a journal of {} bytes{}{}; only executions that succeed are proved unless you \
         ask for others",
        journal.len(), shown(journal), said(output)
    )]
    GuestFailed {
        /// How it ended.
        exit: String,
        /// What it had committed.
        journal: Vec<u8>,
        /// The end of what it printed.
        output: String,
    },
    /// The guest paused, and the receipt cannot say so.
    #[error(
        "the guest paused, and RISC Zero cannot lift a paused segment: only a composite receipt is possible, not a {kind} one"
    )]
    PausedNotComposite {
        /// What was asked for.
        kind: ReceiptKind,
    },
    /// Something that the guest assumed is proved by nothing that is there.
    #[error(
        "the guest assumed the claim {claim}, but no given receipt and none of its keccak proofs proves it"
    )]
    Unresolved {
        /// The digest of the claim.
        claim: String,
    },
    /// The job of a host program can't go on without it.
    #[error("a host program executed job {job}, and only that program can start it anew")]
    HostGone {
        /// The job.
        job: JobId,
    },
    /// Nobody takes the work.
    #[error("no node could take the work for {} s: {reason}", waited.as_secs())]
    NoCapacity {
        /// How long nothing could be handed out.
        waited: Duration,
        /// What is missing.
        reason: String,
    },
    /// The job itself needs more room than there can be.
    #[error("the job can't go on: {reason}")]
    NoRoom {
        /// What is missing.
        reason: String,
    },
    /// The time for the job is over.
    #[error("the job is not done after {:.0} s", limit.as_secs_f64())]
    OutOfTime {
        /// The time it had.
        limit: Duration,
        /// The job.
        job: JobId,
    },
    /// The user stopped the job.
    #[error("stopped")]
    Interrupted {
        /// The job.
        job: JobId,
    },
    /// The user stopped it before there was a job.
    #[error("stopped before there was a job")]
    NotBegun,
    /// The job was begun by another release.
    #[error("job {job} was begun with {theirs}, but this program has {ours}: ask for the job anew")]
    OtherRelease {
        /// The job.
        job: JobId,
        /// What it was begun with.
        theirs: SystemName,
        /// What this is.
        ours: String,
    },
    /// The job runs, and what was asked for would take its log away.
    #[error("job {job} is running; stop it first")]
    Running {
        /// The job.
        job: JobId,
    },
    /// The job was cancelled.
    #[error("job {job} was cancelled")]
    Cancelled {
        /// The job.
        job: JobId,
    },
    /// A blob that the job's log names is not in the store any more.
    #[error("{what} of job {job} is missing or damaged in the store")]
    BlobMissing {
        /// What it is.
        what: String,
        /// The job.
        job: JobId,
    },
    /// Something that the job was asked with is not in the store any more: the user who asked has it.
    #[error("{what} that job {job} was given is missing or damaged in the store")]
    AskedMissing {
        /// What it is.
        what: String,
        /// The job.
        job: JobId,
    },
    /// The receipts do not make a receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The last step to a Groth16 receipt failed.
    #[error(transparent)]
    Groth16(#[from] Groth16Error),
    /// A local node could not be started.
    #[error("can't start a local node ({}): {source}", program.display())]
    LocalNode {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The guest executed otherwise than before, and otherwise again.
    #[error("the guest does not execute the same way twice: {reason}; its job can't be resumed")]
    Diverged {
        /// What differed.
        reason: String,
    },
    /// The plan and the execution disagree: a defect of ours.
    #[error("the plan of the job is broken: {0}")]
    Plan(#[from] PlanError),
    /// A thread of ours died: a defect of ours.
    #[error("{what} died unexpectedly: {detail}")]
    Died {
        /// Which.
        what: &'static str,
        /// How.
        detail: String,
    },
}

impl Trouble for JobError {
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Guest(_)
                | Self::Execute(_)
                | Self::GuestFailed { .. }
                | Self::PausedNotComposite { .. }
                | Self::Unresolved { .. }
                | Self::HostGone { .. }
                | Self::BlobMissing { .. }
                | Self::AskedMissing { .. }
                | Self::Receipt(
                    ReceiptError::Assemble { .. }
                        | ReceiptError::Invalid { .. }
                        | ReceiptError::OtherSystem { .. }
                )
                | Self::Diverged { .. }
                | Self::Plan(_)
        )
    }

    /// A disk that can't read what it has is as one that has lost it.
    fn is_loss(&self) -> bool {
        matches!(self, Self::BlobMissing { .. } | Self::Store(StoreError::Io { .. }))
    }
}

/// The store's error inside an I/O error that came through `std::io`.
pub(crate) fn unwrap_io(error: std::io::Error) -> JobError {
    let (kind, text) = (error.kind(), error.to_string());
    match error.into_inner().map(|inner| inner.downcast::<StoreError>()) {
        Some(Ok(store)) => (*store).into(),
        _ => JobError::Input(std::io::Error::new(kind, text)),
    }
}

/// The beginning of a journal, in hex.
fn shown(journal: &[u8]) -> String {
    /// Enough to recognise a journal by.
    const BYTES: usize = 32;
    match journal {
        [] => String::new(),
        journal if journal.len() <= BYTES => format!(" ({})", hex::encode(journal)),
        journal => format!(" ({}...)", hex::encode(&journal[..BYTES])),
    }
}

fn said(output: &str) -> String {
    match output.trim() {
        "" => String::new(),
        text => format!(", having said: {text}"),
    }
}
