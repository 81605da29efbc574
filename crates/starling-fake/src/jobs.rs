//! Three kinds of jobs of the fake system, as the client's shell runs them: one for each plan.

mod merges;
mod rounds;
mod segments;

use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Sha3_256};
use starling_client::{
    JobError,
    shell::{Advert, Client, JobStage, NoSource, Start, Told},
};
use starling_job::JobEvent;
use starling_plan::{Certainty, TaskCost};
use starling_proto::Wanted;
use starling_store::{BlobStore, Pin};
use starling_types::{BlobRef, JobId, KindCode, MemoryBytes, Millis, Task};

pub use merges::{Merges, MergesEvent};
pub use rounds::{Rounds, RoundsEvent};
pub use segments::{Segments, SegmentsEvent};

use crate::{SYSTEMS, Sum};

/// The largest result that is fetched: results are padded at will.
const RESULT_SIZE_BYTES_MAX: u64 = 1 << 20;

/// What every task needs.
pub(crate) const COST: TaskCost = TaskCost { memory: MemoryBytes::from_mib(64), work: Millis(100) };

/// The kinds of all plans end before this number.
pub(crate) const KIND_END: u32 = 10;

/// What a fake job is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Segments, leaves, or tasks of a round.
    pub count: u32,
    /// How large the raw data of each is.
    pub size_bytes: u32,
}

/// What is delivered: the sums of the last results.
pub type Sums = Vec<Sum>;

/// A piece of raw data with this index, each its own.
pub fn raw(index: u32, size_bytes: u32) -> Vec<u8> {
    index.to_le_bytes().into_iter().cycle().take(size_bytes as usize).collect()
}

impl Request {
    /// The job of this plan: the same request is the same job.
    fn job_id(self, plan: &str) -> JobId {
        let Self { count, size_bytes } = self;
        let hash = Sha3_256::digest(format!("{plan} {count} {size_bytes}").as_bytes());
        let mut id = [0; JobId::SIZE_BYTES];
        id.copy_from_slice(&hash[..JobId::SIZE_BYTES]);
        JobId(id)
    }

    /// Puts the raw data into the store, for jobs that have all of it from the beginning.
    fn store<S: starling_client::shell::System>(
        self,
        client: &Client<S>,
    ) -> Result<Vec<Pin>, JobError> {
        (0..self.count).map(|index| client.put(&raw(index, self.size_bytes))).collect()
    }
}

fn advert() -> Advert {
    let kinds = (1..KIND_END).map(KindCode).collect();
    Advert { wanted: Wanted { system: SYSTEMS[0].into(), kinds }, memory: COST.memory }
}

fn told(arguments: Vec<u8>) -> Told {
    Told { arguments, work: COST.work }
}

fn compare(bytes: &[u8], expected: &Sum) -> Result<Certainty, String> {
    expected.compare(bytes).map_err(|mismatch| mismatch.to_string())?;
    Ok(Certainty::Final)
}

/// Where a job stands after an event that is not its system's own.
fn stage_after<E>(stage: JobStage, event: &JobEvent<E>) -> JobStage {
    match event {
        JobEvent::Cancelled => JobStage::Cancelled,
        _ => stage,
    }
}

/// What is wrong with a log that has a second `created`.
fn created_twice() -> Result<(), String> {
    Err("the job is created twice".into())
}

/// The source of a job that has none: its core never asks for it.
fn no_source(job: JobId) -> Start<NoSource> {
    Box::new(move || Err(JobError::HostGone { job }))
}

/// The results that are delivered, read back, and what keeps them.
fn read(blobs: &BlobStore, job: JobId, results: &[BlobRef]) -> Result<(Sums, Vec<Pin>), JobError> {
    let missing = || JobError::BlobMissing { what: "a result".into(), job };
    let (mut sums, mut pins) = (Vec::new(), Vec::new());
    for result in results {
        let bytes = blobs.get(result.reference, RESULT_SIZE_BYTES_MAX)?.ok_or_else(missing)?;
        sums.push(Sum::decode(&bytes).map_err(|_| missing())?);
        pins.push(blobs.pin(result.reference)?.ok_or_else(missing)?);
    }
    Ok((sums, pins))
}

fn unknown(task: Task) -> String {
    format!("{task} is nothing that was asked for")
}
