//! The connections to clients: a task each, which passes messages both ways until one side ends it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use starling_net::{ConnectError, Net, NodeSession, SessionHandle};
use starling_node_core::{Event, SessionId};
use starling_proto::{NodeMessage, PeerAddr};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Messages that may wait for a client. One that lets more pile up has stopped reading.
const OUTBOX_MAX: usize = 256;

/// The connections that there are, and those that are being made.
pub(crate) struct Sessions {
    net: Net,
    events: mpsc::Sender<Event>,
    tasks: TaskTracker,
    open: BTreeMap<SessionId, Open>,
}

struct Open {
    outbox: mpsc::Sender<NodeMessage>,
    handle: Arc<OnceLock<SessionHandle>>,
}

impl Sessions {
    pub(crate) fn new(net: Net, events: mpsc::Sender<Event>, tasks: TaskTracker) -> Self {
        Self { net, events, tasks, open: BTreeMap::new() }
    }

    /// Connects to a client; where only ads tell of it, `heard` counts the attempts before.
    pub(crate) fn dial(&mut self, session: SessionId, client: PeerAddr, heard: Option<u32>) {
        let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
        let handle = Arc::new(OnceLock::new());
        let (net, events) = (self.net.clone(), self.events.clone());
        let span = tracing::info_span!("session", client = %format_args!("{:#}", client.node_id));
        let dialling = Dialling { net, client, heard };
        let running = run(dialling, session, handle.clone(), messages, events).instrument(span);
        self.open.insert(session, Open { outbox, handle });
        n0_future::task::spawn(self.tasks.track_future(running));
    }

    /// Queues a message; says whether that was possible.
    pub(crate) fn send(&self, session: SessionId, message: NodeMessage) -> bool {
        self.open.get(&session).is_none_or(|open| open.outbox.try_send(message).is_ok())
    }

    /// Ends a connection once what is queued is sent.
    pub(crate) fn close(&mut self, session: SessionId) {
        self.open.remove(&session);
    }

    /// The connection itself, to fetch over.
    pub(crate) fn handle(&self, session: SessionId) -> Option<SessionHandle> {
        self.open.get(&session)?.handle.get().cloned()
    }
}

/// One attempt at a client.
struct Dialling {
    net: Net,
    client: PeerAddr,
    /// Where only ads tell of the client, how many attempts there were before.
    heard: Option<u32>,
}

impl Dialling {
    async fn connect(&self) -> Result<NodeSession, ConnectError> {
        match self.heard {
            None => self.net.connect_job(&self.client).await,
            Some(attempt) => self.net.connect_job_heard(&self.client, attempt).await,
        }
    }
}

async fn run(
    dialling: Dialling,
    session: SessionId,
    handle: Arc<OnceLock<SessionHandle>>,
    mut messages: mpsc::Receiver<NodeMessage>,
    events: mpsc::Sender<Event>,
) {
    // Nobody listens any more only when the node ends.
    let tell = async |event| drop(events.send(event).await);
    let connected = tokio::select! {
        connected = dialling.connect() => connected,
        // Nothing is sent before the connection stands: the attempt is called off.
        _ = messages.recv() => return,
    };
    let mut connection = match connected {
        Ok(connection) => connection,
        Err(error) => return tell(Event::Closed { session, reason: error.to_string() }).await,
    };
    let _ = handle.set(connection.handle());
    tell(Event::Connected { session }).await;
    let reason = loop {
        tokio::select! {
            received = connection.recv() => match received {
                Ok(Some(message)) => tell(Event::Said { session, message }).await,
                Ok(None) => break "the client closed the connection".to_owned(),
                Err(error) => break error.to_string(),
            },
            message = messages.recv() => {
                // What was queued before is still sent; the connection closes with the session.
                let Some(message) = message else { return };
                if let Err(error) = connection.send(&message).await {
                    break error.to_string();
                }
            }
        }
    };
    tell(Event::Closed { session, reason }).await;
}
