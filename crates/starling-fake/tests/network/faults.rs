//! Nodes that lie, die, hang or have no room; and one that has no disk.

use std::time::Instant;

use starling_fake::{Claimant, Expected};
use starling_node::NodeError;
use starling_plan::MergesPlan;
use starling_proto::LeaseId;
use starling_sched::Config;
use starling_types::{BlobRef, FailureClass, IndexRange, Millis, Reference, Task};

use crate::{
    client::{Checks, Client, config},
    merging,
    node::Setup,
    raw, shape, soon,
};

fn leaf(index: u32) -> Task {
    Task { kind: MergesPlan::LEAF, range: IndexRange::single(index) }
}

#[tokio::test]
async fn a_node_with_its_blobs_in_memory_proves_like_any_other() {
    let raw = raw(9, 1000);
    let mut client = merging(60, &raw).await;
    let node = Setup { in_memory: true, ..Setup::new(61, "pace=10") };
    let node = node.serve(client.addr()).await;
    let outcome = client.finish().await;
    let whole = IndexRange::new(0, 9).unwrap();
    let all = Expected::of(raw.iter().map(Vec::as_slice)).sum(whole).unwrap();
    assert_eq!(all.finish().compare(&client.read(outcome)), Ok(()));
    assert_eq!((client.seen.failures.len(), client.seen.dismissed.len()), (0, 0));
    assert_eq!(soon(node.ended()).await, Ok(()));
}

#[tokio::test]
async fn a_liar_is_dismissed_and_the_job_ends_without_it() {
    let raw = raw(12, 500);
    let mut client = merging(20, &raw).await;
    let liar = Setup::new(21, "pace=10,lies").serve(client.addr()).await;
    client.run_until(|client| client.seen.dismissed.contains(&liar.id)).await;
    let honest = Setup::new(22, "pace=10").serve(client.addr()).await;
    client.finish().await;
    assert!(client.seen.accepted.iter().all(|(task, blob, _)| {
        Checks::of_merges(&raw).judge(*task, &client.read(*blob)).is_ok()
    }));
    assert!(matches!(soon(liar.ended()).await, Err(NodeError::Dismissed { .. })));
    assert_eq!(soon(honest.ended()).await, Ok(()));
}

#[tokio::test]
async fn a_prover_that_dies_costs_its_task_another_try_elsewhere() {
    let raw = raw(8, 500);
    let mut client = merging(26, &raw).await;
    let mortal = Setup::new(27, "pace=10,dies-of=2").serve(client.addr()).await;
    let _other = Setup::new(28, "pace=10").serve(client.addr()).await;
    client.finish().await;
    assert!(client.seen.dismissed.is_empty(), "to die is not a lie");
    let of_nodes = client.seen.failures.iter().all(|failure| failure.class == FailureClass::Node);
    assert!(of_nodes, "{:?}", client.seen.failures);
    assert_eq!(soon(mortal.ended()).await, Ok(()));
}

#[tokio::test]
async fn a_prover_that_hangs_does_not_hold_the_job_up() {
    let raw = raw(6, 500);
    let mut client = merging(29, &raw).await;
    let hanging = Setup::new(30, "hangs").serve(client.addr()).await;
    client.run_until(|client| !client.seen.granted.is_empty()).await;
    let _other = Setup::new(31, "pace=10").serve(client.addr()).await;
    client.finish().await;
    let stuck = client.seen.granted.iter().find(|(_, node)| *node == hanging.id).unwrap().0;
    assert!(client.grants_of(stuck) > 1, "somebody else did it");
    // Told that the task is done, it has let go of the prover, and hears the goodbye.
    assert_eq!(soon(hanging.ended()).await, Ok(()));
}

/// A machine that is much slower than it was when its speed was measured.
#[tokio::test]
async fn a_lone_node_that_takes_longer_than_its_deadline_and_gets_on_ends_with_one_grant() {
    let raw = raw(1, 500);
    let deadline = Millis(4_000);
    let limits = Config { deadline_min: deadline, ..config() };
    let plan = |blobs: &[BlobRef]| MergesPlan::new(&shape(4), blobs);
    let mut client = Client::with(limits, 65, &raw, Checks::of_merges(&raw), plan).await;
    // It tells of itself four times in that.
    let _slow = Setup::new(66, "pace=6000").serve(client.addr()).await;
    client.run_until(|client| !client.seen.granted.is_empty()).await;
    let begun = Instant::now();
    client.run_until(|client| !client.seen.accepted.is_empty()).await;
    assert!(begun.elapsed().as_millis() > u128::from(deadline.0), "it took longer than that");
    assert_eq!(client.grants_of(leaf(0)), 1);
    assert!(client.seen.failures.is_empty(), "{:?}", client.seen.failures);
}

#[tokio::test]
async fn a_node_whose_disk_is_full_takes_nothing_and_is_blamed_for_nothing() {
    let raw = raw(6, 100_000);
    let mut client = merging(32, &raw).await;
    let full = Setup { disk_bytes: 50_000, ..Setup::new(33, "pace=10") };
    let full = full.serve(client.addr()).await;
    client.run_until(|client| !client.seen.granted.is_empty()).await;
    let _other = Setup::new(34, "pace=10").serve(client.addr()).await;
    client.finish().await;
    assert!(client.seen.dismissed.is_empty());
    let of_disks = client.seen.failures.iter().all(|failure| failure.class == FailureClass::Disk);
    assert!(of_disks, "{:?}", client.seen.failures);
    assert!(client.grants_of(leaf(0)) > 0);
    assert_eq!(soon(full.ended()).await, Ok(()));
}

#[tokio::test]
async fn an_input_that_is_damaged_on_the_clients_disk_is_noticed_and_put_there_again() {
    let raw = raw(8, 500);
    let mut inputs = Vec::new();
    let plan = |blobs: &[BlobRef]| {
        inputs = blobs.to_vec();
        MergesPlan::new(&shape(4), blobs)
    };
    let mut client = Client::new(37, &raw, Checks::of_merges(&raw), plan).await;
    client.damage(inputs[7]);
    let _nodes = [
        Setup::new(38, "pace=10").serve(client.addr()).await,
        Setup::new(39, "pace=10").serve(client.addr()).await,
    ];
    client.finish().await;
    assert_eq!(client.seen.damaged, [inputs[7].reference]);
    assert!(client.seen.dismissed.is_empty(), "nobody else is to blame");
    let failures = &client.seen.failures;
    assert!(failures.iter().all(|failure| failure.class == FailureClass::Input), "{failures:?}");
}

/// The name of a blob that nobody has, for each lease another.
fn nowhere(lease: LeaseId) -> BlobRef {
    let mut name = [7; 32];
    name[..8].copy_from_slice(&lease.epoch.0.to_le_bytes());
    BlobRef { reference: Reference(name), size_bytes: 1000 }
}

#[tokio::test]
async fn a_node_of_which_three_results_could_not_be_had_got_three_tasks_and_no_more_for_a_while() {
    let raw = raw(24, 500);
    let mut client = merging(62, &raw).await;
    let withholding = Claimant::start(63, &client.addr(), nowhere).await.unwrap();
    let grants = |client: &Client<MergesPlan>| {
        client.seen.granted.iter().filter(|(_, node)| *node == withholding.id).count()
    };
    // It asks for more at once, and gets nothing while the one before is looked for.
    client.run_until(|client| client.seen.unfetchable_count >= 3).await;
    assert_eq!(grants(&client), 3);
    // Nothing but time passes between them: a job that takes longer than all the pauses before.
    let honest = Setup::new(64, "pace=300").serve(client.addr()).await;
    client.finish().await;
    assert_eq!(grants(&client), 3);
    assert!(client.seen.dismissed.is_empty(), "it proves no lie");
    assert_eq!(soon(honest.ended()).await, Ok(()));
}
