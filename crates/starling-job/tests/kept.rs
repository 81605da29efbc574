//! What is done with goes, and nothing else.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use starling_job::{End, JobEvent, Note};
use world::*;

const COUNT: u32 = 400;

fn is_proved(world: &World<Segments>) -> bool {
    matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(COUNT))
}

fn has_lost(world: &World<Segments>) -> bool {
    world.notes.iter().any(|note| matches!(note, Note::Lost { .. }))
}

#[test]
fn a_long_job_keeps_little_more_than_its_plan_still_reads() {
    let mut world = World::new(Segments::new(COUNT)).with(&[Habit::Honest; 20]);
    world.log_is.delay_ms_max = 20;
    world.begin();
    let mut live_max = 0;
    while world.end.is_none() {
        let before = world.collections;
        world.go_on_until(|world| world.collections > before);
        let live: BTreeSet<_> = world.core.live_blobs().iter().map(|blob| blob.reference).collect();
        assert!(live.iter().all(|blob| world.disk.contains(blob)), "what is still read is there");
        live_max = live_max.max(live.len());
    }
    assert!(is_proved(&world), "{:?}", world.end);
    // Everything would be 1,200 blobs.
    assert!(10 * world.disk_max <= 12 * live_max, "{} blobs, of {live_max}", world.disk_max);
    assert!(!has_lost(&world));
}

#[test]
fn a_job_that_has_let_go_of_much_is_resumed_from_any_event_without_a_loss() {
    let mut whole = World::new(Segments::new(COUNT)).with(&[Habit::Honest; 20]);
    whole.run();
    assert!(whole.collections > 0);
    for length in (0..whole.log.len()).step_by(97) {
        let log = &whole.log[..length];
        let mut world =
            World::resumed(Segments::new(COUNT), config(), log, whole.disks[length].clone());
        world = world.with(&[Habit::Honest; 20]);
        world.run();
        assert!(is_proved(&world), "{length}: {:?}", world.end);
        assert!(!has_lost(&world), "{length}");
        let done = |event: &&JobEvent<Piece>| matches!(event, JobEvent::ResultAccepted { .. });
        let accepted = world.log.iter().filter(done).count();
        assert_eq!(accepted, 2 * COUNT as usize - 1, "{length}: nothing is redone");
    }
}

#[test]
fn what_was_made_of_blobs_that_are_gone_for_good_is_made_again_from_the_beginning_if_it_must_be() {
    let mut world = World::new(Segments::new(COUNT)).with(&[Habit::Honest; 20]);
    world.begin();
    // A standing result, of which the parts are gone by now.
    let joined = |blob: &starling_types::BlobRef| blob.reference.0[3] == 3;
    let stands = |world: &World<Segments>| world.core.live_blobs().into_iter().find(joined);
    world.go_on_until(|world| world.collections > 20 && stands(world).is_some());
    let join = stands(&world).unwrap();
    world.lose(join);
    let (blobs, gone) = (vec![join], vec![join.reference]);
    world.tell(starling_job::Event::Looked { blobs, gone, pins: vec![] });
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
    assert!(has_lost(&world) && world.source_runs == 2, "its segments are executed once more");
}
