//! The control stream of a job connection: typed messages in both directions, in order.
//!
//! What is sent waits in a bounded queue for a task that writes it, so that no message is cut in half
//! when a sender gives up. A session ends when its last sender is dropped: what was sent before is
//! still delivered, then the connection is closed. A peer that breaks the protocol is told so, and
//! closed.

use std::{marker::PhantomData, time::Duration};

use bytes::Bytes;
use iroh::endpoint::{Connection, ReadError, RecvStream, SendStream};
use n0_future::time::{Instant, timeout};
use starling_proto::{ClientMessage, DecodeError, Message, NodeMessage, PeerAddr};
use starling_types::NodeId;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    addr,
    allowance::Allowance,
    close::{self, End},
    frame::{self, FrameError, FrameReader, ProtocolError},
    limits::{FLUSH_TIMEOUT, SEND_QUEUE_COUNT_MAX, SEND_TIMEOUT},
    places::Merit,
};

/// A client's end of a job connection.
pub type ClientSession = Session<ClientMessage, NodeMessage>;

/// A node's end of a job connection.
pub type NodeSession = Session<NodeMessage, ClientMessage>;

/// Why a message was not sent or received. The session is over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The peer sent something that is not a message. The connection was closed and the peer told why.
    #[error("peer {peer:#} broke the protocol: {problem}")]
    Protocol {
        /// The peer.
        peer: NodeId,
        /// What it did.
        problem: ProtocolError,
    },
    /// The peer closed the connection and says why.
    #[error("peer {peer:#} closed the connection: {reason:?}")]
    Refused {
        /// The peer.
        peer: NodeId,
        /// Its words.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to peer {peer:#} was lost: {reason}")]
    Lost {
        /// The peer.
        peer: NodeId,
        /// What the transport says.
        reason: String,
    },
    /// The peer has stopped reading. The connection was closed.
    #[error("peer {peer:#} has read nothing for {} s", SEND_TIMEOUT.as_secs())]
    Stalled {
        /// The peer.
        peer: NodeId,
    },
    /// The session is over, in good order.
    #[error("the session with peer {peer:#} is over")]
    Ended {
        /// The peer.
        peer: NodeId,
    },
    /// This side's own message is larger than any peer accepts.
    #[error("not sent: {0}")]
    Unsendable(DecodeError),
}

/// One end of a job connection that sends `Out` and receives `In`.
#[derive(Debug)]
pub struct Session<Out, In> {
    sender: SessionSender<Out>,
    receiver: SessionReceiver<In>,
}

impl<Out: Message, In: Message> Session<Out, In> {
    /// A session on the control stream of the connection of `handle`, with a task in `writers` that ends when the
    /// session does, or soon after `closing`.
    pub(crate) fn new(
        handle: SessionHandle,
        (send, recv): (SendStream, RecvStream),
        writers: &TaskTracker,
        closing: CancellationToken,
    ) -> Self {
        let (queue, queued) = mpsc::channel(SEND_QUEUE_COUNT_MAX);
        let writing = write_frames(handle.connection.clone(), send, queued, closing);
        n0_future::task::spawn(writers.track_future(writing));
        Self {
            sender: SessionSender { handle: handle.clone(), queue, messages: PhantomData },
            receiver: SessionReceiver {
                handle,
                frames: FrameReader::new(recv),
                allowance: Allowance::new(Duration::ZERO),
                started: Instant::now(),
                messages: PhantomData,
            },
        }
    }

    /// See [`SessionSender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, message: &Out) -> Result<(), SessionError> {
        self.sender.send(message).await
    }

    /// See [`SessionReceiver::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> Result<Option<In>, SessionError> {
        self.receiver.recv().await
    }

    /// The connection below, to fetch blobs over and to ask about the peer.
    pub fn handle(&self) -> SessionHandle {
        self.sender.handle.clone()
    }

    /// Who is on the other end, as it proved on connecting.
    pub fn peer(&self) -> NodeId {
        self.sender.handle.peer()
    }

    /// Where the peer is now, as far as this connection tells.
    pub fn peer_addr(&self) -> PeerAddr {
        self.sender.handle.peer_addr()
    }

    /// Both directions by themselves, for two tasks.
    pub fn split(self) -> (SessionSender<Out>, SessionReceiver<In>) {
        (self.sender, self.receiver)
    }
}

/// The sending direction of a session. The connection closes when the last clone is dropped.
#[derive(Debug)]
pub struct SessionSender<Out> {
    handle: SessionHandle,
    queue: mpsc::Sender<Bytes>,
    messages: PhantomData<fn(&Out)>,
}

impl<Out> Clone for SessionSender<Out> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), queue: self.queue.clone(), messages: PhantomData }
    }
}

impl<Out: Message> SessionSender<Out> {
    /// Queues `message`, waiting while the queue is full. Either all of it is sent or nothing, also when
    /// the future is dropped early.
    ///
    /// # Errors
    /// When the session is over, or the peer reads nothing for [`SEND_TIMEOUT`].
    pub async fn send(&self, message: &Out) -> Result<(), SessionError> {
        let frame = frame::encode(message).map_err(SessionError::Unsendable)?;
        match timeout(SEND_TIMEOUT, self.queue.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.handle.end_error()),
            Err(_) => {
                close::close(&self.handle.connection, close::STALLED, "you have stopped reading");
                Err(SessionError::Stalled { peer: self.handle.peer() })
            }
        }
    }

    /// The connection below.
    pub fn handle(&self) -> &SessionHandle {
        &self.handle
    }
}

/// The receiving direction of a session. Dropped, it takes nothing more: the session ends at the next
/// message of the peer.
#[derive(Debug)]
pub struct SessionReceiver<In> {
    handle: SessionHandle,
    frames: FrameReader,
    allowance: Allowance,
    /// The beginning of the allowance's time.
    started: Instant,
    messages: PhantomData<fn() -> In>,
}

impl<In: Message> SessionReceiver<In> {
    /// The next message; `None` when the peer has ended the session in good order. Nothing is lost when
    /// the future is dropped early. A peer that says more than it may is read later.
    ///
    /// # Errors
    /// When the connection breaks, or the peer breaks the protocol: then it is closed, and the peer
    /// is told why.
    pub async fn recv(&mut self) -> Result<Option<In>, SessionError> {
        let peer = self.handle.peer();
        while let Some(wait) = self.allowance.wait(self.started.elapsed()) {
            n0_future::time::sleep(wait).await;
        }
        match self.frames.next().await {
            Ok(message) => {
                self.allowance.spend();
                Ok(message)
            }
            Err(FrameError::Protocol(problem)) => {
                close::close(&self.handle.connection, close::PROTOCOL, &problem.to_string());
                Err(SessionError::Protocol { peer, problem })
            }
            Err(FrameError::Read(ReadError::ConnectionLost(error))) => match End::from(error) {
                End::Done | End::Here => Ok(None),
                End::Refused(reason) => Err(SessionError::Refused { peer, reason }),
                End::Lost(reason) => Err(SessionError::Lost { peer, reason }),
            },
            Err(FrameError::Read(error)) => {
                Err(SessionError::Lost { peer, reason: error.to_string() })
            }
        }
    }

    /// The connection below.
    pub fn handle(&self) -> &SessionHandle {
        &self.handle
    }
}

/// A job connection without its control stream: cheap to clone, and no reason for it to stay open.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    connection: Connection,
    /// Of one that was accepted: what keeps its place.
    merit: Option<Merit<Connection>>,
}

impl SessionHandle {
    pub(crate) fn dialled(connection: Connection) -> Self {
        Self { connection, merit: None }
    }

    pub(crate) fn accepted(connection: Connection, merit: Merit<Connection>) -> Self {
        Self { connection, merit: Some(merit) }
    }

    /// Notes that the peer works for this process: it keeps its place among the connections, which otherwise goes to others
    /// that wait. To be said as long as it is so, every few seconds.
    pub fn peer_works(&self) {
        self.merit.iter().for_each(Merit::works);
    }

    /// Notes that the peer delivered what was wanted of it. It is remembered for that, and let in before strangers.
    pub fn peer_delivered(&self) {
        self.merit.iter().for_each(Merit::delivered);
    }

    /// Who is on the other end, as it proved on connecting.
    pub fn peer(&self) -> NodeId {
        addr::to_node_id(self.connection.remote_id())
    }

    /// Where the peer is now, as far as this connection tells: its id and the addresses that its packets
    /// come from.
    pub fn peer_addr(&self) -> PeerAddr {
        addr::remote_addr(&self.connection)
    }

    /// Waits until the connection is closed, by whomever.
    pub async fn closed(&self) {
        self.connection.closed().await;
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Why nothing can be sent any more.
    fn end_error(&self) -> SessionError {
        let peer = self.peer();
        match self.connection.close_reason().map(End::from) {
            Some(End::Refused(reason)) => SessionError::Refused { peer, reason },
            Some(End::Lost(reason)) => SessionError::Lost { peer, reason },
            Some(End::Done | End::Here) | None => SessionError::Ended { peer },
        }
    }
}

/// Writes what is queued until nothing more can be, then closes the connection.
async fn write_frames(
    connection: Connection,
    mut stream: SendStream,
    mut queued: mpsc::Receiver<Bytes>,
    closing: CancellationToken,
) {
    loop {
        let frame = tokio::select! {
            biased;
            // What is queued before the closing is still sent: `recv` goes on until the queue is empty.
            () = closing.cancelled(), if !queued.is_closed() => {
                queued.close();
                continue;
            }
            frame = queued.recv() => frame,
        };
        let Some(frame) = frame else { break };
        match timeout(SEND_TIMEOUT, stream.write_all(&frame)).await {
            Ok(Ok(())) => {}
            // The peer reads no more, or the connection is gone: the next `send` says so.
            Ok(Err(_)) => return close::close(&connection, close::DONE, ""),
            Err(_) => return close::close(&connection, close::STALLED, "you have stopped reading"),
        }
    }
    // Closing at once would overtake what is on its way.
    if stream.finish().is_ok() {
        let _ = timeout(FLUSH_TIMEOUT, stream.stopped()).await;
    }
    close::close(&connection, close::DONE, "");
}
