//! What the log of a zkVM job records. A job's state is a fold over these and nothing else (`state.rs`).

use serde::{Deserialize, Serialize};
use starling_plan::Assumed;
use starling_types::{BlobRef, ImageId, JobSeed, Po2};
use starling_zkvm::{AssumptionId, ExitCode, OutputParts, SegmentClaim, Work};

use crate::{Given, JobRequest};

/// One line of a job's log: what every job logs, or the zkVM's own.
pub type JobEvent = starling_job::JobEvent<ZkvmEvent>;

/// The most assumptions, or receipts of such, in one event. In JSON one takes some 300 bytes, so that an event stays far below what the log takes;
/// a guest may assume more.
pub(crate) const ASSUMPTIONS_PER_EVENT_MAX: usize = 1024;

/// What a job of the zkVM logs besides what every job does.
///
/// The names and fields are a file format: a later release must read them. Add variants and
/// optional fields; never change the meaning of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ZkvmEvent {
    /// A user asked for the job. Receipts that were given of what the guest may assume follow at once.
    Created {
        /// What was asked.
        request: JobRequest,
        /// The guest's image id. Of a receipt: that of its claim.
        image_id: ImageId,
        /// The secret seed of the randomness that the guest is given. With it an
        /// interrupted execution can be done again, segment for segment; without it, never.
        seed: JobSeed,
    },
    /// Some of the receipts that were given of what the guest may assume, in their order; they are in the store.
    Given {
        /// At most `ASSUMPTIONS_PER_EVENT_MAX`.
        receipts: Vec<Given>,
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
    /// Some of what the guest assumed, in the order of its output's list; the end of the execution follows.
    Assumed {
        /// At most `ASSUMPTIONS_PER_EVENT_MAX`, and where the receipt of each comes from.
        assumptions: Vec<(AssumptionId, AssumedFrom)>,
    },
    /// The guest has ended. What it assumed stands in the events before.
    ExecutionEnded(ExecutionSummary),
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
    /// What the guest put out; `None` when it ended without an output. In the log its list is empty.
    pub output: Option<OutputParts>,
    /// Where the receipt of each assumption comes from, in the order of the output's list.
    #[serde(skip)]
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

impl AssumedFrom {
    /// The receipt that was given.
    pub(crate) fn given(&self) -> Option<BlobRef> {
        match self {
            Self::Given(blob) => Some(*blob),
            Self::Keccak => None,
        }
    }
}

impl From<AssumedFrom> for Assumed {
    fn from(from: AssumedFrom) -> Self {
        match from {
            AssumedFrom::Given(blob) => Self::Given(blob),
            AssumedFrom::Keccak => Self::Keccak,
        }
    }
}

impl ZkvmEvent {
    /// What a job begins with that is asked for so.
    pub(crate) fn begin(request: JobRequest, image_id: ImageId, seed: JobSeed) -> Vec<Self> {
        let given = request.given().chunks(ASSUMPTIONS_PER_EVENT_MAX);
        let given = given.map(|receipts| Self::Given { receipts: receipts.to_vec() });
        let given: Vec<Self> = given.collect();
        [Self::Created { request, image_id, seed }].into_iter().chain(given).collect()
    }

    /// The event's name, which the log keeps beside its body.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Given { .. } => "given",
            Self::SegmentStored { .. } => "segment_stored",
            Self::KeccakStored { .. } => "keccak_stored",
            Self::Assumed { .. } => "assumed",
            Self::ExecutionEnded(_) => "execution_ended",
            Self::Done { .. } => "done",
        }
    }
}
