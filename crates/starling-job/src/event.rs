//! What happens to a job, and what its core does about it.

use std::collections::BTreeSet;

use starling_plan::PlanError;
use starling_sched::{ExpiryReason, IgnoreReason, Lease, RevokeReason, TaskFailure, WaitReason};
use starling_types::{
    BlobRef, Capability, Epoch, MemoryBytes, Millis, NodeId, Po2, Reference, Task,
};

use crate::{JobEvent, Script, Trouble as _, script::OutcomeOf};

/// One connection of a node, counted by the shell: of two, the one with the larger number is the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One thing that is written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u64);

/// One run of the source, from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRun(pub u32);

/// One check of results as a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Event<S: Script> {
    /// The shell is ready: the first event.
    Begin,
    /// The answer to [`Action::Record`]: all of it is in the log.
    Recorded {
        /// Of which.
        id: RecordId,
    },
    /// The answer to [`Action::Record`]: nothing of it is in the log.
    NotRecorded {
        /// Of which.
        id: RecordId,
        /// Why.
        error: S::Error,
    },
    /// The source put something out, and its blobs are in the store.
    Emitted {
        /// Which run of it.
        run: SourceRun,
        /// What.
        piece: S::Piece,
        /// What keeps its blobs.
        pins: Vec<S::Pin>,
    },
    /// The source holds back what it would put out next: there is no room for it. It goes on by itself when there is; what it
    /// puts out then says so.
    SourceLacksRoom {
        /// Which run of it.
        run: SourceRun,
        /// What is missing.
        shortage: Shortage,
    },
    /// The source came to no good end, or can't be run.
    SourceFailed {
        /// Which run of it.
        run: SourceRun,
        /// Why.
        error: S::Error,
    },
    /// A node connected.
    NodeConnected {
        /// The node.
        node: NodeId,
        /// Over which connection.
        connection: ConnectionId,
        /// What it can do.
        capability: Capability,
    },
    /// A node said something.
    NodeSaid {
        /// The node.
        node: NodeId,
        /// Over which connection.
        connection: ConnectionId,
        /// What.
        word: Word,
    },
    /// Nodes work for other jobs of the same client, and come to this one in its turn: that is not waiting for nodes.
    OthersServed,
    /// The answer to [`Action::Grant`] where the node has other work meanwhile: the lease was not sent.
    LeaseReturned {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
    },
    /// A connection is gone.
    NodeGone {
        /// Whose.
        node: NodeId,
        /// Which.
        connection: ConnectionId,
    },
    /// The answer to [`Action::Check`].
    Checked {
        /// The lease.
        epoch: Epoch,
        /// What the check found.
        verdict: Verdict<S>,
    },
    /// The answer to [`Action::Look`].
    Looked {
        /// What was looked at.
        blobs: Vec<BlobRef>,
        /// What of it is missing or damaged.
        gone: Vec<Reference>,
        /// What keeps the rest.
        pins: Vec<S::Pin>,
    },
    /// The answer to [`Action::Judge`].
    Judged {
        /// The task.
        task: Task,
        /// What is wrong with its inputs.
        faults: Vec<Fault>,
        /// Whether all of them could be read: what could not be now says nothing of the nodes that refuse the task.
        is_whole: bool,
    },
    /// The answer to [`Action::CheckGroup`].
    GroupChecked {
        /// Which group.
        group: GroupId,
        /// So many of its results were judged, from the first on: all, unless the next one can't be read.
        judged: usize,
        /// Those of them that are not what they must be.
        false_ones: BTreeSet<Task>,
        /// The next one, if it is gone or is not what its name says.
        lost: Option<Reference>,
    },
    /// The answer to [`Action::Deliver`]: it is put together.
    Delivered {
        /// What is logged of it.
        done: S::Event,
        /// What keeps the blobs that it names.
        pins: Vec<S::Pin>,
    },
    /// The answer to [`Action::Deliver`]: it can't be put together.
    NotDelivered {
        /// Why.
        error: S::Error,
    },
    /// This run of the job is to end: it goes on in a later one, or its user gives it up.
    Stop,
    /// Time has passed.
    Tick,
}

/// What a node says of this job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It has a free slot.
    WorkRequested,
    /// It wants no work any more: others have what it asked for.
    RequestsWithdrawn,
    /// It still works on a lease.
    Renewed {
        /// The lease.
        epoch: Epoch,
        /// How far it says that it is.
        done_permille: u32,
        /// Whether the lease, granted ahead, still waits for a slot.
        waits: bool,
    },
    /// It does not take a lease up.
    Declined {
        /// The lease.
        epoch: Epoch,
        /// Whether, by its word, other work came first.
        busy: bool,
    },
    /// It says that it has a result.
    Done {
        /// The lease.
        epoch: Epoch,
        /// The result.
        blob: BlobRef,
    },
    /// It gave a lease up.
    Failed {
        /// The lease.
        epoch: Epoch,
        /// What went wrong.
        failure: TaskFailure,
    },
}

/// What a check found.
#[derive(Debug)]
pub enum Verdict<S: Script> {
    /// The result is what it must be, and in the store as long as this is kept.
    Accepted(S::Pin),
    /// It may be: nothing is wrong with it that is seen when it is looked at alone. It counts for now, and is checked with
    /// others later. It is in the store as long as this is kept.
    Provisional(S::Pin),
    /// It is not, and its maker is at fault.
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// It could not be had, which proves no fault.
    Unfetchable {
        /// Why not.
        reason: String,
    },
    /// There is no room for it here. It is asked for again.
    LacksRoom {
        /// What is missing.
        shortage: Shortage,
    },
    /// It was fetched, and came to harm here: this disk lost it, or the check itself broke. That says nothing of its maker, and
    /// it is fetched and checked again.
    Ours {
        /// What happened.
        reason: String,
    },
}

/// What is wrong with an input of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is gone, or is not what its name says.
    Lost(Reference),
    /// It is the result of this task, and is not what it must be.
    False(Task),
}

/// An input of a task that several nodes refuse.
#[derive(Debug)]
pub struct JudgedInput<X> {
    /// The input.
    pub blob: BlobRef,
    /// Whose result it is and what it must be, where it is a result.
    pub made: Option<(Task, X)>,
}

/// A result that counts for now.
#[derive(Debug)]
pub struct GroupMember<X> {
    /// What it is the result of.
    pub task: Task,
    /// The result.
    pub blob: BlobRef,
    /// What it must be.
    pub expected: X,
}

/// What to do, in this order.
#[derive(Debug)]
pub enum Action<S: Script> {
    /// Append this to the log, all or nothing, after all that was to be recorded before; the answer is [`Event::Recorded`]
    /// or [`Event::NotRecorded`].
    Record {
        /// Its name.
        id: RecordId,
        /// What to append.
        events: Vec<JobEvent<S::Event>>,
        /// What keeps the blobs that the events name, until the log does.
        pins: Vec<S::Pin>,
        /// All that the log is still to keep for the job besides, where that is less than before.
        keep: Option<BTreeSet<Reference>>,
    },
    /// Remove what nobody keeps any more.
    Collect,
    /// Send a node a lease.
    Grant {
        /// The node.
        node: NodeId,
        /// The lease.
        lease: Lease,
        /// What the node is told of the task besides.
        arguments: S::Arguments,
    },
    /// Tell a node to stop.
    Revoke {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// Why.
        reason: RevokeReason,
    },
    /// Tell a node to stop working on a lease that is unknown here.
    Disown {
        /// The node.
        node: NodeId,
        /// What it named.
        epoch: Epoch,
    },
    /// Tell a node what became of its result.
    Tell {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// The result.
        blob: BlobRef,
        /// That it counts, or why it does not.
        verdict: Result<(), String>,
    },
    /// Break with a node.
    Dismiss {
        /// The node.
        node: NodeId,
        /// What it did.
        reason: String,
    },
    /// Tell a node that its leases of this job are void. It stays connected, and what it asked for is remembered.
    Void {
        /// The node.
        node: NodeId,
    },
    /// Fetch a result and check it; the answer is [`Event::Checked`].
    Check {
        /// Who has it.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// What it is to be the result of.
        task: Task,
        /// The result.
        blob: BlobRef,
        /// What it must be.
        expected: S::Expected,
    },
    /// Look whether these blobs are in the store and are what their names say; the answer is [`Event::Looked`].
    Look {
        /// The blobs.
        blobs: Vec<BlobRef>,
    },
    /// Look at the inputs of a task that several nodes refuse, and whether those that are results are what they must be; the
    /// answer is [`Event::Judged`].
    Judge {
        /// The task.
        task: Task,
        /// What it reads.
        inputs: Vec<JudgedInput<S::Expected>>,
    },
    /// Check results that count for now, as a group: oldest first, so that none comes before what it was made of. The answer is
    /// [`Event::GroupChecked`].
    CheckGroup {
        /// Its name.
        group: GroupId,
        /// The results.
        results: Vec<GroupMember<S::Expected>>,
    },
    /// Run the source from its beginning.
    StartSource {
        /// The name of the run.
        run: SourceRun,
    },
    /// Stop the source. What it still puts out does not count.
    StopSource,
    /// All is proved: let the nodes go, and put together what is delivered. The answer is [`Event::Delivered`] or
    /// [`Event::NotDelivered`].
    Deliver {
        /// What it is made of.
        outcome: OutcomeOf<S>,
    },
    /// Put nothing together, should it still go on.
    StopDelivery,
    /// There is work for nodes again, which were let go by [`Action::Deliver`].
    CallNodes,
    /// For the log that people read.
    Say(Note),
    /// The job is over, and nothing of it is on its way to the log. Nothing follows.
    End(End<S>),
}

/// What there is no room for on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// What is full, in words.
    pub reason: String,
    /// Whether there would be none either if nobody but the job itself held anything: then only the job can make some.
    pub is_own: bool,
}

/// How a run of a job ended.
#[derive(Debug)]
pub enum End<S: Script> {
    /// All is proved, and what was put together of it is in the log.
    Proved(OutcomeOf<S>),
    /// What its plan is told contradicts itself: a defect of ours.
    Failed(PlanError),
    /// A trouble of the shell.
    Broken(S::Error),
    /// The source tells another story each time.
    Diverged {
        /// What differed.
        reason: String,
    },
    /// Nobody does the work.
    NoCapacity {
        /// For how long.
        waited: Millis,
        /// What is missing.
        reason: WaitReason,
    },
    /// The time for this run is over.
    OutOfTime {
        /// The time it had.
        limit: Millis,
    },
    /// What the job needs next finds no room beside what it holds itself, and nothing of it is under way that would make any.
    NoRoom {
        /// What is missing, in words.
        reason: String,
    },
    /// A blob is gone that nobody can make again.
    BlobMissing {
        /// The blob.
        blob: Reference,
    },
    /// The log does not follow from itself: a defect of ours.
    Contradiction {
        /// What does not follow.
        detail: String,
    },
    /// The run was stopped.
    Stopped,
}

impl<S: Script> End<S> {
    /// Why the job itself has failed, for people; `None` where only this run of it is over.
    pub(crate) fn failure(&self) -> Option<String> {
        match self {
            Self::Failed(error) => Some(format!("the plan of the job is broken: {error}")),
            Self::Broken(error) => error.is_final().then(|| error.to_string()),
            Self::Diverged { reason } => {
                Some(format!("what is to be proved is not the same twice: {reason}"))
            }
            Self::BlobMissing { blob } => {
                Some(format!("blob {blob:#} is missing or damaged, and nobody can make it again"))
            }
            Self::Proved(_)
            | Self::NoCapacity { .. }
            | Self::OutOfTime { .. }
            | Self::NoRoom { .. }
            | Self::Contradiction { .. }
            | Self::Stopped => None,
        }
    }
}

/// Something for people to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A lease was granted.
    Granted {
        /// To whom.
        node: NodeId,
        /// Its number.
        epoch: Epoch,
        /// Its task.
        task: Task,
        /// The task's size.
        po2: Option<Po2>,
        /// What the task is counted for in the node's memory.
        memory: MemoryBytes,
    },
    /// A lease ended without a result.
    Expired {
        /// Whose.
        node: NodeId,
        /// Its number.
        epoch: Epoch,
        /// Its task.
        task: Task,
        /// Why.
        reason: ExpiryReason,
    },
    /// A lease that had expired stands again.
    Revived {
        /// Whose.
        node: NodeId,
        /// Its number.
        epoch: Epoch,
        /// Its task.
        task: Task,
    },
    /// A result is in the log, and counts, if only for now.
    Accepted {
        /// Whose.
        node: NodeId,
        /// Its task.
        task: Task,
    },
    /// A result is false.
    Refused {
        /// Whose.
        node: NodeId,
        /// What is wrong with it.
        reason: String,
    },
    /// A result that counted for now counts for good.
    Confirmed {
        /// Whose.
        node: NodeId,
        /// Its task.
        task: Task,
    },
    /// A result that counted for now is false.
    ProvedFalse {
        /// Whose.
        node: NodeId,
        /// Its task.
        task: Task,
    },
    /// A result could not be had.
    Unfetchable {
        /// Whose.
        node: NodeId,
        /// Why not.
        reason: String,
    },
    /// A result came to harm here, and is fetched and checked again.
    CheckedAgain {
        /// Its task.
        task: Task,
        /// What happened.
        reason: String,
    },
    /// An event changed nothing.
    Ignored(IgnoreReason),
    /// A blob is gone, and is made again.
    Lost {
        /// The blob.
        blob: Reference,
    },
    /// A node gave a lease up that it has.
    Failed {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// Its task.
        task: Task,
        /// What went wrong, in the node's words.
        failure: TaskFailure,
    },
    /// A blob that was gone is there again.
    Found {
        /// The blob.
        blob: Reference,
    },
    /// A task that nodes refuse was looked at.
    Judged {
        /// The task.
        task: Task,
        /// What is wrong with its inputs.
        faults: Vec<Fault>,
        /// Whether all of them could be read.
        is_whole: bool,
    },
    /// What was proved could not be put together, since something of it is gone: it is looked for, and made again.
    NotDelivered {
        /// What is gone.
        reason: String,
    },
    /// Nodes say that a task cannot be done, and nothing is wrong with its inputs: it goes to others. Said once of each task.
    Disbelieved {
        /// The task.
        task: Task,
        /// How many say so.
        node_count: usize,
        /// The words of the last of them.
        message: String,
    },
    /// A result of an earlier run has no place any more.
    NotRestored {
        /// Its task.
        task: Task,
        /// Why.
        error: PlanError,
    },
    /// The source told another story: all begins again.
    StartsOver {
        /// What differed.
        reason: String,
    },
    /// The source has come to its end.
    SourceEnded,
    /// There is no room for what the source puts out or for results: the job waits for some.
    LacksRoom {
        /// What is full.
        reason: String,
    },
    /// There is room again, and the job goes on.
    RoomAgain,
}
