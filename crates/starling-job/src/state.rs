//! What a job's log adds up to, and the plan that follows from it.

use std::{collections::BTreeMap, ops::Deref};

use starling_plan::{Certainty, Plan, PlanError};
use starling_types::{BlobRef, Incarnation, NodeId, Reference, Task};

use crate::{JobEvent, Script, script::InputOf};

/// A job as its log tells it: what every job knows, around what its [`Script`] knows. It reads as the script.
#[derive(Debug, Clone, PartialEq)]
pub struct JobState<S> {
    script: S,
    /// How many client processes have taken the job up, and how often it started over, in one number.
    pub incarnation: Incarnation,
    /// The results that count, by task.
    pub accepted: BTreeMap<Task, BlobRef>,
    /// How many results of each node were accepted.
    pub receipts_by_node: BTreeMap<NodeId, u32>,
    /// Whose result a blob is.
    makers: BTreeMap<Reference, Task>,
    /// Of the accepted results those that count for now only.
    provisional: BTreeMap<Task, Provisional>,
    /// The tasks of these, in the order in which they were accepted.
    provisional_order: BTreeMap<usize, Task>,
    /// What became of results, in order: a plan is replayed by the same steps.
    steps: Vec<Step>,
}

/// A result that counts for now, and may prove false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provisional {
    pub(crate) task: Task,
    pub(crate) blob: BlobRef,
    pub(crate) node: NodeId,
    /// Its place among all that became of results: what it was made of has an earlier one.
    step: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Accepted(Task, BlobRef, Certainty),
    Confirmed(Task),
    Revoked(Task),
    Lost(Reference),
}

/// The plan of a job as far as its log goes.
#[derive(Debug, Clone)]
pub struct Replayed<P> {
    /// The plan, in which nothing runs.
    pub plan: P,
    /// Results that the plan has no place for any more. They are made again if they are needed.
    pub refused: Vec<(Task, PlanError)>,
}

impl<S> Deref for JobState<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.script
    }
}

impl<S: Script> JobState<S> {
    /// The state of a job that was just asked for.
    pub fn new(script: S) -> Self {
        Self {
            script,
            incarnation: Incarnation::default(),
            accepted: BTreeMap::new(),
            receipts_by_node: BTreeMap::new(),
            makers: BTreeMap::new(),
            provisional: BTreeMap::new(),
            provisional_order: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// When `event` can't follow: the log was not written by this code, or is damaged.
    pub fn apply(&mut self, event: &JobEvent<S::Event>) -> Result<(), String> {
        match event {
            JobEvent::ClientStarted { incarnation } => {
                if *incarnation <= self.incarnation {
                    return Err(format!("incarnation {incarnation} follows {}", self.incarnation));
                }
                self.incarnation = *incarnation;
            }
            JobEvent::ResultAccepted { task, blob, node, is_provisional } => {
                if self.script.expected(*task).is_none() {
                    return Err(format!("{task} is accepted before what it proves is known"));
                }
                self.accept(*task, *blob, *node, *is_provisional);
            }
            JobEvent::ResultConfirmed { task } => {
                if let Some(Provisional { node, .. }) = self.take_provisional(*task) {
                    *self.receipts_by_node.entry(node).or_default() += 1;
                    self.steps.push(Step::Confirmed(*task));
                }
            }
            JobEvent::ResultRevoked { task } => {
                self.take_provisional(*task);
                if let Some(blob) = self.accepted.remove(task) {
                    self.makers.remove(&blob.reference);
                }
                self.steps.push(Step::Revoked(*task));
            }
            JobEvent::ResultLost { blob } => {
                if let Some(task) = self.makers.remove(blob) {
                    self.accepted.remove(&task);
                    self.take_provisional(task);
                }
                self.steps.push(Step::Lost(*blob));
            }
            JobEvent::Restarted { .. } => {
                self.accepted.clear();
                self.receipts_by_node.clear();
                self.makers.clear();
                self.provisional.clear();
                self.provisional_order.clear();
                self.steps.clear();
            }
            JobEvent::Failed { .. } | JobEvent::Cancelled | JobEvent::Own(_) => {}
        }
        self.script.apply(event)
    }

    /// What may still prove false has proved nothing of its maker.
    fn accept(&mut self, task: Task, blob: BlobRef, node: NodeId, is_provisional: bool) {
        self.accepted.insert(task, blob);
        self.makers.insert(blob.reference, task);
        self.take_provisional(task);
        if is_provisional {
            let step = self.steps.len();
            self.provisional.insert(task, Provisional { task, blob, node, step });
            self.provisional_order.insert(step, task);
            self.steps.push(Step::Accepted(task, blob, Certainty::Provisional));
        } else {
            *self.receipts_by_node.entry(node).or_default() += 1;
            self.steps.push(Step::Accepted(task, blob, Certainty::Final));
        }
    }

    fn take_provisional(&mut self, task: Task) -> Option<Provisional> {
        let taken = self.provisional.remove(&task)?;
        self.provisional_order.remove(&taken.step);
        Some(taken)
    }

    /// How many results count for now only, those included that fell with another and have not been met since by
    /// [`Self::oldest_provisional`].
    pub(crate) fn provisional_count(&self) -> usize {
        self.provisional.len()
    }

    /// The results that count for now only, so many at most, the oldest first. What it meets that has fallen with what it was
    /// made of is forgotten: the log does not name each.
    pub(crate) fn oldest_provisional(
        &mut self,
        plan: &S::Plan,
        count_max: usize,
    ) -> Vec<Provisional> {
        let (mut oldest, mut fallen) = (Vec::new(), Vec::new());
        for task in self.provisional_order.values() {
            if oldest.len() == count_max {
                break;
            }
            match self.provisional.get(task).filter(|_| plan.is_accepted(*task)) {
                Some(result) => oldest.push(*result),
                None => fallen.push(*task),
            }
        }
        for task in fallen {
            self.take_provisional(task);
        }
        oldest
    }

    /// Whether this very result still counts for now.
    pub(crate) fn has(&self, result: &Provisional) -> bool {
        self.provisional.get(&result.task) == Some(result)
    }

    /// The task that this blob is the result of.
    pub fn maker(&self, blob: Reference) -> Option<Task> {
        self.makers.get(&blob).copied()
    }

    /// The plan as far as the log goes. What of its blobs is still there, it does not know.
    ///
    /// # Errors
    /// When the log's own inputs contradict each other.
    pub fn replay(&self) -> Result<Replayed<S::Plan>, PlanError> {
        let mut plan = self.script.plan();
        let mut refused = Vec::new();
        self.tell(&mut plan)?;
        for step in &self.steps {
            match *step {
                Step::Accepted(task, blob, certainty) => {
                    if let Err(error) = plan.restore(task, blob, certainty) {
                        refused.push((task, error));
                    }
                }
                // What the plan never took, it can't take back.
                Step::Confirmed(task) => drop(plan.confirm(task)),
                Step::Revoked(task) => drop(plan.revoke(task)),
                Step::Lost(blob) => drop(plan.lost(blob)),
            }
            self.tell(&mut plan)?;
        }
        Ok(Replayed { plan, refused })
    }

    fn tell(&self, plan: &mut S::Plan) -> Result<(), PlanError> {
        while let Some(input) = self.input_for(plan) {
            plan.input(input)?;
        }
        Ok(())
    }

    /// What the plan is to be told next; nothing once it is complete.
    pub(crate) fn input_for(&self, plan: &S::Plan) -> Option<InputOf<S>> {
        if plan.outcome().is_some() { None } else { self.script.next_input(plan) }
    }
}
