//! What a task is called on the wire, in the log and in the scheduler, whatever system it belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{IndexRange, TaskId, TaskKind};

/// A kind of task of some proof system, by the number that it has on the wire and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KindCode(pub u32);

/// A unit of a job: what to do, and which part of the job it is about. Its system says what the kind is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Task {
    /// What to do.
    pub kind: KindCode,
    /// What it is about: indices of segments, of keccak proofs, of whatever the system counts.
    pub range: IndexRange,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}/{}", self.kind.0, self.range)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TaskKind {
    /// The number of the kind on the wire and in the log.
    pub const fn code(self) -> KindCode {
        KindCode(match self {
            Self::Prove => 1,
            Self::Lift => 2,
            Self::Join => 3,
            Self::LiftReceipt => 4,
            Self::Keccak => 5,
            Self::Union => 6,
            Self::Resolve => 7,
            Self::Unwrap => 8,
        })
    }

    /// The kind that has this number.
    pub fn of_code(code: KindCode) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl From<TaskId> for Task {
    fn from(task: TaskId) -> Self {
        Self { kind: task.kind().code(), range: task.range() }
    }
}

impl TryFrom<Task> for TaskId {
    type Error = Task;

    /// The zkVM's task of this kind and range; the task itself, if it has none such.
    fn try_from(task: Task) -> Result<Self, Task> {
        let kind = TaskKind::of_code(task.kind).ok_or(task)?;
        Self::new(kind, task.range).ok_or(task)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_task_of_the_zkvm_is_the_same_under_its_uniform_name() {
        for kind in TaskKind::ALL {
            assert_eq!(TaskKind::of_code(kind.code()), Some(kind));
        }
        for name in ["prove/3", "lift/0", "join/2..9", "union/0..2", "resolve/4", "unwrap"] {
            let task: TaskId = name.parse().unwrap();
            assert_eq!(TaskId::try_from(Task::from(task)), Ok(task));
        }
        let unknown = Task { kind: KindCode(99), range: IndexRange::single(0) };
        assert_eq!(TaskId::try_from(unknown), Err(unknown));
        let not_a_join = Task { kind: TaskKind::Join.code(), range: IndexRange::single(0) };
        assert!(TaskId::try_from(not_a_join).is_err());
    }
}
