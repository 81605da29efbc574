//! The end of a job: what was proved is put together, and what became of the job is in its log before anybody hears of it.
#![allow(clippy::unwrap_used)]

mod world;

use starling_job::{End, Event, JobEvent};
use starling_types::{IndexRange, Millis, TaskId, TaskKind};
use world::*;

const HONEST: [Habit; 2] = [Habit::Honest; 2];

/// A job that is proved, and is being put together for as long as it takes.
fn delivering(timeout: Option<Millis>) -> World<Segments> {
    let config = starling_job::Config { timeout, ..config() };
    let mut world = World::resumed(Segments::new(2), config, &[], [].into()).with(&HONEST);
    world.delivery_ms = None;
    world.begin();
    world.go_on_until(|world| world.is_delivering);
    world
}

fn is_done(event: &JobEvent<Piece>) -> bool {
    matches!(event, JobEvent::Own(Piece::Done))
}

fn failures(world: &World<Segments>) -> Vec<&str> {
    fn message(event: &JobEvent<Piece>) -> Option<&str> {
        match event {
            JobEvent::Failed { message } => Some(message.as_str()),
            _ => None,
        }
    }
    world.log.iter().filter_map(message).collect()
}

/// The rest of a job in another run.
fn goes_on(world: &World<Segments>) {
    let mut next = World::resumed(Segments::new(2), config(), &world.log, world.disk.clone());
    next = next.with(&HONEST);
    next.run();
    assert!(matches!(&next.end, Some(End::Proved(_))), "{:?}", next.end);
    assert_eq!((next.granted.len(), next.deliveries), (0, 1), "all was proved");
}

#[test]
fn a_stop_and_a_time_limit_reach_what_is_put_together_and_the_job_goes_on_later() {
    let limit = Millis(600_000);
    for is_stopped in [true, false] {
        let mut world = delivering((!is_stopped).then_some(limit));
        if is_stopped {
            world.tell(Event::Stop);
        }
        world.go_on_until(|_| false);
        match &world.end {
            Some(End::Stopped) => assert!(is_stopped),
            Some(End::OutOfTime { .. }) => assert_eq!((is_stopped, world.now), (false, limit)),
            end => panic!("{end:?}"),
        }
        assert!(!world.is_delivering, "it was told to end");
        let length = world.log.len();
        world.tell(Event::Delivered { done: Piece::Done, pins: vec![] });
        assert_eq!(world.log.len(), length, "what comes too late is not logged");
        goes_on(&world);
    }
}

#[test]
fn what_was_put_together_counts_though_the_run_is_stopped_while_that_is_written() {
    let mut world = delivering(None);
    world.log_is.delay_ms_max = 5_000;
    world.tell(Event::Delivered { done: Piece::Done, pins: vec![] });
    world.tell(Event::Stop);
    assert!(world.end.is_none(), "not before it is in the log");
    world.go_on_until(|_| false);
    assert!(matches!(&world.end, Some(End::Proved(_))), "{:?}", world.end);
    assert!(is_done(world.log.last().unwrap()));
}

#[test]
fn a_job_is_not_done_whose_end_could_not_be_logged() {
    let mut world = delivering(None);
    world.log_is.fails_at = Some(0);
    world.tell(Event::Delivered { done: Piece::Done, pins: vec![] });
    world.go_on_until(|_| false);
    assert!(matches!(&world.end, Some(End::Broken(Trouble("late")))), "{:?}", world.end);
    assert!(!world.log.iter().any(is_done));
    goes_on(&world);
}

#[test]
fn why_a_job_has_failed_is_logged_before_it_ends_and_why_only_a_run_has_is_not() {
    for (error, logged) in [(Trouble(FAILED), vec![FAILED]), (Trouble("no room"), vec![])] {
        let mut world = delivering(None);
        world.log_is.delay_ms_max = 5_000;
        world.tell(Event::NotDelivered { error: error.clone() });
        assert_eq!(world.end.is_none(), error.0 == FAILED, "not before it is in the log");
        world.go_on_until(|_| false);
        assert!(matches!(&world.end, Some(End::Broken(ended)) if *ended == error));
        assert_eq!(failures(&world), logged);
        goes_on(&world);
    }
}

#[test]
fn a_failure_that_could_not_be_logged_is_told_all_the_same() {
    let mut world = delivering(None);
    world.log_is.fails_at = Some(0);
    world.tell(Event::NotDelivered { error: Trouble(FAILED) });
    world.go_on_until(|_| false);
    assert!(matches!(&world.end, Some(End::Broken(Trouble(FAILED)))), "{:?}", world.end);
    assert_eq!(failures(&world), [""; 0]);
}

/// What the jobs here deliver.
fn receipt() -> starling_types::BlobRef {
    result_of(TaskId::Join(IndexRange::new(0, 2).unwrap()).into(), 0, 0)
}

fn losses(world: &World<Segments>) -> usize {
    world.log.iter().filter(|event| matches!(event, JobEvent::ResultLost { .. })).count()
}

fn is_proved(world: &World<Segments>) -> bool {
    matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(2))
}

#[test]
fn what_is_gone_when_it_is_put_together_is_made_again_in_the_same_run() {
    for gone in [receipt(), made_here(0, u32::MAX)] {
        let mut world = delivering(None);
        let granted = world.granted.len();
        world.lose(gone);
        world.delivery_ms = Some(0);
        world.tell(Event::NotDelivered { error: Trouble(LOST) });
        assert!(!world.is_delivering && world.end.is_none(), "{:?}", world.end);
        world.go_on_until(|_| false);
        assert!(is_proved(&world), "{:?}", world.end);
        assert_eq!((world.deliveries, failures(&world)), (2, vec![]));
        let is_result = gone == receipt();
        assert_eq!(losses(&world) > 0, is_result);
        assert_eq!(world.granted.len() > granted, is_result, "what is not lost is not made again");
        assert_eq!(world.core.status().node_count, 2, "the nodes have come back");
    }
}

/// As if what is read were damaged, and what is looked at never.
#[test]
fn what_can_never_be_put_together_ends_the_job_after_a_few_tries() {
    let mut world = delivering(None);
    for tries in 1.. {
        assert_eq!((world.deliveries, world.end.is_none()), (tries, true));
        world.tell(Event::NotDelivered { error: Trouble(LOST) });
        world.go_on_until(|world| world.is_delivering);
        if world.end.is_some() {
            break;
        }
    }
    assert!(matches!(&world.end, Some(End::Broken(Trouble(LOST)))), "{:?}", world.end);
    assert_eq!((world.deliveries, losses(&world)), (4, 0));
    assert_eq!(failures(&world), [LOST]);
}

#[test]
fn what_is_lost_after_all_is_proved_is_made_again_before_it_is_put_together() {
    let mut world = World::new(Segments::new(2)).with(&HONEST);
    world.log_is.delay_ms_max = 5_000;
    world.begin();
    let is_last = |event: &JobEvent<Piece>| match event {
        JobEvent::ResultAccepted { task, .. } => task.kind == TaskKind::Join.code(),
        _ => false,
    };
    world.go_on_until(|world| world.is_on_its_way(is_last));
    // Until all of this is in the log, nothing is put together.
    for _ in 0..20 {
        let (blobs, pins) = (vec![made_here(0, 0)], vec![made_here(0, 0)]);
        world.tell(Event::Looked { blobs, gone: vec![], pins });
    }
    world.go_on_until(|world| world.accepted_count() == 3);
    assert!(world.core.record_count() > 0 && !world.is_delivering, "all is proved, and waits");
    world.lose(receipt());
    let gone = vec![receipt().reference];
    world.tell(Event::Looked { blobs: vec![receipt()], gone, pins: vec![] });
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
    assert!(losses(&world) > 0);
    assert_eq!(world.deliveries, 1, "what is gone was never to be put together");
}
