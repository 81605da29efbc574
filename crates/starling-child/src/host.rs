//! The prover child: proves one task after the other, reads requests from stdin, answers on stdout.
//!
//! It is a process of its own because it runs native code on what strangers sent: its memory limit, its
//! crashes and its hangs are its own. It ends when its stdin closes, in the middle of a proof if need be,
//! so it never outlives its parent. (The kernel's parent-death signal would not do: it fires when the
//! *thread* that started the child ends, and an async runtime ends threads at will.)
//!
//! Inputs are files here, and the result becomes one: a [`Prover`] sees neither.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use starling_files::{Existing, Readers, write_whole};
use thiserror::Error;

use crate::{
    Blob, Input, Phases, Proved, Prover, Refusal, Setup, Work, WorkReport,
    lack::lack_in,
    protocol::{Answer, Configure, Failed, MESSAGE_CHARS_MAX, Ready, Request, read_line},
    usage::{cpu_ms, limit_memory, peak_memory, reset_peak_memory},
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
    #[error("this command is run by a node, not by hand: {0}")]
    NoParent(String),
    /// No thread can be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
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
pub fn serve<P: Prover>(phases: Phases) -> Result<(), ServeError> {
    let answers = Answers(Arc::new(Mutex::new(take_stdout()?)));
    let mut stdin = BufReader::new(io::stdin());
    let first =
        read_line(&mut stdin)?.ok_or_else(|| ServeError::NoParent("stdin is closed".into()))?;
    let Configure { threads, params } =
        serde_json::from_str(&first).map_err(|error| ServeError::NoParent(error.to_string()))?;
    let mut prover = P::ready(&Setup { threads, params }).map_err(ServeError::Prover)?;

    let (sender, requests) = mpsc::sync_channel(REQUESTS_QUEUED_MAX);
    let pending = Arc::new(AtomicU32::new(0));
    let reader = {
        let pending = Arc::clone(&pending);
        move || read_requests(stdin, &sender, &pending)
    };
    let reading = std::thread::Builder::new().name("requests".into()).spawn(reader);
    reading.map_err(ServeError::Thread)?;
    // All threads are there: whoever cannot start them is not ready.
    answers.send(&Ready { system: P::system() })?;

    for request in requests {
        let id = request.id;
        phases.begin(answers.progress_of(id));
        let outcome = run(&mut prover, &phases, request);
        let phases = phases.end();
        let mut answer = Answer { id, ..Answer::default() };
        match outcome {
            Ok(report) => answer.ok = Some(WorkReport { phases, ..report }),
            Err(Refusal { class, message }) => {
                let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
                answer.error = Some(Failed { class, message });
            }
        }
        pending.fetch_sub(1, Ordering::SeqCst);
        answers.send(&answer)?;
    }
    Ok(())
}

/// Proves what is asked for and writes the result.
fn run(prover: &mut impl Prover, phases: &Phases, request: Request) -> Result<WorkReport, Refusal> {
    let Request { task, arguments, inputs, output, profile, memory_limit, .. } = request;
    limit_memory(memory_limit)
        .map_err(|error| Refusal::internal(format!("cannot limit the memory: {error}")))?;
    reset_peak_memory();
    let cpu_ms_before = cpu_ms();
    let input =
        |file: crate::InputFile| Input { role: file.role, blob: Box::new(OnDisk(file.path)) };
    let inputs: Vec<_> = inputs.into_iter().map(input).collect();
    let work = Work { task, arguments: &arguments, inputs: &inputs, profile, memory_limit };
    // Code that a stranger's input runs through is caught where it is called: a panic here is a fault of ours.
    let proved = starling_panic::catch(|| prover.prove(&work, phases))
        .unwrap_or_else(|panic| Err(panicked(&panic)))?;
    let Proved { blob, steps, reproved } = proved;
    // A reader never sees half of a result.
    write_whole(&output, Readers::Owner, Existing::Replace, |file| file.write_all(&blob)).map_err(
        |error| Refusal::internal(format!("cannot write {}: {error}", output.display())),
    )?;
    let cpu_ms = cpu_ms().zip(cpu_ms_before).map(|(now, then)| now - then);
    Ok(WorkReport { steps, peak_memory: peak_memory(), cpu_ms, reproved, phases: Vec::new() })
}

/// What a panic of the prover means: code that cannot be denied a thread panics where one does not start.
fn panicked(panic: &str) -> Refusal {
    match lack_in(panic) {
        Some(lack) => Refusal::memory(lack),
        None => Refusal::internal(format!("the prover panicked: {panic}")),
    }
}

/// A blob in a file.
#[derive(Debug)]
struct OnDisk(PathBuf);

impl Blob for OnDisk {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.0)?.len())
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        fs::read(&self.0)
    }
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

#[cfg(test)]
mod tests {
    use starling_types::FailureClass;

    use super::*;

    #[test]
    fn a_panic_for_want_of_a_thread_is_the_machines_lack_and_any_other_is_a_fault_of_ours() {
        let spawn = r#"failed to spawn thread: Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" } (library/std/src/thread/mod.rs:723)"#;
        let refusal = panicked(spawn);
        assert_eq!(refusal.class, FailureClass::Memory, "{refusal}");
        assert!(refusal.message.starts_with("failed to spawn thread"), "{refusal}");
        assert_eq!(
            panicked("called `Option::unwrap()` on a `None` value").class,
            FailureClass::Node
        );
    }
}
