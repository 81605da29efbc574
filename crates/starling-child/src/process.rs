//! The parent's side of a prover child: starts it when needed, gives it one task at a time, kills it when
//! it overstays, and says what became of it.
//!
//! The child stays between tasks, since starting costs it the loading of recursion programs. A future of
//! [`ProverProcess::run`] that is dropped takes the child with it: a revoked lease stops burning the CPU
//! at once.

mod files;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use starling_types::{FailureClass, INPUT_COUNT_MAX, MemoryBytes, SystemName};
use tokio::{
    fs::File,
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use self::files::{Inputs, keep_result, unreadable};
use crate::{
    ARGUMENTS_BYTES_MAX, Ended, ProveFailure, Sandbox, SandboxPolicy, TaskWork, WorkReport,
    killed::{Groups, Killer, LOOK_PERIOD, Watch},
    lack::lack_in,
    protocol::{Answer, Configure, Heard, LINE_BYTES_MAX, Ready, Request},
    tail::Tail,
};

/// How long a child may take to say that it is ready: loading a binary of 100 MB from a slow disk.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How much of a blob is sent at once: what a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;

/// How long a child that closed its pipe may take to be gone, and its last words to arrive.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// What a child inherits of its parent's environment, which may hold secrets: what finds libraries, and what debugs.
const INHERITED: [&str; 5] =
    ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "RUST_BACKTRACE", "RUST_LOG", "STARLING_ISA"];

/// How to start a prover child.
#[derive(Debug, Clone)]
pub struct ProverConfig {
    /// The system that it must prove for, as it says itself when it is ready.
    pub system: SystemName,
    /// The executable, usually the running one.
    pub program: PathBuf,
    /// Arguments that make it call [`serve`](crate::serve) for that system.
    pub args: Vec<String>,
    /// Its environment, besides the little that every child inherits.
    pub env: Vec<(String, String)>,
    /// Variables of the environment by which it makes do with fewer of the processor's instructions: one more of them counts for
    /// each child that died of an instruction which the processor does not have. Virtual machines promise more than they have.
    pub narrower: Vec<(String, String)>,
    /// How much a sandbox matters.
    pub sandbox: SandboxPolicy,
    /// What else the system's prover wants to know, in its own words.
    pub params: String,
    /// How many threads it proves with; all cores when absent.
    pub threads: Option<u32>,
    /// How much of its stderr is kept for reports of its death.
    pub stderr_tail_bytes: usize,
    /// Whether it stays between tasks. It holds some hundred MiB then, and saves seconds.
    pub keep_warm: bool,
}

impl ProverConfig {
    /// Bytes of stderr that tell a panic message with its surroundings.
    pub const STDERR_TAIL_BYTES: usize = 4 << 10;

    /// A warm child on all cores without a memory limit.
    pub fn new(
        system: impl Into<SystemName>,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            system: system.into(),
            program: program.into(),
            args: args.into_iter().collect(),
            env: Vec::new(),
            narrower: Vec::new(),
            sandbox: SandboxPolicy::default(),
            params: String::new(),
            threads: None,
            stderr_tail_bytes: Self::STDERR_TAIL_BYTES,
            keep_warm: true,
        }
    }
}

/// How long a task may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// How long it may stand still, from its beginning or from the last that it told of itself.
    pub standstill: Duration,
    /// How long it may take in all: a prover that creeps tells of itself a thousand times.
    pub total: Duration,
}

impl TimeLimits {
    /// Of a task that may take so long, whatever it tells of itself.
    pub fn total(total: Duration) -> Self {
        Self { standstill: total, total }
    }
}

/// A prover child, started when the first task comes.
#[derive(Debug)]
pub struct ProverProcess {
    config: ProverConfig,
    groups: Groups,
    idle: Option<Running>,
    next_id: u64,
    /// That of the child that was started last.
    sandbox: Option<Sandbox>,
    /// How many children died of an instruction that the processor does not have.
    illegal_count: usize,
}

impl ProverProcess {
    /// A child that will be started by the first [`Self::run`].
    pub fn new(config: ProverConfig) -> Self {
        let groups = Groups::of_this_process();
        Self { config, groups, idle: None, next_id: 0, sandbox: None, illegal_count: 0 }
    }

    /// Proves one task. Dropping the future kills the child; the next call starts another.
    ///
    /// # Errors
    /// [`ProveFailure`]; after any but [`ProveFailure::Refused`] the child is gone.
    pub async fn run(
        &mut self,
        work: &TaskWork,
        deadline: Duration,
    ) -> Result<WorkReport, ProveFailure> {
        self.run_watched(work, TimeLimits::total(deadline), |_| {}).await
    }

    /// [`Self::run`] within `limits`, with `progress` told how far the task is, in thousandths, a few times a second at most.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub async fn run_watched(
        &mut self,
        work: &TaskWork,
        limits: TimeLimits,
        mut progress: impl FnMut(u32) + Send,
    ) -> Result<WorkReport, ProveFailure> {
        check_bounds(work)?;
        let mut inputs = Inputs::open(work).await?;
        // Taken out, so that a dropped future drops it, and with it kills it.
        let running = self.idle.take();
        self.next_id += 1;
        let request = Request::new(self.next_id, work, &inputs.sizes());
        let (sandbox, illegal_count) = (&mut self.sandbox, &mut self.illegal_count);
        let got_on = Notify::new();
        let progress = |done_permille| {
            got_on.notify_one();
            progress(done_permille);
        };
        let attempt = async {
            let mut running = match running.and_then(Running::if_alive) {
                Some(running) => running,
                None => {
                    let started = Running::start(&self.config, *illegal_count, self.groups.clone());
                    let (running, entered) = started
                        .await
                        .inspect_err(|failure| narrow(illegal_count, failure, &self.config))?;
                    note(sandbox, entered, &self.config);
                    running
                }
            };
            match running.exchange(&request, &mut inputs, progress).await {
                Ok(answer) => Ok((running, answer)),
                Err(Broken::Input(failure)) => Err(failure),
                Err(Broken::Child) => {
                    let failure = running.obituary(work.memory_limit).await;
                    narrow(illegal_count, &failure, &self.config);
                    Err(failure)
                }
            }
        };
        let (running, (answer, result)) = within(limits, &got_on, attempt).await?;
        if self.config.keep_warm {
            self.idle = Some(running);
        }
        match (answer.ok, answer.error) {
            (Some(report), None) => {
                keep_result(work.output.clone(), result).await?;
                Ok(report)
            }
            (_, Some(failed)) => {
                Err(ProveFailure::Refused { class: failed.class, message: failed.message })
            }
            (None, None) => Err(ProveFailure::Refused {
                class: FailureClass::Node,
                message: "the prover answered nothing".into(),
            }),
        }
    }

    /// How much of a sandbox the child is in that was started last; `None` before there was any.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    /// Kills the child, if one is idle, and gives its memory back.
    pub fn stop(&mut self) {
        self.idle = None;
    }
}

/// What `attempt` comes to, unless it stands still or takes too long: `got_on` is notified of each step.
async fn within<T>(
    limits: TimeLimits,
    got_on: &Notify,
    attempt: impl Future<Output = Result<T, ProveFailure>>,
) -> Result<T, ProveFailure> {
    let TimeLimits { standstill, total } = limits;
    let begun = Instant::now();
    let mut attempt = std::pin::pin!(attempt);
    let mut still = std::pin::pin!(sleep_until(begun + standstill));
    let mut end = std::pin::pin!(sleep_until(begun + total));
    loop {
        tokio::select! {
            biased;
            ended = &mut attempt => return ended,
            () = &mut end => return Err(ProveFailure::Deadline { after: total }),
            () = got_on.notified() => still.as_mut().reset(Instant::now() + standstill),
            () = &mut still => return Err(ProveFailure::StoodStill { after: standstill }),
        }
    }
}

/// Says in the log how much of a sandbox there is, when it is not what it was.
fn note(known: &mut Option<Sandbox>, entered: Sandbox, config: &ProverConfig) {
    if known.as_ref() == Some(&entered) {
        return;
    }
    match (&entered, config.sandbox) {
        (Sandbox::Full, _) | (_, SandboxPolicy::Off) => {
            tracing::info!(system = %config.system, sandbox = %entered, "prover started");
        }
        _ => {
            tracing::warn!(system = %config.system, sandbox = %entered, "provers here work on strangers' data unconfined");
        }
    }
    *known = Some(entered);
}

/// Counts a child that died of an instruction which the processor does not have, so that the next makes do with fewer.
fn narrow(illegal_count: &mut usize, failure: &ProveFailure, config: &ProverConfig) {
    let ended = match failure {
        ProveFailure::Crashed { status, .. } => Some(status),
        ProveFailure::NotProver { ended, .. } => ended.as_ref(),
        _ => None,
    };
    if !ended.is_some_and(Ended::is_illegal_instruction) {
        return;
    }
    if let Some((name, value)) = config.narrower.get(*illegal_count) {
        tracing::warn!(system = %config.system, "a prover died of an instruction that this processor does not have (SIGILL): the next one is started with {name}={value}");
        *illegal_count += 1;
    }
}

/// Why there is no answer.
enum Broken {
    /// The child died or lost the thread.
    Child,
    /// An input could not be read to its end: the child still waits for it.
    Input(ProveFailure),
}

/// Refuses what would not fit into a line: nobody leases such a task.
fn check_bounds(work: &TaskWork) -> Result<(), ProveFailure> {
    let (inputs, arguments) = (work.inputs.len(), work.arguments.len());
    if inputs <= INPUT_COUNT_MAX && arguments <= ARGUMENTS_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "{} has {inputs} inputs and {arguments} bytes of arguments, at most {INPUT_COUNT_MAX} and \
         {ARGUMENTS_BYTES_MAX} are taken",
        work.task
    );
    Err(ProveFailure::Refused { class: FailureClass::Task, message })
}

/// glibc maps allocations of this size or more one by one, and so gives them back when they are freed. Unless told, it
/// learns from what it frees that buffers of up to 32 MiB are usual, and keeps them in its arenas: 60 MiB that nobody
/// uses, in a prover that gets by with 300. Other systems do not read it.
const MMAP_THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";
const MMAP_THRESHOLD_BYTES: &str = "1048576";

/// A started child. Dropping it kills it.
#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    watch: Watch,
    tail: Tail,
    reader: JoinHandle<()>,
}

impl Running {
    /// Starts one that makes do with fewer instructions, for so many that died of one which is not there.
    async fn start(
        config: &ProverConfig,
        illegal_count: usize,
        groups: Groups,
    ) -> Result<(Self, Sandbox), ProveFailure> {
        let program = config.program.clone();
        let mut command = Command::new(&config.program);
        command
            .args(&config.args)
            .current_dir("/")
            .env_clear()
            .envs(inherited())
            .env(MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
            .envs(config.env.iter().map(|(name, value)| (name, value)))
            .envs(config.narrower.iter().take(illegal_count).map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C goes to the whole foreground group: the process that runs this child decides what it means.
        #[cfg(unix)]
        command.process_group(0);
        // Provers on rayon's global pool take their threads from here.
        if let Some(threads) = config.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let mut child = command.spawn().map_err(|source| not_spawned(&program, source))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            let source = std::io::Error::other("its pipes are missing");
            return Err(ProveFailure::Spawn { program, source });
        };
        let tail = Tail::new(config.stderr_tail_bytes);
        let reader = tokio::spawn(tail.clone().keep(stderr));
        let (stdout, watch) = (BufReader::new(stdout), Watch::new(groups));
        let mut running = Self { child, stdin, stdout, watch, tail, reader };

        let configure = Configure {
            threads: config.threads,
            params: config.params.clone(),
            sandbox: config.sandbox,
        };
        let greeting = async {
            running.write(&configure).await?;
            read::<Ready>(&mut running.stdout).await
        };
        let (detail, ended) = match timeout(START_DEADLINE, greeting).await {
            Ok(Ok(ready)) if ready.system == config.system => return Ok((running, ready.sandbox)),
            Ok(Ok(ready)) => {
                (format!("it proves for {}, not {}", ready.system, config.system), None)
            }
            Ok(Err(error)) => {
                let status = running.end().await;
                if let Some(detail) = running.tail.lack(false) {
                    return Err(ProveFailure::OutOfMemory { limit: None, detail });
                }
                (format!("{error} ({status}) {}", running.tail.text()), Some(status))
            }
            Err(_) => (format!("it said nothing for {} s", START_DEADLINE.as_secs()), None),
        };
        Err(ProveFailure::NotProver { program, detail, ended })
    }

    /// The child, unless it died while idle.
    fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// The answer to `request`, and the result.
    async fn exchange(
        &mut self,
        request: &Request,
        inputs: &mut Inputs,
        mut progress: impl FnMut(u32),
    ) -> Result<(Answer, Vec<u8>), Broken> {
        self.watch.begin();
        self.tail.begin();
        self.write(request).await.map_err(|_| Broken::Child)?;
        for (path, file, size_bytes) in &mut inputs.0 {
            self.send_blob(path, file, *size_bytes).await?;
        }
        let mut done_permille = 0;
        loop {
            let answer: Answer = self.read_watched().await.map_err(|_| Broken::Child)?;
            match answer.heard(request.id, done_permille).ok_or(Broken::Child)? {
                Heard::Progress(permille) => {
                    done_permille = permille;
                    progress(permille);
                }
                Heard::End => {
                    let result = read_result(&mut self.stdout, answer.result_bytes).await;
                    return result.map(|result| (answer, result)).map_err(|_| Broken::Child);
                }
            }
        }
    }

    async fn send_blob(
        &mut self,
        path: &Path,
        file: &mut File,
        size_bytes: u64,
    ) -> Result<(), Broken> {
        let mut left_bytes = size_bytes;
        let mut chunk = vec![0; CHUNK_BYTES];
        while left_bytes > 0 {
            let most = chunk.len().min(usize::try_from(left_bytes).unwrap_or(usize::MAX));
            let count = match file.read(&mut chunk[..most]).await {
                Ok(count @ 1..) => count,
                Ok(0) => {
                    let error = std::io::Error::other("it has become shorter");
                    return Err(Broken::Input(unreadable(path, &error)));
                }
                Err(error) => return Err(Broken::Input(unreadable(path, &error))),
            };
            self.stdin.write_all(&chunk[..count]).await.map_err(|_| Broken::Child)?;
            left_bytes -= count as u64;
        }
        self.stdin.flush().await.map_err(|_| Broken::Child)
    }

    async fn write(&mut self, message: &impl serde::Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await?;
        self.stdin.flush().await
    }

    /// Reads a message, and looks at the child as long as none comes.
    async fn read_watched<T: serde::de::DeserializeOwned>(&mut self) -> std::io::Result<T> {
        let Self { child, stdout, watch, .. } = self;
        let pid = child.id();
        let mut message = std::pin::pin!(read(stdout));
        loop {
            match timeout(LOOK_PERIOD, &mut message).await {
                Ok(message) => return message,
                Err(_) => watch.look(pid),
            }
        }
    }

    /// Waits for the end of a child that is dying, or brings it about; how it ended. Then its last words are there.
    async fn end(&mut self) -> Ended {
        let status = match timeout(END_DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) => Ended::of(status),
            Ok(Err(error)) => Ended::Otherwise(error.to_string()),
            Err(_) => {
                let _ = self.child.kill().await;
                Ended::Otherwise("still running, killed".into())
            }
        };
        let _ = timeout(END_DEADLINE, &mut self.reader).await;
        status
    }

    /// What a dead child died of.
    async fn obituary(mut self, limit: Option<MemoryBytes>) -> ProveFailure {
        let status = self.end().await;
        if let Some(detail) = self.tail.lack(limit.is_some()) {
            return ProveFailure::OutOfMemory { limit, detail };
        }
        let stderr_tail = self.tail.text();
        if !status.is_kill() {
            return ProveFailure::Crashed { status, stderr_tail };
        }
        match self.watch.killer(limit) {
            killer @ Killer::OwnMemory => {
                let peak = self.watch.peak().unwrap_or_default();
                let detail = format!("killed {}, with {peak} taken", killer.words());
                ProveFailure::OutOfMemory { limit, detail }
            }
            killer => ProveFailure::Killed { by: killer.words(), stderr_tail },
        }
    }
}

/// Reads so many bytes. Memory is taken for what arrives, not for what the child announces.
pub(crate) async fn read_result(
    stdout: &mut (impl AsyncBufRead + Unpin),
    size_bytes: u64,
) -> std::io::Result<Vec<u8>> {
    let mut result = Vec::new();
    stdout.take(size_bytes).read_to_end(&mut result).await?;
    if result.len() as u64 == size_bytes {
        return Ok(result);
    }
    Err(std::io::Error::other("it closed its output"))
}

/// Reads one message.
pub(crate) async fn read<T: serde::de::DeserializeOwned>(
    stdout: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<T> {
    let mut line = Vec::new();
    stdout.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(std::io::Error::other("it closed its output"));
    }
    Ok(serde_json::from_slice(&line)?)
}

/// A child that did not come to be: for want of memory or of processes, or for another reason.
fn not_spawned(program: &Path, source: std::io::Error) -> ProveFailure {
    let program = program.to_owned();
    match lack_in(&source.to_string()) {
        Some(lack) => {
            let detail = format!("{} was not started: {lack}", program.display());
            ProveFailure::OutOfMemory { limit: None, detail }
        }
        None => ProveFailure::Spawn { program, source },
    }
}

/// What of this process's environment a child gets.
fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
}

#[cfg(test)]
mod tests;
