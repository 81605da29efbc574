//! Several jobs, nodes that ask, and what each job gets: in virtual time.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use starling_sched::{DispatchAction, Dispatcher, Taken, Terms};
use starling_types::{JobId, Millis, NodeId};

const SECOND: u64 = 1000;

fn job(name: u8) -> JobId {
    JobId([name; 16])
}

fn node(name: u8) -> NodeId {
    NodeId([name; 32])
}

fn weight(weight: u32) -> Terms {
    Terms { weight, deadline: None }
}

/// Jobs as the dispatcher sees them: so many tasks of one size, and requests that stand.
#[derive(Default)]
struct Tasks {
    count: u64,
    work: Millis,
    standing: BTreeMap<NodeId, u32>,
    granted: Millis,
    done_at: Option<Millis>,
}

#[derive(Default)]
struct World {
    dispatcher: Dispatcher,
    now: Millis,
    jobs: BTreeMap<JobId, Tasks>,
    /// When nodes ask next.
    asks: BTreeSet<(Millis, NodeId)>,
    order: Vec<JobId>,
}

impl World {
    /// Nodes of one slot and the reference speed.
    fn with_nodes(count: u8) -> Self {
        let mut world = Self::default();
        for name in 0..count {
            world.dispatcher.join(node(name), 1);
            world.asks.insert((Millis(0), node(name)));
        }
        world
    }

    fn nodes(&self) -> Vec<NodeId> {
        (0..=u8::MAX).map(node).collect()
    }

    fn submit(&mut self, name: u8, count: u64, work: Millis, terms: Terms) {
        self.dispatcher.open(job(name), terms);
        self.jobs.insert(job(name), Tasks { count, work, ..Tasks::default() });
        for node in self.nodes() {
            let actions = self.dispatcher.introduce(self.now, node, job(name));
            self.act(actions);
        }
    }

    fn end(&mut self, name: u8) {
        self.jobs.remove(&job(name));
        let actions = self.dispatcher.close(self.now, job(name));
        self.act(actions);
    }

    /// A job has more tasks, and gives them to nodes that stand.
    fn add(&mut self, name: u8, count: u64) {
        self.jobs.get_mut(&job(name)).unwrap().count += count;
        let standing: Vec<NodeId> = self.jobs[&job(name)].standing.keys().copied().collect();
        for node in standing {
            self.grant(node, job(name));
        }
    }

    fn act(&mut self, actions: Vec<DispatchAction>) {
        for action in actions {
            match action {
                DispatchAction::Offer { node, job, count } => {
                    *self.jobs.get_mut(&job).unwrap().standing.entry(node).or_default() += count;
                    self.grant(node, job);
                    let actions = self.dispatcher.answered(self.now, node, job);
                    self.act(actions);
                }
                DispatchAction::Withdraw { node, job } => {
                    self.jobs.get_mut(&job).unwrap().standing.remove(&node);
                }
            }
        }
    }

    /// The job gives the node what it has for it.
    fn grant(&mut self, node: NodeId, id: JobId) {
        while let Some(tasks) = self.jobs.get_mut(&id)
            && tasks.count > 0
            && let Some(held) = tasks.standing.get_mut(&node)
        {
            *held -= 1;
            if *held == 0 {
                tasks.standing.remove(&node);
            }
            let work = tasks.work;
            let granted = self.dispatcher.granted(self.now, node, id, work);
            let Ok(actions) = granted else { return };
            tasks.count -= 1;
            tasks.granted = tasks.granted + work;
            if tasks.count == 0 {
                tasks.done_at = Some(self.now + work);
            }
            self.order.push(id);
            self.asks.insert((self.now + work, node));
            self.act(actions);
        }
    }

    fn run_until(&mut self, end: Millis) {
        while let Some((at, node)) = self.asks.first().copied().filter(|(at, _)| *at <= end) {
            self.asks.remove(&(at, node));
            self.now = at;
            let actions = self.dispatcher.work_requested(at, node);
            self.act(actions);
        }
        self.now = end;
    }

    fn granted(&self, name: u8) -> u64 {
        self.jobs[&job(name)].granted.0
    }

    fn done_at(&self, name: u8) -> Millis {
        self.jobs[&job(name)].done_at.unwrap()
    }
}

#[test]
fn jobs_of_different_sizes_and_weights_get_their_shares_of_the_work() {
    let mut world = World::with_nodes(4);
    world.submit(1, 1_000_000, Millis(20 * SECOND), weight(10));
    world.submit(2, 1_000_000, Millis(3 * SECOND), weight(10));
    world.submit(3, 1_000_000, Millis(7 * SECOND), weight(20));
    world.run_until(Millis(4000 * SECOND));
    let total = world.granted(1) + world.granted(2) + world.granted(3);
    for (name, percent) in [(1, 25), (2, 25), (3, 50)] {
        let share = world.granted(name) * 100 / total;
        assert!(share.abs_diff(percent) <= 1, "job {name} got {share} %");
    }
}

#[test]
fn a_small_job_is_not_starved_by_a_large_one_of_far_more_weight() {
    let mut world = World::with_nodes(2);
    world.submit(1, 1_000_000, Millis(10 * SECOND), weight(90));
    world.run_until(Millis(1000 * SECOND));
    world.submit(2, 5, Millis(10 * SECOND), weight(10));
    world.run_until(Millis(2000 * SECOND));
    // A tenth of two nodes is 50 s of work in 250 s.
    assert!(world.done_at(2) <= Millis(1300 * SECOND), "{}", world.done_at(2));
}

#[test]
fn a_new_job_and_one_that_was_idle_claim_nothing_for_the_past() {
    let mut world = World::with_nodes(1);
    world.submit(1, 1_000_000, Millis(SECOND), weight(10));
    world.submit(2, 0, Millis(SECOND), weight(10));
    world.run_until(Millis(1000 * SECOND));
    world.submit(3, 1_000_000, Millis(SECOND), weight(10));
    world.add(2, 1_000_000);
    world.order.clear();
    world.run_until(Millis(1060 * SECOND));
    for name in [1, 2, 3] {
        let count = world.order.iter().filter(|id| **id == job(name)).count();
        assert!((19..=21).contains(&count), "job {name} got {count} of 60");
    }
}

#[test]
fn a_job_with_a_deadline_goes_first_and_others_still_get_a_quarter() {
    let mut world = World::with_nodes(2);
    world.submit(1, 1_000_000, Millis(10 * SECOND), weight(10));
    world.run_until(Millis(100 * SECOND));
    let deadline = Some(Millis(2100 * SECOND));
    world.submit(2, 1_000_000, Millis(10 * SECOND), Terms { deadline, ..weight(1) });
    world.order.clear();
    world.run_until(Millis(2000 * SECOND));
    assert_eq!(world.order[..4], [job(2); 4]);
    let of = |name| world.order.iter().filter(|id| **id == job(name)).count();
    let percent = of(2) * 100 / world.order.len();
    assert!((74..=76).contains(&percent), "the urgent job got {percent} %");
    // Once it is late, its weight alone counts.
    world.run_until(Millis(2100 * SECOND));
    world.order.clear();
    world.run_until(Millis(4000 * SECOND));
    assert!(world.order.iter().filter(|id| **id == job(2)).count() * 5 < world.order.len());
}

#[test]
fn of_two_deadlines_the_nearer_goes_first() {
    let mut world = World::with_nodes(1);
    let within = |seconds| Terms { deadline: Some(Millis(seconds * SECOND)), ..weight(10) };
    world.submit(1, 3, Millis(SECOND), within(500));
    world.submit(2, 3, Millis(SECOND), within(100));
    world.run_until(Millis(10 * SECOND));
    assert_eq!(world.order, [2, 2, 2, 1, 1, 1].map(job));
}

#[test]
fn a_node_that_waits_is_offered_to_the_job_that_gets_work_first() {
    let mut world = World::with_nodes(3);
    world.submit(1, 0, Millis(SECOND), weight(10));
    world.submit(2, 0, Millis(SECOND), weight(10));
    world.run_until(Millis(SECOND));
    world.add(2, 1);
    assert_eq!(world.order, [job(2)]);
    world.add(1, 5);
    assert_eq!(world.order, [2, 1, 1].map(job));
    // What it was is no longer open elsewhere.
    assert!(world.jobs.values().all(|tasks| tasks.standing.is_empty()));
}

#[test]
fn a_job_that_comes_or_goes_moves_the_nodes_that_wait() {
    let mut world = World::with_nodes(2);
    world.run_until(Millis(SECOND));
    world.submit(1, 1, Millis(SECOND), weight(10));
    assert_eq!(world.order, [job(1)]);
    world.end(1);
    world.submit(2, 3, Millis(SECOND), weight(10));
    // The other node, and the first when it asks again.
    assert_eq!(world.order, [1, 2].map(job));
    world.run_until(Millis(5 * SECOND));
    assert_eq!(world.order, [1, 2, 2, 2].map(job));
}

#[test]
fn a_node_with_two_slots_is_shared() {
    let mut world = World::default();
    world.dispatcher.join(node(0), 2);
    world.asks.extend([(Millis(0), node(0)), (Millis(1), node(0))]);
    world.submit(1, 100, Millis(10 * SECOND), weight(10));
    world.submit(2, 100, Millis(10 * SECOND), weight(10));
    world.run_until(Millis(100 * SECOND));
    assert_eq!(world.order[..4], [1, 2, 1, 2].map(job));
}

#[test]
fn what_two_jobs_take_at_the_same_time_only_the_first_gets() {
    let mut dispatcher = Dispatcher::new();
    let now = Millis(0);
    let (one, first, second) = (node(0), job(1), job(2));
    dispatcher.open(first, Terms::default());
    dispatcher.open(second, Terms::default());
    dispatcher.join(one, 1);
    dispatcher.introduce(now, one, first);
    dispatcher.introduce(now, one, second);
    dispatcher.work_requested(now, one);
    dispatcher.answered(now, one, first);
    dispatcher.answered(now, one, second);
    let withdrawn = vec![DispatchAction::Withdraw { node: one, job: first }];
    assert_eq!(dispatcher.granted(now, one, second, Millis(1)), Ok(withdrawn));
    assert_eq!(dispatcher.granted(now, one, first, Millis(1)), Err(Taken));
}

#[test]
fn requests_beyond_the_slots_and_those_of_an_earlier_connection_do_not_count() {
    let mut dispatcher = Dispatcher::new();
    let now = Millis(0);
    dispatcher.open(job(1), Terms::default());
    dispatcher.join(node(0), 2);
    dispatcher.introduce(now, node(0), job(1));
    for _ in 0..5 {
        dispatcher.work_requested(now, node(0));
    }
    dispatcher.granted(now, node(0), job(1), Millis(1)).unwrap();
    dispatcher.join(node(0), 2);
    dispatcher.introduce(now, node(0), job(1));
    assert_eq!(dispatcher.granted(now, node(0), job(1), Millis(1)), Err(Taken));
    dispatcher.work_requested(now, node(0));
    dispatcher.granted(now, node(0), job(1), Millis(1)).unwrap();
    assert_eq!(dispatcher.granted(now, node(0), job(1), Millis(1)), Err(Taken));
}

#[test]
fn a_node_is_granted_work_ahead_by_its_only_job_alone() {
    let mut dispatcher = Dispatcher::new();
    let (now, one, work) = (Millis(0), node(0), Millis(1));
    dispatcher.open(job(1), Terms::default());
    dispatcher.join(one, 1);
    dispatcher.introduce(now, one, job(1));
    assert_eq!(dispatcher.granted_ahead(one, job(1), work), Ok(()));
    // With such a task after every other the node would never ask, and the second job never be asked.
    dispatcher.open(job(2), Terms::default());
    dispatcher.introduce(now, one, job(2));
    assert_eq!(dispatcher.granted_ahead(one, job(1), work), Err(Taken));
    dispatcher.close(now, job(2));
    assert_eq!(dispatcher.granted_ahead(one, job(1), work), Ok(()));
}

/// A generator as good as the test needs: the same numbers in each run.
fn numbers(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Jobs that have nothing, something, or something of what they are asked for, now or later, and nodes of several slots: no
/// job ever stands for more requests than a node has open, so that none is told of billions.
#[test]
fn a_job_never_stands_for_more_requests_than_a_node_has_open_whatever_it_answers() {
    for seed in 0..400 {
        let mut number = numbers(seed);
        let (slots, job_count) = (1 + number(4) as u32, 1 + number(3) as u8);
        let mut dispatcher = Dispatcher::new();
        dispatcher.join(node(1), slots);
        let mut actions = Vec::new();
        for name in 1..=job_count {
            dispatcher.open(job(name), weight(10));
            actions.extend(dispatcher.introduce(Millis(0), node(1), job(name)));
        }
        let mut standing: BTreeMap<JobId, u32> = BTreeMap::new();
        let mut unanswered: BTreeSet<JobId> = BTreeSet::new();
        let mut open = 0;
        for step in 0..60 {
            for action in std::mem::take(&mut actions) {
                match action {
                    DispatchAction::Offer { job, count, .. } => {
                        let held = standing.entry(job).or_default();
                        *held += count;
                        assert!(*held <= open, "seed {seed}: {held} of {open}");
                        unanswered.insert(job);
                    }
                    DispatchAction::Withdraw { job, .. } => {
                        standing.remove(&job);
                    }
                }
            }
            let now = Millis(step);
            let some = job(1 + number(u64::from(job_count)) as u8);
            match number(4) {
                0 => {
                    open = (open + 1).min(slots);
                    actions = dispatcher.work_requested(now, node(1));
                }
                // It takes one, perhaps long after it was asked, and the node is at work.
                1 if standing.get(&some).is_some_and(|held| *held > 0) => {
                    *standing.get_mut(&some).unwrap() -= 1;
                    if let Ok(granted) = dispatcher.granted(now, node(1), some, Millis(1000)) {
                        open -= 1;
                        actions = granted;
                    }
                }
                _ if unanswered.remove(&some) => actions = dispatcher.answered(now, node(1), some),
                _ => {}
            }
        }
    }
}
