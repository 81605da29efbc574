//! What happens to a node, and what it does about it.

use starling_proto::{ClientMessage, JobAd, LeaseId, NodeMessage, PeerAddr};
use starling_types::{
    BlobRef, FailureClass, MemoryBytes, Millis, NodeId, Profile, Reference, Role, SystemName, Task,
};

/// One connection to a client, or one attempt at it: counted in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One accepted lease: counted in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId(pub u64);

/// What happened.
///
/// Each [`Action::Fetch`], [`Action::Prove`] and [`Action::Publish`] is answered by one event about its work: how it
/// ended, or [`Event::Stopped`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The user named a client.
    Named {
        /// The client.
        client: PeerAddr,
    },
    /// A client advertises.
    AdHeard {
        /// Its ad, which was verified.
        ad: JobAd,
    },
    /// A dialled client was reached.
    Connected {
        /// The dial.
        session: SessionId,
    },
    /// A client said something.
    Said {
        /// Over which connection.
        session: SessionId,
        /// What.
        message: ClientMessage,
    },
    /// A connection is gone, or did not come about.
    Closed {
        /// The connection.
        session: SessionId,
        /// Why, in words.
        reason: String,
    },
    /// The input that was to be fetched is in the store.
    Fetched {
        /// For which lease.
        work: WorkId,
    },
    /// The input did not come.
    NotFetched {
        /// For which lease.
        work: WorkId,
        /// Why.
        cause: InputFailure,
    },
    /// The prover tells how far it is.
    GotOn {
        /// With which lease.
        work: WorkId,
        /// In thousandths.
        done_permille: u32,
    },
    /// The proof is there, and not yet in the store.
    Proved {
        /// For which lease.
        work: WorkId,
        /// What it cost.
        report: ProofReport,
    },
    /// There is no proof.
    NotProved {
        /// For which lease.
        work: WorkId,
        /// Why.
        cause: ProofFailure,
    },
    /// The result is in the store.
    Published {
        /// For which lease.
        work: WorkId,
        /// The result.
        result: BlobRef,
    },
    /// The result could not be stored; the proof is still there.
    NotPublished {
        /// For which lease.
        work: WorkId,
        /// Why.
        cause: StoreFailure,
    },
    /// What ran for the lease was cancelled and is gone, with its memory.
    Stopped {
        /// Which lease.
        work: WorkId,
    },
    /// The disk was looked at.
    DiskSeen {
        /// Whether there was as much room as was asked for.
        has_room: bool,
    },
    /// The node is to end.
    Stop,
    /// Time has passed.
    Tick,
}

/// Why an input did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFailure {
    /// There is no room for it here.
    NoRoom,
    /// This machine could not store it.
    Storage(String),
    /// Nobody delivered it.
    Unavailable(String),
    /// Nobody delivered it, because who has it served others all the time.
    Busy,
}

/// Why a result could not be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreFailure {
    /// There is no room for it.
    NoRoom,
    /// Otherwise.
    Storage(String),
}

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofFailure {
    /// Somebody else ended the prover: the system, when memory is short, or a person.
    Killed(String),
    /// It needs more memory than it may have.
    OutOfMemory(String),
    /// The prover crashed or could not be started.
    Node(String),
    /// The inputs are not what they should be.
    Input(String),
    /// The inputs are good and cannot be proved.
    Task(String),
}

/// What a proof cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofReport {
    /// How long it took.
    pub elapsed: Millis,
    /// The most memory that the prover used.
    pub peak_memory: MemoryBytes,
    /// Proofs that did not verify and were made once more.
    pub reproved: u32,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to a client.
    Dial {
        /// The name of the attempt.
        session: SessionId,
        /// Whom.
        client: PeerAddr,
        /// Where only ads tell of it: how often in a row it was tried in vain. It is to be tried at a few of its addresses, at
        /// others each time.
        heard: Option<u32>,
    },
    /// Say something.
    Send {
        /// Over which connection.
        session: SessionId,
        /// What.
        message: NodeMessage,
    },
    /// Send what is queued and end the connection, or the attempt. No event follows.
    Close {
        /// The connection.
        session: SessionId,
    },
    /// Bring an input into the store.
    Fetch {
        /// For which lease.
        work: WorkId,
        /// The input.
        blob: BlobRef,
        /// Who has it besides the client; to be asked first, since every node asks the client.
        holders: Vec<PeerAddr>,
        /// The client, which has it for certain.
        client: PeerAddr,
        /// The connection to it, if there is one.
        session: Option<SessionId>,
    },
    /// Prove.
    Prove {
        /// For which lease.
        work: WorkId,
        /// In which slot: there is one prover for each.
        slot: usize,
        /// What.
        order: Order,
    },
    /// Put the proof into the store.
    Publish {
        /// For which lease.
        work: WorkId,
    },
    /// Stop fetching or proving; the event [`Event::Stopped`] follows, unless the end came first.
    Cancel {
        /// For which lease.
        work: WorkId,
    },
    /// The lease is over: whatever is left of it besides blobs can go.
    Over {
        /// Which lease.
        work: WorkId,
    },
    /// Nobody needs this blob any more, if it is there.
    Forget {
        /// The blob.
        blob: Reference,
    },
    /// See whether there is so much room; the event [`Event::DiskSeen`] follows.
    LookAtDisk {
        /// How much, in bytes.
        room_bytes: u64,
    },
    /// Keep what was measured, for the next run of the node.
    KeepSpeed {
        /// As [`Speed`](crate::Speed) prints it.
        speed: String,
    },
    /// Tell people.
    Say(Note),
    /// A client that the user named is over.
    ClientOver {
        /// Which.
        client: NodeId,
        /// How it ended.
        end: ClientEnd,
    },
}

/// What to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The system that the task belongs to.
    pub system: SystemName,
    /// The task.
    pub task: Task,
    /// What else the system's prover wants to know.
    pub arguments: Vec<u8>,
    /// The inputs, all in the store, and what each is to the task.
    pub inputs: Vec<(Role, BlobRef)>,
    /// How memory is traded for time.
    pub profile: Profile,
    /// What the prover's process may allocate for it.
    pub memory_limit: MemoryBytes,
    /// How long it may stand still: it begins anew with each [`Event::GotOn`].
    pub standstill_max: Millis,
    /// What is left of its time in the slot.
    pub time_left: Millis,
}

/// How it ended with a client that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEnd {
    /// The client ends, in good order.
    ShutDown {
        /// Its words.
        message: String,
    },
    /// The client wants no more of this node.
    Dismissed {
        /// Its words.
        message: String,
    },
    /// There is no proof system in common.
    WrongSystem {
        /// Its words.
        message: String,
    },
    /// It can't be reached, or not any more.
    Unreachable {
        /// What the last attempt ended in.
        reason: String,
    },
}

/// What a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A client welcomed this node.
    Serving {
        /// The client.
        client: NodeId,
    },
    /// It did so again, and leases outlived the break.
    Resumed {
        /// The client.
        client: NodeId,
        /// How many leases.
        leases: usize,
    },
    /// The connection to a client is gone, or did not come about; it is dialled again.
    Away {
        /// The client.
        client: NodeId,
        /// Why, in words.
        reason: String,
    },
    /// It is over with a client.
    Left {
        /// The client.
        client: NodeId,
        /// Why, in words.
        reason: String,
    },
    /// A proof was begun.
    Proving {
        /// The lease.
        lease: LeaseId,
        /// The task, as its system calls it.
        task: String,
        /// How memory is traded for time.
        profile: Profile,
    },
    /// A result is stored.
    Proved {
        /// The lease.
        lease: LeaseId,
        /// The task, as its system calls it.
        task: String,
        /// How long the proof took.
        elapsed: Millis,
    },
    /// A lease ended without a result.
    Failed {
        /// The lease.
        lease: LeaseId,
        /// The task, as its system calls it.
        task: String,
        /// Where the fault lies.
        class: FailureClass,
        /// What happened.
        message: String,
    },
    /// The client took a lease back.
    Revoked {
        /// The lease.
        lease: LeaseId,
        /// The client's words.
        reason: String,
    },
    /// The client refused a result.
    Refused {
        /// The lease.
        lease: LeaseId,
        /// The client's words.
        reason: String,
    },
    /// Proofs did not verify and were made once more.
    Reproved {
        /// The task, as its system calls it.
        task: String,
        /// How many.
        count: u32,
    },
    /// The prover was killed from outside, and the proof is begun again.
    Killed {
        /// The task, as its system calls it.
        task: String,
        /// How it shows.
        detail: String,
    },
    /// There is no room on the disk: no work is asked for until there is.
    DiskFull,
    /// There is room again.
    DiskRoom,
}
