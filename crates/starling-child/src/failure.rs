//! Why a task was not proved, and whose trouble that is.

use std::{path::PathBuf, time::Duration};

use starling_types::{FailureClass, MemoryBytes};
use thiserror::Error;

use crate::Ended;

/// Why a task was not proved.
#[derive(Debug, Error)]
pub enum ProveFailure {
    /// The child did not start.
    #[error("cannot start the prover {program}: {source}")]
    Spawn {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was started is not a prover of this system and release.
    #[error("{program} is not a prover of this release: {detail}")]
    NotProver {
        /// What was started.
        program: PathBuf,
        /// What it did instead.
        detail: String,
        /// How it ended, if it did.
        ended: Option<Ended>,
    },
    /// The child needed more memory, or more threads, than it may have, or than there is.
    #[error("the prover ran out of memory{}: {detail}", limit.map(|limit| format!(" (limit {limit})")).unwrap_or_default())]
    OutOfMemory {
        /// The limit it had.
        limit: Option<MemoryBytes>,
        /// How it shows.
        detail: String,
    },
    /// Somebody ended the child: the system, where memory is short, or a person. It says nothing of the task until it
    /// happens again.
    #[error("the prover was killed from outside (signal 9), {by}: {stderr_tail}")]
    Killed {
        /// By whom, as far as the system tells.
        by: &'static str,
        /// The end of what it printed.
        stderr_tail: String,
    },
    /// The child died.
    #[error("the prover died ({status}): {stderr_tail}")]
    Crashed {
        /// How.
        status: Ended,
        /// The end of what it printed.
        stderr_tail: String,
    },
    /// The child took too long and was killed.
    #[error("the prover was stopped: the task had all of its {} s", after.as_secs())]
    Deadline {
        /// The time it was given.
        after: Duration,
    },
    /// The child had not got on for too long and was killed.
    #[error("the prover was stopped: it had not got on for {} s", after.as_secs())]
    StoodStill {
        /// How long it may stand still.
        after: Duration,
    },
    /// The child looked at the task and declined.
    #[error("{message}")]
    Refused {
        /// Who should try again.
        class: FailureClass,
        /// The child's reason.
        message: String,
    },
}

impl ProveFailure {
    /// Whose trouble it is. A crash is this machine's until others report the same.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Refused { class, .. } => *class,
            Self::OutOfMemory { .. } => FailureClass::Memory,
            _ => FailureClass::Node,
        }
    }
}
