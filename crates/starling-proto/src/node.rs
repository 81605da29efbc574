//! What a node says to a client.

use prost::Message as _;
use starling_types::{BlobRef, FailureClass, MemoryBytes};

use crate::{
    LeaseId, Offer,
    error::{DecodeError, FieldError, FieldProblem},
    field,
    limits::{CONTROL_MESSAGE_SIZE_BYTES_MAX, DONE_PERMILLE_MAX, SLOT_COUNT_MAX},
    message::{Message, decode_as},
    system,
    wire::{self, node_to_client::Message as Wire},
};

/// What a node says to a client, beginning with [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeMessage {
    /// Who the node is and what it can hold; the first message.
    Hello(Hello),
    /// The node has a free slot and wants one lease for it.
    WorkRequested,
    /// The node still works on the lease, or will. After a connection broke it says so of all that it holds.
    Renew {
        /// The lease.
        lease: LeaseId,
        /// How far it is with the task, by its own word: at most [`DONE_PERMILLE_MAX`], 0 where it does not know.
        done_permille: u32,
        /// Whether the lease, granted ahead, still waits for a slot.
        waits: bool,
    },
    /// The node does not take the lease up.
    Decline {
        /// The lease.
        lease: LeaseId,
        /// Whether it would have, had it not had other work by the time that the grant came.
        busy: bool,
    },
    /// The result is ready to be fetched.
    Done(Done),
    /// There will be no result.
    Failed(Failure),
    /// The node is about to close the connection.
    Leaving {
        /// Why, in words.
        reason: String,
    },
}

/// A node's introduction. All of it is the node's own claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The proof systems that it proves for; at least one.
    pub systems: Vec<Offer>,
    /// How much memory its provers may use.
    pub memory: MemoryBytes,
    /// How many leases it works on at once; at least one.
    pub slots: u32,
}

/// A result that lies ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The lease.
    pub lease: LeaseId,
    /// The receipt, to be fetched from the node.
    pub result: BlobRef,
    /// How long the proving took, in milliseconds.
    pub prove_ms: u64,
    /// The most memory that the prover used.
    pub peak_memory: MemoryBytes,
}

/// The end of a lease without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The lease.
    pub lease: LeaseId,
    /// Where the node thinks the fault lies.
    pub class: FailureClass,
    /// What happened, in words.
    pub message: String,
}

impl Message for NodeMessage {
    const NAME: &'static str = "NodeToClient";
    const SIZE_BYTES_MAX: usize = CONTROL_MESSAGE_SIZE_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        let message = match self {
            Self::Hello(hello) => Wire::Hello(hello.to_wire()),
            Self::WorkRequested => Wire::WorkRequested(wire::WorkRequested {}),
            Self::Renew { lease, done_permille, waits } => {
                let (lease, waits) = (Some(lease.to_wire()), *waits);
                let done_permille = (*done_permille).min(DONE_PERMILLE_MAX);
                Wire::Renew(wire::Renew { lease, done_permille, waits })
            }
            Self::Decline { lease, busy } => {
                Wire::Decline(wire::Decline { lease: Some(lease.to_wire()), busy: *busy })
            }
            Self::Done(done) => Wire::Done(done.to_wire()),
            Self::Failed(failure) => Wire::Failed(failure.to_wire()),
            Self::Leaving { reason } => {
                Wire::Leaving(wire::Leaving { reason: field::outgoing_text(reason) })
            }
        };
        wire::NodeToClient { message: Some(message) }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_as(bytes, |wire: wire::NodeToClient| {
            Ok(match field::present("message", wire.message)? {
                Wire::Hello(hello) => {
                    Self::Hello(Hello::from_wire(&hello).map_err(|e| e.within("hello"))?)
                }
                Wire::WorkRequested(_) => Self::WorkRequested,
                Wire::Renew(renew) => Self::renewal(&renew).map_err(|e| e.within("renew"))?,
                Wire::Decline(decline) => {
                    let lease = field::lease("lease", decline.lease.as_ref());
                    let lease = lease.map_err(|e| e.within("decline"))?;
                    Self::Decline { lease, busy: decline.busy }
                }
                Wire::Done(done) => {
                    Self::Done(Done::from_wire(&done).map_err(|e| e.within("done"))?)
                }
                Wire::Failed(failure) => {
                    Self::Failed(Failure::from_wire(&failure).map_err(|e| e.within("failed"))?)
                }
                Wire::Leaving(leaving) => {
                    let reason = field::text("reason", &leaving.reason);
                    Self::Leaving { reason: reason.map_err(|e| e.within("leaving"))? }
                }
            })
        })
    }
}

impl NodeMessage {
    fn renewal(renew: &wire::Renew) -> Result<Self, FieldError> {
        let done_permille = renew.done_permille;
        field::in_range("done_permille", done_permille.into(), 0, DONE_PERMILLE_MAX.into())?;
        let (lease, waits) = (field::lease("lease", renew.lease.as_ref())?, renew.waits);
        Ok(Self::Renew { lease, done_permille, waits })
    }
}

impl Hello {
    fn to_wire(&self) -> wire::Hello {
        wire::Hello {
            systems: self.systems.iter().map(Offer::to_wire).collect(),
            memory_bytes: self.memory.0,
            slots: self.slots,
        }
    }

    fn from_wire(hello: &wire::Hello) -> Result<Self, FieldError> {
        field::in_range("slots", hello.slots.into(), 1, SLOT_COUNT_MAX.into())?;
        Ok(Self {
            systems: system::offers(&hello.systems)?,
            memory: MemoryBytes(hello.memory_bytes),
            slots: hello.slots,
        })
    }
}

impl Done {
    fn to_wire(&self) -> wire::Done {
        wire::Done {
            lease: Some(self.lease.to_wire()),
            result: Some(field::blob_to_wire(self.result)),
            prove_ms: self.prove_ms,
            peak_memory_bytes: self.peak_memory.0,
        }
    }

    fn from_wire(done: &wire::Done) -> Result<Self, FieldError> {
        Ok(Self {
            lease: field::lease("lease", done.lease.as_ref())?,
            result: field::blob("result", done.result.as_ref())?,
            prove_ms: field::duration("prove_ms", done.prove_ms)?.0,
            peak_memory: MemoryBytes(done.peak_memory_bytes),
        })
    }
}

impl Failure {
    fn to_wire(&self) -> wire::Failure {
        let class = match self.class {
            FailureClass::Memory => wire::FailureClass::Memory,
            FailureClass::Disk => wire::FailureClass::Disk,
            FailureClass::Node => wire::FailureClass::Node,
            FailureClass::Input => wire::FailureClass::Input,
            FailureClass::Task => wire::FailureClass::Task,
        };
        let message = field::outgoing_text(&self.message);
        wire::Failure { lease: Some(self.lease.to_wire()), class: class.into(), message }
    }

    fn from_wire(failure: &wire::Failure) -> Result<Self, FieldError> {
        let class = match wire::FailureClass::try_from(failure.class) {
            Ok(wire::FailureClass::Memory) => FailureClass::Memory,
            Ok(wire::FailureClass::Disk) => FailureClass::Disk,
            Ok(wire::FailureClass::Node) => FailureClass::Node,
            Ok(wire::FailureClass::Input) => FailureClass::Input,
            Ok(wire::FailureClass::Task) => FailureClass::Task,
            Ok(wire::FailureClass::Unspecified) | Err(_) => {
                let problem = FieldProblem::Unknown { value: failure.class };
                return Err(FieldError::new("class", problem));
            }
        };
        let message = field::text("message", &failure.message)?;
        Ok(Self { lease: field::lease("lease", failure.lease.as_ref())?, class, message })
    }
}
