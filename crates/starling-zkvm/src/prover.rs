//! The prover child: proves one task after the other, reads requests from stdin, answers on stdout.
//!
//! It is a process of its own because it runs native code on what strangers sent: its memory limit, its
//! crashes and its hangs are its own. It ends when its stdin closes, in the middle of a proof if need be,
//! so it never outlives its parent. (The kernel's parent-death signal would not do: it fires when the
//! *thread* that started the child ends, and an async runtime ends threads at will.)
//!
//! Every receipt is verified before it is written: RISC Zero's proving functions end with that.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Instant,
};

use risc0_zkvm::SegmentReceipt;
use starling_types::{MemoryBytes, TaskId};
use thiserror::Error;

use crate::{
    FailureClass, SEGMENT_PO2_MAX, SEGMENT_PO2_MIN, ZKVM_VERSION,
    backend::Provers,
    codec::{self, BlobKind},
    panic,
    protocol::{Answer, Configure, Failed, MESSAGE_CHARS_MAX, Proved, Ready, Request, read_line},
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
/// Takes over stdin and stdout: whatever else is printed to stdout, native code included, goes to stderr.
///
/// # Errors
/// [`ServeError`] when there is no parent at the other end or the prover cannot start.
pub fn serve() -> Result<(), ServeError> {
    let mut answers = take_stdout()?;
    let mut stdin = BufReader::new(io::stdin());
    let first =
        read_line(&mut stdin)?.ok_or_else(|| ServeError::NoParent("stdin is closed".into()))?;
    let configure: Configure =
        serde_json::from_str(&first).map_err(|error| ServeError::NoParent(error.to_string()))?;
    let memory_limited = match configure.memory_limit {
        Some(limit) => limit_memory(limit)?,
        None => false,
    };
    let prover = Provers::new(configure.backend, configure.threads)
        .map_err(|error| ServeError::Prover(format!("{error:#}")))?;
    send(&mut answers, &Ready { zkvm: ZKVM_VERSION.into(), memory_limited })?;

    let (sender, requests) = mpsc::sync_channel(REQUESTS_QUEUED_MAX);
    let pending = Arc::new(AtomicU32::new(0));
    let reader = {
        let pending = Arc::clone(&pending);
        move || read_requests(stdin, &sender, &pending)
    };
    std::thread::Builder::new().name("requests".into()).spawn(reader)?;

    for request in requests {
        reset_peak_memory();
        let outcome = panic::catch(|| prove(&prover, &request)).unwrap_or_else(|message| {
            // Native code below the prover panics on what it did not expect to be asked to prove.
            Err(TaskError::task(format!("the prover panicked: {message}")))
        });
        let answer = match outcome {
            Ok(proved) => Answer { id: request.id, ok: Some(proved), error: None },
            Err(TaskError { class, message }) => {
                let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
                Answer { id: request.id, ok: None, error: Some(Failed { class, message }) }
            }
        };
        pending.fetch_sub(1, Ordering::SeqCst);
        send(&mut answers, &answer)?;
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

fn send(to: &mut File, message: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Caps what this process may allocate; false where the system has no such cap.
///
/// Linux counts private writable mappings, thread stacks included, against `RLIMIT_DATA`. macOS accepts
/// the limit and ignores it for mappings: there, the node's own accounting is the only guard.
#[cfg(target_os = "linux")]
fn limit_memory(limit: MemoryBytes) -> io::Result<bool> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // A lower hard limit from outside stays: raising it is not ours to ask for.
    let limit = match getrlimit(Resource::Data).maximum {
        Some(hard) => hard.min(limit.0),
        None => limit.0,
    };
    setrlimit(Resource::Data, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn limit_memory(_: MemoryBytes) -> io::Result<bool> {
    Ok(false)
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

/// A task that failed.
struct TaskError {
    class: FailureClass,
    message: String,
}

impl TaskError {
    fn input(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Input, message: message.into() }
    }

    fn task(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Task, message: message.into() }
    }

    fn internal(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Internal, message: message.into() }
    }
}

fn prove(provers: &Provers, request: &Request) -> Result<Proved, TaskError> {
    let task: TaskId = request.task.parse().map_err(|error| TaskError::task(format!("{error}")))?;
    let mut proved = Proved::default();
    let blob = match (task, request.inputs.as_slice()) {
        (TaskId::Prove(index), [segment]) => {
            let receipt = prove_segment(provers, request, segment, index, &mut proved)?;
            codec::encode_segment_receipt(&receipt)
        }
        (TaskId::Lift(index), [segment]) => {
            let receipt = prove_segment(provers, request, segment, index, &mut proved)?;
            let started = Instant::now();
            let lifted = provers
                .lift(&receipt)
                .map_err(|error| TaskError::task(format!("lifting failed: {error:#}")))?;
            proved.lift_ms = elapsed_ms(started);
            codec::encode_succinct_receipt(&lifted)
        }
        (TaskId::Join(_), [left, right]) => {
            let decode = |path: &PathBuf, side| {
                codec::decode_succinct_receipt(&read_blob(path, BlobKind::SuccinctReceipt)?)
                    .map_err(|error| TaskError::input(format!("{side} receipt: {error}")))
            };
            let (left, right) = (decode(left, "left")?, decode(right, "right")?);
            let started = Instant::now();
            // The recursion program checks that right begins where left ends.
            let joined = provers
                .join(&left, &right)
                .map_err(|error| TaskError::input(format!("joining failed: {error:#}")))?;
            proved.join_ms = elapsed_ms(started);
            codec::encode_succinct_receipt(&joined)
        }
        (task, inputs) => {
            return Err(TaskError::task(format!("{task} does not take {} inputs", inputs.len())));
        }
    };
    let blob = blob.map_err(|error| TaskError::internal(error.to_string()))?;
    write_blob(&request.output, &blob)?;
    proved.peak_memory = peak_memory();
    Ok(proved)
}

fn prove_segment(
    provers: &Provers,
    request: &Request,
    path: &Path,
    index: u32,
    proved: &mut Proved,
) -> Result<SegmentReceipt, TaskError> {
    let blob = read_blob(path, BlobKind::Segment)?;
    let segment =
        codec::decode_segment(&blob).map_err(|error| TaskError::input(error.to_string()))?;
    drop(blob);
    if segment.index != index {
        let found = segment.index;
        return Err(TaskError::input(format!("the blob holds segment {found}, not {index}")));
    }
    let (po2, po2_max) = (segment.po2(), request.po2_max.get().min(SEGMENT_PO2_MAX));
    if po2 > po2_max as usize || po2 < SEGMENT_PO2_MIN as usize {
        return Err(TaskError::task(format!(
            "the segment has po2 {po2}, allowed is {SEGMENT_PO2_MIN} to {po2_max} here"
        )));
    }
    let started = Instant::now();
    let receipt = provers
        .prove_segment(&segment)
        .map_err(|error| TaskError::task(format!("proving failed: {error:#}")))?;
    proved.prove_ms = elapsed_ms(started);
    Ok(receipt)
}

fn read_blob(path: &Path, kind: BlobKind) -> Result<Vec<u8>, TaskError> {
    let unreadable = |error| TaskError::input(format!("cannot read {}: {error}", path.display()));
    let size_bytes = fs::metadata(path).map_err(unreadable)?.len();
    let limit_bytes = kind.blob_bytes_max();
    if size_bytes > limit_bytes {
        return Err(TaskError::input(format!(
            "{} has {size_bytes} bytes, a {kind} blob has at most {limit_bytes}",
            path.display()
        )));
    }
    fs::read(path).map_err(unreadable)
}

/// Writes beside the target and renames, so that a reader never sees half a blob.
fn write_blob(path: &Path, blob: &[u8]) -> Result<(), TaskError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, blob)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|error| TaskError::internal(format!("cannot write {}: {error}", path.display())))
}

fn elapsed_ms(started: Instant) -> u64 {
    started.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_memory_is_known_on_linux() {
        let peak = peak_memory().unwrap();
        assert!(peak > MemoryBytes::from_mib(1) && peak < MemoryBytes::from_mib(1 << 20), "{peak}");
    }

    #[test]
    fn a_blob_appears_whole_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        assert!(write_blob(&path, b"receipt").is_ok());
        assert_eq!(fs::read(&path).unwrap(), b"receipt");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
