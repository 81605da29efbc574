//! Counted work (proof of verifiable work): what a receipt says about how much was proved, and for whom.

use std::fmt;

use risc0_binfmt::{PovwJobId, PovwLogId, PovwNonce};
use serde::{Deserialize, Serialize};
use starling_types::{Po2, WorkLogId};

/// Under which names the work of a job is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PovwJob {
    /// The work log, its most significant byte first, like an Ethereum address.
    pub log_id: WorkLogId,
    /// The number of the job within the log. Work counts once for each number.
    pub job: u64,
}

impl PovwJob {
    /// As RISC Zero has it.
    pub fn to_job_id(self) -> PovwJobId {
        PovwJobId { log: PovwLogId::from_be_bytes(self.log_id.0), job: self.job }
    }

    /// Of what RISC Zero has.
    pub fn of_job_id(id: PovwJobId) -> Self {
        Self { log_id: WorkLogId(id.log.to_be_bytes()), job: id.job }
    }

    fn of(nonce: &PovwNonce) -> Self {
        Self { log_id: WorkLogId(nonce.log.to_be_bytes()), job: nonce.job }
    }
}

/// The work that a receipt counts: one nonce for each segment, neighbours, and the sum of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The work log.
    pub log_id: WorkLogId,
    /// The number of the job within the log.
    pub job: u64,
    /// The first segment counted.
    pub first: u32,
    /// The last segment counted.
    pub last: u32,
    /// The cycles counted, padding included: the sum of 2^po2 over the segments.
    pub value: u64,
}

impl Work {
    /// What a receipt of segment `index` of this size counts.
    pub fn of_segment(job: PovwJob, index: u32, po2: Po2) -> Self {
        let PovwJob { log_id, job } = job;
        Self { log_id, job, first: index, last: index, value: po2.cycles() }
    }

    /// The work of `self` and then `next`; `None` when `next` does not begin after the last segment of `self`,
    /// is of another job, or there is too much to count.
    pub fn join(&self, next: &Self) -> Option<Self> {
        let neighbours = (self.log_id, self.job) == (next.log_id, next.job)
            && self.last.checked_add(1) == Some(next.first);
        let value = self.value.checked_add(next.value)?;
        neighbours.then_some(Self { last: next.last, value, ..*self })
    }

    /// The work as risc0 says it.
    pub fn to_stock(self) -> risc0_zkvm::Work {
        let job = PovwJob { log_id: self.log_id, job: self.job }.to_job_id();
        risc0_zkvm::Work {
            nonce_min: job.nonce(self.first),
            nonce_max: job.nonce(self.last),
            value: self.value,
        }
    }

    /// What risc0 says in our words; `None` when it is not of one job.
    pub fn of_stock(work: &risc0_zkvm::Work) -> Option<Self> {
        let [first, last] = [&work.nonce_min, &work.nonce_max];
        let PovwJob { log_id, job } = PovwJob::of(first);
        let one_job = (first.log, first.job) == (last.log, last.job);
        let (first, last, value) = (first.segment, last.segment, work.value);
        one_job.then_some(Self { log_id, job, first, last, value })
    }

    /// What a segment's seal says that it counts; `None` when its work is not counted for anyone.
    pub fn of_nonce(nonce: &PovwNonce, po2: Po2) -> Option<Self> {
        let uncounted = nonce.log == PovwLogId::ZERO && nonce.job == 0;
        (!uncounted).then(|| Self::of_segment(PovwJob::of(nonce), nonce.segment, po2))
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log_id, job, first, last, value } = self;
        write!(f, "{value} for segments {first} to {last} of job {job} in log {log_id}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const JOB: PovwJob = PovwJob { log_id: WorkLogId(*b"\x01twenty bytes, whole"), job: 42 };

    fn works() -> Vec<Work> {
        let po2 = |value: u32| Po2::try_from(value).unwrap();
        [18, 18, 15]
            .iter()
            .zip(0..)
            .map(|(size, at)| Work::of_segment(JOB, at, po2(*size)))
            .collect()
    }

    #[test]
    fn joined_work_is_that_of_the_stock_claim() {
        let works = works();
        let all = works.iter().copied().reduce(|left, right| left.join(&right).unwrap()).unwrap();
        let stock = works.iter().map(|work| work.to_stock());
        let stock = stock.reduce(|left, right| left.join(&right).unwrap()).unwrap();
        assert_eq!(all.to_stock(), stock);
        assert_eq!(all.value, (2 << 18) + (1 << 15));
        assert_eq!(Work::of_stock(&stock), Some(all));
    }

    #[test]
    fn only_neighbours_of_one_job_are_joined() {
        let works = works();
        assert_eq!(works[0].join(&works[2]), None);
        assert_eq!(works[1].join(&works[0]), None);
        assert_eq!(works[0].join(&Work { job: 43, ..works[1] }), None);
    }

    #[test]
    fn a_log_id_is_written_most_significant_byte_first() {
        let nonce = works()[1].to_stock().nonce_min;
        assert_eq!(nonce.log.to_be_bytes::<20>(), JOB.log_id.0);
        assert_eq!(nonce.log.to_be_bytes_vec()[0], 1);
        assert_eq!(nonce.segment, 1);
        let po2 = Po2::try_from(18).unwrap();
        assert_eq!(Work::of_nonce(&nonce, po2), Some(works()[1]));
        assert_eq!(Work::of_nonce(&PovwNonce::ZERO, po2), None);
    }

    #[test]
    fn work_survives_the_job_log() {
        let work = works()[0];
        let text = serde_json::to_string(&work).unwrap();
        assert_eq!(serde_json::from_str::<Work>(&text).unwrap(), work);
    }
}
