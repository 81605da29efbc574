//! The zkVM's script: the plan that follows from a job's log, and how an execution is compared with it.

use std::collections::BTreeMap;

use starling_cost::CostModel;
use starling_job::{Script, Taken};
use starling_plan::{PlanShape, ZkvmInput, ZkvmPlan};
use starling_store::Pin;
use starling_types::{BlobRef, Po2, ReceiptKind, Reference, Task, TaskId};
use starling_zkvm::{AssumptionId, Expected, SegmentClaim, Work};

use crate::{
    AssumedFrom, ExecutionSummary, Given, JobError, JobEvent, JobRequest, StoredKeccak,
    StoredSegment, Subject, ZkvmEvent, ZkvmScript, event::ASSUMPTIONS_PER_EVENT_MAX,
};

/// What is said of the size of tasks that have none, in jobs without segments.
const PO2_UNSIZED: Po2 = Po2::SMALLEST;

/// What an execution puts out, once its blobs are in the store.
#[derive(Debug)]
pub enum ZkvmPiece {
    /// A segment, or the receipt of one.
    Segment {
        /// Its place.
        index: u32,
        /// Its size.
        po2: Po2,
        /// Its bytes.
        blob: BlobRef,
        /// What a receipt of it must claim.
        claim: SegmentClaim,
        /// The work that it counts.
        work: Option<Work>,
    },
    /// A keccak request.
    Keccak {
        /// Its place.
        index: u32,
        /// The size of its proof.
        po2: Po2,
        /// Its bytes.
        blob: BlobRef,
        /// What a receipt of it must claim.
        assumption: AssumptionId,
    },
    /// The execution ended.
    Ended {
        /// How, with the list of what it assumed; where the receipts come from is not said yet.
        summary: ExecutionSummary,
        /// The receipts that there are of what it may have assumed.
        given: Vec<Given>,
    },
}

/// What a node is told of a task besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZkvmArguments {
    /// The largest segment that the task concerns.
    pub po2: Po2,
    /// Whether the job counts work.
    pub counts_work: bool,
}

impl Script for ZkvmScript {
    type Plan = ZkvmPlan;
    type Event = ZkvmEvent;
    type Piece = ZkvmPiece;
    type Expected = Expected;
    type Arguments = ZkvmArguments;
    type Error = JobError;
    type Pin = Pin;

    fn plan(&self) -> ZkvmPlan {
        let cost = |kind, po2| CostModel::ADMISSION.cost(kind, po2);
        let plan = ZkvmPlan::new(plan_shape(&self.request), cost);
        if self.request.counts_work() { plan.counting_work() } else { plan }
    }

    fn next_input(&self, plan: &ZkvmPlan) -> Option<ZkvmInput> {
        let counts = plan.counts();
        let index = counts.segments_known;
        if let Some(StoredSegment { po2, blob, .. }) = self.segments.get(index as usize) {
            return Some(ZkvmInput::Segment { index, po2: *po2, blob: *blob });
        }
        let index = counts.keccaks_known;
        if let Some(StoredKeccak { po2, blob, .. }) = self.keccaks.get(index as usize) {
            return Some(ZkvmInput::Keccak { index, po2: *po2, blob: *blob });
        }
        let summary = self.execution.as_ref().filter(|_| !counts.execution_ended)?;
        let assumed = summary.assumed.iter().copied().map(Into::into).collect();
        Some(ZkvmInput::End { assumed })
    }

    fn apply(&mut self, event: &JobEvent) -> Result<(), String> {
        self.follow(event)
    }

    fn expected(&self, task: Task) -> Option<Expected> {
        self.expected_of(TaskId::try_from(task).ok()?)
    }

    /// A task that is neither a segment nor a keccak proof has no size of its own.
    fn arguments(&self, _task: Task, po2: Option<Po2>) -> ZkvmArguments {
        let po2 = po2.or(self.request.segment_po2()).unwrap_or(PO2_UNSIZED);
        ZkvmArguments { po2, counts_work: self.request.counts_work() }
    }

    fn needs_source(&self) -> bool {
        self.execution.is_none()
    }

    fn is_last(piece: &ZkvmPiece) -> bool {
        matches!(piece, ZkvmPiece::Ended { .. })
    }

    /// Segments of an execution that was cut short come again, byte for byte, since the guest's randomness is seeded. It is
    /// checked, not assumed.
    fn take(&self, piece: ZkvmPiece) -> Result<Taken<ZkvmEvent>, JobError> {
        Ok(match piece {
            ZkvmPiece::Segment { index, po2, blob, claim, work } => {
                match self.segments.get(index as usize) {
                    Some(known) if known.claim == claim => {
                        compared("segment", index, known.blob, blob)
                    }
                    Some(_) => differs(format!("segment {index} makes another claim than before")),
                    None => {
                        let stored = ZkvmEvent::SegmentStored { index, po2, blob, claim, work };
                        Taken::New(vec![stored])
                    }
                }
            }
            ZkvmPiece::Keccak { index, po2, blob, assumption } => {
                match self.keccaks.get(index as usize) {
                    Some(known) if known.assumption == assumption => {
                        compared("keccak", index, known.blob, blob)
                    }
                    Some(_) => {
                        differs(format!("keccak batch {index} makes another claim than before"))
                    }
                    None => {
                        let stored = ZkvmEvent::KeccakStored { index, po2, blob, assumption };
                        Taken::New(vec![stored])
                    }
                }
            }
            ZkvmPiece::Ended { summary, given } => self.take_end(summary, &given)?,
        })
    }

    fn is_of_source(&self, blob: Reference) -> bool {
        self.put_out(blob)
            || matches!(self.request.source, Subject::Receipt { .. }) && self.assumes(blob)
    }

    /// The journal, and the receipts of what was assumed: a composite receipt holds them as they are.
    fn kept_blobs(&self) -> Vec<BlobRef> {
        let Some(summary) = &self.execution else { return Vec::new() };
        let given = summary.assumed.iter().filter_map(AssumedFrom::given);
        given.chain([summary.journal]).collect()
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        self.request.blobs()
    }
}

impl ZkvmScript {
    fn take_end(
        &self,
        mut summary: ExecutionSummary,
        given: &[Given],
    ) -> Result<Taken<ZkvmEvent>, JobError> {
        let counts = [
            ("segments", self.segments.len(), summary.segment_count),
            ("keccak requests", self.keccaks.len(), summary.keccak_count),
        ];
        if let Some((what, known, now)) =
            counts.into_iter().find(|(_, known, now)| *known > *now as usize)
        {
            return Ok(differs(format!("there were {known} {what}, now there are {now}")));
        }
        if self.execution.is_some() {
            // It ran again only to bring lost blobs back.
            let again = given.iter().map(|given| given.blob.reference);
            return Ok(Taken::Again(again.chain([summary.journal.reference]).collect()));
        }
        let list = summary.output.as_mut().map(|output| std::mem::take(&mut output.assumptions));
        let list = list.unwrap_or_default();
        let root = self.keccak_root();
        // Of several receipts of one thing the first.
        let given: BTreeMap<_, _> =
            given.iter().rev().map(|given| (given.id, given.blob)).collect();
        let find = |assumed: AssumptionId| {
            if let Some(blob) = given.get(&assumed.proof()) {
                return Ok((assumed, AssumedFrom::Given(*blob)));
            }
            if root.is_some_and(|root| assumed.is_resolved_by(&root)) {
                return Ok((assumed, AssumedFrom::Keccak));
            }
            Err(JobError::Unresolved { claim: assumed.claim.to_string() })
        };
        let assumed = list.into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let parts = assumed.chunks(ASSUMPTIONS_PER_EVENT_MAX);
        let parts = parts.map(|part| ZkvmEvent::Assumed { assumptions: part.to_vec() });
        Ok(Taken::New(parts.chain([ZkvmEvent::ExecutionEnded(summary)]).collect()))
    }
}

fn compared(what: &str, index: u32, known: BlobRef, now: BlobRef) -> Taken<ZkvmEvent> {
    if known == now {
        return Taken::Again(vec![now.reference]);
    }
    differs(format!("{what} {index} was {:#}, is now {:#}", known.reference, now.reference))
}

fn differs(reason: String) -> Taken<ZkvmEvent> {
    Taken::Differs { reason }
}

/// What the receipts of a job become.
pub(crate) fn plan_shape(request: &JobRequest) -> PlanShape {
    match (&request.source, request.receipt_kind) {
        (Subject::Receipt { .. }, _) => PlanShape::Compress,
        (_, ReceiptKind::Composite) => PlanShape::Composite,
        (_, ReceiptKind::Succinct | ReceiptKind::Groth16) => PlanShape::Succinct,
    }
}
