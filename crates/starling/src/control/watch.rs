//! An order that was handed over, while the owner carries it out: what this command shows of it, and how it leaves it.

use std::{io::Write, path::PathBuf, time::Duration};

use starling_client::{ControlChannel, ControlError, JobProgress, Terms, Written};
use starling_types::JobId;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{GOES_ON, OWNER_WAIT, Owner, Reply, Request, Stop, Unheard, named, silent};
use crate::{
    args::RunArgs,
    bounds::{Bounds, Cut, NOT_BEGUN},
    exit::{Code, Exit},
    order::Order,
    progress,
    terminal::GuestText,
};

/// How long a command that ends waits for an owner that says nothing: it says every second that it lives.
const LEAVE_WAIT: Duration = Duration::from_secs(3);

/// How long the word of a command that ends may take to leave: it is short, and fits unless the owner has stopped reading.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is handed over.
pub struct HandOver {
    pub order: Order,
    /// Where the owner writes the receipt.
    pub receipt: PathBuf,
    pub run: RunArgs,
}

/// Hands an order to the owner and shows how far it is, until it is delivered. What ends this command stops the run there as it
/// would here, unless another command asked for the job first.
///
/// # Errors
/// Those of the job, with the exit codes that they have here; when `bounds` say that it is to end.
pub async fn hand_over(
    mut owner: Owner,
    asked: HandOver,
    bounds: &Bounds,
) -> Result<Option<Written>, Exit> {
    let HandOver { order, receipt, mut run } = asked;
    // Should this process be killed, the run keeps to the time that is left.
    run.timeout = bounds.left().map(|left| left.as_secs_f64().ceil() as u64);
    let request = Request::Run { order, receipt, run: run.clone() };
    let asked = bounds.within(owner.ask(&request)).await.map_err(|cut| cut.exit(NOT_BEGUN))?;
    match asked {
        Ok(()) => {}
        Err(Unheard::Error(ControlError::Io(_))) => return Ok(None),
        Err(unheard) => return Err(unheard.exit()),
    }
    let sender = watch::Sender::new(JobProgress::default());
    let shown = tokio::spawn(progress::show(sender.subscribe()));
    let result = Watch::new(owner.channel, run).follow(&sender, bounds).await;
    drop(sender);
    // The bars are gone before the result or the error is printed.
    let _ = shown.await;
    result
}

/// An order that was handed over, as long as it is carried out.
struct Watch {
    channel: ControlChannel,
    run: RunArgs,
    /// The job, once it has begun, and whether another command asked for it before.
    job: Option<JobId>,
    is_known: bool,
    /// When the owner was heard last, and whether its silence was told since.
    heard_at: Instant,
    is_silence_told: bool,
    leaving: Option<Leaving>,
}

/// This command is to end, and the owner was told.
struct Leaving {
    cut: Cut,
    since: Instant,
}

impl Watch {
    fn new(channel: ControlChannel, run: RunArgs) -> Self {
        Self {
            channel,
            run,
            job: None,
            is_known: false,
            heard_at: Instant::now(),
            is_silence_told: false,
            leaving: None,
        }
    }

    async fn follow(
        mut self,
        progress: &watch::Sender<JobProgress>,
        bounds: &Bounds,
    ) -> Result<Option<Written>, Exit> {
        let mut guest_text = GuestText::to_stderr();
        loop {
            let patience = self.patience();
            let reply = tokio::select! {
                biased;
                cut = bounds.over(), if self.leaving.is_none() => {
                    self.leave(cut).await;
                    continue;
                }
                reply = self.channel.recv() => reply,
                () = wait_until(patience) => {
                    self.lose_patience()?;
                    continue;
                }
            };
            (self.heard_at, self.is_silence_told) = (Instant::now(), false);
            match reply {
                Ok(Some(Reply::Here(_) | Reply::Lives)) => {}
                Ok(Some(Reply::Started { job, is_known })) => self.started(job, is_known),
                Ok(Some(Reply::JobProgress(now))) => {
                    if self.leaving.is_none()
                        && let Some(cut) = self.waited_enough(&now, bounds)
                    {
                        self.leave(cut).await;
                    }
                    drop(progress.send_replace(now));
                }
                Ok(Some(Reply::Said(text))) => {
                    let _ = guest_text.write_all(text.as_bytes());
                }
                Ok(Some(Reply::Delivered(delivery))) => return Ok(Some(delivery)),
                Ok(Some(Reply::Failed(exit))) => return Err(self.failed(exit)),
                Ok(Some(Reply::Cancelled { .. } | Reply::Pruned(_) | Reply::Running(_))) => {}
                Ok(Some(Reply::RunEnds) | None) | Err(ControlError::Io(_)) => {
                    if let Some(Leaving { cut, .. }) = &self.leaving {
                        return Err(cut.exit(&self.fate()));
                    }
                    tracing::warn!(
                        "{}",
                        match reply {
                            Ok(Some(_)) =>
                                "this run of the job was ended by another command; going on",
                            _ =>
                                "the process that owned this data directory has ended; going on here",
                        }
                    );
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn started(&mut self, job: JobId, is_known: bool) {
        (self.job, self.is_known) = (Some(job), is_known);
        tracing::info!(%job, "the process that owns this data directory proves the job with its nodes");
        if is_known && (self.run.weight != Terms::WEIGHT_USUAL || self.run.deadline.is_some()) {
            tracing::warn!(
                "another command asked for this job first, so that command's --weight and --deadline count"
            );
        }
    }

    /// Whether this command has waited for nodes as long as it should, with a job whose own patience is another's.
    fn waited_enough(&self, now: &JobProgress, bounds: &Bounds) -> Option<Cut> {
        let waited = Duration::from_millis(now.waited?.0).min(bounds.elapsed());
        let is_enough = self.is_known && waited >= Duration::from_secs(self.run.node_wait);
        let reason = || now.waiting.clone().unwrap_or_else(|| "nobody works on it".to_owned());
        is_enough.then(|| Cut::NoNodes { waited, reason: reason() })
    }

    /// Tells the owner that this command ends. Where it can't be said, the owner is gone, or will not read it.
    async fn leave(&mut self, cut: Cut) {
        let _ = timeout(LEAVE_TIMEOUT, self.channel.send(&Stop)).await;
        self.leaving = Some(Leaving { cut, since: Instant::now() });
    }

    /// Until when nothing need be heard.
    fn patience(&self) -> Option<Instant> {
        match &self.leaving {
            // One that was silent before will not answer sooner now.
            Some(_) if self.is_silence_told => Some(Instant::now()),
            Some(Leaving { since, .. }) => {
                let silence = self.heard_at.max(*since) + LEAVE_WAIT;
                Some(silence.min(*since + OWNER_WAIT))
            }
            None => (!self.is_silence_told).then(|| self.heard_at + OWNER_WAIT),
        }
    }

    /// The owner has not said what it should have: this command says so and waits on, or ends if it is to end.
    fn lose_patience(&mut self) -> Result<(), Exit> {
        let (pid, quiet) = (self.channel.pid(), self.heard_at.elapsed());
        let Some(Leaving { cut, .. }) = &self.leaving else {
            self.is_silence_told = true;
            tracing::warn!("{}", silent(pid, quiet));
            return Ok(());
        };
        let told = "it was told to stop the job";
        Err(cut.exit(&match quiet < LEAVE_WAIT {
            true => format!("{} owns this data directory; {told} and is stopping it", named(pid)),
            false => format!("{}; {told} and will read that when it goes on", silent(pid, quiet)),
        }))
    }

    /// What becomes of the job when this command leaves it.
    fn fate(&self) -> String {
        match self.job {
            Some(_) if self.is_known => GOES_ON.to_owned(),
            Some(job) => {
                format!("continue with the same command, or with `starling job resume {job}`")
            }
            None => NOT_BEGUN.to_owned(),
        }
    }

    /// The end of the command when the run has ended otherwise than with a receipt.
    fn failed(&self, exit: Exit) -> Exit {
        let exit = match &self.leaving {
            Some(Leaving { cut, .. }) if exit.code == Code::Interrupted => cut.exit(&self.fate()),
            _ => exit,
        };
        match self.job {
            Some(job) => exit.of(job),
            None => exit,
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
