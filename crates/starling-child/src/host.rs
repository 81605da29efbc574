//! The prover child: proves one task after the other, reads requests from stdin, answers on stdout.
//!
//! It is a process of its own because it runs native code on what strangers sent: its memory limit, its
//! crashes and its hangs are its own. It ends when its stdin closes, in the middle of a proof if need be,
//! so it never outlives its parent. (The kernel's parent-death signal would not do: it fires when the
//! *thread* that started the child ends, and an async runtime ends threads at will.)
//!
//! Inputs come through stdin and results go through stdout, so that it needs nothing that has a name: it gives up files,
//! network and other programs before it reads the first of them (`sandbox.rs`).

use std::{
    fs::File,
    io::{self, BufReader, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use starling_types::MemoryBytes;
use thiserror::Error;

use crate::{
    Input, Phases, Proved, Prover, Refusal, SandboxError, Setup, Work, WorkReport,
    lack::lack_in,
    protocol::{
        Answer, Configure, Failed, MESSAGE_CHARS_MAX, RESULT_BYTES_MAX, Ready, Request, read_blob,
        read_line,
    },
    sandbox,
    usage::{Meters, limit_memory},
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
    /// A sandbox is required, and there is none, or only a part.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
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
    let Configure { threads, params, sandbox } =
        serde_json::from_str(&first).map_err(|error| ServeError::NoParent(error.to_string()))?;
    let meters = Meters::open();
    // Before there is any other thread, and before anything is read that a stranger had a hand in.
    let sandbox = sandbox::enter(sandbox)?;
    let mut prover = P::ready(&Setup { threads, params }).map_err(ServeError::Prover)?;

    let (sender, requests) = mpsc::sync_channel(REQUESTS_QUEUED_MAX);
    let pending = Arc::new(AtomicU32::new(0));
    let reader = {
        let pending = Arc::clone(&pending);
        move || read_requests(stdin, &sender, &pending)
    };
    let reading = std::thread::Builder::new().name("requests".into()).spawn(reader);
    reading.map_err(ServeError::Thread)?;
    // All threads are there: a child that cannot start them is not ready.
    answers.send(&Ready { system: P::system(), sandbox }, &[])?;

    for (request, inputs) in requests {
        let id = request.id;
        phases.begin(answers.progress_of(id));
        let outcome = run(&mut prover, &phases, &meters, request, inputs);
        let phases = phases.end();
        let mut answer = Answer { id, ..Answer::default() };
        let mut result = Vec::new();
        match outcome {
            Ok((blob, report)) => {
                answer.ok = Some(WorkReport { phases, ..report });
                answer.result_bytes = blob.len() as u64;
                result = blob;
            }
            Err(Refusal { class, message }) => {
                let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
                answer.error = Some(Failed { class, message });
            }
        }
        pending.fetch_sub(1, Ordering::SeqCst);
        answers.send(&answer, &result)?;
    }
    Ok(())
}

/// The blobs of a task's inputs, in their order.
pub(crate) type Inputs = Vec<Vec<u8>>;

/// Proves what is asked for.
fn run(
    prover: &mut impl Prover,
    phases: &Phases,
    meters: &Meters,
    request: Request,
    blobs: Inputs,
) -> Result<(Vec<u8>, WorkReport), Refusal> {
    let Request { task, arguments, inputs, profile, memory_limit, .. } = request;
    meters.reset_peak_memory();
    let cpu_ms_before = meters.cpu_ms();
    let inputs: Vec<_> = inputs
        .into_iter()
        .zip(blobs)
        .map(|(input, blob)| Input { role: input.role, blob: Box::new(blob) })
        .collect();
    let work = Work { task, arguments: &arguments, inputs: &inputs, profile, memory_limit };
    // Code that a stranger's input runs through is caught where it is called: a panic here is a fault of ours.
    let proved = starling_panic::catch(|| prover.prove(&work, phases))
        .unwrap_or_else(|panic| Err(panicked(&panic)))?;
    let Proved { blob, steps, reproved } = proved;
    if blob.len() as u64 > RESULT_BYTES_MAX {
        let message =
            format!("a result of {} bytes: at most {RESULT_BYTES_MAX} are taken", blob.len());
        return Err(Refusal::internal(message));
    }
    let cpu_ms = meters.cpu_ms().zip(cpu_ms_before).map(|(now, then)| now - then);
    let peak_memory = meters.peak_memory();
    Ok((blob, WorkReport { steps, peak_memory, cpu_ms, reproved, phases: Vec::new() }))
}

/// What a panic of the prover means: code that cannot be denied a thread panics where one does not start.
fn panicked(panic: &str) -> Refusal {
    match lack_in(panic) {
        Some(lack) => Refusal::memory(lack),
        None => Refusal::internal(format!("the prover panicked: {panic}")),
    }
}

/// Reads requests until the parent is gone, then ends the process if it is in the middle of a proof.
fn read_requests(
    mut stdin: BufReader<io::Stdin>,
    sender: &mpsc::SyncSender<(Request, Inputs)>,
    pending: &AtomicU32,
) {
    while let Ok(Some(request)) = read_request(&mut stdin, limit_memory) {
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

/// Reads a request with its inputs; `None` at the end of the stream. The parent sends the next only after the answer to
/// the last, so that this task's limit can be set, by `limit`, before its inputs take memory.
pub(crate) fn read_request(
    stdin: &mut impl io::BufRead,
    limit: impl FnOnce(Option<MemoryBytes>) -> io::Result<()>,
) -> io::Result<Option<(Request, Inputs)>> {
    let Some(line) = read_line(stdin)? else { return Ok(None) };
    let request: Request = serde_json::from_str(&line)?;
    limit(request.memory_limit)?;
    let sizes = request.inputs.iter().map(|input| input.size_bytes);
    let inputs = sizes.map(|size_bytes| read_blob(stdin, size_bytes)).collect::<io::Result<_>>()?;
    Ok(Some((request, inputs)))
}

/// Moves the pipe to the parent away from fd 1, where native code may print.
fn take_stdout() -> io::Result<File> {
    let answers = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(answers))
}

/// The pipe to the parent. Lines are whole whichever thread sends them, and a blob follows its line.
#[derive(Clone)]
struct Answers(Arc<Mutex<File>>);

impl Answers {
    fn send(&self, message: &impl serde::Serialize, blob: &[u8]) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pipe.write_all(&line)?;
        pipe.write_all(blob)
    }

    /// Tells the parent how far request `id` is.
    fn progress_of(&self, id: u64) -> impl FnMut(u32) + Send + 'static {
        let answers = self.clone();
        move |permille| {
            // A parent that is gone shows elsewhere: stdin ends.
            let how_far = Answer { id, progress: Some(permille), ..Answer::default() };
            let _ = answers.send(&how_far, &[]);
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
