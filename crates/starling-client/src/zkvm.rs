//! The zkVM as the shell sees it: its sources, its receipts, its deliveries.

use std::time::Duration;

use starling_cost::CostModel;
use starling_job::JobState;
use starling_plan::{Certainty, Outcome};
use starling_proto::Wanted;
use starling_store::{BlobStore, Pin};
use starling_types::{JobId, ReceiptKind, SystemName, Task, TaskId, TaskKind};
use starling_zkvm::{ExecuteError, Expected, TaskArguments, name_of, verify_task, zkvm};
use tokio_util::sync::CancellationToken;

use crate::{
    Delivered, JobError, JobPhase, RunOptions, ZkvmArguments, ZkvmEvent, ZkvmPiece, ZkvmScript,
    deliver,
    execution::{ExecutionEvent, ExecutionThread},
    journal::unix_ms,
    script::plan_shape,
    source::{self, JobSource},
    system::{Advert, Delivery, JobStage, PutOut, Running, Start, System, Told},
};

/// The largest receipt blob that is fetched. A succinct receipt has about 225 KB; a segment receipt of
/// po2 24, the largest, stays under 1 MB.
pub(crate) const RESULT_SIZE_BYTES_MAX: u64 = 8 << 20;

/// About how large the results of a job are that ends in a receipt of this kind: those of its segments stay as they are in a
/// composite one, and are lifted else.
pub(crate) fn result_size_bytes(kind: ReceiptKind) -> u64 {
    match kind {
        ReceiptKind::Composite => 1 << 20,
        ReceiptKind::Succinct | ReceiptKind::Groth16 => 256 << 10,
    }
}

impl System for ZkvmScript {
    type Delivered = Delivered;
    type Begin = JobSource;
    type Running = ZkvmSource;

    const RESULT_SIZE_BYTES_MAX: u64 = RESULT_SIZE_BYTES_MAX;

    fn systems() -> Vec<SystemName> {
        vec![zkvm()]
    }

    fn created(job: JobId, event: ZkvmEvent, at_ms: u64) -> Option<Self> {
        let ZkvmEvent::Created { request, image_id, seed } = event else { return None };
        Some(Self::new(job, request, image_id, seed, at_ms))
    }

    fn id(&self) -> JobId {
        self.id
    }

    fn system(&self) -> SystemName {
        self.request.zkvm.clone()
    }

    fn stage(&self) -> JobStage {
        match self.phase {
            JobPhase::Open | JobPhase::Failed { .. } => JobStage::Open,
            JobPhase::Done { .. } => JobStage::Done,
            JobPhase::Cancelled => JobStage::Cancelled,
        }
    }

    fn kind(event: &ZkvmEvent) -> &'static str {
        event.kind()
    }

    fn is_done(event: &ZkvmEvent) -> bool {
        matches!(event, ZkvmEvent::Done { .. })
    }

    fn advert(&self) -> Advert {
        let leaf_kind = plan_shape(&self.request).leaf_kind();
        // A node that can only join is of use to a job with large segments.
        let leaf = CostModel::ADMISSION.memory(leaf_kind, self.request.segment_po2());
        let memory = match leaf_kind {
            TaskKind::Prove => leaf,
            _ => leaf.min(CostModel::ADMISSION.memory(TaskKind::Join, None)),
        };
        let kinds = TaskKind::ALL.map(TaskKind::code).into();
        Advert { wanted: Wanted { system: zkvm(), kinds }, memory }
    }

    fn told(task: Task, arguments: &ZkvmArguments) -> Told {
        let ZkvmArguments { po2, counts_work } = *arguments;
        let task = TaskId::try_from(task).expect("the zkVM's plan makes the zkVM's tasks");
        Told {
            arguments: TaskArguments { po2_max: po2, work_claims: counts_work }.encode(),
            work: CostModel::ADMISSION.cost(task.kind(), Some(po2)).work,
        }
    }

    fn check(task: Task, bytes: &[u8], expected: &Expected) -> Result<Certainty, String> {
        let task = TaskId::try_from(task).map_err(|task| format!("{task} is not a task of it"))?;
        verify_task(task, bytes, expected).map_err(|refusal| refusal.to_string())?;
        Ok(Certainty::Final)
    }

    fn name_of(task: Task) -> String {
        name_of(task)
    }

    fn begin(options: &RunOptions) -> JobSource {
        JobSource { begin: source::Begin::Own, output: options.guest_output.clone() }
    }

    fn start(begin: &mut JobSource, job: &Self, blobs: &BlobStore) -> Start<ZkvmSource> {
        let start = begin.start(job, blobs);
        let job = job.asked();
        Box::new(move || Ok(ZkvmSource { thread: start()?, job }))
    }

    fn deliver(
        job: &JobState<Self>,
        blobs: &BlobStore,
        outcome: &Outcome,
        stop: &CancellationToken,
    ) -> Result<Delivery<Self>, JobError> {
        let assembled = deliver::assemble(job, blobs, outcome, stop)?;
        let seconds = age(job).as_secs_f64();
        let receipt = deliver::keep_receipt(blobs, &assembled.receipt)?;
        let work_receipt = deliver::keep_work_receipt(blobs, &assembled)?;
        let done = ZkvmEvent::Done {
            receipt: receipt.blob,
            work_receipt: work_receipt.as_ref().map(|kept| kept.blob),
            seconds,
        };
        let lacks_room = receipt.pin.is_none();
        let pins = receipt.pin.into_iter().chain(work_receipt.and_then(|kept| kept.pin)).collect();
        let delivered = deliver::delivered(job, assembled, seconds)?;
        Ok(Delivery { done, pins, lacks_room, delivered })
    }

    fn keep(delivered: &Delivered, blobs: &BlobStore) -> Result<Option<Pin>, JobError> {
        Ok(deliver::keep_receipt(blobs, &delivered.receipt)?.pin)
    }

    fn delivered(job: &JobState<Self>, blobs: &BlobStore) -> Result<Delivered, JobError> {
        let JobPhase::Done { receipt, work_receipt, seconds } = job.phase else {
            return Err(JobError::BlobMissing { what: "the receipt".into(), job: job.id });
        };
        let stored = deliver::stored(job, blobs, receipt, work_receipt)?;
        deliver::delivered(job, stored, seconds)
    }
}

/// How long ago the job was asked for.
fn age(job: &ZkvmScript) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(job.created_at_ms))
}

/// An execution, or a receipt that is taken apart.
pub struct ZkvmSource {
    thread: ExecutionThread,
    /// What was asked.
    job: ZkvmScript,
}

impl Running<ZkvmScript> for ZkvmSource {
    async fn next(&mut self) -> Option<PutOut<ZkvmScript>> {
        let (piece, pin) = match self.thread.next().await? {
            ExecutionEvent::Segment { index, po2, blob: pin, claim, work } => {
                let blob = pin.blob();
                (ZkvmPiece::Segment { index, po2, blob, claim, work }, pin)
            }
            ExecutionEvent::Keccak { index, po2, blob: pin, assumption } => {
                let blob = pin.blob();
                (ZkvmPiece::Keccak { index, po2, blob, assumption }, pin)
            }
            ExecutionEvent::LacksRoom(shortage) => return Some(PutOut::LacksRoom(shortage)),
            ExecutionEvent::Ended(ended) => {
                let printed = self.thread.output.text();
                let job = self.job.clone();
                return Some(PutOut::Last(Box::new(move || {
                    source::ended(&job, ended.map_err(unwrap_sink)?, printed)
                })));
            }
        };
        Some(PutOut::Piece(piece, vec![pin]))
    }
}

/// The disk may stop an execution from within: say so instead of naming the messenger.
fn unwrap_sink(error: JobError) -> JobError {
    match error {
        JobError::Execute(ExecuteError::Sink(error)) => match error.downcast::<JobError>() {
            Ok(error) => *error,
            Err(error) => ExecuteError::Sink(error).into(),
        },
        error => error,
    }
}
