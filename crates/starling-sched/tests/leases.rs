//! How leases live, end and come back, and what becomes of results and failures, rule by rule.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Action, Bench, Event, blob, capability, config, grant_to, granted_tasks, grants, leaf, named,
    node, po2,
};
use starling_plan::ZkvmInput;
use starling_sched::{Config, ExpiryReason, IgnoreReason, Lease, RevokeReason, WaitReason};
use starling_types::{Capability, Epoch, FailureClass, IndexRange, Millis, Task, TaskId};

const LIFT: TaskId = TaskId::Lift(0);

/// The same, uniformly named.
fn lift() -> Task {
    LIFT.into()
}

/// One segment of 60 s, leased to node 1.
fn leased() -> (Bench, Lease) {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    (bench, lease)
}

fn is_ready(bench: &Bench) -> bool {
    bench.scheduler.plan().is_ready(leaf(18))
}

fn ignored(reason: IgnoreReason) -> Vec<Action> {
    vec![Action::Ignored { reason }]
}

#[test]
fn an_expired_lease_requeues_its_task_once() {
    let (mut bench, lease) = leased();
    assert_eq!(bench.wait(19_999), []);
    let actions = bench.wait(1);
    let reason = ExpiryReason::Silence;
    let expired = Action::Expired { node: node(1), epoch: lease.epoch, task: lift(), reason };
    assert_eq!(actions, [expired]);
    assert!(is_ready(&bench));
    bench.join(2, capability(600, 1000));
    assert_eq!(granted_tasks(&bench.ask(2)), [(2, LIFT)]);
    bench.join(3, capability(600, 1000));
    assert_eq!(grants(&bench.ask(3)), [], "there is one task and it runs");
}

#[test]
fn renewals_keep_a_lease_until_its_deadline_when_another_node_could_take_the_task() {
    let mut bench = Bench::new(Config { copies_max: 1, ..config() }, &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.join(2, capability(600, 1000));
    bench.ask(2);
    for _ in 0..15 {
        assert_eq!(bench.wait(15_000), []);
        assert_eq!(bench.renew(1, lease.epoch), []);
    }
    let actions = bench.wait(15_000);
    let (epoch, task) = (lease.epoch, lift());
    let reason = ExpiryReason::DeadlinePassed;
    assert_eq!(actions[0], Action::Expired { node: node(1), epoch, task, reason });
    let reason = RevokeReason::DeadlinePassed;
    assert_eq!(actions[1], Action::Revoke { node: node(1), epoch, task, reason });
    assert_eq!(granted_tasks(&actions), [(2, LIFT)]);
    // It may have missed that: it is told again, and the lease does not come back.
    assert_eq!(bench.renew(1, epoch), [Action::Revoke { node: node(1), epoch, task, reason }]);
}

#[test]
fn a_task_that_waits_for_a_slot_though_it_was_granted_for_one_may_be_done_elsewhere() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 100));
    bench.join(2, capability(600, 1000));
    assert_eq!(grants(&bench.ask(2)), []);
    bench.wait(6_000);
    assert_eq!(grants(&bench.renew(1, lease.epoch)), [], "it works on it");
    assert!(grant_to(2, &bench.hold(1, lease.epoch)).is_some());
}

#[test]
fn a_silent_node_gets_nothing_until_it_is_heard() {
    let (mut bench, lease) = leased();
    bench.ask(1);
    bench.wait(20_000);
    assert!(is_ready(&bench), "node 1 has asked but is silent");
    let actions = bench.renew(1, Epoch(99));
    assert_eq!(granted_tasks(&actions), [(1, LIFT)]);
    assert_ne!(grant_to(1, &actions).unwrap().epoch, lease.epoch);
}

#[test]
fn a_lease_that_expired_stands_again_when_its_node_is_heard_and_its_task_waits() {
    let (mut bench, lease) = leased();
    bench.wait(20_000);
    let revived = Action::Revived { node: node(1), epoch: lease.epoch, task: lift() };
    assert_eq!(bench.renew(1, lease.epoch), [revived]);
    assert!(!is_ready(&bench));
    assert_eq!(bench.wait(19_999), []);
}

#[test]
fn a_node_whose_task_others_do_by_now_is_told_to_stop() {
    let mut bench = Bench::new(Config { copies_max: 1, ..config() }, &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.wait(20_000);
    let other = bench.enter(2, capability(600, 1000));
    let (epoch, task) = (lease.epoch, lift());
    let told = |reason| vec![Action::Revoke { node: node(1), epoch, task, reason }];
    assert_eq!(bench.renew(1, epoch), told(RevokeReason::Replaced));
    assert_eq!(bench.renew(2, other.epoch), []);
}

#[test]
fn a_late_result_of_an_expired_lease_counts() {
    let (mut bench, lease) = leased();
    bench.wait(20_000);
    let other = bench.enter(2, capability(600, 1000));
    let actions = bench.report(1, lease.epoch);
    assert!(matches!(actions[..], [Action::CheckResult { epoch, .. }] if epoch == lease.epoch));
    let actions = bench.accept(lease.epoch);
    let (epoch, task) = (other.epoch, lift());
    let reason = RevokeReason::NotNeeded;
    assert_eq!(actions[0], Action::Revoke { node: node(2), epoch, task, reason });
    assert!(matches!(actions[1], Action::JobProved { .. }));
}

#[test]
fn a_late_result_of_a_node_that_left_counts() {
    let (mut bench, lease) = leased();
    bench.tell(Event::NodeLeft { node: node(1) });
    assert!(is_ready(&bench));
    bench.join(1, capability(600, 1000));
    assert!(matches!(bench.report(1, lease.epoch)[..], [Action::CheckResult { .. }]));
    assert!(!is_ready(&bench), "nobody else need begin while it is checked");
}

#[test]
fn a_late_result_beyond_those_of_its_node_that_wait_is_turned_away_and_judged_once_they_are() {
    let mut bench = Bench::new(config(), &[18, 18]);
    let late = bench.enter(1, capability(600, 1000));
    bench.wait(20_000);
    assert_eq!(bench.enter(2, capability(600, 1000)).task, late.task);
    let lease = grant_to(1, &bench.ask(1)).unwrap();
    assert_ne!(lease.task, late.task);
    assert!(matches!(bench.report(1, lease.epoch)[..], [Action::CheckResult { .. }]));
    // Of a node that has proved nothing one result waits at a time. It need not keep the other.
    let (node, epoch, task) = (node(1), late.epoch, late.task);
    let reason = RevokeReason::Replaced;
    let ignored = IgnoreReason::TooManyUnjudged { epoch, node };
    let turned_away =
        [Action::Revoke { node, epoch, task, reason }, Action::Ignored { reason: ignored }];
    assert_eq!(bench.report(1, epoch), turned_away);
    bench.accept(lease.epoch);
    assert!(matches!(bench.report(1, epoch)[..], [Action::CheckResult { .. }]));
}

#[test]
fn after_the_first_valid_result_the_second_is_not_looked_at() {
    let mut bench = Bench::new(config(), &[18, 18]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.wait(20_000);
    bench.join(2, capability(600, 1000));
    let other = grant_to(2, &bench.ask(2)).unwrap();
    assert_eq!(other.task, lift());
    bench.finish(2, other.epoch);
    let (epoch, task) = (lease.epoch, lift());
    assert_eq!(bench.report(1, epoch), ignored(IgnoreReason::NotNeeded { epoch, task }));
    let reason = RevokeReason::NotNeeded;
    assert_eq!(bench.renew(1, epoch), [Action::Revoke { node: node(1), epoch, task, reason }]);
}

#[test]
fn what_is_said_about_unknown_leases_or_by_the_wrong_node_changes_nothing() {
    let (mut bench, lease) = leased();
    bench.join(2, capability(600, 1000));
    let epoch = Epoch(12345);
    let unknown = ignored(IgnoreReason::UnknownLease { epoch });
    // The node works in vain, and is told so.
    assert_eq!(bench.renew(1, epoch), [Action::Disown { node: node(1), epoch }]);
    assert_eq!(bench.report(1, epoch), unknown);
    assert_eq!(bench.accept(epoch), unknown);
    assert_eq!(bench.fail(1, epoch, FailureClass::Task), unknown);
    assert_eq!(bench.tell(Event::LeaseDeclined { node: node(1), epoch, busy: false }), unknown);
    let reason = String::new();
    assert_eq!(bench.tell(Event::ResultRefused { epoch, reason: reason.clone() }), unknown);
    assert_eq!(bench.tell(Event::ResultUnfetchable { epoch, reason }), unknown);
    let epoch = lease.epoch;
    let wrong = ignored(IgnoreReason::NotTheHolder { epoch, node: node(2) });
    assert_eq!(bench.renew(2, epoch), wrong);
    assert_eq!(bench.report(2, epoch), wrong);
    assert_eq!(bench.fail(2, epoch, FailureClass::Task), wrong);
    assert_eq!(bench.accept(epoch), ignored(IgnoreReason::NotReported { epoch }));
    let stranger = ignored(IgnoreReason::UnknownNode { node: node(9) });
    assert_eq!(bench.ask(9), stranger);
    assert_eq!(bench.tell(Event::NodeLeft { node: node(9) }), stranger);
    bench.report(1, epoch);
    assert_eq!(bench.report(1, epoch), ignored(IgnoreReason::AlreadyReported { epoch }));
}

#[test]
fn a_node_that_leaves_gives_its_task_back() {
    let (mut bench, lease) = leased();
    let actions = bench.tell(Event::NodeLeft { node: node(1) });
    let reason = ExpiryReason::NodeLeft;
    let expired = Action::Expired { node: node(1), epoch: lease.epoch, task: lift(), reason };
    assert_eq!(actions, [expired, Action::Waiting { reason: WaitReason::NoNodes }]);
}

#[test]
fn a_checked_result_has_no_deadline_and_outlives_its_node() {
    let (mut bench, lease) = leased();
    bench.report(1, lease.epoch);
    assert_eq!(bench.wait(10_000_000), []);
    assert_eq!(bench.tell(Event::NodeLeft { node: node(1) }), []);
    assert!(matches!(bench.accept(lease.epoch)[..], [Action::JobProved { .. }]));
}

#[test]
fn a_node_that_reports_a_false_result_is_dismissed_and_loses_all_its_leases() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let liar = Capability { slots: 2, ..capability(1000, 1000) };
    let first = bench.enter(1, liar.clone());
    let second = grant_to(1, &bench.ask(1)).unwrap();
    bench.report(1, first.epoch);
    let reason = "seal does not verify".to_owned();
    let refused = Event::ResultRefused { epoch: first.epoch, reason: reason.clone() };
    let (epoch, task) = (second.epoch, second.task);
    assert_eq!(
        bench.tell(refused),
        [
            Action::Revoke { node: node(1), epoch, task, reason: RevokeReason::Dismissed },
            Action::Dismiss { node: node(1), reason },
            Action::Waiting { reason: WaitReason::NoNodes },
        ]
    );
    assert_eq!(bench.scheduler.plan().left(leaf(13)), 2);
    let dismissed = ignored(IgnoreReason::DismissedNode { node: node(1) });
    assert_eq!(bench.ask(1), dismissed);
    assert_eq!(bench.report(1, second.epoch), dismissed);
    assert!(matches!(bench.join(1, liar)[..], [Action::Dismiss { .. }]));
    assert_eq!(bench.ask(1), dismissed);
    assert_eq!(bench.enter(2, capability(1000, 1000)).task, first.task);
}

#[test]
fn what_a_dismissed_node_proved_right_stays() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let first = bench.enter(1, capability(1000, 1000));
    bench.ask(1);
    let second = grant_to(1, &bench.finish(1, first.epoch)).unwrap();
    bench.report(1, second.epoch);
    bench.tell(Event::ResultRefused { epoch: second.epoch, reason: String::new() });
    assert!(bench.scheduler.plan().is_accepted(named(first.task)));
    assert!(!bench.scheduler.plan().is_accepted(named(second.task)));
}

#[test]
fn a_result_that_cannot_be_fetched_sends_the_task_elsewhere_and_the_node_to_wait() {
    let (mut bench, lease) = leased();
    bench.report(1, lease.epoch);
    bench.ask(1);
    let reason = "connection lost".to_owned();
    assert_eq!(bench.tell(Event::ResultUnfetchable { epoch: lease.epoch, reason }), []);
    assert_eq!(granted_tasks(&bench.wait(999)), []);
    assert_eq!(granted_tasks(&bench.wait(251)), [(1, LIFT)], "a second and up to a quarter");
}

#[test]
fn each_failure_in_a_row_doubles_the_pause_up_to_the_longest() {
    let config = config();
    let mut bench = Bench::new(config, &[18]);
    let mut epoch = bench.enter(1, capability(600, 1000)).epoch;
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        bench.fail(1, epoch, FailureClass::Node);
        bench.ask(1);
        assert_eq!(grants(&bench.wait(seconds * 1000 - 1)), [], "{seconds} s");
        let actions = bench.wait(seconds * 250 + 1);
        epoch = grant_to(1, &actions).unwrap_or_else(|| panic!("{seconds} s: nothing")).epoch;
    }
}

#[test]
fn an_input_that_could_not_be_had_is_fetched_from_the_client_next_time() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let leases = [1, 2].map(|name| bench.enter(name, capability(1000, 1000)));
    bench.join(3, capability(1000, 1000));
    bench.finish(1, leases[0].epoch);
    bench.finish(2, leases[1].epoch);
    let lease = grant_to(3, &bench.ask(3)).unwrap();
    assert_eq!(named(lease.task), TaskId::Join(IndexRange::new(0, 2).unwrap()));
    assert_eq!(lease.inputs[0].holders, [node(1)]);
    bench.fail(3, lease.epoch, FailureClass::Input);
    bench.join(4, capability(1000, 1000));
    let again = grant_to(4, &bench.ask(4)).unwrap();
    assert!(again.inputs.iter().all(|input| input.holders.is_empty()));
}

#[test]
fn silence_does_not_count_against_a_task() {
    let mut bench = Bench::new(config(), &[18]);
    for name in 1..50 {
        bench.enter(name, capability(600, 1000));
        bench.wait(20_000);
    }
    assert!(!bench.scheduler.is_over());
}

#[test]
fn a_deadline_is_set_by_what_the_node_has_shown() {
    let mut bench = Bench::new(config(), &[18, 18]);
    let boaster = bench.enter(1, capability(600, 1000));
    for _ in 0..12 {
        bench.wait(15_000);
        bench.renew(1, boaster.epoch);
    }
    bench.finish(1, boaster.epoch);
    // 60 s of work took 180 s: (3 * 1000 + 333) / 4 = 833 permille.
    let lease = grant_to(1, &bench.ask(1)).unwrap();
    assert_eq!(lease.deadline, Millis(60_000 * 1000 / 833 * 4));
}

#[test]
fn segments_out_of_order_fail_the_job() {
    let mut bench = Bench::new(config(), &[18]);
    let stored = Event::Input(ZkvmInput::Segment { index: 5, po2: po2(18), blob: blob(5) });
    let actions = bench.tell(stored);
    assert!(matches!(actions.last(), Some(Action::JobFailed { .. })));
}

#[test]
fn keccak_requests_that_cannot_be_planned_fail_the_job() {
    let mut bench = Bench::executing(config());
    let actions = bench.keccak(19);
    assert!(matches!(actions.last(), Some(Action::JobFailed { .. })));
}

#[test]
fn keccak_work_is_taken_back_when_the_job_does_not_assume_its_root() {
    let mut bench = Bench::executing(config());
    bench.segment(13);
    bench.keccak(14);
    bench.keccak(14);
    let lift = bench.enter(1, capability(1000, 1000));
    let running = bench.enter(2, capability(1000, 1000));
    let checked = bench.enter(3, capability(1000, 1000));
    bench.report(3, checked.epoch);
    let (epoch, task) = (running.epoch, running.task);
    let reason = RevokeReason::NotNeeded;
    let revoke = Action::Revoke { node: node(2), epoch, task, reason };
    assert_eq!(bench.end(vec![]), [revoke]);
    // Neither what the node says of it nor the other result matters any more.
    let told = |actions: &[Action]| matches!(actions, [Action::Revoke { .. }]);
    assert!(told(&bench.renew(2, epoch)));
    assert_eq!(bench.report(2, epoch), ignored(IgnoreReason::NotNeeded { epoch, task }));
    assert_eq!(bench.accept(checked.epoch), []);
    assert_eq!(granted_tasks(&bench.ask(2)), []);
    assert!(matches!(bench.finish(1, lift.epoch).last(), Some(Action::JobProved { .. })));
}

#[test]
fn a_failed_job_takes_all_leases_back() {
    let mut bench = Bench::executing(config());
    bench.segment(18);
    let lease = bench.enter(2, capability(600, 1000));
    let stored = Event::Input(ZkvmInput::Segment { index: 5, po2: po2(18), blob: blob(5) });
    let actions = bench.tell(stored);
    let (epoch, task) = (lease.epoch, lease.task);
    let reason = RevokeReason::JobOver;
    assert_eq!(actions[0], Action::Revoke { node: node(2), epoch, task, reason });
    assert!(matches!(actions[1], Action::JobFailed { .. }), "{actions:?}");
    assert!(bench.scheduler.is_over());
}

#[test]
fn a_request_that_is_withdrawn_is_not_granted_later() {
    let mut bench = Bench::executing(config());
    bench.join(1, capability(600, 1000));
    bench.ask(1);
    bench.tell(Event::RequestsWithdrawn { node: node(1) });
    assert_eq!(grants(&bench.segment(18)), []);
    assert!(grant_to(1, &bench.ask(1)).is_some());
}

#[test]
fn a_lease_that_was_never_sent_is_ready_again_at_once_and_costs_its_node_nothing() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.tell(Event::LeaseReturned { node: node(1), epoch: lease.epoch });
    let again = grant_to(1, &bench.ask(1)).unwrap();
    assert_eq!(again.task, lease.task);
    assert_ne!(again.epoch, lease.epoch);
}
