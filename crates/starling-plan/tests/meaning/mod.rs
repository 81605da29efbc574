//! A fake prover: it computes what each receipt would mean, and proves nothing.
//!
//! It refuses what the recursion programs refuse, so a task with the wrong inputs is seen at once. Receipts
//! are named by the place of their meaning in a list.

use starling_plan::{Assumed, TaskSpec};
use starling_types::{BlobRef, Reference, TaskId};

/// A symbolic digest of an assumption: two are equal if the real ones are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// Of the given receipt of this number.
    Given(u32),
    /// Of the keccak proof of this number.
    Keccak(u32),
    /// Of a union; its two sides are sorted.
    Union(Box<Assumption>, Box<Assumption>),
}

impl Assumption {
    fn union(left: Self, right: Self) -> Self {
        let (least, most) = if left <= right { (left, right) } else { (right, left) };
        Self::Union(Box::new(least), Box::new(most))
    }
}

/// What a blob means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A segment, or a segment receipt to be lifted; and what it puts out to be assumed.
    Segment { index: u32, assumes: Vec<Assumption> },
    /// A request for a keccak proof.
    KeccakRequest(u32),
    /// A receipt of the segments `start..end`, given what it still assumes, head first.
    Claim { start: u32, end: u32, assumes: Vec<Assumption>, counts_work: bool },
    /// A receipt that an assumption holds.
    Holds(Assumption),
}

/// The root of the Merkle mountain range that a guest makes of its keccak proofs: it inserts them one by one,
/// merging peaks of one height, and folds the peaks from the left at the end.
pub fn keccak_root(leaf_count: u32) -> Option<Assumption> {
    let mut peaks: Vec<(u32, Assumption)> = Vec::new();
    for index in 0..leaf_count {
        let (mut height, mut new) = (0, Assumption::Keccak(index));
        while let Some((_, last)) = peaks.pop_if(|last| last.0 == height) {
            (height, new) = (height + 1, Assumption::union(last, new));
        }
        peaks.push((height, new));
    }
    peaks.into_iter().map(|(_, peak)| peak).reduce(Assumption::union)
}

/// The fake prover, and all blobs of one job.
#[derive(Debug, Clone)]
pub struct FakeProver {
    counts_work: bool,
    meanings: Vec<Meaning>,
}

impl FakeProver {
    pub fn new(counts_work: bool) -> Self {
        Self { counts_work, meanings: Vec::new() }
    }

    /// A blob of this meaning.
    pub fn blob(&mut self, meaning: Meaning) -> BlobRef {
        self.meanings.push(meaning);
        let mut name = [0; 32];
        name[..8].copy_from_slice(&(self.meanings.len() as u64).to_be_bytes());
        BlobRef { reference: Reference(name), size_bytes: 1 }
    }

    pub fn meaning(&self, blob: BlobRef) -> &Meaning {
        let place = u64::from_be_bytes(blob.reference.0[..8].try_into().unwrap());
        &self.meanings[place as usize - 1]
    }

    /// What the guest assumes, given where the receipts come from: the given ones are numbered by their place.
    pub fn assumed(&mut self, is_keccak: &[bool]) -> Vec<Assumed> {
        let source = |(place, is_keccak): (u32, &bool)| match is_keccak {
            true => Assumed::Keccak,
            false => Assumed::Given(self.blob(Meaning::Holds(Assumption::Given(place)))),
        };
        (0..).zip(is_keccak).map(source).collect()
    }

    /// The receipt of a task.
    pub fn prove(&mut self, task: &TaskSpec<TaskId>) -> BlobRef {
        let meaning = self.meaning_of_result(task);
        self.blob(meaning)
    }

    /// What the receipt of a task would mean.
    ///
    /// # Panics
    /// When the task cannot be made of its inputs.
    pub fn meaning_of_result(&self, spec: &TaskSpec<TaskId>) -> Meaning {
        use Meaning::{Claim, Holds, KeccakRequest, Segment};
        let task = spec.id;
        let inputs: Vec<&Meaning> = spec.inputs.iter().map(|blob| self.meaning(*blob)).collect();
        match (task, &inputs[..]) {
            (
                TaskId::Prove(task) | TaskId::Lift(task) | TaskId::LiftReceipt(task),
                [Segment { index, assumes }],
            ) => {
                assert_eq!(task, *index);
                let assumes = assumes.clone();
                Claim { start: task, end: task + 1, assumes, counts_work: self.counts_work }
            }
            (
                TaskId::Join(range),
                [
                    Claim { start, end: middle, assumes: of_left, .. },
                    Claim { start: right_start, end, assumes, counts_work },
                ],
            ) => {
                assert_eq!((middle, range.start(), range.end()), (right_start, *start, *end));
                assert!(of_left.is_empty(), "only the last segment puts something out");
                let assumes = assumes.clone();
                Claim { start: *start, end: *end, assumes, counts_work: *counts_work }
            }
            (TaskId::Keccak(task), [KeccakRequest(index)]) => {
                assert_eq!(task, *index);
                Holds(Assumption::Keccak(task))
            }
            (TaskId::Union(_), [Holds(left), Holds(right)]) => {
                Holds(Assumption::union(left.clone(), right.clone()))
            }
            (TaskId::Resolve(_), [Claim { start, end, assumes, counts_work }, Holds(first)]) => {
                assert_eq!(assumes.first(), Some(first), "{task} resolves the head of the list");
                let assumes = assumes[1..].to_vec();
                Claim { start: *start, end: *end, assumes, counts_work: *counts_work }
            }
            (TaskId::Unwrap, [Claim { start, end, assumes, counts_work: true }]) => {
                let assumes = assumes.clone();
                Claim { start: *start, end: *end, assumes, counts_work: false }
            }
            _ => panic!("{task} cannot be made of {inputs:?}"),
        }
    }
}
