//! How clients come, break away, come back and go.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use starling_node_core::{Action, ClientEnd, Config, Event, InputFailure, SessionId};
use starling_proto::{ClientMessage, GoodbyeReason, Grant, NodeMessage, PeerAddr};
use starling_types::Millis;

fn over(actions: &[Action]) -> Option<ClientEnd> {
    actions.iter().find_map(|action| match action {
        Action::ClientOver { end, .. } => Some(end.clone()),
        _ => None,
    })
}

/// Waits for the next dial.
fn redialled(node: &mut Node) -> SessionId {
    for _ in 0..100 {
        let wakeup = node.core.next_wakeup().expect("something is to be waited for");
        node.now = wakeup;
        if let Some(session) = dialled(&node.tell(Event::Tick)).first() {
            return *session;
        }
    }
    panic!("it is not dialled again");
}

#[test]
fn a_broken_connection_costs_no_task() {
    let (mut node, session) = Node::serving(2, 1000);
    let proving = node.begin(session, grant(1));
    let finished = node.begin(session, grant(2));
    let actions = node.close(session);
    assert!(!actions.iter().any(|action| matches!(action, Action::Cancel { .. })), "{actions:?}");
    node.wait(500);
    let actions = node.finish(finished, 2);
    assert_eq!(sent(&actions), [], "nobody is there to hear of it");

    let again = redialled(&mut node);
    let messages = sent(&node.greet(again, 7));
    let held = NodeMessage::Renew { lease: lease(1), done_permille: 0, waits: false };
    assert_eq!(messages[..2], [held, done(2)]);
    assert_eq!(renewed(&node.wait(5_000), 1), [0]);
    assert!(sent(&node.finish(proving, 1)).contains(&done(1)));
    assert_eq!(node.core.counts().done, 2);
}

#[test]
fn a_result_is_reported_again_until_it_is_judged() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    node.finish(work, 1);
    node.close(session);
    let session = redialled(&mut node);
    assert!(sent(&node.greet(session, 7)).contains(&done(1)), "its report may have been lost");
    let accepted = ClientMessage::Verdict { lease: lease(1), accepted: true, reason: "".into() };
    node.say(session, accepted);
    node.close(session);
    let session = redialled(&mut node);
    assert!(!sent(&node.greet(session, 7)).contains(&done(1)));
}

#[test]
fn leases_of_an_earlier_run_of_the_client_are_dropped() {
    let (mut node, session) = Node::serving(2, 2000);
    let work = node.begin(session, grant(1));
    let finished = node.begin(session, grant(2));
    node.finish(finished, 2);
    node.close(session);
    let again = redialled(&mut node);
    let actions = node.greet(again, 8);
    assert!(actions.contains(&Action::Cancel { work }));
    assert!(actions.contains(&Action::Forget { blob: blob(1002).reference }));
    let requests = [NodeMessage::WorkRequested];
    assert_eq!(sent(&actions), requests, "one slot is free, the other not yet");
    assert_eq!(node.core.counts().dropped, 1);
}

#[test]
fn an_input_that_breaks_off_with_the_connection_is_fetched_once_the_client_is_back() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = fetching(&node.grant(session, grant(1))).unwrap();
    node.close(session);
    let lost = || Event::NotFetched { work, cause: InputFailure::Unavailable("lost".into()) };
    assert_eq!(fetching(&node.tell(lost())), None);
    let again = redialled(&mut node);
    assert_eq!(fetching(&node.greet(again, 7)), Some(work));

    // It may break off only after the client is back.
    node.close(again);
    let third = redialled(&mut node);
    node.greet(third, 7);
    assert_eq!(fetching(&node.tell(lost())), Some(work));
    assert_eq!(node.core.counts().failed, 0);
}

#[test]
fn a_client_that_is_away_is_dialled_later_each_time_but_not_for_ever_later() {
    let (mut node, session) = Node::serving(1, 1000);
    node.begin(session, Grant { deadline: Millis(3_600_000), ..grant(1) });
    let mut lost_at = node.now;
    node.close(session);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let session = redialled(&mut node);
        pauses.push(node.now.since(lost_at).0);
        lost_at = node.now;
        node.close(session);
    }
    for (pause, shortest) in
        pauses.iter().zip([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
    {
        assert!((shortest..=shortest * 5 / 4).contains(pause), "{pauses:?}");
    }
}

#[test]
fn a_named_client_that_cannot_be_reached_is_given_up_after_a_minute() {
    let mut node = Node::new(1, 1000);
    let mut session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    let end = loop {
        if let Some(end) = over(&node.close(session)) {
            break end;
        }
        session = redialled(&mut node);
    };
    assert_eq!(end, ClientEnd::Unreachable { reason: "lost".into() });
    assert!((60_000..120_000).contains(&node.now.0), "{}", node.now);
}

/// When the node gives up a client that was there once, holding a lease of it or not, with this patience.
fn given_up_after(patience: Millis, holds: bool) -> (Node, Vec<Action>) {
    let mut node = Node::of(Config { patience, ..config(1, 1000) });
    let session = node.serve(1);
    if holds {
        node.begin(session, Grant { deadline: Millis(3_600_000), ..grant(1) });
    }
    node.close(session);
    let mut actions = Vec::new();
    while over(&actions).is_none() {
        assert!(node.now.0 < 3 * patience.0.max(600_000), "it is waited for for ever");
        let news = node.wait(1_000);
        actions.extend(dialled(&news).into_iter().flat_map(|session| node.close(session)));
        actions.extend(news);
    }
    (node, actions)
}

#[test]
fn a_named_client_is_waited_for_as_long_as_the_user_says() {
    for seconds in [5, 60, 300, 3600, 24 * 3600] {
        let (node, _) = given_up_after(Millis(seconds * 1000), false);
        let (least, most) = (seconds * 1000, seconds * 1000 + 40_000);
        assert!((least..=most).contains(&node.now.0), "{} for {seconds} s", node.now);
    }
}

#[test]
fn patience_beyond_ten_minutes_keeps_the_client_and_not_what_was_held_for_it() {
    let (node, actions) = given_up_after(Millis(3_600_000), true);
    assert!(actions.iter().any(|action| matches!(action, Action::Cancel { .. })));
    assert!((3_600_000..3_640_000).contains(&node.now.0), "{}", node.now);
    assert_eq!(node.core.counts().dropped, 1);
    // And a lease is kept for longer than an impatient user would wait.
    let (node, _) = given_up_after(Millis(0), true);
    assert!((599_000..=640_000).contains(&node.now.0), "{}", node.now);
}

#[test]
fn what_is_held_is_kept_for_ten_minutes_of_absence_and_then_dropped() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, Grant { deadline: Millis(3_600_000), ..grant(1) });
    node.close(session);
    let mut actions = Vec::new();
    while over(&actions).is_none() {
        assert!(node.now < Millis(700_000), "it is kept for ever");
        actions = node.wait(1_000);
        for session in dialled(&actions) {
            actions.extend(node.close(session));
        }
    }
    assert!(actions.contains(&Action::Cancel { work }));
    assert!((599_000..=602_000).contains(&node.now.0), "{}", node.now);
    node.tell(Event::Stopped { work });
    assert_eq!((node.core.held().leases, node.core.held().blobs), (0, 0));
}

#[test]
fn a_client_that_does_not_answer_the_greeting_is_closed_and_dialled_again() {
    let mut node = Node::new(1, 1000);
    let session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    node.tell(Event::Connected { session });
    let actions = node.wait(40_000);
    assert!(actions.contains(&Action::Close { session }));
    assert_eq!(dialled(&node.wait(2_000)).len(), 1);
}

#[test]
fn nothing_is_done_for_a_client_before_its_welcome() {
    let mut node = Node::new(1, 1000);
    let session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    node.tell(Event::Connected { session });
    assert_eq!(node.grant(session, grant(1)), []);
    assert_eq!(node.core.held().leases, 0);
}

#[test]
fn a_job_that_is_over_takes_its_own_leases_and_the_node_stays() {
    let (mut node, session) = Node::serving(2, 2000);
    let other = starling_proto::LeaseId { job: job(2), ..lease(2) };
    let ended = node.begin(session, grant(1));
    let kept = node.begin(session, Grant { lease: other, ..grant(2) });
    let actions = node.say(session, goodbye(GoodbyeReason::JobOver { job: job(1) }));
    assert!(actions.contains(&Action::Cancel { work: ended }));
    assert!(!actions.contains(&Action::Cancel { work: kept }));
    assert_eq!(over(&actions), None);
    // The client may close the connection over it: the node comes back.
    assert_eq!(over(&node.close(session)), None);
    let again = redialled(&mut node);
    let held = NodeMessage::Renew { lease: other, done_permille: 0, waits: false };
    assert!(sent(&node.greet(again, 7)).contains(&held));
}

#[test]
fn a_goodbye_for_good_ends_the_client_by_its_reason() {
    for (reason, end) in [
        (GoodbyeReason::ShuttingDown, ClientEnd::ShutDown { message: "bye".into() }),
        (GoodbyeReason::Dismissed, ClientEnd::Dismissed { message: "bye".into() }),
        (GoodbyeReason::WrongSystem, ClientEnd::WrongSystem { message: "bye".into() }),
    ] {
        let (mut node, session) = Node::serving(1, 1000);
        let work = node.begin(session, grant(1));
        let actions = node.say(session, goodbye(reason));
        assert_eq!(over(&actions), Some(end));
        assert!(actions.contains(&Action::Cancel { work }));
        assert!(actions.contains(&Action::Close { session }));
    }
}

#[test]
fn a_client_that_is_busy_is_dialled_again_later() {
    let mut node = Node::new(1, 1000);
    let session = dialled(&node.tell(Event::Named { client: client(1) }))[0];
    node.tell(Event::Connected { session });
    node.say(session, goodbye(GoodbyeReason::Busy));
    assert_eq!(over(&node.close(session)), None);
    redialled(&mut node);
}

#[test]
fn a_client_that_said_goodbye_is_not_called_back_by_its_last_ads() {
    let mut node = Node::new(1, 1000);
    let session = dialled(&node.tell(Event::AdHeard { ad: ad(client(1)) }))[0];
    node.greet(session, 7);
    node.say(session, goodbye(GoodbyeReason::ShuttingDown));
    node.wait(9_999);
    assert_eq!(dialled(&node.tell(Event::AdHeard { ad: ad(client(1)) })), []);
    node.wait(1);
    assert_eq!(dialled(&node.tell(Event::AdHeard { ad: ad(client(1)) })).len(), 1);
}

#[test]
fn ads_of_another_system_or_for_more_memory_are_passed_over() {
    let mut node = Node::new(1, 1000);
    let mut other = ad(client(1));
    other.systems[0].system = "fake/2".into();
    let mut other_work = ad(client(3));
    other_work.systems[0].kinds = [starling_types::KindCode(9)].into();
    let mut large = ad(client(2));
    large.memory = mib(1001);
    for ad in [other, other_work, large] {
        assert_eq!(node.tell(Event::AdHeard { ad }), []);
    }
    assert_eq!(node.core.held().clients, 0);
}

#[test]
fn a_client_that_advertises_no_more_and_cannot_be_reached_is_forgotten() {
    let mut node = Node::new(1, 1000);
    let mut session = dialled(&node.tell(Event::AdHeard { ad: ad(client(1)) }))[0];
    while node.core.held().clients > 0 {
        node.close(session);
        let Some(wakeup) = node.core.next_wakeup() else { break };
        node.now = wakeup;
        session = dialled(&node.tell(Event::Tick)).first().copied().unwrap_or(session);
    }
    assert!((60_000..120_000).contains(&node.now.0), "{}", node.now);
}

/// A node with all its places taken by clients that welcomed it, the first of which is `first`.
fn full() -> (Node, Vec<SessionId>) {
    let mut node = Node::new(1, 1000);
    let mut sessions = Vec::new();
    for number in 0..64 {
        let session = dialled(&node.tell(Event::AdHeard { ad: ad(client(number)) }))[0];
        node.greet(session, 7);
        sessions.push(session);
        node.now = node.now + Millis(10);
    }
    (node, sessions)
}

#[test]
fn a_silent_client_is_left_when_others_wait_and_only_then() {
    let (mut node, sessions) = full();
    // One works, and keeps its place.
    node.begin(sessions[0], Grant { deadline: Millis(3_600_000), ..grant(1) });
    let actions = node.wait(120_000);
    assert!(!actions.iter().any(|action| matches!(action, Action::Close { .. })));

    let actions = node.tell(Event::AdHeard { ad: ad(client(100)) });
    assert!(actions.contains(&Action::Close { session: sessions[1] }), "{actions:?}");
    assert_eq!(dialled(&actions).len(), 1);
    assert_eq!(node.core.held().links, 64);
    // The one that was left rests, and does not push another out at once.
    assert_eq!(node.tell(Event::AdHeard { ad: ad(client(1)) }), []);
}

#[test]
fn a_client_that_grants_what_nobody_can_begin_with_is_as_good_as_silent() {
    let (mut node, sessions) = full();
    for epoch in 0..12 {
        node.wait(10_000);
        for (nth, session) in (1..).zip(&sessions[1..]) {
            let work = fetching(&node.grant(*session, grant(100 * nth + epoch)));
            let cause = InputFailure::Unavailable("absent".into());
            work.map(|work| node.tell(Event::NotFetched { work, cause }));
        }
    }
    let actions = node.tell(Event::AdHeard { ad: ad(client(100)) });
    assert_eq!(dialled(&actions).len(), 1, "somebody makes way: {actions:?}");
}

#[test]
fn clients_that_came_just_now_are_not_left_for_others() {
    let (mut node, _) = full();
    assert_eq!(dialled(&node.tell(Event::AdHeard { ad: ad(client(100)) })), []);
    assert_eq!(dialled(&node.wait(58_000)), []);
    assert_eq!(dialled(&node.wait(2_000)).len(), 1, "now the first has been silent for a minute");
}

#[test]
fn one_network_does_not_take_all_places() {
    let mut node = Node::new(1, 1000);
    let alike = |number: u16| PeerAddr {
        direct: vec![format!("192.0.2.{number}:7000").parse().unwrap()],
        ..nowhere(number)
    };
    for number in 1..=100 {
        node.tell(Event::AdHeard { ad: ad(alike(number)) });
    }
    assert_eq!(node.core.held().links, 16);
    assert_eq!(dialled(&node.tell(Event::AdHeard { ad: ad(client(300)) })).len(), 1);
    assert_eq!(dialled(&node.tell(Event::Named { client: alike(101) })).len(), 1, "a named one is");
}

#[test]
fn a_stopped_node_says_so_and_stops_everything() {
    let (mut node, session) = Node::serving(1, 1000);
    let work = node.begin(session, grant(1));
    let actions = node.tell(Event::Stop);
    let leaving = NodeMessage::Leaving { reason: "stopped".into() };
    assert!(sent(&actions).contains(&leaving));
    assert!(actions.contains(&Action::Cancel { work }));
    assert!(actions.contains(&Action::Close { session }));
    assert!(!node.core.is_over());
    node.tell(Event::Stopped { work });
    assert!(node.core.is_over());
    assert_eq!(node.core.next_wakeup(), None);
}

#[test]
fn what_an_old_connection_says_counts_for_nothing() {
    let (mut node, session) = Node::serving(1, 1000);
    node.close(session);
    assert_eq!(node.grant(session, grant(1)), []);
    assert_eq!(node.close(session), []);
}
