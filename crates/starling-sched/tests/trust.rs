//! What strangers, bad luck and full disks can and cannot do to a job.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Action, Bench, Event, blob, capability, config, grant_to, granted_tasks, grants, lifting_up_to,
    node,
};
use starling_sched::{Believed, Config, Judgement, Lease, WaitReason};
use starling_types::{Capability, FailureClass, IndexRange, Millis, Task, TaskId};

fn lift() -> Task {
    TaskId::Lift(0).into()
}

fn judged(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Judge { .. }))
}

#[test]
fn a_full_disk_is_the_nodes_trouble_and_no_task_of_any_class_goes_there_for_a_while() {
    let mut bench = Bench::new(config(), &[18, 13]);
    let lease = bench.enter(1, capability(1000, 1000));
    bench.ask(1);
    assert_eq!(grants(&bench.fail(1, lease.epoch, FailureClass::Disk)), []);
    assert_eq!(granted_tasks(&bench.wait(999)), [], "not even a smaller one");
    assert_eq!(bench.wait(300).len(), 1, "after the pause it is asked again");
}

#[test]
fn one_key_that_drops_every_task_neither_fails_the_job_nor_has_it_judged() {
    let mut bench = Bench::new(config(), &[18]);
    for _ in 0..40 {
        bench.join(1, capability(600, 1000));
        let lease = grant_to(1, &bench.ask(1));
        bench.tell(Event::NodeLeft { node: node(1) });
        bench.join(1, capability(600, 1000));
        let Some(lease) = lease else { continue };
        bench.report(1, lease.epoch);
        let reason = "nobody has it".to_owned();
        let actions = bench.tell(Event::ResultUnfetchable { epoch: lease.epoch, reason });
        assert!(!judged(&actions), "{actions:?}");
        bench.tell(Event::NodeLeft { node: node(1) });
        bench.wait(120_000);
    }
    assert!(!bench.scheduler.is_over());
    assert_eq!(bench.enter(2, capability(600, 1000)).task, lift());
}

#[test]
fn a_task_that_several_nodes_refuse_is_judged_here_and_the_job_goes_on() {
    for class in [FailureClass::Task, FailureClass::Input] {
        let mut bench = Bench::new(config(), &[18]);
        // Somebody else could do it, and does not ask.
        bench.join(9, capability(600, 1000));
        for name in 1..=3 {
            let lease = bench.enter(name, capability(600, 1000));
            let actions = bench.fail(name, lease.epoch, class);
            assert_eq!(judged(&actions), name == 3, "{name}");
            if let Some(Action::Judge { task, inputs }) = actions.first() {
                assert_eq!((*task, &inputs[..]), (lift(), &[blob(0)][..]));
            }
        }
        assert!(!bench.scheduler.is_over());
        // While it is judged, and after, it is offered as before.
        assert_eq!(bench.enter(4, capability(600, 1000)).task, lift());
        let actions = bench.tell(Event::Judged { task: lift(), judgement: Judgement::Sound });
        // Who could not have its inputs says nothing of the task.
        let message = match actions.first() {
            Some(Action::Disbelieved { node_count: 3, message, .. }) => Some(message),
            _ => None,
        };
        assert_eq!(message.is_some(), class == FailureClass::Task, "{actions:?}");
        assert!(!bench.scheduler.is_over());
    }
}

#[test]
fn a_task_that_all_who_could_do_it_refuse_is_judged_however_few_they_are() {
    for (count, class) in
        [(1, FailureClass::Task), (2, FailureClass::Task), (2, FailureClass::Input)]
    {
        let mut bench = Bench::new(config(), &[18]);
        // One that lifts smaller segments only is nobody who could.
        bench.join(9, lifting_up_to(17, capability(600, 1000)));
        (1..=count).for_each(|name| drop(bench.join(name, capability(600, 1000))));
        for name in 1..=count {
            let lease = grant_to(name, &bench.ask(name)).unwrap();
            let actions = bench.fail(name, lease.epoch, class);
            assert_eq!(judged(&actions), name == count, "{name} of {count}, {class:?}");
        }
    }
}

#[test]
fn a_lone_node_whose_prover_refuses_a_sound_task_gets_it_no_more_and_the_job_says_why_it_waits() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    assert!(judged(&bench.fail(1, lease.epoch, FailureClass::Task)));
    bench.tell(Event::Judged { task: lift(), judgement: Judgement::Sound });
    bench.ask(1);
    assert_eq!(grants(&bench.wait(600_000)), []);
    let waiting = bench.scheduler.status().waiting;
    assert!(matches!(waiting, Some(WaitReason::Disbelieved { .. })), "{waiting:?}");
}

#[test]
fn inputs_that_could_not_be_looked_at_bar_nobody_and_are_looked_at_when_a_node_refuses_them_again()
{
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    assert!(judged(&bench.fail(1, lease.epoch, FailureClass::Task)));
    bench.tell(Event::Judged { task: lift(), judgement: Judgement::Unknown });
    bench.ask(1);
    let again = grant_to(1, &bench.wait(2000)).expect("nobody knows better");
    assert!(judged(&bench.fail(1, again.epoch, FailureClass::Task)));
    // One look at a time.
    bench.ask(1);
    let again = grant_to(1, &bench.wait(3000)).unwrap();
    assert!(!judged(&bench.fail(1, again.epoch, FailureClass::Task)));
}

/// Each of so many nodes fails whatever it gets like this, for so long at a time at least, until all have done so `times` over.
/// The leases that stand then are left to the caller.
fn failing(count: u8, class: FailureClass, lasting_ms: u64, times: usize) -> (Bench, Vec<Action>) {
    let mut bench = Bench::new(config(), &[18]);
    (1..=count).for_each(|name| drop(bench.join(name, capability(600, 1000))));
    let mut failed = vec![0; usize::from(count)];
    let mut actions: Vec<Action> = (1..=count).flat_map(|name| bench.ask(name)).collect();
    loop {
        for (node, lease) in grants(&std::mem::take(&mut actions)) {
            let name = node.0[0];
            actions.extend(bench.wait(lasting_ms));
            actions.extend(bench.fail(name, lease.epoch, class));
            failed[usize::from(name) - 1] += 1;
            actions.extend(bench.ask(name));
        }
        if failed.iter().all(|failures| *failures >= times) {
            return (bench, actions);
        }
        if grants(&actions).is_empty() {
            actions.extend(bench.wait(1000));
        }
    }
}

fn waiting(bench: &Bench) -> Option<WaitReason> {
    bench.scheduler.status().waiting
}

#[test]
fn a_job_whose_nodes_all_fail_says_so_with_their_words_and_goes_on_saying_it_while_they_try_again()
{
    for count in 1..=3 {
        for class in [FailureClass::Node, FailureClass::Input] {
            let (bench, _) = failing(count, class, 100, 2);
            assert_eq!(waiting(&bench), None, "{count}, {class:?}: bad luck, as yet");
            let (mut bench, mut actions) = failing(count, class, 100, 3);
            let reason = waiting(&bench).unwrap();
            assert!(matches!(reason, WaitReason::Failing { kind: "lift", .. }), "{reason:?}");
            assert!(reason.to_string().ends_with(&format!("{class:?} trouble")), "{reason}");
            let until = bench.now + Millis(600_000);
            while bench.now < until {
                for (node, lease) in grants(&std::mem::take(&mut actions)) {
                    actions.extend(bench.fail(node.0[0], lease.epoch, class));
                    actions.extend(bench.ask(node.0[0]));
                }
                actions.extend(bench.wait(50));
                assert!(waiting(&bench).is_some(), "{count}, {class:?}");
            }
        }
    }
}

#[test]
fn nodes_that_fail_are_waited_for_no_more_once_somebody_else_could_do_the_task_or_a_try_lasts_longer()
 {
    let (mut bench, _) = failing(1, FailureClass::Node, 100, 3);
    let actions = bench.join(2, capability(600, 1000));
    assert!(actions.contains(&Action::WaitingOver), "{actions:?}");

    // Each of the three lasted for five to six seconds.
    let (mut bench, _) = failing(1, FailureClass::Node, 5_000, 3);
    let mut granted = None;
    while granted.is_none() {
        granted = grant_to(1, &bench.wait(100));
    }
    let epoch = granted.unwrap().epoch;
    bench.wait(4_000);
    bench.renew(1, epoch);
    assert!(waiting(&bench).is_some(), "the others lasted as long");
    bench.wait(4_000);
    bench.renew(1, epoch);
    assert_eq!(waiting(&bench), None);
    bench.finish(1, epoch);
    assert!(bench.scheduler.is_over());
}

#[test]
fn a_job_is_not_stuck_at_what_fails_as_long_as_its_nodes_are_at_something_else() {
    let mut bench = Bench::new(config(), &[18, 13]);
    let mut large = bench.enter(1, Capability { slots: 2, ..capability(1000, 1000) });
    let small = grant_to(1, &bench.ask(1)).unwrap();
    for times in 1..=3 {
        let mut actions = bench.fail(1, large.epoch, FailureClass::Node);
        actions.extend(bench.ask(1));
        if times < 3 {
            actions.extend(bench.wait(3_000));
            large = grant_to(1, &actions).unwrap();
        }
        bench.renew(1, small.epoch);
        assert_eq!(waiting(&bench), None);
    }
    bench.finish(1, small.epoch);
    assert!(matches!(waiting(&bench), Some(WaitReason::Failing { kind: "lift", .. })));
}

/// Three nodes call the only task impossible, and its inputs are found to be sound.
fn disbelieved() -> Bench {
    let mut bench = Bench::new(config(), &[18]);
    for name in 1..=3 {
        let lease = bench.enter(name, capability(600, 1000));
        bench.fail(name, lease.epoch, FailureClass::Task);
    }
    bench.tell(Event::Judged { task: lift(), judgement: Judgement::Sound });
    bench
}

#[test]
fn who_calls_a_sound_task_impossible_gets_it_no_more_and_whoever_else_comes_does() {
    let mut bench = disbelieved();
    (1..=3).for_each(|name| drop(bench.ask(name)));
    assert_eq!(grants(&bench.wait(600_000)), [], "though nobody else is there");
    // Nor as a backup, when another has it and is late.
    let lease = bench.enter(4, capability(600, 1000));
    assert_eq!(lease.task, lift());
    let mut actions = Vec::new();
    for _ in 0..20 {
        actions.extend(bench.wait(15_000));
        actions.extend(bench.renew(4, lease.epoch));
    }
    assert_eq!(grants(&actions), []);
    assert!(matches!(bench.finish(4, lease.epoch).last(), Some(Action::JobProved { .. })));
}

#[test]
fn a_task_that_all_call_impossible_waits_for_somebody_else_and_says_what_they_said() {
    let mut bench = disbelieved();
    let waiting = bench.scheduler.status().waiting.unwrap();
    let WaitReason::Disbelieved { name, message } = &waiting else { panic!("{waiting:?}") };
    assert_eq!(name, "lift/0");
    assert!(waiting.to_string().contains(message.as_str()), "{waiting}");
    let actions = bench.join(4, capability(600, 1000));
    assert!(actions.contains(&Action::WaitingOver), "{actions:?}");
}

/// Three nodes call the first task impossible, and its inputs are found to be sound. The execution goes on.
fn disbelieved_of_the_first(config: Config) -> Bench {
    let mut bench = Bench::executing(config);
    bench.segment(18);
    for name in 1..=3 {
        let lease = bench.enter(name, capability(600, 1000));
        assert_eq!(lease.task, lift());
        bench.fail(name, lease.epoch, FailureClass::Task);
    }
    bench.tell(Event::Judged { task: lift(), judgement: Judgement::Sound });
    bench
}

#[test]
fn who_is_barred_from_a_task_gets_the_next_of_its_class_and_others_the_one_that_it_is_barred_from()
{
    let mut bench = disbelieved_of_the_first(config());
    bench.wait(2000);
    bench.ask(1);
    assert_eq!(granted_tasks(&bench.segment(18)), [(1, TaskId::Lift(1))]);
    assert_eq!(bench.enter(4, capability(600, 1000)).task, lift());
}

#[test]
fn who_is_barred_from_all_tasks_that_are_looked_at_keeps_nobody_else_from_them() {
    // Eight are looked at, and there are nine.
    let mut bench = Bench::new(config(), &[18; 9]);
    for index in 0..8 {
        let mut nodes = Vec::new();
        for name in 1..=3 {
            bench.join(name, capability(600, 1000));
            let mut actions = bench.ask(name);
            while grant_to(name, &actions).is_none() {
                actions = bench.wait(1000);
            }
            let lease = grant_to(name, &actions).unwrap();
            assert_eq!(lease.task, TaskId::Lift(index).into());
            nodes.push((name, lease.epoch));
            bench.fail(name, lease.epoch, FailureClass::Task);
        }
        bench.tell(Event::Judged { task: TaskId::Lift(index).into(), judgement: Judgement::Sound });
    }
    (1..=3).for_each(|name| drop(bench.ask(name)));
    assert_eq!(granted_tasks(&bench.wait(600_000)), []);
    // One of the eight is somebody else's, and the ninth comes into view.
    bench.join(4, capability(600, 1));
    let granted = granted_tasks(&bench.ask(4));
    assert_eq!(granted[0], (4, TaskId::Lift(0)));
    assert_eq!(granted[1].1, TaskId::Lift(8));
    assert!((1..=3).contains(&granted[1].0) && granted.len() == 2, "{granted:?}");
}

#[test]
fn who_is_barred_from_a_join_gets_another_beside_it() {
    let mut bench = Bench::new(config(), &[13; 4]);
    let lifts = [1, 2, 3, 4].map(|name| bench.enter(name, capability(1000, 1000)));
    for (name, lease) in (1..).zip(&lifts) {
        bench.finish(name, lease.epoch);
    }
    let join = |start, end| TaskId::Join(IndexRange::new(start, end).unwrap());
    for name in 5..=7 {
        let lease = bench.enter(name, capability(1000, 1000));
        assert_eq!(lease.task, join(0, 2).into());
        bench.fail(name, lease.epoch, FailureClass::Task);
    }
    bench.tell(Event::Judged { task: join(0, 2).into(), judgement: Judgement::Sound });
    bench.ask(5);
    assert_eq!(granted_tasks(&bench.wait(2000)), [(5, join(2, 4))]);
}

#[test]
fn who_is_barred_from_what_is_ready_gets_what_others_have_not_begun() {
    let mut bench = disbelieved_of_the_first(Config { leases_ahead: true, ..config() });
    bench.ask(3);
    let small = grant_to(3, &bench.segment(13)).unwrap();
    bench.finish(3, small.epoch);
    bench.wait(2000);
    bench.segment(18);
    bench.segment(18);
    // One that has proved something works, and was granted another ahead.
    let granted = granted_tasks(&bench.ask(3));
    assert_eq!(granted, [(3, TaskId::Lift(2)), (3, TaskId::Lift(3))]);
    assert_eq!(granted_tasks(&bench.ask(1)), [(1, TaskId::Lift(3))]);
}

#[test]
fn who_was_right_about_inputs_gets_the_task_again_when_they_are_made_again() {
    let mut bench = Bench::new(config(), &[18]);
    for name in 1..=3 {
        let lease = bench.enter(name, capability(600, 1000));
        bench.fail(name, lease.epoch, FailureClass::Task);
    }
    bench.tell(Event::BlobLost { blob: blob(0).reference });
    bench.tell(Event::Judged { task: lift(), judgement: Judgement::Faulty });
    bench.ask(1);
    bench.wait(600_000);
    let actions = bench.tell(Event::BlobFound { blob: blob(0).reference });
    assert_eq!(granted_tasks(&actions), [(1, TaskId::Lift(0))]);
}

#[test]
fn the_same_node_saying_so_again_is_one_voice_while_another_could_do_the_task() {
    let mut bench = Bench::new(config(), &[18]);
    bench.join(2, capability(600, 1000));
    let mut epoch = bench.enter(1, capability(600, 1000)).epoch;
    for _ in 0..20 {
        assert!(!judged(&bench.fail(1, epoch, FailureClass::Task)));
        bench.ask(1);
        let wakeup = bench.scheduler.next_wakeup().unwrap();
        let actions = bench.wait(wakeup.since(bench.now).0);
        epoch = grant_to(1, &actions).unwrap().epoch;
    }
}

#[test]
fn an_input_that_proved_false_is_made_again_and_what_was_made_of_it_is_taken_back() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let first = bench.enter(1, capability(1000, 1000));
    let second = bench.enter(2, capability(1000, 1000));
    bench.finish(1, first.epoch);
    bench.finish(2, second.epoch);
    let join = bench.enter(3, capability(1000, 1000));
    let actions = bench.tell(Event::ResultRevoked { task: first.task });
    assert!(matches!(actions[0], Action::Revoke { epoch, .. } if epoch == join.epoch));
    assert_eq!(actions[1], Action::Reread { blobs: vec![blob(0)] });
    // What the join's node still reports of it is not looked at.
    let actions = bench.report(3, join.epoch);
    assert!(matches!(actions[0], Action::Ignored { .. }), "{actions:?}");
    assert_eq!(bench.enter(4, capability(1000, 1000)).task, first.task);
}

#[test]
fn who_made_what_proved_false_is_dismissed_and_gets_none_of_what_is_made_again() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let first = bench.enter(1, capability(1000, 1000));
    let second = bench.enter(2, capability(1000, 1000));
    for (name, lease) in [(1, &first), (2, &second)] {
        bench.report(name, lease.epoch);
        bench.tell(Event::ResultTaken { epoch: lease.epoch, blob: blob(1000 + u64::from(name)) });
    }
    let join = bench.enter(2, capability(1000, 1000));
    bench.ask(1);
    let proved_false = Event::ResultProvedFalse { task: first.task, node: node(1) };
    let actions = bench.tell(proved_false);
    assert!(matches!(&actions[0], Action::Dismiss { node: named, .. } if *named == node(1)));
    let is_join =
        |action: &&Action| matches!(action, Action::Revoke { epoch, .. } if *epoch == join.epoch);
    assert!(actions.iter().any(|action| is_join(&action)), "{actions:?}");
    assert_eq!(grants(&actions), [], "the liar waits, and waits in vain");
    assert_eq!(bench.enter(3, capability(1000, 1000)).task, first.task);
}

#[test]
fn a_task_whose_input_is_lost_is_not_offered_until_it_is_found() {
    let mut bench = Bench::new(config(), &[13]);
    bench.tell(Event::BlobLost { blob: blob(0).reference });
    bench.join(1, capability(1000, 1000));
    assert_eq!(grants(&bench.ask(1)), []);
    let actions = bench.tell(Event::BlobFound { blob: blob(0).reference });
    assert_eq!(granted_tasks(&actions), [(1, TaskId::Lift(0))]);
}

#[test]
fn a_lone_node_that_renews_is_not_cut_off_at_its_deadline() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    let mut actions = Vec::new();
    while bench.now < Millis(3 * lease.deadline.0) {
        actions.extend(bench.wait(15_000));
        actions.extend(bench.renew(1, lease.epoch));
    }
    assert_eq!(actions, []);
    assert!(matches!(bench.finish(1, lease.epoch).last(), Some(Action::JobProved { .. })));
}

#[test]
fn a_lone_node_past_its_deadline_is_let_go_when_another_could_begin_and_not_before() {
    let mut bench = Bench::new(Config { copies_max: 1, ..config() }, &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    let mut actions = Vec::new();
    while bench.now < Millis(2 * lease.deadline.0) {
        actions.extend(bench.wait(15_000));
        actions.extend(bench.renew(1, lease.epoch));
    }
    // One that does not take what is so large, and one that does not ask.
    bench.join(2, lifting_up_to(17, capability(600, 1000)));
    actions.extend(bench.ask(2));
    bench.join(3, capability(600, 1000));
    for _ in 0..10 {
        actions.extend(bench.wait(15_000));
        actions.extend(bench.renew(1, lease.epoch));
    }
    assert_eq!(actions, []);
    actions.extend(bench.ask(3));
    for _ in 0..3 {
        actions.extend(bench.wait(15_000));
        bench.renew(1, lease.epoch);
    }
    let is_revoked =
        |action: &Action| matches!(action, Action::Revoke { epoch, .. } if *epoch == lease.epoch);
    assert!(actions.iter().any(is_revoked), "{actions:?}");
    assert_eq!(granted_tasks(&actions), [(3, TaskId::Lift(0))]);
}

#[test]
fn one_killed_prover_does_not_end_a_job_of_one_node() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(1500, 1000));
    bench.ask(1);
    let actions = bench.fail(1, lease.epoch, FailureClass::Memory);
    assert_eq!(actions, [], "nobody says that there is not enough memory");
    assert_eq!(granted_tasks(&bench.wait(1300)), [(1, TaskId::Lift(0))]);
}

#[test]
fn memory_that_a_node_lacked_once_is_asked_of_it_again_later() {
    let mut bench = Bench::new(config(), &[18, 14]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.fail(1, lease.epoch, FailureClass::Memory);
    let small = grant_to(1, &bench.ask(1)).unwrap();
    assert_eq!(small.task, TaskId::Lift(1).into(), "what is smaller still fits");
    bench.finish(1, small.epoch);
    bench.ask(1);
    assert_eq!(granted_tasks(&bench.wait(590_000)), []);
    assert_eq!(granted_tasks(&bench.wait(700_000)), [(1, TaskId::Lift(0))]);
}

#[test]
fn declining_costs_what_failing_costs() {
    let mut bench = Bench::new(config(), &[18]);
    let mut granted_count = 0;
    bench.join(1, Capability { slots: 1024, ..capability(600_000, 1_000_000) });
    for _ in 0..60 {
        let actions = [bench.ask(1), bench.wait(1000)].concat();
        for (_, lease) in grants(&actions) {
            granted_count += 1;
            bench.tell(Event::LeaseDeclined { node: node(1), epoch: lease.epoch, busy: false });
        }
    }
    bench.tell(Event::NodeLeft { node: node(1) });
    assert!(granted_count < 10, "{granted_count} leases to a node that takes none");
    assert_eq!(bench.enter(2, capability(600, 1000)).task, lift());
}

#[test]
fn a_node_that_had_other_work_when_its_lease_came_is_not_paused_and_others_get_the_task_first() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.join(2, capability(600, 10));
    bench.ask(2);
    let declined = Event::LeaseDeclined { node: node(1), epoch: lease.epoch, busy: true };
    assert_eq!(granted_tasks(&bench.tell(declined)), [(2, TaskId::Lift(0))]);
    bench.tell(Event::NodeLeft { node: node(2) });
    assert_eq!(granted_tasks(&bench.ask(1)), [(1, TaskId::Lift(0))], "at once");
}

#[test]
fn having_other_work_without_end_is_no_excuse() {
    let mut bench = Bench::new(config(), &[18]);
    bench.join(1, capability(600, 1000));
    let mut granted_count = 0;
    for _ in 0..600 {
        let actions = [bench.ask(1), bench.wait(100)].concat();
        for (_, lease) in grants(&actions) {
            granted_count += 1;
            bench.tell(Event::LeaseDeclined { node: node(1), epoch: lease.epoch, busy: true });
        }
    }
    // Eight a minute for nothing, and then at pauses of one second, two, four and so on.
    assert!((8..=15).contains(&granted_count), "{granted_count} leases in a minute");
}

/// A node gets the only task, and nothing is to be had of its result. How long it waits for the next.
fn unfetchable(bench: &mut Bench, name: u8) -> Millis {
    let since = bench.now;
    let mut granted = grant_to(name, &bench.ask(name));
    while granted.is_none() {
        let wakeup = bench.scheduler.next_wakeup().expect("a pause ends");
        granted = grant_to(name, &bench.wait(wakeup.since(bench.now).0));
    }
    let waited = bench.now.since(since);
    let epoch = granted.unwrap().epoch;
    bench.report(name, epoch);
    let reason = "stalled".to_owned();
    bench.tell(Event::ResultUnfetchable { epoch, reason });
    waited
}

#[test]
fn a_node_of_which_no_result_is_to_be_had_gets_no_work_of_any_kind_for_longer_each_time() {
    let mut bench = Bench::executing(config());
    bench.segment(18);
    bench.join(1, capability(600, 1000));
    for (nth, seconds) in [0, 1, 2, 60, 120, 240, 480].into_iter().enumerate() {
        let waited = unfetchable(&mut bench, 1);
        let at_most = Millis(seconds * 1250);
        assert!((Millis(seconds * 1000)..=at_most).contains(&waited), "{nth}: {waited}");
    }
    // What is of another class does not go there either.
    assert_eq!(granted_tasks(&[bench.segment(13), bench.ask(1)].concat()), []);
    // Others are not concerned.
    assert_eq!(bench.enter(2, capability(600, 1000)).task, lift());
}

/// A node joins and reports whatever it is granted at once, for as long as it is granted anything. How many leases that were.
fn hoard(bench: &mut Bench, name: u8, slots: u32) -> Vec<Lease> {
    bench.join(name, Capability { slots, ..capability(600_000, 1000) });
    let mut leases = Vec::new();
    for _ in 0..200 {
        let Some(lease) = grant_to(name, &bench.ask(name)) else { break };
        bench.report(name, lease.epoch);
        leases.push(lease);
    }
    leases
}

#[test]
fn who_has_proved_nothing_has_no_more_results_to_be_judged_than_slots() {
    for slots in [1, 3] {
        let mut bench = Bench::new(config(), &[18; 40]);
        let hoarded = hoard(&mut bench, 1, slots);
        assert_eq!(hoarded.len(), slots as usize);
        // Its request is open, and is served when a verdict comes, whatever that is.
        let reason = "stalled".to_owned();
        let epoch = hoarded[0].epoch;
        bench.tell(Event::ResultUnfetchable { epoch, reason });
        assert_eq!(grants(&bench.wait(2000)).len(), 1);
        // Others are not concerned.
        bench.enter(2, capability(600, 1000));
    }
}

#[test]
fn who_says_that_it_has_many_slots_gets_more_with_each_result_that_is_accepted() {
    let mut bench = Bench::new(config(), &[18; 40]);
    let hoarded = hoard(&mut bench, 1, 1024);
    assert_eq!(hoarded.len(), 4);
    // Eight by now, three of which it has.
    assert_eq!(
        grants(&bench.accept(hoarded[0].epoch)).len(),
        1,
        "the one that it asked for in vain"
    );
    assert_eq!(hoard(&mut bench, 1, 1024).len(), 4);
}

#[test]
fn who_has_proved_something_has_a_few_times_as_many_and_not_more() {
    let mut bench = Bench::new(config(), &[18; 40]);
    let first = bench.enter(1, capability(600_000, 1000));
    bench.finish(1, first.epoch);
    let hoarded = hoard(&mut bench, 1, 1);
    assert_eq!(hoarded.len(), 4);
    assert_eq!(
        grants(&bench.accept(hoarded[0].epoch)).len(),
        1,
        "the one that it asked for in vain"
    );
}

#[test]
fn neither_coming_back_nor_saying_anew_what_it_can_do_gets_a_node_more_work_before_a_verdict() {
    let mut bench = Bench::new(without_pauses(), &[18; 40]);
    let hoarded = hoard(&mut bench, 1, 2);
    assert_eq!(hoarded.len(), 2);
    for _ in 0..5 {
        assert_eq!(hoard(&mut bench, 1, 2).len(), 0, "it only says it anew");
        bench.tell(Event::NodeLeft { node: node(1) });
        assert_eq!(hoard(&mut bench, 1, 2).len(), 0);
    }
    for (index, lease) in (1..).zip(&hoarded) {
        bench.accept(lease.epoch);
        bench.tell(Event::NodeLeft { node: node(1) });
        let more = hoard(&mut bench, 1, 2);
        assert_eq!(more.len(), if index == 1 { 7 } else { 1 }, "of eight, with what is left");
    }
}

#[test]
fn late_results_of_leases_that_were_let_go_are_no_way_around_it() {
    let mut bench = Bench::new(without_pauses(), &[18; 40]);
    let mut let_go = Vec::new();
    for other in 10..20 {
        let_go.push(bench.enter(1, capability(600, 1000)).epoch);
        bench.tell(Event::NodeLeft { node: node(1) });
        bench.enter(other, capability(600, 1000));
    }
    bench.join(1, capability(600, 1000));
    let reports = let_go.iter().flat_map(|epoch| bench.report(1, *epoch)).collect::<Vec<_>>();
    let checks = |action: &&Action| matches!(action, Action::CheckResult { .. });
    assert_eq!(reports.iter().filter(checks).count(), 1, "{reports:?}");
    // Nor is to go on with them: with one that waits for judgement it may have no other.
    let actions = bench.renew(1, let_go[9]);
    assert!(
        matches!(actions[0], Action::Revoke { epoch, .. } if epoch == let_go[9]),
        "{actions:?}"
    );
    assert_eq!(granted_tasks(&bench.ask(1)), []);
    bench.accept(let_go[0]);
    assert!(matches!(bench.report(1, let_go[1])[0], Action::CheckResult { .. }));
}

#[test]
fn a_result_that_needs_no_judgement_any_more_waits_for_none() {
    // Another was quicker.
    let mut bench = Bench::new(without_pauses(), &[18, 18]);
    let lease = bench.enter(1, capability(600, 10));
    bench.tell(Event::NodeLeft { node: node(1) });
    let other = bench.enter(2, capability(600, 1000));
    assert_eq!(other.task, lease.task);
    bench.join(1, capability(600, 10));
    bench.report(1, lease.epoch);
    assert_eq!(granted_tasks(&bench.ask(1)), []);
    assert_eq!(granted_tasks(&bench.finish(2, other.epoch)), [(1, TaskId::Lift(1))]);

    // What it was made of is gone.
    let mut bench = Bench::new(config(), &[13, 13]);
    let leases = [1, 2].map(|name| bench.enter(name, capability(1000, 1000)));
    bench.finish(1, leases[0].epoch);
    bench.finish(2, leases[1].epoch);
    let join = bench.enter(3, capability(1000, 1000));
    bench.report(3, join.epoch);
    assert_eq!(granted_tasks(&bench.ask(3)), []);
    let actions = bench.tell(Event::ResultRevoked { task: leases[0].task });
    assert_eq!(granted_tasks(&actions), [(3, TaskId::Lift(0))]);
}

#[test]
fn the_task_of_a_result_that_was_not_to_be_had_goes_to_others_first() {
    let mut bench = Bench::new(config(), &[18]);
    bench.join(1, capability(600, 1000));
    unfetchable(&mut bench, 1);
    bench.join(2, capability(600, 10));
    bench.ask(1);
    bench.now = bench.scheduler.next_wakeup().expect("the end of the pause");
    assert_eq!(granted_tasks(&bench.ask(2)), [(2, TaskId::Lift(0))]);
}

#[test]
fn coming_back_wipes_out_no_result_that_was_not_to_be_had() {
    let mut bench = Bench::new(config(), &[18]);
    for _ in 0..3 {
        bench.join(1, capability(600, 1000));
        let mut granted = grant_to(1, &bench.ask(1));
        while granted.is_none() {
            granted = grant_to(1, &bench.wait(100));
        }
        let epoch = granted.unwrap().epoch;
        bench.report(1, epoch);
        // It is gone by the time that its result is asked for.
        bench.tell(Event::NodeLeft { node: node(1) });
        bench.tell(Event::ResultUnfetchable { epoch, reason: "lost".to_owned() });
    }
    bench.join(1, capability(600, 1000));
    assert_eq!(granted_tasks(&[bench.ask(1), bench.wait(59_000)].concat()), []);
}

#[test]
fn a_result_that_is_accepted_clears_those_that_were_not_to_be_had() {
    let mut bench = Bench::new(config(), &[18, 18]);
    bench.join(1, capability(600, 1000));
    unfetchable(&mut bench, 1);
    unfetchable(&mut bench, 1);
    bench.ask(1);
    let lease = grant_to(1, &bench.wait(3_000)).expect("two are no more than bad luck");
    bench.finish(1, lease.epoch);
    for _ in 0..2 {
        assert!(unfetchable(&mut bench, 1) <= Millis(1250));
    }
}

#[test]
fn a_claimed_speed_ranks_nobody() {
    let lease = |actions: &[Action]| grants(actions).pop().unwrap().1;
    let mut bench = Bench::executing(Config { believed: Believed::default(), ..config() });
    for (name, speed) in [(1, 1_000_000), (2, 1)] {
        bench.join(name, capability(600, speed));
        bench.ask(name);
    }
    let first = lease(&bench.segment(18));
    let second = lease(&bench.segment(18));
    assert_eq!(
        first.deadline, second.deadline,
        "both are taken for the same until they show better"
    );
}

#[test]
fn of_ones_own_nodes_the_word_counts_until_they_have_shown_better() {
    let believed = Believed::Only([node(1)].into());
    let eta = |name| {
        let config = Config { believed: believed.clone(), ..config() };
        let mut bench = Bench::new(config, &[18]);
        bench.join(name, capability(600, 2000));
        bench.scheduler.status().eta_ms.unwrap()
    };
    // A stranger is taken for a quarter of the reference core.
    assert_eq!(eta(2), Millis(8 * eta(1).0));
}

#[test]
fn a_missed_deadline_lengthens_the_next_of_that_node_and_nobody_elses() {
    let mut bench = Bench::new(Config { copies_max: 1, ..config() }, &[18, 18]);
    let lease = bench.enter(1, capability(600, 1000));
    let mut actions = Vec::new();
    bench.join(2, capability(600, 1000));
    let other = grant_to(2, &bench.ask(2)).unwrap();
    bench.join(3, capability(600, 1000));
    bench.ask(3);
    while bench.now < lease.deadline {
        actions.extend(bench.wait(15_000));
        bench.renew(1, lease.epoch);
        bench.renew(2, other.epoch);
    }
    let again = grant_to(3, &actions).unwrap();
    assert_eq!(again.deadline, lease.deadline, "the task has no longer one");
}

#[test]
fn a_strangers_result_that_is_long_on_its_way_keeps_nobody_from_its_task_who_has_proved_something()
{
    let mut bench = among_strangers(&[18, 18]);
    let slow = bench.enter(1, capability(600, 1000));
    let proved = bench.enter(2, capability(600, 1000));
    bench.finish(2, proved.epoch);
    bench.report(1, slow.epoch);
    let mut actions = bench.ask(2);
    actions.extend(bench.wait(1_500));
    assert_eq!(granted_tasks(&actions), [], "its check takes a moment");
    bench.join(3, capability(600, 1000));
    bench.ask(3);
    assert_eq!(granted_tasks(&bench.wait(1_000)), [(2, TaskId::Lift(0))], "and no stranger");
    // Whichever comes first counts.
    let actions = bench.accept(slow.epoch);
    let is_revoked =
        |action: &Action| matches!(action, Action::Revoke { node: to, .. } if *to == node(2));
    assert!(actions.iter().any(is_revoked), "{actions:?}");
}

#[test]
fn promises_of_strangers_keep_another_stranger_from_their_tasks_for_seconds_only() {
    let mut bench = among_strangers(&[18, 18]);
    for name in [1, 2] {
        let promised = bench.enter(name, capability(600, 1000));
        bench.report(name, promised.epoch);
    }
    bench.join(3, capability(600, 1000));
    let mut actions = bench.ask(3);
    actions.extend(bench.wait(1_900));
    assert_eq!(granted_tasks(&actions), [], "a check takes a moment");
    let lease = grant_to(3, &bench.wait(200)).expect("long before its maker should have been done");
    bench.finish(3, lease.epoch);
    assert!(grant_to(3, &bench.ask(3)).is_some(), "and the other");
}

#[test]
fn whose_result_had_not_come_when_another_was_done_waits_before_it_gets_the_next_task() {
    let mut bench = among_strangers(&[18, 18]);
    let promised = bench.enter(1, capability(600, 1000));
    let proved = bench.enter(2, capability(600, 1000));
    bench.finish(2, proved.epoch);
    bench.report(1, promised.epoch);
    bench.wait(6_000);
    let again = grant_to(2, &bench.ask(2)).expect("what is long on its way");
    assert_eq!(again.task, promised.task);
    bench.ask(1);
    assert_eq!(granted_tasks(&bench.finish(2, again.epoch)), [], "there is a join to be done");
    assert_eq!(bench.wait(1_300).len(), 1);
}

/// A node takes the only task and renews it until its deadline, when another takes it; and again. Its deadlines.
fn missed_deadlines(times: usize) -> Vec<Millis> {
    let mut bench =
        Bench::new(Config { copies_max: 1, deadline_min: Millis(0), ..config() }, &[18]);
    bench.join(1, capability(600, 1000));
    bench.join(2, capability(600, 1000));
    let mut deadlines = Vec::new();
    while deadlines.len() < times {
        let mut actions = bench.ask(1);
        while grant_to(1, &actions).is_none() {
            actions = bench.wait(1000);
        }
        let lease = grant_to(1, &actions).unwrap();
        deadlines.push(lease.deadline);
        let mut actions = bench.ask(2);
        let until = bench.now + lease.deadline + Millis(1000);
        while bench.now < until {
            bench.renew(1, lease.epoch);
            actions.extend(bench.wait(1000));
        }
        // The other has it, and drops it.
        assert!(grant_to(2, &actions).is_some(), "{actions:?}");
        bench.tell(Event::NodeLeft { node: node(2) });
        bench.join(2, capability(600, 1000));
    }
    deadlines
}

#[test]
fn a_node_that_misses_its_deadlines_gets_longer_ones_and_eightfold_ones_at_most() {
    let deadlines = missed_deadlines(6);
    let first = deadlines[0].0;
    assert!((3 * first..=5 * first).contains(&deadlines[1].0), "a slow machine gets its time");
    assert!(deadlines[2..].iter().all(|deadline| *deadline == Millis(8 * first)), "{deadlines:?}");
}

/// Nobody waits for having failed or left before.
fn without_pauses() -> Config {
    Config { backoff_max: Millis(0), ..config() }
}

/// A scheduler that knows nobody, with these segments.
fn among_strangers(po2s: &[u32]) -> Bench {
    Bench::new(Config { believed: Believed::default(), ..config() }, po2s)
}

#[test]
fn a_node_that_has_proved_something_goes_before_strangers_however_slow_it_is() {
    let mut bench = Bench::executing(Config { believed: Believed::default(), ..config() });
    bench.segment(18);
    let lease = bench.enter(1, capability(600, 1));
    for _ in 0..100 {
        bench.wait(15_000);
        bench.renew(1, lease.epoch);
    }
    bench.finish(1, lease.epoch);
    for name in [2, 1, 3] {
        bench.join(name, capability(600, 1_000_000));
        bench.ask(name);
    }
    assert_eq!(granted_tasks(&bench.segment(18)), [(1, TaskId::Lift(1))]);
}

#[test]
fn a_stranger_gets_a_second_task_when_no_other_waits_and_not_before() {
    let mut bench = Bench::executing(Config { believed: Believed::default(), ..config() });
    bench.segment(18);
    let slots = Capability { slots: 8, ..capability(6000, 1_000_000) };
    bench.enter(9, slots);
    bench.ask(9);
    bench.join(1, capability(600, 1));
    bench.ask(1);
    assert_eq!(granted_tasks(&bench.segment(18)), [(1, TaskId::Lift(1))]);
    assert_eq!(granted_tasks(&bench.segment(18)), [(9, TaskId::Lift(2))], "nobody else waits");
}

#[test]
fn a_stranger_begins_with_the_cheapest_that_is_ready() {
    let mut bench = among_strangers(&[18, 13, 16]);
    assert_eq!(bench.enter(1, capability(1000, 1000)).task, TaskId::Lift(1).into());
    // One of the client's own begins with the largest.
    let mut bench = Bench::new(config(), &[18, 13, 16]);
    assert_eq!(bench.enter(1, capability(1000, 1000)).task, lift());
}

#[test]
fn tasks_that_strangers_keep_are_backed_up_by_a_node_that_has_proved_something() {
    let mut bench = among_strangers(&[18, 18]);
    let held = bench.enter(1, capability(600, 1000));
    let proved = bench.enter(2, capability(600, 1000));
    bench.finish(2, proved.epoch);
    // A stranger backs the first one up, and both keep it.
    bench.join(3, capability(600, 1000));
    let mut actions = bench.ask(3);
    while grant_to(3, &actions).is_none() {
        assert!(bench.now < Millis(300_000), "{actions:?}");
        actions.extend(bench.wait(5000));
        bench.renew(1, held.epoch);
    }
    bench.join(4, capability(600, 1000));
    assert_eq!(granted_tasks(&bench.ask(4)), [], "one more stranger is of no use");
    assert_eq!(granted_tasks(&bench.ask(2)), [(2, TaskId::Lift(0))]);
}

#[test]
fn what_only_strangers_hold_keeps_nobody_waiting_who_has_proved_something() {
    let mut bench = among_strangers(&[18, 18, 18, 18]);
    let held = bench.enter(1, capability(600, 1000));
    let proved = bench.enter(2, capability(600, 10));
    let also = bench.enter(3, capability(600, 1000));
    let other = bench.enter(4, Capability { slots: 2, ..capability(1200, 1000) });
    bench.finish(2, proved.epoch);
    bench.finish(4, other.epoch);
    // At once, and however slow it is: when the strangers are done, if ever, nobody knows.
    let first = grant_to(2, &bench.ask(2)).expect("something that a stranger holds");
    let second = grant_to(4, &bench.ask(4)).expect("the other");
    let both = [first.task, second.task];
    assert!(both.contains(&held.task) && both.contains(&also.task), "each once: {both:?}");
    // A stranger is not there to copy others.
    bench.join(5, capability(600, 1000));
    assert_eq!(granted_tasks(&bench.ask(5)), []);
    // And one copy is enough until it runs late.
    assert_eq!(granted_tasks(&bench.ask(4)), []);
}

/// How long a node that comes back at once after having left with a lease waits for its next, each time.
fn waits_of_who_drops(times: usize) -> Vec<Millis> {
    let mut bench = Bench::new(config(), &[18]);
    bench.enter(1, capability(600, 1000));
    (0..times).map(|_| wait_after_leaving(&mut bench, 1)).collect()
}

/// Leaves with what it has, comes back, and waits for more.
fn wait_after_leaving(bench: &mut Bench, name: u8) -> Millis {
    bench.tell(Event::NodeLeft { node: node(name) });
    let left_at = bench.now;
    bench.join(name, capability(600, 1000));
    let mut actions = bench.ask(name);
    while grant_to(name, &actions).is_none() {
        actions = bench.wait(100);
        assert!(bench.now.since(left_at) < Millis(600_000), "it gets nothing any more");
    }
    bench.now.since(left_at)
}

#[test]
fn who_leaves_with_its_leases_and_comes_back_for_others_waits_longer_each_time_and_a_minute_at_most()
 {
    let waits = waits_of_who_drops(9);
    assert!((1_000..=1_400).contains(&waits[0].0), "a node that was begun anew: {waits:?}");
    let grows = waits[..6].windows(2).all(|pair| pair[1].0 > 3 * pair[0].0 / 2);
    assert!(grows, "{waits:?}");
    assert!(waits[6..].iter().all(|wait| (60_000..=75_100).contains(&wait.0)), "{waits:?}");
}

#[test]
fn a_pause_for_leaving_is_remembered_whenever_the_node_comes_back_and_is_over_when_it_is_over() {
    let mut bench = Bench::new(config(), &[18]);
    bench.enter(1, capability(600, 1000));
    for _ in 0..4 {
        wait_after_leaving(&mut bench, 1);
    }
    // It comes and goes meanwhile, and says anew what it can do.
    bench.tell(Event::NodeLeft { node: node(1) });
    for _ in 0..5 {
        bench.join(1, capability(600, 1000));
        assert_eq!(granted_tasks(&[bench.ask(1), bench.wait(1_000)].concat()), []);
        bench.join(1, capability(600, 1000));
        assert_eq!(granted_tasks(&bench.ask(1)), []);
        bench.tell(Event::NodeLeft { node: node(1) });
    }
    bench.wait(20_000);
    bench.enter(1, capability(600, 1000));
}

#[test]
fn a_node_whose_connection_broke_goes_on_with_its_leases_and_waits_for_nothing() {
    let mut bench = Bench::new(config(), &[18; 12]);
    let slots = Capability { slots: 3, ..capability(2_000, 1000) };
    bench.join(1, slots.clone());
    let mut held: Vec<_> =
        (0..2).map(|_| grant_to(1, &bench.ask(1)).expect("a slot is free").epoch).collect();
    for _ in 0..7 {
        bench.tell(Event::NodeLeft { node: node(1) });
        bench.wait(28_000);
        bench.join(1, slots.clone());
        for epoch in &held {
            bench.renew(1, *epoch);
        }
    }
    let third = grant_to(1, &bench.ask(1)).expect("it has deserted nothing").epoch;
    // One that takes up some of it is not such.
    bench.tell(Event::NodeLeft { node: node(1) });
    bench.join(1, slots);
    bench.renew(1, third);
    bench.renew(1, held.remove(0));
    assert_eq!(granted_tasks(&bench.ask(1)), []);
    assert_eq!(bench.wait(1_300).len(), 1, "and its connection broke for the first time");
}

#[test]
fn a_result_that_is_accepted_wipes_out_that_a_node_left_before() {
    let mut bench = Bench::new(config(), &[18, 18]);
    bench.enter(1, capability(600, 1000));
    for _ in 0..4 {
        wait_after_leaving(&mut bench, 1);
    }
    bench.tell(Event::NodeLeft { node: node(1) });
    bench.wait(60_000);
    let lease = bench.enter(1, capability(600, 1000));
    bench.finish(1, lease.epoch);
    grant_to(1, &bench.ask(1)).expect("the other task");
    assert!(wait_after_leaving(&mut bench, 1) <= Millis(1_400));
}

#[test]
fn a_join_that_a_node_gave_back_is_not_offered_to_it_as_a_holder_of_the_other_input() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let leases = [1, 2].map(|name| bench.enter(name, capability(1000, 1000)));
    bench.finish(1, leases[0].epoch);
    bench.finish(2, leases[1].epoch);
    let join = grant_to(1, &bench.ask(1)).unwrap();
    assert_eq!(join.task, TaskId::Join(IndexRange::new(0, 2).unwrap()).into());
    bench.tell(Event::LeaseDeclined { node: node(1), epoch: join.epoch, busy: false });
    bench.ask(1);
    // It was granted the other input too, which does not make it one of its holders.
    let again = bench.enter(3, capability(1000, 1000));
    assert_eq!(again.task, join.task);
    let holders: Vec<_> = again.inputs.iter().map(|input| input.holders.clone()).collect();
    assert_eq!(holders, [vec![node(1)], vec![node(2)]]);
}
