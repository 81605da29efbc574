//! A job as the zkVM's: segments and keccak requests come out of an execution while others are proved, segments are joined
//! by pairs, and what the keccak proofs are united to is resolved at the end.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use starling_client::{
    JobError, RunOptions,
    shell::{Advert, Client, Delivery, JobRoom, JobStage, PutOut, Running, Start, System, Told},
};
use starling_job::{JobEvent, JobState, Script, Shortage, Taken};
use starling_plan::{Assumed, Certainty, Outcome, PlanShape, ZkvmInput, ZkvmPlan};
use starling_store::{BlobStore, Pin};
use starling_types::{BlobRef, JobId, Po2, Reference, SystemName, Task, TaskId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    COST, RESULT_SIZE_BYTES_MAX, Request, Sums, advert, compare, created_twice, raw, read,
    stage_after, told,
};
use crate::{Expected, SYSTEMS, Sum};

/// Of so many segments one is a keccak request as well.
const SEGMENTS_PER_KECCAK: u32 = 8;

/// No plan of more segments has more keccak requests.
const KECCAKS_MAX: u32 = 16;

/// Pieces that may wait for the loop.
const PIECES_WAITING_MAX: usize = 64;

/// What is said of the size of everything.
fn po2() -> Po2 {
    Po2::try_from(18).expect("a po2 of the plan")
}

/// What is logged; of it, what the source puts out is logged as it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SegmentsEvent {
    /// The job was asked for.
    Created {
        /// What was asked.
        request: Request,
        /// Whether its source tells another story from its second run on.
        #[serde(default)]
        diverges: bool,
    },
    /// A segment is in the store.
    Segment {
        /// Its place.
        index: u32,
        /// Its bytes.
        blob: BlobRef,
        /// What it hashes to.
        sum: Sum,
    },
    /// A keccak request is in the store.
    Keccak {
        /// Its place.
        index: u32,
        /// Its bytes.
        blob: BlobRef,
        /// What it hashes to.
        sum: Sum,
    },
    /// The execution is over.
    Ended {
        /// What it left behind.
        journal: BlobRef,
    },
    /// All was delivered.
    Done {
        /// The result.
        receipt: BlobRef,
    },
}

/// What a client knows of the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    id: JobId,
    request: Request,
    diverges: bool,
    /// How often the job was taken up, or started over.
    starts: u32,
    stage: JobStage,
    segments: Pieces,
    keccaks: Pieces,
    journal: Option<BlobRef>,
    receipt: Option<BlobRef>,
}

/// What the source put out of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pieces {
    blobs: Vec<BlobRef>,
    known: BTreeSet<Reference>,
    sums: Expected,
}

impl Pieces {
    fn push(&mut self, index: u32, blob: BlobRef, sum: Sum) -> Result<(), String> {
        if index as usize != self.blobs.len() {
            return Err(format!("piece {index} follows {}", self.blobs.len()));
        }
        self.blobs.push(blob);
        self.known.insert(blob.reference);
        self.sums.push(sum);
        Ok(())
    }

    fn get(&self, index: u32) -> Option<BlobRef> {
        self.blobs.get(index as usize).copied()
    }
}

impl Segments {
    /// Asks for the job, unless it is there. Blocks.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn create(client: &Client<Self>, request: Request) -> Result<JobId, JobError> {
        Self::create_as(client, request, false)
    }

    /// As [`Self::create`], of a job whose source tells another story once the job is gone on with: the raw data of
    /// [`Self::OTHER_STORY`] and the following.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_diverging(client: &Client<Self>, request: Request) -> Result<JobId, JobError> {
        Self::create_as(client, request, true)
    }

    /// With which number the raw data of the other story begins.
    pub const OTHER_STORY: u32 = 1 << 16;

    fn create_as(
        client: &Client<Self>,
        request: Request,
        diverges: bool,
    ) -> Result<JobId, JobError> {
        let id = request.job_id(if diverges { "segments that diverge" } else { "segments" });
        let created = SegmentsEvent::Created { request, diverges };
        client.create_as(id, false, || Ok((vec![created], Vec::new())))
    }

    fn new(id: JobId, request: Request, diverges: bool) -> Self {
        Self {
            id,
            request,
            diverges,
            starts: 0,
            stage: JobStage::Open,
            segments: Pieces::default(),
            keccaks: Pieces::default(),
            journal: None,
            receipt: None,
        }
    }

    /// All segments, with what the keccak requests are united to folded in.
    fn resolved(&self) -> Option<Sum> {
        self.journal?;
        let whole = self.segments.sums.whole()?;
        match self.keccaks.sums.whole() {
            Some(united) => whole.joined(united),
            None => Some(whole),
        }
    }
}

impl Script for Segments {
    type Plan = ZkvmPlan;
    type Event = SegmentsEvent;
    type Piece = SegmentsEvent;
    type Expected = Sum;
    type Arguments = ();
    type Error = JobError;
    type Pin = Pin;

    fn plan(&self) -> ZkvmPlan {
        ZkvmPlan::new(PlanShape::Succinct, |_, _| COST)
    }

    fn next_input(&self, plan: &ZkvmPlan) -> Option<ZkvmInput> {
        let counts = plan.counts();
        let index = counts.segments_known;
        if let Some(blob) = self.segments.get(index) {
            return Some(ZkvmInput::Segment { index, po2: po2(), blob });
        }
        let index = counts.keccaks_known;
        if let Some(blob) = self.keccaks.get(index) {
            return Some(ZkvmInput::Keccak { index, po2: po2(), blob });
        }
        let has_news = self.journal.is_some() && !counts.execution_ended;
        let assumed = self.keccaks.get(0).map(|_| Assumed::Keccak);
        has_news.then(|| ZkvmInput::End { assumed: assumed.into_iter().collect() })
    }

    fn apply(&mut self, event: &JobEvent<SegmentsEvent>) -> Result<(), String> {
        match event {
            JobEvent::ClientStarted { .. } => self.starts += 1,
            JobEvent::Restarted { .. } => {
                let starts = self.starts;
                *self = Self { starts, ..Self::new(self.id, self.request, self.diverges) };
            }
            JobEvent::Own(own) => match own {
                SegmentsEvent::Created { .. } => return created_twice(),
                SegmentsEvent::Segment { index, blob, sum } => {
                    self.segments.push(*index, *blob, *sum)?;
                }
                SegmentsEvent::Keccak { index, blob, sum } => {
                    self.keccaks.push(*index, *blob, *sum)?;
                }
                SegmentsEvent::Ended { journal } => self.journal = Some(*journal),
                SegmentsEvent::Done { receipt } => {
                    (self.stage, self.receipt) = (JobStage::Done, Some(*receipt));
                }
            },
            other => self.stage = stage_after(self.stage, other),
        }
        Ok(())
    }

    fn expected(&self, task: Task) -> Option<Sum> {
        match TaskId::try_from(task).ok()? {
            TaskId::Keccak(_) | TaskId::Union(_) => self.keccaks.sums.sum(task.range),
            TaskId::Resolve(0) => self.resolved(),
            TaskId::Lift(_) | TaskId::Join(_) | TaskId::Prove(_) => {
                self.segments.sums.sum(task.range)
            }
            _ => None,
        }
    }

    fn arguments(&self, _task: Task, _po2: Option<Po2>) {}

    fn needs_source(&self) -> bool {
        self.journal.is_none()
    }

    fn is_last(piece: &SegmentsEvent) -> bool {
        matches!(piece, SegmentsEvent::Ended { .. })
    }

    fn take(&self, piece: SegmentsEvent) -> Result<Taken<SegmentsEvent>, JobError> {
        let (known, blob) = match &piece {
            SegmentsEvent::Segment { index, blob, .. } => (self.segments.get(*index), *blob),
            SegmentsEvent::Keccak { index, blob, .. } => (self.keccaks.get(*index), *blob),
            SegmentsEvent::Ended { journal } => (self.journal, *journal),
            other => return Ok(Taken::Differs { reason: format!("{other:?}") }),
        };
        Ok(match known {
            None => Taken::New(vec![piece]),
            Some(known) if known == blob => Taken::Again(vec![blob.reference]),
            Some(_) => Taken::Differs { reason: format!("{piece:?}") },
        })
    }

    fn is_of_source(&self, blob: Reference) -> bool {
        let is_journal = self.journal.is_some_and(|journal| journal.reference == blob);
        is_journal || self.segments.known.contains(&blob) || self.keccaks.known.contains(&blob)
    }

    fn kept_blobs(&self) -> Vec<BlobRef> {
        self.journal.into_iter().collect()
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        Vec::new()
    }
}

impl System for Segments {
    type Delivered = Sums;
    type Begin = ();
    type Running = Executing;

    const RESULT_SIZE_BYTES_MAX: u64 = RESULT_SIZE_BYTES_MAX;

    fn systems() -> Vec<SystemName> {
        vec![SYSTEMS[0].into()]
    }

    fn created(job: JobId, event: SegmentsEvent, _at_ms: u64) -> Option<Self> {
        match event {
            SegmentsEvent::Created { request, diverges } => Some(Self::new(job, request, diverges)),
            _ => None,
        }
    }

    fn id(&self) -> JobId {
        self.id
    }

    fn system(&self) -> SystemName {
        SYSTEMS[0].into()
    }

    fn stage(&self) -> JobStage {
        self.stage
    }

    fn kind(event: &SegmentsEvent) -> &'static str {
        match event {
            SegmentsEvent::Created { .. } => "created",
            SegmentsEvent::Segment { .. } => "segment",
            SegmentsEvent::Keccak { .. } => "keccak",
            SegmentsEvent::Ended { .. } => "ended",
            SegmentsEvent::Done { .. } => "done",
        }
    }

    fn is_done(event: &SegmentsEvent) -> bool {
        matches!(event, SegmentsEvent::Done { .. })
    }

    fn advert(&self) -> Advert {
        advert()
    }

    fn told(_task: Task, (): &()) -> Told {
        told(Vec::new())
    }

    fn check(_task: Task, bytes: &[u8], expected: &Sum) -> Result<Certainty, String> {
        compare(bytes, expected)
    }

    fn begin(_options: &RunOptions) {}

    fn start((): &mut (), job: &Self, blobs: &BlobStore) -> Start<Executing> {
        let (request, blobs, id) = (job.request, blobs.clone(), job.id);
        let is_other_story = job.diverges && job.starts > 1;
        let first = if is_other_story { Self::OTHER_STORY } else { 0 };
        Box::new(move || {
            let (told, emitted) = mpsc::channel(PIECES_WAITING_MAX);
            let room = JobRoom::new(blobs, id, request.size_bytes.into());
            std::thread::spawn(move || execute(request, first, &room, &told));
            Ok(Executing { emitted })
        })
    }

    fn deliver(
        job: &JobState<Self>,
        blobs: &BlobStore,
        outcome: &Outcome,
        _stop: &CancellationToken,
    ) -> Result<Delivery<Self>, JobError> {
        let missing = |what: &str| JobError::BlobMissing { what: what.into(), job: job.id };
        let Outcome::Succinct { receipt, .. } = outcome else {
            return Err(missing("the one result"));
        };
        let (delivered, pins) = read(blobs, job.id, &[*receipt])?;
        if job.resolved() != delivered.first().copied() {
            return Err(missing("the right result"));
        }
        let done = SegmentsEvent::Done { receipt: *receipt };
        Ok(Delivery { done, pins, lacks_room: false, delivered })
    }

    fn delivered(job: &JobState<Self>, blobs: &BlobStore) -> Result<Sums, JobError> {
        Ok(read(blobs, job.id, job.receipt.as_slice())?.0)
    }
}

/// A fake execution on its thread.
#[derive(Debug)]
pub struct Executing {
    emitted: mpsc::Receiver<Said>,
}

/// What the fake execution says.
#[derive(Debug)]
enum Said {
    Piece(SegmentsEvent, Pin),
    LacksRoom(Shortage),
    Failed(JobError),
}

impl Running<Segments> for Executing {
    async fn next(&mut self) -> Option<PutOut<Segments>> {
        Some(match self.emitted.recv().await? {
            Said::Piece(piece, pin) if Segments::is_last(&piece) => {
                PutOut::Last(Box::new(move || Ok((piece, vec![pin]))))
            }
            Said::Piece(piece, pin) => PutOut::Piece(piece, vec![pin]),
            Said::LacksRoom(shortage) => PutOut::LacksRoom(shortage),
            Said::Failed(error) => PutOut::Last(Box::new(move || Err(error))),
        })
    }
}

/// Puts out all segments and keccak requests, of raw data from `first` on, and the end. It stops when nobody listens.
fn execute(request: Request, first: u32, room: &JobRoom, told: &mpsc::Sender<Said>) {
    let keccak_count = (request.count / SEGMENTS_PER_KECCAK).min(KECCAKS_MAX);
    let segments = (0..request.count).map(|index| {
        let raw = raw(first + index, request.size_bytes);
        let sum = Sum::of_raw(index, &raw);
        (raw, Box::new(move |blob| SegmentsEvent::Segment { index, blob, sum }) as Event)
    });
    let keccaks = (0..keccak_count).map(|index| {
        // Numbered on, so that it is not a segment's.
        let raw = raw(first + request.count + index, request.size_bytes);
        let sum = Sum::of_raw(index, &raw);
        (raw, Box::new(move |blob| SegmentsEvent::Keccak { index, blob, sum }) as Event)
    });
    let end =
        (b"the journal".to_vec(), Box::new(|journal| SegmentsEvent::Ended { journal }) as Event);
    for (index, (bytes, event)) in (0..).zip(segments.chain(keccaks).chain([end])) {
        let lacks = |shortage| told.blocking_send(Said::LacksRoom(shortage)).is_ok();
        let piece = match room.put(&bytes, index, lacks) {
            Ok(Some(pin)) => Said::Piece(event(pin.blob()), pin),
            Ok(None) => return,
            Err(error) => Said::Failed(error.into()),
        };
        let has_failed = matches!(piece, Said::Failed(_));
        if told.blocking_send(piece).is_err() || has_failed {
            return;
        }
    }
}

/// What is logged of a blob.
type Event = Box<dyn FnOnce(BlobRef) -> SegmentsEvent>;
