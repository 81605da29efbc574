//! Three made-up proof systems. A result is named by what it is of, so that a check only compares names.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use starling_job::{JobEvent, Script, Taken};
use starling_plan::{
    Assumed, Class, Demand, MergesPlan, MergesShape, NoInput, Order, Outcome, PlanShape, RoundTask,
    RoundsInput, RoundsPlan, TaskCost, ZkvmInput, ZkvmPlan,
};
use starling_types::{
    BlobRef, KindCode, MemoryBytes, Millis, Po2, Reference, Task, TaskId, TaskKind,
};

/// What the last byte of a result's name says: that it is false.
pub const FALSE: u8 = 1;

/// What any task takes.
pub const WORK: Millis = Millis(10_000);

fn cost() -> TaskCost {
    TaskCost { memory: MemoryBytes::from_mib(100), work: WORK }
}

pub fn po2() -> Po2 {
    Po2::SMALLEST
}

/// The result of a task; `salt` tells the results of different makers apart where a system's results differ.
pub fn result_of(task: Task, salt: u8, matter: u8) -> BlobRef {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&task.kind.0.to_be_bytes());
    name[4..8].copy_from_slice(&task.range.start().to_be_bytes());
    name[8..12].copy_from_slice(&task.range.end().to_be_bytes());
    name[30] = salt;
    name[31] = matter;
    BlobRef { reference: Reference(name), size_bytes: 250_000 }
}

/// Whether a result is false.
pub fn is_false(blob: BlobRef) -> bool {
    blob.reference.0[0] != 0xff && blob.reference.0[31] == FALSE
}

/// A blob of the client's own: the `number`th of a story.
pub fn made_here(story: u8, number: u32) -> BlobRef {
    let mut name = [0xff; 32];
    name[..4].copy_from_slice(&number.to_be_bytes());
    name[4] = story;
    BlobRef { reference: Reference(name), size_bytes: 1_000_000 }
}

/// A trouble of the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble(pub &'static str);

/// What is put out by no source.
const TROUBLE: Trouble = Trouble("that is not a piece");

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl starling_job::Trouble for Trouble {
    fn is_final(&self) -> bool {
        matches!(self.0, FAILED | LOST)
    }

    fn is_loss(&self) -> bool {
        self.0 == LOST
    }
}

/// A trouble with which the job itself has failed.
pub const FAILED: &str = "failed";

/// As [`FAILED`], since something of the job is gone.
pub const LOST: &str = "lost";

/// What a made-up system needs beside its script.
pub trait Fake: Script<Pin = BlobRef, Error = Trouble, Expected = Task> + Clone {
    /// Whether results of different nodes differ.
    const SALTED: bool = false;

    /// Whether results count for now only, until a group of them is checked.
    const PROVISIONAL: bool = false;

    /// The source's `number`th piece when it tells this story, and the blob that it stores.
    fn told(&self, story: u8, number: u32) -> Option<(Self::Piece, BlobRef)>;

    /// What is logged when all was put together.
    fn done() -> Self::Event;

    /// What the source's pieces in this log name.
    fn logged(&self, _log: &[JobEvent<Self::Event>]) -> Vec<BlobRef> {
        Vec::new()
    }

    /// Blobs that are there from the beginning.
    fn given(&self) -> Vec<BlobRef> {
        Vec::new()
    }
}

/// As the zkVM: segments out of an execution, one receipt over all, and a journal beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    count: u32,
    segments: Vec<BlobRef>,
    known: BTreeMap<Reference, u32>,
    journal: Option<BlobRef>,
    /// How much the execution assumes, of which receipts are given.
    assumed_count: u32,
}

/// What it logs, and what its source puts out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Piece {
    Segment { index: u32, blob: BlobRef },
    Ended { count: u32, journal: BlobRef },
    Done,
}

impl Segments {
    pub fn new(count: u32) -> Self {
        Self::assuming(count, 0)
    }

    pub fn assuming(count: u32, assumed_count: u32) -> Self {
        let (segments, known) = (Vec::new(), BTreeMap::new());
        Self { count, segments, known, journal: None, assumed_count }
    }

    /// The receipt of an assumption.
    fn assumption(index: u32) -> BlobRef {
        made_here(7, index)
    }
}

impl Script for Segments {
    type Plan = ZkvmPlan;
    type Event = Piece;
    type Piece = Piece;
    type Expected = Task;
    type Arguments = ();
    type Error = Trouble;
    type Pin = BlobRef;

    fn plan(&self) -> ZkvmPlan {
        ZkvmPlan::new(PlanShape::Succinct, |_, _| cost())
    }

    fn next_input(&self, plan: &ZkvmPlan) -> Option<ZkvmInput> {
        let counts = plan.counts();
        if let Some(blob) = self.segments.get(counts.segments_known as usize) {
            let index = counts.segments_known;
            return Some(ZkvmInput::Segment { index, po2: po2(), blob: *blob });
        }
        let has_news = self.journal.is_some() && !counts.execution_ended;
        let assumed = (0..self.assumed_count).map(|index| Assumed::Given(Self::assumption(index)));
        has_news.then(|| ZkvmInput::End { assumed: assumed.collect() })
    }

    fn apply(&mut self, event: &JobEvent<Piece>) -> Result<(), String> {
        match event {
            JobEvent::Own(Piece::Segment { index, blob }) => {
                if *index as usize != self.segments.len() {
                    return Err(format!("segment {index} follows {}", self.segments.len()));
                }
                self.known.insert(blob.reference, *index);
                self.segments.push(*blob);
            }
            JobEvent::Own(Piece::Ended { journal, .. }) => self.journal = Some(*journal),
            JobEvent::Own(Piece::Done) => {}
            JobEvent::Restarted { .. } => *self = Self::assuming(self.count, self.assumed_count),
            _ => {}
        }
        Ok(())
    }

    fn expected(&self, task: Task) -> Option<Task> {
        let known = match task.kind == TaskKind::Resolve.code() {
            true => self.assumed_count as usize,
            false => self.segments.len(),
        };
        (task.range.end() as usize <= known).then_some(task)
    }

    fn arguments(&self, _task: Task, _po2: Option<Po2>) {}

    fn needs_source(&self) -> bool {
        self.journal.is_none()
    }

    fn is_last(piece: &Piece) -> bool {
        matches!(piece, Piece::Ended { .. })
    }

    fn take(&self, piece: Piece) -> Result<Taken<Piece>, Trouble> {
        let known = match &piece {
            Piece::Segment { index, .. } => self.segments.get(*index as usize),
            Piece::Ended { count, .. } if (*count as usize) < self.segments.len() => {
                return Ok(Taken::Differs { reason: "it ends earlier".into() });
            }
            Piece::Ended { .. } => self.journal.as_ref(),
            Piece::Done => return Err(TROUBLE),
        };
        let (Piece::Segment { blob, .. } | Piece::Ended { journal: blob, .. }) = &piece else {
            return Err(TROUBLE);
        };
        Ok(match known {
            None => Taken::New(vec![piece]),
            Some(known) if known == blob => Taken::Again(vec![blob.reference]),
            Some(_) => Taken::Differs { reason: format!("{piece:?}") },
        })
    }

    fn is_of_source(&self, blob: Reference) -> bool {
        self.known.contains_key(&blob) || self.journal.is_some_and(|own| own.reference == blob)
    }

    fn kept_blobs(&self) -> Vec<BlobRef> {
        self.journal.into_iter().collect()
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        Vec::new()
    }
}

impl Fake for Segments {
    fn given(&self) -> Vec<BlobRef> {
        (0..self.assumed_count).map(Self::assumption).collect()
    }

    fn done() -> Piece {
        Piece::Done
    }

    fn told(&self, story: u8, number: u32) -> Option<(Piece, BlobRef)> {
        if number < self.count {
            let blob = made_here(story, number);
            return Some((Piece::Segment { index: number, blob }, blob));
        }
        let journal = made_here(story, u32::MAX);
        (number == self.count).then_some((Piece::Ended { count: self.count, journal }, journal))
    }

    fn logged(&self, log: &[JobEvent<Piece>]) -> Vec<BlobRef> {
        let named = log.iter().filter_map(|event| match event {
            JobEvent::Own(Piece::Segment { blob, .. }) => Some(*blob),
            _ => None,
        });
        named.collect()
    }
}

/// What the outcome of a [`Segments`] job must be.
pub fn proved(count: u32) -> Outcome {
    let whole = starling_types::IndexRange::new(0, count).unwrap();
    let task = if count == 1 { TaskId::Lift(0) } else { TaskId::Join(whole) };
    Outcome::Succinct { receipt: result_of(task.into(), 0, 0), work: None }
}

/// As a folding tree: leaves that are known at once, merges of up to three, a finish; no source. What is false shows in a group
/// only.
#[derive(Debug, Clone)]
pub struct Merges(pub u32);

impl Script for Merges {
    type Plan = MergesPlan;
    type Event = ();
    type Piece = ();
    type Expected = Task;
    type Arguments = Vec<u8>;
    type Error = Trouble;
    type Pin = BlobRef;

    const GROUP_RESULTS_MAX: usize = 4;

    fn plan(&self) -> MergesPlan {
        let shape = MergesShape { width: 3, leaf: cost(), merge: cost(), finish: cost() };
        MergesPlan::new(&shape, &self.given())
    }

    fn next_input(&self, _plan: &MergesPlan) -> Option<NoInput> {
        None
    }

    fn apply(&mut self, _event: &JobEvent<()>) -> Result<(), String> {
        Ok(())
    }

    fn expected(&self, task: Task) -> Option<Task> {
        Some(task)
    }

    fn arguments(&self, task: Task, _po2: Option<Po2>) -> Vec<u8> {
        vec![task.kind.0 as u8]
    }

    fn is_last((): &()) -> bool {
        true
    }

    fn take(&self, (): ()) -> Result<Taken<()>, Trouble> {
        Err(Trouble("there is no source"))
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        self.given()
    }
}

impl Fake for Merges {
    const PROVISIONAL: bool = true;

    fn done() {}

    fn told(&self, _story: u8, _number: u32) -> Option<((), BlobRef)> {
        None
    }

    fn given(&self) -> Vec<BlobRef> {
        (0..self.0).map(|index| made_here(0, index)).collect()
    }
}

/// As a transcript: each round's tasks read the results of the one before, which no two nodes make alike.
#[derive(Debug, Clone)]
pub struct Rounds {
    pub rounds: u32,
    pub width: u32,
}

impl Script for Rounds {
    type Plan = RoundsPlan;
    type Event = ();
    type Piece = ();
    type Expected = Task;
    type Arguments = ();
    type Error = Trouble;
    type Pin = BlobRef;

    fn plan(&self) -> RoundsPlan {
        RoundsPlan::new(vec![Demand {
            kind: KindCode(1),
            name: "column",
            cost: cost(),
            po2: None,
            reads_results: false,
            order: Order::Leaves(0),
        }])
    }

    /// The rounds follow from the results, and these are in the log: nothing else has to be.
    fn next_input(&self, plan: &RoundsPlan) -> Option<RoundsInput> {
        let inputs = match plan.round_count() {
            0 => self.given(),
            _ => plan.complete_round()?,
        };
        if plan.round_count() == self.rounds {
            return Some(RoundsInput::End);
        }
        let task = RoundTask { class: Class(0), inputs };
        Some(RoundsInput::Round(vec![task; self.width as usize]))
    }

    fn apply(&mut self, _event: &JobEvent<()>) -> Result<(), String> {
        Ok(())
    }

    fn expected(&self, task: Task) -> Option<Task> {
        Some(task)
    }

    fn arguments(&self, _task: Task, _po2: Option<Po2>) {}

    fn is_last((): &()) -> bool {
        true
    }

    fn take(&self, (): ()) -> Result<Taken<()>, Trouble> {
        Err(Trouble("there is no source"))
    }

    fn asked_blobs(&self) -> Vec<BlobRef> {
        self.given()
    }
}

impl Fake for Rounds {
    const SALTED: bool = true;

    fn done() {}

    fn given(&self) -> Vec<BlobRef> {
        vec![made_here(9, 0)]
    }

    fn told(&self, _story: u8, _number: u32) -> Option<((), BlobRef)> {
        None
    }
}
