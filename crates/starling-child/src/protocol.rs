//! What a supervisor and its prover child say to each other: one JSON object for each line.
//!
//! The parent opens with [`Configure`], the child answers [`Ready`]; then requests and answers alternate. Before the answer
//! that ends a task, the child may send answers that say how far it is, each farther than the last.
//! Blobs follow the line that announces their sizes: the inputs follow a request, the result follows an answer that ends a
//! task well. So the child needs no file. Both ends are the same release, so nothing here is versioned.
//!
//! The standard library reads the lines, up to a limit. The child reads on a thread, for which `tokio_util`'s `LinesCodec` is not
//! made, and both ends should share one rule of what a line is.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use starling_types::{FailureClass, MemoryBytes, Profile, Role, SystemName, Task};

use crate::{Sandbox, SandboxPolicy};

/// The most bytes of a task's arguments: they are words about a task, never its data, which are blobs.
pub const ARGUMENTS_BYTES_MAX: usize = 1 << 10;

/// The most bytes of a result. A parent takes no more on the word of its child, which works on what strangers sent.
pub const RESULT_BYTES_MAX: u64 = 64 << 20;

/// What of a line is not arguments: names, numbers, a message of [`MESSAGE_CHARS_MAX`], phases.
const REST_BYTES_MAX: usize = 64 << 10;

/// The most bytes of a line. Whatever fits into it is taken, a runaway peer is not.
pub(crate) const LINE_BYTES_MAX: u64 = (REST_BYTES_MAX + 2 * ARGUMENTS_BYTES_MAX) as u64;

/// The most characters of an error message in an answer.
pub(crate) const MESSAGE_CHARS_MAX: usize = 4000;

/// How far a task is that is done, in thousandths of it.
pub(crate) const DONE_PERMILLE: u32 = 1000;

/// The parent's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Configure {
    /// How many threads it proves with; all cores when absent.
    pub(crate) threads: Option<u32>,
    /// What else the system's prover wants to know.
    pub(crate) params: String,
    /// How much a sandbox matters.
    pub(crate) sandbox: SandboxPolicy,
}

/// The child's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The system that the child proves for.
    pub(crate) system: SystemName,
    /// How much of a sandbox it is in.
    pub(crate) sandbox: Sandbox,
}

/// A blob in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// What it is to the task.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
}

impl InputFile {
    /// A blob that the task is about.
    pub fn input(path: impl Into<PathBuf>) -> Self {
        Self { role: Role::Input, path: path.into() }
    }
}

/// An input whose bytes follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputBytes {
    /// What it is to the task.
    pub(crate) role: Role,
    /// How many there are.
    pub(crate) size_bytes: u64,
}

/// A task with its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskWork {
    /// What to prove.
    pub task: Task,
    /// What else the system says of the task: at most [`ARGUMENTS_BYTES_MAX`] bytes.
    pub arguments: Vec<u8>,
    /// The blobs that the task is about, in the system's order: at most
    /// [`INPUT_COUNT_MAX`](starling_types::INPUT_COUNT_MAX).
    pub inputs: Vec<InputFile>,
    /// Where the result goes. It appears whole or not at all.
    pub output: PathBuf,
    /// How memory is traded for time.
    pub profile: Profile,
    /// What the child's memory may grow to for this task, what it still holds of those before included; Linux enforces it.
    pub memory_limit: Option<MemoryBytes>,
}

/// One task on its way to the child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Repeated in the answer.
    pub(crate) id: u64,
    pub(crate) task: Task,
    #[serde(with = "starling_types::as_hex")]
    pub(crate) arguments: Vec<u8>,
    pub(crate) inputs: Vec<InputBytes>,
    pub(crate) profile: Profile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory_limit: Option<MemoryBytes>,
}

impl Request {
    /// Of `work`, whose inputs have `sizes`, in bytes and in their order.
    pub(crate) fn new(id: u64, work: &TaskWork, sizes: &[u64]) -> Self {
        let TaskWork { task, arguments, inputs, profile, memory_limit, .. } = work;
        let input =
            |(file, &size_bytes): (&InputFile, _)| InputBytes { role: file.role, size_bytes };
        Self {
            id,
            task: *task,
            arguments: arguments.clone(),
            inputs: inputs.iter().zip(sizes).map(input).collect(),
            profile: *profile,
            memory_limit: *memory_limit,
        }
    }
}

/// What becomes of a task: exactly one of the three is set. After `progress` the task goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// That of the request.
    pub(crate) id: u64,
    /// How far the task is, in thousandths of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ok: Option<WorkReport>,
    /// With `ok`: how many bytes of the result follow, [`RESULT_BYTES_MAX`] at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) result_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failed>,
}

/// What an answer means to a parent that waits for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The task is so far, in thousandths of it, and goes on.
    Progress(u32),
    /// The task has ended, and its result follows if it ended well.
    End,
}

impl Answer {
    /// What this is to a parent that waits for the answer to request `id`, and has heard of `done_permille`; `None` where no child
    /// of ours would say it.
    pub(crate) fn heard(&self, id: u64, done_permille: u32) -> Option<Heard> {
        if self.id != id || self.result_bytes > RESULT_BYTES_MAX {
            return None;
        }
        match self.progress {
            None => Some(Heard::End),
            // Each is farther than the last, so that no child talks for ever.
            Some(permille) => {
                let is_farther = permille > done_permille && permille <= DONE_PERMILLE;
                is_farther.then_some(Heard::Progress(permille))
            }
        }
    }
}

/// What a finished task cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkReport {
    /// How long each step took, by the system's words.
    #[serde(default)]
    pub steps: Vec<StepTime>,
    /// The child's peak of resident memory during the task, where the system tells.
    #[serde(default)]
    pub peak_memory: Option<MemoryBytes>,
    /// The time of all cores together, where the system tells.
    #[serde(default)]
    pub cpu_ms: Option<u64>,
    /// How many proofs did not verify and were made once more. It says nothing against the inputs, and little against the
    /// machine.
    #[serde(default)]
    pub reproved: u32,
    /// Where the time went, as far as the prover tells.
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
}

impl WorkReport {
    /// How long this step took, in milliseconds: zero for one that the task has not.
    pub fn step_ms(&self, name: &str) -> u64 {
        self.steps.iter().filter(|step| step.name == name).map(|step| step.elapsed_ms).sum()
    }

    /// How long all steps took, in milliseconds.
    pub fn all_steps_ms(&self) -> u64 {
        self.steps.iter().map(|step| step.elapsed_ms).sum()
    }
}

/// How long a step of a task took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// The system's word for it.
    pub name: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// How long a phase of a proof took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Which of the task's proofs, from 0.
    pub proof: u32,
    /// The phase's name.
    pub name: String,
    /// How long it took, phases within it left out, in microseconds.
    pub micros: u64,
}

/// A task that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) class: FailureClass,
    pub(crate) message: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Reads a line without its end; `None` at the end of the stream.
///
/// # Errors
/// When the stream fails, or the line is longer than [`LINE_BYTES_MAX`] or cut off.
pub(crate) fn read_line(from: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    io::BufRead::read_line(&mut from.take(LINE_BYTES_MAX), &mut line)?;
    match line.strip_suffix('\n') {
        Some(whole) => Ok(Some(whole.into())),
        None if line.is_empty() => Ok(None),
        None => Err(io::Error::other("a line is cut off or too long")),
    }
}

/// Reads a blob of `size_bytes`. Memory is taken for what arrives, not for what is announced.
///
/// # Errors
/// When the stream fails or ends before.
pub(crate) fn read_blob(from: &mut impl Read, size_bytes: u64) -> io::Result<Vec<u8>> {
    let mut blob = Vec::new();
    from.take(size_bytes).read_to_end(&mut blob)?;
    if blob.len() as u64 == size_bytes {
        return Ok(blob);
    }
    Err(io::Error::other("a blob is cut off"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use starling_types::{INPUT_COUNT_MAX, IndexRange, KindCode};

    use super::*;

    fn work() -> TaskWork {
        TaskWork {
            task: Task { kind: KindCode(3), range: IndexRange::new(0, 2).unwrap() },
            arguments: vec![20, 0],
            inputs: vec![
                InputFile::input("/a"),
                InputFile { role: Role::Challenge, path: "/b".into() },
            ],
            output: "/c".into(),
            profile: Profile::Frugal,
            memory_limit: None,
        }
    }

    #[test]
    fn the_lines_are_the_documented_ones() {
        let request = Request::new(7, &work(), &[5, 70_000]);
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(
            line,
            r#"{"id":7,"task":{"kind":3,"range":{"start":0,"end":2}},"arguments":"1400","inputs":[{"role":"input","size_bytes":5},{"role":"challenge","size_bytes":70000}],"profile":"frugal"}"#
        );
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        let failed = Failed { class: FailureClass::Input, message: "no".into() };
        let answer = Answer { id: 7, error: Some(failed), ..Answer::default() };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"id":7,"error":{"class":"input","message":"no"}}"#);
        assert_eq!(serde_json::from_str::<Answer>(&line).unwrap(), answer);
        let answer = Answer { id: 7, progress: Some(420), ..Answer::default() };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"id":7,"progress":420}"#);
        let ready = Ready { system: "hash/1".into(), sandbox: Sandbox::Full };
        let line = serde_json::to_string(&ready).unwrap();
        assert_eq!(line, r#"{"system":"hash/1","sandbox":"full"}"#);
        assert_eq!(serde_json::from_str::<Ready>(&line).unwrap(), ready);
    }

    #[test]
    fn the_largest_task_fits_into_a_line() {
        let work = TaskWork {
            arguments: vec![0; ARGUMENTS_BYTES_MAX],
            inputs: vec![InputFile::input("/a"); INPUT_COUNT_MAX],
            ..work()
        };
        let sizes = [u64::MAX; INPUT_COUNT_MAX];
        let line = serde_json::to_string(&Request::new(u64::MAX, &work, &sizes)).unwrap();
        assert!((line.len() as u64) < LINE_BYTES_MAX, "{}", line.len());
    }

    #[test]
    fn an_endless_line_is_an_error_not_an_allocation() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(read_line(&mut endless).is_err());
        assert_eq!(read_line(&mut &b"one\n"[..]).unwrap(), Some("one".into()));
        assert_eq!(read_line(&mut &b""[..]).unwrap(), None);
    }

    #[test]
    fn a_blob_is_as_long_as_announced_and_takes_no_memory_before_it_arrives() {
        let mut stream = &b"leafmore"[..];
        assert_eq!(read_blob(&mut stream, 4).unwrap(), b"leaf");
        assert_eq!(read_blob(&mut stream, 0).unwrap(), b"");
        assert!(read_blob(&mut stream, u64::MAX).is_err(), "it would not fit into any memory");
    }

    #[test]
    fn a_report_tells_the_time_of_a_step_that_came_more_than_once() {
        let step = |name: &str, elapsed_ms| StepTime { name: name.into(), elapsed_ms };
        let steps = vec![step("prove", 5), step("lift", 7), step("prove", 2)];
        let report = WorkReport { steps, ..WorkReport::default() };
        assert_eq!((report.step_ms("prove"), report.step_ms("join")), (7, 0));
        assert_eq!(report.all_steps_ms(), 14);
    }
}
