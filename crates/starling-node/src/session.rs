//! One client: asks it for work while slots are free, works on what it grants, reports.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use starling_net::{ConnectError, SessionError};
use starling_proto::{ClientMessage, Done, Failure, Grant, Hello, NodeMessage, PeerAddr};
use starling_types::{Epoch, JobId, Po2, TaskKind};
use thiserror::Error;
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    holdings::Holding,
    slots::{Slots, Unused},
    work::{Failed, Proved, Workshop},
};

/// A lease is renewed this many times within the time that it must be renewed in, so that a lost or
/// late renewal or two cost nothing.
const RENEWALS_PER_TERM: u32 = 4;

/// How often renewals are looked at: the shortest term that is kept with certainty is four of these.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a client may take to answer the greeting.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a session with a client ended.
#[derive(Debug, Error)]
pub enum SessionEnd {
    /// The client could not be reached.
    #[error("can't reach the client: {0}")]
    Unreachable(#[from] ConnectError),
    /// The connection broke, or the client broke the protocol.
    #[error(transparent)]
    Broken(#[from] SessionError),
    /// The client did not greet back.
    #[error("the client did not answer the greeting within {} s", WELCOME_TIMEOUT.as_secs())]
    NoWelcome,
    /// The client has no more work for this node.
    #[error("the client said goodbye: {reason}")]
    Goodbye {
        /// The client's words.
        reason: String,
    },
    /// The client closed the connection.
    #[error("the client closed the connection")]
    Closed,
    /// This node is being stopped.
    #[error("this node was stopped")]
    Stopped,
}

/// Serves the client at `client` until it has no more work, is gone, or `stop` is called.
pub(crate) async fn serve(
    workshop: Arc<Workshop>,
    slots: Slots,
    hello: Hello,
    client: PeerAddr,
    stop: CancellationToken,
) -> SessionEnd {
    let greeted = tokio::select! {
        () = stop.cancelled() => return SessionEnd::Stopped,
        greeted = greet(workshop, slots, hello, client) => greeted,
    };
    match greeted {
        Ok(mut session) => session.run(&stop).await.unwrap_or_else(SessionEnd::from),
        Err(end) => end,
    }
}

/// Connects to the client and introduces this node.
async fn greet(
    workshop: Arc<Workshop>,
    slots: Slots,
    hello: Hello,
    client: PeerAddr,
) -> Result<Session, SessionEnd> {
    let mut connection = workshop.net.connect_job(&client).await?;
    let po2_max = hello.po2_max;
    connection.send(&NodeMessage::Hello(hello)).await?;
    let job = match tokio::time::timeout(WELCOME_TIMEOUT, connection.recv()).await {
        Ok(Ok(Some(ClientMessage::Welcome(welcome)))) => welcome.job,
        Ok(Ok(Some(ClientMessage::Goodbye { reason }))) => {
            return Err(SessionEnd::Goodbye { reason });
        }
        Ok(Ok(_)) => return Err(SessionEnd::Closed),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(SessionEnd::NoWelcome),
    };
    tracing::info!(job = %format_args!("{job:#}"), client = %format_args!("{:#}", client.node_id), "serving a job");
    Ok(Session {
        holding: workshop.holdings.session(),
        workshop,
        slots,
        client,
        connection,
        job,
        po2_max,
        declined_at: None,
        asked: false,
        running: BTreeMap::new(),
        tasks: JoinSet::new(),
    })
}

struct Session {
    workshop: Arc<Workshop>,
    holding: Arc<Holding>,
    slots: Slots,
    client: PeerAddr,
    connection: starling_net::NodeSession,
    job: JobId,
    po2_max: Po2,
    /// What was free when a lease was declined last, if nothing has changed since.
    declined_at: Option<Unused>,
    /// Whether the client has a request of ours that it has not answered.
    asked: bool,
    running: BTreeMap<Epoch, Running>,
    tasks: JoinSet<Result<Proved, Failed>>,
}

/// A lease being worked on.
struct Running {
    task: AbortHandle,
    renew_every: Duration,
    renewed_at: tokio::time::Instant,
}

impl Session {
    async fn run(&mut self, stop: &CancellationToken) -> Result<SessionEnd, SessionError> {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Asked here and not only when woken: a wake-up between two waits would be missed.
            self.ask_for_work().await?;
            tokio::select! {
                () = stop.cancelled() => {
                    self.connection.send(&NodeMessage::Leaving { reason: "stopped".into() }).await?;
                    return Ok(SessionEnd::Stopped);
                }
                message = self.connection.recv() => match message? {
                    Some(message) => {
                        if let Some(end) = self.handle(message).await? {
                            return Ok(end);
                        }
                    }
                    None => return Ok(SessionEnd::Closed),
                },
                Some(finished) = self.tasks.join_next_with_id() => self.report(finished).await?,
                _ = heartbeat.tick() => self.renew().await?,
            }
        }
    }

    async fn ask_for_work(&mut self) -> Result<(), SessionError> {
        let free = self.slots.free();
        // Asking again with no more to offer would be answered with what was just declined.
        if self.declined_at.is_some_and(|declined| declined != free) {
            self.declined_at = None;
        }
        if !self.asked && free.slots > 0 && self.declined_at.is_none() {
            self.connection.send(&NodeMessage::WorkRequested).await?;
            self.asked = true;
        }
        Ok(())
    }

    async fn handle(&mut self, message: ClientMessage) -> Result<Option<SessionEnd>, SessionError> {
        match message {
            ClientMessage::Grant(grant) => {
                self.asked = false;
                self.take(grant).await?;
            }
            ClientMessage::Revoke { epoch, reason } => {
                if let Some(running) = self.running.remove(&epoch) {
                    tracing::info!(job = %format_args!("{:#}", self.job), %epoch, reason, "lease revoked");
                    running.task.abort();
                }
            }
            ClientMessage::Verdict { epoch, accepted: false, reason } => {
                tracing::warn!(job = %format_args!("{:#}", self.job), %epoch, reason, "result refused");
            }
            ClientMessage::Verdict { epoch, .. } => {
                tracing::debug!(job = %format_args!("{:#}", self.job), %epoch, "result accepted");
            }
            ClientMessage::Goodbye { reason } => return Ok(Some(SessionEnd::Goodbye { reason })),
            ClientMessage::Welcome(_) => {}
        }
        Ok(None)
    }

    async fn take(&mut self, grant: Grant) -> Result<(), SessionError> {
        let epoch = grant.epoch;
        let memory = self.workshop.costs.memory(grant.task.kind(), Some(grant.po2));
        // The limit is on segments to prove; joins of larger ones are welcome.
        let proves_segment = matches!(grant.task.kind(), TaskKind::Prove | TaskKind::Lift);
        let fits = !proves_segment || grant.po2 <= self.po2_max;
        let taken = match fits && !self.running.contains_key(&epoch) {
            true => self.slots.try_take(memory),
            false => None,
        };
        let slot = match taken {
            Some(slot) => slot,
            // Another client was quicker, or this one asks for more than this node has.
            None => {
                self.declined_at = Some(self.slots.free());
                return self.connection.send(&NodeMessage::Decline { epoch }).await;
            }
        };
        tracing::info!(job = %format_args!("{:#}", self.job), task = %grant.task, "proving");
        let renew_every = Duration::from_millis(grant.renew_within.0) / RENEWALS_PER_TERM;
        let work = self.workshop.clone().prove(
            slot,
            grant,
            self.connection.handle(),
            self.client.clone(),
            self.holding.clone(),
        );
        let task = self.tasks.spawn(work);
        let renewed_at = tokio::time::Instant::now();
        self.running.insert(epoch, Running { task, renew_every, renewed_at });
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), SessionError> {
        let now = tokio::time::Instant::now();
        for (&epoch, running) in &mut self.running {
            if now.duration_since(running.renewed_at) >= running.renew_every {
                running.renewed_at = now;
                self.connection.send(&NodeMessage::Renew { epoch }).await?;
            }
        }
        Ok(())
    }

    async fn report(
        &mut self,
        finished: Result<(Id, Result<Proved, Failed>), JoinError>,
    ) -> Result<(), SessionError> {
        let (id, outcome) = match finished {
            Ok((id, outcome)) => (id, outcome),
            // A revoked lease is no longer listed, and nobody waits for its report.
            Err(error) => (error.id(), Err(Failed::panicked(&error))),
        };
        let Some(epoch) = self.epoch_of(id) else { return Ok(()) };
        self.running.remove(&epoch);
        let message = match outcome {
            Ok(proved) => {
                tracing::info!(job = %format_args!("{:#}", self.job), %epoch, seconds = proved.elapsed.as_secs(), "proved");
                NodeMessage::Done(Done {
                    epoch,
                    result: proved.result,
                    prove_ms: proved.elapsed.as_millis() as u64,
                    peak_memory: proved.peak_memory,
                })
            }
            Err(Failed { class, message }) => {
                tracing::warn!(job = %format_args!("{:#}", self.job), %epoch, message, "task failed");
                NodeMessage::Failed(Failure { epoch, class, message })
            }
        };
        self.connection.send(&message).await
    }

    fn epoch_of(&self, id: Id) -> Option<Epoch> {
        self.running.iter().find(|(_, running)| running.task.id() == id).map(|(&epoch, _)| epoch)
    }
}
