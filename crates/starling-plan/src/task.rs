//! What goes into a plan and comes out of it: task descriptions, outcomes and counts.

use starling_types::{BlobRef, Po2, Task};

/// Where the receipt of an assumption comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assumed {
    /// The client has it.
    Given(BlobRef),
    /// It is the root of the job's union tree.
    Keccak,
}

/// A task, with all that a prover needs for it. `T` is how it is named: uniformly, or in a system's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSpec<T = Task> {
    /// The task's name.
    pub id: T,
    /// The po2 of the segment or of the keccak proof; `None` where the cost depends on neither.
    pub po2: Option<Po2>,
    /// What the task reads. In the zkVM: one segment, segment receipt or keccak request; the left and the right receipt of
    /// a join or a union; the conditional receipt and that of its first assumption; the work receipt.
    pub inputs: Vec<BlobRef>,
}

impl<T: Into<Task>> TaskSpec<T> {
    /// The same task, named uniformly.
    pub fn uniform(self) -> TaskSpec {
        let Self { id, po2, inputs } = self;
        TaskSpec { id: id.into(), po2, inputs }
    }
}

/// How sure a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It was checked for itself.
    Final,
    /// It is checked with others later, and may prove false. What it was made of is kept.
    Provisional,
}

/// What became of a result that was handed to [`Plan::accept`](crate::Plan::accept).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is the task's result from now on.
    New,
    /// The task had a result before, or is covered by one: this one is not needed and nothing changed.
    AlreadyAccepted,
    /// The ranges that the merge was made of have been merged otherwise, or are being merged otherwise:
    /// this one is not needed and nothing changed.
    Superseded,
}

/// What changed since a result was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Tasks that ran on something that is taken back: they run no more, and nobody needs what they would make.
    pub dissolved: Vec<Task>,
    /// Blobs that had been done with and are read again. Those that are gone are to be reported as
    /// [lost](crate::Plan::lost).
    pub reread: Vec<BlobRef>,
}

/// The receipts that a finished plan of the zkVM delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What a composite receipt is made of, but for the receipts of given assumptions.
    Composite {
        /// One segment receipt for each segment, in segment order.
        segments: Vec<BlobRef>,
        /// The root of the union tree, if the job assumes it.
        keccak: Option<BlobRef>,
    },
    /// The one receipt that covers all.
    Succinct {
        /// The receipt.
        receipt: BlobRef,
        /// In a job that counts work: the receipt that says how much it was.
        work: Option<BlobRef>,
    },
}

/// How far a plan of the zkVM has come. What is no longer needed counts as accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Segments that the execution has delivered so far.
    pub segments_known: u32,
    /// Whether `segments_known`, `keccaks_known` and `resolves_total` are final.
    pub execution_ended: bool,
    /// Segments whose receipt is accepted.
    pub leaves_accepted: u32,
    /// Joins whose receipt is accepted.
    pub joins_accepted: u32,
    /// Joins that the segments known so far need in all: one fewer than segments; none for composite jobs.
    pub joins_total: u32,
    /// Keccak proofs that the execution has asked for so far.
    pub keccaks_known: u32,
    /// Keccak proofs that are accepted.
    pub keccaks_accepted: u32,
    /// Unions whose receipt is accepted.
    pub unions_accepted: u32,
    /// Unions that the keccak proofs known so far need in all: one fewer than there are.
    pub unions_total: u32,
    /// Resolves whose receipt is accepted.
    pub resolves_accepted: u32,
    /// Resolves in all: one for each assumption; none for composite jobs, or before the execution has ended.
    pub resolves_total: u32,
    /// Tasks started and neither accepted nor released.
    pub running: u32,
}

impl Counts {
    /// Joins that are still to be accepted for the segments known so far.
    pub fn joins_left(&self) -> u32 {
        self.joins_total - self.joins_accepted
    }

    /// Unions that are still to be accepted for the keccak proofs known so far.
    pub fn unions_left(&self) -> u32 {
        self.unions_total - self.unions_accepted
    }

    /// Resolves that are still to be accepted, as far as they are known.
    pub fn resolves_left(&self) -> u32 {
        self.resolves_total - self.resolves_accepted
    }
}
