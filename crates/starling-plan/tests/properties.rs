//! The plan under any order of arrivals, completions, losses, duplicates and restarts.
#![allow(clippy::unwrap_used)]

mod meaning;

use std::collections::BTreeMap;

use meaning::{Assumption, FakeProver, Meaning, keccak_root};
use proptest::{prelude::*, sample::Index};
use starling_plan::{
    Accepted, Assumed, Outcome, PlanShape, TaskClass, TaskCost, TaskSpec, ZkvmPlan,
};
use starling_types::{BlobRef, Po2, Reference, TaskId, TaskKind};

/// Costs that these tests do not look at.
fn free(_kind: TaskKind, _po2: Option<Po2>) -> TaskCost {
    TaskCost::default()
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

/// What an execution puts out, in order.
#[derive(Debug, Clone, Copy)]
enum Emitted {
    Segment(Po2),
    Keccak(Po2),
}

/// A job, as its execution tells it.
#[derive(Debug, Clone)]
struct Job {
    shape: PlanShape,
    counts_work: bool,
    /// Ends with a segment, as every execution does.
    emitted: Vec<Emitted>,
    /// For each assumption, whether it is the keccak root.
    assumes_keccak: Vec<bool>,
}

fn job() -> impl Strategy<Value = Job> {
    let po2 = |min: u32, max| (min..=max).prop_map(|po2| Po2::try_from(po2).unwrap());
    let emitted =
        prop_oneof![po2(13, 24).prop_map(Emitted::Segment), po2(14, 18).prop_map(Emitted::Keccak),];
    let shapes = vec![PlanShape::Composite, PlanShape::Succinct, PlanShape::Compress];
    (
        prop::sample::select(shapes),
        any::<bool>(),
        prop::collection::vec(emitted, 0..40),
        po2(13, 24),
        prop::collection::vec(prop::bool::weighted(0.3), 0..5),
    )
        .prop_map(|(shape, counts_work, mut emitted, last, mut assumes_keccak)| {
            emitted.push(Emitted::Segment(last));
            if !emitted.iter().any(|emitted| matches!(emitted, Emitted::Keccak(_))) {
                assumes_keccak.fill(false);
            }
            Job { shape, counts_work, emitted, assumes_keccak }
        })
}

/// A client, as far as the plan sees one.
struct Client {
    job: Job,
    prover: FakeProver,
    /// The blobs of what the execution puts out.
    inputs: Vec<BlobRef>,
    assumed: Vec<Assumed>,
    /// What the last segment puts out to be assumed.
    assumes: Vec<Assumption>,
    plan: ZkvmPlan,
    /// How much of the execution the plan was told.
    emitted_count: usize,
    running: Vec<TaskSpec<TaskId>>,
    /// Everything ever started: results of these may come at any time.
    started: Vec<TaskSpec<TaskId>>,
    /// Everything accepted as new, in order.
    log: Vec<(TaskId, BlobRef)>,
}

impl Client {
    fn new(job: Job) -> Self {
        let mut prover = FakeProver::new(job.counts_work && job.shape.ends_in_one());
        let assumed = prover.assumed(&job.assumes_keccak);
        let (segment_count, keccak_count) = counts(&job.emitted);
        let assumes: Vec<_> = (0..)
            .zip(&assumed)
            .map(|(place, source)| match source {
                Assumed::Given(_) => Assumption::Given(place),
                Assumed::Keccak => keccak_root(keccak_count).unwrap(),
            })
            .collect();
        let (mut index, mut keccak_index) = (0, 0);
        let mut inputs = Vec::new();
        for emitted in &job.emitted {
            let next = match emitted {
                Emitted::Segment(_) => &mut index,
                Emitted::Keccak(_) => &mut keccak_index,
            };
            let number = *next;
            *next += 1;
            inputs.push(prover.blob(match emitted {
                Emitted::Keccak(_) => Meaning::KeccakRequest(number),
                Emitted::Segment(_) => {
                    let is_last = number + 1 == segment_count;
                    let assumes = if is_last { assumes.clone() } else { vec![] };
                    Meaning::Segment { index: number, assumes }
                }
            }));
        }
        Self {
            plan: empty_plan(&job),
            job,
            prover,
            inputs,
            assumed,
            assumes,
            emitted_count: 0,
            running: vec![],
            started: vec![],
            log: vec![],
        }
    }

    /// The numbers of segments and of keccak requests that the plan was told.
    fn known(&self) -> (u32, u32) {
        counts(&self.job.emitted[..self.emitted_count])
    }

    fn has_ended(&self) -> bool {
        self.emitted_count == self.job.emitted.len()
    }

    fn execute(&mut self) {
        let Some(emitted) = self.job.emitted.get(self.emitted_count) else { return };
        let (segment_count, keccak_count) = self.known();
        let input = self.inputs[self.emitted_count];
        match emitted {
            Emitted::Segment(po2) => self.plan.add_segment(segment_count, *po2, input).unwrap(),
            Emitted::Keccak(po2) => self.plan.add_keccak(keccak_count, *po2, input).unwrap(),
        }
        self.emitted_count += 1;
        if self.has_ended() {
            self.plan.end_execution(self.assumed.clone()).unwrap();
        }
    }

    /// The resolves that are accepted, or covered by one that was restored.
    fn resolved_count(&self) -> usize {
        let resolves = self.log.iter().filter_map(|(task, _)| match task {
            TaskId::Resolve(index) => Some(*index as usize + 1),
            _ => None,
        });
        resolves.max().unwrap_or(0)
    }

    fn needs_keccaks(&self) -> bool {
        !self.has_ended() || self.job.assumes_keccak[self.resolved_count()..].contains(&true)
    }

    fn is_accepted(&self, task: TaskId) -> bool {
        self.log.iter().any(|(accepted, _)| *accepted == task)
    }

    fn ask(&mut self, po2_max: u32) -> Result<(), TestCaseError> {
        let fits = |class: TaskClass| class.po2().is_none_or(|po2| po2.get() <= po2_max);
        let Some(task) = self.plan.next_task(fits) else { return Ok(()) };
        prop_assert!(!self.is_accepted(task.id), "{} was accepted before", task.id);
        if matches!(task.id, TaskId::Keccak(_) | TaskId::Union(_)) {
            prop_assert!(self.needs_keccaks(), "{} is not needed", task.id);
        }
        prop_assert_eq!(&self.plan.start(task.id).unwrap(), &task);
        // Proving panics if the inputs cannot be proved.
        self.prover.meaning_of_result(&task);
        self.running.push(task.clone());
        self.started.push(task);
        Ok(())
    }

    fn accept(&mut self, task: &TaskSpec<TaskId>) -> Result<(), TestCaseError> {
        let before = self.plan.counts();
        let receipt = self.prover.prove(task);
        let accepted = self.plan.accept(task.id, receipt).unwrap();
        let was_running = self.running.iter().any(|running| running.id == task.id);
        if accepted == Accepted::New {
            prop_assert!(!self.is_accepted(task.id), "{} was accepted twice", task.id);
            self.running.retain(|running| running.id != task.id);
            self.log.push((task.id, receipt));
        } else {
            prop_assert!(!was_running, "{} was running, so it was needed", task.id);
            prop_assert_eq!(self.plan.counts(), before, "a useless result changes nothing");
        }
        Ok(())
    }

    /// A plan made anew from the execution and the log in any order.
    fn restart(&mut self, seed: u64) {
        let mut log = self.log.clone();
        shuffle(&mut log, seed);
        self.plan = empty_plan(&self.job);
        for _ in 0..std::mem::take(&mut self.emitted_count) {
            self.execute();
        }
        for (task, receipt) in log {
            self.plan.restore(task, receipt).unwrap();
        }
        self.running.clear();
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let progress = self.plan.counts();
        let mut counts: BTreeMap<TaskKind, u32> = BTreeMap::new();
        for (task, _) in &self.log {
            *counts.entry(task.kind()).or_default() += 1;
        }
        let count = |kind| counts.get(&kind).copied().unwrap_or(0);
        let (segments, keccaks) = self.known();
        prop_assert_eq!(progress.segments_known, segments);
        prop_assert_eq!(progress.leaves_accepted, count(self.job.shape.leaf_kind()));
        prop_assert_eq!(progress.joins_accepted, count(TaskKind::Join));
        prop_assert_eq!(progress.resolves_accepted, count(TaskKind::Resolve));
        prop_assert_eq!(progress.keccaks_known, keccaks);
        prop_assert_eq!(self.plan.needs_keccaks(), self.needs_keccaks());
        let (keccaks_accepted, unions_accepted) = match self.needs_keccaks() {
            true => (count(TaskKind::Keccak), count(TaskKind::Union)),
            false => (keccaks, keccaks.saturating_sub(1)),
        };
        prop_assert_eq!(progress.keccaks_accepted, keccaks_accepted);
        prop_assert_eq!(progress.unions_accepted, unions_accepted);
        prop_assert_eq!(progress.running as usize, self.running.len());
        self.check_live_blobs()
    }

    /// Live inputs and receipts cover every known segment once, and every needed keccak request once.
    fn check_live_blobs(&self) -> Result<(), TestCaseError> {
        let mut segments = Vec::new();
        let mut keccaks = Vec::new();
        for blob in self.plan.live_blobs() {
            match self.prover.meaning(blob) {
                Meaning::Segment { index, .. } => segments.push(*index),
                // Delivered beside the work receipt that it was made of.
                Meaning::Claim { counts_work: false, .. } if self.is_accepted(TaskId::Unwrap) => {}
                Meaning::Claim { start, end, .. } => segments.extend(*start..*end),
                Meaning::KeccakRequest(index) => keccaks.push(*index),
                Meaning::Holds(assumption) => keccaks.extend(keccaks_in(assumption)),
            }
        }
        let (segment_count, keccak_count) = self.known();
        segments.sort_unstable();
        prop_assert_eq!(segments, (0..segment_count).collect::<Vec<_>>());
        keccaks.sort_unstable();
        let needed = if self.needs_keccaks() { keccak_count } else { 0 };
        prop_assert_eq!(keccaks, (0..needed).collect::<Vec<_>>());
        Ok(())
    }

    fn run(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        for step in steps {
            match step {
                Step::Execute => self.execute(),
                Step::Ask(po2_max) => self.ask(*po2_max)?,
                Step::Finish(which) if !self.running.is_empty() => {
                    let task = which.get(&self.running).clone();
                    self.accept(&task)?;
                }
                Step::Lose(which) if !self.running.is_empty() => {
                    let lost = self.running.remove(which.index(self.running.len()));
                    self.plan.release(lost.id).unwrap();
                }
                Step::ArriveLate(which) if !self.started.is_empty() => {
                    let task = which.get(&self.started).clone();
                    self.accept(&task)?;
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
        while !self.has_ended() {
            self.execute();
        }
        while self.plan.outcome().is_none() {
            self.ask(Po2::MAX)?;
            prop_assert!(!self.running.is_empty(), "nothing to do, and not done");
            let task = self.running[0].clone();
            self.accept(&task)?;
        }
        Ok(())
    }

    /// The outcome means what RISC Zero's own prover would deliver.
    fn check_outcome(&self) -> Result<(), TestCaseError> {
        let (segment_count, keccak_count) = counts(&self.job.emitted);
        let claim = |start, end, assumes: &[Assumption], counts_work| Meaning::Claim {
            start,
            end,
            assumes: assumes.to_vec(),
            counts_work,
        };
        match self.plan.outcome().unwrap() {
            Outcome::Composite { segments, keccak } => {
                let meanings: Vec<_> =
                    segments.iter().map(|blob| self.prover.meaning(*blob).clone()).collect();
                let mut expected: Vec<_> =
                    (0..segment_count).map(|index| claim(index, index + 1, &[], false)).collect();
                *expected.last_mut().unwrap() =
                    claim(segment_count - 1, segment_count, &self.assumes, false);
                prop_assert_eq!(meanings, expected);
                let is_assumed = self.job.assumes_keccak.contains(&true);
                let root = is_assumed.then(|| Meaning::Holds(keccak_root(keccak_count).unwrap()));
                prop_assert_eq!(keccak.map(|blob| self.prover.meaning(blob).clone()), root);
            }
            Outcome::Succinct { receipt, work } => {
                let whole = |counts_work| claim(0, segment_count, &[], counts_work);
                prop_assert_eq!(self.prover.meaning(receipt), &whole(false));
                let work = work.map(|blob| self.prover.meaning(blob).clone());
                prop_assert_eq!(work, self.job.counts_work.then(|| whole(true)));
            }
        }
        Ok(())
    }
}

fn empty_plan(job: &Job) -> ZkvmPlan {
    let plan = ZkvmPlan::new(job.shape, free);
    if job.counts_work { plan.counting_work() } else { plan }
}

/// How many segments and keccak requests there are in `emitted`.
fn counts(emitted: &[Emitted]) -> (u32, u32) {
    let is_segment = |emitted: &&Emitted| matches!(emitted, Emitted::Segment(_));
    let segment_count = emitted.iter().filter(is_segment).count();
    (segment_count as u32, (emitted.len() - segment_count) as u32)
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for last in (1..items.len()).rev() {
        // Knuth's generator of 64 bits; the high ones are the random ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (state >> 33) as usize % (last + 1));
    }
}

fn keccaks_in(assumption: &Assumption) -> Vec<u32> {
    match assumption {
        Assumption::Given(_) => vec![],
        Assumption::Keccak(index) => vec![*index],
        Assumption::Union(left, right) => [keccaks_in(left), keccaks_in(right)].concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_history_ends_in_the_receipt_that_the_stock_prover_makes(
        job in job(),
        steps in prop::collection::vec(step(), 0..400),
    ) {
        let mut client = Client::new(job);
        client.run(&steps)?;
        client.finish()?;
        client.check()?;
        client.check_outcome()?;
    }

    #[test]
    fn whatever_part_of_the_receipts_is_left_none_of_it_is_made_again(
        job in job(),
        steps in prop::collection::vec(step(), 0..400),
        is_left in prop::collection::vec(any::<bool>(), 200),
        seed in any::<u64>(),
    ) {
        let mut client = Client::new(job);
        client.run(&steps)?;
        let mut is_left = is_left.into_iter();
        client.log.retain(|_| is_left.next().unwrap_or(true));
        client.started.clear();
        client.restart(seed);
        client.finish()?;
        client.check_outcome()?;
    }

    #[test]
    fn half_of_any_run_of_neighbours_can_be_joined_at_once(
        losses in prop::collection::vec(any::<Index>(), 0..60),
        count in 1u32..80,
    ) {
        let blob = BlobRef { reference: Reference([0; 32]), size_bytes: 1 };
        let mut plan = ZkvmPlan::new(PlanShape::Succinct, free);
        for index in 0..count {
            plan.add_segment(index, Po2::try_from(18).unwrap(), blob).unwrap();
            plan.accept(TaskId::Lift(index), blob).unwrap();
        }
        // Joins in any state: some accepted, others given up.
        let mut running = Vec::new();
        for (nth, loss) in losses.iter().enumerate() {
            if let Some(task) = plan.next(TaskClass::Join) {
                plan.start(task.id).unwrap();
                running.push(task.id);
            }
            if running.is_empty() { break }
            let task = running.remove(loss.index(running.len()));
            if nth % 2 == 0 { plan.release(task).unwrap() }
            else { plan.accept(task, blob).unwrap(); }
        }
        for task in running.drain(..) { plan.release(task).unwrap(); }
        let pieces = count - plan.counts().joins_accepted;
        let mut joins = 0;
        while let Some(task) = plan.next(TaskClass::Join) {
            plan.start(task.id).unwrap();
            joins += 1;
        }
        prop_assert_eq!(joins, pieces / 2);
    }
}
