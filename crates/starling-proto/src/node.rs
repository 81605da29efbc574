//! What a node says to a client.

use prost::Message as _;
use starling_types::{BlobRef, Capability, Epoch, FailureClass, MemoryBytes, TaskKind};

use crate::{
    error::{DecodeError, FieldError, FieldProblem},
    field,
    limits::{CONTROL_MESSAGE_SIZE_BYTES_MAX, DONE_PERMILLE_MAX, SLOT_COUNT_MAX},
    message::{Message, decode_as},
    wire::{self, node_to_client::Message as Wire},
};

/// What a node says to a client, beginning with [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeMessage {
    /// Who the node is and what it can hold; the first message.
    Hello(Hello),
    /// The node has a free slot and wants one lease for it.
    WorkRequested,
    /// The node still works on the lease.
    Renew {
        /// The lease.
        epoch: Epoch,
        /// How far it is with the task, by its own word: at most [`DONE_PERMILLE_MAX`], 0 where it does not know.
        done_permille: u32,
    },
    /// The node does not take the lease up.
    Decline {
        /// The lease.
        epoch: Epoch,
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
    /// The node's program and version.
    pub agent: String,
    /// The proof system and version that its receipts are of, such as `risc0-zkvm 3.1.0-rc.1`.
    pub zkvm: String,
    /// What it can do: at least one kind and one slot. Kinds that are unknown here are left out when it is decoded.
    pub capability: Capability,
}

/// A result that lies ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The lease.
    pub epoch: Epoch,
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
    pub epoch: Epoch,
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
            Self::Renew { epoch, done_permille } => {
                let done_permille = (*done_permille).min(DONE_PERMILLE_MAX);
                Wire::Renew(wire::Renew { epoch: epoch.0, done_permille })
            }
            Self::Decline { epoch } => Wire::Decline(wire::Decline { epoch: epoch.0 }),
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
                Wire::Decline(decline) => Self::Decline { epoch: Epoch(decline.epoch) },
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
        Ok(Self::Renew { epoch: Epoch(renew.epoch), done_permille })
    }
}

impl Hello {
    fn to_wire(&self) -> wire::Hello {
        let Capability { memory, kinds, po2_max, slots, speed_permille } = &self.capability;
        wire::Hello {
            agent: field::outgoing_text(&self.agent),
            zkvm: field::outgoing_text(&self.zkvm),
            memory_bytes: memory.0,
            kinds: field::codes_to_wire(kinds),
            po2_max: po2_max.get(),
            slots: *slots,
            speed_permille: *speed_permille,
        }
    }

    fn from_wire(hello: &wire::Hello) -> Result<Self, FieldError> {
        field::in_range("slots", hello.slots.into(), 1, SLOT_COUNT_MAX.into())?;
        Ok(Self {
            agent: field::text("agent", &hello.agent)?,
            zkvm: field::text("zkvm", &hello.zkvm)?,
            capability: Capability {
                memory: MemoryBytes(hello.memory_bytes),
                kinds: field::kinds("kinds", &hello.kinds)?
                    .into_iter()
                    .map(TaskKind::code)
                    .collect(),
                po2_max: field::po2("po2_max", hello.po2_max)?,
                slots: hello.slots,
                speed_permille: hello.speed_permille,
            },
        })
    }
}

impl Done {
    fn to_wire(&self) -> wire::Done {
        wire::Done {
            epoch: self.epoch.0,
            result: Some(field::blob_to_wire(self.result)),
            prove_ms: self.prove_ms,
            peak_memory_bytes: self.peak_memory.0,
        }
    }

    fn from_wire(done: &wire::Done) -> Result<Self, FieldError> {
        Ok(Self {
            epoch: Epoch(done.epoch),
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
        wire::Failure { epoch: self.epoch.0, class: class.into(), message }
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
        Ok(Self { epoch: Epoch(failure.epoch), class, message })
    }
}
