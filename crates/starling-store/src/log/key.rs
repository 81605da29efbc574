//! What the log has events under.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};
use starling_types::{JobId, as_hex};

/// What the log has the events of a job under: the bytes of its id, unless those came to harm on the disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobKey(#[serde(with = "as_hex")] Vec<u8>);

impl JobKey {
    pub(super) fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The job; `None` where this is not a job's id, so that nobody knows whose the events are.
    pub fn job(&self) -> Option<JobId> {
        JobId::from_slice(&self.0)
    }
}

impl From<JobId> for JobKey {
    fn from(job: JobId) -> Self {
        Self(job.as_bytes().to_vec())
    }
}

impl Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
