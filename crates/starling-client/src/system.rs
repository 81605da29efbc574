//! What the shell needs of a proof system: the seam between the service and whatever it proves.
//!
//! A [`Script`] says what is logged, planned and expected. A [`System`] adds what touches the world: how a source is started
//! and read, how a result is judged, what a node is told, what is delivered. The zkVM is one (`zkvm.rs`); tests have others.
//! Nothing else in service, pool, runner, check and journal knows a proof system.

use std::{collections::BTreeSet, fmt, future::Future};

use serde::{Serialize, de::DeserializeOwned};
use starling_job::{JobState, OutcomeOf, Script, Shortage};
use starling_plan::{Certainty, Plan};
use starling_proto::Wanted;
use starling_store::{BlobStore, Pin};
use starling_types::{JobId, MemoryBytes, Millis, SystemName, Task};
use tokio_util::sync::CancellationToken;

use crate::{JobError, RunOptions};

/// A proof system, as the shell around a job's core sees it.
pub trait System:
    Script<
        Plan: Plan<Outcome: Send> + Send,
        Event: Serialize + DeserializeOwned + Send + Sync,
        Piece: Send,
        Expected: Send,
        Arguments: Send,
        Error = JobError,
        Pin = Pin,
    > + Send
    + Sync
    + 'static
{
    /// What is delivered.
    type Delivered: fmt::Debug + Send + Sync;
    /// What a job's source is started with, as often as it is, in one run of the job.
    type Begin: Send;
    /// A source that runs. It stops when it is dropped.
    type Running: Running<Self>;

    /// The largest result that is fetched.
    const RESULT_SIZE_BYTES_MAX: u64;

    /// The systems that jobs may have, by the names that nodes know. One at least.
    fn systems() -> Vec<SystemName>;

    /// The job that its first event makes; `None` when that event makes none.
    fn created(job: JobId, event: Self::Event, at_ms: u64) -> Option<Self>;

    /// The job.
    fn id(&self) -> JobId;

    /// The name of the job's system.
    fn system(&self) -> SystemName;

    /// Where the job stands.
    fn stage(&self) -> JobStage;

    /// The name of an event, which the log keeps beside its body.
    fn kind(event: &Self::Event) -> &'static str;

    /// Whether the job is done with this event: from then on it needs no blobs but those that come with it.
    fn is_done(event: &Self::Event) -> bool;

    /// What nodes that hear of the job should be able to do.
    fn advert(&self) -> Advert;

    /// What a node is told of a task besides its name and inputs.
    fn told(task: Task, arguments: &Self::Arguments) -> Told;

    /// Whether `bytes` are the result of `task` that they must be; [`Certainty::Provisional`] where that shows only when they
    /// are checked together with others ([`Self::check_group`]). It computes.
    ///
    /// A task that reads what is provisional must have a provisional result as well: else who made it in good faith would have
    /// to answer for what it read.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(task: Task, bytes: &[u8], expected: &Self::Expected) -> Result<Certainty, String>;

    /// Checks results that [`Self::check`] took for now, none before what it was made of, and says which are not what they must
    /// be. It computes. Results of systems that take none so are judged for themselves.
    fn check_group(results: &[GroupResult<Self::Expected>]) -> BTreeSet<Task> {
        let is_false = |result: &&GroupResult<Self::Expected>| {
            Self::check(result.task, &result.bytes, &result.expected).is_err()
        };
        results.iter().filter(is_false).map(|result| result.task).collect()
    }

    /// What people call a task.
    fn name_of(task: Task) -> String {
        task.to_string()
    }

    /// What the source of a job of this directory is started with.
    fn begin(options: &RunOptions) -> Self::Begin;

    /// What starts the source from its beginning, on a thread that may wait.
    fn start(begin: &mut Self::Begin, job: &Self, blobs: &BlobStore) -> Start<Self::Running>;

    /// Puts what was proved together. Blocks, on a thread that nobody waits for once `stop` is cancelled: from then on the
    /// sooner it ends the better, and whatever it returns is let go of.
    ///
    /// # Errors
    /// When a result is gone, or they make no whole.
    fn deliver(
        job: &JobState<Self>,
        blobs: &BlobStore,
        outcome: &OutcomeOf<Self>,
        stop: &CancellationToken,
    ) -> Result<Delivery<Self>, JobError>;

    /// Keeps what there was no room for when it was delivered, now that the job's other blobs are gone. Blocks.
    ///
    /// # Errors
    /// When the store fails.
    fn keep(_delivered: &Self::Delivered, _blobs: &BlobStore) -> Result<Option<Pin>, JobError> {
        Ok(None)
    }

    /// What a job delivered that was done before, out of the blobs that it kept. Blocks.
    ///
    /// # Errors
    /// When it is gone or damaged.
    fn delivered(job: &JobState<Self>, blobs: &BlobStore) -> Result<Self::Delivered, JobError>;
}

/// A result that was taken for now, read back.
#[derive(Debug)]
pub struct GroupResult<X> {
    /// What it is the result of.
    pub task: Task,
    /// The result.
    pub bytes: Vec<u8>,
    /// What it must be.
    pub expected: X,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStage {
    /// It can be run.
    Open,
    /// What it was asked for is there.
    Done,
    /// It was given up.
    Cancelled,
}

/// What nodes that hear of a job should be able to do.
#[derive(Debug, Clone)]
pub struct Advert {
    /// The system, and the kinds of its tasks.
    pub wanted: Wanted,
    /// The least memory that is of use.
    pub memory: MemoryBytes,
}

/// What a node is told of a task, and what the task counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The arguments, as the system's prover reads them.
    pub arguments: Vec<u8>,
    /// What it takes, for the fair share between jobs.
    pub work: Millis,
}

/// A source to be started on a thread that may wait.
pub type Start<R> = Box<dyn FnOnce() -> Result<R, JobError> + Send>;

/// A source that runs.
pub trait Running<S: System>: Send + 'static {
    /// What it puts out next, in its order; `None` when it died without a word. Nothing is lost when the future is dropped
    /// early.
    fn next(&mut self) -> impl Future<Output = Option<PutOut<S>>> + Send;
}

/// What puts the last piece of a source together, on a thread that may wait.
pub type Finish<S> = Box<dyn FnOnce() -> Result<(<S as Script>::Piece, Vec<Pin>), JobError> + Send>;

/// What a source puts out.
pub enum PutOut<S: System> {
    /// A piece, and what keeps its blobs.
    Piece(S::Piece, Vec<Pin>),
    /// There is no room for the next piece: it comes when there is.
    LacksRoom(Shortage),
    /// The end, well or not.
    Last(Finish<S>),
}

/// No source, for systems whose work is known at once.
#[derive(Debug)]
pub enum NoSource {}

impl<S: System> Running<S> for NoSource {
    async fn next(&mut self) -> Option<PutOut<S>> {
        match *self {}
    }
}

/// What was put together, and what is logged of it.
pub struct Delivery<S: System> {
    /// What is logged; [`System::is_done`] says yes to it.
    pub done: S::Event,
    /// What keeps the blobs that it names.
    pub pins: Vec<Pin>,
    /// Whether something of it could not be kept for want of room: [`System::keep`] tries again.
    pub lacks_room: bool,
    /// What is handed over.
    pub delivered: S::Delivered,
}
