//! A job's limits and patience.

use starling_types::Millis;

/// How many times in one run a source that differs from the log starts the job over. With seeded randomness it does not
/// happen at all; a guest that never repeats itself must not loop for ever.
pub(crate) const DIVERGENCES_MAX: u32 = 1;

/// How many times a source is run in one run of the job. A disk that loses the same blobs again and again must not have the
/// client execute for ever; four bad moments of a disk in one job are one disk too many.
pub(crate) const SOURCE_RUNS_MAX: u32 = 4;

/// How many times in one run what was proved is put together, when something of it turns out to be lost. What is lost is made again;
/// with a disk that loses something each time nothing gets done.
pub(crate) const DELIVERIES_MAX: u32 = 4;

/// What a job may be told to do otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The scheduler's limits.
    pub scheduler: starling_sched::Config,
    /// How long there may be no node that could take a ready task, and how long none that does anything while there is work.
    pub node_wait: Millis,
    /// How long this run of the job may take.
    pub timeout: Option<Millis>,
    /// All the randomness there is.
    pub seed: u64,
}
