//! What a client says to a node.

use prost::Message as _;
use starling_types::{BlobRef, ClientRun, Millis, Role, SystemName, Task};

use crate::{
    GoodbyeReason, LeaseId, PeerAddr,
    error::{DecodeError, FieldError, FieldProblem},
    field,
    limits::{
        ARGUMENTS_SIZE_BYTES_MAX, CONTROL_MESSAGE_SIZE_BYTES_MAX, HOLDER_COUNT_MAX, INPUT_COUNT_MAX,
    },
    message::{Message, decode_as},
    wire::{self, client_to_node::Message as Wire},
};

/// What a client says to a node, beginning with [`Welcome`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Who the client is; the answer to a hello.
    Welcome(Welcome),
    /// A lease.
    Grant(Grant),
    /// The lease is over; what the node did for it is not needed.
    Revoke {
        /// The lease.
        lease: LeaseId,
        /// Why, in words.
        reason: String,
    },
    /// What became of a result.
    Verdict {
        /// The lease.
        lease: LeaseId,
        /// Whether the result counts.
        accepted: bool,
        /// Why not, in words; empty when accepted.
        reason: String,
    },
    /// The client takes leave of the node, and may close the connection.
    Goodbye {
        /// Why.
        reason: GoodbyeReason,
        /// Why, in words.
        message: String,
    },
}

/// A client's introduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Which run of its process this is: leases of another mean nothing to it.
    pub run: ClientRun,
}

/// A task granted to a node for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name of the lease.
    pub lease: LeaseId,
    /// The proof system that the task belongs to.
    pub system: SystemName,
    /// What to do.
    pub task: Task,
    /// Whatever else the system's prover wants to know, as the system encodes it: at most [`ARGUMENTS_SIZE_BYTES_MAX`].
    pub arguments: Vec<u8>,
    /// What to do it with, in the order that the system gives: at most [`INPUT_COUNT_MAX`].
    pub inputs: Vec<Input>,
    /// The lease ends when the node says nothing about it for so long.
    pub renew_within: Millis,
    /// How long the task may stand still in its slot: the node ends it then, and the client sooner or later.
    pub deadline: Millis,
    /// Whether the node may fetch the inputs while its slots are busy, and begin when one is free.
    pub ahead: bool,
}

/// An input of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The input.
    pub blob: BlobRef,
    /// What it is to the task.
    pub role: Role,
    /// Who has it besides the client. Of more than [`HOLDER_COUNT_MAX`], or than fit into a message, the rest is not sent.
    pub holders: Vec<PeerAddr>,
}

impl Message for ClientMessage {
    const NAME: &'static str = "ClientToNode";
    const SIZE_BYTES_MAX: usize = CONTROL_MESSAGE_SIZE_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        let message = match self {
            Self::Welcome(welcome) => Wire::Welcome(welcome.to_wire()),
            Self::Grant(grant) => Wire::Grant(grant.to_wire()),
            Self::Revoke { lease, reason } => Wire::Revoke(wire::Revoke {
                lease: Some(lease.to_wire()),
                reason: field::outgoing_text(reason),
            }),
            Self::Verdict { lease, accepted, reason } => Wire::Verdict(wire::Verdict {
                lease: Some(lease.to_wire()),
                accepted: *accepted,
                reason: field::outgoing_text(reason),
            }),
            Self::Goodbye { reason, message } => {
                let (reason, job_id) = reason.to_wire();
                let message = field::outgoing_text(message);
                Wire::Goodbye(wire::Goodbye { reason: reason.into(), job_id, message })
            }
        };
        wire::ClientToNode { message: Some(message) }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_as(bytes, |wire: wire::ClientToNode| {
            let reason_of = |outer, reason: &str| {
                field::text("reason", reason).map_err(|e: FieldError| e.within(outer))
            };
            let lease_of = |outer, lease: Option<&wire::LeaseId>| {
                field::lease("lease", lease).map_err(|e: FieldError| e.within(outer))
            };
            Ok(match field::present("message", wire.message)? {
                Wire::Welcome(welcome) => Self::Welcome(Welcome::from_wire(&welcome)),
                Wire::Grant(grant) => {
                    Self::Grant(Grant::from_wire(&grant).map_err(|e| e.within("grant"))?)
                }
                Wire::Revoke(revoke) => Self::Revoke {
                    lease: lease_of("revoke", revoke.lease.as_ref())?,
                    reason: reason_of("revoke", &revoke.reason)?,
                },
                Wire::Verdict(verdict) => Self::Verdict {
                    lease: lease_of("verdict", verdict.lease.as_ref())?,
                    accepted: verdict.accepted,
                    reason: reason_of("verdict", &verdict.reason)?,
                },
                Wire::Goodbye(goodbye) => Self::Goodbye {
                    reason: GoodbyeReason::from_wire(&goodbye).map_err(|e| e.within("goodbye"))?,
                    message: field::text("message", &goodbye.message)
                        .map_err(|e| e.within("goodbye"))?,
                },
            })
        })
    }
}

impl Welcome {
    fn to_wire(&self) -> wire::Welcome {
        wire::Welcome { run: self.run.0 }
    }

    fn from_wire(welcome: &wire::Welcome) -> Self {
        Self { run: ClientRun(welcome.run) }
    }
}

/// What the message around a grant takes: two tags with lengths.
const ENVELOPE_SIZE_BYTES_MAX: usize = 16;

impl Grant {
    /// With as many holders as fit: they are hints.
    fn to_wire(&self) -> wire::Grant {
        let mut holder_count = HOLDER_COUNT_MAX;
        loop {
            let grant = self.with_holders(holder_count);
            let size_bytes = grant.encoded_len() + ENVELOPE_SIZE_BYTES_MAX;
            if holder_count == 0 || size_bytes <= CONTROL_MESSAGE_SIZE_BYTES_MAX {
                return grant;
            }
            holder_count -= 1;
        }
    }

    fn with_holders(&self, holder_count: usize) -> wire::Grant {
        wire::Grant {
            lease: Some(self.lease.to_wire()),
            system: field::outgoing_text(self.system.as_str()),
            task: Some(field::task_to_wire(self.task)),
            arguments: self.arguments.clone(),
            inputs: self.inputs.iter().map(|input| input.to_wire(holder_count)).collect(),
            renew_within_ms: self.renew_within.0,
            deadline_ms: self.deadline.0,
            ahead: self.ahead,
        }
    }

    fn from_wire(grant: &wire::Grant) -> Result<Self, FieldError> {
        let inputs = field::at_most("inputs", &grant.inputs, INPUT_COUNT_MAX)?;
        let (size_bytes, size_bytes_max) = (grant.arguments.len(), ARGUMENTS_SIZE_BYTES_MAX);
        if size_bytes > size_bytes_max {
            let problem = FieldProblem::TooLong { size_bytes, size_bytes_max };
            return Err(FieldError::new("arguments", problem));
        }
        Ok(Self {
            lease: field::lease("lease", grant.lease.as_ref())?,
            system: field::system("system", &grant.system)?,
            task: field::task("task", grant.task.as_ref())?,
            arguments: grant.arguments.clone(),
            inputs: field::each("inputs", inputs, Input::from_wire)?,
            renew_within: field::duration("renew_within_ms", grant.renew_within_ms)?,
            deadline: field::duration("deadline_ms", grant.deadline_ms)?,
            ahead: grant.ahead,
        })
    }
}

impl Input {
    fn to_wire(&self, holder_count: usize) -> wire::Input {
        let holders = self.holders.iter().take(holder_count);
        let role = match self.role {
            Role::Input => wire::InputRole::Input,
            Role::Challenge => wire::InputRole::Challenge,
        };
        wire::Input {
            blob: Some(field::blob_to_wire(self.blob)),
            role: role.into(),
            holders: holders.map(PeerAddr::to_wire).collect(),
        }
    }

    fn from_wire(input: &wire::Input) -> Result<Self, FieldError> {
        let holders = field::at_most("holders", &input.holders, HOLDER_COUNT_MAX)?;
        let role = match wire::InputRole::try_from(input.role) {
            Ok(wire::InputRole::Input) => Role::Input,
            Ok(wire::InputRole::Challenge) => Role::Challenge,
            Ok(wire::InputRole::Unspecified) | Err(_) => {
                let problem = FieldProblem::Unknown { value: input.role };
                return Err(FieldError::new("role", problem));
            }
        };
        Ok(Self {
            blob: field::blob("blob", input.blob.as_ref())?,
            role,
            holders: field::each("holders", holders, PeerAddr::from_wire)?,
        })
    }
}
