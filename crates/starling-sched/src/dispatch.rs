//! Which of several jobs a node works for.
//!
//! A node asks its client for work, not a job. A [`Dispatcher`] hands each request to one job after the other: the one
//! whose turn it is first. A job that has nothing for the node now keeps the request open and passes it on, so that in
//! the end it is open with all of them, and the first that gets something takes it; from the others it is withdrawn.
//! Jobs decide by themselves, so two may take one request at the same time: the second is told so, and keeps its task.
//!
//! Whose turn it is:
//! - of jobs with a deadline that can still be kept, the nearest;
//! - but one part in four of the work goes to the others while they have some, so that nobody starves;
//! - among these, who has been granted the least work for its weight. A job that had nothing to grant meanwhile claims
//!   nothing for that time, nor does a new one.
//!
//! It knows no task, no lease and no connection. An event costs O(jobs); one of a job that comes or goes, O(nodes) more.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{JobId, Millis, NodeId};

/// The largest weight of a job. A thousand times another's share is a way to say "first".
pub const WEIGHT_MAX: u32 = 1000;

/// Work at weight one is counted in this many units a millisecond, so that dividing by a weight loses little.
const UNITS_PER_MS: u64 = 1 << 16;

/// A job with a deadline gets so many parts of the work for each that others get.
const URGENT_PARTS: u64 = 3;

/// How far the others' part may lag behind before it is their turn: about a large segment, so that turns are of whole
/// tasks.
const URGENT_LAG: Millis = Millis(30_000);

/// What a job may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Its share of the work against that of others: from 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// When it should be done; from then on it is a job like others.
    pub deadline: Option<Millis>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { weight: Self::WEIGHT_USUAL, deadline: None }
    }
}

impl Terms {
    /// The weight of a job that says nothing: there is room for a tenth of it, and for ten times as much.
    pub const WEIGHT_USUAL: u32 = 10;
}

/// Something for the shell to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchAction {
    /// Tell the job that the node asks for `count` leases more, and answer with [`Dispatcher::answered`] once it has
    /// done with them what it can do now.
    Offer {
        /// The node.
        node: NodeId,
        /// The job.
        job: JobId,
        /// How many.
        count: u32,
    },
    /// Tell the job that the node asks for none any more.
    Withdraw {
        /// The node.
        node: NodeId,
        /// The job.
        job: JobId,
    },
}

/// Another job was quicker: the node gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken;

/// Hands requests for work to jobs.
#[derive(Debug, Clone, Default)]
pub struct Dispatcher {
    jobs: BTreeMap<JobId, Job>,
    nodes: BTreeMap<NodeId, Node>,
    /// The virtual time: the tag of the last job that had its turn.
    time: u64,
    /// What is owed to jobs that are not urgent.
    owed: Millis,
    now: Millis,
    actions: Vec<DispatchAction>,
}

#[derive(Debug, Clone)]
struct Job {
    terms: Terms,
    /// The work granted so far, divided by the weight; whose is least has its turn.
    tag: u64,
    /// Whether it had nothing for some node since it was granted something.
    was_idle: bool,
}

#[derive(Debug, Clone, Default)]
struct Node {
    slots: u32,
    /// The jobs that it can work for.
    jobs: BTreeSet<JobId>,
    /// Requests that no job has taken.
    open: u32,
    /// Whose answer is awaited.
    asked: Option<JobId>,
    /// How many of the open requests each job knows of.
    held: BTreeMap<JobId, u32>,
    /// The jobs that had nothing for it.
    passed: BTreeSet<JobId>,
}

impl Dispatcher {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// There is a job more. It has to be introduced to nodes.
    pub fn open(&mut self, job: JobId, terms: Terms) {
        let terms = Terms { weight: terms.weight.clamp(1, WEIGHT_MAX), ..terms };
        self.jobs.insert(job, Job { terms, tag: self.time, was_idle: true });
    }

    /// The job is over.
    pub fn close(&mut self, now: Millis, job: JobId) -> Vec<DispatchAction> {
        self.jobs.remove(&job);
        self.for_each_node(now, |node| {
            node.forget(job);
            node.jobs.remove(&job);
        })
    }

    /// A node connected, anew perhaps: its earlier requests are void.
    pub fn join(&mut self, node: NodeId, slots: u32) {
        self.nodes.insert(node, Node { slots: slots.max(1), ..Node::default() });
    }

    /// The node is gone.
    pub fn leave(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// The job has been told of the node, and of none of its requests.
    pub fn introduce(&mut self, now: Millis, node: NodeId, job: JobId) -> Vec<DispatchAction> {
        self.now = self.now.max(now);
        if self.jobs.contains_key(&job)
            && let Some(state) = self.nodes.get_mut(&node)
        {
            state.forget(job);
            state.jobs.insert(job);
            self.ask_next(node);
        }
        self.take()
    }

    /// The node asks for one lease more.
    pub fn work_requested(&mut self, now: Millis, node: NodeId) -> Vec<DispatchAction> {
        self.now = self.now.max(now);
        if let Some(state) = self.nodes.get_mut(&node) {
            state.open = state.open.saturating_add(1).min(state.slots);
            self.ask_next(node);
        }
        self.take()
    }

    /// The job has done with what it was offered what it can do now.
    pub fn answered(&mut self, now: Millis, node: NodeId, job: JobId) -> Vec<DispatchAction> {
        self.now = self.now.max(now);
        if let Some(state) = self.nodes.get_mut(&node)
            && state.asked == Some(job)
        {
            state.asked = None;
            if state.held.contains_key(&job) {
                state.passed.insert(job);
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.was_idle = true;
                }
            }
            self.ask_next(node);
        }
        self.take()
    }

    /// The job grants the node a task of `work`.
    ///
    /// # Errors
    /// [`Taken`] when the node has no request open any more: the task must not be sent.
    pub fn granted(
        &mut self,
        now: Millis,
        node: NodeId,
        job: JobId,
        work: Millis,
    ) -> Result<Vec<DispatchAction>, Taken> {
        self.now = self.now.max(now);
        let state = self.nodes.get_mut(&node).ok_or(Taken)?;
        // A job that holds more of the node's requests had nothing for those, and stands for them still.
        if let Some(held) = state.held.get_mut(&job) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&job);
            }
        }
        if !state.held.contains_key(&job) {
            state.passed.remove(&job);
        }
        state.open = state.open.checked_sub(1).ok_or(Taken)?;
        self.charge(job, work);
        self.withdraw(node);
        self.ask_next(node);
        Ok(self.take())
    }

    /// The job grants the node a task of `work` ahead, before it asks for one. A node that always has such a task never
    /// asks, so it may have one only where no other job could want it.
    ///
    /// # Errors
    /// [`Taken`] when there is another job that the node can work for: the task must not be sent.
    pub fn granted_ahead(&mut self, node: NodeId, job: JobId, work: Millis) -> Result<(), Taken> {
        let state = self.nodes.get(&node).ok_or(Taken)?;
        if state.jobs.iter().any(|other| *other != job) {
            return Err(Taken);
        }
        self.charge(job, work);
        Ok(())
    }

    /// Counts work that was granted.
    fn charge(&mut self, job: JobId, work: Millis) {
        let is_urgent = self.urgent(self.jobs.keys().copied()) == Some(job);
        let time = self.time;
        let Some(entry) = self.jobs.get_mut(&job) else { return };
        let tag = entry.turn(time);
        let units = work.0.max(1).saturating_mul(UNITS_PER_MS) / u64::from(entry.terms.weight);
        entry.tag = tag.saturating_add(units);
        entry.was_idle = false;
        if is_urgent {
            let owed = self.owed + Millis(work.0 / URGENT_PARTS);
            // What nobody was there to take is not owed for ever.
            self.owed = owed.min(URGENT_LAG + URGENT_LAG);
        } else {
            self.owed = self.owed.since(work);
            self.time = time.max(tag);
        }
    }

    /// Takes back what jobs hold beyond the node's open requests.
    fn withdraw(&mut self, node: NodeId) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        let open = state.open;
        let beyond: Vec<JobId> =
            state.held.iter().filter(|(_, held)| **held > open).map(|(job, _)| *job).collect();
        for job in beyond {
            state.held.remove(&job);
            self.actions.push(DispatchAction::Withdraw { node, job });
        }
        if open == 0 {
            state.passed.clear();
        }
    }

    /// Offers what is open to the next job; when all have passed, to all.
    fn ask_next(&mut self, node: NodeId) {
        let Some(state) = self.nodes.get(&node) else { return };
        if state.open == 0 || state.asked.is_some() {
            return;
        }
        let open = state.open;
        if let Some(job) = self.next(state.jobs.difference(&state.passed).copied()) {
            return self.offer(node, job, 1, true);
        }
        for job in state.passed.clone() {
            let held = self.nodes.get(&node).and_then(|state| state.held.get(&job)).copied();
            let count = open.saturating_sub(held.unwrap_or(0));
            if count > 0 {
                self.offer(node, job, count, false);
            }
        }
    }

    fn offer(&mut self, node: NodeId, job: JobId, count: u32, waits: bool) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        let held = state.held.entry(job).or_default();
        *held += count;
        debug_assert!(*held <= state.open, "a job stands for requests that there are");
        if waits {
            state.asked = Some(job);
        }
        self.actions.push(DispatchAction::Offer { node, job, count });
    }

    /// Whose turn it is among `jobs`.
    fn next(&self, jobs: impl Iterator<Item = JobId> + Clone) -> Option<JobId> {
        let urgent = self.urgent(jobs.clone());
        let others = jobs.filter(|job| Some(*job) != urgent);
        let fair = others.min_by_key(|job| self.jobs.get(job).map(|entry| entry.turn(self.time)));
        match (urgent, fair) {
            (Some(_), Some(fair)) if self.owed >= URGENT_LAG => Some(fair),
            (urgent, fair) => urgent.or(fair),
        }
    }

    /// The one of `jobs` with the nearest deadline that can still be kept.
    fn urgent(&self, jobs: impl Iterator<Item = JobId>) -> Option<JobId> {
        let deadlines = jobs.filter_map(|job| {
            let deadline = self.jobs.get(&job)?.terms.deadline?;
            (deadline > self.now).then_some((deadline, job))
        });
        deadlines.min().map(|(_, job)| job)
    }

    fn for_each_node(
        &mut self,
        now: Millis,
        mut change: impl FnMut(&mut Node),
    ) -> Vec<DispatchAction> {
        self.now = self.now.max(now);
        self.nodes.values_mut().for_each(&mut change);
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.ask_next(node);
        }
        self.take()
    }

    fn take(&mut self) -> Vec<DispatchAction> {
        std::mem::take(&mut self.actions)
    }
}

impl Job {
    /// What its turn is decided by: a job that was idle has no claim on the past.
    fn turn(&self, time: u64) -> u64 {
        if self.was_idle { self.tag.max(time) } else { self.tag }
    }
}

impl Node {
    /// The job knows of no request of the node.
    fn forget(&mut self, job: JobId) {
        self.held.remove(&job);
        self.passed.remove(&job);
        if self.asked == Some(job) {
            self.asked = None;
        }
    }
}
