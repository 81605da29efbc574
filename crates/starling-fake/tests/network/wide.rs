//! Tasks of many inputs, and of inputs with roles.

use starling_fake::{Expected, Sum};
use starling_plan::MergesPlan;
use starling_types::IndexRange;

use crate::{
    client::{Checks, Client},
    node::Setup,
    raw, shape, soon,
};

#[tokio::test]
async fn merges_of_sixteen_inputs_are_proved_by_real_nodes() {
    let raw = raw(33, 500);
    let plan = |blobs: &[_]| MergesPlan::new(&shape(16), blobs);
    let mut client = Client::new(72, &raw, Checks::of_merges(&raw), plan).await;
    let node = Setup::new(73, "pace=10").serve(client.addr()).await;
    let outcome = client.finish().await;
    let whole = IndexRange::new(0, 33).unwrap();
    let all = Expected::of(raw.iter().map(Vec::as_slice)).sum(whole).unwrap();
    assert_eq!(all.finish().compare(&client.read(outcome)), Ok(()));
    let merges = client.seen.granted.iter().filter(|(task, _)| task.kind == MergesPlan::MERGE);
    let widest = merges.map(|(task, _)| task.range.count()).max();
    assert!(widest >= Some(16), "{widest:?}");
    assert_eq!((client.seen.failures.len(), client.seen.dismissed.len()), (0, 0));
    assert_eq!(soon(node.ended()).await, Ok(()));
}

#[tokio::test]
async fn a_challenge_reaches_the_prover_as_one() {
    let raw = raw(1, 500);
    let must_be = Sum::of_challenged(0, &raw[0], b"what follows from the rounds before");
    let checks = Checks::new(move |task| Some(must_be).filter(|_| task.kind == MergesPlan::LEAF));
    let plan = |blobs: &[_]| MergesPlan::new(&shape(4), blobs);
    let mut client = Client::new(74, &raw, checks, plan).await;
    client.challenge(b"what follows from the rounds before");
    let _node = Setup::new(75, "pace=10").serve(client.addr()).await;
    client.run_until(|client| !client.seen.accepted.is_empty()).await;
    assert!(client.seen.failures.is_empty() && client.seen.dismissed.is_empty());
}
