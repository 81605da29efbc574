//! What a client says to a node.

use prost::Message as _;
use starling_types::{BlobRef, Epoch, JobId, MemoryBytes, Millis, Po2, TaskId};

use crate::{
    PeerAddr,
    error::{DecodeError, FieldError},
    field,
    limits::{CONTROL_MESSAGE_SIZE_BYTES_MAX, HOLDER_COUNT_MAX, INPUT_COUNT_MAX},
    message::{Message, decode_as},
    wire::{self, client_to_node::Message as Wire},
};

/// What a client says to a node, beginning with [`Welcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Which job the node works for; the answer to its hello.
    Welcome(Welcome),
    /// A lease.
    Grant(Grant),
    /// The lease is over; what the node did for it is not needed.
    Revoke {
        /// The lease.
        epoch: Epoch,
        /// Why, in words.
        reason: String,
    },
    /// What became of a result.
    Verdict {
        /// The lease.
        epoch: Epoch,
        /// Whether the result counts.
        accepted: bool,
        /// Why not, in words; empty when accepted.
        reason: String,
    },
    /// The client has no work for this node and is about to close the connection.
    Goodbye {
        /// Why, in words.
        reason: String,
    },
}

/// A client's introduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The job that all leases of this connection belong to.
    pub job: JobId,
    /// The client's program and version.
    pub agent: String,
    /// The proof system and version that receipts must be of.
    pub zkvm: String,
}

/// A task granted to a node for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name of the lease.
    pub epoch: Epoch,
    /// What to do.
    pub task: TaskId,
    /// The size of the segment or of the keccak proof; for other tasks that of the job's segments.
    pub po2: Po2,
    /// What to do it with: one segment, segment receipt or keccak request; the left and the right receipt of a
    /// join or a union; the receipt to resolve and that of its first assumption; the receipt to unwrap.
    pub inputs: Vec<Input>,
    /// The lease ends when the node says nothing about it for so long.
    pub renew_within: Millis,
    /// The lease ends after so long, renewed or not.
    pub deadline: Millis,
    /// The memory that the client expects the task to need.
    pub memory: MemoryBytes,
    /// Whether the job counts work: its lifted receipts claim how much they were, until the unwrap.
    pub work_claims: bool,
}

/// An input of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The input.
    pub blob: BlobRef,
    /// Who has it besides the client. Of more than [`HOLDER_COUNT_MAX`] the rest is not sent.
    pub holders: Vec<PeerAddr>,
}

impl Message for ClientMessage {
    const NAME: &'static str = "ClientToNode";
    const SIZE_BYTES_MAX: usize = CONTROL_MESSAGE_SIZE_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        let message = match self {
            Self::Welcome(welcome) => Wire::Welcome(welcome.to_wire()),
            Self::Grant(grant) => Wire::Grant(grant.to_wire()),
            Self::Revoke { epoch, reason } => {
                Wire::Revoke(wire::Revoke { epoch: epoch.0, reason: field::outgoing_text(reason) })
            }
            Self::Verdict { epoch, accepted, reason } => Wire::Verdict(wire::Verdict {
                epoch: epoch.0,
                accepted: *accepted,
                reason: field::outgoing_text(reason),
            }),
            Self::Goodbye { reason } => {
                Wire::Goodbye(wire::Goodbye { reason: field::outgoing_text(reason) })
            }
        };
        wire::ClientToNode { message: Some(message) }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_as(bytes, |wire: wire::ClientToNode| {
            let reason_of = |outer, reason: &str| {
                field::text("reason", reason).map_err(|e: FieldError| e.within(outer))
            };
            Ok(match field::present("message", wire.message)? {
                Wire::Welcome(welcome) => {
                    Self::Welcome(Welcome::from_wire(&welcome).map_err(|e| e.within("welcome"))?)
                }
                Wire::Grant(grant) => {
                    Self::Grant(Grant::from_wire(&grant).map_err(|e| e.within("grant"))?)
                }
                Wire::Revoke(revoke) => Self::Revoke {
                    epoch: Epoch(revoke.epoch),
                    reason: reason_of("revoke", &revoke.reason)?,
                },
                Wire::Verdict(verdict) => Self::Verdict {
                    epoch: Epoch(verdict.epoch),
                    accepted: verdict.accepted,
                    reason: reason_of("verdict", &verdict.reason)?,
                },
                Wire::Goodbye(goodbye) => {
                    Self::Goodbye { reason: reason_of("goodbye", &goodbye.reason)? }
                }
            })
        })
    }
}

impl Welcome {
    fn to_wire(&self) -> wire::Welcome {
        wire::Welcome {
            job_id: self.job.0.into(),
            agent: field::outgoing_text(&self.agent),
            zkvm: field::outgoing_text(&self.zkvm),
        }
    }

    fn from_wire(welcome: &wire::Welcome) -> Result<Self, FieldError> {
        Ok(Self {
            job: field::job_id("job_id", &welcome.job_id)?,
            agent: field::text("agent", &welcome.agent)?,
            zkvm: field::text("zkvm", &welcome.zkvm)?,
        })
    }
}

impl Grant {
    fn to_wire(&self) -> wire::Grant {
        wire::Grant {
            epoch: self.epoch.0,
            task: Some(field::task_to_wire(self.task)),
            po2: self.po2.get(),
            inputs: self.inputs.iter().map(Input::to_wire).collect(),
            renew_within_ms: self.renew_within.0,
            deadline_ms: self.deadline.0,
            memory_bytes: self.memory.0,
            work_claims: self.work_claims,
        }
    }

    fn from_wire(grant: &wire::Grant) -> Result<Self, FieldError> {
        let inputs = field::at_most("inputs", &grant.inputs, INPUT_COUNT_MAX)?;
        Ok(Self {
            epoch: Epoch(grant.epoch),
            task: field::task("task", grant.task.as_ref())?,
            po2: field::po2("po2", grant.po2)?,
            inputs: field::each("inputs", inputs, Input::from_wire)?,
            renew_within: field::duration("renew_within_ms", grant.renew_within_ms)?,
            deadline: field::duration("deadline_ms", grant.deadline_ms)?,
            memory: MemoryBytes(grant.memory_bytes),
            work_claims: grant.work_claims,
        })
    }
}

impl Input {
    fn to_wire(&self) -> wire::Input {
        let holders = self.holders.iter().take(HOLDER_COUNT_MAX);
        wire::Input {
            blob: Some(field::blob_to_wire(self.blob)),
            holders: holders.map(PeerAddr::to_wire).collect(),
        }
    }

    fn from_wire(input: &wire::Input) -> Result<Self, FieldError> {
        let holders = field::at_most("holders", &input.holders, HOLDER_COUNT_MAX)?;
        Ok(Self {
            blob: field::blob("blob", input.blob.as_ref())?,
            holders: field::each("holders", holders, PeerAddr::from_wire)?,
        })
    }
}
