//! The task graph of one job.
//!
//! **Leaves** exist from the moment their segment does and are ready at once. **Joins are bound late:**
//! which two neighbouring receipts are joined is decided when a worker is there to join them, not when
//! they become ready. Pairing on arrival fixes pairs that leave a receipt without a partner (of three
//! neighbours, the third waits for a whole further level), and on few workers that costs a whole task's
//! time: five equal leaves take two workers six steps when paired on arrival, five when paired on
//! demand. It also makes a lost join cheap: it dissolves, and its inputs pair anew with whatever is
//! there by then.
//!
//! **Leaves go before joins** (Hu's algorithm: in an in-tree of equal tasks, taking the ready task that
//! is farthest from the root is optimal, and leaves are the farthest). A worker that can hold none of
//! the ready leaves may take a join all the same.
//!
//! Accepted receipts only ever merge. So a late join fits the plan either if its two inputs still stand
//! in the frontier side by side, or not at all: no other union of receipts can equal its range.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, Po2, SegmentRange, TaskId, TaskKind};
use thiserror::Error;

use crate::{
    frontier::{Frontier, Piece},
    task::{Accepted, Outcome, Progress, TaskSpec},
};

/// What a job's receipts become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanShape {
    /// Each segment proved; nothing joined.
    Composite,
    /// Each segment proved and lifted; all joined to one.
    Succinct,
}

impl PlanShape {
    /// The kind of the tasks that prove segments.
    pub fn leaf_kind(self) -> TaskKind {
        match self {
            Self::Composite => TaskKind::Prove,
            Self::Succinct => TaskKind::Lift,
        }
    }

    /// The task that proves the segment `index`.
    pub fn leaf(self, index: u32) -> TaskId {
        match self {
            Self::Composite => TaskId::Prove(index),
            Self::Succinct => TaskId::Lift(index),
        }
    }
}

/// A call that the plan cannot follow; it changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Segments must come in order, each once.
    #[error(
        "segment {actual} came where segment {expected} was due: segments are planned in order"
    )]
    SegmentOutOfOrder {
        /// The index that was due.
        expected: u32,
        /// The index that came.
        actual: u32,
    },
    /// A segment came after the end.
    #[error("segment {index} came after the execution had ended with {segment_count} segments")]
    ExecutionEnded {
        /// The index that came.
        index: u32,
        /// How many segments the execution had.
        segment_count: u32,
    },
    /// An execution has at least one segment.
    #[error("the execution ended without a segment: nothing to prove")]
    NoSegments,
    /// The task is none of this plan's.
    #[error("{task} is no task of this {leaf_kind} job of {segment_count} segments so far")]
    UnknownTask {
        /// The task as named.
        task: TaskId,
        /// The kind of the plan's leaves.
        leaf_kind: TaskKind,
        /// How many segments are known.
        segment_count: u32,
    },
    /// The task cannot be started: it runs, is accepted, or lacks an input.
    #[error("{task} is not ready: it runs, is accepted, or lacks an input")]
    NotReady {
        /// The task as named.
        task: TaskId,
    },
    /// The task was not started, or is accepted or released already.
    #[error("{task} is not running")]
    NotRunning {
        /// The task as named.
        task: TaskId,
    },
    /// Receipts are restored before anything is started.
    #[error("{task} cannot be restored while {running_count} tasks run: restore first, then start")]
    RestoredTooLate {
        /// The task as named.
        task: TaskId,
        /// How many tasks run.
        running_count: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeafState {
    Ready,
    Running,
    Accepted,
}

#[derive(Debug, Clone)]
struct Leaf {
    po2: Po2,
    segment: BlobRef,
    state: LeafState,
}

/// The growing task graph of one job.
#[derive(Debug, Clone)]
pub struct Plan {
    shape: PlanShape,
    leaves: Vec<Leaf>,
    execution_ended: bool,
    /// Indices of ready leaves. By po2, since that decides who can hold them; no set is empty.
    ready_leaves: BTreeMap<Po2, BTreeSet<u32>>,
    running_leaf_count: u32,
    accepted_leaf_count: u32,
    frontier: Frontier,
    /// The joins that run, with their inputs, which are not in the frontier.
    running_joins: BTreeMap<SegmentRange, (Piece, Piece)>,
    /// Every range that a join was accepted for, so that a second receipt is told from a useless one.
    accepted_joins: BTreeSet<SegmentRange>,
}

impl Plan {
    /// The plan of a job of which no segment is known yet.
    pub fn new(shape: PlanShape) -> Self {
        Self {
            shape,
            leaves: Vec::new(),
            execution_ended: false,
            ready_leaves: BTreeMap::new(),
            running_leaf_count: 0,
            accepted_leaf_count: 0,
            frontier: Frontier::default(),
            running_joins: BTreeMap::new(),
            accepted_joins: BTreeSet::new(),
        }
    }

    /// What the job's receipts become.
    pub fn shape(&self) -> PlanShape {
        self.shape
    }

    /// Adds the next segment. Its leaf is ready at once.
    pub fn add_segment(&mut self, index: u32, po2: Po2, segment: BlobRef) -> Result<(), PlanError> {
        let expected = self.segment_count();
        if self.execution_ended {
            return Err(PlanError::ExecutionEnded { index, segment_count: expected });
        }
        // The index `u32::MAX` would have no range: its end does not fit.
        if index != expected || index == u32::MAX {
            return Err(PlanError::SegmentOutOfOrder { expected, actual: index });
        }
        self.leaves.push(Leaf { po2, segment, state: LeafState::Ready });
        self.ready_leaves.entry(po2).or_default().insert(index);
        Ok(())
    }

    /// Marks the number of segments as final. Saying it twice is harmless.
    pub fn end_execution(&mut self) -> Result<(), PlanError> {
        if self.leaves.is_empty() {
            return Err(PlanError::NoSegments);
        }
        self.execution_ended = true;
        Ok(())
    }

    /// The task that a worker should take, given which it can hold: the ready leaf of the largest po2, or
    /// the best join where no leaf fits.
    pub fn next_task(&self, fits: impl Fn(TaskKind, Option<Po2>) -> bool) -> Option<TaskSpec> {
        let leaf_kind = self.shape.leaf_kind();
        let po2 = self.ready_po2s().find(|po2| fits(leaf_kind, Some(*po2)));
        po2.and_then(|po2| self.next_leaf(po2))
            .or_else(|| fits(TaskKind::Join, None).then(|| self.next_join())?)
    }

    /// The po2s of which a leaf is ready, largest first.
    pub fn ready_po2s(&self) -> impl Iterator<Item = Po2> + '_ {
        self.ready_leaves.keys().rev().copied()
    }

    /// Whether [`Self::next_leaf`] has an answer for a po2, or [`Self::next_join`] for `None`.
    pub fn is_ready(&self, po2: Option<Po2>) -> bool {
        match po2 {
            Some(po2) => self.ready_leaves.contains_key(&po2),
            None => self.shape == PlanShape::Succinct && self.frontier.has_pair(),
        }
    }

    /// The first ready leaf of this po2.
    pub fn next_leaf(&self, po2: Po2) -> Option<TaskSpec> {
        let index = *self.ready_leaves.get(&po2)?.first()?;
        Some(self.leaf_spec(index))
    }

    /// The join to start next: of all that leave ⌊k/2⌋ disjoint joins possible in a run of k neighbours,
    /// the one with the fewest segments, ties to the left.
    pub fn next_join(&self) -> Option<TaskSpec> {
        match self.shape {
            PlanShape::Composite => None,
            PlanShape::Succinct => self.frontier.best_pair().map(join_spec),
        }
    }

    /// Starts a ready task: a leaf, or a join whose two inputs stand in the frontier.
    pub fn start(&mut self, task: TaskId) -> Result<TaskSpec, PlanError> {
        self.check_known(task)?;
        match task {
            TaskId::Prove(index) | TaskId::Lift(index) => {
                if self.leaves[index as usize].state != LeafState::Ready {
                    return Err(PlanError::NotReady { task });
                }
                self.set_leaf_state(index, LeafState::Running);
                Ok(self.leaf_spec(index))
            }
            TaskId::Join(range) => {
                let pair = self.take_pair(range).ok_or(PlanError::NotReady { task })?;
                self.running_joins.insert(range, pair);
                Ok(join_spec(pair))
            }
        }
    }

    /// Gives a running task up: a leaf is ready again; a join dissolves and its inputs may pair anew.
    pub fn release(&mut self, task: TaskId) -> Result<(), PlanError> {
        self.check_known(task)?;
        match task {
            TaskId::Prove(index) | TaskId::Lift(index) => {
                if self.leaves[index as usize].state != LeafState::Running {
                    return Err(PlanError::NotRunning { task });
                }
                self.set_leaf_state(index, LeafState::Ready);
            }
            TaskId::Join(range) => {
                let (left, right) =
                    self.running_joins.remove(&range).ok_or(PlanError::NotRunning { task })?;
                self.frontier.insert(left);
                self.frontier.insert(right);
            }
        }
        Ok(())
    }

    /// Takes a verified receipt as the result of `task`, whether the task runs, was released meanwhile or
    /// was never started.
    pub fn accept(&mut self, task: TaskId, receipt: BlobRef) -> Result<Accepted, PlanError> {
        self.check_known(task)?;
        match task {
            TaskId::Prove(index) | TaskId::Lift(index) => {
                if self.leaves[index as usize].state == LeafState::Accepted {
                    return Ok(Accepted::AlreadyAccepted);
                }
                self.set_leaf_state(index, LeafState::Accepted);
            }
            TaskId::Join(range) => {
                if self.accepted_joins.contains(&range) {
                    return Ok(Accepted::AlreadyAccepted);
                }
                if self.running_joins.remove(&range).is_none() && self.take_pair(range).is_none() {
                    return Ok(Accepted::Superseded);
                }
                self.accepted_joins.insert(range);
            }
        }
        self.frontier.insert(Piece { range: task.range(), blob: receipt });
        Ok(Accepted::New)
    }

    /// Replays a receipt that an earlier run of the client accepted. The order does not matter: a join may
    /// come before what it was made of, which is then covered by it and never asked for again.
    pub fn restore(&mut self, task: TaskId, receipt: BlobRef) -> Result<Accepted, PlanError> {
        self.check_known(task)?;
        let running_count = self.running_count();
        if running_count > 0 {
            return Err(PlanError::RestoredTooLate { task, running_count });
        }
        let TaskId::Join(range) = task else { return self.accept(task, receipt) };
        if self.accepted_joins.contains(&range) {
            return Ok(Accepted::AlreadyAccepted);
        }
        let covered: Vec<Piece> = self.frontier.overlapping(range).collect();
        if covered.iter().any(|piece| !range.contains(piece.range)) {
            return Ok(Accepted::Superseded);
        }
        for piece in covered {
            self.frontier.remove(piece.range.start());
        }
        for index in range.start()..range.end() {
            self.set_leaf_state(index, LeafState::Accepted);
        }
        self.accepted_joins.insert(range);
        self.frontier.insert(Piece { range, blob: receipt });
        Ok(Accepted::New)
    }

    /// Whether a receipt of the task was accepted, or its segment is covered by one that was restored.
    pub fn is_accepted(&self, task: TaskId) -> bool {
        match task {
            TaskId::Prove(index) | TaskId::Lift(index) => self
                .leaves
                .get(index as usize)
                .is_some_and(|leaf| leaf.state == LeafState::Accepted),
            TaskId::Join(range) => self.accepted_joins.contains(&range),
        }
    }

    /// The receipts to deliver, once the execution has ended and all is proved.
    pub fn outcome(&self) -> Option<Outcome> {
        if !self.execution_ended || self.accepted_leaf_count < self.segment_count() {
            return None;
        }
        match self.shape {
            PlanShape::Composite => {
                Some(Outcome::Composite(self.frontier.iter().map(|piece| piece.blob).collect()))
            }
            PlanShape::Succinct => {
                let whole = SegmentRange::new(0, self.segment_count())?;
                self.frontier.exactly(whole).map(|piece| Outcome::Succinct(piece.blob))
            }
        }
    }

    /// How far the plan has come.
    pub fn progress(&self) -> Progress {
        let (joins_accepted, joins_total) = match self.shape {
            PlanShape::Composite => (0, 0),
            PlanShape::Succinct => {
                // Each accepted join makes one piece of two.
                let piece_count = self.frontier.len() + 2 * self.running_joins.len();
                let joins_accepted = self.accepted_leaf_count - piece_count as u32;
                (joins_accepted, self.segment_count().saturating_sub(1))
            }
        };
        Progress {
            segments_known: self.segment_count(),
            execution_ended: self.execution_ended,
            leaves_accepted: self.accepted_leaf_count,
            joins_accepted,
            joins_total,
            running: self.running_count(),
        }
    }

    /// The segments that are still to be proved, with their po2s, in order.
    pub fn unproved_segments(&self) -> impl Iterator<Item = (u32, Po2)> + '_ {
        self.leaves
            .iter()
            .zip(0..)
            .filter(|(leaf, _)| leaf.state != LeafState::Accepted)
            .map(|(leaf, index)| (index, leaf.po2))
    }

    /// The blobs that may still be read: segments to prove, and receipts to join or deliver. Any other
    /// blob of the job can go.
    pub fn live_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let segments = self.leaves.iter().filter(|leaf| leaf.state != LeafState::Accepted);
        let joining = self.running_joins.values().flat_map(|(left, right)| [left.blob, right.blob]);
        segments
            .map(|leaf| leaf.segment)
            .chain(self.frontier.iter().map(|piece| piece.blob))
            .chain(joining)
    }

    fn segment_count(&self) -> u32 {
        // `add_segment` refuses the index u32::MAX, so the count fits.
        self.leaves.len() as u32
    }

    fn running_count(&self) -> u32 {
        self.running_leaf_count + self.running_joins.len() as u32
    }

    fn check_known(&self, task: TaskId) -> Result<(), PlanError> {
        let segment_count = self.segment_count();
        let is_known = match task {
            TaskId::Prove(index) | TaskId::Lift(index) => {
                task == self.shape.leaf(index) && index < segment_count
            }
            TaskId::Join(range) => {
                self.shape == PlanShape::Succinct
                    && range.segment_count() > 1
                    && range.end() <= segment_count
            }
        };
        if is_known {
            return Ok(());
        }
        Err(PlanError::UnknownTask { task, leaf_kind: self.shape.leaf_kind(), segment_count })
    }

    fn leaf_spec(&self, index: u32) -> TaskSpec {
        let leaf = &self.leaves[index as usize];
        TaskSpec {
            id: self.shape.leaf(index),
            po2: Some(leaf.po2),
            inputs: vec![leaf.segment],
            split: None,
        }
    }

    fn take_pair(&mut self, range: SegmentRange) -> Option<(Piece, Piece)> {
        let pair = self.frontier.pair(range)?;
        self.frontier.remove(pair.0.range.start());
        self.frontier.remove(pair.1.range.start());
        Some(pair)
    }

    /// Moves a leaf from one state's books to the other's.
    fn set_leaf_state(&mut self, index: u32, state: LeafState) {
        let leaf = &mut self.leaves[index as usize];
        let po2 = leaf.po2;
        let before = std::mem::replace(&mut leaf.state, state);
        if before == state {
            return;
        }
        match before {
            LeafState::Ready => {
                if let Some(indices) = self.ready_leaves.get_mut(&po2) {
                    indices.remove(&index);
                    if indices.is_empty() {
                        self.ready_leaves.remove(&po2);
                    }
                }
            }
            LeafState::Running => self.running_leaf_count -= 1,
            LeafState::Accepted => self.accepted_leaf_count -= 1,
        }
        match state {
            LeafState::Ready => {
                self.ready_leaves.entry(po2).or_default().insert(index);
            }
            LeafState::Running => self.running_leaf_count += 1,
            LeafState::Accepted => self.accepted_leaf_count += 1,
        }
    }
}

fn join_spec((left, right): (Piece, Piece)) -> TaskSpec {
    let range = left.range.join(right.range).expect("a pair of the frontier is adjacent");
    TaskSpec {
        id: TaskId::Join(range),
        po2: None,
        inputs: vec![left.blob, right.blob],
        split: Some(left.range.end()),
    }
}
