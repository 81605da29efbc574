//! The prover child: proves one task after the other, reads requests from stdin, answers on stdout.
//!
//! It is a process of its own because it runs native code on what strangers sent: its memory limit, its
//! crashes and its hangs are its own. It ends when its stdin closes, in the middle of a proof if need be,
//! so it never outlives its parent. (The kernel's parent-death signal would not do: it fires when the
//! *thread* that started the child ends, and an async runtime ends threads at will.)
//!
//! Every receipt is verified before it is written. While a task runs, the child says how far it is.

mod course;
mod phases;
mod tasks;

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use starling_types::MemoryBytes;
use thiserror::Error;

pub use self::phases::Phases;
use self::{
    course::Course,
    tasks::{TaskError, named, prove},
};
use crate::{
    TaskArguments, ZKVM_VERSION,
    backend::Provers,
    panic,
    protocol::{Answer, Configure, Failed, MESSAGE_CHARS_MAX, Ready, Request, read_line},
};

/// Requests that wait for the one in progress. The parent sends one at a time.
const REQUESTS_QUEUED_MAX: usize = 1;

/// Why the child gave up as a whole.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The pipes to the parent do not work.
    #[error("the pipe to the parent failed: {0}")]
    Pipe(#[from] io::Error),
    /// The other end is not the parent that this process is for.
    #[error("this command is run by `starling node`, not by hand: {0}")]
    NoParent(String),
    /// The proving library does not start.
    #[error("the prover does not start: {0}")]
    Prover(String),
}

/// The main function of the prover child; returns when stdin closes.
///
/// Takes over stdin and stdout: whatever else is printed to stdout, native code included, goes to stderr. `phases` is
/// what hears of the phases of proofs, if its layer is in the process's subscriber.
///
/// # Errors
/// [`ServeError`] when there is no parent at the other end or the prover cannot start.
pub fn serve(phases: Phases) -> Result<(), ServeError> {
    let answers = Answers(Arc::new(Mutex::new(take_stdout()?)));
    let mut stdin = BufReader::new(io::stdin());
    let first =
        read_line(&mut stdin)?.ok_or_else(|| ServeError::NoParent("stdin is closed".into()))?;
    let configure: Configure =
        serde_json::from_str(&first).map_err(|error| ServeError::NoParent(error.to_string()))?;
    let mut prover = Provers::new(configure.backend, configure.threads)
        .map_err(|error| ServeError::Prover(format!("{error:#}")))?;
    answers.send(&Ready { zkvm: ZKVM_VERSION.into() })?;

    let (sender, requests) = mpsc::sync_channel(REQUESTS_QUEUED_MAX);
    let pending = Arc::new(AtomicU32::new(0));
    let reader = {
        let pending = Arc::clone(&pending);
        move || read_requests(stdin, &sender, &pending)
    };
    std::thread::Builder::new().name("requests".into()).spawn(reader)?;

    for request in requests {
        reset_peak_memory();
        let cpu_ms_before = cpu_ms();
        limit_memory(request.memory_limit)?;
        let arguments = TaskArguments::decode(&request.arguments);
        if let (Ok(task), Ok(TaskArguments { po2_max, .. })) = (named(request.task), arguments) {
            let course = Course::new(task.kind(), po2_max);
            phases.begin(course, answers.progress_of(request.id));
        }
        let outcome =
            panic::catch(|| prove(&mut prover, &phases, &request)).unwrap_or_else(|message| {
                // Code that a stranger's segment runs through is caught where it is called: this is a fault of ours.
                Err(TaskError::internal(format!("the prover panicked: {message}")))
            });
        let phases = phases.end();
        let mut answer = Answer { id: request.id, ..Answer::default() };
        match outcome {
            Ok(mut proved) => {
                proved.cpu_ms = cpu_ms().zip(cpu_ms_before).map(|(now, then)| now - then);
                proved.phases = phases;
                answer.ok = Some(proved);
            }
            Err(TaskError { class, mut message }) => {
                let again = prover.reproved();
                if again > 0 {
                    message.push_str(&format!("; proved {} times", again + 1));
                }
                let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
                answer.error = Some(Failed { class, message });
            }
        }
        pending.fetch_sub(1, Ordering::SeqCst);
        answers.send(&answer)?;
    }
    Ok(())
}

/// Reads requests until the parent is gone, then ends the process if it is in the middle of a proof.
fn read_requests(
    mut stdin: BufReader<io::Stdin>,
    sender: &mpsc::SyncSender<Request>,
    pending: &AtomicU32,
) {
    while let Ok(Some(line)) = read_line(&mut stdin) {
        let Ok(request) = serde_json::from_str(&line) else { break };
        pending.fetch_add(1, Ordering::SeqCst);
        if sender.send(request).is_err() {
            break;
        }
    }
    if pending.load(Ordering::SeqCst) > 0 {
        // Not `exit`: it runs the destructors of native libraries under the feet of the proving threads.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Moves the pipe to the parent away from fd 1, where native code may print.
fn take_stdout() -> io::Result<File> {
    let answers = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(answers))
}

/// The pipe to the parent. Lines are whole whichever thread sends them.
#[derive(Clone)]
struct Answers(Arc<Mutex<File>>);

impl Answers {
    fn send(&self, message: &impl serde::Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }

    /// Tells the parent how far request `id` is.
    fn progress_of(&self, id: u64) -> impl FnMut(u32) + Send + 'static {
        let answers = self.clone();
        move |permille| {
            // A parent that is gone shows elsewhere: stdin ends.
            let _ = answers.send(&Answer { id, progress: Some(permille), ..Answer::default() });
        }
    }
}

/// Caps what this process may allocate for the next task, what it holds already included, where the system has such a cap.
///
/// Linux counts private writable mappings, thread stacks included, against `RLIMIT_DATA`. macOS accepts
/// the limit and ignores it for mappings: there, the node's own accounting is the only guard.
#[cfg(target_os = "linux")]
fn limit_memory(limit: Option<MemoryBytes>) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // A hard limit from outside stays: raising it is not ours to ask for. Ours is the soft one, for the next to differ.
    let maximum = getrlimit(Resource::Data).maximum;
    let current = match (limit.map(|limit| limit.0), maximum) {
        (Some(limit), Some(hard)) => Some(limit.min(hard)),
        (limit, hard) => limit.or(hard),
    };
    setrlimit(Resource::Data, Rlimit { current, maximum })?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_: Option<MemoryBytes>) -> io::Result<()> {
    Ok(())
}

/// Makes the next peak the peak of one task. Without it the report is the peak of all tasks so far.
fn reset_peak_memory() {
    if cfg!(target_os = "linux") {
        let _ = fs::write("/proc/self/clear_refs", "5");
    }
}

/// The peak of resident memory, where the system tells.
fn peak_memory() -> Option<MemoryBytes> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(MemoryBytes(kib << 10))
}

/// The time that all threads of this process have spent on cores so far, where the system tells.
fn cpu_ms() -> Option<u64> {
    // Linux counts it for others in hundredths of a second, whatever its own clock is.
    const TICK_MS: u64 = 10;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses; user and system time are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(|ticks| ticks.parse::<u64>().ok());
    Some((times.next()?? + times.next()??) * TICK_MS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_time_on_cores_grows_by_what_is_spent() {
        let (started, before) = (std::time::Instant::now(), cpu_ms().unwrap());
        while started.elapsed().as_secs() < 30 && cpu_ms().unwrap() < before + 50 {
            std::hint::black_box((0..100_000u64).sum::<u64>());
        }
        let spent = cpu_ms().unwrap() - before;
        assert!((50..60_000).contains(&spent), "{spent} ms");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_memory_is_known_on_linux() {
        let peak = peak_memory().unwrap();
        assert!(peak > MemoryBytes::from_mib(1) && peak < MemoryBytes::from_mib(1 << 20), "{peak}");
    }
}
