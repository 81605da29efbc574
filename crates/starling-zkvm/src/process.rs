//! The parent's side of a prover child: starts it when needed, gives it one task at a time, kills it when
//! it overstays, and says what became of it.
//!
//! The child stays between tasks, since starting costs it the loading of recursion programs. A future of
//! [`ProverProcess::run`] that is dropped takes the child with it: a revoked lease stops burning the CPU
//! at once.

use std::{
    collections::VecDeque,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use starling_types::{FailureClass, MemoryBytes, Profile, Task};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    Backend, ZKVM_VERSION,
    protocol::{Answer, Configure, LINE_BYTES_MAX, PhaseTime, Proved, Ready, Request},
};

/// How long a child may take to say that it is ready: loading a binary of 100 MB from a slow disk.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How long a child that closed its pipe may take to be gone, and its last words to arrive.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// How to start a prover child.
#[derive(Debug, Clone)]
pub struct ProverConfig {
    /// The executable, usually the running one.
    pub program: PathBuf,
    /// Arguments that make it call [`crate::prover::serve`].
    pub args: Vec<String>,
    /// How many threads it proves with; all cores when absent.
    pub threads: Option<u32>,
    /// What it proves with.
    pub backend: Backend,
    /// How much of its stderr is kept for reports of its death.
    pub stderr_tail_bytes: usize,
    /// Whether it stays between tasks. It holds some hundred MiB then, and saves seconds.
    pub keep_warm: bool,
}

impl ProverConfig {
    /// Bytes of stderr that tell a panic message with its surroundings.
    pub const STDERR_TAIL_BYTES: usize = 4 << 10;

    /// A warm child on all cores.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = String>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().collect(),
            threads: None,
            backend: Backend::default(),
            stderr_tail_bytes: Self::STDERR_TAIL_BYTES,
            keep_warm: true,
        }
    }
}

/// A task with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskWork {
    /// What to prove.
    pub task: Task,
    /// What else its prover wants to know: encoded [`TaskArguments`](crate::TaskArguments).
    pub arguments: Vec<u8>,
    /// The blobs that the task is about: a segment, a keccak request or a receipt; two receipts, left first, for a
    /// join or a union; the conditional receipt and that of its assumption for a resolve.
    pub inputs: Vec<PathBuf>,
    /// Where the receipt blob goes. It appears whole or not at all.
    pub output: PathBuf,
    /// How memory is traded for time.
    pub profile: Profile,
    /// What the child's memory may grow to (see [`crate::prover`] for where this is enforced). What the child still holds of
    /// the tasks before counts too.
    pub memory_limit: Option<MemoryBytes>,
}

/// What a finished task cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkReport {
    /// Time to prove the segment or the keccak permutations; zero for tasks of recursion alone.
    pub prove_ms: u64,
    /// Time to lift that; zero for other kinds, and where the stock prover proves and lifts keccak in one.
    pub lift_ms: u64,
    /// Time to join, unite, resolve or unwrap; zero for other kinds.
    pub join_ms: u64,
    /// The child's peak of resident memory during the task, where the system tells.
    pub peak_memory: Option<MemoryBytes>,
    /// The time of all cores together, where the system tells.
    pub cpu_ms: Option<u64>,
    /// How many proofs did not verify and were made once more. It says nothing against the guest, and little against the
    /// machine.
    pub reproved: u32,
    /// Where the time went, as far as the prover tells.
    pub phases: Vec<PhaseTime>,
}

impl From<Proved> for WorkReport {
    fn from(proved: Proved) -> Self {
        let Proved { prove_ms, lift_ms, join_ms, peak_memory, cpu_ms, reproved, phases } = proved;
        Self { prove_ms, lift_ms, join_ms, peak_memory, cpu_ms, reproved, phases }
    }
}

/// Why a task was not proved.
#[derive(Debug, Error)]
pub enum ProveFailure {
    /// The child did not start.
    #[error("cannot start the prover {program}: {source}")]
    Spawn {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was started is no prover of this release.
    #[error("{program} is no prover of this release: {detail}")]
    NotProver {
        /// What was started.
        program: PathBuf,
        /// What it did instead.
        detail: String,
    },
    /// The child needed more memory than it may have, or than there is.
    #[error("the prover ran out of memory{}: {detail}", limit.map(|limit| format!(" (limit {limit})")).unwrap_or_default())]
    OutOfMemory {
        /// The limit it had.
        limit: Option<MemoryBytes>,
        /// How it shows.
        detail: String,
    },
    /// Somebody ended the child: the system, where memory is short, or a person. It says nothing of the task until it
    /// happens again.
    #[error(
        "the prover was killed from outside (signal 9), as it happens when the system's memory is short: {stderr_tail}"
    )]
    Killed {
        /// The end of what it printed.
        stderr_tail: String,
    },
    /// The child died.
    #[error("the prover died ({status}): {stderr_tail}")]
    Crashed {
        /// Exit code or signal.
        status: String,
        /// The end of what it printed.
        stderr_tail: String,
    },
    /// The child took too long and was killed.
    #[error("the prover was stopped after {} s: the task's deadline has passed", after.as_secs())]
    Deadline {
        /// The time it was given.
        after: Duration,
    },
    /// The child looked at the task and declined.
    #[error("{message}")]
    Refused {
        /// Who should try again.
        class: FailureClass,
        /// The child's reason.
        message: String,
    },
}

impl ProveFailure {
    /// Whose trouble it is. A crash is this machine's until others report the same.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Refused { class, .. } => *class,
            Self::OutOfMemory { .. } => FailureClass::Memory,
            _ => FailureClass::Node,
        }
    }
}

/// A prover child, started when the first task comes.
#[derive(Debug)]
pub struct ProverProcess {
    config: ProverConfig,
    idle: Option<Running>,
    next_id: u64,
}

impl ProverProcess {
    /// A child that will be started by the first [`Self::run`].
    pub fn new(config: ProverConfig) -> Self {
        Self { config, idle: None, next_id: 0 }
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
        self.run_watched(work, deadline, |_| {}).await
    }

    /// [`Self::run`], with `progress` told how far the task is, in thousandths, a few times a second at most.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub async fn run_watched(
        &mut self,
        work: &TaskWork,
        deadline: Duration,
        progress: impl FnMut(u32) + Send,
    ) -> Result<WorkReport, ProveFailure> {
        // Taken out, so that a dropped future drops it, and with it kills it.
        let running = self.idle.take();
        self.next_id += 1;
        let request = Request {
            id: self.next_id,
            task: work.task,
            arguments: work.arguments.clone(),
            inputs: work.inputs.clone(),
            output: work.output.clone(),
            profile: work.profile,
            memory_limit: work.memory_limit,
        };
        let attempt = async {
            let mut running = match running.and_then(Running::if_alive) {
                Some(running) => running,
                None => Running::start(&self.config).await?,
            };
            match running.exchange(&request, progress).await {
                Some(answer) => Ok((running, answer)),
                None => Err(running.obituary(work.memory_limit).await),
            }
        };
        let (running, answer) = timeout(deadline, attempt)
            .await
            .unwrap_or(Err(ProveFailure::Deadline { after: deadline }))?;
        if self.config.keep_warm {
            self.idle = Some(running);
        }
        match (answer.ok, answer.error) {
            (Some(proved), None) => Ok(proved.into()),
            (_, Some(failed)) => {
                Err(ProveFailure::Refused { class: failed.class, message: failed.message })
            }
            (None, None) => Err(ProveFailure::Refused {
                class: FailureClass::Node,
                message: "the prover answered nothing".into(),
            }),
        }
    }

    /// Kills the child, if one is idle, and gives its memory back.
    pub fn stop(&mut self) {
        self.idle = None;
    }
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
    tail: Tail,
    reader: JoinHandle<()>,
}

impl Running {
    async fn start(config: &ProverConfig) -> Result<Self, ProveFailure> {
        let program = config.program.clone();
        let mut command = Command::new(&config.program);
        command
            .args(&config.args)
            // The zkVM reads this in places that take no options.
            .env_remove("RISC0_DEV_MODE")
            .env(MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C goes to the whole foreground group: whoever runs this child decides what it means.
        #[cfg(unix)]
        command.process_group(0);
        // The stock prover takes its threads from here.
        if let Some(threads) = config.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let spawned = command.spawn();
        let mut child =
            spawned.map_err(|source| ProveFailure::Spawn { program: program.clone(), source })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            let source = std::io::Error::other("its pipes are missing");
            return Err(ProveFailure::Spawn { program, source });
        };
        let tail = Tail::new(config.stderr_tail_bytes);
        let reader = tokio::spawn(keep_tail(stderr, tail.clone()));
        let mut running = Self { child, stdin, stdout: BufReader::new(stdout), tail, reader };

        let configure = Configure { threads: config.threads, backend: config.backend };
        let greeting = async {
            running.write(&configure).await?;
            running.read::<Ready>().await
        };
        let detail = match timeout(START_DEADLINE, greeting).await {
            Ok(Ok(ready)) if ready.zkvm == ZKVM_VERSION => return Ok(running),
            Ok(Ok(ready)) => format!("it proves for zkvm {}, not {ZKVM_VERSION}", ready.zkvm),
            Ok(Err(error)) => {
                let (status, stderr) = running.end().await;
                format!("{error} ({status}) {stderr}")
            }
            Err(_) => format!("it said nothing for {} s", START_DEADLINE.as_secs()),
        };
        Err(ProveFailure::NotProver { program, detail })
    }

    /// The child, unless it died while idle.
    fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// The answer to `request`; `None` when the child died or lost the thread.
    async fn exchange(
        &mut self,
        request: &Request,
        mut progress: impl FnMut(u32),
    ) -> Option<Answer> {
        self.write(request).await.ok()?;
        let mut done_permille = 0;
        loop {
            let answer: Answer = self.read().await.ok()?;
            if answer.id != request.id {
                return None;
            }
            let Some(permille) = answer.progress else { return Some(answer) };
            // Each is farther than the last, so that no child talks for ever.
            if !(done_permille + 1..=1000).contains(&permille) {
                return None;
            }
            done_permille = permille;
            progress(permille);
        }
    }

    async fn write(&mut self, message: &impl serde::Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await?;
        self.stdin.flush().await
    }

    async fn read<T: serde::de::DeserializeOwned>(&mut self) -> std::io::Result<T> {
        let mut line = Vec::new();
        (&mut self.stdout).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Err(std::io::Error::other("it closed its output"));
        }
        Ok(serde_json::from_slice(&line)?)
    }

    /// Waits for the end of a child that is dying, or brings it about.
    async fn end(mut self) -> (String, String) {
        let status = match timeout(END_DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                let _ = self.child.kill().await;
                "still running, killed".into()
            }
        };
        let _ = timeout(END_DEADLINE, &mut self.reader).await;
        (status, self.tail.text())
    }

    /// What a dead child died of.
    async fn obituary(self, limit: Option<MemoryBytes>) -> ProveFailure {
        let (status, stderr_tail) = self.end().await;
        // What allocators and thread starters print at the end of their memory. Native code that is
        // denied a thread or a buffer often says no more than that it terminates.
        const TEXTS: [&str; 3] = ["memory allocation of", "bad_alloc", "Cannot allocate memory"];
        let native = limit.is_some() && stderr_tail.contains("terminate called");
        if native || TEXTS.iter().any(|text| stderr_tail.contains(text)) {
            let detail = stderr_tail.lines().last().unwrap_or_default().into();
            return ProveFailure::OutOfMemory { limit, detail };
        }
        if status == SIGKILL {
            return ProveFailure::Killed { stderr_tail };
        }
        ProveFailure::Crashed { status, stderr_tail }
    }
}

const SIGKILL: &str = "signal 9";

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    status.code().map_or_else(|| "unknown status".into(), |code| format!("exit code {code}"))
}

/// The last bytes of a stream.
#[derive(Debug, Clone)]
struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    limit: usize,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    fn push(&self, chunk: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend(chunk);
        let surplus = bytes.len().saturating_sub(self.limit);
        bytes.drain(..surplus);
    }

    fn text(&self) -> String {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.make_contiguous()).trim().into()
    }
}

async fn keep_tail(mut stderr: ChildStderr, tail: Tail) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        tail.push(&chunk[..count]);
        tracing::debug!(text = %String::from_utf8_lossy(&chunk[..count]).trim_end(), "prover stderr");
    }
}

#[cfg(test)]
mod tests;
