//! What the job log records. A job's state is a fold over these and nothing else (`state.rs`).

use serde::{Deserialize, Serialize};
use starling_plan::Assumed;
use starling_types::{BlobRef, NodeId, Po2, TaskId};
use starling_zkvm::{AssumptionId, ExitCode, OutputParts, SegmentClaim, Work};

use crate::JobRequest;

/// One line of a job's log, in the order in which things became true.
///
/// The names and fields are a file format: a later release must read them. Add variants and
/// optional fields; never change the meaning of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// A user asked for the job.
    Created {
        /// What was asked.
        request: JobRequest,
        /// The guest's image id, in hex. Of a receipt: that of its claim.
        image_id: String,
        /// The secret seed, in hex, of the randomness that the guest is given. With it an
        /// interrupted execution can be done again, segment for segment; without it, never.
        seed: String,
    },
    /// A client process took the job up.
    ClientStarted {
        /// How many processes have done so, this one included. Lease epochs begin with it, so that none is reused.
        incarnation: u32,
    },
    /// The execution emitted a segment, and its blob is in the store.
    SegmentStored {
        /// The segment's place in the execution.
        index: u32,
        /// Its size.
        po2: Po2,
        /// The encoded segment.
        blob: BlobRef,
        /// What a receipt of this segment must claim.
        claim: SegmentClaim,
        /// The work that it counts, in jobs that count their work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        work: Option<Work>,
    },
    /// The guest had a batch of keccak permutations to be proved, and its blob is in the store.
    KeccakStored {
        /// The batch's place in the execution.
        index: u32,
        /// The size of its proof.
        po2: Po2,
        /// The encoded request.
        blob: BlobRef,
        /// What a receipt of it must claim.
        assumption: AssumptionId,
    },
    /// The guest has ended.
    ExecutionEnded(ExecutionSummary),
    /// A receipt was fetched, verified and kept.
    ResultAccepted {
        /// What it proves.
        task: String,
        /// The encoded receipt.
        blob: BlobRef,
        /// Who proved it.
        node: NodeId,
    },
    /// An accepted receipt proved false, and does not count any more.
    ResultRevoked {
        /// What it proved.
        task: String,
    },
    /// The receipt was delivered.
    Done {
        /// The receipt file's bytes.
        receipt: BlobRef,
        /// The bytes of the work receipt's file, in jobs that count their work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        work_receipt: Option<BlobRef>,
        /// Seconds from the first start to the receipt, pauses included.
        seconds: f64,
    },
    /// The job cannot go on; `job resume` tries again.
    Failed {
        /// Why, for a person.
        message: String,
    },
    /// The user gave the job up.
    Cancelled,
    /// The segments and receipts so far are void, since the guest did not execute the same way again.
    Restarted {
        /// What differed.
        reason: String,
    },
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionSummary {
    /// How the guest ended.
    pub exit_code: ExitCode,
    /// How many segments there are.
    pub segment_count: u32,
    /// How many keccak proofs the guest asked for.
    pub keccak_count: u32,
    /// The journal's bytes.
    pub journal: BlobRef,
    /// What the guest put out; `None` when it ended without an output.
    pub output: Option<OutputParts>,
    /// Where the receipt of each assumption comes from, in the order of the output's list.
    pub assumed: Vec<AssumedFrom>,
    /// Cycles of the guest's own instructions.
    pub user_cycles: u64,
    /// Cycles to prove: user cycles, paging and padding.
    pub total_cycles: u64,
}

/// Where the receipt of an assumption comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssumedFrom {
    /// It was given, and this is its blob.
    Given(BlobRef),
    /// It is what the job's keccak proofs are united to.
    Keccak,
}

impl From<AssumedFrom> for Assumed {
    fn from(from: AssumedFrom) -> Self {
        match from {
            AssumedFrom::Given(blob) => Self::Given(blob),
            AssumedFrom::Keccak => Self::Keccak,
        }
    }
}

impl JobEvent {
    /// The event's name, which the log keeps beside its body.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::ClientStarted { .. } => "client_started",
            Self::SegmentStored { .. } => "segment_stored",
            Self::KeccakStored { .. } => "keccak_stored",
            Self::ExecutionEnded(_) => "execution_ended",
            Self::ResultAccepted { .. } => "result_accepted",
            Self::ResultRevoked { .. } => "result_revoked",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Restarted { .. } => "restarted",
        }
    }

    /// A `ResultAccepted` event.
    pub(crate) fn accepted(task: TaskId, blob: BlobRef, node: NodeId) -> Self {
        Self::ResultAccepted { task: task.to_string(), blob, node }
    }
}
