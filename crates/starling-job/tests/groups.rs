//! Results that count for now: judged in groups later, and taken back where they prove false.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use starling_job::{End, Event, JobEvent, Note};
use starling_plan::{MergesPlan, Plan as _};
use starling_sched::RevokeReason;
use starling_types::{BlobRef, Epoch, IndexRange, NodeId, Reference, Task};
use world::*;

const LIAR: NodeId = NodeId([2; 32]);

/// A liar, and two that merge in good faith what it made.
const HABITS: [Habit; 3] = [Habit::Honest, Habit::Lying, Habit::Honest];

fn finish() -> Task {
    Task { kind: MergesPlan::FINISH, range: IndexRange::single(0) }
}

fn is_proved(world: &World<Merges>) -> bool {
    matches!(&world.end, Some(End::Proved(blob)) if *blob == result_of(finish(), 0, 0))
}

/// A job whose group checks take so long that what is false is merged meanwhile.
fn slowly_judged(count: u32) -> World<Merges> {
    let mut world = World::new(Merges(count)).with(&HABITS);
    world.group_ms = Some(60_000);
    world
}

/// The accepted results of a log: what of, what, whose.
fn accepted(log: &[JobEvent<()>]) -> impl Iterator<Item = (Task, BlobRef, NodeId)> {
    log.iter().filter_map(|event| match event {
        JobEvent::ResultAccepted { task, blob, node, is_provisional } => {
            assert!(is_provisional);
            Some((*task, *blob, *node))
        }
        _ => None,
    })
}

fn confirmed(log: &[JobEvent<()>]) -> BTreeSet<Task> {
    let task = |event: &JobEvent<()>| match event {
        JobEvent::ResultConfirmed { task } => Some(*task),
        _ => None,
    };
    log.iter().filter_map(task).collect()
}

fn names(blobs: Vec<BlobRef>) -> BTreeSet<Reference> {
    blobs.into_iter().map(|blob| blob.reference).collect()
}

#[test]
fn what_proves_false_is_made_again_with_all_that_was_made_of_it_and_only_its_maker_is_dismissed() {
    let mut world = slowly_judged(12);
    world.run();
    assert!(is_proved(&world), "{:?}", world.end);
    assert_eq!(world.dismissed, [LIAR]);
    let in_good_faith =
        |(_, blob, node): &(Task, BlobRef, NodeId)| is_false(*blob) && *node != LIAR;
    let merged = accepted(&world.log).filter(in_good_faith).count();
    assert!(merged > 0, "others made something of what is false");
    let blames = |note: &&Note| matches!(note, Note::ProvedFalse { .. });
    assert!(world.notes.iter().any(|note| blames(&note)));
    let is_made_up = |note: &Note| matches!(note, Note::ProvedFalse { node, .. } if *node != LIAR);
    assert!(!world.notes.iter().any(is_made_up));
}

#[test]
fn nothing_is_delivered_before_all_of_it_counts_for_good() {
    let mut world = World::new(Merges(7)).with(&[Habit::Honest; 3]);
    world.group_ms = None;
    world.begin();
    world.go_on_until(|world| world.core.plan().is_accepted(finish()));
    assert!(world.end.is_none() && world.group.is_some());
    while world.end.is_none() {
        world.go_on_until(|world| world.group.is_some());
        world.judge_group();
        world.go_on_until(|world| world.group.is_some());
    }
    assert!(is_proved(&world), "{:?}", world.end);
    let all: BTreeSet<Task> = accepted(&world.log).map(|(task, ..)| task).collect();
    assert_eq!(confirmed(&world.log), all);
}

#[test]
fn a_job_killed_at_any_event_of_its_log_judges_what_counts_for_now_and_redoes_nothing_confirmed() {
    let mut whole = slowly_judged(9);
    whole.run();
    assert!(is_proved(&whole), "{:?}", whole.end);
    for length in 0..=whole.log.len() {
        let (log, disk) = (&whole.log[..length], whole.disks[length].clone());
        let mut world = World::resumed(Merges(9), config(), log, disk).with(&HABITS);
        world.run();
        assert!(is_proved(&world), "{length}: {:?}", world.end);
        assert!(world.dismissed.iter().all(|node| *node == LIAR), "{length}");
        let sound = confirmed(log);
        let redone: Vec<_> =
            world.granted.iter().filter(|(_, task)| sound.contains(task)).collect();
        assert!(redone.is_empty(), "{length}: {redone:?}");
        let replayed = taken_up(&Merges(9), &world.log).replay().unwrap();
        assert_eq!(replayed.plan.outcome(), Some(result_of(finish(), 0, 0)), "{length}");
    }
}

/// A liar whose client is killed before the group is judged is found by the next run.
#[test]
fn who_lied_to_an_earlier_run_is_dismissed_by_this_one() {
    let mut before = World::new(Merges(6)).with(&HABITS);
    before.group_ms = None;
    before.begin();
    before.go_on_until(|world| world.group.is_some());
    assert!(before.dismissed.is_empty());
    let mut world = World::resumed(Merges(6), config(), &before.log, before.disk.clone());
    world = world.with(&[Habit::Honest; 3]);
    world.run();
    assert!(is_proved(&world), "{:?}", world.end);
    assert_eq!(world.dismissed, [LIAR], "it has learnt better too late");
}

#[test]
fn however_late_the_log_and_the_groups_are_it_replays_to_the_plan_that_there_is() {
    for (delay_ms_max, group_ms) in [(0, 1), (500, 30_000), (5_000, 1), (30_000, 10_000)] {
        let mut world = World::new(Merges(10)).with(&HABITS);
        (world.log_is.delay_ms_max, world.group_ms) = (delay_ms_max, Some(group_ms));
        world.begin();
        world.go_on_until(|world| {
            let replayed = world.core.state().replay().unwrap();
            let at = world.now;
            assert_eq!(names(replayed.plan.live_blobs()), names(world.core.live_blobs()), "{at}");
            false
        });
        assert!(is_proved(&world), "{delay_ms_max} {group_ms}: {:?}", world.end);
        assert_eq!(world.dismissed, [LIAR]);
    }
}

#[test]
fn a_merge_of_what_proves_false_is_taken_back_from_its_node_and_its_result_counts_for_nothing() {
    let mut world = World::new(Merges(6)).with(&HABITS);
    world.group_ms = None;
    world.begin();
    let merges = |world: &World<Merges>| {
        world.granted.iter().filter(|(_, task)| task.kind == MergesPlan::MERGE).count()
    };
    world.go_on_until(|world| world.group.is_some() && merges(world) == 2);
    let (_, members) = world.group.clone().unwrap();
    let false_leaf = members.iter().find(|(_, blob)| is_false(*blob)).unwrap().0;
    world.judge_group();
    world.go_on_until(|world| !world.core.plan().is_accepted(false_leaf));
    let is_taken_back =
        |(_, _, reason): &&(NodeId, Epoch, RevokeReason)| *reason == RevokeReason::InputRevoked;
    assert!(world.revoked.iter().filter(is_taken_back).count() > 0, "{:?}", world.revoked);
    assert!(world.group.is_none(), "what is left is not a group");
    world.group_ms = Some(1_000);
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
}

#[test]
fn a_late_verdict_says_nothing_of_a_result_that_was_made_again_meanwhile() {
    let mut world = World::new(Merges(6)).with(&HABITS);
    world.group_ms = None;
    world.begin();
    world.go_on_until(|world| world.group.is_some());
    let (_, members) = world.group.clone().unwrap();
    let (task, blob) = *members.iter().find(|(_, blob)| is_false(*blob)).unwrap();
    world.turn(2, Habit::Honest);
    world.lose(blob);
    world.tell(Event::Looked { blobs: vec![blob], gone: vec![blob.reference], pins: vec![] });
    world.go_on_until(|world| {
        world.core.state().accepted.get(&task) == Some(&result_of(task, 0, 0))
    });
    // It is of the false one, which is gone.
    world.judge_group();
    world.group_ms = Some(1_000);
    world.go_on_until(|world| world.core.record_count() == 0);
    assert!(world.core.plan().is_accepted(task));
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
    let grants = world.granted.iter().filter(|(_, granted)| *granted == task).count();
    assert_eq!(grants, 2, "it was made again once");
}

#[test]
fn a_result_that_counts_for_now_and_is_gone_is_made_again_though_it_was_merged() {
    let mut world = World::new(Merges(3)).with(&[Habit::Honest; 3]);
    world.group_ms = None;
    world.begin();
    world.go_on_until(|world| world.group.is_some());
    let (group, members) = world.group.clone().unwrap();
    let (task, blob) = members[1];
    assert_eq!(members.len(), 4, "the leaves, and the merge that has consumed them");
    world.lose(blob);
    let (false_ones, lost) = (BTreeSet::new(), Some(blob.reference));
    world.group = None;
    world.group_ms = Some(1_000);
    world.tell(Event::GroupChecked { group, judged: 1, false_ones, lost });
    world.go_on_until(|world| !world.core.plan().is_accepted(task));
    assert_eq!(confirmed(&world.log), [members[0].0].into());
    world.go_on_until(|_| false);
    assert!(is_proved(&world), "{:?}", world.end);
    assert!(world.dismissed.is_empty(), "nobody is to blame");
}

#[test]
fn a_job_that_is_stopped_while_a_group_is_checked_ends_and_its_next_run_checks_it() {
    let mut world = World::new(Merges(6)).with(&HABITS);
    world.group_ms = None;
    world.begin();
    world.go_on_until(|world| world.group.is_some());
    world.tell(Event::Stop);
    world.go_on_until(|_| false);
    assert!(matches!(world.end, Some(End::Stopped)), "{:?}", world.end);
    let length = world.log.len();
    world.judge_group();
    assert_eq!(world.log.len(), length, "a verdict that comes after the end is not heard");
    let mut next = World::resumed(Merges(6), config(), &world.log, world.disk.clone());
    next = next.with(&HABITS);
    next.run();
    assert!(is_proved(&next), "{:?}", next.end);
    assert_eq!(next.dismissed, [LIAR]);
}
