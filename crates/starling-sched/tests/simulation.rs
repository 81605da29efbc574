//! The scheduler among nodes of all habits, in virtual time: faults first, then healing.
#![allow(clippy::unwrap_used)]

mod common;
mod world;

use proptest::prelude::*;
use starling_sched::{Believed, Config, Status};
use starling_types::Millis;
use world::{HABITS, Habit, Job, World, capability};

/// Far more events than any of these jobs takes: reaching it means going round in circles.
const EVENT_COUNT_MAX: usize = 200_000;

#[derive(Debug, Clone)]
struct Setting {
    /// Whether all nodes are the client's own.
    are_believed: bool,
    job: Job,
    nodes: Vec<(Habit, u64, u32, u32)>,
    heal_after_s: u64,
    seed: u64,
}

fn job() -> impl Strategy<Value = Job> {
    let po2s = |least: u32, most, counts| {
        proptest::collection::vec((least..=most).prop_map(common::po2), counts)
    };
    let assumptions = proptest::collection::vec(proptest::bool::weighted(0.3), 0..4);
    (po2s(13, 17, 1..12), po2s(14, 16, 0..8), assumptions, any::<bool>()).prop_map(
        |(po2s, keccak_po2s, mut assumes_keccak, counts_work)| {
            if keccak_po2s.is_empty() {
                assumes_keccak.fill(false);
            }
            Job { po2s, keccak_po2s, assumes_keccak, counts_work }
        },
    )
}

fn setting() -> impl Strategy<Value = Setting> {
    let node = (
        proptest::sample::select(&HABITS[..]),
        50u64..1000,
        proptest::sample::select(&[50u32, 300, 1000, 4000][..]),
        1u32..4,
    );
    let nodes = proptest::collection::vec(node, 0..12);
    (any::<bool>(), job(), nodes, 0u64..1200, any::<u64>()).prop_map(
        |(are_believed, job, nodes, heal_after_s, seed)| Setting {
            are_believed,
            job,
            nodes,
            heal_after_s,
            seed,
        },
    )
}

fn config() -> Config {
    Config { leases_ahead: true, ..common::config() }
}

/// As for nodes on the open internet.
fn among_strangers() -> Config {
    Config { believed: Believed::default(), ..config() }
}

fn run(setting: &Setting) -> World {
    run_hinting(setting, 0)
}

/// A run in which all nodes say at all times that they are so far with all their tasks.
fn run_hinting(setting: &Setting, hint_permille: u32) -> World {
    let config = if setting.are_believed { config() } else { among_strangers() };
    let mut world = World::new(config, &setting.job, setting.seed);
    world.hint_permille = hint_permille;
    for (name, (habit, memory_mib, speed, slots)) in (1..).zip(&setting.nodes) {
        world.add(name, *habit, capability(*memory_mib, *speed, *slots));
    }
    world.run(Millis(setting.heal_after_s * 1000), EVENT_COUNT_MAX);
    world.heal();
    world.add(1000, Habit::Honest, capability(1000, 1000, 1));
    let day = Millis(setting.heal_after_s * 1000 + 86_400_000);
    world.run(day, world.event_count + EVENT_COUNT_MAX);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    #[test]
    fn once_faults_stop_one_honest_node_finishes_any_job(setting in setting()) {
        let world = run(&setting);
        prop_assert_eq!(world.outcome, Some(setting.job.outcome()));
        // What is left is at most all tasks once, the patience for leases that stood when the faults
        // stopped, and messages that were late by then.
        let work = setting.job.work().0;
        let patience = setting.job.execution().0 + 180_000;
        let healed = Millis(setting.heal_after_s * 1000);
        prop_assert!(
            world.now.since(healed).0 <= 2 * work + patience,
            "it took {} after healing, for {} of work", world.now.since(healed), Millis(work)
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_actions(setting in setting()) {
        prop_assert_eq!(run(&setting).history, run(&setting).history);
    }

    #[test]
    fn what_nodes_say_of_their_progress_changes_no_action(setting in setting(), hint: u32) {
        prop_assert_eq!(run_hinting(&setting, hint).history, run(&setting).history);
    }
}

#[test]
fn many_nodes_share_many_segments() {
    let job = Job {
        po2s: vec![common::po2(15); 600],
        keccak_po2s: vec![common::po2(15); 100],
        assumes_keccak: vec![true, false],
        counts_work: false,
    };
    let mut world = World::new(config(), &job, 1);
    for name in 0..300 {
        world.add(name, HABITS[name as usize % 2], capability(1000, 1000, 1));
    }
    world.run(Millis(u64::MAX), EVENT_COUNT_MAX);
    assert_eq!(world.outcome, Some(job.outcome()));
    let Status { progress, lease_count, checking_count, .. } = world.scheduler.status();
    let accepted: Vec<_> = progress.stages.iter().map(|stage| stage.accepted).collect();
    assert_eq!(accepted, [600, 599, 100, 99, 2, 0]);
    assert_eq!((lease_count, checking_count), (0, 0));
}

/// How long a job of 64 segments takes of so many honest nodes, among so many that take tasks and never end.
fn time_among(honest: u32, stalling: u32) -> Millis {
    let job = Job { po2s: vec![common::po2(15); 64], ..Job::default() };
    let mut world =
        World::new(Config { deadline_min: Millis(300_000), ..among_strangers() }, &job, 3);
    for name in 0..stalling {
        // Names are free, and so are claims.
        world.add(name, Habit::Stalling, capability(100_000, 1_000_000, 1024));
    }
    for name in stalling..stalling + honest {
        world.add(name, Habit::Honest, capability(1000, 250, 1));
    }
    world.run(Millis(u64::MAX), 20 * EVENT_COUNT_MAX);
    assert_eq!(world.outcome, Some(job.outcome()));
    world.now
}

#[test]
fn nodes_that_take_tasks_and_never_end_delay_a_job_by_little() {
    for (honest, stalling) in [(4, 1), (4, 22), (2, 40), (4, 300)] {
        let (alone, among) = (time_among(honest, 0), time_among(honest, stalling));
        println!("{honest} honest: {alone}; with {stalling} that stall: {among}");
        assert!(among.0 <= 5 * alone.0 / 4, "{honest} and {stalling}: {among} for {alone}");
    }
}
