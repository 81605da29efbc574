//! What a node and its prover child say to each other: one JSON object for each line.
//!
//! The parent opens with [`Configure`], the child answers [`Ready`]; then requests and answers alternate. Before an answer
//! that ends a task the child may send some that say how far it is, each farther than the last.
//! Blobs travel as files. Both ends are the same build, so nothing here is versioned.

use std::{io::Read, path::PathBuf};

use serde::{Deserialize, Serialize};
use starling_types::{FailureClass, MemoryBytes, Profile, Task};

use crate::Backend;

/// The most bytes of a line: three paths and a message fit, a runaway peer does not.
pub(crate) const LINE_BYTES_MAX: u64 = 64 << 10;

/// The most characters of an error message in an answer.
pub(crate) const MESSAGE_CHARS_MAX: usize = 4000;

/// The parent's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Configure {
    /// How many threads it proves with; all cores when absent.
    pub(crate) threads: Option<u32>,
    /// What it proves with.
    pub(crate) backend: Backend,
}

/// The child's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// The zkVM that the child proves for.
    pub(crate) zkvm: String,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Repeated in the answer.
    pub(crate) id: u64,
    /// What to do.
    pub(crate) task: Task,
    /// What else the prover wants to know, as its system encodes it.
    #[serde(with = "starling_types::as_hex")]
    pub(crate) arguments: Vec<u8>,
    /// The task's blobs, in its order.
    pub(crate) inputs: Vec<PathBuf>,
    /// Where the receipt blob goes.
    pub(crate) output: PathBuf,
    /// How memory is traded for time.
    pub(crate) profile: Profile,
    /// What the child's memory may grow to for this task.
    pub(crate) memory_limit: Option<MemoryBytes>,
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
    pub(crate) ok: Option<Proved>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failed>,
}

/// A task that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proved {
    pub(crate) prove_ms: u64,
    pub(crate) lift_ms: u64,
    pub(crate) join_ms: u64,
    /// Absent where the system does not tell.
    pub(crate) peak_memory: Option<MemoryBytes>,
    /// The time of all cores together; absent where the system does not tell.
    #[serde(default)]
    pub(crate) cpu_ms: Option<u64>,
    /// How many proofs did not verify and were made once more.
    #[serde(default)]
    pub(crate) reproved: u32,
    /// Where the time went, as far as the prover tells.
    #[serde(default)]
    pub(crate) phases: Vec<PhaseTime>,
}

/// How long a phase of a proof took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Which of the task's proofs, from 0: that of a segment comes before its lift.
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

/// Reads a line without its end; `None` at the end of the stream.
///
/// # Errors
/// When the stream fails, or the line is longer than [`LINE_BYTES_MAX`] or cut off.
pub(crate) fn read_line(from: &mut impl std::io::BufRead) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    std::io::BufRead::read_line(&mut from.take(LINE_BYTES_MAX), &mut line)?;
    match line.strip_suffix('\n') {
        Some(whole) => Ok(Some(whole.into())),
        None if line.is_empty() => Ok(None),
        None => Err(std::io::Error::other("a line is cut off or too long")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use starling_types::TaskId;

    use super::*;

    #[test]
    fn the_lines_are_the_documented_ones() {
        let request = Request {
            id: 7,
            task: "join/0..2".parse::<TaskId>().unwrap().into(),
            arguments: vec![20, 0],
            inputs: vec!["/a".into(), "/b".into()],
            output: "/c".into(),
            profile: Profile::Frugal,
            memory_limit: Some(MemoryBytes(1 << 30)),
        };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(
            line,
            r#"{"id":7,"task":{"kind":3,"range":{"start":0,"end":2}},"arguments":"1400","inputs":["/a","/b"],"output":"/c","profile":"frugal","memory_limit":1073741824}"#
        );
        let failed = Failed { class: FailureClass::Input, message: "no".into() };
        let answer = Answer { id: 7, error: Some(failed), ..Answer::default() };
        let line = serde_json::to_string(&answer).unwrap();
        assert_eq!(line, r#"{"id":7,"error":{"class":"input","message":"no"}}"#);
        assert_eq!(serde_json::from_str::<Answer>(&line).unwrap(), answer);
        let answer = Answer { id: 7, progress: Some(420), ..Answer::default() };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"id":7,"progress":420}"#);
    }

    #[test]
    fn an_endless_line_is_an_error_not_an_allocation() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert!(read_line(&mut endless).is_err());
        assert_eq!(read_line(&mut &b"one\n"[..]).unwrap(), Some("one".into()));
        assert_eq!(read_line(&mut &b""[..]).unwrap(), None);
    }
}
