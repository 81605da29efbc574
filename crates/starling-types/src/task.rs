//! What a task is called: its meaning within the job, so that retries and replays collapse into one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A non-empty run of neighbouring segments, `start` included, `end` excluded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentRange {
    start: u32,
    end: u32,
}

impl SegmentRange {
    /// The range `start..end`, or `None` when it would be empty.
    pub fn new(start: u32, end: u32) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// The range of the one segment `index`.
    ///
    /// # Panics
    /// When `index` is `u32::MAX`, which no execution reaches: its end would not fit.
    pub fn single(index: u32) -> Self {
        let end = index.checked_add(1).expect("a job has fewer than u32::MAX segments");
        Self { start: index, end }
    }

    /// The first segment of the range.
    pub fn start(self) -> u32 {
        self.start
    }

    /// The segment after the last of the range.
    pub fn end(self) -> u32 {
        self.end
    }

    /// How many segments the range has: at least one.
    pub fn segment_count(self) -> u32 {
        self.end - self.start
    }

    /// `self` and `right` as one range, or `None` when `right` does not begin where `self` ends.
    pub fn join(self, right: Self) -> Option<Self> {
        (self.end == right.start).then_some(Self { start: self.start, end: right.end })
    }

    /// Whether every segment of `other` is in `self`.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

impl fmt::Display for SegmentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl fmt::Debug for SegmentRange {
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
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Prove a segment and deliver its segment receipt (composite jobs).
    Prove,
    /// Prove a segment and lift it to a succinct receipt (succinct jobs).
    Lift,
    /// Join the succinct receipts of two neighbouring ranges.
    Join,
}

impl TaskKind {
    /// Every kind, in the order in which a job meets them.
    pub const ALL: [Self; 3] = [Self::Prove, Self::Lift, Self::Join];
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prove => "prove",
            Self::Lift => "lift",
            Self::Join => "join",
        })
    }
}

/// A unit of a job, named by what its result means: `prove/7`, `lift/7`, `join/12..14`.
///
/// A join is named by the range it covers, not by where it was split: joining is associative, so
/// every split of a range claims the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskId {
    /// Prove this segment.
    Prove(u32),
    /// Prove and lift this segment.
    Lift(u32),
    /// Join this range of at least two segments.
    Join(SegmentRange),
}

impl TaskId {
    /// What a node must be able to do for the task.
    pub fn kind(self) -> TaskKind {
        match self {
            Self::Prove(_) => TaskKind::Prove,
            Self::Lift(_) => TaskKind::Lift,
            Self::Join(_) => TaskKind::Join,
        }
    }

    /// The segments that the task's receipt claims.
    pub fn range(self) -> SegmentRange {
        match self {
            Self::Prove(index) | Self::Lift(index) => SegmentRange::single(index),
            Self::Join(range) => range,
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prove(index) => write!(f, "prove/{index}"),
            Self::Lift(index) => write!(f, "lift/{index}"),
            Self::Join(range) => write!(f, "join/{range}"),
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
#[error("{text:?} names no task: expected prove/INDEX, lift/INDEX or join/START..END")]
pub struct ParseTaskError {
    /// The text as given, cut to 80 characters.
    pub text: String,
}

impl FromStr for TaskId {
    type Err = ParseTaskError;

    fn from_str(text: &str) -> Result<Self, ParseTaskError> {
        // `u32::MAX` is no index: its range would have no end.
        let index = |digits: &str| digits.parse().ok().filter(|index| *index < u32::MAX);
        let parsed = match text.split_once('/') {
            Some(("prove", digits)) => index(digits).map(Self::Prove),
            Some(("lift", digits)) => index(digits).map(Self::Lift),
            Some(("join", range)) => range.split_once("..").and_then(|(start, end)| {
                let range = SegmentRange::new(start.parse().ok()?, end.parse().ok()?)?;
                (range.segment_count() > 1).then_some(Self::Join(range))
            }),
            _ => None,
        };
        parsed.ok_or_else(|| ParseTaskError { text: text.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_join() {
        let range = |start, end| SegmentRange::new(start, end).unwrap();
        assert_eq!(range(0, 2).join(range(2, 5)), Some(range(0, 5)));
        assert_eq!(range(0, 2).join(range(3, 5)), None);
        assert_eq!(range(2, 5).join(range(0, 2)), None);
        assert_eq!(SegmentRange::new(4, 4), None);
    }

    #[test]
    fn a_task_name_parses_back_to_the_task() {
        let range = SegmentRange::new(12, 14).unwrap();
        for task in [TaskId::Prove(0), TaskId::Lift(7), TaskId::Join(range)] {
            assert_eq!(task.to_string().parse(), Ok(task));
        }
        assert_eq!(TaskId::Join(range).to_string(), "join/12..14");
    }

    #[test]
    fn a_text_that_names_no_task_is_refused() {
        for text in ["", "lift", "lift/", "lift/x", "join/3..4", "join/4..3", "lift/4294967295"] {
            assert!(text.parse::<TaskId>().is_err(), "{text:?}");
        }
    }
}
