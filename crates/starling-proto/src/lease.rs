//! How peers name a lease to each other.

use std::fmt;

use starling_types::{Epoch, JobId};

use crate::{error::FieldError, field, wire};

/// The name of a lease, among all of its client: epochs are counted for each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId {
    /// The job that the task belongs to.
    pub job: JobId,
    /// The number of the lease within the job.
    pub epoch: Epoch,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}/{}", self.job, self.epoch)
    }
}

impl LeaseId {
    pub(crate) fn to_wire(self) -> wire::LeaseId {
        wire::LeaseId { job_id: self.job.0.into(), epoch: self.epoch.0 }
    }

    pub(crate) fn from_wire(lease: &wire::LeaseId) -> Result<Self, FieldError> {
        Ok(Self { job: field::job_id("job_id", &lease.job_id)?, epoch: Epoch(lease.epoch) })
    }
}
