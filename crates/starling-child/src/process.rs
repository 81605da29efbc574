//! The parent's side of a prover child: starts it when needed, gives it one task at a time, kills it when
//! it overstays, and says what became of it.
//!
//! The child stays between tasks, since starting costs it the loading of recursion programs. A future of
//! [`ProverProcess::run`] that is dropped takes the child with it: a revoked lease stops burning the CPU
//! at once.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use starling_types::{FailureClass, MemoryBytes};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    ARGUMENTS_BYTES_MAX, INPUT_COUNT_MAX, ProveFailure, TaskWork, WorkReport,
    killed::{Groups, Killer, LOOK_PERIOD, Watch},
    lack::lack_in,
    protocol::{Answer, Configure, LINE_BYTES_MAX, Ready, Request},
    tail::Tail,
};

/// How long a child may take to say that it is ready: loading a binary of 100 MB from a slow disk.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How long a child that closed its pipe may take to be gone, and its last words to arrive.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// How to start a prover child.
#[derive(Debug, Clone)]
pub struct ProverConfig {
    /// The system that it must prove for, as it says itself when it is ready.
    pub system: String,
    /// The executable, usually the running one.
    pub program: PathBuf,
    /// Arguments that make it call [`serve`](crate::serve) for that system.
    pub args: Vec<String>,
    /// Environment variables that it does not get.
    pub env_removed: Vec<String>,
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
        system: impl Into<String>,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            system: system.into(),
            program: program.into(),
            args: args.into_iter().collect(),
            env_removed: Vec::new(),
            params: String::new(),
            threads: None,
            stderr_tail_bytes: Self::STDERR_TAIL_BYTES,
            keep_warm: true,
        }
    }
}

/// A prover child, started when the first task comes.
#[derive(Debug)]
pub struct ProverProcess {
    config: ProverConfig,
    groups: Groups,
    idle: Option<Running>,
    next_id: u64,
}

impl ProverProcess {
    /// A child that will be started by the first [`Self::run`].
    pub fn new(config: ProverConfig) -> Self {
        Self { config, groups: Groups::of_this_process(), idle: None, next_id: 0 }
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
        check_bounds(work)?;
        // Taken out, so that a dropped future drops it, and with it kills it.
        let running = self.idle.take();
        self.next_id += 1;
        let request = Request::new(self.next_id, work);
        let attempt = async {
            let mut running = match running.and_then(Running::if_alive) {
                Some(running) => running,
                None => Running::start(&self.config, self.groups.clone()).await?,
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
            (Some(report), None) => Ok(report),
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
    async fn start(config: &ProverConfig, groups: Groups) -> Result<Self, ProveFailure> {
        let program = config.program.clone();
        let mut command = Command::new(&config.program);
        command
            .args(&config.args)
            .env(MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C goes to the whole foreground group: whoever runs this child decides what it means.
        #[cfg(unix)]
        command.process_group(0);
        for variable in &config.env_removed {
            command.env_remove(variable);
        }
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

        let configure = Configure { threads: config.threads, params: config.params.clone() };
        let greeting = async {
            running.write(&configure).await?;
            read::<Ready>(&mut running.stdout).await
        };
        let detail = match timeout(START_DEADLINE, greeting).await {
            Ok(Ok(ready)) if ready.system == config.system => return Ok(running),
            Ok(Ok(ready)) => format!("it proves for {}, not {}", ready.system, config.system),
            Ok(Err(error)) => {
                let status = running.end().await;
                if let Some(detail) = running.tail.lack(false) {
                    return Err(ProveFailure::OutOfMemory { limit: None, detail });
                }
                format!("{error} ({status}) {}", running.tail.text())
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
        self.watch.begin();
        self.tail.begin();
        self.write(request).await.ok()?;
        let mut done_permille = 0;
        loop {
            let answer: Answer = self.read_watched().await.ok()?;
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
    async fn end(&mut self) -> String {
        let status = match timeout(END_DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                let _ = self.child.kill().await;
                "still running, killed".into()
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
        if status != SIGKILL {
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

/// Reads one message.
async fn read<T: serde::de::DeserializeOwned>(
    stdout: &mut BufReader<ChildStdout>,
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

const SIGKILL: &str = "signal 9";

fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    status.code().map_or_else(|| "unknown status".into(), |code| format!("exit code {code}"))
}

#[cfg(test)]
mod tests;
