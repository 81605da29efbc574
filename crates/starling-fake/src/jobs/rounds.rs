//! A job of rounds: each round's tasks hash their columns with a challenge, and that follows from the results of the round
//! before as the log names them. Makers pad their results each in their own way, so that nobody but the log knows it.
//!
//! It does not outlive the loss of a result: rounds after it would be named anew, under other numbers than its columns have.

use std::{collections::BTreeMap, convert::Infallible};

use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Sha3_256};
use starling_client::{
    JobError, RunOptions,
    shell::{Advert, Client, Delivery, NoSource, Stage, Start, System, Told},
};
use starling_job::{JobEvent, JobState, Script, Taken};
use starling_plan::{Certainty, Class, Demand, Order, RoundTask, RoundsInput, RoundsPlan};
use starling_store::{BlobStore, Pin};
use starling_types::{BlobRef, JobId, KindCode, Po2, Reference, Task};
use tokio_util::sync::CancellationToken;

use super::{
    COST, RESULT_SIZE_BYTES_MAX, Request, Sums, advert, compare, created_twice, no_source, raw,
    read, stage_after, told,
};
use crate::{SYSTEMS, Sum};

/// How many rounds there are.
const ROUNDS: u32 = 4;

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RoundsEvent {
    /// The job was asked for.
    Created {
        /// What was asked.
        request: Request,
        /// The columns.
        columns: Vec<BlobRef>,
    },
    /// All was delivered.
    Done {
        /// The results of the last round.
        results: Vec<BlobRef>,
    },
}

/// What a client knows of the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounds {
    id: JobId,
    request: Request,
    stage: Stage,
    columns: Vec<BlobRef>,
    /// The accepted results, by number.
    accepted: BTreeMap<u32, Reference>,
    /// The challenges of the rounds whose tasks are known. That of the first is empty.
    challenges: Vec<Vec<u8>>,
    results: Vec<BlobRef>,
}

impl Rounds {
    /// Asks for the job, unless it is there. Blocks.
    ///
    /// # Errors
    /// When there is no room for its columns.
    pub fn create(client: &Client<Self>, request: Request) -> Result<JobId, JobError> {
        let id = request.job_id("rounds");
        client.create_as(id, false, || {
            let pins = request.store(client)?;
            let columns = pins.iter().map(Pin::blob).collect();
            Ok((RoundsEvent::Created { request, columns }, pins))
        })
    }

    fn challenge_of(&self, task: Task) -> Option<&Vec<u8>> {
        self.challenges.get((task.range.start() / self.request.count) as usize)
    }

    /// A result is in the log. Those of a whole round make the next one's challenge.
    fn take_result(&mut self, index: u32, blob: Reference) {
        self.accepted.insert(index, blob);
        let round = self.challenges.len() as u32 - 1;
        let numbers = round * self.request.count..(round + 1) * self.request.count;
        let of_round: Vec<_> = self.accepted.range(numbers).map(|(_, blob)| blob.0).collect();
        if of_round.len() as u32 == self.request.count {
            self.challenges.push(Sha3_256::digest(of_round.concat()).to_vec());
        }
    }
}

impl Script for Rounds {
    type Plan = RoundsPlan;
    type Event = RoundsEvent;
    type Piece = Infallible;
    type Expected = Sum;
    type Arguments = Vec<u8>;
    type Error = JobError;
    type Pin = Pin;

    fn plan(&self) -> RoundsPlan {
        RoundsPlan::new(vec![Demand {
            kind: KindCode(4),
            name: "column",
            cost: COST,
            po2: None,
            reads_results: false,
            order: Order::Leaves(0),
        }])
    }

    fn next_input(&self, plan: &RoundsPlan) -> Option<RoundsInput> {
        let is_first = plan.round_count() == 0;
        if !is_first && plan.complete_round().is_none() {
            return None;
        }
        if plan.round_count() == ROUNDS {
            return Some(RoundsInput::End);
        }
        let columns = self.columns.iter();
        let task = |column: &BlobRef| RoundTask { class: Class(0), inputs: vec![*column] };
        Some(RoundsInput::Round(columns.map(task).collect()))
    }

    fn apply(&mut self, event: &JobEvent<RoundsEvent>) -> Result<(), String> {
        match event {
            JobEvent::ResultAccepted { task, blob, .. } => {
                self.take_result(task.range.start(), blob.reference);
            }
            JobEvent::ResultLost { .. } | JobEvent::ResultRevoked { .. } => {
                return Err("a round does not outlive its results".into());
            }
            JobEvent::Own(RoundsEvent::Created { .. }) => return created_twice(),
            JobEvent::Own(RoundsEvent::Done { results }) => {
                (self.stage, self.results) = (Stage::Done, results.clone());
            }
            other => self.stage = stage_after(self.stage, other),
        }
        Ok(())
    }

    fn expected(&self, task: Task) -> Option<Sum> {
        let (index, challenge) = (task.range.start(), self.challenge_of(task)?);
        let column = raw(index % self.request.count, self.request.size_bytes);
        Some(Sum::of_challenged(index, &column, challenge))
    }

    fn arguments(&self, task: Task, _po2: Option<Po2>) -> Vec<u8> {
        self.challenge_of(task).cloned().unwrap_or_default()
    }

    fn is_last(piece: &Infallible) -> bool {
        match *piece {}
    }

    fn take(&self, piece: Infallible) -> Result<Taken<RoundsEvent>, JobError> {
        match piece {}
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        self.columns.clone()
    }
}

impl System for Rounds {
    type Delivered = Sums;
    type Begin = ();
    type Running = NoSource;

    const RESULT_SIZE_BYTES_MAX: u64 = RESULT_SIZE_BYTES_MAX;

    fn systems() -> Vec<String> {
        vec![SYSTEMS[0].into()]
    }

    fn created(job: JobId, event: RoundsEvent, _at_ms: u64) -> Option<Self> {
        let RoundsEvent::Created { request, columns } = event else { return None };
        Some(Self {
            id: job,
            request,
            stage: Stage::Open,
            columns,
            accepted: BTreeMap::new(),
            challenges: vec![Vec::new()],
            results: Vec::new(),
        })
    }

    fn id(&self) -> JobId {
        self.id
    }

    fn system(&self) -> &str {
        SYSTEMS[0]
    }

    fn stage(&self) -> Stage {
        self.stage
    }

    fn kind(event: &RoundsEvent) -> &'static str {
        match event {
            RoundsEvent::Created { .. } => "created",
            RoundsEvent::Done { .. } => "done",
        }
    }

    fn is_done(event: &RoundsEvent) -> bool {
        matches!(event, RoundsEvent::Done { .. })
    }

    fn advert(&self) -> Advert {
        advert()
    }

    fn told(_task: Task, challenge: &Vec<u8>) -> Told {
        told(challenge.clone())
    }

    fn check(_task: Task, bytes: &[u8], expected: &Sum) -> Result<Certainty, String> {
        compare(bytes, expected)
    }

    fn begin(_options: &RunOptions) {}

    fn start((): &mut (), job: &Self, _blobs: &BlobStore) -> Start<NoSource> {
        no_source(job.id)
    }

    fn deliver(
        job: &JobState<Self>,
        blobs: &BlobStore,
        outcome: &Vec<BlobRef>,
        _stop: &CancellationToken,
    ) -> Result<Delivery<Self>, JobError> {
        let (delivered, pins) = read(blobs, job.id, outcome)?;
        let done = RoundsEvent::Done { results: outcome.clone() };
        Ok(Delivery { done, pins, lacks_room: false, delivered })
    }

    fn delivered(job: &JobState<Self>, blobs: &BlobStore) -> Result<Sums, JobError> {
        Ok(read(blobs, job.id, &job.results)?.0)
    }
}
