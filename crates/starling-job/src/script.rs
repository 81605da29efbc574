//! The client's side of one proof system.

use std::{borrow::Borrow, fmt};

use starling_plan::Plan;
use starling_types::{BlobRef, Po2, Reference, Task};

use crate::JobEvent;

/// What a script's plan is told.
pub type InputOf<S> = <<S as Script>::Plan as Plan>::Input;

/// What a script's plan delivers.
pub type OutcomeOf<S> = <<S as Script>::Plan as Plan>::Outcome;

/// A trouble of the shell that ends a run of a job. `Display` says for people what it was.
pub trait Trouble: fmt::Debug + fmt::Display {
    /// Whether the job itself has failed, so that its log says so, where otherwise only this run of it is over.
    fn is_final(&self) -> bool;

    /// Whether something of the job is missing from the store or damaged there, so that it may be made again.
    fn is_loss(&self) -> bool;
}

/// What a client knows of a job of one proof system: a fold over the log, and what follows from it. It is as pure as the
/// core: the same events in the same order give the same script, and that the same plan.
///
/// Where its tasks come from is its *source*: an execution, a receipt that is taken apart. A source puts out pieces, in an
/// order of its own that it keeps whenever it is run; a system whose work is known at once has none.
pub trait Script: Clone + fmt::Debug {
    /// The task graph.
    type Plan: Plan<Outcome: Clone + fmt::Debug> + fmt::Debug;
    /// What it logs besides what every job logs.
    type Event: Clone + fmt::Debug;
    /// What its source puts out.
    type Piece: fmt::Debug;
    /// What a result must be, for those who check it.
    type Expected: fmt::Debug;
    /// What a node is told of a task besides its name and its inputs. The core does not look at it.
    type Arguments: fmt::Debug;
    /// A trouble of the shell that ends a run of the job.
    type Error: Trouble;
    /// What keeps a blob in the store until the log names it. The core hands it on, and asks no more of it than which blob
    /// that is.
    type Pin: Borrow<BlobRef> + fmt::Debug;

    /// How many results that count for now are checked as one group at most. The more, the cheaper is each; but all are read
    /// at the same time, and so much work may be made of what is false.
    const GROUP_RESULTS_MAX: usize = 64;

    /// The plan of the job, of which nothing is told yet.
    fn plan(&self) -> Self::Plan;

    /// What `plan` is to be told next, as far as the log says; `None` when it knows all. It is asked after every event: it
    /// compares what is known with what the plan knows, and walks neither.
    fn next_input(&self, plan: &Self::Plan) -> Option<InputOf<Self>>;

    /// Takes an event that is in the log; at [`JobEvent::Restarted`], forgets what the source put out.
    ///
    /// # Errors
    /// When it can't follow: the log was not written by this code, or is damaged.
    fn apply(&mut self, event: &JobEvent<Self::Event>) -> Result<(), String>;

    /// What a result of `task` must be; `None` when not all that it is about is known yet.
    fn expected(&self, task: Task) -> Option<Self::Expected>;

    /// What a node is told of `task`, whose size the plan gives as `po2`.
    fn arguments(&self, task: Task, po2: Option<Po2>) -> Self::Arguments;

    /// Whether the source has to run: the log does not have all that it puts out. A system whose work is known at once has no
    /// source, and that is what is said here of it, and of its blobs below.
    fn needs_source(&self) -> bool {
        false
    }

    /// Whether the source ends with this piece. It is taken only when all before it are in the log.
    fn is_last(piece: &Self::Piece) -> bool;

    /// Compares a piece with the log.
    ///
    /// # Errors
    /// When it says that the job can't be proved.
    fn take(&self, piece: Self::Piece) -> Result<Taken<Self::Event>, Self::Error>;

    /// Whether the source puts this blob out again when it is run again.
    fn is_of_source(&self, _blob: Reference) -> bool {
        false
    }

    /// Blobs that must be there in the end though no task reads them.
    fn kept_blobs(&self) -> Vec<BlobRef> {
        Vec::new()
    }

    /// What the job was asked with: the source and the tasks are made of it.
    fn asked_blobs(&self) -> Vec<BlobRef>;
}

/// What a piece is to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken<E> {
    /// News, to be logged as this, all together.
    New(Vec<E>),
    /// It was put out before, and is the same: these blobs are in the store now, whatever became of them.
    Again(Vec<Reference>),
    /// It was put out otherwise before.
    Differs {
        /// What differs.
        reason: String,
    },
}
