//! What is lost, damaged, or told otherwise the second time.
#![allow(clippy::unwrap_used)]

mod world;

use starling_job::{ConnectionId, End, Event, JobEvent, Note, Word};
use starling_types::{BlobRef, FailureClass, Incarnation, Reference, Task, TaskId, TaskKind};
use world::*;

const HONEST: [Habit; 2] = [Habit::Honest; 2];

fn is_proved(world: &World<Segments>, count: u32) -> bool {
    matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(count))
}

fn lost(world: &World<Segments>) -> Vec<Reference> {
    let lost = |note: &Note| match note {
        Note::Lost { blob } => Some(*blob),
        _ => None,
    };
    world.notes.iter().filter_map(lost).collect()
}

/// A job whose source has run to its end, with nobody to prove anything.
fn executed(count: u32) -> World<Segments> {
    let mut world = World::new(Segments::new(count));
    world.begin();
    world.go_on_until(|world| world.notes.contains(&Note::SourceEnded));
    world.go_on_until(|world| world.core.record_count() == 0);
    world
}

fn lift(index: u32) -> BlobRef {
    result_of(TaskId::Lift(index).into(), 0, 0)
}

#[test]
fn a_segment_that_is_lost_in_mid_run_is_made_again_by_running_the_source_again_and_the_job_goes_on()
{
    let mut world = executed(4);
    world.lose(made_here(0, 2));
    world = world.with(&HONEST);
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 4), "{:?}", world.end);
    assert_eq!(world.source_runs, 2);
    assert_eq!(lost(&world), [made_here(0, 2).reference]);
    assert!(world.notes.contains(&Note::Found { blob: made_here(0, 2).reference }));
}

#[test]
fn a_damaged_input_is_found_on_the_first_blame_and_withheld_until_it_is_there_again() {
    let mut world = executed(1);
    world.lose(made_here(0, 0));
    world.add(1, Habit::Honest);
    world.add(2, Habit::Honest);
    world.go_on_until(|world| !lost(world).is_empty());
    assert_eq!(world.judged, 0, "one word is enough to look");
    let given = world.granted.len();
    world.go_on_until(|world| {
        world.notes.contains(&Note::Found { blob: made_here(0, 0).reference })
    });
    assert_eq!(world.granted.len(), given, "nobody is given what is not there");
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 1), "{:?}", world.end);
}

#[test]
fn a_blame_for_a_sound_input_costs_a_look_and_nothing_else() {
    let mut world = executed(1);
    world.add(1, Habit::Hung);
    world.go_on_until(|world| !world.granted.is_empty());
    let epoch = world.last_epoch;
    let (connection, looks) = (world.connection(1), world.looks);
    let failure = starling_sched::TaskFailure {
        class: starling_types::FailureClass::Input,
        message: "not served".into(),
    };
    for other in [epoch, starling_types::Epoch(77)] {
        let word = starling_job::Word::Failed { epoch: other, failure: failure.clone() };
        world.tell(Event::NodeSaid { node: node(1), connection, word });
    }
    assert_eq!(world.looks, looks + 1, "of a lease that it does not have nothing is looked at");
    let is_told = |note: &&Note| matches!(note, Note::Failed { .. });
    assert_eq!(world.notes.iter().filter(is_told).count(), 1, "nor is anybody told");
    world.add(2, Habit::Honest);
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 1) && lost(&world).is_empty() && world.source_runs == 1);
}

/// A job of whose nodes so many have proved something, and refuse whatever they are given from then on.
fn turned(nodes: u8, class: FailureClass) -> World<Segments> {
    let mut world = executed(40);
    (1..=nodes).for_each(|name| world.add(name, Habit::Honest));
    world.go_on_until(|world| world.core.state().receipts_by_node.len() == usize::from(nodes));
    (1..=nodes).for_each(|name| world.turn(name, Habit::Refusing(class)));
    world
}

/// What was said of tasks that nodes call impossible and nothing is wrong with.
fn disbelieved(world: &World<Segments>) -> Vec<Task> {
    let said = |note: &Note| match note {
        Note::Disbelieved { task, message, .. } => {
            assert_eq!(message, REFUSAL);
            Some(*task)
        }
        _ => None,
    };
    world.notes.iter().filter_map(said).collect()
}

#[test]
fn what_proven_nodes_say_of_a_task_ends_no_job_while_another_proves_it() {
    for nodes in [3, 30] {
        let mut world = turned(nodes, FailureClass::Task);
        world.add(100, Habit::Honest);
        world.go_on_until(|_| false);
        assert!(is_proved(&world, 40), "{nodes}: {:?}", world.end);
        let said = disbelieved(&world);
        let each: std::collections::BTreeSet<_> = said.iter().collect();
        assert!(!said.is_empty() && each.len() == said.len(), "once of each task: {said:?}");
        assert!(world.dismissed.is_empty(), "nobody is shown to lie");
    }
}

#[test]
fn a_job_that_is_alone_with_nodes_that_call_a_task_impossible_ends_by_patience_and_says_what_they_said()
 {
    for nodes in [3, 30] {
        let mut world = turned(nodes, FailureClass::Task);
        world.go_on_until(|_| false);
        let Some(End::NoCapacity { waited, reason }) = &world.end else {
            panic!("{nodes}: {:?}", world.end)
        };
        assert_eq!(*waited, config().node_wait);
        assert!(reason.to_string().ends_with(REFUSAL), "{reason}");
        assert!(!world.log.iter().any(|event| matches!(event, JobEvent::Failed { .. })));
        // The next run of it asks them anew.
        let mut world = World::resumed(Segments::new(40), config(), &world.log, world.disk.clone());
        world.add(1, Habit::Honest);
        world.run();
        assert!(is_proved(&world, 40), "{nodes}: {:?}", world.end);
    }
}

/// Nothing is said of the task by those who can't have its inputs: they are asked again for as long as there is another.
#[test]
fn what_nodes_cannot_fetch_ends_no_job_while_another_does_it() {
    let mut world = turned(3, FailureClass::Input);
    world.go_on_until(|world| world.judged > 1);
    world.add(4, Habit::Honest);
    world.go_on_until(|_| false);
    assert!(disbelieved(&world).is_empty());
    assert!(is_proved(&world, 40), "{:?}", world.end);
}

#[test]
fn a_job_whose_only_nodes_fail_at_all_that_they_get_ends_by_patience_and_says_what_they_said() {
    for class in [FailureClass::Node, FailureClass::Input, FailureClass::Task] {
        for nodes in 1..=3 {
            let mut world = turned(nodes, class);
            world.go_on_until(|_| false);
            let Some(End::NoCapacity { waited, reason }) = &world.end else {
                panic!("{nodes}, {class:?}: {:?}", world.end)
            };
            assert!(reason.to_string().ends_with(REFUSAL), "{reason}");
            assert!(*waited >= config().node_wait);
            // The next run of it asks them anew.
            let disk = world.disk.clone();
            let mut world = World::resumed(Segments::new(40), config(), &world.log, disk);
            world.add(1, Habit::Honest);
            world.run();
            assert!(is_proved(&world, 40), "{nodes}, {class:?}: {:?}", world.end);
        }
    }
}

#[test]
fn nodes_that_refuse_inputs_which_cannot_be_read_now_are_not_disbelieved() {
    let mut world = turned(3, FailureClass::Task);
    world.is_readable = false;
    world.go_on_until(|world| world.judged > 3);
    assert!(disbelieved(&world).is_empty());
    assert!(world.notes.iter().all(|note| !matches!(note, Note::Judged { is_whole: true, .. })));
    world.is_readable = true;
    (1..=3).for_each(|name| world.turn(name, Habit::Honest));
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 40), "they are asked as before: {:?}", world.end);
}

#[test]
fn what_a_resumed_job_lost_meanwhile_is_made_again_and_no_more() {
    let mut whole = World::new(Segments::new(4)).with(&HONEST);
    // A disk that keeps whatever was there.
    whole.collects = false;
    whole.run();
    // Before the last join, after which the log says that all is done.
    let length = whole.log.len() - 2;
    let last = &whole.log[length];
    assert!(matches!(last, JobEvent::ResultAccepted { .. }), "{last:?}");
    let log = &whole.log[..length];
    let is_join = |event: &&JobEvent<Piece>| matches!(event, JobEvent::ResultAccepted { task, .. } if task.kind == TaskKind::Join.code());
    let JobEvent::ResultAccepted { task, blob, .. } = log.iter().rfind(is_join).unwrap() else {
        panic!()
    };
    let mut world = World::resumed(Segments::new(4), config(), log, whole.disk.clone());
    world.lose(*blob);
    // Of what the join was made of, one more is gone.
    world.lose(lift(task.range.start()));
    world = world.with(&HONEST);
    world.run();
    assert!(is_proved(&world, 4), "{:?}", world.end);
    assert_eq!(lost(&world), [blob.reference, lift(task.range.start()).reference]);
    let redone = world.granted.iter().filter(|(_, done)| done.kind == TaskKind::Lift.code());
    assert_eq!(redone.count(), 1, "the other lift is still there");
    assert_eq!(world.source_runs, 0, "its segment is there as well");
}

#[test]
fn losses_are_in_the_log_so_that_it_says_the_same_again() {
    let mut whole = World::new(Segments::new(3)).with(&HONEST);
    whole.collects = false;
    whole.run();
    let root = result_of(TaskId::Join(starling_types::IndexRange::new(0, 3).unwrap()).into(), 0, 0);
    let mut world = World::resumed(Segments::new(3), config(), &whole.log, whole.disk.clone());
    world.lose(root);
    world = world.with(&HONEST);
    world.run();
    assert!(is_proved(&world, 3), "a complete job whose receipt is gone: {:?}", world.end);
    assert_eq!(world.granted.len(), 1, "{:?}", world.granted);
    assert!(world.log.contains(&JobEvent::ResultLost { blob: root.reference }));
    let replayed = taken_up(&Segments::new(3), &world.log).replay().unwrap();
    assert!(replayed.refused.is_empty(), "{:?}", replayed.refused);
}

#[test]
fn a_journal_that_is_gone_is_made_again_before_a_complete_job_is_delivered() {
    let mut whole = World::new(Segments::new(2)).with(&HONEST);
    whole.run();
    let mut world = World::resumed(Segments::new(2), config(), &whole.log, whole.disk.clone());
    world.lose(made_here(0, u32::MAX));
    world.run();
    assert!(is_proved(&world, 2), "{:?}", world.end);
    assert_eq!((world.source_runs, world.granted.len()), (1, 0));
}

#[test]
fn a_source_that_never_gives_back_what_is_lost_ends_the_job_with_the_blob_that_is_missing() {
    let mut world = executed(3);
    world.lose(made_here(0, 1));
    let found = |world: &World<Segments>| {
        world.notes.iter().filter(|note| matches!(note, Note::Found { .. })).count()
    };
    // The disk loses it again each time that it is there.
    while world.end.is_none() {
        let before = found(&world);
        let (blobs, gone) = (vec![made_here(0, 1)], vec![made_here(0, 1).reference]);
        world.tell(Event::Looked { blobs, gone, pins: vec![] });
        world.go_on_until(|world| found(world) > before);
    }
    assert_eq!(found(&world), 3);
    assert!(
        matches!(world.end, Some(End::BlobMissing { blob }) if blob == made_here(0, 1).reference),
        "{:?}",
        world.end
    );
}

/// A job whose client was killed while its source ran, with some results accepted.
fn killed_in_mid_execution() -> World<Segments> {
    let mut world = World::new(Segments::new(20)).with(&HONEST);
    world.begin();
    world.go_on_until(|world| world.accepted_count() >= 2);
    assert!(!world.notes.contains(&Note::SourceEnded));
    world
}

#[test]
fn a_source_that_tells_the_same_again_costs_no_result() {
    let first = killed_in_mid_execution();
    let mut world = World::resumed(Segments::new(20), config(), &first.log, first.disk);
    world = world.with(&HONEST);
    world.run();
    assert!(is_proved(&world, 20), "{:?}", world.end);
    let leaf = |task: &starling_types::Task| task.kind == TaskKind::Lift.code();
    assert_eq!(world.granted.iter().filter(|(_, task)| leaf(task)).count(), 18);
}

#[test]
fn a_source_that_diverges_starts_the_job_over_once_and_keeps_its_nodes() {
    let first = killed_in_mid_execution();
    let mut world = World::resumed(Segments::new(20), config(), &first.log, first.disk);
    world.stories = vec![1];
    world = world.with(&[Habit::Honest, Habit::Hung]);
    world.log_is.delay_ms_max = 200;
    world.run();
    assert!(is_proved(&world, 20), "{:?}", world.end);
    let restarts = world.log.iter().filter(|event| matches!(event, JobEvent::Restarted { .. }));
    assert_eq!(restarts.count(), 1);
    assert_eq!(world.voided, [node(1), node(2)], "told that their leases are void, and kept");
    assert_eq!(world.core.status().node_count, 2);
    assert_eq!(world.core.state().incarnation, Incarnation(3));
    assert_eq!(world.accepted_count(), 39, "what was accepted before does not count");
}

#[test]
fn a_request_that_stands_when_a_job_starts_over_stands_after_it_though_a_lease_was_granted_ahead() {
    let first = killed_in_mid_execution();
    let mut ahead = config();
    ahead.scheduler.leases_ahead = true;
    let mut world = World::resumed(Segments::new(20), ahead, &first.log, first.disk);
    world.stories = vec![1];
    world.begin();
    let said = |word| Event::NodeSaid { node: node(9), connection: ConnectionId(99), word };
    // Two slots, and memory for one task.
    let memory = starling_types::MemoryBytes::from_mib(150);
    let capability = starling_types::Capability { slots: 2, memory, ..capability() };
    let connection = ConnectionId(99);
    world.tell(Event::NodeConnected { node: node(9), connection, capability });
    world.go_on_until(|world| !world.core.is_looking_back());
    world.tell(said(Word::WorkRequested));
    let (epoch, (_, task)) = (world.last_epoch, world.granted[0]);
    world.tell(said(Word::Done { epoch, blob: result_of(task, 0, 0) }));
    let before = world.accepted_count();
    world.go_on_until(|world| world.accepted_count() > before);
    for _ in 0..2 {
        world.tell(said(Word::WorkRequested));
    }
    assert_eq!(world.granted.len(), 3, "one more for its memory, and one ahead");
    world.go_on_until(|world| !world.voided.is_empty());
    world.go_on_until(|world| world.granted.len() > 3);
    assert_eq!(world.granted[3].0, node(9), "it is still there, and has asked");
}

#[test]
fn a_source_that_never_repeats_itself_ends_the_job() {
    let first = killed_in_mid_execution();
    let mut world = World::resumed(Segments::new(20), config(), &first.log, first.disk);
    world.stories = vec![1, 1, 2];
    world.begin();
    world.go_on_until(|world| world.source_runs == 2 && world.notes.contains(&Note::SourceEnded));
    world.go_on_until(|world| world.core.record_count() == 0);
    let (blobs, gone) = (vec![made_here(1, 0)], vec![made_here(1, 0).reference]);
    world.tell(Event::Looked { blobs, gone, pins: vec![] });
    world.go_on_until(|_| false);
    assert!(matches!(world.end, Some(End::Diverged { .. })), "{:?}", world.end);
}

#[test]
fn a_resumed_job_looks_at_what_an_earlier_run_left_and_can_be_stopped_while_a_new_one_has_nothing_to_look_at()
 {
    let mut new = World::new(Segments::new(4)).with(&HONEST);
    new.begin();
    assert!(!new.core.is_looking_back());
    // What a job is asked with is looked at as well, and is of no earlier run.
    let mut new = World::new(Merges(4)).with(&HONEST);
    new.begin();
    assert!(new.looks == 1 && !new.core.is_looking_back());

    let before = executed(4);
    let resumed = || {
        let disk = before.disk.clone();
        let mut world = World::resumed(Segments::new(4), config(), &before.log, disk);
        world.begin();
        assert!(world.core.is_looking_back());
        world
    };
    let mut world = resumed().with(&HONEST);
    world.go_on_until(|world| !world.granted.is_empty());
    assert!(!world.core.is_looking_back());
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 4), "{:?}", world.end);
    let mut world = resumed();
    world.tell(Event::Stop);
    assert!(matches!(world.end, Some(End::Stopped)), "{:?}", world.end);
}
