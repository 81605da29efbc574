//! A job of wide merges: leaves that are known at once, merges of up to four neighbours, and a finish. It has no source.
//!
//! Looked at alone, a result shows only what it is about; whether it is true shows when a group of them is compared.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use serde::{Deserialize, Serialize};
use starling_client::{
    JobError, RunOptions,
    shell::{Advert, Client, Delivery, GroupResult, JobStage, NoSource, Start, System, Told},
};
use starling_job::{JobEvent, JobState, Script, Taken};
use starling_plan::{Certainty, MergesPlan, MergesShape, NoInput};
use starling_store::{BlobStore, Pin};
use starling_types::{BlobRef, JobId, Po2, SystemName, Task};
use tokio_util::sync::CancellationToken;

use super::{
    COST, RESULT_SIZE_BYTES_MAX, Request, Sums, advert, compare, created_twice, no_source, raw,
    read, stage_after, told, unknown,
};
use crate::{Expected, SYSTEMS, Sum};

/// The most neighbours that are merged at once.
const WIDTH: u32 = 4;

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MergesEvent {
    /// The job was asked for.
    Created {
        /// What was asked.
        request: Request,
        /// The raw data, in its order.
        leaves: Vec<BlobRef>,
        /// How long it takes to put together what is delivered.
        #[serde(default)]
        delivery_ms: u64,
    },
    /// All was delivered.
    Done {
        /// The result.
        result: BlobRef,
    },
}

/// What a client knows of the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Merges {
    id: JobId,
    stage: JobStage,
    leaves: Vec<BlobRef>,
    sums: Expected,
    delivery_ms: u64,
    result: Option<BlobRef>,
}

impl Merges {
    /// Asks for the job, unless it is there. Blocks.
    ///
    /// # Errors
    /// When there is no room for its raw data.
    pub fn create(client: &Client<Self>, request: Request) -> Result<JobId, JobError> {
        Self::create_slow(client, request, Duration::ZERO)
    }

    /// As [`Self::create`], of a job that takes long at its end.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_slow(
        client: &Client<Self>,
        request: Request,
        delivery: Duration,
    ) -> Result<JobId, JobError> {
        client.create_as(request.job_id("merges"), false, || {
            let pins = request.store(client)?;
            let leaves = pins.iter().map(Pin::blob).collect();
            let delivery_ms = delivery.as_millis() as u64;
            Ok((vec![MergesEvent::Created { request, leaves, delivery_ms }], pins))
        })
    }
}

impl Script for Merges {
    type Plan = MergesPlan;
    type Event = MergesEvent;
    type Piece = Infallible;
    type Expected = Sum;
    type Arguments = ();
    type Error = JobError;
    type Pin = Pin;

    /// More than a few nodes have under way at once, so that what is false is merged before it is found.
    const GROUP_RESULTS_MAX: usize = 48;

    fn plan(&self) -> MergesPlan {
        let shape = MergesShape { width: WIDTH, leaf: COST, merge: COST, finish: COST };
        MergesPlan::new(&shape, &self.leaves)
    }

    fn next_input(&self, _plan: &MergesPlan) -> Option<NoInput> {
        None
    }

    fn apply(&mut self, event: &JobEvent<MergesEvent>) -> Result<(), String> {
        match event {
            JobEvent::Own(MergesEvent::Created { .. }) => return created_twice(),
            JobEvent::Own(MergesEvent::Done { result }) => {
                (self.stage, self.result) = (JobStage::Done, Some(*result));
            }
            other => self.stage = stage_after(self.stage, other),
        }
        Ok(())
    }

    fn expected(&self, task: Task) -> Option<Sum> {
        match task.kind {
            MergesPlan::FINISH => self.sums.whole().map(Sum::finish),
            _ => self.sums.sum(task.range),
        }
    }

    fn arguments(&self, _task: Task, _po2: Option<Po2>) {}

    fn is_last(piece: &Infallible) -> bool {
        match *piece {}
    }

    fn take(&self, piece: Infallible) -> Result<Taken<MergesEvent>, JobError> {
        match piece {}
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        self.leaves.clone()
    }
}

impl System for Merges {
    type Delivered = Sums;
    type Begin = ();
    type Running = NoSource;

    const RESULT_SIZE_BYTES_MAX: u64 = RESULT_SIZE_BYTES_MAX;

    fn systems() -> Vec<SystemName> {
        vec![SYSTEMS[0].into()]
    }

    fn created(job: JobId, event: MergesEvent, _at_ms: u64) -> Option<Self> {
        let MergesEvent::Created { request, leaves, delivery_ms } = event else { return None };
        let raw: Vec<_> = (0..request.count).map(|index| raw(index, request.size_bytes)).collect();
        let sums = Expected::of(raw.iter().map(Vec::as_slice));
        Some(Self { id: job, stage: JobStage::Open, leaves, sums, delivery_ms, result: None })
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

    fn kind(event: &MergesEvent) -> &'static str {
        match event {
            MergesEvent::Created { .. } => "created",
            MergesEvent::Done { .. } => "done",
        }
    }

    fn is_done(event: &MergesEvent) -> bool {
        matches!(event, MergesEvent::Done { .. })
    }

    fn advert(&self) -> Advert {
        advert()
    }

    fn told(_task: Task, (): &()) -> Told {
        told(Vec::new())
    }

    fn check(_task: Task, bytes: &[u8], expected: &Sum) -> Result<Certainty, String> {
        expected.resembles(bytes).map_err(|mismatch| mismatch.to_string())?;
        Ok(Certainty::Provisional)
    }

    fn check_group(results: &[GroupResult<Sum>]) -> BTreeSet<Task> {
        let is_false =
            |result: &&GroupResult<Sum>| compare(&result.bytes, &result.expected).is_err();
        results.iter().filter(is_false).map(|result| result.task).collect()
    }

    fn begin(_options: &RunOptions) {}

    fn start((): &mut (), job: &Self, _blobs: &BlobStore) -> Start<NoSource> {
        no_source(job.id)
    }

    fn deliver(
        job: &JobState<Self>,
        blobs: &BlobStore,
        outcome: &BlobRef,
        _stop: &CancellationToken,
    ) -> Result<Delivery<Self>, JobError> {
        // As a verifier of others does that can't be interrupted.
        std::thread::sleep(Duration::from_millis(job.delivery_ms));
        let (delivered, pins) = read(blobs, job.id, &[*outcome])?;
        let expected = job.sums.whole().map(Sum::finish);
        if expected != delivered.first().copied() {
            let finish =
                Task { kind: MergesPlan::FINISH, range: starling_types::IndexRange::single(0) };
            return Err(JobError::BlobMissing { what: unknown(finish), job: job.id });
        }
        Ok(Delivery {
            done: MergesEvent::Done { result: *outcome },
            pins,
            lacks_room: false,
            delivered,
        })
    }

    fn delivered(job: &JobState<Self>, blobs: &BlobStore) -> Result<Sums, JobError> {
        Ok(read(blobs, job.id, job.result.as_slice())?.0)
    }
}
