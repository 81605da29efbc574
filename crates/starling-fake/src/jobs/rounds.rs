//! A job of rounds: the tasks of a round hash their columns with a challenge, which follows from the results of the round before
//! as the log names them. Each maker pads its results in its own way, so that the challenge follows only from the log.
//!
//! A lost or false result voids the rounds after its own. They are named anew, under numbers that no task had: the tasks of a
//! round have the numbers of one block, and a column's place in the block is its index.

use std::{collections::BTreeMap, convert::Infallible};

use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Sha3_256};
use starling_client::{
    JobError, RunOptions,
    shell::{Advert, Client, Delivery, JobStage, NoSource, Start, System, Told},
};
use starling_job::{JobEvent, JobState, Script, Taken};
use starling_plan::{Certainty, Class, Demand, Order, RoundTask, RoundsInput, RoundsPlan};
use starling_store::{BlobStore, Pin};
use starling_types::{BlobRef, JobId, KindCode, Po2, Reference, SystemName, Task};
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
    stage: JobStage,
    columns: Vec<BlobRef>,
    /// The accepted results of these rounds, by number.
    accepted: BTreeMap<u32, Reference>,
    /// The rounds whose tasks are known.
    rounds: Vec<Round>,
    /// The block of numbers of the next round.
    next_block: u32,
    results: Vec<BlobRef>,
}

/// A round whose tasks are known.
#[derive(Debug, Clone, PartialEq)]
struct Round {
    /// Which block of numbers its tasks have.
    block: u32,
    /// What its tasks are challenged with: nothing in the first.
    challenge: Vec<u8>,
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
            Ok((vec![RoundsEvent::Created { request, columns }], pins))
        })
    }

    fn new(id: JobId, request: Request, columns: Vec<BlobRef>) -> Self {
        let mut job = Self {
            id,
            request,
            stage: JobStage::Open,
            columns,
            accepted: BTreeMap::new(),
            rounds: Vec::new(),
            next_block: 0,
            results: Vec::new(),
        };
        job.name_round(Vec::new());
        job
    }

    fn name_round(&mut self, challenge: Vec<u8>) {
        self.rounds.push(Round { block: self.next_block, challenge });
        self.next_block += 1;
    }

    fn block_of(&self, number: u32) -> u32 {
        number / self.request.count
    }

    fn challenge_of(&self, task: Task) -> Option<&Vec<u8>> {
        let block = self.block_of(task.range.start());
        let round = self.rounds.iter().find(|round| round.block == block);
        round.map(|round| &round.challenge)
    }

    /// The results of the last round, in order, once all are there.
    fn complete_round(&self) -> Option<Vec<[u8; 32]>> {
        let (block, count) = (self.rounds.last()?.block, self.request.count);
        let of_round = self.accepted.range(block * count..(block + 1) * count);
        let of_round: Vec<_> = of_round.map(|(_, blob)| blob.0).collect();
        (of_round.len() as u32 == count).then_some(of_round)
    }

    /// A result is in the log. Those of a whole round make the next one's challenge.
    fn take_result(&mut self, number: u32, blob: Reference) {
        self.accepted.insert(number, blob);
        if let Some(results) = self.complete_round()
            && (self.rounds.len() as u32) < ROUNDS
        {
            self.name_round(Sha3_256::digest(results.concat()).to_vec());
        }
    }

    /// A result is gone from the store: that of the last round is delivered, and what comes before is read as long as there
    /// is a round to be named.
    fn lose_result(&mut self, blob: Reference) {
        let lost = self.accepted.iter().find(|(_, of)| **of == blob).map(|(number, _)| *number);
        let Some(number) = lost else { return };
        let is_last = self.rounds.last().is_some_and(|last| last.block == self.block_of(number));
        let has_ended = self.rounds.len() as u32 == ROUNDS && self.complete_round().is_some();
        if is_last || !has_ended {
            self.take_back(number);
        }
    }

    /// A result counts no more, nor do the rounds after its own, which followed from it.
    fn take_back(&mut self, number: u32) {
        let block = self.block_of(number);
        self.accepted.remove(&number);
        self.rounds.retain(|round| round.block <= block);
        // The blocks of the rounds that are left are no later than this one's.
        let after = (block + 1) * self.request.count;
        self.accepted.split_off(&after);
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
            JobEvent::ResultLost { blob } => self.lose_result(*blob),
            JobEvent::ResultRevoked { task } => self.take_back(task.range.start()),
            JobEvent::Own(RoundsEvent::Created { .. }) => return created_twice(),
            JobEvent::Own(RoundsEvent::Done { results }) => {
                (self.stage, self.results) = (JobStage::Done, results.clone());
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

    fn systems() -> Vec<SystemName> {
        vec![SYSTEMS[0].into()]
    }

    fn created(job: JobId, event: RoundsEvent, _at_ms: u64) -> Option<Self> {
        let RoundsEvent::Created { request, columns } = event else { return None };
        Some(Self::new(job, request, columns))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_plan::Plan as _;
    use starling_types::NodeId;

    use super::*;

    const COUNT: u32 = 3;

    /// The log of a job, and what it adds up to.
    struct Logged {
        events: Vec<JobEvent<RoundsEvent>>,
        state: JobState<Rounds>,
    }

    fn job() -> JobState<Rounds> {
        let column = |index| BlobRef { reference: Reference([index; 32]), size_bytes: 1 };
        let request = Request { count: COUNT, size_bytes: 8 };
        let columns = (0..COUNT as u8).map(column).collect();
        JobState::new(Rounds::new(JobId([1; 16]), request, columns))
    }

    impl Logged {
        fn record(&mut self, event: JobEvent<RoundsEvent>) {
            self.state.apply(&event).unwrap();
            self.events.push(event);
        }

        /// Has the next task of the plan accepted, as a client would; its number, or nothing when all is done.
        fn step(&mut self) -> Option<u32> {
            let replayed = self.state.replay().unwrap();
            assert!(replayed.refused.is_empty(), "{:?}", replayed.refused);
            let task = replayed.plan.next(Class(0))?.id;
            let number = task.range.start();
            assert!(self.state.expected(task).is_some(), "task {number} is named and known");
            // No two results are alike, those of one task included.
            let mut name = [0xff; 32];
            name[..8].copy_from_slice(&(self.events.len() as u64).to_be_bytes());
            let blob = BlobRef { reference: Reference(name), size_bytes: 1 };
            let node = NodeId([7; 32]);
            self.record(JobEvent::ResultAccepted { task, blob, node, is_provisional: false });
            Some(number)
        }

        fn result_of(&self, number: u32) -> Reference {
            self.state
                .accepted
                .iter()
                .find(|(task, _)| task.range.start() == number)
                .unwrap()
                .1
                .reference
        }
    }

    /// The results of a round make the next one's challenge, whatever became of rounds in between.
    fn assert_chained(state: &Rounds) {
        for (round, next) in state.rounds.iter().zip(&state.rounds[1..]) {
            let numbers = round.block * COUNT..(round.block + 1) * COUNT;
            let results: Vec<_> = numbers.map(|number| state.accepted[&number].0).collect();
            assert_eq!(next.challenge, Sha3_256::digest(results.concat()).to_vec());
        }
    }

    #[test]
    fn a_lost_result_voids_the_rounds_after_it_and_the_log_is_read_back_to_the_same() {
        // Lost in the round itself, in the next, in the last, and when all is done.
        for steps in [1, COUNT, COUNT + 1, 2 * COUNT, ROUNDS * COUNT - 1, ROUNDS * COUNT] {
            for lost in 0..steps {
                let mut job = Logged { events: Vec::new(), state: job() };
                for number in 0..steps {
                    assert_eq!(job.step(), Some(number));
                }
                let is_done = steps == ROUNDS * COUNT;
                let is_read = !is_done || lost >= (ROUNDS - 1) * COUNT;
                let blob = job.result_of(lost);
                job.record(JobEvent::ResultLost { blob });
                assert_eq!(job.step(), is_read.then_some(lost), "{lost} after {steps}");
                while job.step().is_some() {}
                let plan = job.state.replay().unwrap().plan;
                assert!(plan.outcome().is_some(), "{lost} after {steps}");
                assert_eq!(job.state.rounds.len() as u32, ROUNDS);
                if is_read {
                    assert_chained(&job.state);
                }
                let mut again = self::job();
                job.events.iter().for_each(|event| again.apply(event).unwrap());
                assert_eq!(again, job.state);
            }
        }
    }

    #[test]
    fn a_result_that_is_taken_back_is_made_again_under_its_own_number() {
        let mut job = Logged { events: Vec::new(), state: job() };
        (0..2 * COUNT).for_each(|number| assert_eq!(job.step(), Some(number)));
        let task = Task { kind: KindCode(4), range: starling_types::IndexRange::single(1) };
        job.record(JobEvent::ResultRevoked { task });
        assert_eq!(job.step(), Some(1));
        assert_eq!(
            job.step(),
            Some(3 * COUNT),
            "the second round was void, and the third had no task"
        );
    }
}
