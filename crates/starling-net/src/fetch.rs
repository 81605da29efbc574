//! Getting a blob from a peer that has it: source after source, until one has sent all of it.
//!
//! Nobody is believed. The size is agreed on before the first byte, and the whole is hashed before it is
//! stored. All of it comes from one source, so it is certain who sent wrong bytes, and that peer is named.

mod attempt;
mod flight;
mod pace;

use std::{sync::Arc, time::Duration};

use iroh::endpoint::Connection;
use n0_future::time::{Instant, sleep};
use starling_blobs::{Blobs, Pin, StoreError};
use starling_proto::{PeerAddr, limits::BLOB_SIZE_BYTES_MAX};
use starling_types::{BlobRef, NodeId};
use thiserror::Error;

pub use self::attempt::SourceError;
use self::{attempt::Attempt, flight::Flights};
use crate::{
    blocking::blocking,
    dial::Dialer,
    limits::{
        BUSY_PATIENCE, BUSY_PAUSE, FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX,
        FLIGHT_BYTES_PER_SECOND, FLIGHT_PATIENCE_MAX, FLIGHT_PATIENCE_MIN, SOURCE_COUNT_MAX,
    },
    places::Places,
    pool::Pool,
    session::SessionHandle,
    turns::{Shares, Turn, Turns},
};

/// A peer that may have a blob.
#[derive(Debug, Clone)]
pub struct Source {
    /// The peer.
    pub peer: PeerAddr,
    /// A job connection to it, to be used rather than a new one: the only way to a peer behind a NAT.
    pub via: Option<SessionHandle>,
}

impl Source {
    /// A peer to be dialed.
    pub fn peer(peer: PeerAddr) -> Self {
        Self { peer, via: None }
    }

    /// A peer that a job connection leads to; dialed at `peer` only when that is closed.
    pub fn via(peer: PeerAddr, connection: SessionHandle) -> Self {
        Self { peer, via: Some(connection) }
    }
}

/// How a blob came to be in the store.
#[derive(Debug)]
pub struct FetchReport {
    /// Keeps the blob in the store.
    pub pin: Pin,
    /// Who delivered it; `None` when it was here already.
    pub from: Option<NodeId>,
    /// Sources that sent wrong bytes before.
    pub liars: Vec<NodeId>,
    /// The place of the transfer, where there was one: no other transfer has it as long as this is kept. So a caller that keeps it
    /// until it has dealt with the blob fetches no faster than that.
    pub turn: Option<Turn>,
}

/// Why a blob did not come.
#[derive(Debug, Error)]
pub enum FetchError {
    /// This machine could not store it: no space, most likely.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is larger than any blob may be.
    #[error("blob {:#} of {} bytes is larger than the {BLOB_SIZE_BYTES_MAX} bytes allowed", .blob.reference, .blob.size_bytes)]
    TooLarge {
        /// The blob.
        blob: BlobRef,
    },
    /// No source delivered it, and this one sent bytes that are not the blob.
    #[error("peer {peer:#} sent bytes that are not blob {:#}", .blob.reference)]
    WrongBytes {
        /// The liar; the first, if there were several.
        peer: NodeId,
        /// The blob.
        blob: BlobRef,
    },
    /// No source delivered it.
    #[error("blob {:#} is not to be had: {}", .blob.reference, describe(.failures))]
    Unavailable {
        /// The blob.
        blob: BlobRef,
        /// What each source said, in the order of the sources.
        failures: Vec<SourceFailure>,
    },
}

impl FetchError {
    /// Whether the source that was named last had no turn for this process, all the time that it was asked: that is nobody's
    /// failure. The word of the others hides nothing that is wrong with the last, who gave the work.
    pub fn is_busy(&self, last: NodeId) -> bool {
        let Self::Unavailable { failures, .. } = self else { return false };
        let mut of_last = failures.iter().filter(|failure| failure.peer == last);
        of_last.any(|failure| matches!(failure.error, SourceError::Busy))
    }
}

/// What became of one source.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source.
    pub peer: NodeId,
    /// Why it did not deliver.
    pub error: SourceError,
}

fn describe(failures: &[SourceFailure]) -> String {
    if failures.is_empty() {
        return "nobody is known to have it".to_owned();
    }
    let said = failures.iter().map(|SourceFailure { peer, error }| format!("{peer:#}: {error}"));
    said.collect::<Vec<_>>().join("; ")
}

/// Fetches blobs into one store.
#[derive(Debug)]
pub(crate) struct Fetcher {
    blobs: Arc<dyn Blobs>,
    pool: Pool,
    flights: Flights,
    nodes: Places<Connection>,
    turns: Turns,
}

impl Fetcher {
    /// `nodes` are the job connections of the process.
    pub fn new(dialer: Arc<Dialer>, blobs: Arc<dyn Blobs>, nodes: Places<Connection>) -> Self {
        let (pool, flights) = (Pool::new(dialer), Flights::default());
        let turns = Turns::new(Shares::new(FETCH_COUNT_MAX, FETCH_COUNT_PER_PEER_MAX));
        Self { blobs, pool, flights, nodes, turns }
    }

    pub async fn fetch(
        &self,
        blob: BlobRef,
        sources: &[Source],
        limit: Option<Duration>,
    ) -> Result<FetchReport, FetchError> {
        if blob.size_bytes > BLOB_SIZE_BYTES_MAX {
            return Err(FetchError::TooLarge { blob });
        }
        if let Some(pin) = self.find(blob).await? {
            return Ok(already_here(pin));
        }
        let flight = self.flights.board(blob.reference, flight_patience(blob)).await;
        loop {
            // From before the look on, so that nothing is missed.
            let landed = flight.landed();
            if let Some(pin) = self.find(blob).await? {
                return Ok(already_here(pin));
            }
            tokio::select! {
                fetched = self.try_sources(blob, sources, limit) => {
                    if fetched.is_ok() {
                        flight.land();
                    }
                    return fetched;
                }
                // It is here, unless it went at once.
                () = landed => {}
            }
        }
    }

    async fn try_sources(
        &self,
        blob: BlobRef,
        sources: &[Source],
        limit: Option<Duration>,
    ) -> Result<FetchReport, FetchError> {
        let mut failures = Vec::new();
        let mut left: Vec<&Source> = sources.iter().take(SOURCE_COUNT_MAX).collect();
        let began = Instant::now();
        // What sources had of the limit that said that they were busy: who says so without end has no longer than others.
        let mut spent = Duration::ZERO;
        while !left.is_empty() {
            let mut busy = Vec::new();
            for source in left {
                let peer = source.peer.node_id;
                let turn = self.turns.take(self.nodes.whose_result(peer)).await;
                let limit = limit.map(|limit| limit.saturating_sub(spent));
                let attempt = Attempt { blobs: &self.blobs, pool: &self.pool, blob, source, limit };
                let tried_at = Instant::now();
                match attempt.run().await {
                    Ok(pin) => {
                        let liars = liars(&failures);
                        return Ok(FetchReport { pin, from: Some(peer), liars, turn: Some(turn) });
                    }
                    // No other source helps against a full disk.
                    Err(SourceError::Store(error)) => return Err(error.into()),
                    Err(SourceError::Busy) if began.elapsed() < BUSY_PATIENCE => {
                        spent += tried_at.elapsed();
                        busy.push(source);
                    }
                    Err(error) => {
                        tracing::debug!(peer = %format_args!("{peer:#}"), blob = %format_args!("{:#}", blob.reference), %error, "source failed");
                        failures.push(SourceFailure { peer, error });
                    }
                }
            }
            if !busy.is_empty() {
                sleep(BUSY_PAUSE).await;
                spent += BUSY_PAUSE;
            }
            left = busy;
        }
        match liars(&failures).first() {
            Some(&peer) => Err(FetchError::WrongBytes { peer, blob }),
            None => Err(FetchError::Unavailable { blob, failures }),
        }
    }

    /// The blob, if it is here and sound, which takes reading it.
    async fn find(&self, blob: BlobRef) -> Result<Option<Pin>, StoreError> {
        let blobs = self.blobs.clone();
        let found = blocking(move || blobs.pin(blob.reference)).await;
        // A look that died found nothing.
        Ok(found.unwrap_or(Ok(None))?.filter(|pin| pin.blob() == blob))
    }
}

/// How long a caller that asks for a blob waits for another fetch of it.
fn flight_patience(blob: BlobRef) -> Duration {
    let usual = Duration::from_secs(blob.size_bytes / FLIGHT_BYTES_PER_SECOND);
    (FLIGHT_PATIENCE_MIN + usual).min(FLIGHT_PATIENCE_MAX)
}

fn already_here(pin: Pin) -> FetchReport {
    FetchReport { pin, from: None, liars: Vec::new(), turn: None }
}

fn liars(failures: &[SourceFailure]) -> Vec<NodeId> {
    let lied = |failure: &&SourceFailure| matches!(failure.error, SourceError::WrongBytes);
    failures.iter().filter(lied).map(|failure| failure.peer).collect()
}
