//! What a person asks a client for, in words that another process can carry out: files are named by absolute paths.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use starling_client::{JobError, JobHandle, JobOptions, Patience, RunOptions, Service};
use starling_types::{JobId, ReceiptKind, WorkLogId};
use starling_zkvm::{Guest, Receipt};

use crate::{
    args::{GuestArgs, RunArgs},
    exit::{Code, Exit},
    files,
};

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// A guest's receipt.
    Prove(Box<ProveOrder>),
    /// A composite receipt made succinct, or more.
    Compress { composite: PathBuf, kind: ReceiptKind },
    /// What a job was asked for that is in the data directory.
    Resume { job: JobId },
}

/// A guest's receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProveOrder {
    pub guest: GuestArgs,
    pub kind: ReceiptKind,
    pub prove_guest_errors: bool,
    pub work_log: Option<WorkLogId>,
    pub fresh: bool,
}

/// An order whose files are open.
pub enum Prepared {
    Prove {
        guest: Guest,
        input: Box<dyn Read + Send>,
        assumptions: Vec<Receipt>,
        options: JobOptions,
    },
    Compress {
        composite: Receipt,
        kind: ReceiptKind,
    },
    Resume {
        job: JobId,
    },
}

impl Order {
    /// Opens the files. Blocks.
    ///
    /// # Errors
    /// With exit code 2 when one is not what it should be.
    pub fn prepare(&self) -> Result<Prepared, Exit> {
        Ok(match self {
            Self::Prove(order) => {
                let what = &order.guest;
                let guest = files::read_guest(&what.guest)?;
                let input = files::guest_input(what.input.as_deref(), &what.frame)?;
                let assumptions = files::read_receipts(&what.assumptions)?;
                let options = JobOptions {
                    args: what.args.clone(),
                    env: what.env.iter().cloned().collect(),
                    keccak_po2: what.keccak_po2,
                    cycle_limit: what.cycle_limit,
                    prove_guest_errors: order.prove_guest_errors,
                    work_log: order.work_log,
                    fresh: order.fresh,
                    ..JobOptions::new(order.kind, what.segment_po2)
                };
                Prepared::Prove { guest, input, assumptions, options }
            }
            Self::Compress { composite, kind } => {
                let composite = files::read_receipt(composite, "not a receipt")?;
                Prepared::Compress { composite, kind: *kind }
            }
            Self::Resume { job } => Prepared::Resume { job: *job },
        })
    }

    /// The same from any working directory.
    pub fn absolute(mut self) -> Self {
        let make = |path: &mut PathBuf| {
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        };
        match &mut self {
            Self::Prove(order) => {
                let what = &mut order.guest;
                make(&mut what.guest);
                what.input.iter_mut().filter(|path| !files::is_stdin(path)).for_each(make);
                what.frame.iter_mut().for_each(make);
                what.assumptions.iter_mut().for_each(make);
            }
            Self::Compress { composite, .. } => make(composite),
            Self::Resume { .. } => {}
        }
        self
    }

    /// Whether it reads the input from this process's own.
    pub fn reads_stdin(&self) -> bool {
        matches!(self, Self::Prove(order) if order.guest.input.as_deref().is_some_and(files::is_stdin))
    }

    /// The files that it is made from, as far as they have names.
    pub fn files(&self) -> Vec<&Path> {
        let paths: Vec<&PathBuf> = match self {
            Self::Prove(order) => {
                let GuestArgs { guest, input, frame, assumptions, .. } = &order.guest;
                [guest].into_iter().chain(input).chain(frame).chain(assumptions).collect()
            }
            Self::Compress { composite, .. } => vec![composite],
            Self::Resume { .. } => Vec::new(),
        };
        paths.into_iter().map(PathBuf::as_path).filter(|path| !files::is_stdin(path)).collect()
    }

    /// With the input in a file.
    pub fn with_input(mut self, path: &Path) -> Self {
        if let Self::Prove(order) = &mut self {
            order.guest.input = Some(path.to_owned());
        }
        self
    }
}

impl Prepared {
    /// Has the service run it.
    ///
    /// # Errors
    /// When it makes no job.
    pub async fn submit(
        self,
        service: &Service,
        run: RunOptions,
    ) -> Result<JobHandle, Arc<JobError>> {
        match self {
            Self::Prove { guest, input, assumptions, mut options } => {
                let succinct = service.all_succinct(assumptions, &run).await?;
                let client = service.client().clone();
                let create = move || {
                    for receipt in succinct {
                        options.assumptions.push(client.give(&receipt)?);
                    }
                    client.create(&guest, input, options)
                };
                // It may read what somebody else takes long to say: nobody waits for that who has been told to stop.
                let created = tokio::select! {
                    created = tokio::task::spawn_blocking(create) => created,
                    () = run.stop.cancelled() => return Err(JobError::NotBegun.into()),
                };
                let job = created.map_err(|error| JobError::Died {
                    what: "the making of a job",
                    detail: error.to_string(),
                })??;
                tracing::info!(%job, "proving");
                Ok(service.submit(job, run))
            }
            Self::Compress { composite, kind } => service.compress(composite, kind, &run).await,
            Self::Resume { job } => {
                tracing::info!(%job, "proving");
                Ok(service.submit(job, run))
            }
        }
    }
}

impl RunArgs {
    /// As a service takes them.
    pub fn options(&self) -> RunOptions {
        RunOptions {
            patience: Patience {
                node_wait: Duration::from_secs(self.node_wait),
                timeout: self.timeout.map(Duration::from_secs),
            },
            weight: self.weight,
            deadline: self.deadline.map(Duration::from_secs),
            ..RunOptions::default()
        }
    }
}

/// What an error of a job means to the user who started the command.
pub fn code_of(error: &JobError) -> Code {
    match error {
        JobError::NoCapacity { .. } | JobError::OutOfTime { .. } => Code::NoCapacity,
        JobError::Interrupted { .. } | JobError::NotBegun => Code::Interrupted,
        JobError::Guest(_) | JobError::Input(_) | JobError::OwnTicket { .. } => Code::Usage,
        _ => Code::Failed,
    }
}

/// The end of a command whose job failed.
pub fn exit(error: Arc<JobError>) -> Exit {
    let code = code_of(&error);
    Exit::from(error).with_code(code)
}
