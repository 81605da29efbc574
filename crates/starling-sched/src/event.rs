//! What a scheduler is told, and what it asks its shell to do.

use starling_plan::PlanError;
use starling_types::{
    BlobRef, Capability, Epoch, FailureClass, MemoryBytes, Millis, NodeId, Po2, Reference, Task,
};
use thiserror::Error;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<I> {
    /// There is more to prove, or the last of it; what it is made of is durably stored.
    Input(I),
    /// A node connected, or said anew what it can do. Its earlier requests for work are void.
    NodeJoined {
        /// The node.
        node: NodeId,
        /// What it can do.
        capability: Capability,
    },
    /// The connection to a node is gone. Its leases are released; what it still reports counts.
    NodeLeft {
        /// The node.
        node: NodeId,
    },
    /// A node has a free slot now. Each request stands for one lease and stays open until it is granted;
    /// a node has at most as many open requests as slots.
    WorkRequested {
        /// The node.
        node: NodeId,
    },
    /// A node has no free slot any more: another job was quicker. Its open requests are void.
    RequestsWithdrawn {
        /// The node.
        node: NodeId,
    },
    /// A lease was never sent, since another job has the node's slot. The task is ready again, and nobody is to blame.
    LeaseReturned {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
    },
    /// A node does not take the lease that it was granted.
    LeaseDeclined {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// Whether it says that other work came first, which is nobody's fault, as long as it does not say so too often.
        busy: bool,
    },
    /// A node still works on a lease, or will.
    LeaseRenewed {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// How far it says that it is. Shown to people, and nothing else: a node can say anything.
        done_permille: u32,
        /// Whether the lease, granted ahead, still waits for a slot. Its time begins when it does no more.
        waits: bool,
    },
    /// A node says that it has the result of a lease.
    ResultReported {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// The result's blob, to be fetched from the node.
        blob: BlobRef,
    },
    /// The shell's answer to [`Action::CheckResult`]: the result was fetched, verified, compared with the
    /// claim it must make, and durably logged.
    ResultAccepted {
        /// The lease.
        epoch: Epoch,
        /// The result's blob.
        blob: BlobRef,
    },
    /// The shell's answer to [`Action::CheckResult`]: nothing is wrong with the result that is seen when it is looked at
    /// alone, and it is durably logged. It counts for now, and is checked with others later.
    ResultTaken {
        /// The lease.
        epoch: Epoch,
        /// The result's blob.
        blob: BlobRef,
    },
    /// A result that was taken for now is what it must be.
    ResultConfirmed {
        /// Its task.
        task: Task,
        /// Who made it.
        node: NodeId,
    },
    /// A result that was taken for now proved false, though all that it was made of is what it must be: only its maker can
    /// be at fault.
    ResultProvedFalse {
        /// Its task.
        task: Task,
        /// Who made it.
        node: NodeId,
    },
    /// The shell's answer to [`Action::CheckResult`]: the result is false. Only the peer can be at fault.
    ResultRefused {
        /// The lease.
        epoch: Epoch,
        /// What is wrong with the result.
        reason: String,
    },
    /// The shell's answer to [`Action::CheckResult`]: the result could not be had. That proves no fault.
    ResultUnfetchable {
        /// The lease.
        epoch: Epoch,
        /// Why not.
        reason: String,
    },
    /// A node gave a lease up.
    TaskFailed {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// What went wrong.
        failure: TaskFailure,
    },
    /// The shell's answer to [`Action::Judge`].
    Judged {
        /// The task.
        task: Task,
        /// What it found of the task's inputs.
        judgement: Judgement,
    },
    /// A blob is missing or damaged here. A result is taken back and made again; what reads an input waits until
    /// [`Self::BlobFound`].
    BlobLost {
        /// The blob.
        blob: Reference,
    },
    /// A blob that was lost is here again.
    BlobFound {
        /// The blob.
        blob: Reference,
    },
    /// An accepted result proved false, and nobody is blamed for it.
    ResultRevoked {
        /// Its task.
        task: Task,
    },
    /// Nothing is granted any more, or things are again: there is no room for results, say. That nodes ask for work is
    /// remembered, and no task counts as one that waits for a node.
    GrantsHeld {
        /// Whether nothing is granted.
        are_held: bool,
    },
    /// Time passed. Due no later than [`Scheduler::next_wakeup`](crate::Scheduler::next_wakeup).
    Tick,
}

/// What a look at the inputs of a task found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// They are what they must be: those who say that the task cannot be done are not believed, and get it no more.
    Sound,
    /// They are not, or are gone: those who refused the task may have been right.
    Faulty,
    /// They could not be looked at, for a reason that passes. That says nothing of anybody; the next node that refuses the task
    /// has them looked at again.
    Unknown,
}

/// Why a node gave a lease up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    /// Whose trouble it is.
    pub class: FailureClass,
    /// The node's words, for people.
    pub message: String,
}

/// An input of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInput {
    /// The blob.
    pub blob: BlobRef,
    /// Nodes that should hold it. The client holds every blob, so this may be empty.
    pub holders: Vec<NodeId>,
}

/// A task granted to a node for a time. Times are lengths, since nodes have clocks of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The lease's number.
    pub epoch: Epoch,
    /// The task.
    pub task: Task,
    /// The po2 of the segment or of the keccak proof; `None` where the cost depends on neither.
    pub po2: Option<Po2>,
    /// What the task reads, in the order of [`TaskSpec::inputs`](starling_plan::TaskSpec::inputs).
    pub inputs: Vec<LeaseInput>,
    /// The lease expires when it is not renewed for this long.
    pub renew_within: Millis,
    /// After this long the lease ends here, renewed or not, where another node could begin with the task; the node ends it when
    /// the task stands still for this long.
    pub deadline: Millis,
    /// The memory that the task takes, by the node's own word.
    pub memory: MemoryBytes,
    /// Whether the node has no slot for it yet. Its times begin when it has, and until then others may get it.
    pub ahead: bool,
}

/// Why a node should stop working on a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeReason {
    /// The task has an accepted result, or the job does not need one.
    NotNeeded,
    /// What the task reads proved false or is gone.
    InputRevoked,
    /// The lease ran past its deadline.
    DeadlinePassed,
    /// The lease had expired, or had been granted ahead and not begun, and others do the task by now.
    Replaced,
    /// The node was dismissed.
    Dismissed,
    /// The job is over.
    JobOver,
}

/// Why a lease ended with its task not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryReason {
    /// The node did not renew it in time.
    Silence,
    /// The node's connection is gone.
    NodeLeft,
    /// It ran past its deadline.
    DeadlinePassed,
}

/// Something for the shell to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<O> {
    /// Send the node this lease.
    Grant {
        /// The node.
        node: NodeId,
        /// The lease.
        lease: Lease,
    },
    /// Tell the node to stop; its result is not wanted.
    Revoke {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// The lease's task.
        task: Task,
        /// Why.
        reason: RevokeReason,
    },
    /// Tell the node to stop working on a lease that is unknown here.
    Disown {
        /// The node.
        node: NodeId,
        /// What it named.
        epoch: Epoch,
    },
    /// Fetch this result, verify it, log it durably if it is good, and answer with
    /// [`Event::ResultAccepted`], [`Event::ResultTaken`], [`Event::ResultRefused`] or [`Event::ResultUnfetchable`].
    CheckResult {
        /// The node that reported it.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// The task whose claim the result must make.
        task: Task,
        /// The result's blob.
        blob: BlobRef,
    },
    /// Several nodes refuse a task, or all that could take it. Look at its inputs again, say what is wrong with them with [`Event::BlobLost`] or
    /// [`Event::ResultRevoked`], and answer with [`Event::Judged`]. The task goes on meanwhile.
    Judge {
        /// The task.
        task: Task,
        /// What it reads.
        inputs: Vec<BlobRef>,
    },
    /// Nodes say that a task cannot be done, and nothing is wrong with what it reads: it is given to others, and to none of
    /// these any more. Said once of each task.
    Disbelieved {
        /// The task.
        task: Task,
        /// How many say so.
        node_count: usize,
        /// The words of the last of them.
        message: String,
    },
    /// These blobs had been done with and are read again. Those that are gone are to be reported with
    /// [`Event::BlobLost`].
    Reread {
        /// The blobs.
        blobs: Vec<BlobRef>,
    },
    /// Break with the node: it gets no more work in this job.
    Dismiss {
        /// The node.
        node: NodeId,
        /// What it did.
        reason: String,
    },
    /// For the log: a lease ended without a result. If its node still works on it, it is not told to stop,
    /// since a late result counts (a missed deadline comes with an [`Action::Revoke`]).
    Expired {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// The lease's task.
        task: Task,
        /// Why.
        reason: ExpiryReason,
    },
    /// For the log: a lease that had expired was renewed and stands again.
    Revived {
        /// The node.
        node: NodeId,
        /// The lease.
        epoch: Epoch,
        /// The lease's task.
        task: Task,
    },
    /// For the log: an event that changed nothing.
    Ignored {
        /// Why it changed nothing.
        reason: IgnoreReason,
    },
    /// A task is ready and no node can take it. Said when it starts and when the reason changes.
    Waiting {
        /// What is missing.
        reason: WaitReason,
    },
    /// What [`Action::Waiting`] said is over.
    WaitingOver,
    /// All is proved: deliver this.
    JobProved {
        /// What it is.
        outcome: O,
    },
    /// The job can't go on: the client's own events contradict each other.
    JobFailed {
        /// How.
        error: PlanError,
    },
}

/// Why an event changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IgnoreReason {
    /// The node never joined, or left.
    #[error("node {node:#} is not connected")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The node was dismissed from this job.
    #[error("node {node:#} was dismissed")]
    DismissedNode {
        /// The node.
        node: NodeId,
    },
    /// No such lease, or so old that it is forgotten.
    #[error("no lease {epoch}: it ended, or is not of this run")]
    UnknownLease {
        /// The lease as named.
        epoch: Epoch,
    },
    /// The lease is another node's.
    #[error("lease {epoch} was not granted to node {node:#}")]
    NotTheHolder {
        /// The lease.
        epoch: Epoch,
        /// The node that spoke.
        node: NodeId,
    },
    /// The lease's result is being checked already.
    #[error("the result of lease {epoch} is being checked already")]
    AlreadyReported {
        /// The lease.
        epoch: Epoch,
    },
    /// The lease ended, and its node has as many results that wait for judgement as it may have.
    #[error(
        "lease {epoch} is late, and node {node:#} has too many results that are not judged yet"
    )]
    TooManyUnjudged {
        /// The lease.
        epoch: Epoch,
        /// The node that spoke.
        node: NodeId,
    },
    /// The lease has no result to be checked.
    #[error("lease {epoch} has reported no result")]
    NotReported {
        /// The lease.
        epoch: Epoch,
    },
    /// The lease's task has a result, or was joined otherwise, meanwhile.
    #[error("lease {epoch} is late: {task} is no longer needed")]
    NotNeeded {
        /// The lease.
        epoch: Epoch,
        /// Its task.
        task: Task,
    },
    /// The job has failed.
    #[error("the job is over")]
    JobOver,
}

/// What is missing for a ready task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WaitReason {
    /// No node is connected.
    #[error("no node is connected")]
    NoNodes,
    /// No connected node takes this kind of task.
    #[error("no connected node takes {kind} tasks")]
    NoKind {
        /// The kind's name.
        kind: &'static str,
    },
    /// No connected node that takes this kind of task has the memory.
    #[error(
        "no connected node has enough memory for a {kind} task: it needs {needed}, the best has {best}"
    )]
    NotEnoughMemory {
        /// The kind's name.
        kind: &'static str,
        /// The po2 of the segment or of the keccak proof; `None` where the cost depends on neither.
        po2: Option<Po2>,
        /// What the node with the most memory needs for it.
        needed: MemoryBytes,
        /// The memory of that node.
        best: MemoryBytes,
    },
    /// Nodes take this kind of task, but none of this size.
    #[error("no connected node takes {kind} tasks of po2 {po2}")]
    NoSize {
        /// The kind's name.
        kind: &'static str,
        /// The po2 of the segment or of the keccak proof.
        po2: Po2,
    },
    /// Nodes that could take what is ready are connected, and none of them works on it.
    #[error("{}", nobody_works(*nodes, *grants))]
    NobodyWorks {
        /// How many are connected.
        nodes: usize,
        /// How many leases were granted meanwhile that came to nothing.
        grants: u32,
    },
    /// All connected nodes that could take this kind of task have only failed at it lately, and nobody is at anything else, or at
    /// a try that lasts longer than those.
    #[error("all connected nodes that could take {kind} tasks fail at them: {message}")]
    Failing {
        /// The kind's name.
        kind: &'static str,
        /// The words of the last of them.
        message: String,
    },
    /// All connected nodes that could take the task say that it cannot be done, or fail at whatever is like it.
    #[error(
        "all connected nodes that could take {name} say that it cannot be done, though nothing is wrong with its inputs: {message}"
    )]
    Disbelieved {
        /// The task's name.
        name: String,
        /// The words of the last of them.
        message: String,
    },
}

fn nobody_works(nodes: usize, grants: u32) -> String {
    let connected = match nodes {
        1 => "one node is connected".to_owned(),
        _ => format!("{nodes} nodes are connected"),
    };
    match (nodes, grants) {
        (1, 0) => format!("{connected}, and does not ask for work"),
        (_, 0) => format!("{connected}, and none of them asks for work"),
        (_, grants) => {
            format!("{connected}, and what they were given came to nothing {grants} times")
        }
    }
}
