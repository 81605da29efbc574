//! What a person asks a client for, in words that another process can carry out: files are named by absolute paths.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use starling_client::{JobError, JobHandle, JobOptions, Patience, RunOptions, Service, paths};
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
    Compress {
        #[serde(with = "paths")]
        composite: PathBuf,
        kind: ReceiptKind,
    },
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
            // A link may lead to what is this process's own: its standard input, say.
            if let Ok(place) = path.canonicalize().or_else(|_| std::path::absolute(&*path)) {
                *path = place;
            }
        };
        match &mut self {
            Self::Prove(order) => {
                let what = &mut order.guest;
                make(&mut what.guest);
                what.input.iter_mut().for_each(make);
                what.frame.iter_mut().for_each(make);
                what.assumptions.iter_mut().for_each(make);
            }
            Self::Compress { composite, .. } => make(composite),
            Self::Resume { .. } => {}
        }
        self
    }

    /// Whether a part of the guest's input can be read once, and here alone: from a pipe, or this process's standard input.
    pub fn reads_once(&self) -> bool {
        let Self::Prove(order) = self else { return false };
        let GuestArgs { input, frame, .. } = &order.guest;
        input.iter().chain(frame).any(|path| files::is_read_once(path))
    }

    /// Refuses what another process could not read.
    ///
    /// # Errors
    /// With exit code 2 when something else than the guest's input is no file.
    pub fn check_elsewhere(&self) -> Result<(), Exit> {
        let mut paths = match self {
            Self::Prove(order) => [&order.guest.guest].into_iter().chain(&order.guest.assumptions),
            Self::Compress { composite, .. } => [composite].into_iter().chain(&[]),
            Self::Resume { .. } => return Ok(()),
        };
        match paths.find(|path| files::is_read_once(path)) {
            None => Ok(()),
            Some(path) => Err(Exit::usage(anyhow!(
                "another process owns this data directory and can't read {}, because it is not a file",
                path.display()
            ))
            .hinted("put it into a file, or use another --data-dir")),
        }
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

    /// With all that the guest reads, its frames too, in a file.
    pub fn with_input(mut self, path: &Path) -> Self {
        if let Self::Prove(order) = &mut self {
            order.guest.input = Some(path.to_owned());
            order.guest.frame.clear();
        }
        self
    }
}

impl Prepared {
    /// What the guest reads, taken from here.
    pub fn take_input(&mut self) -> Box<dyn Read + Send> {
        match self {
            Self::Prove { input, .. } => std::mem::replace(input, Box::new(io::empty())),
            Self::Compress { .. } | Self::Resume { .. } => Box::new(io::empty()),
        }
    }

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
