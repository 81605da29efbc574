//! A disk without room fails no job, blames no node and loses nothing: the job waits, and goes on when there is room.
#![allow(clippy::unwrap_used)]

mod world;

use starling_job::{Config, End, Event, JobEvent, Note};
use starling_types::{Millis, Reference};
use world::*;

const COUNT: u32 = 60;

fn is_proved(world: &World<Segments>) -> bool {
    matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(COUNT))
}

fn count(world: &World<Segments>, is_it: impl Fn(&Note) -> bool) -> usize {
    world.notes.iter().filter(|note| is_it(note)).count()
}

fn lacks(note: &Note) -> bool {
    matches!(note, Note::LacksRoom { .. })
}

fn is_blame(note: &Note) -> bool {
    matches!(note, Note::Refused { .. } | Note::Unfetchable { .. } | Note::Lost { .. })
}

/// A job in mid-work whose disk takes no more results, some of which have come since.
fn full_of_results(config: Config) -> World<Segments> {
    let mut world = World::resumed(Segments::new(COUNT), config, &[], [].into());
    world = world.with(&[Habit::Honest; 4]);
    world.begin();
    world.go_on_until(|world| world.accepted_count() >= 10);
    world.room.results = 0;
    world.room.source = 0;
    world.go_on_until(|world| world.core.lacks_room() == Some("the disk is full of results"));
    world
}

#[test]
fn a_source_that_finds_no_room_waits_until_results_have_made_some_and_the_job_needs_no_more() {
    // That it is its own does not matter as long as it goes on.
    const ROOM: Room = Room { source: 12, results: 18, is_own: true };
    let mut world = World::new(Segments::new(COUNT)).with(&[Habit::Honest; 2]);
    world.log_is.delay_ms_max = 20;
    world.room = ROOM;
    world.run();
    assert!(is_proved(&world), "{:?}", world.end);
    assert!(world.disk_max <= ROOM.results, "{}", world.disk_max);
    assert_eq!(world.source_runs, 1, "it goes on where it stopped");
    let waits = count(&world, lacks);
    assert!(waits > 0, "there was no room at times");
    assert_eq!(count(&world, |note| *note == Note::RoomAgain), waits);
    assert_eq!((count(&world, is_blame), world.core.lacks_room()), (0, None));
}

#[test]
fn results_that_find_no_room_wait_without_blame_and_nobody_is_given_what_would_find_none_either() {
    let mut world = full_of_results(config());
    assert_eq!(count(&world, lacks), 1);
    // Whatever the nodes have begun comes to its end.
    let soon = world.now + Millis(200_000);
    world.go_on_until(|world| world.now >= soon);
    let (granted, checks, accepted) = (world.granted.len(), world.checks, world.accepted_count());
    // Far longer than anybody waits for nodes.
    let later = world.now + Millis(3_600_000);
    world.go_on_until(|world| world.now >= later);
    assert!(world.end.is_none(), "{:?}", world.end);
    assert_eq!((world.granted.len(), world.accepted_count()), (granted, accepted));
    assert!(world.checks > checks, "they are asked for again");
    assert_eq!(count(&world, lacks), 1, "it is said once");
    world.room = Room::ALL;
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
    assert_eq!(count(&world, |note| *note == Note::RoomAgain), 1);
    assert_eq!(count(&world, is_blame), 0);
    assert_eq!(world.granted.len(), 2 * COUNT as usize - 1, "nothing is proved twice");
}

#[test]
fn a_job_that_waits_for_room_can_be_stopped_and_goes_on_from_its_log() {
    let mut world = full_of_results(config());
    world.tell(Event::Stop);
    world.go_on_until(|_| false);
    assert!(matches!(world.end, Some(End::Stopped)), "{:?}", world.end);
    let accepted = world.accepted_count();
    let mut resumed = World::resumed(Segments::new(COUNT), config(), &world.log, world.disk);
    resumed = resumed.with(&[Habit::Honest; 4]);
    resumed.run();
    assert!(is_proved(&resumed), "{:?}", resumed.end);
    let done = |event: &&JobEvent<Piece>| matches!(event, JobEvent::ResultAccepted { .. });
    assert_eq!(resumed.log.iter().filter(done).count(), 2 * COUNT as usize - 1);
    assert_eq!(resumed.granted.len(), 2 * COUNT as usize - 1 - accepted);
}

#[test]
fn a_job_that_waits_for_room_runs_out_of_time_as_ever() {
    let limit = Millis(7_200_000);
    let mut world = full_of_results(Config { timeout: Some(limit), ..config() });
    world.go_on_until(|_| false);
    assert!(matches!(world.end, Some(End::OutOfTime { limit: had }) if had == limit));
    assert_eq!(world.now, limit);
}

#[test]
fn a_job_that_waits_for_room_and_starts_over_forgets_what_had_waited() {
    let mut world = full_of_results(config());
    world.room.source = usize::MAX;
    // The source is run again for what is gone, and tells another story: all begins anew.
    world.stories = vec![0, 1];
    let segment = world.core.live_blobs().into_iter().find(|blob| blob.reference.0[31] == 0xff);
    let segment = segment.unwrap();
    world.lose(segment);
    world.tell(Event::Looked { blobs: vec![segment], gone: vec![segment.reference], pins: vec![] });
    let starts_over = |note: &Note| matches!(note, Note::StartsOver { .. });
    world.go_on_until(|world| count(world, starts_over) == 1 && world.core.lacks_room().is_none());
    assert!(world.end.is_none(), "{:?}", world.end);
    // Results of the new beginning find no room either, and are waited for as well.
    world.go_on_until(|world| world.core.lacks_room().is_some());
    world.room.results = usize::MAX;
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
    assert_eq!((count(&world, is_blame), world.core.lacks_room()), (1, None), "one was lost above");
}

/// The time at which the run ended for want of room, and what was missing.
fn ends_in_vain(world: &mut World<Segments>) -> (Millis, String) {
    world.go_on_until(|_| false);
    match &world.end {
        Some(End::NoRoom { reason }) => (world.now, reason.clone()),
        end => panic!("{end:?}"),
    }
}

#[test]
fn a_source_that_the_job_itself_leaves_no_room_ends_its_run_within_seconds() {
    let mut world = World::new(Segments::new(COUNT)).with(&[Habit::Honest; 2]);
    world.room = Room { source: 0, results: 0, is_own: true };
    world.begin();
    let (ended_at, reason) = ends_in_vain(&mut world);
    assert_eq!(reason, "the disk is full of segments");
    assert!(ended_at < Millis(10_000), "{ended_at:?}");
    assert_eq!(count(&world, is_blame), 0);
}

#[test]
fn results_that_the_job_itself_leaves_no_room_end_its_run_once_nothing_else_is_under_way() {
    let mut world = full_of_results(config());
    let seconds = Millis(10_000);
    world.room.is_own = true;
    // What the nodes have begun could still make room, and each comes to its end.
    world.go_on_until(|world| world.nodes_are_idle());
    let quiet_at = world.now;
    let (ended_at, reason) = ends_in_vain(&mut world);
    assert_eq!(reason, "the disk is full of results");
    assert!(ended_at < quiet_at + seconds, "{ended_at:?} after {quiet_at:?}");
    let accepted = world.accepted_count();
    // With more room it goes on from there.
    let mut resumed = World::resumed(Segments::new(COUNT), config(), &world.log, world.disk);
    resumed = resumed.with(&[Habit::Honest; 4]);
    resumed.run();
    assert!(is_proved(&resumed), "{:?}", resumed.end);
    assert_eq!(resumed.granted.len(), 2 * COUNT as usize - 1 - accepted);
}

#[test]
fn a_job_that_is_in_its_own_way_and_is_given_room_in_time_goes_on() {
    let mut world = full_of_results(config());
    world.room.is_own = true;
    world.go_on_until(|world| world.nodes_are_idle());
    let soon = world.now + Millis(1_500);
    world.go_on_until(|world| world.now >= soon);
    world.room = Room::ALL;
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
}

#[test]
fn what_an_earlier_run_was_done_with_goes_before_a_job_is_said_to_be_in_its_own_way() {
    const KEPT: u8 = 50;
    let kept = (100..100 + KEPT).map(|byte| Reference([byte; 32])).collect();
    let mut world = World::resumed(Segments::new(COUNT), config(), &[], kept);
    world = world.with(&[Habit::Honest; 2]);
    let count = usize::from(KEPT);
    world.room = Room { source: count, results: count + 10, is_own: true };
    world.run();
    assert!(is_proved(&world), "{:?}", world.end);
}
