//! The job's nodes: which connection of each counts, and what it is waiting for.

use starling_sched::{Event as Scheduled, Lease};
use starling_types::{BlobRef, Capability, FailureClass, NodeId};

use crate::{Action, ConnectionId, JobCore, Note, Script, Word};

/// A connected node. It outlasts a scheduler, so that a job that starts over keeps its nodes.
#[derive(Debug)]
pub(crate) struct Connected {
    connection: ConnectionId,
    capability: Capability,
    /// Its requests for work that are not granted yet: no more than it has slots.
    asked: u32,
}

impl<S: Script> JobCore<S> {
    pub(crate) fn node_connected(
        &mut self,
        node: NodeId,
        connection: ConnectionId,
        capability: Capability,
    ) {
        if self.nodes.get(&node).is_some_and(|known| known.connection >= connection) {
            return;
        }
        let connected = Connected { connection, capability: capability.clone(), asked: 0 };
        // What the old connection was granted stands again when the node says that it still holds it.
        if self.nodes.insert(node, connected).is_some() {
            self.schedule(Scheduled::NodeLeft { node });
        }
        self.schedule(Scheduled::NodeJoined { node, capability });
    }

    pub(crate) fn node_gone(&mut self, node: NodeId, connection: ConnectionId) {
        if self.is_current(node, connection) {
            self.nodes.remove(&node);
            self.schedule(Scheduled::NodeLeft { node });
        }
    }

    pub(crate) fn node_said(&mut self, node: NodeId, connection: ConnectionId, word: Word) {
        if !self.is_current(node, connection) {
            return;
        }
        match word {
            Word::WorkRequested => {
                if let Some(connected) = self.nodes.get_mut(&node) {
                    let slots = connected.capability.slots.max(1);
                    connected.asked = connected.asked.saturating_add(1).min(slots);
                }
                self.schedule(Scheduled::WorkRequested { node });
            }
            Word::RequestsWithdrawn => {
                if let Some(connected) = self.nodes.get_mut(&node) {
                    connected.asked = 0;
                }
                self.schedule(Scheduled::RequestsWithdrawn { node });
            }
            Word::Renewed { epoch, done_permille, waits } => {
                self.schedule(Scheduled::LeaseRenewed { node, epoch, done_permille, waits });
            }
            Word::Declined { epoch, busy } => {
                self.schedule(Scheduled::LeaseDeclined { node, epoch, busy });
            }
            Word::Done { epoch, blob } => {
                self.schedule(Scheduled::ResultReported { node, epoch, blob });
            }
            Word::Failed { epoch, failure } => {
                // Of what it does not have it can say anything, as often as it likes.
                if let Some(task) = self.scheduler.task_of_lease(node, epoch) {
                    let failure = failure.clone();
                    self.say(Note::Failed { node, epoch, task, failure });
                }
                // It may be right: a look costs little, and other nodes would fail in the same way.
                let blamed: Vec<BlobRef> = match failure.class {
                    FailureClass::Input => self.scheduler.inputs_of_lease(node, epoch),
                    _ => Vec::new(),
                };
                self.schedule(Scheduled::TaskFailed { node, epoch, failure });
                self.look(blamed);
            }
        }
    }

    fn is_current(&self, node: NodeId, connection: ConnectionId) -> bool {
        self.nodes.get(&node).is_some_and(|known| known.connection == connection)
    }

    pub(crate) fn grant(&mut self, node: NodeId, lease: Lease) {
        // One that is granted ahead answers no request.
        if !lease.ahead
            && let Some(connected) = self.nodes.get_mut(&node)
        {
            connected.asked = connected.asked.saturating_sub(1);
        }
        let Lease { epoch, task, po2, memory, .. } = lease;
        self.say(Note::Granted { node, epoch, task, po2, memory });
        let arguments = self.state.arguments(task, po2);
        self.act(Action::Grant { node, lease, arguments });
    }

    /// Forgets all nodes: they were let go. Those that come back are introduced anew.
    pub(crate) fn part_with_nodes(&mut self) {
        for node in std::mem::take(&mut self.nodes).into_keys() {
            self.schedule(Scheduled::NodeLeft { node });
        }
    }

    /// Tells a scheduler that knows nobody of all nodes and of what they wait for.
    pub(crate) fn introduce_nodes(&mut self) {
        let known = self.nodes.iter();
        let known: Vec<_> =
            known.map(|(node, known)| (*node, known.capability.clone(), known.asked)).collect();
        for (node, capability, asked) in known {
            self.schedule(Scheduled::NodeJoined { node, capability });
            for _ in 0..asked {
                self.schedule(Scheduled::WorkRequested { node });
            }
        }
    }
}
