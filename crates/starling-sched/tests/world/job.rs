//! What the made-up network proves, and how its blobs are named.

use starling_plan::{Assumed, Outcome, PlanShape, TaskClass, ZkvmPlan};
use starling_types::{BlobRef, IndexRange, Millis, Po2, Reference, TaskId};

use crate::common;

/// The receipt of a task is named by what it means; a lift and a keccak proof of one number differ.
pub fn receipt(task: TaskId, matter: u8) -> BlobRef {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&task.range().start().to_be_bytes());
    name[4..8].copy_from_slice(&task.range().end().to_be_bytes());
    name[8] = task.kind() as u8;
    name[31] = matter;
    BlobRef { reference: Reference(name), size_bytes: 1 }
}

/// A blob that the client made itself: of the `number`th thing of a `sort`.
pub fn made_here(sort: u8, number: u32) -> BlobRef {
    let mut name = [0xff; 32];
    name[..4].copy_from_slice(&number.to_be_bytes());
    name[4] = sort;
    BlobRef { reference: Reference(name), size_bytes: 1 }
}

/// What there is to prove.
#[derive(Debug, Clone, Default)]
pub struct Job {
    pub po2s: Vec<Po2>,
    pub keccak_po2s: Vec<Po2>,
    /// For each assumption, whether it is the keccak root; not without a keccak proof.
    pub assumes_keccak: Vec<bool>,
    pub counts_work: bool,
}

impl Job {
    pub fn plan(&self) -> ZkvmPlan {
        let plan = common::plan(PlanShape::Succinct);
        if self.counts_work { plan.counting_work() } else { plan }
    }

    pub fn assumed(&self) -> Vec<Assumed> {
        let source = |(number, is_keccak): (u32, &bool)| match is_keccak {
            true => Assumed::Keccak,
            false => Assumed::Given(made_here(2, number)),
        };
        (0..).zip(&self.assumes_keccak).map(source).collect()
    }

    /// What the job must end in.
    pub fn outcome(&self) -> Outcome {
        let whole = IndexRange::new(0, self.po2s.len() as u32).unwrap();
        let proved = match whole.count() {
            1 => TaskId::Lift(0),
            _ => TaskId::Join(whole),
        };
        let last = match self.assumes_keccak.len() {
            0 => proved,
            count => TaskId::Resolve(count as u32 - 1),
        };
        if self.counts_work {
            let work = Some(receipt(last, 0));
            return Outcome::Succinct { receipt: receipt(TaskId::Unwrap, 0), work };
        }
        Outcome::Succinct { receipt: receipt(last, 0), work: None }
    }

    /// All the work there can be.
    pub fn work(&self) -> Millis {
        let cost = |class: TaskClass, count: usize| {
            let work = common::cost(class.kind(PlanShape::Succinct), class.po2()).work;
            Millis(work.0 * count as u64)
        };
        let leaves = self.po2s.iter().map(|po2| cost(TaskClass::Leaf(*po2), 1));
        let keccaks = self.keccak_po2s.iter().map(|po2| cost(TaskClass::Keccak(*po2), 1));
        let inner = [
            cost(TaskClass::Join, self.po2s.len()),
            cost(TaskClass::Union, self.keccak_po2s.len()),
            cost(TaskClass::Resolve, self.assumes_keccak.len()),
            cost(TaskClass::Unwrap, 1),
        ];
        leaves.chain(keccaks).chain(inner).fold(Millis(0), |sum, work| sum + work)
    }

    /// How long the execution takes: a second for each segment and each keccak request.
    pub fn execution(&self) -> Millis {
        Millis((self.po2s.len() + self.keccak_po2s.len()) as u64 * 1000)
    }
}
