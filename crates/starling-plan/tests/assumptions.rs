//! The rules of keccak proofs, unions, resolves and the unwrap, one by one.
#![allow(clippy::unwrap_used)]

use starling_plan::{
    Accepted, Assumed, Outcome, PlanError, PlanShape, TaskClass, TaskCost, ZkvmPlan,
};
use starling_types::{BlobRef, IndexRange, Po2, Reference, TaskId, TaskKind};

/// Costs that these tests do not look at.
fn free(_kind: TaskKind, _po2: Option<Po2>) -> TaskCost {
    TaskCost::default()
}

const RESOLVE: TaskId = TaskId::Resolve(0);

fn po2(value: u32) -> Po2 {
    value.try_into().unwrap()
}

fn blob(name: u8) -> BlobRef {
    BlobRef { reference: Reference([name; 32]), size_bytes: u64::from(name) }
}

fn given(name: u8) -> Assumed {
    Assumed::Given(blob(name))
}

fn union(start: u32, end: u32) -> TaskId {
    TaskId::Union(IndexRange::new(start, end).unwrap())
}

fn join(start: u32, end: u32) -> TaskId {
    TaskId::Join(IndexRange::new(start, end).unwrap())
}

/// A plan with segments `blob(0)` on and keccak requests `blob(20)` on.
fn executing(shape: PlanShape, segment_count: u32, keccak_count: u32) -> ZkvmPlan {
    let mut plan = ZkvmPlan::new(shape, free);
    for index in 0..segment_count {
        plan.add_segment(index, po2(18), blob(index as u8)).unwrap();
    }
    for index in 0..keccak_count {
        plan.add_keccak(index, po2(17), blob(20 + index as u8)).unwrap();
    }
    plan
}

fn executed(segment_count: u32, keccak_count: u32, assumed: &[Assumed]) -> ZkvmPlan {
    let mut plan = executing(PlanShape::Succinct, segment_count, keccak_count);
    plan.end_execution(assumed.to_vec()).unwrap();
    plan
}

fn ready(plan: &ZkvmPlan) -> Vec<TaskId> {
    plan.ready_classes().filter_map(|class| plan.next(class)).map(|task| task.id).collect()
}

fn live(plan: &ZkvmPlan) -> Vec<u64> {
    let mut names: Vec<_> = plan.live_blobs().map(|blob| blob.size_bytes).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_keccak_request_is_ready_as_soon_as_it_is_known_and_goes_after_the_segments() {
    let plan = executing(PlanShape::Succinct, 1, 1);
    assert_eq!(ready(&plan), [TaskId::Lift(0), TaskId::Keccak(0)]);
    let task = plan.next(TaskClass::Keccak(po2(17))).unwrap();
    assert_eq!((task.po2, task.inputs), (Some(po2(17)), vec![blob(20)]));
    assert_eq!(plan.next(TaskClass::Keccak(po2(16))), None);
}

#[test]
fn keccak_requests_come_in_order_in_known_sizes_and_not_after_the_end() {
    let mut plan = executing(PlanShape::Succinct, 1, 0);
    let wrong = plan.add_keccak(1, po2(17), blob(20));
    assert_eq!(wrong, Err(PlanError::KeccakOutOfOrder { expected: 0, actual: 1 }));
    for size in [13, 19] {
        let wrong = plan.add_keccak(0, po2(size), blob(20));
        assert_eq!(wrong, Err(PlanError::KeccakPo2 { index: 0, po2: po2(size) }));
    }
    plan.end_execution(vec![]).unwrap();
    let late = plan.add_keccak(0, po2(17), blob(20));
    assert_eq!(late, Err(PlanError::ExecutionEnded { task: TaskId::Keccak(0) }));
}

#[test]
fn an_execution_ends_once_and_with_assumptions_that_can_be_had() {
    let mut plan = executing(PlanShape::Succinct, 1, 0);
    assert_eq!(plan.end_execution(vec![Assumed::Keccak]), Err(PlanError::NoKeccaks));
    assert_eq!(plan.end_execution(vec![given(5)]), Ok(()));
    assert_eq!(plan.end_execution(vec![given(5)]), Ok(()));
    let otherwise = PlanError::EndedOtherwise { count: 1, actual_count: 1 };
    assert_eq!(plan.end_execution(vec![given(6)]), Err(otherwise));
}

#[test]
fn a_union_is_ready_when_both_halves_are_and_runs_once() {
    let mut plan = executing(PlanShape::Succinct, 1, 2);
    plan.accept(TaskId::Keccak(1), blob(31)).unwrap();
    assert_eq!(plan.start(union(0, 2)), Err(PlanError::NotReady { task: (union(0, 2)).into() }));
    assert_eq!(
        plan.accept(union(0, 2), blob(40)),
        Err(PlanError::NotReady { task: (union(0, 2)).into() })
    );
    plan.accept(TaskId::Keccak(0), blob(30)).unwrap();
    let task = plan.next(TaskClass::Union).unwrap();
    assert_eq!(task.id, union(0, 2));
    assert_eq!(task.inputs, [blob(30), blob(31)]);
    plan.start(task.id).unwrap();
    assert_eq!(plan.next(TaskClass::Union), None);
    plan.release(task.id).unwrap();
    assert_eq!(plan.release(task.id), Err(PlanError::NotRunning { task: (task.id).into() }));
    assert_eq!(plan.accept(task.id, blob(40)), Ok(Accepted::New));
    assert_eq!(plan.accept(task.id, blob(41)), Ok(Accepted::AlreadyAccepted));
}

#[test]
fn a_resolve_waits_for_all_segments_and_for_its_assumption() {
    let mut plan = executed(2, 1, &[Assumed::Keccak]);
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    plan.accept(TaskId::Lift(1), blob(11)).unwrap();
    plan.accept(join(0, 2), blob(12)).unwrap();
    assert_eq!(ready(&plan), [TaskId::Keccak(0)]);
    let not_ready = PlanError::NotReady { task: (RESOLVE).into() };
    assert_eq!(plan.start(RESOLVE), Err(not_ready.clone()));
    assert_eq!(plan.accept(RESOLVE, blob(13)), Err(not_ready));
    plan.accept(TaskId::Keccak(0), blob(30)).unwrap();
    let task = plan.next(TaskClass::Resolve).unwrap();
    assert_eq!((task.id, task.inputs), (RESOLVE, vec![blob(12), blob(30)]));
    plan.start(RESOLVE).unwrap();
    assert_eq!((ready(&plan), plan.outcome()), (vec![], None));
    plan.accept(RESOLVE, blob(13)).unwrap();
    let outcome = Outcome::Succinct { receipt: blob(13), work: None };
    assert_eq!(plan.outcome(), Some(outcome));
}

#[test]
fn nothing_is_resolved_before_the_execution_has_ended() {
    let mut plan = executing(PlanShape::Succinct, 1, 0);
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    assert_eq!(plan.next(TaskClass::Resolve), None);
    assert!(matches!(plan.start(RESOLVE), Err(PlanError::UnknownTask { .. })));
    plan.end_execution(vec![given(5)]).unwrap();
    assert_eq!(ready(&plan), [RESOLVE]);
}

#[test]
fn keccak_work_that_nothing_assumes_is_neither_offered_nor_waited_for() {
    let mut plan = executing(PlanShape::Succinct, 1, 3);
    plan.start(TaskId::Keccak(0)).unwrap();
    plan.accept(TaskId::Keccak(1), blob(31)).unwrap();
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    plan.end_execution(vec![]).unwrap();
    assert!(!plan.needs_keccaks());
    assert_eq!(ready(&plan), []);
    let not_ready = PlanError::NotReady { task: (TaskId::Keccak(2)).into() };
    assert_eq!(plan.start(TaskId::Keccak(2)), Err(not_ready));
    let outcome = Outcome::Succinct { receipt: blob(10), work: None };
    assert_eq!(plan.outcome(), Some(outcome));
    assert_eq!(live(&plan), [10]);
    assert_eq!(plan.left(TaskClass::Keccak(po2(17))) + plan.left(TaskClass::Union), 0);
    // What runs may still be finished, or given up.
    assert_eq!(plan.accept(TaskId::Keccak(0), blob(30)), Ok(Accepted::New));
}

#[test]
fn a_composite_job_unites_what_it_assumes_and_resolves_nothing() {
    let mut plan = executing(PlanShape::Composite, 1, 2).counting_work();
    plan.end_execution(vec![given(5), Assumed::Keccak]).unwrap();
    plan.accept(TaskId::Prove(0), blob(10)).unwrap();
    plan.accept(TaskId::Keccak(0), blob(30)).unwrap();
    plan.accept(TaskId::Keccak(1), blob(31)).unwrap();
    assert_eq!((ready(&plan), plan.outcome()), (vec![union(0, 2)], None));
    plan.accept(union(0, 2), blob(40)).unwrap();
    let outcome = Outcome::Composite { segments: vec![blob(10)], keccak: Some(blob(40)) };
    assert_eq!((ready(&plan), plan.outcome()), (vec![], Some(outcome)));
    assert_eq!(live(&plan), [5, 10, 40]);
    assert_eq!(plan.counts().resolves_total, 0);
    for task in [RESOLVE, TaskId::Unwrap] {
        assert!(matches!(plan.start(task), Err(PlanError::UnknownTask { .. })), "{task}");
    }
}

#[test]
fn a_job_that_compresses_begins_with_segment_receipts() {
    let mut plan = executing(PlanShape::Compress, 1, 0);
    plan.end_execution(vec![given(5)]).unwrap();
    assert_eq!(ready(&plan), [TaskId::LiftReceipt(0)]);
    assert_eq!(TaskClass::Leaf(po2(18)).kind(plan.shape()), TaskKind::LiftReceipt);
    plan.accept(TaskId::LiftReceipt(0), blob(10)).unwrap();
    assert_eq!(ready(&plan), [RESOLVE]);
}

#[test]
fn the_unwrap_comes_last_and_leaves_the_work_receipt_to_deliver() {
    let mut plan = executing(PlanShape::Succinct, 1, 0).counting_work();
    plan.end_execution(vec![given(5)]).unwrap();
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    assert_eq!(ready(&plan), [RESOLVE]);
    plan.accept(RESOLVE, blob(11)).unwrap();
    assert_eq!(ready(&plan), [TaskId::Unwrap]);
    assert_eq!(plan.left(TaskClass::Unwrap), 1);
    let task = plan.start(TaskId::Unwrap).unwrap();
    assert_eq!((task.inputs, plan.outcome()), (vec![blob(11)], None));
    plan.accept(TaskId::Unwrap, blob(12)).unwrap();
    let outcome = Outcome::Succinct { receipt: blob(12), work: Some(blob(11)) };
    assert_eq!(plan.outcome(), Some(outcome));
    assert_eq!(live(&plan), [11, 12]);
}

#[test]
fn a_restored_resolve_covers_all_that_came_before_it() {
    let mut plan = executed(3, 2, &[Assumed::Keccak, given(5)]);
    assert_eq!(plan.restore(RESOLVE, blob(50)), Ok(Accepted::New));
    for (task, expected) in [
        (TaskId::Lift(1), Accepted::AlreadyAccepted),
        (join(0, 2), Accepted::Superseded),
        (join(0, 3), Accepted::Superseded),
        (RESOLVE, Accepted::AlreadyAccepted),
    ] {
        assert_eq!(plan.restore(task, blob(9)), Ok(expected), "{task}");
    }
    assert_eq!(ready(&plan), [TaskId::Resolve(1)]);
    assert_eq!(live(&plan), [5, 50]);
    let progress = plan.counts();
    assert_eq!(
        (progress.leaves_accepted, progress.joins_left(), progress.unions_left()),
        (3, 0, 0)
    );
    assert_eq!((progress.keccaks_accepted, progress.resolves_left()), (2, 1));
}

#[test]
fn a_restored_union_covers_its_keccak_proofs_and_the_unions_within() {
    let mut plan = executed(1, 5, &[Assumed::Keccak]);
    assert_eq!(plan.restore(TaskId::Keccak(1), blob(31)), Ok(Accepted::New));
    assert_eq!(plan.restore(union(0, 4), blob(40)), Ok(Accepted::New));
    assert_eq!(plan.restore(union(0, 2), blob(41)), Ok(Accepted::AlreadyAccepted));
    assert_eq!(plan.restore(TaskId::Keccak(3), blob(33)), Ok(Accepted::AlreadyAccepted));
    assert_eq!(ready(&plan), [TaskId::Lift(0), TaskId::Keccak(4)]);
    assert_eq!(live(&plan), [0, 24, 40]);
    plan.accept(TaskId::Keccak(4), blob(34)).unwrap();
    assert_eq!(plan.next(TaskClass::Union).unwrap().inputs, [blob(40), blob(34)]);
}

#[test]
fn only_blobs_that_may_still_be_read_are_live() {
    let mut plan = executed(1, 2, &[given(5), Assumed::Keccak]);
    assert_eq!(live(&plan), [0, 5, 20, 21]);
    plan.accept(TaskId::Keccak(0), blob(30)).unwrap();
    plan.accept(TaskId::Keccak(1), blob(31)).unwrap();
    plan.start(union(0, 2)).unwrap();
    assert_eq!(live(&plan), [0, 5, 30, 31]);
    plan.accept(union(0, 2), blob(40)).unwrap();
    plan.accept(TaskId::Lift(0), blob(10)).unwrap();
    plan.start(RESOLVE).unwrap();
    assert_eq!(live(&plan), [5, 10, 40]);
    plan.accept(RESOLVE, blob(11)).unwrap();
    assert_eq!(live(&plan), [11, 40]);
    plan.accept(TaskId::Resolve(1), blob(12)).unwrap();
    assert_eq!(live(&plan), [12]);
}

#[test]
fn what_is_left_counts_down_by_class() {
    let mut plan = executed(2, 3, &[given(5), Assumed::Keccak]);
    let left = |plan: &ZkvmPlan| {
        let (leaf, keccak) = (TaskClass::Leaf(po2(18)), TaskClass::Keccak(po2(17)));
        let classes = [leaf, keccak, TaskClass::Union, TaskClass::Join, TaskClass::Resolve];
        classes.map(|class| plan.left(class))
    };
    assert_eq!(left(&plan), [2, 3, 2, 1, 2]);
    for task in [TaskId::Lift(0), TaskId::Lift(1), TaskId::Keccak(2), TaskId::Keccak(0)] {
        plan.accept(task, blob(1)).unwrap();
    }
    assert_eq!(left(&plan), [0, 1, 2, 1, 2]);
    for task in [TaskId::Keccak(1), union(0, 2), join(0, 2), RESOLVE] {
        plan.accept(task, blob(1)).unwrap();
    }
    assert_eq!(left(&plan), [0, 0, 1, 0, 1]);
}
