//! What commands say to the process that owns their data directory, and what the owner does then.
//!
//! While a `prove` runs, its process owns the directory and carries out what other commands ask for: a second `prove` hands its
//! order over and shows how far it is, `job cancel` ends a job. When the owner ends, a waiting command becomes the owner
//! and goes on with its own job.
//!
//! The owner speaks first. While it works for a command it says every second that it lives. So an owner that is stopped or
//! hangs is given no order, and nobody waits for it longer than [`OWNER_WAIT`] without knowing. A command that is to end says so,
//! and the owner reads that before it begins anything else.

mod watch;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use starling_client::{
    Client, ControlChannel, ControlError, ControlServer, GuestOutput, JobError, JobHandle,
    JobProgress, Pruned, RunOptions, SandboxPolicy, Service, Written, paths,
};
use starling_store::{DataDirError, JobKey};
use starling_types::JobId;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

pub use self::watch::{HandOver, hand_over};
use crate::{
    args::RunArgs,
    bounds::{Bounds, Cut, NOT_BEGUN},
    exit::{Code, Exit},
    order::Order,
    terminal,
};

/// How long an owner is waited for that says nothing: one that starts or ends, a short command, or one that is stopped. A
/// machine that proves on every core is late with all that it does, but not by so much.
const OWNER_WAIT: Duration = Duration::from_secs(10);

/// After how long a command that waits for it is told so.
const WORD_AFTER: Duration = Duration::from_secs(2);

/// How often the owner says that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// How often a silent owner is looked for meanwhile.
const OWNER_POLL: Duration = Duration::from_millis(200);

/// How long answers may take to leave when the owner ends.
const ANSWERS_TIMEOUT: Duration = Duration::from_secs(2);

/// Lines of a guest that may wait for a watcher of its job: further lines are lost, and the guest does not wait.
const LINES_WAITING_MAX: usize = 64;

/// What is asked of the owner, once it has said that it is there.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Carry out an order, write the receipt to this path, and say how far it is.
    Run {
        order: Order,
        #[serde(with = "paths")]
        receipt: PathBuf,
        run: RunArgs,
    },
    /// Give a job up.
    Cancel { job: JobKey },
    /// Forget jobs that have been over for so long.
    Prune { idle: Duration },
    /// Say which jobs run, and how far each is.
    Running,
}

/// What may follow [`Request::Run`]: stop the run, or don't begin it. A command that merely hangs up does not stop it.
#[derive(Debug, Serialize, Deserialize)]
struct Stop;

/// How far the jobs are that run.
pub type Running = BTreeMap<JobId, JobProgress>;

/// How the owner of a data directory proves: it alone decides that, whichever command asks for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Whether nodes elsewhere may come to it.
    pub is_reachable: bool,
    /// The policy of the provers on this machine; none where it has none.
    pub sandbox: Option<SandboxPolicy>,
}

/// What the owner says.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    /// The first message of a conversation: it listens.
    Here(Host),
    /// It is at work for the command that asked.
    Lives,
    Started {
        job: JobId,
        /// Whether another command asked for it before: then its run is that one's to stop.
        is_known: bool,
    },
    JobProgress(JobProgress),
    Said(String),
    Delivered(Written),
    Cancelled {
        freed_bytes: u64,
    },
    Pruned(Pruned),
    Running(Running),
    Failed(Exit),
    /// The run is over, and not by the doing of who asked: the owner ends, or another command that asked for the job before has
    /// had enough of it. It can be gone on with.
    RunEnds,
}

impl Reply {
    fn failed(error: &JobError) -> Self {
        Self::Failed(Exit::of_job(error))
    }
}

/// Answers other processes as long as it lives.
pub struct Control {
    answers: TaskTracker,
    accepting: Option<AbortOnDropHandle<()>>,
}

impl Control {
    /// Answers for `service`. Where no socket can be made, nobody is answered.
    pub fn serve(service: &Arc<Service>, host: Host) -> Self {
        let answers = TaskTracker::new();
        let server = match ControlServer::bind(service.client()) {
            Ok(server) => server,
            Err(error) => {
                tracing::warn!(%error, "can't open the control socket: no other command can use this data directory until this one ends");
                return Self { answers, accepting: None };
            }
        };
        let (service, tasks) = (service.clone(), answers.clone());
        let accepting = tokio::spawn(async move {
            loop {
                match server.accept().await {
                    Ok(channel) => {
                        tasks.spawn(answer(channel, service.clone(), host.clone()));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "nobody was taken in at the control socket");
                        sleep(OWNER_POLL).await;
                    }
                }
            }
        });
        Self { answers, accepting: Some(AbortOnDropHandle::new(accepting)) }
    }

    /// Waits until those who were answered have the last answer, and takes the socket away.
    pub async fn end(self) {
        self.answers.close();
        let _ = timeout(ANSWERS_TIMEOUT, self.answers.wait()).await;
        if let Some(accepting) = self.accepting {
            accepting.abort();
            // The socket goes with the task, which would else outlive this process's last moment.
            let _ = accepting.await;
        }
    }
}

/// One conversation.
async fn answer(mut channel: ControlChannel, service: Arc<Service>, host: Host) {
    if !tell(&mut channel, &Reply::Here(host)).await {
        return;
    }
    let reply = match channel.recv().await {
        Ok(Some(Request::Cancel { job })) => {
            match living(&mut channel, service.cancel(job)).await {
                Ok(freed_bytes) => Reply::Cancelled { freed_bytes },
                Err(error) => Reply::failed(&error),
            }
        }
        Ok(Some(Request::Prune { idle })) => {
            let client = service.client().clone();
            let work = tokio::task::spawn_blocking(move || client.prune(idle));
            match living(&mut channel, work).await {
                Ok(Ok(pruned)) => Reply::Pruned(pruned),
                Ok(Err(error)) => Reply::failed(&error),
                Err(error) => Reply::Failed(error.into()),
            }
        }
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
        Err(error) => Reply::Failed(error.into()),
    };
    if !tell(&mut channel, &reply).await {
        tracing::debug!("nobody hears how it ended");
    }
}

/// Says it; false when nobody hears it any more. One that does not read for long may be stopped, and hears it later.
async fn tell(channel: &mut ControlChannel, reply: &Reply) -> bool {
    !matches!(timeout(OWNER_WAIT, channel.send(reply)).await, Ok(Err(_)))
}

/// When this process says that it lives. One that was stopped does not make up for it.
fn beats() -> Interval {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// What comes of `work`; meanwhile the other side is told that this process lives.
async fn living<T>(channel: &mut ControlChannel, work: impl Future<Output = T>) -> T {
    let (mut work, mut beats) = (pin!(work), beats());
    let mut listens = true;
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = beats.tick(), if listens => listens = tell(channel, &Reply::Lives).await,
        }
    }
}

/// A run that was begun for somebody else.
struct Begun {
    job: JobHandle,
    /// Whether it went on already, since another command asked for it.
    is_known: bool,
}

/// Has the service run what was ordered. Nothing is begun once `bounds` say that it is to end.
async fn begin(
    service: &Service,
    order: Order,
    options: RunOptions,
    bounds: &Bounds,
) -> Result<Begun, Reply> {
    let died = |error: tokio::task::JoinError| Reply::Failed(error.into());
    let cut = |cut: Cut| Reply::Failed(cut.exit(NOT_BEGUN).with_code(Code::Interrupted));
    let prepared = bounds.within_blocking(move || order.prepare()).await.map_err(cut)?;
    let prepared = prepared.map_err(died)?.map_err(Reply::Failed)?;
    let ours = options.progress.subscribe();
    // What it takes in first, and the jobs that make receipts of assumptions succinct, end with the options' own stop.
    let job = prepared.submit(service, options).await.map_err(|error| Reply::failed(&error))?;
    let is_known = !job.progress().same_channel(&ours);
    Ok(Begun { job, is_known })
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
    options.guest_output = GuestOutput::to(Lines(lines));
    let stop = options.stop.clone();
    let bounds = Bounds::new(stop.clone(), None);
    let mut beginning = pin!(begin(service, order, options, &bounds));
    let mut beats = beats();
    let (mut listens, mut speaks) = (true, true);
    let Begun { job, is_known } = loop {
        tokio::select! {
            // Nothing is begun that is not wanted any more.
            biased;
            heard = channel.recv::<Stop>(), if speaks => match heard {
                Ok(Some(Stop)) => stop.cancel(),
                _ => speaks = false,
            },
            begun = &mut beginning => match begun {
                Ok(begun) => break begun,
                Err(reply) => return Some(reply),
            },
            _ = beats.tick(), if listens => listens = tell(channel, &Reply::Lives).await,
        }
    };
    if is_known && stop.is_cancelled() {
        return Some(left());
    }
    let (mut progress, mut result) = (job.progress(), pin!(job.result()));
    listens = listens && tell(channel, &Reply::Started { job: job.id(), is_known }).await;
    let outcome = loop {
        tokio::select! {
            outcome = &mut result => break outcome,
            Ok(()) = progress.changed(), if listens => {
                let now = progress.borrow_and_update().clone();
                listens = tell(channel, &Reply::JobProgress(now)).await;
            }
            Some(line) = said.recv(), if listens => {
                listens = tell(channel, &Reply::Said(line)).await;
            }
            _ = beats.tick(), if listens => listens = tell(channel, &Reply::Lives).await,
            // What somebody said before they left counts.
            heard = channel.recv::<Stop>(), if speaks => match heard {
                // One that somebody else asked for is theirs to stop.
                Ok(Some(Stop)) if is_known => return Some(left()),
                Ok(Some(Stop)) => stop.cancel(),
                _ => speaks = false,
            },
        }
    };
    let delivered = match outcome {
        Ok(delivered) => delivered,
        Err(error) if is_anothers(&error, is_known, stop.is_cancelled()) => {
            return Some(Reply::RunEnds);
        }
        Err(error) => return Some(Reply::failed(&error)),
    };
    let written = tokio::task::spawn_blocking(move || delivered.write(&receipt));
    let written = living(channel, written).await;
    Some(match written {
        Ok(Ok(delivery)) => Reply::Delivered(delivery),
        Ok(Err(error)) => Reply::failed(&error),
        Err(error) => Reply::Failed(error.into()),
    })
}

/// What is said of a job that somebody else asked for, to a command that ends before it.
const GOES_ON: &str = "the job goes on, since another command asked for it first";

/// The answer to a command that leaves a job which another asked for.
fn left() -> Reply {
    Reply::Failed(Exit::message(Code::Interrupted, "left").hinted(GOES_ON))
}

/// Whether a run ended by the word or the limits of somebody else than who asked: the limits of a command are its own.
fn is_anothers(error: &JobError, is_known: bool, is_stopped: bool) -> bool {
    match error {
        JobError::Interrupted { .. } => !is_stopped,
        JobError::OutOfTime { .. } | JobError::NoCapacity { .. } => is_known,
        _ => false,
    }
}

/// What a guest prints, for the watchers of its job.
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

/// The fate of a job that was handed over to a process that has ended.
const MAY_GO_ON: &str = "if the job was begun, continue with the same command";

/// A data directory, or what its owner answered.
pub enum Opened<T> {
    /// It is this process's now.
    Ours(Client),
    /// Another process has it and has done what was asked.
    Theirs(T),
}

/// A conversation with the owner of a data directory, which has said that it listens.
pub struct Owner {
    channel: ControlChannel,
    /// How it proves.
    pub host: Host,
}

/// Why nothing more is heard of an owner.
enum Unheard {
    /// It has said nothing for [`OWNER_WAIT`].
    Silent { pid: Option<u32> },
    /// It is gone, or says what is not understood.
    Error(ControlError),
}

impl From<ControlError> for Unheard {
    fn from(error: ControlError) -> Self {
        Self::Error(error)
    }
}

impl Owner {
    /// Connects to the owner of `dir`, and hears that it is there.
    async fn meet(dir: &Path) -> Result<Self, Unheard> {
        // Where it takes in nobody for long, there is no room for another connection either.
        let connected = timeout(OWNER_WAIT, ControlChannel::connect(dir)).await;
        let mut channel = connected.map_err(|_| Unheard::Silent { pid: None })??;
        let pid = channel.pid();
        match timeout(OWNER_WAIT, channel.recv()).await {
            Ok(Ok(Some(Reply::Here(host)))) => Ok(Self { channel, host }),
            // It ends.
            Ok(Ok(_) | Err(ControlError::Io(_))) => {
                Err(ControlError::Nobody { dir: dir.to_owned() }.into())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Unheard::Silent { pid }),
        }
    }

    /// Says it, to one that reads.
    async fn ask(&mut self, request: &Request) -> Result<(), Unheard> {
        let pid = self.channel.pid();
        match timeout(OWNER_WAIT, self.channel.send(request)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Unheard::Silent { pid }),
        }
    }

    /// The answer to what takes some time; none when the owner ends.
    async fn answer(&mut self) -> Result<Option<Reply>, Unheard> {
        let pid = self.channel.pid();
        loop {
            match timeout(OWNER_WAIT, self.channel.recv()).await {
                Ok(Ok(Some(Reply::Lives))) => {}
                Ok(answer) => return Ok(answer?),
                Err(_) => return Err(Unheard::Silent { pid }),
            }
        }
    }
}

fn named(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// What to do about a process that has said nothing for so long.
fn silent(pid: Option<u32>, quiet: Duration) -> String {
    let go_on = pid.map_or_else(|| "SIGCONT".to_owned(), |pid| format!("`kill -CONT {pid}`"));
    format!(
        "{} owns this data directory and has said nothing for {} s, so it is stopped or hangs: {go_on} continues a stopped \
         process; otherwise end it, or use another --data-dir",
        named(pid),
        quiet.as_secs()
    )
}

impl Unheard {
    fn exit(self) -> Exit {
        match self {
            Self::Silent { pid } => Exit::message(Code::Failed, silent(pid, OWNER_WAIT)),
            Self::Error(error @ ControlError::OtherUser { .. }) => {
                let hint = "run the command as that user, or use another --data-dir";
                Exit::message(Code::Failed, format!("{error}; {hint}"))
            }
            Self::Error(error) => error.into(),
        }
    }
}

/// What comes of `work`. The waiting command is told so once, a little after `since`.
async fn telling<T>(
    since: Instant,
    is_said: &mut bool,
    text: impl Fn() -> String,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep_until(since + WORD_AFTER), if !*is_said => {
                terminal::say(&text());
                *is_said = true;
            }
        }
    }
}

/// Opens the data directory `dir`, or asks the process that has it. `ask` returns nothing when that process ended.
///
/// # Errors
/// Those of `ask`; when the directory can't be opened; when its owner answers nobody for a while; when `bounds` say that it is
/// to end.
pub async fn open_or_ask<T>(
    dir: &Path,
    purpose: &str,
    disk_budget_bytes: u64,
    bounds: &Bounds,
    ask: impl AsyncFn(Owner) -> Result<Option<T>, Exit>,
) -> Result<Opened<T>, Exit> {
    let mut unanswered = Instant::now();
    let mut is_said = false;
    // What was asked of an owner that ended meanwhile may have been begun.
    let mut fate = NOT_BEGUN;
    loop {
        // Its log may be locked by another program, its disk may hang.
        let (path, purpose) = (dir.to_owned(), purpose.to_owned());
        let open = move || Client::open(&path, &purpose, disk_budget_bytes);
        let opened = bounds.within_blocking(open).await.map_err(|cut| cut.exit(fate))?;
        let in_use = match opened.context("the data directory")? {
            Ok(client) => return Ok(Opened::Ours(client)),
            Err(error @ JobError::DataDir(DataDirError::InUse { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        let text = || format!("{in_use}: waiting for its answer");
        let met = telling(unanswered, &mut is_said, text, Owner::meet(dir));
        match bounds.within(met).await.map_err(|cut| cut.exit(fate))? {
            Ok(owner) => {
                if let Some(answer) = ask(owner).await? {
                    return Ok(Opened::Theirs(answer));
                }
                (unanswered, is_said, fate) = (Instant::now(), false, MAY_GO_ON);
            }
            Err(Unheard::Error(ControlError::Nobody { .. })) => {}
            Err(unheard) => return Err(unheard.exit()),
        }
        if unanswered.elapsed() > OWNER_WAIT {
            return Err(in_use.into());
        }
        bounds.within(sleep(OWNER_POLL)).await.map_err(|cut| cut.exit(fate))?;
    }
}

/// The jobs of the data directory `dir` that run, as its owner says; none where nobody answers, since then none runs.
pub async fn running(dir: &Path) -> Running {
    let text = || "waiting for the process that owns this data directory".to_owned();
    match telling(Instant::now(), &mut false, text, ask_running(dir)).await {
        Ok(running) => running,
        Err(Unheard::Error(ControlError::Nobody { .. })) => Running::new(),
        Err(unheard) => {
            let why = unheard.exit().text();
            tracing::warn!(why, "can't tell which jobs run");
            Running::new()
        }
    }
}

async fn ask_running(dir: &Path) -> Result<Running, Unheard> {
    let mut owner = Owner::meet(dir).await?;
    owner.ask(&Request::Running).await?;
    match owner.answer().await? {
        Some(Reply::Running(running)) => Ok(running),
        // It does not know the question.
        Some(Reply::Failed(exit)) => Err(ControlError::from(io::Error::other(exit.text())).into()),
        // It ends, and its jobs with it.
        _ => Err(ControlError::Nobody { dir: dir.to_owned() }.into()),
    }
}

/// Has the owner give a job up; the bytes freed.
///
/// # Errors
/// When it can't, or says nothing.
pub async fn cancel(owner: Owner, job: JobKey) -> Result<Option<u64>, Exit> {
    match asked(owner, Request::Cancel { job }, "give the job up").await? {
        Some(Reply::Cancelled { freed_bytes }) => Ok(Some(freed_bytes)),
        _ => Ok(None),
    }
}

/// Has the owner forget jobs that have been over for so long.
///
/// # Errors
/// When it can't, or says nothing.
pub async fn prune(owner: Owner, idle: Duration) -> Result<Option<Pruned>, Exit> {
    match asked(owner, Request::Prune { idle }, "forget jobs").await? {
        Some(Reply::Pruned(pruned)) => Ok(Some(pruned)),
        _ => Ok(None),
    }
}

/// The owner's answer to what takes some time; none when it ends. `what` says what it is waited for.
async fn asked(mut owner: Owner, request: Request, what: &str) -> Result<Option<Reply>, Exit> {
    let who = named(owner.channel.pid());
    let asked = async {
        owner.ask(&request).await?;
        owner.answer().await
    };
    let text = || format!("waiting for {who} to {what}");
    match telling(Instant::now(), &mut false, text, asked).await {
        Ok(Some(Reply::Failed(exit))) => Err(exit),
        Ok(answer) => Ok(answer),
        Err(Unheard::Error(ControlError::Io(_))) => Ok(None),
        Err(unheard) => Err(unheard.exit()),
    }
}

#[cfg(test)]
mod tests;
