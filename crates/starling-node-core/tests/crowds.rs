//! Crowds of clients that are made up, in one network or in many, keep no honest one from being dialled.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use starling_node_core::{Action, Event, SessionId, limits};
use starling_proto::{GoodbyeReason, PeerAddr};

/// A client that nobody answers for, in the network of its number or in that of all of them.
fn made_up(number: u16, spread: bool) -> PeerAddr {
    let PeerAddr { direct, .. } = client(if spread { number } else { 1 });
    PeerAddr { direct, ..nowhere(number) }
}

/// The sessions in which `whom` is dialled.
fn dials_of(actions: &[Action], whom: &PeerAddr) -> Vec<SessionId> {
    let dials = actions.iter().filter_map(|action| match action {
        Action::Dial { session, client, .. } if client == whom => Some(*session),
        _ => None,
    });
    dials.collect()
}

/// How long it takes until `whom`, which advertises every five seconds, is dialled; `meanwhile` happens every 100 ms.
fn dialled_after(node: &mut Node, whom: &PeerAddr, mut meanwhile: impl FnMut(&mut Node)) -> u64 {
    let begin = node.now;
    loop {
        let passed = node.now.since(begin).0;
        assert!(passed < 3_600_000, "it is never dialled");
        let mut actions = Vec::new();
        if passed.is_multiple_of(5_000) {
            actions = node.tell(Event::AdHeard { ad: ad(whom.clone()) });
        }
        actions.extend(node.wait(100));
        if !dials_of(&actions, whom).is_empty() {
            return node.now.since(begin).0;
        }
        meanwhile(node);
    }
}

#[test]
fn after_two_thousand_made_up_ads_an_honest_client_is_dialled_within_ten_seconds() {
    for spread in [false, true] {
        let mut node = Node::new(1, 1000);
        for number in 1..=2_000 {
            node.tell(Event::AdHeard { ad: ad(made_up(number, spread)) });
        }
        let honest = client(60_000);
        let passed = dialled_after(&mut node, &honest, |_| {});
        assert!(passed <= 10_000, "{passed} ms, in many networks: {spread}");
    }
}

#[test]
fn an_honest_client_in_the_network_of_a_made_up_crowd_is_dialled_within_ten_seconds() {
    let mut node = Node::new(1, 1000);
    for number in 1..=2_000 {
        node.tell(Event::AdHeard { ad: ad(made_up(number, false)) });
    }
    let honest = made_up(60_000, false);
    let passed = dialled_after(&mut node, &honest, |_| {});
    assert!(passed <= 10_000, "{passed} ms");
}

#[test]
fn a_flood_of_made_up_ads_that_goes_on_delays_an_honest_client_and_does_not_shut_it_out() {
    let mut node = Node::new(1, 1000);
    let mut number = 0;
    // Twenty a second, each in a network of its own.
    let mut flood = |node: &mut Node| {
        for _ in 0..2 {
            number += 1;
            node.tell(Event::AdHeard { ad: ad(made_up(number, true)) });
        }
    };
    for _ in 0..600 {
        flood(&mut node);
        node.wait(100);
    }
    let passed = dialled_after(&mut node, &client(60_000), flood);
    assert!(passed <= 5 * 60_000, "{passed} ms");
}

#[test]
fn made_up_clients_are_dialled_at_a_bounded_rate_and_those_that_are_known_beside() {
    let mut node = Node::new(1, 1000);
    let known = client(60_000);
    let session = dialled(&node.tell(Event::AdHeard { ad: ad(known.clone()) }))[0];
    node.greet(session, 7);
    let (mut dials, mut number) = (0, 0);
    for _ in 0..600 {
        for _ in 0..10 {
            number += 1;
            dials += dialled(&node.tell(Event::AdHeard { ad: ad(made_up(number, true)) })).len();
        }
        dials += dialled(&node.wait(100)).len();
    }
    let most = limits::HEARSAY_DIALS_MAX + 60_000 / limits::HEARSAY_DIAL_PERIOD.0;
    assert!(dials as u64 <= most, "{dials} in a minute");
    // Its connection breaks: it comes before all that were made up.
    node.close(session);
    let actions = node.wait(2_000);
    assert_eq!(dials_of(&actions, &known).len(), 1, "{actions:?}");
}

#[test]
fn a_newcomer_takes_the_place_of_who_never_answered_and_not_of_who_works_or_was_named() {
    let mut node = Node::new(1, 1000);
    let working = node.serve(60_000);
    node.begin(working, grant(1));
    let named = client(60_001);
    let attempt = dialled(&node.tell(Event::Named { client: named.clone() }))[0];
    node.close(attempt);
    // These answered once, and are away.
    for number in 60_010..60_013 {
        let session = dialled(&node.tell(Event::AdHeard { ad: ad(client(number)) }))[0];
        node.greet(session, 7);
        node.close(session);
    }
    for number in 1..=2_000 {
        for session in dialled(&node.tell(Event::AdHeard { ad: ad(made_up(number, true)) })) {
            node.close(session);
        }
    }
    let held = node.core.held();
    assert_eq!((held.clients, held.live), (limits::CLIENT_COUNT_MAX, 1));
    let actions = node.wait(3_000);
    assert_eq!(dials_of(&actions, &named).len(), 1, "the named one is known still");
    for number in 60_010..60_013 {
        assert_eq!(dials_of(&actions, &client(number)).len(), 1, "{number} is known still");
    }
}

#[test]
fn clients_of_one_network_fill_a_quarter_of_the_table_and_replace_each_other() {
    let mut node = Node::new(1, 1000);
    for number in 1..=200 {
        node.tell(Event::AdHeard { ad: ad(made_up(number, false)) });
    }
    assert_eq!(node.core.held().clients, limits::CLIENT_COUNT_PER_PREFIX_MAX);
    for number in 1_000..1_100 {
        node.tell(Event::AdHeard { ad: ad(made_up(number, true)) });
    }
    assert_eq!(node.core.held().clients, limits::CLIENT_COUNT_PER_PREFIX_MAX + 100);
}

#[test]
fn an_attempt_has_its_time_unless_others_wait() {
    let mut node = Node::new(1, 1000);
    let slow = dialled(&node.tell(Event::AdHeard { ad: ad(client(1)) }))[0];
    let actions = node.wait(limits::GREETING_TIME.0 - 1);
    assert!(!actions.contains(&Action::Close { session: slow }), "nobody waits");

    let mut node = Node::new(1, 1000);
    let named = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    for number in 2..=200 {
        node.tell(Event::AdHeard { ad: ad(client(number)) });
    }
    let before = node.wait(limits::GREETING_PATIENCE.0 - 1);
    assert!(!before.iter().any(|action| matches!(action, Action::Close { .. })), "{before:?}");
    let after = node.wait(2_000);
    assert!(after.iter().any(|action| matches!(action, Action::Close { .. })));
    assert!(!after.contains(&Action::Close { session: named }), "the user named it");
}

#[test]
fn a_client_that_is_only_heard_of_is_dialled_at_a_few_addresses_and_at_others_each_time() {
    let mut node = Node::new(1, 1000);
    let mut attempts = Vec::new();
    let note = |attempts: &mut Vec<Option<u32>>, actions: &[Action]| -> Option<SessionId> {
        actions.iter().find_map(|action| match action {
            Action::Dial { session, heard, .. } => {
                attempts.push(*heard);
                Some(*session)
            }
            _ => None,
        })
    };
    let mut session = note(&mut attempts, &node.tell(Event::AdHeard { ad: ad(client(1)) }));
    while attempts.len() < 4 {
        if let Some(session) = session {
            node.close(session);
        }
        session = note(&mut attempts, &node.wait(1_000));
    }
    // The user's word is another thing.
    note(&mut attempts, &node.tell(Event::Named { client: client(2) }));
    assert_eq!(attempts, [Some(0), Some(1), Some(2), Some(3), None]);
}

#[test]
fn an_answer_and_a_goodbye_leave_the_table_to_others() {
    let mut node = Node::new(1, 1000);
    for number in 1..=300 {
        for session in dialled(&node.tell(Event::AdHeard { ad: ad(client(number)) })) {
            node.greet(session, 7);
            node.say(session, goodbye(GoodbyeReason::ShuttingDown));
        }
    }
    let held = node.core.held();
    assert!(held.clients <= limits::CLIENT_COUNT_MAX && held.links == 0, "{held:?}");
}
