//! Nodes that work on several tasks at once.

use std::collections::BTreeSet;

use starling_proto::NodeMessage;
use starling_types::Epoch;

use crate::{merging, node::Setup, raw, soon};

#[tokio::test]
async fn a_node_of_two_slots_proves_two_tasks_at_once_and_begins_with_what_it_was_granted_ahead() {
    let raw = raw(6, 500);
    let mut client = merging(70, &raw).await;
    let node = Setup { slots: 2, ..Setup::new(71, "pace=2000") };
    let node = node.serve(client.addr()).await;
    client.finish().await;

    // Who says how far it is with a task proves it now: two at the same time, and never more.
    let mut proving = BTreeSet::new();
    let mut most = 0;
    let (mut begun, mut done) = (BTreeSet::new(), BTreeSet::<Epoch>::new());
    for message in &client.seen.said {
        match message {
            NodeMessage::Renew { lease, done_permille, waits: false } => {
                begun.insert(lease.epoch);
                if *done_permille > 0 && !done.contains(&lease.epoch) {
                    proving.insert(lease.epoch);
                }
            }
            NodeMessage::Done(result) => {
                proving.remove(&result.lease.epoch);
                done.insert(result.lease.epoch);
            }
            _ => {}
        }
        most = most.max(proving.len());
    }
    assert_eq!(most, 2, "{:?}", client.seen.said);
    let ahead = &client.seen.ahead;
    assert!(!ahead.is_empty(), "it has proved something, and works");
    let unused: Vec<_> = ahead.iter().filter(|epoch| !begun.contains(epoch)).collect();
    assert!(unused.is_empty(), "granted ahead and not begun with: {unused:?}");
    assert!(ahead.is_subset(&done), "{ahead:?} {done:?}");
    assert_eq!((client.seen.failures.len(), client.seen.dismissed.len()), (0, 0));
    assert_eq!(soon(node.ended()).await, Ok(()));
}
