//! What a proof system implements to be proved for: a function from bytes to bytes.

use std::io;

use starling_types::{FailureClass, MemoryBytes, Profile, Role, SystemName, Task};
use thiserror::Error;

use crate::{Phases, StepTime};

/// The prover of one system. It is given everything: it opens no file, starts no process, and knows no peer.
pub trait Prover: Sized {
    /// The system's name, as nodes and clients say it to each other.
    fn system() -> SystemName;

    /// Loads or makes what all tasks need.
    ///
    /// # Errors
    /// Why there is no prover here, in words.
    fn ready(setup: &Setup) -> Result<Self, String>;

    /// Proves one task. A panic is this prover's fault and costs the task alone. `phases` hears how far it is.
    ///
    /// # Errors
    /// Why there is no proof, and whose trouble that is.
    fn prove(&mut self, work: &Work<'_>, phases: &Phases) -> Result<Proved, Refusal>;
}

/// What a prover is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// How many threads it proves with; all cores when absent.
    pub threads: Option<u32>,
    /// What else the system wants to know, in its own words.
    pub params: String,
}

/// One task, with its inputs.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// What to prove.
    pub task: Task,
    /// What else the system says of the task, in its own encoding.
    pub arguments: &'a [u8],
    /// The blobs that the task is about, in the system's order.
    pub inputs: &'a [Input],
    /// How memory is traded for time.
    pub profile: Profile,
    /// What memory may grow to meanwhile, if that is bounded.
    pub memory_limit: Option<MemoryBytes>,
}

/// A blob that a task is about.
#[derive(Debug)]
pub struct Input {
    /// What it is to the task.
    pub role: Role,
    /// Its bytes.
    pub blob: Box<dyn Blob>,
}

/// Bytes that are read when they are needed.
pub trait Blob: std::fmt::Debug {
    /// How many there are.
    ///
    /// # Errors
    /// What the system says.
    fn size_bytes(&self) -> io::Result<u64>;

    /// All of them.
    ///
    /// # Errors
    /// What the system says.
    fn read_all(&self) -> io::Result<Vec<u8>>;

    /// All of them, if they are no more than `bytes_max`: nothing is allocated otherwise.
    ///
    /// # Errors
    /// [`BlobError`].
    fn read(&self, bytes_max: u64) -> Result<Vec<u8>, BlobError> {
        let size_bytes = self.size_bytes()?;
        if size_bytes > bytes_max {
            return Err(BlobError::TooLarge { size_bytes, bytes_max });
        }
        Ok(self.read_all()?)
    }
}

impl Blob for Vec<u8> {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        Ok(self.clone())
    }
}

/// Why a blob was not read.
#[derive(Debug, Error)]
pub enum BlobError {
    /// It is larger than such a blob can be.
    #[error("the blob has {size_bytes} bytes, such a blob has at most {bytes_max}")]
    TooLarge {
        /// What it has.
        size_bytes: u64,
        /// What it may have.
        bytes_max: u64,
    },
    /// It is not there.
    #[error("the blob cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// What a task ends in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proved {
    /// The result.
    pub blob: Vec<u8>,
    /// How long each step of it took, by the system's words.
    pub steps: Vec<StepTime>,
    /// How many proofs did not verify and were made once more.
    pub reproved: u32,
}

/// Why a task has no proof.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refusal {
    /// Who should try again.
    pub class: FailureClass,
    /// The reason.
    pub message: String,
}

impl Refusal {
    /// An input is missing, or not what it should be.
    pub fn input(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Input, message: message.into() }
    }

    /// The task has no proof, wherever it is tried.
    pub fn task(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Task, message: message.into() }
    }

    /// The machine denied what the task needs: memory, or threads, whose stacks are memory.
    pub fn memory(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Memory, message: message.into() }
    }

    /// This prover or its machine is at fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Node, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_blob_that_is_larger_than_it_can_be_is_not_read() {
        /// Says how large it is and must not be read.
        #[derive(Debug)]
        struct Announced(u64);

        impl Blob for Announced {
            fn size_bytes(&self) -> io::Result<u64> {
                Ok(self.0)
            }

            fn read_all(&self) -> io::Result<Vec<u8>> {
                panic!("{} bytes were read", self.0)
            }
        }

        let refused = Announced(1 << 40).read(1 << 20).unwrap_err();
        assert!(matches!(refused, BlobError::TooLarge { size_bytes, .. } if size_bytes == 1 << 40));
        assert_eq!(vec![1, 2, 3].read(3).unwrap(), [1, 2, 3]);
        assert!(vec![1, 2, 3].read(2).is_err());
    }
}
