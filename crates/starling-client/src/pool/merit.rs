//! What a node does for this client, which decides who stays connected when there are more nodes than places.
//!
//! A node works as long as it renews leases that it was granted and that were not taken back. It has delivered once one of its
//! results was accepted. Nothing else that it says earns anything.

use std::collections::{BTreeSet, VecDeque};

use starling_proto::{ClientMessage, GoodbyeReason, LeaseId, NodeMessage};
use starling_types::NodeId;

/// Leases that are remembered of one node; the oldest of the first job is forgotten first.
const LEASES_MAX: usize = 2 * starling_proto::limits::SLOT_COUNT_MAX as usize;

/// Nodes that are away and whose leases are remembered, since they come back with them; the oldest is forgotten first.
const AWAY_MAX: usize = 1024;

/// What just happened with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It works.
    Works,
    /// A result of it was accepted.
    Delivered,
}

/// The leases that a node was granted and that are not over.
#[derive(Debug, Default)]
pub(super) struct Merit {
    leases: BTreeSet<LeaseId>,
}

/// The merits of nodes that are away.
#[derive(Debug, Default)]
pub(super) struct Away {
    merits: VecDeque<(NodeId, Merit)>,
}

impl Merit {
    /// Notes what the node is told.
    pub(super) fn told(&mut self, message: &ClientMessage) -> Option<Use> {
        match message {
            ClientMessage::Grant(grant) => {
                self.leases.insert(grant.lease);
                if self.leases.len() > LEASES_MAX {
                    self.leases.pop_first();
                }
                Some(Use::Works)
            }
            ClientMessage::Revoke { lease, .. } => {
                self.leases.remove(lease);
                None
            }
            ClientMessage::Verdict { lease, accepted, .. } => {
                self.leases.remove(lease);
                accepted.then_some(Use::Delivered)
            }
            ClientMessage::Goodbye { reason: GoodbyeReason::JobOver { job }, .. } => {
                self.leases.retain(|lease| lease.job != *job);
                None
            }
            ClientMessage::Welcome(_) | ClientMessage::Goodbye { .. } => None,
        }
    }

    /// Notes what the node says.
    pub(super) fn said(&mut self, message: &NodeMessage) -> Option<Use> {
        match message {
            NodeMessage::Renew { lease, .. } => self.leases.contains(lease).then_some(Use::Works),
            NodeMessage::Decline { lease, .. } => {
                self.leases.remove(lease);
                None
            }
            NodeMessage::Failed(failure) => {
                self.leases.remove(&failure.lease);
                None
            }
            // What it is worth is yet to be seen.
            NodeMessage::Done(_) => None,
            NodeMessage::Hello(_) | NodeMessage::WorkRequested | NodeMessage::Leaving { .. } => {
                None
            }
        }
    }
}

impl Away {
    /// The node is away.
    pub(super) fn add(&mut self, node: NodeId, merit: Merit) {
        self.take(node);
        if merit.leases.is_empty() {
            return;
        }
        self.merits.push_back((node, merit));
        if self.merits.len() > AWAY_MAX {
            self.merits.pop_front();
        }
    }

    /// The node is back.
    pub(super) fn take(&mut self, node: NodeId) -> Merit {
        let index = self.merits.iter().position(|(away, _)| *away == node);
        let taken = index.and_then(|index| self.merits.remove(index));
        taken.map(|(_, merit)| merit).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use starling_proto::{Failure, Grant};
    use starling_types::{Epoch, FailureClass, IndexRange, JobId, KindCode, Millis, Task};

    use super::*;

    fn lease(epoch: u64) -> LeaseId {
        LeaseId { job: JobId([1; 16]), epoch: Epoch(epoch) }
    }

    fn grant(epoch: u64) -> ClientMessage {
        ClientMessage::Grant(Grant {
            lease: lease(epoch),
            system: "fake/1".into(),
            task: Task { kind: KindCode(2), range: IndexRange::single(0) },
            arguments: vec![],
            inputs: vec![],
            renew_within: Millis(20_000),
            deadline: Millis(300_000),
            ahead: false,
        })
    }

    fn renewal(epoch: u64) -> NodeMessage {
        NodeMessage::Renew { lease: lease(epoch), done_permille: 0, waits: false }
    }

    #[test]
    fn a_node_works_while_it_renews_what_it_was_granted_and_talk_is_no_work() {
        let mut merit = Merit::default();
        assert_eq!(merit.said(&renewal(1)), None, "it was never granted");
        assert_eq!(merit.said(&NodeMessage::WorkRequested), None);
        assert_eq!(merit.told(&grant(1)), Some(Use::Works));
        assert_eq!(merit.said(&renewal(1)), Some(Use::Works));
        let reason = String::new();
        let ends: [(Option<ClientMessage>, Option<NodeMessage>); 4] = [
            (Some(ClientMessage::Revoke { lease: lease(1), reason: reason.clone() }), None),
            (
                Some(ClientMessage::Goodbye {
                    reason: GoodbyeReason::JobOver { job: lease(1).job },
                    message: reason.clone(),
                }),
                None,
            ),
            (None, Some(NodeMessage::Decline { lease: lease(1), busy: true })),
            (
                None,
                Some(NodeMessage::Failed(Failure {
                    lease: lease(1),
                    class: FailureClass::Node,
                    message: reason,
                })),
            ),
        ];
        for (told, said) in ends {
            merit.told(&grant(1));
            assert_eq!(told.and_then(|message| merit.told(&message)), None);
            assert_eq!(said.and_then(|message| merit.said(&message)), None);
            assert_eq!(merit.said(&renewal(1)), None);
        }
    }

    #[test]
    fn a_result_counts_once_it_is_accepted() {
        let mut merit = Merit::default();
        for (accepted, counts) in [(false, None), (true, Some(Use::Delivered))] {
            merit.told(&grant(1));
            let (lease, reason) = (lease(1), String::new());
            assert_eq!(merit.told(&ClientMessage::Verdict { lease, accepted, reason }), counts);
            assert_eq!(merit.said(&renewal(1)), None);
        }
    }

    #[test]
    fn leases_outlive_a_connection_and_so_many_are_remembered() {
        let (mut away, node) = (Away::default(), NodeId([7; 32]));
        let mut merit = Merit::default();
        for epoch in 0..2 * LEASES_MAX as u64 {
            merit.told(&grant(epoch));
        }
        assert_eq!(merit.leases.len(), LEASES_MAX);
        away.add(node, merit);
        for name in 0..AWAY_MAX as u64 - 1 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&name.to_be_bytes());
            let mut merit = Merit::default();
            merit.told(&grant(1));
            away.add(NodeId(id), merit);
        }
        let newest = 2 * LEASES_MAX as u64 - 1;
        assert_eq!(away.take(node).said(&renewal(newest)), Some(Use::Works));
        assert_eq!(away.take(node).said(&renewal(newest)), None, "once");
        assert_eq!(away.merits.len(), AWAY_MAX - 1);
        away.add(node, Merit::default());
        assert_eq!(
            away.merits.len(),
            AWAY_MAX - 1,
            "of one with no lease there is nothing to keep"
        );
    }
}
