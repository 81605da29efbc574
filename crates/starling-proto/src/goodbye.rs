//! Why a client takes leave of a node, and so what the node does next.

use starling_types::JobId;

use crate::{
    error::{FieldError, FieldProblem},
    field, wire,
};

/// Why a client takes leave of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GoodbyeReason {
    /// This job is over for the node, or starts over: its leases are void. The node is still welcome.
    JobOver {
        /// The job.
        job: JobId,
    },
    /// The node is not wanted any more: what it reported was wrong.
    Dismissed,
    /// They have no proof system in common.
    WrongSystem,
    /// The client ends.
    ShuttingDown,
    /// The client has too many nodes. It may have room later.
    Busy,
}

impl GoodbyeReason {
    pub(crate) fn to_wire(self) -> (wire::GoodbyeReason, Vec<u8>) {
        match self {
            Self::JobOver { job } => (wire::GoodbyeReason::JobOver, job.0.into()),
            Self::Dismissed => (wire::GoodbyeReason::Dismissed, Vec::new()),
            Self::WrongSystem => (wire::GoodbyeReason::WrongSystem, Vec::new()),
            Self::ShuttingDown => (wire::GoodbyeReason::ShuttingDown, Vec::new()),
            Self::Busy => (wire::GoodbyeReason::Busy, Vec::new()),
        }
    }

    pub(crate) fn from_wire(goodbye: &wire::Goodbye) -> Result<Self, FieldError> {
        Ok(match wire::GoodbyeReason::try_from(goodbye.reason) {
            Ok(wire::GoodbyeReason::JobOver) => {
                Self::JobOver { job: field::job_id("job_id", &goodbye.job_id)? }
            }
            Ok(wire::GoodbyeReason::Dismissed) => Self::Dismissed,
            Ok(wire::GoodbyeReason::WrongSystem) => Self::WrongSystem,
            Ok(wire::GoodbyeReason::ShuttingDown) => Self::ShuttingDown,
            Ok(wire::GoodbyeReason::Busy) => Self::Busy,
            Ok(wire::GoodbyeReason::Unspecified) | Err(_) => {
                let problem = FieldProblem::Unknown { value: goodbye.reason };
                return Err(FieldError::new("reason", problem));
            }
        })
    }
}
