//! What becomes of leases.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use starling_node_core::{
    Action, Event, InputFailure, Note, ProofFailure, ProofReport, SessionId, StoreFailure, System,
    limits::PENDING_COUNT_MAX,
};
use starling_proto::{ClientMessage, Grant, Hello, Input, NodeMessage};
use starling_types::{FailureClass, KindCode, MemoryTable, Millis, Need, Profile, Role, Task};

#[test]
fn a_node_asks_once_for_each_free_slot() {
    let mut node = Node::new(3, 2000);
    let session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    assert_eq!(asked(&node.greet(session, 7)), 3);
    assert_eq!(asked(&node.wait(60_000)), 0, "its requests stand until they are answered");
    assert_eq!(asked(&node.grant(session, grant(1))), 0, "that slot is taken now");
    assert_eq!(asked(&node.tell(Event::Tick)), 0);
}

#[test]
fn a_slot_that_is_free_again_is_asked_for_again() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    assert_eq!(asked(&node.wait(60_000)), 0);
    let actions = node.finish(work, 1);
    assert_eq!(asked(&actions), 1);
    assert!(sent(&actions).contains(&done(1)), "{actions:?}");
}

#[test]
fn another_client_is_asked_when_the_first_lets_it_wait() {
    let (mut node, _) = Node::serving(1, 1000);
    let second = node.serve(2);
    let to_second = |actions: &[Action]| {
        let request = Action::Send { session: second, message: NodeMessage::WorkRequested };
        actions.iter().filter(|action| **action == request).count()
    };
    assert_eq!(to_second(&node.wait(4_999)), 0);
    assert_eq!(to_second(&node.wait(1)), 1);
    assert_eq!(asked(&node.wait(60_000)), 0, "each has been asked as often as there are slots");
}

#[test]
fn many_clients_without_work_keep_one_that_has_some_waiting_for_seconds_only() {
    let mut node = Node::new(1, 1000);
    let sessions: Vec<_> = (1..=30).map(|number| node.hear_of(number)).collect();
    let last = sessions[29];
    let since = node.now;
    while !asks(&node.wait(100)).contains(&last) {
        assert!(node.now.since(since) < Millis(16_000), "half a second for each");
    }
    let work = fetching(&node.grant(last, grant(1))).expect("taken");
    node.tell(Event::Fetched { work });
    assert_eq!(asks(&node.finish(work, 1))[0], last, "and then it is asked at once");
}

#[test]
fn requests_go_round_among_clients() {
    let (mut node, first) = Node::serving(1, 1000);
    let second = node.serve(2);
    let work = node.begin(first, grant(1));
    let actions = node.finish(work, 1);
    let request = Action::Send { session: second, message: NodeMessage::WorkRequested };
    assert!(actions.contains(&request), "{actions:?}");
}

#[test]
fn inputs_are_fetched_one_at_a_time_and_the_proof_may_stand_still_for_the_deadline() {
    let (mut node, session) = Node::serving(1, 1000);
    let input = |number, role| Input { blob: blob(number), role, holders: vec![client(9)] };
    let inputs = [input(11, Role::Input), input(12, Role::Challenge)];
    let task = join();
    let join = Grant { task, arguments: vec![], inputs: inputs.to_vec(), ..grant(1) };
    let fetch = |actions: &[Action], number: u64| {
        let fetches = actions.iter().filter_map(|action| match action {
            Action::Fetch { work, blob, holders, client: from, session: over } => {
                assert_eq!((holders, from, over), (&vec![client(9)], &client(1), &Some(session)));
                Some((*work, *blob))
            }
            _ => None,
        });
        let fetches: Vec<_> = fetches.collect();
        assert_eq!(fetches.len(), 1, "{actions:?}");
        assert_eq!(fetches[0].1, blob(number));
        fetches[0].0
    };
    let work = fetch(&node.grant(session, join), 11);
    node.wait(1_000);
    assert_eq!(fetch(&node.tell(Event::Fetched { work }), 12), work);
    node.wait(2_000);
    let (_, order) = proving(&node.tell(Event::Fetched { work })).unwrap();
    assert_eq!(order.standstill_max, Millis(300_000));
    assert_eq!(order.time_left, Millis(24 * 3_600_000 - 3_000));
    let inputs = vec![(Role::Input, blob(11)), (Role::Challenge, blob(12))];
    assert_eq!((order.task, order.inputs), (task, inputs));
    // One that never gets on has what fetching left of it.
    assert_eq!(failed(&node.wait(297_000 - 1)), None);
    assert_eq!(failed(&node.wait(1)), Some(FailureClass::Node));
}

#[test]
fn the_deadline_covers_fetching() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = fetching(&node.grant(session, Grant { deadline: Millis(5_000), ..grant(1) }));
    let work = work.unwrap();
    assert_eq!(failed(&node.wait(4_999)), None);
    let actions = node.wait(1);
    assert_eq!(failed(&actions), Some(FailureClass::Input), "{actions:?}");
    assert!(actions.contains(&Action::Cancel { work }));
    assert_eq!(asked(&actions), 0, "its slot is not free before the fetch has stopped");
    assert_eq!(asked(&node.tell(Event::Stopped { work })), 0);
    assert_eq!(asked(&node.wait(5_000)), 1, "it waits for as long as its client let it wait");
}

#[test]
fn a_proof_that_stands_still_fails_on_this_node_once() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    let actions = node.wait(300_000);
    assert_eq!(failed(&actions), Some(FailureClass::Node));
    let actions = node.tell(Event::Proved { work, report: report() });
    assert_eq!((failed(&actions), fetching(&actions)), (None, None));
    assert!(
        actions.contains(&Action::Over { work }) && !actions.contains(&Action::Publish { work })
    );
    assert_eq!((node.core.counts().failed, node.core.counts().done), (1, 0));
}

#[test]
fn a_proof_that_gets_on_is_not_ended_at_its_deadline_and_one_that_stops_is() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    for done_permille in 1..=9 {
        assert_eq!(failed(&node.wait(299_999)), None);
        node.tell(Event::GotOn { work, done_permille });
    }
    // To say the same again is to stand still.
    node.wait(299_999);
    let actions = node.tell(Event::GotOn { work, done_permille: 9 });
    assert_eq!(failed(&actions), None);
    let actions = node.wait(1);
    assert_eq!(failed(&actions), Some(FailureClass::Node));
    assert!(actions.contains(&Action::Cancel { work }));
}

#[test]
fn a_proof_that_creeps_has_its_slot_for_a_day_and_no_longer() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    let mut actions = Vec::new();
    for done_permille in 1..=1000 {
        node.tell(Event::GotOn { work, done_permille });
        actions = node.wait(200_000);
        if failed(&actions).is_some() {
            break;
        }
    }
    assert_eq!(failed(&actions), Some(FailureClass::Node));
    let day = Millis(24 * 3_600_000);
    assert!((day.0..day.0 + 200_000).contains(&node.now.0), "{}", node.now);
}

#[test]
fn no_client_gets_a_slot_for_longer_than_a_day() {
    let (mut node, session) = Node::serving(1, 1000);
    let deadline = Millis(365 * 24 * 3_600_000);
    let work = node.begin(session, Grant { deadline, ..grant(1) });
    node.now = Millis(24 * 3_600_000);
    assert!(node.tell(Event::Tick).contains(&Action::Cancel { work }));
}

#[test]
fn a_node_never_holds_more_than_its_memory_whatever_clients_grant() {
    let (mut node, first) = Node::serving(4, 2 * LIFT_MIB + 50);
    let second = node.serve(2);
    assert!(fetching(&node.grant(first, grant(1))).is_some());
    assert!(fetching(&node.grant(second, grant(2))).is_some());
    let actions = node.grant(first, grant(3));
    assert!(declined(&actions, 3) && fetching(&actions).is_none(), "{actions:?}");
    assert_eq!(node.core.held().memory, mib(2 * LIFT_MIB));
    assert_eq!(node.core.counts().refused, 1);
}

#[test]
fn a_node_states_what_its_own_prover_needs_and_keeps_as_much_for_each_task() {
    let mut node = Node::new(1, 1000);
    let session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    let greeting = sent(&node.tell(Event::Connected { session }));
    let [NodeMessage::Hello(hello)] = &greeting[..] else { panic!("{greeting:?}") };
    let [offer] = &hello.systems[..] else { panic!("{hello:?}") };
    let any = Some(mib(LIFT_MIB / 4));
    assert_eq!(offer.kinds[&JOIN], MemoryTable { by_po2: [].into(), any });
    let lifts = (13..=18).map(|size| (po2(size), mib(LIFT_MIB))).collect();
    assert_eq!(offer.kinds[&LIFT], MemoryTable { by_po2: lifts, any: None });
    node.say(session, welcome(7));
    let work = fetching(&node.grant(session, grant(1))).unwrap();
    assert_eq!(node.core.held().memory, mib(LIFT_MIB));
    let (_, order) = proving(&node.tell(Event::Fetched { work })).unwrap();
    assert_eq!((order.memory_limit, order.arguments), (mib(LIFT_MIB + MARGIN_MIB), vec![18]));
}

#[test]
fn a_node_of_two_systems_states_the_needs_and_the_speed_of_each() {
    let mut both = config(1, 1000);
    let mut other = System { name: "fake/2".into(), ..both.systems[0].clone() };
    // The same numbers for other kinds, and other figures.
    let memory = mib(7);
    let need = Need { memory, limit: mib(9), profile: Profile::Usual, work: Millis(1000) };
    other.figures.needs = [((LIFT, None), need)].into_iter().collect();
    other.figures.size_of = |_, _| Some(None);
    other.figures.speed_guess_permille = 800;
    both.systems.push(other);
    let mut node = Node::of(both);
    let session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    let greeting = sent(&node.tell(Event::Connected { session }));
    let [NodeMessage::Hello(hello)] = &greeting[..] else { panic!("{greeting:?}") };
    let speeds = |hello: &Hello| [0, 1].map(|index: usize| hello.systems[index].speed_permille);
    assert_eq!(speeds(hello), [500, 800], "nothing is measured of either");
    assert_eq!(
        hello.systems[1].kinds,
        [(LIFT, MemoryTable { by_po2: [].into(), any: Some(memory) })].into()
    );
    node.say(session, welcome(7));
    let work = node.begin(session, Grant { system: "fake/2".into(), ..grant(1) });
    assert_eq!(node.core.held().memory, memory);
    node.tell(Event::Proved { work, report: ProofReport { elapsed: Millis(4000), ..report() } });
    // One that is dialled next hears of it.
    let session = dialled(&node.tell(Event::Named { client: client(2) }))[0];
    let greeting = sent(&node.tell(Event::Connected { session }));
    let [NodeMessage::Hello(hello)] = &greeting[..] else { panic!("{greeting:?}") };
    assert_eq!(speeds(hello), [500, 250], "what one system shows says nothing of the other");
}

#[test]
fn a_task_of_another_system_kind_or_size_is_declined() {
    let (mut node, session) = Node::serving(1, 1000);
    let other = |change: fn(&mut Grant)| {
        let mut grant = grant(1);
        change(&mut grant);
        grant
    };
    let wrong = [
        other(|grant| grant.system = "fake/2".into()),
        other(|grant| grant.task = Task { kind: KindCode(5), ..grant.task }),
        other(|grant| grant.arguments = vec![19]),
        other(|grant| grant.arguments = vec![]),
    ];
    for grant in wrong {
        assert!(declined(&node.grant(session, grant.clone()), 1), "{grant:?}");
    }
    let join = other(|grant| (grant.task, grant.arguments) = (join(), vec![]));
    assert!(fetching(&node.grant(session, join)).is_some());
}

#[test]
fn a_client_whose_lease_was_declined_is_asked_again_when_more_is_free_or_after_a_pause() {
    let (mut node, session) = Node::serving(1, LIFT_MIB - 1);
    let actions = node.grant(session, grant(1));
    assert!(declined(&actions, 1));
    assert_eq!(asked(&actions), 0);
    assert_eq!(asked(&node.wait(29_999)), 0);
    assert_eq!(asked(&node.wait(1)), 1);
}

#[test]
fn a_lease_that_is_granted_twice_is_worked_on_once() {
    let (mut node, session) = Node::serving(2, 1000);
    let work = node.begin(session, grant(1));
    let actions = node.grant(session, grant(1));
    assert!(fetching(&actions).is_none() && !declined(&actions, 1), "{actions:?}");
    node.finish(work, 1);
    let actions = node.grant(session, grant(1));
    assert!(fetching(&actions).is_none() && !declined(&actions, 1), "{actions:?}");
    assert_eq!(node.core.counts().accepted, 1);
}

#[test]
fn a_lease_is_renewed_in_time_and_early_for_news() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    assert_eq!(renewed(&node.wait(4_999), 1), []);
    assert_eq!(renewed(&node.wait(1), 1), [0]);
    node.wait(500);
    assert_eq!(renewed(&node.tell(Event::GotOn { work, done_permille: 300 }), 1), []);
    assert_eq!(renewed(&node.wait(500), 1), [300]);
    assert_eq!(renewed(&node.wait(20_000), 1), [300; 4]);
}

#[test]
fn a_revoked_lease_stops_at_once_and_its_slot_is_free_when_it_has_stopped() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    let revoke = ClientMessage::Revoke { lease: lease(1), reason: "done elsewhere".into() };
    let actions = node.say(session, revoke.clone());
    assert!(actions.contains(&Action::Cancel { work }));
    assert!(declined(&node.grant(session, grant(2)), 2), "the prover still runs");
    assert_eq!(sent(&node.say(session, revoke)), [], "once is enough");
    let actions = node.tell(Event::Stopped { work });
    assert!(actions.contains(&Action::Over { work }));
    assert!(actions.contains(&Action::Forget { blob: blob(1).reference }));
    assert!(fetching(&node.grant(session, grant(3))).is_some());
    assert_eq!(node.core.counts().dropped, 1);
}

#[test]
fn an_input_that_nobody_delivers_fails_the_lease_by_its_class() {
    let (mut node, session) = Node::serving(1, 1000);
    for (epoch, cause, class) in [
        (1, InputFailure::Unavailable("absent".into()), FailureClass::Input),
        (2, InputFailure::Storage("EIO".into()), FailureClass::Node),
    ] {
        let work = fetching(&node.grant(session, grant(epoch))).unwrap();
        assert_eq!(failed(&node.tell(Event::NotFetched { work, cause })), Some(class));
        node.wait(1_000);
    }
    assert_eq!(node.core.held().leases, 0);
}

#[test]
fn an_input_whose_holders_are_busy_is_nobodys_failure() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = fetching(&node.grant(session, grant(1))).unwrap();
    let actions = node.tell(Event::NotFetched { work, cause: InputFailure::Busy });
    assert!(failed(&actions).is_none(), "{actions:?}");
    let excused = NodeMessage::Decline { lease: lease(1), busy: true };
    assert!(sent(&actions).contains(&excused), "{actions:?}");
    assert_eq!((node.core.held().leases, node.core.counts().returned), (0, 1));
}

#[test]
fn a_failed_proof_is_reported_by_its_class() {
    let (mut node, session) = Node::serving(1, 1000);
    let text = String::new;
    for (epoch, cause, class) in [
        (1, ProofFailure::OutOfMemory(text()), FailureClass::Memory),
        (2, ProofFailure::Node(text()), FailureClass::Node),
        (3, ProofFailure::Input(text()), FailureClass::Input),
        (4, ProofFailure::Task(text()), FailureClass::Task),
    ] {
        let work = node.begin(session, grant(epoch));
        let actions = node.tell(Event::NotProved { work, cause });
        assert_eq!(failed(&actions), Some(class));
        assert_eq!(asked(&actions), 1);
    }
    assert_eq!(node.core.counts().failed, 4);
}

#[test]
fn a_proof_whose_prover_was_killed_is_begun_again_once() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    node.wait(10_000);
    let killed = || Event::NotProved { work, cause: ProofFailure::Killed("signal 9".into()) };
    let actions = node.tell(killed());
    let (_, order) = proving(&actions).expect("begun again");
    let day = 24 * 3_600_000;
    assert_eq!((order.time_left, failed(&actions)), (Millis(day - 10_000), None));
    assert_eq!(
        failed(&node.tell(killed())),
        Some(FailureClass::Memory),
        "twice is not an accident"
    );
    assert_eq!(node.core.counts().killed, 2);
}

#[test]
fn work_that_breaks_off_by_itself_fails_on_this_node() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    assert_eq!(failed(&node.tell(Event::Stopped { work })), Some(FailureClass::Node));
    assert_eq!(node.core.held().leases, 0);
}

#[test]
fn a_full_disk_pauses_the_node_and_is_no_failure_of_the_task() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = fetching(&node.grant(session, grant(1))).unwrap();
    let actions = node.tell(Event::NotFetched { work, cause: InputFailure::NoRoom });
    assert!(declined(&actions, 1) && failed(&actions).is_none(), "{actions:?}");
    assert!(actions.contains(&Action::Say(Note::DiskFull)));
    assert_eq!(asked(&actions), 0);
    assert!(declined(&node.grant(session, grant(2)), 2));

    let looks = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::LookAtDisk { .. })).count()
    };
    assert_eq!(looks(&node.wait(4_999)), 0);
    assert_eq!(looks(&node.wait(1)), 1);
    assert_eq!(looks(&node.wait(60_000)), 0, "one look at a time");
    assert_eq!(asked(&node.tell(Event::DiskSeen { has_room: false })), 0);
    assert_eq!(looks(&node.wait(5_000)), 1);
    let actions = node.tell(Event::DiskSeen { has_room: true });
    assert!(actions.contains(&Action::Say(Note::DiskRoom)));
    assert_eq!(asked(&actions), 1);
    assert_eq!(node.core.counts().returned, 1);
}

#[test]
fn a_proof_that_finds_no_room_is_stored_when_there_is_some() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    node.tell(Event::Proved { work, report: report() });
    let cause = StoreFailure::NoRoom;
    let actions = node.tell(Event::NotPublished { work, cause });
    assert_eq!(sent(&actions), []);
    node.wait(5_000);
    assert!(node.tell(Event::DiskSeen { has_room: true }).contains(&Action::Publish { work }));
    let actions = node.tell(Event::Published { work, result: blob(1001) });
    assert!(sent(&actions).contains(&done(1)));
}

#[test]
fn a_proof_that_finds_no_room_until_its_deadline_is_given_back() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    node.tell(Event::Proved { work, report: report() });
    node.tell(Event::NotPublished { work, cause: StoreFailure::NoRoom });
    let actions = node.wait(300_000);
    assert!(declined(&actions, 1) && failed(&actions).is_none());
    assert!(actions.contains(&Action::Over { work }));
}

#[test]
fn a_full_disk_costs_results_that_were_accepted_first() {
    let (mut node, session) = Node::serving(1, 1000);
    for epoch in [1, 2] {
        let work = node.begin(session, grant(epoch));
        node.finish(work, epoch);
    }
    let accepted = ClientMessage::Verdict { lease: lease(1), accepted: true, reason: "".into() };
    node.say(session, accepted);
    let work = fetching(&node.grant(session, grant(3))).unwrap();
    let actions = node.tell(Event::NotFetched { work, cause: InputFailure::NoRoom });
    let forgotten: Vec<_> = [1001, 1002]
        .into_iter()
        .filter(|number| actions.contains(&Action::Forget { blob: blob(*number).reference }))
        .collect();
    assert_eq!(forgotten, [1001]);
}

#[test]
fn a_lease_ahead_is_fetched_for_while_another_is_proved_and_begins_when_the_slot_is_free() {
    let (mut node, session) = Node::serving(1, 1000);
    let first = node.begin(session, grant(1));
    assert!(declined(&node.grant(session, grant(2)), 2), "only where the client says so");
    let ahead = Grant { ahead: true, ..grant(3) };
    let second = fetching(&node.grant(session, ahead)).expect("taken ahead");
    assert!(proving(&node.tell(Event::Fetched { work: second })).is_none());
    assert!(declined(&node.grant(session, Grant { ahead: true, ..grant(4) }), 4), "one a slot");
    let renewal = |waits| NodeMessage::Renew { lease: lease(3), done_permille: 0, waits };
    let is_said = |actions: &[Action], waits| sent(actions).contains(&renewal(waits));
    let actions = node.wait(5_000);
    assert!(is_said(&actions, true) && !is_said(&actions, false), "it is held, and waits");
    let actions = node.wait(600_000);
    assert_eq!(failed(&actions), Some(FailureClass::Node), "the first stood still");
    assert!(is_said(&actions, true), "the time of the other has not begun");
    let actions = node.tell(Event::Stopped { work: first });
    assert!(is_said(&actions, false), "its client is told that it begins");
    let (begun, order) = proving(&actions).expect("begun");
    assert_eq!((begun, order.time_left), (second, Millis(24 * 3_600_000)));
    assert_eq!(asked(&actions), 0, "the slot is taken");
    assert_eq!(node.core.held().slots, 1);
}

#[test]
fn what_a_client_grants_when_another_was_quicker_is_nobodys_fault_and_what_never_fits_is() {
    let (mut node, first) = Node::serving(1, LIFT_MIB);
    let second = node.serve(2);
    assert_eq!(asks(&node.wait(5_000)), [second]);
    assert!(fetching(&node.grant(first, grant(1))).is_some());
    assert_eq!(declined_for(&node.grant(second, grant(2)), 2), Some(true), "it had asked");
    let (mut node, session) = Node::serving(1, LIFT_MIB - 1);
    assert_eq!(declined_for(&node.grant(session, grant(1)), 1), Some(false));
}

#[test]
fn a_lease_ahead_answers_no_request() {
    let (mut node, session) = Node::serving(2, 2000);
    let work = node.begin(session, grant(1));
    // It takes the slot that the second request is for, which stands.
    node.begin(session, Grant { ahead: true, ..grant(2) });
    assert_eq!(asked(&node.finish(work, 1)), 0);
}

/// A client that never serves the inputs of what it grants. The seconds for which it is not asked after each lease.
fn pauses_of_a_client_that_serves_nothing(node: &mut Node, session: SessionId) -> Vec<u64> {
    let mut pauses = Vec::new();
    for epoch in 0..12 {
        let work = fetching(&node.grant(session, grant(epoch))).expect("taken");
        let mut actions = Vec::new();
        while failed(&actions).is_none() {
            actions = node.wait(1_000);
        }
        assert_eq!(failed(&actions), Some(FailureClass::Input));
        let since = node.now;
        let mut actions = node.tell(Event::Stopped { work });
        while asked(&actions) == 0 {
            actions = node.wait(1_000);
        }
        pauses.push(node.now.since(since).0 / 1000);
    }
    pauses
}

#[test]
fn a_lease_whose_inputs_never_come_ends_in_minutes_and_its_client_is_asked_less_and_less_often() {
    let (mut node, session) = Node::serving(1, 1000);
    let deadline = Millis(24 * 3_600_000);
    let work = fetching(&node.grant(session, Grant { deadline, ..grant(99) })).unwrap();
    assert_eq!(failed(&node.wait(180_000 - 1)), None);
    assert_eq!(failed(&node.wait(1)), Some(FailureClass::Input));
    node.tell(Event::Stopped { work });
    node.wait(180_000);
    let pauses = pauses_of_a_client_that_serves_nothing(&mut node, session);
    assert_eq!(pauses[..4], [360, 720, 1440, 2880]);
    assert_eq!(pauses[11], 3600);
    // A proof shows that it serves after all.
    let work = node.begin(session, grant(100));
    node.finish(work, 100);
    let pauses = pauses_of_a_client_that_serves_nothing(&mut node, session);
    assert_eq!(pauses[0], 180);
}

#[test]
fn the_slot_of_a_client_that_serves_nothing_goes_to_the_next() {
    let (mut node, first) = Node::serving(1, 1000);
    let second = node.serve(2);
    let work = fetching(&node.grant(first, grant(1))).unwrap();
    assert_eq!(asks(&node.wait(5_000 - 1)), []);
    assert_eq!(asks(&node.wait(1)), [second], "others could begin with it");
    let other = node.begin(second, grant(2));
    node.wait(175_000);
    node.tell(Event::Stopped { work });
    node.finish(other, 2);
    // The first is not asked, and gets nothing by not waiting to be asked.
    assert_eq!(asks(&node.wait(60_000)), []);
    for ahead in [false, true] {
        let unasked = Grant { ahead, ..grant(3) };
        assert_eq!(declined_for(&node.grant(first, unasked), 3), Some(true));
    }
    assert!(fetching(&node.grant(second, grant(4))).is_some());
}

#[test]
fn inputs_that_are_slow_to_come_are_waited_for_without_a_slot_and_have_the_next_that_is_free() {
    let (mut node, slow) = Node::serving(1, 1000);
    let other = node.serve(2);
    let work = fetching(&node.grant(slow, grant(1))).unwrap();
    node.wait(5_000);
    let proof = node.begin(other, grant(2));
    // Its transfer goes on, and its client hears that it is still held.
    assert!(!renewed(&node.wait(60_000), 1).is_empty());
    assert!(proving(&node.tell(Event::Fetched { work })).is_none(), "there is no slot");
    let actions = node.finish(proof, 2);
    assert_eq!(proving(&actions).map(|(begun, _)| begun), Some(work));
    assert_eq!(asked(&actions), 0);
    // Its next lease has a slot at once, and as long as before.
    node.finish(work, 1);
    fetching(&node.grant(slow, grant(3))).expect("taken");
    assert_eq!((node.core.held().slots, asks(&node.wait(5_000 - 1)).len()), (1, 0));
}

#[test]
fn a_slot_that_nobody_else_wants_is_there_when_slow_inputs_have_come() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = fetching(&node.grant(session, grant(1))).unwrap();
    let actions = node.wait(170_000);
    assert_eq!((asked(&actions), failed(&actions)), (0, None), "it is not asked for another");
    assert_eq!(proving(&node.tell(Event::Fetched { work })).map(|begun| begun.0), Some(work));
}

#[test]
fn no_slot_waits_for_inputs_of_a_client_that_nobody_knows() {
    let mut node = Node::new(1, 1000);
    let (first, second) = (node.hear_of(1), node.hear_of(2));
    let first_work = fetching(&node.grant(first, grant(1))).expect("taken");
    assert_eq!(node.core.held().slots, 0);
    assert!(declined(&node.grant(first, grant(9)), 9), "one at a time");
    let second_work = fetching(&node.grant(second, grant(2))).expect("taken as well");
    assert_eq!(proving(&node.tell(Event::Fetched { work: second_work })).unwrap().0, second_work);
    assert_eq!(node.core.held().slots, 1);
    // Who comes second waits for the slot, which its client is told.
    assert!(proving(&node.tell(Event::Fetched { work: first_work })).is_none());
    let waits = NodeMessage::Renew { lease: lease(1), done_permille: 0, waits: true };
    assert!(sent(&node.wait(5_000)).contains(&waits));
    assert_eq!(proving(&node.finish(second_work, 2)).unwrap().0, first_work);
    // Both are known by now.
    node.finish(first_work, 1);
    fetching(&node.grant(second, grant(3))).expect("taken");
    assert_eq!(node.core.held().slots, 1);
}

/// A node of one slot among so many clients that serve nothing, for ten minutes, and one client whose inputs come at once and whose
/// tasks take ten seconds. When the first of those began, and how many were done.
fn among_clients_that_serve_nothing(count: u16) -> (Millis, u32) {
    let mut node = Node::new(1, 1000);
    let mut asked: Vec<SessionId> = (1..=count).map(|number| node.hear_of(number)).collect();
    let honest = node.hear_of(1000);
    let (mut epoch, mut first_at, mut done_count, mut proof) = (0, None, 0, None);
    asked.push(honest);
    while node.now < Millis(600_000) {
        let mut actions = Vec::new();
        for session in asked {
            epoch += 1;
            let granted = node.grant(session, grant(epoch));
            if let Some(work) = fetching(&granted).filter(|_| session == honest) {
                let fetched = node.tell(Event::Fetched { work });
                assert!(proving(&fetched).is_some(), "its slot is free");
                first_at = first_at.or(Some(node.now));
                proof = Some((work, epoch, node.now + Millis(10_000)));
                actions.extend(fetched);
            }
            actions.extend(granted);
        }
        if let Some((work, epoch, _)) = proof.filter(|(.., ends_at)| *ends_at <= node.now) {
            actions.extend(node.finish(work, epoch));
            (proof, done_count) = (None, done_count + 1);
        }
        actions.extend(node.wait(100));
        asked = asks(&actions);
        let cancelled = actions.iter().filter_map(|action| match action {
            Action::Cancel { work } => Some(*work),
            _ => None,
        });
        for work in cancelled.collect::<Vec<_>>() {
            asked.extend(asks(&node.tell(Event::Stopped { work })));
        }
        assert!(node.core.held().leases <= 4 + 2 * PENDING_COUNT_MAX);
    }
    (first_at.expect("it is asked at last"), done_count)
}

#[test]
fn many_clients_that_serve_nothing_delay_one_that_does_by_seconds_and_then_not_at_all() {
    for count in [0, 8, 60] {
        let (first_at, done_count) = among_clients_that_serve_nothing(count);
        assert!(first_at < Millis(60_000), "{count} others: {first_at}");
        let idle_ms = 600_000 - first_at.0 - 10_000 * u64::from(done_count);
        assert!(idle_ms < 30_000, "{count} others: {done_count} tasks, {idle_ms} ms for nothing");
    }
}

#[test]
fn a_client_that_is_busy_is_left_alone_for_a_minute_at_most() {
    let (mut node, session) = Node::serving(1, 1000);
    for epoch in 0..12 {
        let work = fetching(&node.grant(session, grant(epoch))).expect("its pause is over");
        node.wait(120_000);
        node.tell(Event::NotFetched { work, cause: InputFailure::Busy });
        assert!(declined(&node.grant(session, grant(99)), 99));
        node.wait(60_000);
    }
}

#[test]
fn a_client_that_says_at_once_that_it_has_no_inputs_does_not_keep_a_slot_busy_with_that() {
    let (mut node, session) = Node::serving(1, 1000);
    let mut granted_count = 0;
    let mut is_asked = true;
    for _ in 0..600 {
        if is_asked {
            let work = fetching(&node.grant(session, grant(granted_count))).unwrap();
            granted_count += 1;
            let cause = InputFailure::Unavailable("absent".into());
            assert_eq!(asked(&node.tell(Event::NotFetched { work, cause })), 0);
        }
        is_asked = asked(&node.wait(1_000)) > 0;
    }
    assert!((5..=12).contains(&granted_count), "{granted_count} leases in ten minutes");
}

#[test]
fn large_inputs_have_the_time_that_their_bytes_take_up_to_a_quarter_of_an_hour() {
    for (size_bytes, seconds) in [(16 << 20, 180 + 900), (4 << 20, 180 + 256)] {
        let (mut node, session) = Node::serving(1, 1000);
        let mut large = Grant { deadline: Millis(24 * 3_600_000), ..grant(1) };
        large.inputs[0].blob.size_bytes = size_bytes;
        fetching(&node.grant(session, large)).unwrap();
        let seconds = std::cmp::min(seconds, 900);
        assert_eq!(failed(&node.wait(seconds * 1000 - 1)), None);
        assert_eq!(failed(&node.wait(1)), Some(FailureClass::Input));
    }
}

#[test]
fn a_lease_ahead_whose_inputs_do_not_come_goes_back_at_no_cost() {
    let (mut node, session) = Node::serving(1, 1000);
    node.begin(session, Grant { deadline: Millis(3_600_000), ..grant(1) });
    fetching(&node.grant(session, Grant { ahead: true, ..grant(2) })).expect("taken ahead");
    let actions = node.wait(180_000);
    assert!(declined(&actions, 2) && failed(&actions).is_none(), "{actions:?}");
    let (mut node, session) = Node::serving(1, 1000);
    node.begin(session, grant(1));
    let work = fetching(&node.grant(session, Grant { ahead: true, ..grant(2) })).unwrap();
    let cause = InputFailure::Unavailable("absent".into());
    let actions = node.tell(Event::NotFetched { work, cause });
    assert!(declined(&actions, 2) && failed(&actions).is_none(), "{actions:?}");
}

#[test]
fn a_lease_ahead_that_does_not_fit_beside_what_works_goes_back_and_its_slot_is_asked_for() {
    let (mut node, session) = Node::serving(2, LIFT_MIB + LIFT_MIB / 4);
    let join = Grant { task: join(), arguments: vec![], ..grant(2) };
    node.begin(session, grant(1));
    let small = node.begin(session, join);
    let ahead = fetching(&node.grant(session, Grant { ahead: true, ..grant(3) })).unwrap();
    node.tell(Event::Fetched { work: ahead });
    let actions = node.finish(small, 2);
    assert!(declined(&actions, 3) && failed(&actions).is_none(), "{actions:?}");
    assert_eq!(asked(&actions), 1);
}

#[test]
fn of_leases_ahead_the_one_whose_inputs_are_here_begins_first() {
    let (mut node, session) = Node::serving(2, 2000);
    let works = [1, 2].map(|epoch| node.begin(session, grant(epoch)));
    let ahead = [3, 4].map(|epoch| {
        fetching(&node.grant(session, Grant { ahead: true, ..grant(epoch) })).expect("taken ahead")
    });
    node.tell(Event::Fetched { work: ahead[1] });
    let (begun, _) = proving(&node.finish(works[0], 1)).expect("one is ready");
    assert_eq!(begun, ahead[1]);
}

#[test]
fn a_lease_ahead_outlives_a_connection_and_is_named_before_those_that_are_worked_on() {
    let (mut node, session) = Node::serving(1, 1000);
    node.begin(session, grant(1));
    fetching(&node.grant(session, Grant { ahead: true, ..grant(2) })).expect("taken ahead");
    node.close(session);
    let dials = dialled(&node.wait(5_000));
    let messages = sent(&node.greet(dials[0], 7));
    let renewal =
        |epoch, waits| NodeMessage::Renew { lease: lease(epoch), done_permille: 0, waits };
    assert_eq!(messages[..2], [renewal(2, true), renewal(1, false)]);
}

#[test]
fn a_result_is_kept_until_it_is_refused_or_not_wanted() {
    let (mut node, session) = Node::serving(1, 1000);
    let refused = ClientMessage::Verdict { lease: lease(1), accepted: false, reason: "x".into() };
    let revoked = ClientMessage::Revoke { lease: lease(2), reason: "x".into() };
    for (epoch, end) in [(1, refused), (2, revoked)] {
        let work = node.begin(session, grant(epoch));
        let actions = node.finish(work, epoch);
        let input = Action::Forget { blob: blob(epoch).reference };
        let result = Action::Forget { blob: blob(1000 + epoch).reference };
        assert!(actions.contains(&input) && !actions.contains(&result), "inputs go with the lease");
        assert!(node.say(session, end).contains(&result));
    }
    assert_eq!(node.core.held().blobs, 0);
}

#[test]
fn a_blob_that_two_leases_need_goes_with_the_last() {
    let (mut node, session) = Node::serving(2, 2000);
    let shared = Grant { inputs: grant(1).inputs, ..grant(2) };
    let works = [grant(1), shared].map(|grant| node.begin(session, grant));
    let forget = Action::Forget { blob: blob(1).reference };
    assert!(!node.finish(works[0], 1).contains(&forget));
    assert!(node.finish(works[1], 2).contains(&forget));
}

#[test]
fn what_a_proof_took_becomes_the_speed_and_proofs_made_again_are_counted() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    let report = ProofReport { elapsed: Millis(20_000), reproved: 2, ..report() };
    let actions = node.tell(Event::Proved { work, report });
    // 40 s of the reference core's time in 20 s.
    let kept = Action::KeepSpeed { speed: "3 2 18 40000 20000 fake/1\n".into() };
    assert!(actions.contains(&kept), "{actions:?}");
    assert!(actions.contains(&Action::Say(Note::Reproved { task: name_of(lift(1)), count: 2 })));
    assert_eq!(node.core.counts().reproved, 2);
}

#[test]
fn people_read_tasks_as_their_own_system_calls_them() {
    let (mut node, session) = Node::serving(1, 1000);
    let names = |actions: &[Action]| {
        let names = actions.iter().filter_map(|action| match action {
            Action::Say(Note::Proving { task, .. } | Note::Failed { task, .. }) => {
                Some(task.clone())
            }
            _ => None,
        });
        names.collect::<Vec<_>>()
    };
    let work = fetching(&node.grant(session, grant(1))).unwrap();
    let name = name_of(lift(1));
    assert_eq!(names(&node.tell(Event::Fetched { work })), std::slice::from_ref(&name));
    let cause = ProofFailure::Task("no".into());
    assert_eq!(names(&node.tell(Event::NotProved { work, cause })), [name]);
}

#[test]
fn a_copy_that_is_being_made_of_an_unwanted_proof_is_forgotten_when_it_is_there() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    node.tell(Event::Proved { work, report: report() });
    let revoke = ClientMessage::Revoke { lease: lease(1), reason: "x".into() };
    assert!(!node.say(session, revoke).contains(&Action::Cancel { work }));
    let actions = node.tell(Event::Published { work, result: blob(1001) });
    assert!(actions.contains(&Action::Forget { blob: blob(1001).reference }), "{actions:?}");
    assert_eq!((node.core.held().blobs, node.core.held().results), (0, 0));
}
