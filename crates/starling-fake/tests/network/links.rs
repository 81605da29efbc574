//! Connections that break or end, systems that differ.

use std::time::Duration;

use starling_fake::SYSTEMS;
use starling_node::NodeError;
use starling_plan::MergesPlan;
use starling_types::{IndexRange, Task};

use crate::{merging, node::Setup, raw, soon};

#[tokio::test]
async fn a_node_goes_on_after_its_connection_broke_and_its_proof_counts() {
    let raw = raw(1, 500);
    let mut client = merging(40, &raw).await;
    let node = Setup::new(41, "pace=3000").serve(client.addr()).await;
    client.run_until(|client| !client.seen.granted.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.cut_off(node.id);
    client.finish().await;
    assert!(client.seen.joined.len() >= 2, "it dialled again: {:?}", client.seen.joined);
    let leaf = Task { kind: MergesPlan::LEAF, range: IndexRange::single(0) };
    assert_eq!(client.grants_of(leaf), 1, "the lease outlived the connection");
    assert_eq!(soon(node.ended()).await, Ok(()));
}

#[tokio::test]
async fn a_node_of_two_systems_proves_for_each_with_its_own_child() {
    for (key, system) in [(45, SYSTEMS[0]), (46, SYSTEMS[1])] {
        let raw = raw(4, 500);
        let mut client = merging(key, &raw).await;
        client.system = system;
        let both = Setup { systems: SYSTEMS.to_vec(), ..Setup::new(47, "pace=10") };
        let node = both.serve(client.addr()).await;
        client.finish().await;
        assert_eq!(client.seen.failures, []);
        assert_eq!(soon(node.ended()).await, Ok(()));
    }
}

#[tokio::test]
async fn a_node_of_another_system_is_turned_away_and_says_so() {
    let client = merging(48, &raw(1, 500)).await;
    let other = Setup { systems: vec!["fake/3"], ..Setup::new(49, "") };
    let ended = soon(other.serve(client.addr()).await.ended()).await;
    assert!(matches!(ended, Err(NodeError::WrongSystem { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_goodbye_ends_a_node_in_good_order_though_there_is_more_to_do() {
    let mut client = merging(50, &raw(2, 500)).await;
    let node = Setup::new(51, "pace=10").serve(client.addr()).await;
    client.run_until(|client| !client.seen.accepted.is_empty()).await;
    client.say_goodbye().await;
    assert_eq!(soon(node.ended()).await, Ok(()));
}
