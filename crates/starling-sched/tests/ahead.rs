//! Leases ahead of a free slot: who gets them, when their time begins, and what they save.
#![allow(clippy::unwrap_used)]

mod common;
mod world;

use common::*;
use starling_sched::{Config, Lease, RevokeReason};
use starling_types::{Capability, Epoch, FailureClass, Millis, TaskId, TaskKind};
use world::{Habit, Job, World};

fn granting_ahead() -> Config {
    Config { leases_ahead: true, ..config() }
}

/// A job of so many segments of po2 13 (10 s each on the reference core), and node 1, which has proved the first of them and
/// works on the second.
fn proved_one(segment_count: usize) -> (Bench, Lease, Vec<Action>) {
    let mut bench = Bench::new(granting_ahead(), &vec![13; segment_count]);
    let first = bench.enter(1, capability(1000, 1000));
    bench.finish(1, first.epoch);
    let actions = bench.ask(1);
    let running = grants(&actions).into_iter().map(|(_, lease)| lease).find(|lease| !lease.ahead);
    (bench, running.expect("it works on"), actions)
}

fn ahead(actions: &[Action]) -> Option<Lease> {
    grants(actions).into_iter().map(|(_, lease)| lease).find(|lease| lease.ahead)
}

fn revoked(actions: &[Action], lease: &Lease) -> Option<RevokeReason> {
    actions.iter().find_map(|action| match action {
        Action::Revoke { epoch, reason, .. } if *epoch == lease.epoch => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_node_that_works_is_granted_one_lease_ahead_for_each_slot_once_it_has_proved_something() {
    let mut bench = Bench::new(granting_ahead(), &[13; 6]);
    let two_slots = Capability { slots: 2, ..capability(1000, 1000) };
    let first = bench.enter(1, two_slots);
    bench.join(2, capability(1000, 1000));
    assert_eq!(ahead(&bench.ask(1)), None, "it has proved nothing yet");
    let actions = bench.finish(1, first.epoch);
    assert_eq!(grants(&actions), [], "it has a slot to spare, and is about to ask");
    let actions = bench.ask(1);
    let (later, now): (Vec<_>, Vec<_>) =
        grants(&actions).into_iter().partition(|(_, lease)| lease.ahead);
    assert_eq!((now.len(), later.len()), (1, 2), "one that begins now, one ahead for each slot");
    assert_eq!(ahead(&bench.wait(1000)), None);
}

#[test]
fn what_somebody_could_begin_with_now_is_granted_to_nobody_ahead() {
    let (mut bench, _, actions) = proved_one(3);
    let lease = ahead(&actions).expect("nobody else is there");
    assert_eq!(named(lease.task), TaskId::Lift(2));
    bench.join(2, capability(1000, 10));
    let actions = bench.ask(2);
    assert_eq!(revoked(&actions, &lease), Some(RevokeReason::Replaced));
    let taken = grant_to(2, &actions).expect("it begins with it now");
    assert_eq!((taken.task, taken.ahead), (lease.task, false));
    assert_eq!(ahead(&bench.wait(1000)), None);
}

#[test]
fn what_was_granted_ahead_and_whose_input_is_lost_is_begun_by_nobody_until_it_is_found() {
    let (mut bench, _, actions) = proved_one(3);
    let lease = ahead(&actions).unwrap();
    let input = lease.inputs[0].blob.reference;
    bench.tell(Event::BlobLost { blob: input });
    bench.join(2, capability(1000, 10));
    assert_eq!(grants(&bench.ask(2)), []);
    let actions = bench.tell(Event::BlobFound { blob: input });
    assert_eq!(grant_to(2, &actions).expect("it is there again").task, lease.task);
}

#[test]
fn the_time_of_a_lease_ahead_begins_when_its_node_says_so() {
    let (mut bench, running, actions) = proved_one(3);
    let lease = ahead(&actions).unwrap();
    // The deadline is at least 30 s. Both are renewed; the node takes long over the first.
    for _ in 0..8 {
        bench.wait(10_000);
        bench.renew(1, running.epoch);
        let actions = bench.hold(1, lease.epoch);
        assert_eq!(revoked(&actions, &lease), None, "at {}", bench.now);
    }
    bench.finish(1, running.epoch);
    bench.renew(1, lease.epoch);
    // Too slow to back anything up, and it takes nothing else.
    let lifter = Capability { kinds: kinds(&[TaskKind::Lift]), ..capability(1000, 1) };
    bench.join(2, lifter);
    assert_eq!(grants(&bench.ask(2)), [], "it has begun: nobody takes it over");
    let mut actions = Vec::new();
    for _ in 0..3 {
        actions.extend(bench.wait(9_000));
        actions.extend(bench.renew(1, lease.epoch));
    }
    assert_eq!(revoked(&actions, &lease), None, "27 s after it began");
    assert_eq!(revoked(&bench.wait(4_000), &lease), Some(RevokeReason::DeadlinePassed));
}

#[test]
fn a_lease_ahead_that_is_not_renewed_goes_to_others_and_so_does_that_of_a_node_that_is_gone() {
    let (mut bench, running, actions) = proved_one(3);
    let lease = ahead(&actions).unwrap();
    bench.wait(15_000);
    bench.renew(1, running.epoch);
    let expired = |actions: &[Action]| {
        actions
            .iter()
            .any(|action| matches!(action, Action::Expired { epoch, .. } if *epoch == lease.epoch))
    };
    assert!(expired(&bench.wait(10_000)));
    let (mut bench, _, actions) = proved_one(3);
    assert!(ahead(&actions).is_some());
    assert!(expired(&bench.tell(Event::NodeLeft { node: node(1) })));
    assert_eq!(
        granted_tasks(&[bench.join(2, capability(1000, 1000)), bench.ask(2)].concat()).len(),
        1
    );
}

#[test]
fn a_node_that_comes_back_goes_on_with_what_it_was_granted_ahead() {
    let (mut bench, running, actions) = proved_one(3);
    let lease = ahead(&actions).unwrap();
    bench.tell(Event::NodeLeft { node: node(1) });
    bench.join(1, capability(1000, 1000));
    let actions = bench.hold(1, lease.epoch);
    assert!(
        matches!(&actions[..], [Action::Revived { epoch, .. }] if *epoch == lease.epoch),
        "{actions:?}"
    );
    assert_eq!(ahead(&bench.renew(1, running.epoch)), None, "it has one");
    bench.finish(1, running.epoch);
    bench.renew(1, lease.epoch);
    assert_eq!(revoked(&bench.finish(1, lease.epoch), &lease), None);
    assert_eq!(bench.scheduler.status().progress.stages[0].accepted, 3);
}

#[test]
fn a_node_that_gives_a_lease_ahead_back_is_not_paused_and_gets_none_until_it_has_proved_more() {
    let (mut bench, running, actions) = proved_one(4);
    let lease = ahead(&actions).unwrap();
    let declined = Event::LeaseDeclined { node: node(1), epoch: lease.epoch, busy: false };
    assert_eq!(grants(&bench.tell(declined)), []);
    let actions = bench.finish(1, running.epoch);
    assert_eq!(grants(&actions), []);
    let actions = bench.ask(1);
    assert!(grant_to(1, &actions).is_some_and(|lease| !lease.ahead), "it is not paused");
    assert!(ahead(&actions).is_some(), "and has shown that it goes on");
}

#[test]
fn a_lease_ahead_that_was_not_sent_is_not_granted_again_at_once() {
    let (mut bench, running, actions) = proved_one(4);
    let lease = ahead(&actions).unwrap();
    let returned = Event::LeaseReturned { node: node(1), epoch: lease.epoch };
    assert_eq!(grants(&bench.tell(returned)), [], "or it would be returned again, for ever");
    bench.finish(1, running.epoch);
    let actions = bench.ask(1);
    assert!(grant_to(1, &actions).is_some_and(|lease| !lease.ahead), "what it asks for it gets");
}

#[test]
fn a_task_that_was_failed_or_declined_is_offered_to_others_first() {
    for fails in [true, false] {
        let mut bench = Bench::new(config(), &[13, 13]);
        let first = bench.enter(1, capability(1000, 1000));
        bench.finish(1, first.epoch);
        let second = grant_to(1, &bench.ask(1)).expect("the other lift");
        bench.finish(1, second.epoch);
        let lease = grant_to(1, &bench.ask(1)).expect("the join, since it holds both inputs");
        assert_eq!(named(lease.task).kind(), TaskKind::Join);
        bench.join(2, capability(1000, 10));
        match fails {
            true => drop(bench.fail(1, lease.epoch, FailureClass::Node)),
            false => drop(bench.tell(Event::LeaseDeclined {
                node: node(1),
                epoch: lease.epoch,
                busy: false,
            })),
        }
        bench.ask(1);
        // Its pause ends with the very event by which another node asks.
        bench.now = bench.scheduler.next_wakeup().expect("the end of the pause");
        let actions = bench.ask(2);
        assert_eq!(granted_tasks(&actions), [(2, named(lease.task))], "fails: {fails}");
    }
}

#[test]
fn what_was_taken_from_a_node_that_begins_with_it_at_that_moment_stays_taken() {
    let (mut bench, running, actions) = proved_one(3);
    let taken = ahead(&actions).expect("nobody else is there");
    bench.report(1, running.epoch);
    let other = bench.enter(2, capability(1000, 1000));
    assert_eq!(other.task, taken.task, "who could begin at once");
    // Its node says that it begins, and then hears that it is to stop.
    let actions = bench.renew(1, taken.epoch);
    assert_eq!(revoked(&actions, &taken), Some(RevokeReason::Replaced), "{actions:?}");
    // It asks for work, and gets it: it holds nothing that it does not know of.
    bench.ask(1);
    let actions = bench.tell(Event::NodeLeft { node: node(2) });
    assert_eq!(grants(&actions)[0].1.task, taken.task);
}

#[test]
fn a_lease_that_nobody_knows_is_taken_from_who_renews_it() {
    let mut bench = Bench::new(config(), &[13]);
    bench.join(1, capability(1000, 1000));
    let epoch = Epoch(77);
    assert_eq!(bench.renew(1, epoch), [Action::Disown { node: node(1), epoch }]);
    let stranger = bench.renew(9, epoch);
    assert!(matches!(&stranger[..], [Action::Ignored { .. }]), "{stranger:?}");
}

/// How long a job takes, and how much of that time slots were idle, in thousandths.
fn idle_permille(leases_ahead: bool, node_count: u32, fetch_ms: u64) -> (Millis, u64) {
    let job = Job { po2s: vec![po2(13); 60 * node_count as usize], ..Job::default() };
    let config = Config { leases_ahead, ..config() };
    let mut world = World::new(config, &job, 3);
    world.fetch_ms = fetch_ms;
    world.heal();
    for name in 1..=node_count {
        world.add(name, Habit::Honest, world::capability(1000, 1000, 1));
    }
    // All is executed before anybody asks: the wait for the execution is nobody's here.
    world.run(Millis(u64::MAX), 2_000_000);
    assert_eq!(world.outcome, Some(job.outcome()));
    let slot_time = world.now.0 * u64::from(node_count);
    (world.now, 1000 - world.proving_ms * 1000 / slot_time)
}

#[test]
fn leases_ahead_hide_the_time_that_inputs_take_to_come() {
    // Two seconds of fetching for ten of proving.
    for node_count in [1, 8] {
        let (without, idle_without) = idle_permille(false, node_count, 2_000);
        let (with, idle_with) = idle_permille(true, node_count, 2_000);
        println!(
            "{node_count} nodes: {without} and {idle_without} permille idle without, {with} and {idle_with} with"
        );
        assert!(idle_without > 160, "{idle_without}");
        assert!(idle_with * 3 < idle_without, "{idle_with}, {idle_without} without");
        assert!(with.0 * 10 < without.0 * 9, "{with}, {without} without");
    }
}

#[test]
fn what_was_granted_ahead_and_somebody_works_on_again_is_not_taken_from_there() {
    let mut bench = Bench::new(Config { leases_ahead: true, ..config() }, &[13, 18, 18]);
    let small = bench.enter(1, capability(100, 1000));
    bench.finish(1, small.epoch);
    bench.enter(1, capability(600, 1000));
    let lease = bench.enter(2, capability(600, 1000));
    let actions = bench.tell(Event::NodeLeft { node: node(2) });
    assert_eq!(granted_tasks(&actions), [(1, TaskId::Lift(2))]);
    bench.join(2, capability(600, 1000));
    let actions = bench.renew(2, lease.epoch);
    assert!(matches!(actions[0], Action::Revived { .. }), "{actions:?}");
    bench.join(3, capability(600, 1000));
    assert_eq!(granted_tasks(&bench.ask(3)), []);
}
