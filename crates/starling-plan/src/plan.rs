//! What every plan can be asked and told, whatever it proves.

use starling_types::{BlobRef, Progress, Reference, Task};

use crate::{Accepted, Certainty, Class, Demand, PlanError, Revoked, TaskSpec};

/// The growing task graph of one job. It knows no nodes, no leases and no time; it does no I/O.
///
/// A plan is told what there is to prove ([`input`](Self::input)), what becomes of its tasks
/// ([`start`](Self::start), [`release`](Self::release), [`accept`](Self::accept)) and what went wrong
/// ([`revoke`](Self::revoke), [`lost`](Self::lost)). The same calls in the same order give the same plan, and any order of
/// calls that ends with everything accepted ends in an equal outcome.
pub trait Plan {
    /// What comes from outside: what an execution puts out, the next round.
    type Input;
    /// What is delivered at the end.
    type Outcome;

    /// What the tasks of each class need, in the order in which classes are given out: what is farthest from the end
    /// first. It stays the same for the life of the plan.
    fn demands(&self) -> &[Demand];

    /// Takes something from outside.
    fn input(&mut self, input: Self::Input) -> Result<(), PlanError>;

    /// The tasks of this class that can be started, the best to start first: each is named as if those before it had been
    /// started, so that all of them can be. Each costs O(log n); a caller that looks at more than the first bounds how far.
    fn ready(&self, class: Class) -> impl Iterator<Item = TaskSpec> + '_;

    /// The task of this class to start next.
    fn next(&self, class: Class) -> Option<TaskSpec> {
        self.ready(class).next()
    }

    /// Whether [`Self::next`] has an answer.
    fn is_ready(&self, class: Class) -> bool {
        self.next(class).is_some()
    }

    /// Starts a task that is ready.
    fn start(&mut self, task: Task) -> Result<TaskSpec, PlanError>;

    /// Gives a running task up: it is ready again; but a merge dissolves, and its inputs may be merged otherwise.
    fn release(&mut self, task: Task) -> Result<(), PlanError>;

    /// Takes a checked result of `task`, whether the task runs, was released meanwhile or was never started.
    fn accept(
        &mut self,
        task: Task,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Result<Accepted, PlanError>;

    /// Makes a provisional result final.
    fn confirm(&mut self, task: Task) -> Result<(), PlanError>;

    /// Replays a result that was accepted before, once all inputs are told and before anything is started. The order does
    /// not matter: a result may come before what it was made of, which is then covered by it.
    fn restore(
        &mut self,
        task: Task,
        blob: BlobRef,
        certainty: Certainty,
    ) -> Result<Accepted, PlanError>;

    /// Takes an accepted result back that proved false. What was made of it dissolves as lost merges do, and what that
    /// had consumed is ready again.
    fn revoke(&mut self, task: Task) -> Result<Revoked, PlanError>;

    /// Says that a blob is missing or damaged. A result is taken back that is still read, by a task or by the check of what is
    /// provisional; what reads an input from outside is not offered
    /// until the input is [found](Self::found).
    fn lost(&mut self, blob: Reference) -> Revoked;

    /// Says that an input is there again.
    fn found(&mut self, blob: Reference);

    /// Whether a result of the task was accepted, or one that covers it was restored.
    fn is_accepted(&self, task: Task) -> bool;

    /// Whether tasks of this class are for anything, or may yet be.
    fn is_needed(&self, class: Class) -> bool;

    /// How many tasks of this class are still to be accepted, as far as they are known.
    fn left(&self, class: Class) -> u32;

    /// How far the plan has come, stage by stage.
    fn progress(&self) -> Progress;

    /// The blobs that may still be read or delivered, provisional results among them, each at least once: all others are done
    /// with.
    fn live_blobs(&self) -> Vec<BlobRef>;

    /// What to deliver, once everything is accepted for good.
    fn outcome(&self) -> Option<Self::Outcome>;
}
