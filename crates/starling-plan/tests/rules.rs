//! The plan's rules, one by one.
#![allow(clippy::unwrap_used)]

use starling_plan::{
    Accepted, Class, Counts, Demand, MergesPlan, MergesShape, Order, Outcome, Plan as _, PlanError,
    PlanShape, RoundTask, RoundsInput, RoundsPlan, TaskClass, TaskCost, ZkvmPlan,
};
use starling_types::{
    BlobRef, INPUT_COUNT_MAX, IndexRange, KindCode, Po2, Reference, TaskId, TaskKind,
};

/// Costs that these tests do not look at.
fn free(_kind: TaskKind, _po2: Option<Po2>) -> TaskCost {
    TaskCost::default()
}

fn po2(value: u32) -> Po2 {
    value.try_into().unwrap()
}

fn blob(name: u8) -> BlobRef {
    BlobRef { reference: Reference([name; 32]), size_bytes: u64::from(name) }
}

fn join(start: u32, end: u32) -> TaskId {
    TaskId::Join(IndexRange::new(start, end).unwrap())
}

fn succinct(receipt: BlobRef) -> Outcome {
    Outcome::Succinct { receipt, work: None }
}

fn plan_of(shape: PlanShape, po2s: &[u32]) -> ZkvmPlan {
    let mut plan = ZkvmPlan::new(shape, free);
    for (index, value) in (0..).zip(po2s) {
        plan.add_segment(index, po2(*value), blob(index as u8)).unwrap();
    }
    plan
}

/// A plan whose leaves are all accepted, and nothing joined.
fn lifted(count: usize) -> ZkvmPlan {
    let mut plan = plan_of(PlanShape::Succinct, &vec![18; count]);
    for index in 0..count as u32 {
        plan.accept(TaskId::Lift(index), blob(100)).unwrap();
    }
    plan
}

fn any(plan: &ZkvmPlan) -> Option<TaskId> {
    plan.next_task(|_| true).map(|task| task.id)
}

#[test]
fn a_segment_is_ready_as_soon_as_it_is_known() {
    let plan = plan_of(PlanShape::Succinct, &[18]);
    let task = plan.next_task(|_| true).unwrap();
    assert_eq!(task.id, TaskId::Lift(0));
    assert_eq!((task.po2, task.inputs), (Some(po2(18)), vec![blob(0)]));
}

#[test]
fn segments_come_in_order_and_not_after_the_end() {
    let mut plan = ZkvmPlan::new(PlanShape::Composite, free);
    assert_eq!(plan.end_execution(vec![]), Err(PlanError::NoSegments));
    let wrong = plan.add_segment(1, po2(18), blob(0));
    assert_eq!(wrong, Err(PlanError::SegmentOutOfOrder { expected: 0, actual: 1 }));
    plan.add_segment(0, po2(18), blob(0)).unwrap();
    plan.end_execution(vec![]).unwrap();
    assert_eq!(plan.end_execution(vec![]), Ok(()));
    let late = plan.add_segment(1, po2(18), blob(1));
    assert_eq!(late, Err(PlanError::ExecutionEnded { task: TaskId::Prove(1) }));
}

#[test]
fn leaves_go_first_and_the_largest_of_them_first_of_all() {
    let mut plan = plan_of(PlanShape::Succinct, &[18, 18, 20, 14]);
    plan.accept(TaskId::Lift(0), blob(50)).unwrap();
    plan.accept(TaskId::Lift(1), blob(51)).unwrap();
    let mut order = Vec::new();
    while let Some(task) = any(&plan) {
        plan.start(task).unwrap();
        order.push(task);
    }
    assert_eq!(order, [TaskId::Lift(2), TaskId::Lift(3), join(0, 2)]);
}

#[test]
fn a_worker_that_holds_no_ready_leaf_takes_a_smaller_one_or_a_join() {
    let mut plan = plan_of(PlanShape::Succinct, &[18, 18, 22, 14]);
    plan.accept(TaskId::Lift(0), blob(50)).unwrap();
    plan.accept(TaskId::Lift(1), blob(51)).unwrap();
    let small = |class: TaskClass| class.po2().is_none_or(|leaf| leaf <= po2(15));
    assert_eq!(plan.next_task(small).unwrap().id, TaskId::Lift(3));
    plan.start(TaskId::Lift(3)).unwrap();
    assert_eq!(plan.next_task(small).unwrap().id, join(0, 2));
    assert_eq!(plan.next_task(|class| class != TaskClass::Join && small(class)), None);
}

#[test]
fn a_join_names_both_receipts_left_first() {
    let mut plan = plan_of(PlanShape::Succinct, &[18, 18]);
    plan.accept(TaskId::Lift(1), blob(61)).unwrap();
    plan.accept(TaskId::Lift(0), blob(60)).unwrap();
    let task = plan.next(TaskClass::Join).unwrap();
    assert_eq!(task.inputs, [blob(60), blob(61)]);
}

#[test]
fn k_workers_on_a_run_of_k_neighbours_get_half_as_many_joins() {
    for count in 1..40 {
        let mut plan = lifted(count);
        let mut joins = 0;
        while let Some(task) = plan.next(TaskClass::Join) {
            plan.start(task.id).unwrap();
            joins += 1;
        }
        assert_eq!(joins, count / 2, "run of {count}");
    }
}

#[test]
fn the_smallest_pair_is_joined_first_unless_it_would_leave_a_receipt_alone() {
    let mut plan = lifted(6);
    plan.accept(join(0, 2), blob(70)).unwrap();
    // Five neighbours, sizes 2 1 1 1 1: any pair will do, so the leftmost of the smallest.
    assert_eq!(any(&plan), Some(join(2, 4)));
    plan.accept(join(2, 4), blob(71)).unwrap();
    // Four, sizes 2 2 1 1: the last pair is smallest and leaves two.
    assert_eq!(any(&plan), Some(join(4, 6)));
    let mut plan = lifted(6);
    plan.accept(join(0, 2), blob(70)).unwrap();
    plan.accept(join(4, 6), blob(71)).unwrap();
    // Four, sizes 2 1 1 2: the middle pair is smallest but would leave two that are not neighbours.
    assert_eq!(any(&plan), Some(join(0, 3)));
}

/// Steps that a plan of `count` equal tasks takes `workers`, each step one task's time.
fn steps_of(count: usize, workers: usize) -> u32 {
    let mut plan = plan_of(PlanShape::Succinct, &vec![18; count]);
    plan.end_execution(vec![]).unwrap();
    let mut steps = 0;
    while plan.outcome().is_none() {
        let mut running = Vec::new();
        while running.len() < workers
            && let Some(task) = any(&plan)
        {
            plan.start(task).unwrap();
            running.push(task);
        }
        assert!(!running.is_empty(), "the plan is stuck");
        for task in running {
            plan.accept(task, blob(1)).unwrap();
        }
        steps += 1;
    }
    steps
}

#[test]
fn pairing_on_demand_wastes_no_step() {
    // Nine tasks on two workers: pairing on arrival would take six steps.
    assert_eq!(steps_of(5, 2), 5);
    // Few workers are always busy; many wait only for the depth of the tree.
    for count in 1..60_usize {
        assert_eq!(steps_of(count, 1) as usize, 2 * count - 1, "{count} segments");
        let depth = count.next_power_of_two().trailing_zeros();
        assert_eq!(steps_of(count, count), 1 + depth, "{count} segments");
    }
}

#[test]
fn a_released_leaf_is_ready_again() {
    let mut plan = plan_of(PlanShape::Composite, &[18]);
    plan.start(TaskId::Prove(0)).unwrap();
    assert_eq!(
        plan.start(TaskId::Prove(0)),
        Err(PlanError::NotReady { task: (TaskId::Prove(0)).into() })
    );
    assert_eq!(any(&plan), None);
    plan.release(TaskId::Prove(0)).unwrap();
    let twice = plan.release(TaskId::Prove(0));
    assert_eq!(twice, Err(PlanError::NotRunning { task: (TaskId::Prove(0)).into() }));
    assert_eq!(any(&plan), Some(TaskId::Prove(0)));
}

#[test]
fn a_released_join_dissolves_and_its_inputs_pair_anew() {
    let mut plan = lifted(3);
    plan.start(join(0, 2)).unwrap();
    assert_eq!(any(&plan), None);
    plan.release(join(0, 2)).unwrap();
    plan.start(join(1, 3)).unwrap();
    assert_eq!(plan.start(join(0, 2)), Err(PlanError::NotReady { task: (join(0, 2)).into() }));
}

#[test]
fn the_first_result_counts_and_a_second_is_harmless() {
    let mut plan = lifted(2);
    assert_eq!(plan.accept(TaskId::Lift(0), blob(9)), Ok(Accepted::AlreadyAccepted));
    assert_eq!(plan.accept(join(0, 2), blob(70)), Ok(Accepted::New));
    assert_eq!(plan.accept(join(0, 2), blob(71)), Ok(Accepted::AlreadyAccepted));
    plan.end_execution(vec![]).unwrap();
    assert_eq!(plan.outcome(), Some(succinct(blob(70))));
}

#[test]
fn a_late_join_counts_while_its_inputs_stand_and_not_after_they_paired_anew() {
    let mut plan = lifted(4);
    plan.start(join(0, 2)).unwrap();
    plan.release(join(0, 2)).unwrap();
    let mut other = plan.clone();
    assert_eq!(plan.accept(join(0, 2), blob(70)), Ok(Accepted::New));
    other.start(join(1, 3)).unwrap();
    assert_eq!(other.accept(join(0, 2), blob(70)), Ok(Accepted::Superseded));
    other.accept(join(1, 3), blob(71)).unwrap();
    assert_eq!(other.accept(join(0, 2), blob(70)), Ok(Accepted::Superseded));
    assert_eq!(other.counts().joins_accepted, 1);
}

#[test]
fn tasks_of_another_plan_are_refused() {
    let mut plan = plan_of(PlanShape::Succinct, &[18, 18]);
    let unknown = [
        TaskId::Prove(0),
        TaskId::LiftReceipt(0),
        TaskId::Lift(2),
        TaskId::Lift(u32::MAX),
        join(0, 3),
        join(0, 1),
        TaskId::Keccak(0),
        TaskId::Union(IndexRange::new(0, 2).unwrap()),
        TaskId::Resolve(0),
        TaskId::Unwrap,
    ];
    for task in unknown {
        let error = PlanError::UnknownTask {
            task,
            leaf_kind: TaskKind::Lift,
            segment_count: 2,
            keccak_count: 0,
            resolve_count: 0,
        };
        assert_eq!(plan.start(task), Err(error.clone()));
        assert_eq!(plan.release(task), Err(error.clone()));
        assert_eq!(plan.accept(task, blob(1)), Err(error.clone()));
        assert_eq!(plan.restore(task, blob(1)), Err(error));
    }
    let mut plan = plan_of(PlanShape::Composite, &[18, 18]);
    assert!(plan.accept(join(0, 2), blob(1)).is_err());
}

#[test]
fn a_composite_job_delivers_its_receipts_in_order_and_joins_nothing() {
    let mut plan = plan_of(PlanShape::Composite, &[18, 18, 14]);
    for (index, name) in [(2, 12), (0, 10), (1, 11)] {
        assert_eq!(plan.outcome(), None);
        plan.accept(TaskId::Prove(index), blob(name)).unwrap();
    }
    assert_eq!((any(&plan), plan.outcome()), (None, None), "the execution may go on");
    plan.end_execution(vec![]).unwrap();
    assert_eq!(
        plan.outcome(),
        Some(Outcome::Composite { segments: vec![blob(10), blob(11), blob(12)], keccak: None })
    );
    assert_eq!(plan.counts().joins_total, 0);
}

#[test]
fn one_segment_needs_no_join() {
    let mut plan = lifted(1);
    plan.end_execution(vec![]).unwrap();
    assert_eq!(plan.outcome(), Some(succinct(blob(100))));
}

#[test]
fn a_join_restored_before_its_inputs_covers_them() {
    let mut plan = plan_of(PlanShape::Succinct, &[18; 4]);
    assert_eq!(plan.restore(join(0, 3), blob(80)), Ok(Accepted::New));
    assert_eq!(plan.restore(join(0, 2), blob(81)), Ok(Accepted::Superseded));
    assert_eq!(plan.restore(TaskId::Lift(1), blob(82)), Ok(Accepted::AlreadyAccepted));
    assert_eq!(plan.restore(join(2, 4), blob(83)), Ok(Accepted::Superseded));
    assert_eq!(any(&plan), Some(TaskId::Lift(3)));
    plan.start(TaskId::Lift(3)).unwrap();
    let late = plan.restore(join(0, 4), blob(84));
    assert_eq!(late, Err(PlanError::RestoredTooLate { task: join(0, 4).into(), running_count: 1 }));
    plan.accept(TaskId::Lift(3), blob(85)).unwrap();
    assert_eq!(plan.next(TaskClass::Join).unwrap().inputs, [blob(80), blob(85)]);
}

#[test]
fn only_blobs_that_may_still_be_read_are_live() {
    let live = |plan: &ZkvmPlan| {
        let mut names: Vec<_> = plan.live_blobs().map(|blob| blob.size_bytes).collect();
        names.sort_unstable();
        names
    };
    let mut plan = plan_of(PlanShape::Succinct, &[18, 18, 18]);
    assert_eq!(live(&plan), [0, 1, 2]);
    plan.start(TaskId::Lift(0)).unwrap();
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    plan.accept(TaskId::Lift(1), blob(11)).unwrap();
    plan.start(join(0, 2)).unwrap();
    assert_eq!(live(&plan), [2, 10, 11]);
    plan.accept(join(0, 2), blob(12)).unwrap();
    assert_eq!(live(&plan), [2, 12]);
}

#[test]
fn progress_counts_what_is_known_running_and_accepted() {
    let mut plan = plan_of(PlanShape::Succinct, &[18, 18, 18]);
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    plan.accept(TaskId::Lift(1), blob(11)).unwrap();
    plan.start(TaskId::Lift(2)).unwrap();
    plan.start(join(0, 2)).unwrap();
    let expected = Counts {
        segments_known: 3,
        execution_ended: false,
        leaves_accepted: 2,
        joins_accepted: 0,
        joins_total: 2,
        running: 2,
        ..Counts::default()
    };
    assert_eq!(plan.counts(), expected);
    plan.accept(join(0, 2), blob(12)).unwrap();
    assert_eq!(plan.counts().joins_left(), 1);
}

#[test]
fn no_task_of_a_round_has_more_inputs_than_a_node_takes() {
    let demand = Demand {
        kind: KindCode(1),
        name: "column",
        cost: TaskCost::default(),
        po2: None,
        reads_results: false,
        order: Order::Chain,
    };
    let mut plan = RoundsPlan::new(vec![demand]);
    let round = |count| {
        let inputs = vec![blob(1); count];
        RoundsInput::Round(vec![RoundTask { class: Class(0), inputs }])
    };
    let too_many = plan.input(round(INPUT_COUNT_MAX + 1));
    assert!(matches!(too_many, Err(PlanError::RoundOutOfTurn { .. })), "{too_many:?}");
    assert_eq!(plan.input(round(INPUT_COUNT_MAX)), Ok(()));
}

#[test]
#[should_panic(expected = "a merge of 33 has too many inputs")]
fn no_merge_is_planned_that_is_wider_than_a_node_takes() {
    let cost = TaskCost::default();
    let shape =
        MergesShape { width: INPUT_COUNT_MAX as u32 + 1, leaf: cost, merge: cost, finish: cost };
    MergesPlan::new(&shape, &[blob(1)]);
}
