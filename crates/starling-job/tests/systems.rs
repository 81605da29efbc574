//! The same core under other proof systems: wide merges, and rounds that follow from results.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;

use starling_job::{End, Event, JobEvent, Script as _};
use starling_plan::{MergesPlan, Plan as _};
use starling_types::{BlobRef, IndexRange, Task};
use world::*;

const HONEST: [Habit; 3] = [Habit::Honest; 3];

#[test]
fn merges_of_leaves_that_are_known_at_once_end_in_their_finish_from_every_prefix_of_the_log() {
    let finish = Task { kind: MergesPlan::FINISH, range: IndexRange::single(0) };
    let mut whole = World::new(Merges(8)).with(&HONEST);
    whole.run();
    for length in 0..=whole.log.len() {
        let log = &whole.log[..length];
        let mut world = World::resumed(Merges(8), config(), log, whole.disks[length].clone());
        world = world.with(&HONEST);
        world.run();
        match &world.end {
            Some(End::Proved(blob)) => assert_eq!(*blob, result_of(finish, 0, 0)),
            end => panic!("{length}: {end:?}"),
        }
    }
}

/// The results of each round, which the next one reads.
fn results_by_round(world: &World<Rounds>) -> BTreeMap<u32, Vec<BlobRef>> {
    let log = taken_up(&Rounds { rounds: 4, width: 3 }, &world.log);
    let results = log.accepted.iter().map(|(task, blob)| (task.range.start() / 3, *blob));
    let mut rounds: BTreeMap<u32, Vec<BlobRef>> = BTreeMap::new();
    results.for_each(|(round, blob)| rounds.entry(round).or_default().push(blob));
    rounds
}

#[test]
fn each_round_follows_from_the_results_of_the_one_before_and_from_the_log_alone() {
    let script = Rounds { rounds: 4, width: 3 };
    let mut whole = World::new(script.clone()).with(&HONEST);
    whole.log_is.delay_ms_max = 700;
    whole.run();
    let Some(End::Proved(outcome)) = &whole.end else { panic!("{:?}", whole.end) };
    let rounds = results_by_round(&whole);
    assert_eq!(rounds[&3], *outcome);
    for length in 0..=whole.log.len() {
        let log = &whole.log[..length];
        let mut world = World::resumed(script.clone(), config(), log, whole.disks[length].clone());
        world = world.with(&HONEST);
        world.run();
        assert!(matches!(&world.end, Some(End::Proved(_))), "{length}: {:?}", world.end);
        let done = |event: &&JobEvent<()>| matches!(event, JobEvent::ResultAccepted { .. });
        assert_eq!(world.log.iter().filter(done).count(), 12, "{length}: nothing is redone");
        // Rounds that were full in the log are those of the whole.
        let full = log.iter().filter(done).count() / 3;
        for round in 0..full as u32 {
            assert_eq!(results_by_round(&world)[&round], rounds[&round], "{length}");
        }
    }
}

#[test]
fn a_result_that_is_lost_voids_the_rounds_after_it_and_a_resumed_job_names_the_same_again() {
    let script = Rounds { rounds: 3, width: 2 };
    let mut world = World::new(script.clone()).with(&HONEST);
    world.begin();
    world.go_on_until(|world| world.core.state().accepted.len() == 3);
    let (first, blob) = world.core.state().accepted.first_key_value().unwrap();
    let (first, blob) = (*first, *blob);
    world.lose(blob);
    world.tell(Event::Looked { blobs: vec![blob], gone: vec![blob.reference], pins: vec![] });
    world.go_on_until(|world| world.core.state().accepted.contains_key(&first));
    world.go_on_until(|world| world.core.state().accepted.len() == 5);
    let (log, disk) = (world.log.clone(), world.disk.clone());
    world.go_on_until(|_| false);
    assert!(matches!(&world.end, Some(End::Proved(_))), "{:?}", world.end);
    let named = |log: &[JobEvent<()>]| {
        let replayed = taken_up(&script, log).replay().unwrap();
        assert!(replayed.refused.is_empty(), "{:?}", replayed.refused);
        replayed.plan.live_blobs()
    };
    assert_eq!(named(&world.log), world.core.live_blobs());
    let mut resumed = World::resumed(script.clone(), config(), &log, disk).with(&HONEST);
    resumed.run();
    assert!(matches!(&resumed.end, Some(End::Proved(_))), "{:?}", resumed.end);
    assert!(script.next_input(&taken_up(&script, &[]).replay().unwrap().plan).is_none());
}
