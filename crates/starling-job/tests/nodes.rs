//! How nodes come, lie, hang and go.
#![allow(clippy::unwrap_used)]

mod world;

use starling_job::{Config, ConnectionId, End, Event, Note, Verdict, Word};
use starling_sched::WaitReason;
use starling_types::{FailureClass, Millis};
use world::*;

fn is_proved(world: &World<Segments>, count: u32) -> bool {
    matches!(&world.end, Some(End::Proved(outcome)) if *outcome == proved(count))
}

#[test]
fn an_old_connection_of_a_node_that_has_come_back_says_nothing() {
    let mut world = World::new(Segments::new(1)).with(&[Habit::Hung]);
    world.begin();
    world.go_on_until(|world| !world.granted.is_empty());
    let old = world.connection(1);
    let new = ConnectionId(old.0 + 1);
    world.tell(Event::NodeConnected { node: node(1), connection: new, capability: capability() });
    let grants = world.granted.len();
    // What was on its way when the connection broke, and the news that it did.
    let asked = Word::WorkRequested;
    world.tell(Event::NodeSaid { node: node(1), connection: old, word: asked.clone() });
    world.tell(Event::NodeGone { node: node(1), connection: old });
    world.tell(Event::NodeConnected { node: node(1), connection: old, capability: capability() });
    assert_eq!(world.core.status().node_count, 1, "the node is there");
    assert_eq!(world.granted.len(), grants, "it asked over a connection that is gone");
    world.tell(Event::NodeSaid { node: node(1), connection: new, word: asked });
    // It has not taken up what it left with, and waits for that.
    world.go_on_until(|world| world.granted.len() > grants);
    assert_eq!(world.granted.len(), grants + 1);
    world.tell(Event::NodeGone { node: node(1), connection: new });
    assert_eq!(world.core.status().node_count, 0);
}

#[test]
fn a_liar_and_nodes_that_hang_or_leave_cost_time_and_not_the_job() {
    let habits = [Habit::Lying, Habit::Hung, Habit::Leaving, Habit::Honest];
    let mut world = World::new(Segments::new(6)).with(&habits);
    world.log_is.delay_ms_max = 300;
    world.run();
    assert!(is_proved(&world, 6), "{:?}", world.end);
    let refused = |note: &&Note| matches!(note, Note::Refused { .. });
    assert_eq!(world.notes.iter().filter(refused).count(), 1, "the liar lies once");
}

#[test]
fn two_results_of_one_task_are_logged_once_while_the_first_is_on_its_way_to_the_log() {
    let mut world = World::new(Segments::new(1)).with(&[Habit::Hung]);
    world.log_is.delay_ms_max = 5_000;
    world.begin();
    world.go_on_until(|world| world.granted.len() == 1);
    let first = world.last_epoch;
    world.add(2, Habit::Hung);
    world.go_on_until(|world| world.granted.len() == 2);
    let second = world.last_epoch;
    let (_, task) = world.granted[0];
    for (name, epoch) in [(1, first), (2, second)] {
        let word = Word::Done { epoch, blob: result_of(task, 0, 0) };
        let connection = world.connection(name);
        world.tell(Event::NodeSaid { node: node(name), connection, word });
    }
    assert_eq!(world.checks, 2, "the first one's lease had expired, and its result is as good");
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 1), "{:?}", world.end);
    let accepted = |event: &&_| matches!(event, starling_job::JobEvent::ResultAccepted { .. });
    assert_eq!(world.log.iter().filter(accepted).count(), 1);
}

#[test]
fn a_job_that_nobody_takes_ends_when_its_patience_does_and_not_before() {
    let mut world = World::new(Segments::new(2));
    world.run();
    match &world.end {
        Some(End::NoCapacity { waited, reason: WaitReason::NoNodes }) => {
            assert_eq!(*waited, Millis(120_000));
        }
        end => panic!("{end:?}"),
    }
    // A node in time.
    let mut world = World::new(Segments::new(2));
    world.add_later(1, Habit::Honest, 100_000);
    world.run();
    assert!(is_proved(&world, 2), "{:?}", world.end);
}

/// How long it waited, and for what, when it ended for want of nodes.
fn waited(world: &World<Segments>) -> (Millis, WaitReason) {
    match &world.end {
        Some(End::NoCapacity { waited, reason }) => (*waited, reason.clone()),
        end => panic!("{end:?}"),
    }
}

#[test]
fn a_connected_node_that_never_asks_for_work_is_nobody_to_wait_for() {
    let mut world = World::new(Segments::new(2)).with(&[Habit::Silent]);
    world.run();
    let reason = WaitReason::NobodyWorks { nodes: 1, grants: 0 };
    assert_eq!(waited(&world), (Millis(120_000), reason));
}

#[test]
fn nodes_that_only_decline_and_those_that_take_work_and_do_none_are_nobody_to_wait_for() {
    for (habit, late_ms) in [(Habit::Declining, 60_000), (Habit::Hung, 20_000)] {
        let mut world = World::new(Segments::new(2)).with(&[habit, Habit::Silent]);
        world.run();
        let (waited, reason) = waited(&world);
        assert!((120_000..=120_000 + late_ms).contains(&waited.0), "{habit:?}: {waited}");
        let WaitReason::NobodyWorks { nodes: 2, grants } = reason else { panic!("{reason}") };
        assert!(grants > 0, "{habit:?}");
    }
}

#[test]
fn many_nodes_that_do_nothing_one_after_the_other_are_waited_for_no_longer_than_one() {
    // One lease or another always stands that nobody has said anything of yet.
    for (habit, count) in [(Habit::Declining, 64), (Habit::Mute, 8)] {
        let mut world = World::new(Segments::new(2)).with(&vec![habit; count]);
        world.begin();
        world.go_on_until(|world| world.now >= Millis(600_000));
        let (waited, reason) = waited(&world);
        assert!((120_000..=140_000).contains(&waited.0), "{habit:?}: {waited}");
        assert!(matches!(reason, WaitReason::NobodyWorks { grants: 3.., .. }), "{reason}");
    }
}

#[test]
fn a_node_that_was_given_work_just_before_patience_ends_has_its_time_to_begin() {
    let mut world = World::new(Segments::new(2)).with(&[Habit::Silent]);
    world.add_later(2, Habit::Slow, 119_000);
    world.run();
    assert!(is_proved(&world, 2), "{:?}", world.end);
}

#[test]
fn a_node_that_only_fails_at_tasks_is_nobody_to_wait_for_whatever_it_says() {
    for class in [FailureClass::Input, FailureClass::Node] {
        let mut world = World::new(Segments::new(2)).with(&[Habit::Refusing(class)]);
        world.begin();
        world.go_on_until(|world| world.now >= Millis(600_000));
        assert!(matches!(world.end, Some(End::NoCapacity { .. })), "{class:?}: {:?}", world.end);
    }
}

#[test]
fn a_node_that_comes_and_goes_and_does_nothing_is_nobody_to_wait_for() {
    let mut world = World::new(Segments::new(2)).with(&[Habit::Silent]);
    world.begin();
    world.go_on_until(|world| world.now >= Millis(2_000));
    for round in 1..=2 {
        // Nothing else happens meanwhile.
        world.now = Millis(round * 40_000);
        let first = world.connection(1).0;
        let connection = ConnectionId(first + round - 1);
        world.tell(Event::NodeGone { node: node(1), connection });
        let connection = ConnectionId(first + round);
        world.tell(Event::NodeConnected { node: node(1), connection, capability: capability() });
    }
    world.go_on_until(|_| false);
    assert_eq!(waited(&world).0, Millis(120_000));
}

#[test]
fn a_node_that_works_on_one_task_for_long_is_waited_for() {
    let mut world = World::new(Segments::new(2)).with(&[Habit::Slow, Habit::Silent]);
    world.run();
    assert!(is_proved(&world, 2), "{:?}", world.end);
    assert!(world.now > Millis(5 * 120_000), "it took long: {}", world.now);
}

#[test]
fn nodes_that_work_for_other_jobs_of_the_client_are_waited_for_as_long_as_they_do() {
    let mut world = World::new(Segments::new(2)).with(&[Habit::Silent]);
    world.begin();
    world.go_on_until(|world| world.now >= Millis(2_000));
    for round in 1..=60 {
        // Nothing else happens meanwhile.
        world.now = Millis(round * 10_000);
        world.tell(Event::OthersServed);
    }
    assert!(world.end.is_none(), "{:?}", world.end);
    world.go_on_until(|_| false);
    assert_eq!((waited(&world).0, world.now), (Millis(120_000), Millis(720_000)));
}

#[test]
fn a_job_whose_own_source_takes_long_waits_for_nobody() {
    let mut world = World::new(Segments::new(2)).with(&[Habit::Silent]);
    world.room.source = 0;
    world.begin();
    world.go_on_until(|world| world.now >= Millis(1_000_000));
    assert!(world.end.is_none(), "there is nothing to be proved yet: {:?}", world.end);
    assert_eq!(world.core.waits(world.now), None);
}

#[test]
fn a_job_ends_at_its_time_limit_to_the_millisecond() {
    let limit = Millis(43_210);
    let config = Config { timeout: Some(limit), ..config() };
    let mut world = World::resumed(Segments::new(50), config, &[], Default::default());
    world = world.with(&[Habit::Honest]);
    world.run();
    assert!(
        matches!(world.end, Some(End::OutOfTime { limit: at }) if at == limit),
        "{:?}",
        world.end
    );
    assert_eq!(world.now, limit);
}

#[test]
fn a_lease_that_was_not_sent_is_granted_again_when_the_node_asks_and_not_before() {
    let mut world = World::new(Segments::new(1)).with(&[Habit::Hung]);
    world.begin();
    world.go_on_until(|world| world.granted.len() == 1);
    let (connection, epoch) = (world.connection(1), world.last_epoch);
    world.tell(Event::LeaseReturned { node: node(1), epoch });
    assert_eq!(world.granted.len(), 1, "another job has its slot");
    // It asked, and others had its slot before it was granted anything.
    let said = |word| Event::NodeSaid { node: node(1), connection, word };
    world.tell(said(Word::RequestsWithdrawn));
    world.tell(said(Word::WorkRequested));
    assert_eq!(world.granted.len(), 2);
}

/// A node whose result of the only task is being checked, and its lease.
fn reported() -> (World<Segments>, starling_types::Epoch) {
    let mut world = World::new(Segments::new(1)).with(&[Habit::Hung]);
    world.begin();
    world.go_on_until(|world| world.granted.len() == 1);
    let (epoch, (_, task)) = (world.last_epoch, world.granted[0]);
    let word = Word::Done { epoch, blob: result_of(task, 0, 0) };
    let connection = world.connection(1);
    world.tell(Event::NodeSaid { node: node(1), connection, word });
    assert_eq!(world.checks, 1);
    (world, epoch)
}

fn ours() -> Verdict<Segments> {
    Verdict::Ours { reason: "it was damaged on this disk".into() }
}

#[test]
fn a_result_that_comes_to_harm_here_is_checked_again_and_blames_nobody() {
    let (mut world, epoch) = reported();
    world.tell(Event::Checked { epoch, verdict: ours() });
    assert_eq!(world.checks, 2);
    assert!(!world.notes.iter().any(|note| matches!(note, Note::Unfetchable { .. })));
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 1), "the second check has found nothing: {:?}", world.end);
    assert_eq!(world.granted.len(), 1, "nobody had to make it again");
}

#[test]
fn a_check_that_breaks_again_and_again_is_given_up_and_the_task_goes_on() {
    let (mut world, epoch) = reported();
    while !world.notes.iter().any(|note| matches!(note, Note::Unfetchable { .. })) {
        assert!(world.checks <= 3, "it has an end");
        world.tell(Event::Checked { epoch, verdict: ours() });
    }
    assert_eq!(world.checks, 3);
    world.add(2, Habit::Honest);
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 1), "{:?}", world.end);
}

#[test]
fn to_find_no_room_for_a_result_is_no_harm_to_it() {
    let (mut world, epoch) = reported();
    world.room.results = 0;
    world.go_on_until(|world| world.checks > 5);
    world.tell(Event::Checked { epoch, verdict: ours() });
    assert!(!world.notes.iter().any(|note| matches!(note, Note::Unfetchable { .. })));
    world.room.results = usize::MAX;
    world.go_on_until(|_| false);
    assert!(is_proved(&world, 1), "{:?}", world.end);
    assert_eq!(world.granted.len(), 1, "nobody had to make it again");
}
