//! What a task is called: its meaning within the job, so that retries and replays collapse into one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A non-empty run of neighbouring indices, of segments or of keccak proofs: `start` included, `end` excluded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct IndexRange {
    start: u32,
    end: u32,
}

/// A range as a file or another process has it, which may be empty.
#[derive(Deserialize)]
struct Ends {
    start: u32,
    end: u32,
}

impl TryFrom<Ends> for IndexRange {
    type Error = String;

    fn try_from(Ends { start, end }: Ends) -> Result<Self, String> {
        Self::new(start, end).ok_or_else(|| format!("the range {start}..{end} is empty"))
    }
}

impl IndexRange {
    /// The range `start..end`, or `None` when it would be empty.
    pub fn new(start: u32, end: u32) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// The range of the one index `index`.
    ///
    /// # Panics
    /// When `index` is `u32::MAX`, which no execution reaches: its end would not fit.
    pub fn single(index: u32) -> Self {
        let end = index.checked_add(1).expect("a job has fewer than u32::MAX segments and keccaks");
        Self { start: index, end }
    }

    /// The first index of the range.
    pub fn start(self) -> u32 {
        self.start
    }

    /// The index after the last of the range.
    pub fn end(self) -> u32 {
        self.end
    }

    /// How many indices the range has: at least one.
    pub fn count(self) -> u32 {
        self.end - self.start
    }

    /// `self` and `right` as one range, or `None` when `right` does not begin where `self` ends.
    pub fn join(self, right: Self) -> Option<Self> {
        (self.end == right.start).then_some(Self { start: self.start, end: right.end })
    }

    /// Whether every index of `other` is in `self`.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

impl fmt::Display for IndexRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl fmt::Debug for IndexRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What kind of receipt a job delivers. The words are those of `risc0_zkvm::ReceiptKind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptKind {
    /// One STARK for each segment: no joins, large, quick.
    Composite,
    /// One STARK of constant size: every segment lifted and joined.
    Succinct,
    /// One Groth16 SNARK, small enough for a contract to verify.
    Groth16,
}

impl fmt::Display for ReceiptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Composite => "composite",
            Self::Succinct => "succinct",
            Self::Groth16 => "groth16",
        })
    }
}

/// What a node must be able to do for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Prove a segment and deliver its segment receipt (composite jobs).
    Prove,
    /// Prove a segment and lift it to a succinct receipt (succinct jobs).
    Lift,
    /// Lift the segment receipt that is given (jobs that compress a composite receipt).
    LiftReceipt,
    /// Prove a batch of keccak permutations and lift the proof.
    Keccak,
    /// Unite two receipts of keccak proofs.
    Union,
    /// Join the succinct receipts of two neighbouring ranges.
    Join,
    /// Remove the first assumption from a receipt, with the receipt that proves it.
    Resolve,
    /// Drop the count of work from a receipt (jobs that count their work).
    Unwrap,
}

impl TaskKind {
    /// Every kind, in the order in which a job meets them.
    pub const ALL: [Self; 8] = [
        Self::Prove,
        Self::Lift,
        Self::LiftReceipt,
        Self::Keccak,
        Self::Union,
        Self::Join,
        Self::Resolve,
        Self::Unwrap,
    ];

    /// Its word in task names and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prove => "prove",
            Self::Lift => "lift",
            Self::LiftReceipt => "lift-receipt",
            Self::Keccak => "keccak",
            Self::Union => "union",
            Self::Join => "join",
            Self::Resolve => "resolve",
            Self::Unwrap => "unwrap",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A unit of a job, named by what its result means: `prove/7`, `lift/7`, `join/12..14`, `resolve/0`.
///
/// Joins and unions are named by the range that they cover. A join may have been split anywhere, since
/// joining is associative: every split of a range claims the same. A range of keccak proofs is united in one
/// way only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// Prove this segment.
    Prove(u32),
    /// Prove and lift this segment.
    Lift(u32),
    /// Lift the given receipt of this segment.
    LiftReceipt(u32),
    /// Prove and lift this keccak request.
    Keccak(u32),
    /// Unite this range of at least two keccak proofs.
    Union(IndexRange),
    /// Join this range of at least two segments.
    Join(IndexRange),
    /// Remove the assumption that is first once as many have been removed.
    Resolve(u32),
    /// Drop the count of work.
    Unwrap,
}

impl TaskId {
    /// What a node must be able to do for the task.
    pub fn kind(self) -> TaskKind {
        match self {
            Self::Prove(_) => TaskKind::Prove,
            Self::Lift(_) => TaskKind::Lift,
            Self::LiftReceipt(_) => TaskKind::LiftReceipt,
            Self::Keccak(_) => TaskKind::Keccak,
            Self::Union(_) => TaskKind::Union,
            Self::Join(_) => TaskKind::Join,
            Self::Resolve(_) => TaskKind::Resolve,
            Self::Unwrap => TaskKind::Unwrap,
        }
    }

    /// What the task's name counts: segments, keccak proofs or assumptions. `0..1` for [`Self::Unwrap`].
    pub fn range(self) -> IndexRange {
        match self {
            Self::Prove(index)
            | Self::Lift(index)
            | Self::LiftReceipt(index)
            | Self::Keccak(index)
            | Self::Resolve(index) => IndexRange::single(index),
            Self::Union(range) | Self::Join(range) => range,
            Self::Unwrap => IndexRange::single(0),
        }
    }

    /// The task of this kind and [`range`](Self::range), if there is such.
    pub fn new(kind: TaskKind, range: IndexRange) -> Option<Self> {
        let index = range.start();
        let task = match kind {
            TaskKind::Prove => Self::Prove(index),
            TaskKind::Lift => Self::Lift(index),
            TaskKind::LiftReceipt => Self::LiftReceipt(index),
            TaskKind::Keccak => Self::Keccak(index),
            TaskKind::Resolve => Self::Resolve(index),
            TaskKind::Unwrap => Self::Unwrap,
            TaskKind::Union if range.count() > 1 => Self::Union(range),
            TaskKind::Join if range.count() > 1 => Self::Join(range),
            TaskKind::Union | TaskKind::Join => return None,
        };
        (task.range() == range).then_some(task)
    }

    /// The segments that the task's receipt claims; `None` when it claims no range of segments.
    pub fn segments(self) -> Option<IndexRange> {
        match self {
            Self::Prove(_) | Self::Lift(_) | Self::LiftReceipt(_) | Self::Join(_) => {
                Some(self.range())
            }
            Self::Keccak(_) | Self::Union(_) | Self::Resolve(_) | Self::Unwrap => None,
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, range) = (self.kind(), self.range());
        match self {
            Self::Union(_) | Self::Join(_) => write!(f, "{kind}/{range}"),
            Self::Unwrap => write!(f, "{kind}"),
            _ => write!(f, "{kind}/{}", range.start()),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} names no task: expected KIND/INDEX, join/START..END, union/START..END or unwrap")]
pub struct ParseTaskError {
    /// The text as given, cut to 80 characters.
    pub text: String,
}

impl FromStr for TaskId {
    type Err = ParseTaskError;

    fn from_str(text: &str) -> Result<Self, ParseTaskError> {
        let parse = || {
            let (word, rest) = text.split_once('/').unwrap_or((text, ""));
            let kind = TaskKind::ALL.into_iter().find(|kind| kind.name() == word)?;
            let range = match kind {
                TaskKind::Union | TaskKind::Join => {
                    let (start, end) = rest.split_once("..")?;
                    IndexRange::new(start.parse().ok()?, end.parse().ok()?)?
                }
                TaskKind::Unwrap if text == word => IndexRange::single(0),
                TaskKind::Unwrap => return None,
                // `u32::MAX` is not an index: its range would have no end.
                _ => {
                    IndexRange::new(rest.parse().ok()?, rest.parse::<u32>().ok()?.checked_add(1)?)?
                }
            };
            Self::new(kind, range)
        };
        parse().ok_or_else(|| ParseTaskError { text: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_join() {
        let range = |start, end| IndexRange::new(start, end).unwrap();
        assert_eq!(range(0, 2).join(range(2, 5)), Some(range(0, 5)));
        assert_eq!(range(0, 2).join(range(3, 5)), None);
        assert_eq!(range(2, 5).join(range(0, 2)), None);
        assert_eq!(IndexRange::new(4, 4), None);
    }

    #[test]
    fn a_range_that_is_read_is_as_one_that_is_made_never_empty() {
        let range = IndexRange::new(12, 14).unwrap();
        let text = serde_json::to_string(&range).unwrap();
        assert_eq!(text, r#"{"start":12,"end":14}"#);
        assert_eq!(serde_json::from_str::<IndexRange>(&text).unwrap(), range);
        for (start, end) in [(4, 4), (5, 4), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            let text = format!(r#"{{"start":{start},"end":{end}}}"#);
            let error = serde_json::from_str::<IndexRange>(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("the range {start}..{end} is empty")), "{error}");
        }
    }

    #[test]
    fn a_task_name_parses_back_to_the_task() {
        let range = IndexRange::new(12, 14).unwrap();
        let tasks = [
            (TaskId::Prove(0), "prove/0"),
            (TaskId::Lift(7), "lift/7"),
            (TaskId::LiftReceipt(7), "lift-receipt/7"),
            (TaskId::Keccak(3), "keccak/3"),
            (TaskId::Union(range), "union/12..14"),
            (TaskId::Join(range), "join/12..14"),
            (TaskId::Resolve(1), "resolve/1"),
            (TaskId::Unwrap, "unwrap"),
        ];
        for (task, name) in tasks {
            assert_eq!(task.to_string(), name);
            assert_eq!(name.parse(), Ok(task));
            assert_eq!(TaskId::new(task.kind(), task.range()), Some(task));
        }
    }

    #[test]
    fn a_text_that_names_no_task_is_refused() {
        let wrong = [
            "",
            "lift",
            "lift/",
            "lift/x",
            "lift/4294967295",
            "join/3..4",
            "join/4..3",
            "union/3",
            "unwrap/0",
            "unwrap/",
            "lift/1..2",
        ];
        for text in wrong {
            assert!(text.parse::<TaskId>().is_err(), "{text:?}");
        }
        assert_eq!(TaskId::new(TaskKind::Union, IndexRange::single(3)), None);
        assert_eq!(TaskId::new(TaskKind::Unwrap, IndexRange::single(3)), None);
    }
}
