//! One client: asks it for work while slots are free, works on what it grants, reports.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

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
    renewals::Renewals,
    slots::{Slots, Unused},
    work::{Failed, Lease, Proved, Workshop},
};

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
    let po2_max = hello.capability.po2_max;
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
    renewals: Renewals,
    /// How far the task is, in thousandths.
    done_permille: Arc<AtomicU32>,
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
        // The limit is on segments to prove; joins of larger ones are welcome.
        let proves_segment = matches!(grant.task.kind(), TaskKind::Prove | TaskKind::Lift);
        let fits = !proves_segment || grant.po2 <= self.po2_max;
        let taken = match fits && !self.running.contains_key(&epoch) {
            true => self.workshop.slot_for(&self.slots, grant.task.kind(), grant.po2),
            false => None,
        };
        let (slot, profile) = match taken {
            Some(taken) => taken,
            // Another client was quicker, or this one asks for more than this node has.
            None => {
                self.declined_at = Some(self.slots.free());
                return self.connection.send(&NodeMessage::Decline { epoch }).await;
            }
        };
        tracing::info!(job = %format_args!("{:#}", self.job), task = %grant.task, %profile, "proving");
        let term = Duration::from_millis(grant.renew_within.0);
        let renewals = Renewals::new(term, tokio::time::Instant::now());
        let done_permille = Arc::new(AtomicU32::new(0));
        let lease = Lease {
            grant,
            profile,
            client: self.connection.handle(),
            client_addr: self.client.clone(),
            done_permille: done_permille.clone(),
        };
        let work = self.workshop.clone().prove(slot, lease, self.holding.clone());
        let task = self.tasks.spawn(work);
        self.running.insert(epoch, Running { task, renewals, done_permille });
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), SessionError> {
        let now = tokio::time::Instant::now();
        for (&epoch, running) in &mut self.running {
            let done_permille = running.done_permille.load(Ordering::Relaxed);
            if running.renewals.take_due(now, done_permille) {
                self.connection.send(&NodeMessage::Renew { epoch, done_permille }).await?;
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
