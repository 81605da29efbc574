//! What a lease of the zkVM says besides its task and inputs. The engine between client and prover sees only bytes.

use starling_types::{Po2, Task, TaskId, TaskKind};
use thiserror::Error;

/// What the prover of a task wants to know besides its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskArguments {
    /// The largest segment or keccak request to take. For other tasks it says nothing.
    pub po2_max: Po2,
    /// Whether the job counts work: its receipts of segments are [`WorkReceipt`](crate::WorkReceipt)s then.
    pub work_claims: bool,
}

/// Bytes that are not arguments of a task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentsError {
    /// They are not so many.
    #[error("the task's arguments have {size_bytes} bytes, {SIZE_BYTES} are expected")]
    Size {
        /// How many there are.
        size_bytes: usize,
    },
    /// There are no segments of this size.
    #[error("the task's arguments name po2 {value}, there are {} to {}", Po2::MIN, Po2::MAX)]
    Po2 {
        /// The number.
        value: u8,
    },
    /// They ask for something that this version does not know.
    #[error("the task's arguments have the flags {flags:#04x}, which this version does not know")]
    Flags {
        /// The flags.
        flags: u8,
    },
}

/// A po2 and flags.
const SIZE_BYTES: usize = 2;

/// The flag of a job that counts work.
const WORK_CLAIMS: u8 = 1;

impl TaskArguments {
    /// As they travel.
    pub fn encode(self) -> Vec<u8> {
        let flags = if self.work_claims { WORK_CLAIMS } else { 0 };
        vec![self.po2_max.get() as u8, flags]
    }

    /// What [`Self::encode`] made.
    ///
    /// # Errors
    /// [`ArgumentsError`] when it made no such bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArgumentsError> {
        let &[value, flags] = bytes else {
            return Err(ArgumentsError::Size { size_bytes: bytes.len() });
        };
        let po2_max = Po2::try_from(u32::from(value)).map_err(|_| ArgumentsError::Po2 { value })?;
        if flags & !WORK_CLAIMS != 0 {
            return Err(ArgumentsError::Flags { flags });
        }
        Ok(Self { po2_max, work_claims: flags & WORK_CLAIMS != 0 })
    }
}

/// The po2 that the cost of a task depends on, `None` within where it depends on none; `None` without for what is not a task of
/// the zkVM.
pub fn size_of(task: Task, arguments: &[u8]) -> Option<Option<Po2>> {
    let task = TaskId::try_from(task).ok()?;
    let TaskArguments { po2_max, .. } = TaskArguments::decode(arguments).ok()?;
    Some(match task.kind() {
        TaskKind::Prove | TaskKind::Lift | TaskKind::Keccak => Some(po2_max),
        _ => None,
    })
}

/// What people call a task of the zkVM; any other by its numbers.
pub fn name_of(task: Task) -> String {
    TaskId::try_from(task).map_or_else(|task| task.to_string(), |task| task.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::{IndexRange, KindCode};

    use super::*;

    fn po2(value: u32) -> Po2 {
        value.try_into().unwrap()
    }

    #[test]
    fn arguments_have_their_bytes_and_come_back() {
        for (po2_max, work_claims, bytes) in [(13, false, [13, 0]), (24, true, [24, 1])] {
            let arguments = TaskArguments { po2_max: po2(po2_max), work_claims };
            assert_eq!(arguments.encode(), bytes);
            assert_eq!(TaskArguments::decode(&bytes), Ok(arguments));
        }
    }

    #[test]
    fn other_bytes_are_refused_by_what_is_wrong_with_them() {
        let error = |bytes: &[u8]| TaskArguments::decode(bytes).unwrap_err();
        assert_eq!(error(&[]), ArgumentsError::Size { size_bytes: 0 });
        assert_eq!(error(&[18, 0, 0]), ArgumentsError::Size { size_bytes: 3 });
        assert_eq!(error(&[25, 0]), ArgumentsError::Po2 { value: 25 });
        assert_eq!(error(&[18, 3]), ArgumentsError::Flags { flags: 3 });
    }

    #[test]
    fn the_size_of_a_task_is_that_of_its_segment_or_keccak_request() {
        let arguments = TaskArguments { po2_max: po2(18), work_claims: false }.encode();
        let size = |name: &str| size_of(name.parse::<TaskId>().unwrap().into(), &arguments);
        for sized in ["prove/1", "lift/1", "keccak/1"] {
            assert_eq!(size(sized), Some(Some(po2(18))), "{sized}");
        }
        for unsized_kind in ["join/0..2", "lift-receipt/1", "union/0..2", "resolve/0", "unwrap"] {
            assert_eq!(size(unsized_kind), Some(None), "{unsized_kind}");
        }
        let join_of_one = Task { kind: TaskKind::Join.code(), range: IndexRange::single(1) };
        let unknown = Task { kind: KindCode(99), range: IndexRange::single(1) };
        assert_eq!([join_of_one, unknown].map(|task| size_of(task, &arguments)), [None, None]);
        assert_eq!(size_of(TaskId::Lift(1).into(), &[]), None);
    }
}
