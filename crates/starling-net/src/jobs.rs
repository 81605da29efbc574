//! Job connections, from both ends: a node dials and speaks first, a client accepts. Both may ask
//! for blobs over further streams.

use iroh::{
    endpoint::Connection,
    protocol::{AcceptError, ProtocolHandler},
};
use n0_future::time::timeout;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    close,
    limits::HANDSHAKE_TIMEOUT,
    places::{Place, Places, Who},
    serve::{BlobServer, Came},
    session::{ClientSession, Session, SessionHandle},
};

/// What every job connection needs of its process.
#[derive(Debug, Clone)]
pub(crate) struct JobContext {
    pub server: BlobServer,
    /// The tasks that write control messages; [`crate::Net::close`] waits for them.
    pub writers: TaskTracker,
    pub closing: CancellationToken,
}

/// Turns incoming job connections into sessions.
#[derive(Debug)]
pub(crate) struct JobAcceptor {
    context: JobContext,
    accepted: mpsc::Sender<ClientSession>,
    places: Places<Connection>,
}

impl JobAcceptor {
    pub fn new(
        context: JobContext,
        accepted: mpsc::Sender<ClientSession>,
        places: Places<Connection>,
    ) -> Self {
        Self { context, accepted, places }
    }

    /// Hands the connection's session to the client, if it wants one; says why not otherwise.
    async fn admit(
        &self,
        connection: &Connection,
        place: &Place<Connection>,
    ) -> Result<(), &'static str> {
        let control = timeout(HANDSHAKE_TIMEOUT, connection.accept_bi()).await;
        let control = control
            .map_err(|_| "you have opened no control stream")?
            // Closed already: nobody hears the reason.
            .map_err(|_| "")?;
        let JobContext { writers, closing, .. } = &self.context;
        let handle = SessionHandle::accepted(connection.clone(), place.merit());
        let session = Session::new(handle, control, writers, closing.clone());
        // A session that is not handed over ends here, being dropped.
        let handed_over = timeout(HANDSHAKE_TIMEOUT, self.accepted.send(session)).await;
        handed_over.map_err(|_| "this peer accepts no nodes now")?.map_err(|_| "shutting down")
    }
}

impl ProtocolHandler for JobAcceptor {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let who = Who::of(&connection);
        let Ok((place, left)) = self.places.enter(who, connection.clone()) else {
            close::close(&connection, close::BUSY, "too many nodes already; try later");
            return Ok(());
        };
        if let Some(left) = left {
            close::close(&left, close::BUSY, "others wait for your place; come back later");
        }
        match self.admit(&connection, &place).await {
            Ok(()) => self.context.server.serve(&connection, Came::ForWork).await,
            Err(reason) => close::close(&connection, close::BUSY, reason),
        }
        Ok(())
    }
}
