//! What nodes and the source say, as the core hears it.

use starling_job::{Event, SourceRun, Word};

use super::{Beside, Done, Runner};
use crate::{
    JobError,
    peers::PeerEvent,
    system::{Delivery, PutOut, System},
    translate::word_of,
};

impl<S: System> Runner<'_, S> {
    pub(super) fn on_peer(&mut self, event: PeerEvent) {
        let said = |node, connection, word| Event::NodeSaid { node, connection, word };
        match event {
            PeerEvent::Joined(joined) => {
                let (node, capability) = (joined.node, joined.capability.clone());
                let connection = joined.connection;
                self.peers.insert(joined);
                self.tell(Event::NodeConnected { node, connection, capability });
            }
            PeerEvent::Asked { node, connection, count, answer } => {
                (0..count).for_each(|_| self.tell(said(node, connection, Word::WorkRequested)));
                drop(answer);
            }
            PeerEvent::Withdrawn { node, connection } => {
                self.tell(said(node, connection, Word::RequestsWithdrawn));
            }
            PeerEvent::Said { node, connection, message, _room } => {
                if let Some(word) = word_of(node, message) {
                    self.tell(said(node, connection, word));
                }
            }
            PeerEvent::Left { node, connection } => {
                self.peers.remove(node, connection);
                self.tell(Event::NodeGone { node, connection });
            }
        }
    }

    /// What was put together. Whether it is still wanted, the core says.
    pub(super) fn on_delivered(&mut self, delivery: Delivery<S>) {
        let Delivery { done, pins, lacks_room, delivered } = delivery;
        self.done = Some(Done { delivered, lacks_room });
        self.tell(Event::Delivered { done, pins });
    }

    pub(super) fn on_emitted(&mut self, run: SourceRun, emitted: Option<PutOut<S>>) {
        match emitted {
            Some(PutOut::Piece(piece, pins)) => self.tell(Event::Emitted { run, piece, pins }),
            Some(PutOut::LacksRoom(shortage)) => {
                self.tell(Event::SourceLacksRoom { run, shortage });
            }
            Some(PutOut::Last(finish)) => {
                self.source.ended();
                self.beside_blocking(move || {
                    Beside::Event(match finish() {
                        Ok((piece, pins)) => Event::Emitted { run, piece, pins },
                        Err(error) => Event::SourceFailed { run, error },
                    })
                });
            }
            None => {
                self.source.ended();
                let detail = "its thread ended without a result".into();
                let error = JobError::Died { what: "the source of the job's tasks", detail };
                self.tell(Event::SourceFailed { run, error });
            }
        }
    }
}
