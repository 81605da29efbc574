//! All plans under any order of accepting, giving up, taking back and losing blobs: what is read is always there, and the end
//! is the same.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::Index};
use starling_plan::{
    Accepted, Certainty, Class, Demand, MergesPlan, MergesShape, Order, Plan, PlanShape, Revoked,
    RoundTask, RoundsInput, RoundsPlan, TaskCost, TaskSpec, ZkvmPlan,
};
use starling_types::{BlobRef, IndexRange, KindCode, Po2, Reference, Task};

#[derive(Debug, Clone)]
enum Step {
    Ask,
    Finish(Index, bool),
    GiveUp(Index),
    Revoke(Index),
    Confirm(Index),
    Lose(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Ask),
        8 => (any::<Index>(), any::<bool>()).prop_map(|(which, sure)| Step::Finish(which, sure)),
        2 => any::<Index>().prop_map(Step::GiveUp),
        2 => any::<Index>().prop_map(Step::Revoke),
        2 => any::<Index>().prop_map(Step::Confirm),
        1 => any::<Index>().prop_map(Step::Lose),
    ]
}

/// The blob of a kind (zero: an input) and a range.
fn blob(kind: u32, range: IndexRange) -> BlobRef {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&kind.to_be_bytes());
    name[4..8].copy_from_slice(&range.start().to_be_bytes());
    name[8..12].copy_from_slice(&range.end().to_be_bytes());
    BlobRef { reference: Reference(name), size_bytes: 1 }
}

fn input(index: u32) -> BlobRef {
    blob(0, IndexRange::single(index))
}

fn is_input(blob: Reference) -> bool {
    blob.0[..4] == [0; 4]
}

/// A client that keeps no blob that its plan does not name.
struct Client<P: Plan> {
    plan: P,
    disk: BTreeSet<Reference>,
    running: Vec<TaskSpec>,
    accepted: Vec<Task>,
}

impl<P: Plan> Client<P> {
    fn new(plan: P) -> Self {
        let disk = plan.live_blobs().into_iter().map(|blob| blob.reference).collect();
        Self { plan, disk, running: vec![], accepted: vec![] }
    }

    fn sweep(&mut self) {
        let live: BTreeSet<_> =
            self.plan.live_blobs().into_iter().map(|blob| blob.reference).collect();
        self.disk.retain(|blob| live.contains(blob));
    }

    fn ask(&mut self) -> Result<(), TestCaseError> {
        let mut classes = (0..self.plan.demands().len() as u8).map(Class);
        let Some(spec) = classes.find_map(|class| self.plan.next(class)) else { return Ok(()) };
        for read in &spec.inputs {
            prop_assert!(self.disk.contains(&read.reference), "{} reads what is gone", spec.id);
        }
        prop_assert_eq!(&self.plan.start(spec.id).unwrap(), &spec);
        self.running.push(spec);
        Ok(())
    }

    fn finish(&mut self, which: usize, certainty: Certainty) {
        let spec = self.running.remove(which);
        let result = blob(spec.id.kind.0, spec.id.range);
        assert_eq!(self.plan.accept(spec.id, result, certainty), Ok(Accepted::New));
        self.disk.insert(result.reference);
        self.accepted.push(spec.id);
    }

    /// Follows what was taken back: what ran on it runs no more, what is gone is lost, inputs are made again.
    fn follow(&mut self, revoked: Revoked) {
        let mut all = vec![revoked];
        while let Some(Revoked { dissolved, reread }) = all.pop() {
            self.running.retain(|spec| !dissolved.contains(&spec.id));
            for blob in reread.into_iter().map(|blob| blob.reference) {
                if is_input(blob) {
                    self.disk.insert(blob);
                } else if !self.disk.contains(&blob) {
                    all.push(self.plan.lost(blob));
                }
            }
        }
        self.accepted.retain(|task| self.plan.is_accepted(*task));
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Ask => self.ask()?,
            Step::Finish(which, sure) if !self.running.is_empty() => {
                let certainty = if *sure { Certainty::Final } else { Certainty::Provisional };
                self.finish(which.index(self.running.len()), certainty);
            }
            Step::GiveUp(which) if !self.running.is_empty() => {
                let spec = self.running.remove(which.index(self.running.len()));
                self.plan.release(spec.id).unwrap();
            }
            Step::Revoke(which) if !self.accepted.is_empty() => {
                let task = *which.get(&self.accepted);
                if let Ok(revoked) = self.plan.revoke(task) {
                    self.follow(revoked);
                    prop_assert!(!self.plan.is_accepted(task), "{} proved false", task);
                }
            }
            Step::Confirm(which) if !self.accepted.is_empty() => {
                let _ = self.plan.confirm(*which.get(&self.accepted));
            }
            Step::Lose(which) if !self.disk.is_empty() => {
                let blobs: Vec<_> = self.disk.iter().copied().collect();
                let gone = *which.get(&blobs);
                self.disk.remove(&gone);
                let revoked = self.plan.lost(gone);
                self.follow(revoked);
                if is_input(gone) {
                    self.disk.insert(gone);
                    self.plan.found(gone);
                }
            }
            _ => {}
        }
        self.sweep();
        Ok(())
    }

    /// One worker that never fails does the rest.
    fn finish_all(&mut self) -> Result<(), TestCaseError> {
        for task in self.accepted.clone() {
            let _ = self.plan.confirm(task);
        }
        for _ in 0..10_000 {
            if self.plan.outcome().is_some() {
                return Ok(());
            }
            self.ask()?;
            if self.running.is_empty() {
                return Ok(());
            }
            self.finish(0, Certainty::Final);
            self.sweep();
        }
        Ok(())
    }
}

fn demand() -> Demand {
    Demand {
        kind: KindCode(1),
        name: "cell",
        cost: TaskCost::default(),
        po2: None,
        reads_results: false,
        order: Order::Leaves(0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn wide_merges_end_in_the_same_result_whatever_is_taken_back(
        count in 1u32..30, width in 2u32..9, steps in prop::collection::vec(step(), 0..200),
    ) {
        let cost = TaskCost::default();
        let shape = MergesShape { width, leaf: cost, merge: cost, finish: cost };
        let inputs: Vec<_> = (0..count).map(input).collect();
        let mut client = Client::new(MergesPlan::new(&shape, &inputs));
        for step in &steps {
            client.step(step)?;
        }
        client.finish_all()?;
        prop_assert_eq!(client.plan.outcome(), Some(blob(3, IndexRange::single(0))));
        prop_assert_eq!(client.plan.live_blobs(), [blob(3, IndexRange::single(0))]);
    }

    #[test]
    fn the_zkvms_plan_ends_in_the_same_receipt_whatever_is_taken_back(
        count in 1u32..30, steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut plan = ZkvmPlan::new(PlanShape::Succinct, |_, _| TaskCost::default());
        for index in 0..count {
            plan.add_segment(index, Po2::SMALLEST, input(index)).unwrap();
        }
        plan.end_execution(vec![]).unwrap();
        let mut client = Client::new(plan);
        for step in &steps {
            client.step(step)?;
        }
        client.finish_all()?;
        let whole = IndexRange::new(0, count).unwrap();
        let kind = if count == 1 { 2 } else { 3 };
        prop_assert_eq!(client.plan.live_blobs().collect::<Vec<_>>(), [blob(kind, whole)]);
    }

    #[test]
    fn rounds_are_named_anew_when_what_they_follow_from_is_taken_back(
        count in 1u32..10, steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut client = Client::new(RoundsPlan::new(vec![demand()]));
        let round = |_: &RoundsPlan| {
            let task = |index| RoundTask { class: Class(0), inputs: vec![input(index)] };
            RoundsInput::Round((0..count).map(task).collect())
        };
        for step in &steps {
            if client.plan.round_count() == 0 || client.plan.complete_round().is_some() {
                client.plan.input(round(&client.plan)).unwrap();
                client.disk.extend((0..count).map(|index| input(index).reference));
            }
            client.step(step)?;
        }
        while client.plan.round_count() < 3 || client.plan.complete_round().is_none() {
            if client.plan.round_count() == 0 || client.plan.complete_round().is_some() {
                client.plan.input(round(&client.plan)).unwrap();
                client.disk.extend((0..count).map(|index| input(index).reference));
            }
            client.finish_all()?;
        }
        client.plan.input(RoundsInput::End).unwrap();
        prop_assert_eq!(client.plan.outcome().unwrap().len(), count as usize);
        prop_assert_eq!(client.plan.live_blobs(), client.plan.outcome().unwrap());
    }
}
