//! The plan under any order of arrivals, completions, losses, duplicates and restarts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::Index};
use starling_plan::{Accepted, Outcome, Plan, PlanShape};
use starling_types::{BlobRef, Po2, Reference, SegmentRange, TaskId};

/// A receipt whose name tells the range that it covers, so that a wrong join is seen.
fn receipt(range: SegmentRange) -> BlobRef {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&range.start().to_be_bytes());
    name[4..8].copy_from_slice(&range.end().to_be_bytes());
    BlobRef { reference: Reference(name), size_bytes: 1 }
}

fn covered(blob: BlobRef) -> SegmentRange {
    let word = |at: usize| u32::from_be_bytes(blob.reference.0[at..at + 4].try_into().unwrap());
    SegmentRange::new(word(0), word(4)).unwrap()
}

fn segment(index: u32) -> BlobRef {
    BlobRef { reference: Reference([0xff; 32]), size_bytes: index.into() }
}

#[derive(Debug, Clone)]
enum Step {
    /// The execution goes on.
    Execute,
    /// A worker asks; it holds segments up to this po2.
    Ask(u32),
    /// One of the running tasks is done.
    Finish(Index),
    /// One of the running tasks is lost.
    Lose(Index),
    /// The result of a task that was lost, or done before, arrives.
    ArriveLate(Index),
    /// The client restarts and replays its log, shuffled by this.
    Restart(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Execute),
        8 => (13u32..=24).prop_map(Step::Ask),
        8 => any::<Index>().prop_map(Step::Finish),
        2 => any::<Index>().prop_map(Step::Lose),
        2 => any::<Index>().prop_map(Step::ArriveLate),
        1 => any::<u64>().prop_map(Step::Restart),
    ]
}

/// A client, as far as the plan sees one.
struct Client {
    po2s: Vec<Po2>,
    plan: Plan,
    known: u32,
    running: Vec<TaskId>,
    /// Everything ever started: results of these may come at any time.
    started: Vec<TaskId>,
    /// Everything accepted as new, in order.
    log: Vec<TaskId>,
}

impl Client {
    fn new(po2s: Vec<Po2>) -> Self {
        let plan = Plan::new(PlanShape::Succinct);
        Self { po2s, plan, known: 0, running: vec![], started: vec![], log: vec![] }
    }

    fn execute(&mut self) {
        if let Some(po2) = self.po2s.get(self.known as usize) {
            self.plan.add_segment(self.known, *po2, segment(self.known)).unwrap();
            self.known += 1;
            if self.known as usize == self.po2s.len() {
                self.plan.end_execution().unwrap();
            }
        }
    }

    fn ask(&mut self, po2_max: u32) -> Result<(), TestCaseError> {
        let fits = |_, po2: Option<Po2>| po2.is_none_or(|po2| po2.get() <= po2_max);
        let Some(task) = self.plan.next_task(fits) else { return Ok(()) };
        prop_assert!(!self.log.contains(&task.id), "{} was accepted before", task.id);
        prop_assert_eq!(&self.plan.start(task.id).unwrap(), &task);
        if let TaskId::Join(range) = task.id {
            let [left, right] = [task.inputs[0], task.inputs[1]].map(covered);
            prop_assert_eq!(left.join(right), Some(range), "a join is of neighbours");
            prop_assert_eq!(task.split, Some(left.end()));
        }
        self.running.push(task.id);
        self.started.push(task.id);
        Ok(())
    }

    fn accept(&mut self, task: TaskId) -> Result<(), TestCaseError> {
        let before = self.plan.progress();
        let accepted = self.plan.accept(task, receipt(task.range())).unwrap();
        let was_running = self.running.contains(&task);
        if accepted == Accepted::New {
            prop_assert!(!self.log.contains(&task), "{} was accepted twice", task);
            self.running.retain(|running| *running != task);
            self.log.push(task);
        } else {
            prop_assert!(!was_running, "{} was running, so it was needed", task);
            prop_assert_eq!(self.plan.progress(), before, "a useless result changes nothing");
        }
        Ok(())
    }

    /// A plan made anew from the segments and the log in any order.
    fn restart(&mut self, seed: u64) {
        let mut log = self.log.clone();
        log.sort_by_key(|task| {
            let name = u64::from(task.range().start()) << 32 | u64::from(task.range().end());
            name.wrapping_mul(seed | 1).rotate_left(23)
        });
        let known = std::mem::take(&mut self.known);
        self.plan = Plan::new(PlanShape::Succinct);
        (0..known).for_each(|_| self.execute());
        for task in log {
            self.plan.restore(task, receipt(task.range())).unwrap();
        }
        self.running.clear();
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let progress = self.plan.progress();
        let joins = self.log.iter().filter(|task| matches!(task, TaskId::Join(_))).count();
        prop_assert_eq!(progress.joins_accepted as usize, joins);
        prop_assert_eq!(progress.leaves_accepted as usize, self.log.len() - joins);
        prop_assert_eq!(progress.running as usize, self.running.len());
        // Live segments and receipts cover every known segment exactly once.
        let mut covers = BTreeSet::new();
        for blob in self.plan.live_blobs() {
            let range = match blob.reference.0[31] {
                0xff => SegmentRange::single(blob.size_bytes as u32),
                _ => covered(blob),
            };
            for index in range.start()..range.end() {
                prop_assert!(covers.insert(index), "segment {index} is covered twice");
            }
        }
        prop_assert_eq!(covers.len(), self.known as usize);
        Ok(())
    }

    fn run(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        for step in steps {
            match step {
                Step::Execute => self.execute(),
                Step::Ask(po2_max) => self.ask(*po2_max)?,
                Step::Finish(which) if !self.running.is_empty() => {
                    self.accept(*which.get(&self.running))?;
                }
                Step::Lose(which) if !self.running.is_empty() => {
                    let lost = self.running.remove(which.index(self.running.len()));
                    self.plan.release(lost).unwrap();
                }
                Step::ArriveLate(which) if !self.started.is_empty() => {
                    self.accept(*which.get(&self.started))?;
                }
                Step::Restart(seed) => self.restart(*seed),
                _ => {}
            }
            self.check()?;
        }
        Ok(())
    }

    /// One worker that never fails does the rest.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        while (self.known as usize) < self.po2s.len() {
            self.execute();
        }
        while self.plan.outcome().is_none() {
            self.ask(Po2::MAX)?;
            prop_assert!(!self.running.is_empty(), "nothing to do, and not done");
            self.accept(self.running[0])?;
        }
        self.check()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_history_ends_in_one_receipt_over_all_segments(
        po2s in proptest::collection::vec((13u32..=24).prop_map(|po2| Po2::try_from(po2).unwrap()), 1..40),
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        let segment_count = po2s.len() as u32;
        let mut client = Client::new(po2s);
        client.run(&steps)?;
        client.finish()?;
        let whole = SegmentRange::new(0, segment_count).unwrap();
        prop_assert_eq!(client.plan.outcome(), Some(Outcome::Succinct(receipt(whole))));
        let joins = client.log.iter().filter(|task| matches!(task, TaskId::Join(_))).count();
        prop_assert_eq!(joins as u32, segment_count - 1);
    }

    #[test]
    fn half_of_any_run_of_neighbours_can_be_joined_at_once(
        losses in proptest::collection::vec(any::<Index>(), 0..60),
        count in 1u32..80,
    ) {
        let po2 = Po2::try_from(18).unwrap();
        let mut client = Client::new(vec![po2; count as usize]);
        (0..count).for_each(|_| client.execute());
        for index in 0..count {
            client.plan.accept(TaskId::Lift(index), receipt(SegmentRange::single(index))).unwrap();
        }
        // Joins in any state: some accepted, others given up.
        for (nth, loss) in losses.iter().enumerate() {
            client.ask(Po2::MAX)?;
            if client.running.is_empty() { break }
            let task = client.running.remove(loss.index(client.running.len()));
            if nth % 2 == 0 { client.plan.release(task).unwrap() }
            else { client.plan.accept(task, receipt(task.range())).unwrap(); }
        }
        for task in client.running.drain(..) { client.plan.release(task).unwrap(); }
        let pieces = count - client.plan.progress().joins_accepted;
        let mut joins = 0;
        while let Some(task) = client.plan.next_join() {
            client.plan.start(task.id).unwrap();
            joins += 1;
        }
        prop_assert_eq!(joins, pieces / 2);
    }
}
