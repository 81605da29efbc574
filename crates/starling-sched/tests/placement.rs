//! Who gets which task, rule by rule.
#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Action, Bench, Event, Scheduler, blob, capability, config, grant_to, granted_tasks, grants,
    kinds, leaf, lifting_up_to, named, node, plan, po2,
};
use starling_plan::{Assumed, Outcome, PlanShape, ZkvmInput};
use starling_sched::{Config, WaitReason};
use starling_types::{
    Capability, Epoch, FailureClass, Incarnation, IndexRange, MemoryBytes, MemoryTable, Millis,
    TaskId, TaskKind,
};

/// What nodes say they have done of tasks of a kind that are not accepted.
fn partly(scheduler: &Scheduler, kind: TaskKind) -> u64 {
    scheduler.status().progress.stage(kind.code()).unwrap().partly_permille
}

fn join(start: u32, end: u32) -> TaskId {
    TaskId::Join(IndexRange::new(start, end).unwrap())
}

#[test]
fn a_segment_goes_to_a_waiting_node_as_soon_as_it_is_stored() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    assert_eq!((named(lease.task), lease.po2), (TaskId::Lift(0), Some(po2(18))));
    assert_eq!((lease.memory, lease.renew_within), (MemoryBytes::from_mib(600), Millis(20_000)));
    // 60 s of work, four times over.
    assert_eq!(lease.deadline, Millis(240_000));
}

#[test]
fn a_deadline_follows_the_speed_of_the_node_but_is_never_too_short() {
    let mut bench = Bench::new(config(), &[18, 18, 18]);
    assert_eq!(bench.enter(1, capability(600, 500)).deadline, Millis(480_000));
    assert_eq!(bench.enter(2, capability(600, 100_000)).deadline, Millis(30_000));
    // An unknown speed is taken for a quarter of the reference core.
    assert_eq!(bench.enter(3, capability(600, 0)).deadline, Millis(960_000));
}

#[test]
fn a_node_gets_no_work_unless_it_asks_and_one_lease_for_each_request() {
    let mut bench = Bench::new(config(), &[13, 13, 13]);
    let two_slots = Capability { slots: 2, ..capability(1000, 1000) };
    assert_eq!(grants(&bench.join(1, two_slots)), []);
    assert_eq!(granted_tasks(&bench.ask(1)), [(1, TaskId::Lift(0))]);
    assert_eq!(granted_tasks(&bench.wait(1)), []);
    assert_eq!(granted_tasks(&bench.ask(1)), [(1, TaskId::Lift(1))]);
    // Both slots are taken: the request waits for one to be free.
    assert_eq!(granted_tasks(&bench.ask(1)), []);
    let first = Epoch(7 << 32 | 1);
    assert_eq!(granted_tasks(&bench.finish(1, first)), [(1, TaskId::Lift(2))]);
}

#[test]
fn joining_anew_voids_open_requests() {
    let mut bench = Bench::executing(config());
    bench.join(1, capability(1000, 1000));
    bench.ask(1);
    bench.join(1, capability(1000, 1000));
    assert_eq!(grants(&bench.segment(13)), []);
}

#[test]
fn the_memory_of_a_nodes_leases_never_exceeds_its_own() {
    let mut bench = Bench::new(config(), &[15, 15, 14]);
    let roomy = Capability { slots: 3, ..capability(550, 1000) };
    bench.enter(1, roomy);
    // 300 of 550 MiB are taken: the other leaf of 300 does not fit, the one of 200 does.
    assert_eq!(granted_tasks(&bench.ask(1)), [(1, TaskId::Lift(2))]);
    assert_eq!(granted_tasks(&bench.ask(1)), []);
}

#[test]
fn kinds_and_po2s_that_a_node_does_not_take_are_not_offered() {
    let mut bench = Bench::new(config(), &[13, 13, 16]);
    let joiner = Capability { kinds: kinds(&[TaskKind::Join]), ..capability(1000, 1000) };
    bench.join(1, joiner);
    assert_eq!(granted_tasks(&bench.ask(1)), []);
    let small = lifting_up_to(15, capability(1000, 1000));
    let lease = bench.enter(2, small);
    assert_eq!(named(lease.task), TaskId::Lift(0));
    bench.ask(2);
    assert_eq!(granted_tasks(&bench.finish(2, lease.epoch)), [(2, TaskId::Lift(1))]);
    let last = Epoch(lease.epoch.0 + 1);
    assert_eq!(granted_tasks(&bench.finish(2, last)), [(1, join(0, 2))], "lift/2 waits");
}

/// A lift of po2 13 takes 100 MiB by the plan's costs.
fn stating(memory_mib: u64, lift_mib: u64) -> Capability {
    let any = Some(MemoryBytes::from_mib(lift_mib));
    let lift = MemoryTable { any, ..MemoryTable::default() };
    let kinds = [(TaskKind::Lift.code(), lift)].into();
    Capability { kinds, slots: 3, ..capability(memory_mib, 1000) }
}

#[test]
fn a_node_is_given_what_its_own_prover_can_hold_whatever_the_costs_say() {
    let mut bench = Bench::new(config(), &[13, 13, 13]);
    let lease = bench.enter(1, stating(90, 40));
    assert_eq!(lease.memory, MemoryBytes::from_mib(40), "the costs say 100");
    assert!(grant_to(1, &bench.ask(1)).is_some());
    assert_eq!(grants(&bench.ask(1)), [], "80 of 90 MiB are taken by its own word");
    let greedy = stating(1000, 1200);
    bench.join(2, greedy);
    assert_eq!(grants(&bench.ask(2)), [], "it says itself that it can't");
}

#[test]
fn a_node_that_understates_its_need_runs_out_of_memory_at_its_own_expense() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let lease = bench.enter(1, stating(100, 1));
    bench.join(2, capability(1000, 1000));
    bench.ask(1);
    let task = lease.task;
    let actions = bench.fail(1, lease.epoch, FailureClass::Memory);
    assert_eq!(grants(&actions), [], "it asks for more, and is not given the task again");
    assert_eq!(grant_to(2, &bench.ask(2)).map(|lease| lease.task), Some(task));
    let judged =
        |action: &Action| matches!(action, Action::Judge { .. } | Action::JobFailed { .. });
    assert!(!actions.iter().any(judged), "it says nothing against the task");
}

#[test]
fn the_largest_leaf_goes_to_the_fastest_node() {
    let mut bench = Bench::executing(config());
    for (name, speed) in [(1, 500), (2, 2000), (3, 1000)] {
        bench.join(name, capability(5000, speed));
        bench.ask(name);
    }
    assert_eq!(granted_tasks(&bench.segment(20)), [(2, TaskId::Lift(0))]);
    assert_eq!(granted_tasks(&bench.segment(14)), [(3, TaskId::Lift(1))]);
    assert_eq!(granted_tasks(&bench.segment(14)), [(1, TaskId::Lift(2))]);
    // Of what waits for a node, the largest goes first.
    bench.segment(15);
    bench.segment(16);
    assert_eq!(named(bench.enter(4, capability(5000, 1)).task), TaskId::Lift(4));
}

#[test]
fn a_join_prefers_a_node_that_holds_an_input() {
    let mut bench = Bench::new(config(), &[13, 13]);
    let first = bench.enter(1, capability(1000, 1000));
    let second = bench.enter(2, capability(1000, 1000));
    bench.join(3, capability(1000, 1000));
    bench.ask(3);
    bench.tell(Event::NodeJoined { node: node(4), capability: capability(1000, 9000) });
    bench.ask(4);
    bench.finish(1, first.epoch);
    bench.report(2, second.epoch);
    bench.ask(1);
    let actions = bench.accept(second.epoch);
    assert_eq!(granted_tasks(&actions), [(1, join(0, 2))], "node 4 is faster but holds nothing");
    let lease = grant_to(1, &actions).unwrap();
    let holders: Vec<_> = lease.inputs.iter().map(|input| input.holders.clone()).collect();
    assert_eq!(holders, [vec![], vec![node(2)]], "its own input need not be fetched");
}

/// A job of two segments and two keccak proofs that counts its work, of which nothing is proved.
fn job_of_all_kinds() -> Bench {
    let mut bench = Bench::executing(config());
    let plan = plan(PlanShape::Succinct).counting_work();
    bench.scheduler = Scheduler::new(config(), plan, Incarnation(7), 0);
    bench.segment(13);
    bench.segment(13);
    bench.keccak(14);
    bench.keccak(15);
    bench.end(vec![Assumed::Given(blob(900)), Assumed::Keccak]);
    bench
}

#[test]
fn what_is_farthest_from_the_end_goes_first_and_the_chain_of_resolves_last() {
    let mut bench = job_of_all_kinds();
    let mut lease = bench.enter(1, capability(1000, 1000));
    let mut order = vec![named(lease.task)];
    while !bench.scheduler.is_over() {
        let actions = bench.finish(1, lease.epoch);
        if let Some(Action::JobProved { outcome }) = actions.last() {
            let work = Some(blob(1000 + (lease.epoch.0 & 0xffff) - 1));
            let receipt = blob(1000 + (lease.epoch.0 & 0xffff));
            assert_eq!(*outcome, Outcome::Succinct { receipt, work });
            break;
        }
        lease = grant_to(1, &bench.ask(1)).unwrap();
        order.push(named(lease.task));
    }
    let union = TaskId::Union(IndexRange::new(0, 2).unwrap());
    let keccaks = [TaskId::Keccak(1), TaskId::Keccak(0), union];
    let chain = [TaskId::Resolve(0), TaskId::Resolve(1), TaskId::Unwrap];
    let segments = [TaskId::Lift(0), TaskId::Lift(1)];
    assert_eq!(order, [&segments[..], &keccaks, &[join(0, 2)], &chain].concat());
}

#[test]
fn the_largest_segment_that_a_node_takes_says_nothing_of_keccak_proofs_and_lifting() {
    let mut bench = Bench::executing(config());
    let small = lifting_up_to(13, capability(1000, 1000));
    bench.join(1, small.clone());
    bench.keccak(18);
    assert_eq!(granted_tasks(&bench.ask(1)), [(1, TaskId::Keccak(0))]);
    bench.scheduler = Scheduler::new(config(), plan(PlanShape::Compress), Incarnation(8), 0);
    bench.join(1, small);
    bench.ask(1);
    bench.tell(Event::Input(ZkvmInput::Segment { index: 0, po2: po2(20), blob: blob(0) }));
    assert_eq!(bench.scheduler.status().lease_count, 1);
}

#[test]
fn a_resolve_prefers_a_node_that_holds_an_input() {
    let mut bench = Bench::executing(config());
    bench.segment(13);
    bench.keccak(14);
    bench.end(vec![Assumed::Keccak]);
    let lift = bench.enter(1, capability(1000, 1000));
    let keccak = bench.enter(2, capability(1000, 1000));
    bench.join(3, capability(1000, 9000));
    bench.ask(3);
    bench.finish(1, lift.epoch);
    bench.report(2, keccak.epoch);
    bench.ask(2);
    assert_eq!(granted_tasks(&bench.accept(keccak.epoch)), [(2, TaskId::Resolve(0))]);
}

#[test]
fn the_user_is_told_which_kind_of_task_waits() {
    let mut bench = Bench::executing(config());
    bench.join(1, capability(300, 1000));
    let waiting = WaitReason::NotEnoughMemory {
        kind: "keccak",
        po2: Some(po2(18)),
        needed: MemoryBytes::from_mib(500),
        best: MemoryBytes::from_mib(300),
    };
    assert_eq!(bench.keccak(18), [Action::Waiting { reason: waiting.clone() }]);
    let said = "no connected node has enough memory for a keccak task: it needs 500 MiB, the best has 300 MiB";
    assert_eq!(waiting.to_string(), said);
}

#[test]
fn the_user_is_told_once_what_a_ready_task_lacks_and_when_it_lacks_nothing() {
    let waiting = |actions: &[Action]| {
        let said = actions.iter().filter_map(|action| match action {
            Action::Waiting { reason } => Some(Some(reason.clone())),
            Action::WaitingOver => Some(None),
            _ => None,
        });
        said.collect::<Vec<_>>()
    };
    let mut bench = Bench::executing(config());
    assert_eq!(waiting(&bench.segment(18)), [Some(WaitReason::NoNodes)]);
    assert_eq!(waiting(&bench.wait(1000)), []);
    let joiner = Capability { kinds: kinds(&[TaskKind::Join]), ..capability(9000, 1000) };
    let no_kind = WaitReason::NoKind { kind: "lift" };
    assert_eq!(waiting(&bench.join(1, joiner)), [Some(no_kind)]);
    let too_small = |best| WaitReason::NotEnoughMemory {
        kind: "lift",
        po2: Some(po2(18)),
        needed: MemoryBytes::from_mib(600),
        best: MemoryBytes::from_mib(best),
    };
    assert_eq!(waiting(&bench.join(2, capability(300, 1000))), [Some(too_small(300))]);
    assert_eq!(waiting(&bench.join(3, capability(200, 1000))), []);
    assert_eq!(waiting(&bench.tell(Event::NodeLeft { node: node(2) })), [Some(too_small(200))]);
    let timid = lifting_up_to(17, capability(9000, 1000));
    assert_eq!(waiting(&bench.join(4, timid)), [], "it changes nothing for the others");
    let no_size = WaitReason::NoSize { kind: "lift", po2: po2(18) };
    assert_eq!(waiting(&bench.tell(Event::NodeLeft { node: node(3) })), [Some(no_size.clone())]);
    assert_eq!(bench.scheduler.status().waiting, Some(no_size));
    // A node that could take it is enough, whether or not it has asked.
    assert_eq!(waiting(&bench.join(5, capability(600, 1000))), [None]);
    assert_eq!(waiting(&bench.ask(5)), []);
}

#[test]
fn an_idle_node_backs_up_a_task_that_it_would_finish_first() {
    let mut bench = Bench::new(config(), &[18]);
    let slow = bench.enter(1, capability(600, 100));
    bench.join(2, capability(600, 1000));
    assert_eq!(grants(&bench.ask(2)), [], "the slow node has only begun");
    // It should take 600 s; half of that must have passed.
    let mut actions = Vec::new();
    while bench.now < Millis(290_000) {
        actions.extend(bench.wait(10_000));
        bench.renew(1, slow.epoch);
    }
    assert_eq!(grants(&actions), [], "not before it has run for half its time");
    let actions = bench.wait(10_000);
    assert_eq!(granted_tasks(&actions), [(2, TaskId::Lift(0))]);
    let backup = grant_to(2, &actions).unwrap();
    assert_eq!(backup.inputs[0].holders, [], "a node that was granted an input need not have it");
    bench.join(3, capability(600, 1000));
    assert_eq!(grants(&bench.ask(3)), [], "one backup is enough");
    let actions = bench.finish(2, backup.epoch);
    assert!(actions.iter().any(|action| matches!(action,
        Action::Revoke { node: revoked, epoch, .. } if *revoked == node(1) && *epoch == slow.epoch)));
}

#[test]
fn nobody_backs_up_what_the_holder_will_finish_first() {
    let mut bench = Bench::new(config(), &[18]);
    let lease = bench.enter(1, capability(600, 1000));
    bench.join(2, capability(600, 500));
    bench.ask(2);
    let mut actions = bench.wait(15_000);
    for _ in 0..3 {
        bench.renew(1, lease.epoch);
        actions.extend(bench.wait(15_000));
    }
    assert_eq!(grants(&actions), []);
}

#[test]
fn losing_a_backup_or_the_first_lease_leaves_the_task_with_the_other() {
    for lost in [1, 2] {
        let mut bench = Bench::new(config(), &[18]);
        let slow = bench.enter(1, capability(600, 10));
        while bench.now < Millis(3_000_000) {
            bench.wait(15_000);
            bench.renew(1, slow.epoch);
        }
        let backup = bench.enter(2, capability(600, 1000));
        bench.tell(Event::NodeLeft { node: node(lost) });
        assert_eq!(bench.scheduler.plan().counts().running, 1);
        assert!(!bench.scheduler.plan().is_ready(leaf(18)));
        let (name, epoch) = if lost == 1 { (2, backup.epoch) } else { (1, slow.epoch) };
        let actions = bench.finish(name, epoch);
        assert!(matches!(actions.last(), Some(Action::JobProved { .. })));
    }
}

#[test]
fn the_last_result_proves_the_job_and_then_nothing_is_granted() {
    let mut bench = Bench::new(config(), &[13]);
    let lease = bench.enter(1, capability(1000, 1000));
    bench.report(1, lease.epoch);
    let actions = bench.accept(lease.epoch);
    let outcome = Outcome::Succinct { receipt: blob(1001), work: None };
    assert_eq!(actions, [Action::JobProved { outcome }]);
    assert_eq!(bench.ask(1), []);
    assert_eq!(bench.wait(3_600_000), []);
    assert_eq!(bench.scheduler.next_wakeup(), None);
    assert!(bench.scheduler.is_over());
}

#[test]
fn a_proved_job_goes_on_when_what_it_delivers_is_lost_or_proves_false() {
    for is_false in [false, true] {
        let mut bench = Bench::new(config(), &[13]);
        let first = bench.enter(1, capability(1000, 1000));
        let proved = bench.finish(1, first.epoch);
        let Some(Action::JobProved { outcome: Outcome::Succinct { receipt, .. } }) = proved.last()
        else {
            panic!("{proved:?}")
        };
        // Nodes that come and go meanwhile are known when there is work again.
        bench.join(2, capability(1000, 1000));
        bench.ask(2);
        bench.tell(Event::NodeLeft { node: node(1) });
        let actions = bench.tell(match is_false {
            true => Event::ResultRevoked { task: first.task },
            false => Event::BlobLost { blob: receipt.reference },
        });
        assert!(!bench.scheduler.is_over());
        let again = grant_to(2, &actions).unwrap();
        assert_eq!(again.task, first.task);
        let proved = bench.finish(2, again.epoch);
        assert!(matches!(proved.last(), Some(Action::JobProved { .. })), "{proved:?}");
    }
}

#[test]
fn a_job_that_was_proved_before_is_delivered_at_the_first_event() {
    let mut plan = plan(PlanShape::Composite);
    plan.add_segment(0, po2(18), blob(0)).unwrap();
    plan.end_execution(vec![]).unwrap();
    plan.restore(TaskId::Prove(0), blob(9)).unwrap();
    let mut scheduler = Scheduler::new(Config::default(), plan, Incarnation(1), 0);
    let outcome = Outcome::Composite { segments: vec![blob(9)], keccak: None };
    assert_eq!(scheduler.handle(Millis(0), Event::Tick), [Action::JobProved { outcome }]);
}

#[test]
fn lease_numbers_of_different_runs_differ() {
    let mut epochs = std::collections::BTreeSet::new();
    for incarnation in (0..3).map(Incarnation) {
        let mut bench = Bench::executing(config());
        bench.scheduler = Scheduler::new(config(), plan(PlanShape::Succinct), incarnation, 0);
        for name in 0..3 {
            bench.segment(13);
            let lease = bench.enter(name, capability(1000, 1000));
            assert!(epochs.insert(lease.epoch), "{} was used before", lease.epoch);
        }
    }
}

#[test]
fn the_status_counts_nodes_and_leases_and_estimates_what_is_left() {
    let mut bench = Bench::new(config(), &[18, 18]);
    assert_eq!(bench.scheduler.status().eta_ms, None);
    let lease = bench.enter(1, capability(600, 1000));
    // Two leaves of 60 s and a join of 10 s on one reference core.
    assert_eq!(bench.scheduler.status().eta_ms, Some(Millis(130_000)));
    for name in 2..12 {
        bench.join(name, capability(600, 1000));
    }
    // However many nodes, a leaf and a join come one after the other.
    assert_eq!(bench.scheduler.status().eta_ms, Some(Millis(70_000)));
    bench.now = Millis(60_000);
    bench.report(1, lease.epoch);
    let status = bench.scheduler.status();
    assert_eq!((status.node_count, status.busy_node_count), (11, 0));
    assert_eq!((status.lease_count, status.checking_count), (0, 1));
}

#[test]
fn the_estimate_shrinks_while_a_task_runs_and_never_grows_by_what_a_node_says() {
    let mut bench = Bench::new(config(), &[18, 18]);
    let lease = bench.enter(1, capability(600, 1000));
    let eta = |bench: &Bench| bench.scheduler.status().eta_ms.unwrap().0 / 1000;
    let lifted = |bench: &Bench| partly(&bench.scheduler, TaskKind::Lift);
    assert_eq!((eta(&bench), lifted(&bench)), (130, 0));
    bench.get_on(1, lease.epoch, 500);
    assert_eq!((eta(&bench), lifted(&bench)), (100, 500));
    // It cannot be less far than it was, nor farther than done.
    bench.get_on(1, lease.epoch, 250);
    assert_eq!((eta(&bench), lifted(&bench)), (100, 500));
    bench.get_on(1, lease.epoch, u32::MAX);
    assert_eq!((eta(&bench), lifted(&bench)), (70, 1000));
    // Of another's lease, or of one that is over, nobody hears.
    bench.join(2, capability(600, 1000));
    bench.get_on(2, lease.epoch, 100);
    bench.finish(1, lease.epoch);
    bench.get_on(1, lease.epoch, 900);
    assert_eq!(lifted(&bench), 0);
}

#[test]
fn the_longest_chain_shrinks_once_all_of_its_level_is_under_way() {
    let mut bench = Bench::new(config(), &[18, 18]);
    let first = bench.enter(1, capability(600, 1000));
    for name in 3..12 {
        bench.join(name, capability(600, 1000));
    }
    let eta = |bench: &Bench| bench.scheduler.status().eta_ms.unwrap().0 / 1000;
    // The second leaf is not begun: a leaf of 60 s and a join of 10 s.
    bench.get_on(1, first.epoch, 900);
    assert_eq!(eta(&bench), 70);
    let second = bench.enter(2, capability(600, 1000));
    bench.get_on(2, second.epoch, 500);
    assert_eq!(eta(&bench), 30 + 10);
    bench.finish(1, first.epoch);
    bench.finish(2, second.epoch);
    let join = grant_to(1, &bench.ask(1)).unwrap();
    bench.get_on(1, join.epoch, 300);
    let partly = |kind| partly(&bench.scheduler, kind);
    assert_eq!((partly(TaskKind::Lift), partly(TaskKind::Join)), (0, 300));
    let status = bench.scheduler.status();
    // Two nodes have shown that a lift takes them no time: eta is by the mean of all.
    assert!(status.eta_ms.unwrap() < Millis(7_000));
}

#[test]
fn the_estimate_counts_every_kind_of_task() {
    let mut bench = job_of_all_kinds();
    bench.join(1, capability(600, 1000));
    // Two lifts of 10 s, a join of 10 s, keccak proofs of 10 s and 20 s, a union, two resolves and an unwrap.
    assert_eq!(bench.scheduler.status().eta_ms, Some(Millis(100_000)));
    for name in 2..40 {
        bench.join(name, capability(600, 1000));
    }
    // However many nodes: the larger keccak proof, the union, the resolves and the unwrap.
    assert_eq!(bench.scheduler.status().eta_ms, Some(Millis(60_000)));
    assert_eq!(bench.scheduler.plan().left(leaf(13)), 2);
}
