//! What follows from the log, and when.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use starling_job::{End, Event, JobEvent};
use starling_types::{Incarnation, Task};
use world::*;

const HONEST: [Habit; 3] = [Habit::Honest; 3];

fn is_proved(world: &World<Segments>, count: u32) -> bool {
    matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(count))
}

fn accepted_in<E>(log: &[JobEvent<E>]) -> BTreeSet<Task> {
    let task = |event: &JobEvent<E>| match event {
        JobEvent::ResultAccepted { task, .. } => Some(*task),
        _ => None,
    };
    log.iter().filter_map(task).collect()
}

#[test]
fn a_job_ends_in_the_receipt_over_all_segments() {
    for count in [1, 2, 7] {
        let mut world = World::new(Segments::new(count)).with(&HONEST);
        world.run();
        assert!(is_proved(&world, count), "{:?}", world.end);
    }
}

#[test]
fn a_job_killed_at_any_event_of_its_log_ends_as_it_would_have_and_redoes_nothing_accepted() {
    let mut whole = World::new(Segments::new(6)).with(&HONEST);
    whole.run();
    for length in 0..=whole.log.len() {
        let log = &whole.log[..length];
        let disk = whole.disks[length].clone();
        let mut world = World::resumed(Segments::new(6), config(), log, disk);
        world = world.with(&HONEST);
        world.run();
        assert!(is_proved(&world, 6), "{length}: {:?}", world.end);
        let done = accepted_in(log);
        let redone: Vec<_> = world.granted.iter().filter(|(_, task)| done.contains(task)).collect();
        assert!(redone.is_empty(), "{length}: {redone:?}");
        let started = |event: &JobEvent<Piece>| match event {
            JobEvent::ClientStarted { incarnation } => Some(*incarnation),
            _ => None,
        };
        let runs: Vec<Incarnation> = world.log.iter().filter_map(started).collect();
        assert!(runs.is_sorted_by(|a, b| a < b), "lease numbers would come again: {runs:?}");
    }
}

/// The world asserts that no lease reads, and no node is told of, what is not in the log.
#[test]
fn however_late_and_in_whatever_order_the_log_answers_nothing_comes_before_it() {
    for delay_ms_max in [1, 500, 5_000, 60_000] {
        let mut world = World::new(Segments::new(7)).with(&HONEST);
        world.log_is.delay_ms_max = delay_ms_max;
        world.run();
        assert!(is_proved(&world, 7), "{delay_ms_max}: {:?}", world.end);
        let replayed = taken_up(&Segments::new(7), &world.log).replay().unwrap();
        assert!(replayed.refused.is_empty(), "{:?}", replayed.refused);
        assert_eq!(replayed.plan.outcome(), Some(proved(7)));
    }
}

#[test]
fn checks_and_pieces_go_on_while_the_log_is_slow() {
    let mut world = World::new(Segments::new(4)).with(&HONEST);
    world.log_is.delay_ms_max = 60_000;
    world.begin();
    world.go_on_until(|world| world.core.record_count() > 2);
    assert!(world.core.record_count() > 2, "several records are under way");
    assert_eq!(world.accepted_count(), 0);
}

#[test]
fn a_failed_write_ends_the_job_with_its_error_and_what_was_not_written_has_not_happened() {
    let mut ended = 0;
    for first in 0..30 {
        let mut world = World::new(Segments::new(5)).with(&HONEST);
        world.log_is.fails_at = Some(first);
        world.log_is.delay_ms_max = 100;
        world.run();
        match &world.end {
            Some(End::Broken(error)) => {
                ended += 1;
                assert!(["full", "late"].contains(&error.0));
            }
            end => assert!(is_proved(&world, 5), "{end:?}"),
        }
        let log_says = accepted_in(&world.log).len();
        assert_eq!(world.accepted_count(), log_says, "state and log are one");
    }
    assert!(ended > 10, "the job writes more than {ended} records");
}

#[test]
fn a_stopped_run_waits_for_what_is_on_its_way_to_the_log() {
    let mut world = World::new(Segments::new(5)).with(&HONEST);
    world.log_is.delay_ms_max = 3_000;
    world.begin();
    world.go_on_until(|world| world.core.record_count() > 1);
    world.tell(Event::Stop);
    assert!(world.end.is_none());
    world.go_on_until(|_| false);
    assert!(matches!(world.end, Some(End::Stopped)), "{:?}", world.end);
    assert_eq!(taken_up(&Segments::new(5), &world.log).accepted, world.core.state().accepted);
}

#[test]
fn events_that_do_not_follow_are_a_contradiction_not_a_panic() {
    let log = [JobEvent::Own(Piece::Segment { index: 1, blob: made_here(0, 1) })];
    let mut state = starling_job::JobState::new(Segments::new(2));
    assert!(state.apply(&log[0]).is_err());
    assert!(state.apply(&JobEvent::ClientStarted { incarnation: Incarnation(0) }).is_err());
    let task = starling_types::TaskId::Lift(0).into();
    let accepted = JobEvent::ResultAccepted {
        task,
        blob: made_here(0, 0),
        node: node(1),
        is_provisional: false,
    };
    assert!(state.apply(&accepted).is_err(), "what it proves is not known");
}
