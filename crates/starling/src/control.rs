//! What commands say to the process that owns their data directory, and what that does.
//!
//! While a `prove` runs, its process owns the directory, and runs what others ask for in it: a second `prove` hands its
//! order over and shows how far it is, `job cancel` ends a job. When the owner ends, whoever waits takes the directory
//! over and goes on with its own job.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use starling_client::{
    Client, ControlChannel, ControlError, ControlServer, JobError, JobHandle, JobProgress, Service,
    Written,
};
use starling_store::DataDirError;
use starling_types::JobId;
use tokio::sync::{mpsc, watch};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    args::RunArgs,
    exit::{Code, Exit},
    hints,
    order::{Order, code_of},
    progress,
    terminal::GuestText,
};

/// How long an owner that answers nobody is waited for: one that starts or ends, or a short command.
const OWNER_WAIT: Duration = Duration::from_secs(10);

/// How often it is looked for meanwhile.
const OWNER_POLL: Duration = Duration::from_millis(200);

/// How long answers may take to leave when the owner ends.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Lines of a guest that may wait for whoever watches its job: what is more is lost, and the guest does not wait.
const LINES_WAITING_MAX: usize = 64;

/// What is asked of the owner; the first message of a conversation.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Carry out an order, write the receipt to this path, and say how far it is.
    Run { order: Order, receipt: PathBuf, run: RunArgs },
    /// Give a job up.
    Cancel { job: JobId },
    /// Say which jobs run, and how far each is.
    Running,
}

/// What may follow [`Request::Run`]: stop the run. Whoever merely hangs up does not stop it.
#[derive(Debug, Serialize, Deserialize)]
struct Stop;

/// How far the jobs are that run.
pub type Running = BTreeMap<JobId, JobProgress>;

/// What the owner says.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Started {
        job: JobId,
    },
    JobProgress(JobProgress),
    Said(String),
    Delivered(Written),
    Cancelled {
        freed_bytes: u64,
    },
    Running(Running),
    Failed {
        code: Code,
        message: String,
    },
    /// The owner ends, and the job with it: it can be gone on with.
    OwnerEnds,
}

impl Reply {
    fn failed(error: &JobError) -> Self {
        Self::Failed { code: code_of(error), message: hints::text_of(error) }
    }
}

/// Answers other processes as long as it lives.
pub struct Control {
    answers: TaskTracker,
    accepting: Option<AbortOnDropHandle<()>>,
}

impl Control {
    /// Answers for `service`. Where no socket can be made, nobody is answered.
    pub fn serve(service: &Arc<Service>) -> Self {
        let answers = TaskTracker::new();
        let server = match ControlServer::bind(service.client()) {
            Ok(server) => server,
            Err(error) => {
                tracing::warn!(%error, "no control socket: other commands can't use this data directory meanwhile");
                return Self { answers, accepting: None };
            }
        };
        let (service, tasks) = (service.clone(), answers.clone());
        let accepting = tokio::spawn(async move {
            loop {
                match server.accept().await {
                    Ok(channel) => {
                        tasks.spawn(answer(channel, service.clone()));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "nobody was taken in at the control socket");
                        tokio::time::sleep(OWNER_POLL).await;
                    }
                }
            }
        });
        Self { answers, accepting: Some(AbortOnDropHandle::new(accepting)) }
    }

    /// Waits until those who were answered have the last answer, and takes the socket away.
    pub async fn end(self) {
        self.answers.close();
        let _ = tokio::time::timeout(ANSWERS_TIMEOUT, self.answers.wait()).await;
        if let Some(accepting) = self.accepting {
            accepting.abort();
            // The socket goes with the task, which would else outlive this process's last moment.
            let _ = accepting.await;
        }
    }
}

/// One conversation.
async fn answer(mut channel: ControlChannel, service: Arc<Service>) {
    let reply = match channel.recv().await {
        Ok(Some(Request::Cancel { job })) => match service.cancel(job).await {
            Ok(freed_bytes) => Reply::Cancelled { freed_bytes },
            Err(error) => Reply::failed(&error),
        },
        Ok(Some(Request::Running)) => {
            let progress = |job: &JobHandle| (job.id(), job.progress().borrow().clone());
            Reply::Running(service.running().iter().map(progress).collect())
        }
        Ok(Some(Request::Run { order, receipt, run })) => {
            match carry_out(&mut channel, &service, order, receipt, &run).await {
                Some(reply) => reply,
                None => return,
            }
        }
        Ok(None) => return,
        Err(error) => Reply::Failed { code: Code::Failed, message: error.to_string() },
    };
    if let Err(error) = channel.send(&reply).await {
        tracing::debug!(%error, "nobody hears how it ended");
    }
}

/// Runs what was ordered, to its receipt, whether or not the other side listens to the end. What is left to be said.
async fn carry_out(
    channel: &mut ControlChannel,
    service: &Service,
    order: Order,
    receipt: PathBuf,
    run: &RunArgs,
) -> Option<Reply> {
    let (lines, mut said) = mpsc::channel(LINES_WAITING_MAX);
    let mut options = run.options();
    options.guest_output = starling_client::GuestOutput::to(Lines(lines));
    let asked = options.progress.clone();
    let prepared = match tokio::task::spawn_blocking(move || order.prepare()).await {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(exit)) => {
            return Some(Reply::Failed { code: exit.code, message: exit.text() });
        }
        Err(error) => {
            return Some(Reply::Failed { code: Code::Failed, message: error.to_string() });
        }
    };
    let job = match prepared.submit(service, options).await {
        Ok(job) => job,
        Err(error) => return Some(Reply::failed(&error)),
    };
    // One that somebody else asked for is theirs to stop, also where both asked at the same time.
    let is_ours = job.is_told_by(&asked);
    let (mut progress, mut result) = (job.progress(), std::pin::pin!(job.result()));
    let mut listens = channel.send(&Reply::Started { job: job.id() }).await.is_ok();
    let mut is_stopped = false;
    let outcome = loop {
        tokio::select! {
            outcome = &mut result => break outcome,
            Ok(()) = progress.changed(), if listens => {
                let now = progress.borrow_and_update().clone();
                listens = channel.send(&Reply::JobProgress(now)).await.is_ok();
            }
            Some(line) = said.recv(), if listens => {
                listens = channel.send(&Reply::Said(line)).await.is_ok();
            }
            heard = channel.recv::<Stop>(), if listens => match heard {
                Ok(Some(Stop)) if is_ours => {
                    is_stopped = true;
                    job.stop();
                }
                Ok(Some(Stop)) => {
                    let message = "left; the job goes on, since another command asked for it first";
                    return Some(Reply::Failed { code: Code::Interrupted, message: message.into() });
                }
                _ => listens = false,
            },
        }
    };
    let delivered = match outcome {
        Ok(delivered) => delivered,
        Err(error) if matches!(*error, JobError::Interrupted { .. }) && !is_stopped => {
            return Some(Reply::OwnerEnds);
        }
        Err(error) => return Some(Reply::failed(&error)),
    };
    let written = tokio::task::spawn_blocking(move || delivered.write(&receipt)).await;
    Some(match written {
        Ok(Ok(delivery)) => Reply::Delivered(delivery),
        Ok(Err(error)) => Reply::failed(&error),
        Err(error) => Reply::Failed { code: Code::Failed, message: error.to_string() },
    })
}

/// What a guest prints, for whoever watches its job.
#[derive(Clone)]
struct Lines(mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A data directory, or what its owner answered.
pub enum Opened<T> {
    /// It is this process's now.
    Ours(Client),
    /// Another process has it and has done what was asked.
    Theirs(T),
}

/// Opens the data directory `dir`, or asks the process that has it. `ask` returns nothing when that process ended.
///
/// # Errors
/// Those of `ask`; when the directory can't be opened; when its owner answers nobody for a while.
pub async fn open_or_ask<T>(
    dir: &Path,
    purpose: &str,
    disk_budget_bytes: u64,
    ask: impl AsyncFn(ControlChannel) -> Result<Option<T>, Exit>,
) -> Result<Opened<T>, Exit> {
    let mut unanswered = Instant::now();
    loop {
        let in_use = match Client::open(dir, purpose, disk_budget_bytes) {
            Ok(client) => return Ok(Opened::Ours(client)),
            Err(error @ JobError::DataDir(DataDirError::InUse { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        match ControlChannel::connect(dir).await {
            Ok(channel) => {
                if let Some(answer) = ask(channel).await? {
                    return Ok(Opened::Theirs(answer));
                }
                unanswered = Instant::now();
            }
            Err(ControlError::Nobody { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if unanswered.elapsed() > OWNER_WAIT {
            return Err(in_use.into());
        }
        tokio::time::sleep(OWNER_POLL).await;
    }
}

/// The jobs of the data directory `dir` that run, as its owner says; none where nobody answers, since then none runs.
pub async fn running(dir: &Path) -> Running {
    match tokio::time::timeout(OWNER_WAIT, ask_running(dir)).await {
        Ok(Ok(running)) => running,
        Ok(Err(ControlError::Nobody { .. })) => Running::new(),
        Ok(Err(error)) => {
            tracing::warn!(%error, "which jobs run is not known");
            Running::new()
        }
        Err(_) => {
            let waited_seconds = OWNER_WAIT.as_secs();
            tracing::warn!(
                waited_seconds,
                "which jobs run is not known: their process does not answer"
            );
            Running::new()
        }
    }
}

async fn ask_running(dir: &Path) -> Result<Running, ControlError> {
    let mut channel = ControlChannel::connect(dir).await?;
    channel.send(&Request::Running).await?;
    match channel.recv().await? {
        Some(Reply::Running(running)) => Ok(running),
        // It does not know the question.
        Some(Reply::Failed { message, .. }) => Err(io::Error::other(message).into()),
        // It ends, and its jobs with it.
        _ => Err(ControlError::Nobody { dir: dir.to_owned() }),
    }
}

/// Has the owner give a job up; the bytes freed.
///
/// # Errors
/// When it can't.
pub async fn cancel(mut channel: ControlChannel, job: JobId) -> Result<Option<u64>, Exit> {
    channel.send(&Request::Cancel { job }).await?;
    match channel.recv().await? {
        Some(Reply::Cancelled { freed_bytes }) => Ok(Some(freed_bytes)),
        Some(Reply::Failed { code, message }) => Err(Exit::message(code, message)),
        _ => Ok(None),
    }
}

/// Hands an order to the owner and shows how far it is, until it is delivered. `stop` stops the run there as it would
/// here.
///
/// # Errors
/// Those of the job, with the exit codes that they have here.
pub async fn hand_over(
    mut channel: ControlChannel,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Option<Written>, Exit> {
    channel.send(request).await?;
    let sender = watch::Sender::new(JobProgress::default());
    let shown = tokio::spawn(progress::show(sender.subscribe()));
    let result = watch(&mut channel, &sender, stop).await;
    drop(sender);
    // The bars are gone before the result or the error is printed.
    let _ = shown.await;
    result
}

async fn watch(
    channel: &mut ControlChannel,
    progress: &watch::Sender<JobProgress>,
    stop: &CancellationToken,
) -> Result<Option<Written>, Exit> {
    let mut is_stopping = false;
    let mut guest_text = GuestText::to_stderr();
    loop {
        let reply = tokio::select! {
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                // Where it can't be said, the owner is gone.
                let _ = channel.send(&Stop).await;
                continue;
            }
            reply = channel.recv() => reply,
        };
        match reply {
            Ok(Some(Reply::Started { job })) => {
                tracing::info!(%job, "proving, in the process that has this data directory and by its nodes");
            }
            Ok(Some(Reply::JobProgress(now))) => drop(progress.send_replace(now)),
            Ok(Some(Reply::Said(text))) => {
                let _ = guest_text.write_all(text.as_bytes());
            }
            Ok(Some(Reply::Delivered(delivery))) => return Ok(Some(delivery)),
            Ok(Some(Reply::Failed { code, message })) => return Err(Exit::message(code, message)),
            Ok(Some(Reply::Cancelled { .. } | Reply::Running(_))) => {}
            Ok(Some(Reply::OwnerEnds) | None) | Err(ControlError::Io(_)) if is_stopping => {
                return Err(Exit::message(
                    Code::Interrupted,
                    "stopped; the same command goes on with the job",
                ));
            }
            Ok(Some(Reply::OwnerEnds) | None) | Err(ControlError::Io(_)) => {
                tracing::warn!("the process that had this data directory has ended; going on here");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
