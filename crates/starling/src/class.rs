//! How a command failed, in a word that does not change: for programs, which should not have to read
//! sentences.

use std::{error::Error, io, sync::Arc};

use serde::{Deserialize, Serialize};
use starling_client::JobError;
use starling_net::{BindError, ConnectError};
use starling_store::{DataDirError, LogError, StoreError};
use starling_types::JobId;
use starling_zkvm::{ExecuteError, GuestError, ReceiptError, groth16::Groth16Error};

use crate::exit::Code;

/// The kind of a failure. `docs/running.md` has the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Something that has no word of its own.
    Failed,
    /// The command line.
    Usage,
    /// A file is not a guest.
    NotAGuest,
    /// A file is not a receipt, or of no use as one here.
    NotAReceipt,
    /// The input can't be read.
    Input,
    /// The guest panicked.
    GuestPanicked,
    /// The guest did what the machine does not do.
    GuestFault,
    /// The guest ended, and says that it failed.
    GuestFailed,
    /// The guest ran into `--cycle-limit`.
    CycleLimit,
    /// Segments are too small for the guest.
    SegmentTooSmall,
    /// The guest verifies what no `--assumption` proves.
    UnknownAssumption,
    /// The guest does not execute the same way twice.
    Diverged,
    /// A receipt does not verify.
    InvalidReceipt,
    /// No node could take the work.
    NoCapacity,
    /// `--timeout` is over.
    OutOfTime,
    /// The user stopped it.
    Interrupted,
    /// The job was cancelled.
    Cancelled,
    /// The job runs already.
    Running,
    /// There is no room on the disk, or in the budget.
    NoSpace,
    /// Something that the job needs is lost from the store.
    Lost,
    /// The data directory can't be used.
    DataDir,
    /// The job log can't be used.
    Log,
    /// The network can't be used, or a peer not reached.
    Network,
    /// A Groth16 receipt can't be made.
    Groth16,
    /// A defect of ours.
    Internal,
}

impl Class {
    /// What an exit code says by itself.
    pub fn of_code(code: Code) -> Self {
        match code {
            Code::Failed => Self::Failed,
            Code::Usage => Self::Usage,
            Code::Invalid => Self::InvalidReceipt,
            Code::NoCapacity => Self::NoCapacity,
            Code::Interrupted => Self::Interrupted,
        }
    }

    /// That of the first cause of `error` which has a word of its own.
    pub fn of(error: &anyhow::Error) -> Option<Self> {
        error.chain().find_map(of_cause)
    }

    /// That of a job's error.
    pub fn of_job(error: &JobError) -> Self {
        match error {
            JobError::DataDir(_) => Self::DataDir,
            JobError::Log(_) | JobError::State(_) => Self::Log,
            JobError::Store(error) => of_store(error).unwrap_or(Self::Failed),
            JobError::Bind(_) => Self::Network,
            JobError::OwnTicket { .. } => Self::Usage,
            JobError::Input(_) => Self::Input,
            JobError::Guest(_) => Self::NotAGuest,
            JobError::Execute(error) => of_execution(error),
            JobError::GuestFailed { .. } | JobError::PausedNotComposite { .. } => Self::GuestFailed,
            JobError::Unresolved { .. } => Self::UnknownAssumption,
            JobError::NoCapacity { .. } => Self::NoCapacity,
            JobError::NoRoom { .. } => Self::NoSpace,
            JobError::OutOfTime { .. } => Self::OutOfTime,
            JobError::Interrupted { .. } | JobError::NotBegun => Self::Interrupted,
            JobError::Running { .. } => Self::Running,
            JobError::Cancelled { .. } => Self::Cancelled,
            JobError::BlobMissing { .. } | JobError::AskedMissing { .. } => Self::Lost,
            JobError::Receipt(error) => of_receipt(error),
            JobError::Groth16(_) => Self::Groth16,
            JobError::Diverged { .. } => Self::Diverged,
            JobError::Plan(_) | JobError::Died { .. } => Self::Internal,
            JobError::HostGone { .. }
            | JobError::OtherRelease { .. }
            | JobError::LocalNode { .. } => Self::Failed,
        }
    }
}

/// The job that an error is of, if it says so.
pub fn job_of(error: &anyhow::Error) -> Option<JobId> {
    error.chain().find_map(|cause| match job_error(cause)? {
        JobError::HostGone { job }
        | JobError::OutOfTime { job, .. }
        | JobError::Interrupted { job }
        | JobError::OtherRelease { job, .. }
        | JobError::Running { job }
        | JobError::Cancelled { job }
        | JobError::BlobMissing { job, .. }
        | JobError::AskedMissing { job, .. } => Some(*job),
        error => error.damaged_job(),
    })
}

fn job_error<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e JobError> {
    cause.downcast_ref().or_else(|| cause.downcast_ref::<Arc<JobError>>().map(|error| &**error))
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<Class> {
    if let Some(error) = job_error(cause) {
        return Some(Class::of_job(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_execution(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_receipt(error));
    }
    if cause.is::<GuestError>() {
        return Some(Class::NotAGuest);
    }
    if cause.is::<DataDirError>() {
        return Some(Class::DataDir);
    }
    if cause.is::<LogError>() {
        return Some(Class::Log);
    }
    if cause.is::<BindError>() || cause.is::<ConnectError>() {
        return Some(Class::Network);
    }
    if cause.is::<Groth16Error>() {
        return Some(Class::Groth16);
    }
    // What was done on another thread panicked.
    if cause.is::<tokio::task::JoinError>() {
        return Some(Class::Internal);
    }
    let of_io = |error: &io::Error| is_full(error).then_some(Class::NoSpace);
    cause.downcast_ref().and_then(of_store).or_else(|| cause.downcast_ref().and_then(of_io))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn of_store(error: &StoreError) -> Option<Class> {
    matches!(error, StoreError::NoSpace(_)).then_some(Class::NoSpace)
}

fn of_receipt(error: &ReceiptError) -> Class {
    match error {
        ReceiptError::Invalid { .. }
        | ReceiptError::OtherSystem { .. }
        | ReceiptError::WrongImage { .. }
        | ReceiptError::WrongExit { .. } => Class::InvalidReceipt,
        ReceiptError::NotReceipt { .. } | ReceiptError::WrongKind { .. } => Class::NotAReceipt,
        // As of any other file.
        ReceiptError::Read { .. } => Class::Usage,
        ReceiptError::Assemble { .. } => Class::Internal,
        ReceiptError::Write { source, .. } if is_full(source) => Class::NoSpace,
        ReceiptError::Write { .. } => Class::Failed,
    }
}

fn of_execution(error: &ExecuteError) -> Class {
    match error {
        ExecuteError::GuestPanicked { .. } => Class::GuestPanicked,
        ExecuteError::CycleLimit { .. } => Class::CycleLimit,
        ExecuteError::SegmentLimitTooSmall { .. } => Class::SegmentTooSmall,
        ExecuteError::Po2OutOfRange { .. } => Class::Usage,
        ExecuteError::UnknownAssumption { .. } => Class::UnknownAssumption,
        ExecuteError::Faulted(_)
        | ExecuteError::GuestFault { .. }
        | ExecuteError::JournalTooLarge
        | ExecuteError::TooMany { .. } => Class::GuestFault,
        ExecuteError::Cancelled => Class::Interrupted,
        ExecuteError::ExecutorPanicked { .. } | ExecuteError::Codec(_) => Class::Internal,
        ExecuteError::Setup { .. } | ExecuteError::Sink(_) => Class::Failed,
    }
}
