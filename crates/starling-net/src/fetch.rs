//! Getting a blob from whoever has it: source after source, each going on where the one before stopped.
//!
//! Nobody is believed. The size is agreed on before the first byte, and the whole is hashed before it is
//! stored. Who sent wrong bytes all by itself is named; after a start of somebody else's that cannot
//! be said, so the same source gets a second try from the first byte.

mod attempt;
mod flight;

use starling_proto::{PeerAddr, limits::BLOB_SIZE_BYTES_MAX};
use starling_store::{BlobStore, StoreError};
use starling_types::{BlobRef, NodeId};
use thiserror::Error;
use tokio::sync::Semaphore;

pub use self::attempt::SourceError;
use self::{attempt::Attempt, flight::Flights};
use crate::{
    limits::{FETCH_COUNT_MAX, SOURCE_COUNT_MAX},
    pool::Pool,
    session::JobHandle,
};

/// A peer that may have a blob.
#[derive(Debug, Clone)]
pub struct Source {
    /// The peer.
    pub peer: PeerAddr,
    /// A job connection to it, to be used rather than a new one: the only way to a peer behind a NAT.
    pub via: Option<JobHandle>,
}

impl Source {
    /// A peer to be dialed.
    pub fn peer(peer: PeerAddr) -> Self {
        Self { peer, via: None }
    }

    /// A peer that a job connection leads to; dialed at `peer` only when that is closed.
    pub fn via(peer: PeerAddr, connection: JobHandle) -> Self {
        Self { peer, via: Some(connection) }
    }
}

/// How a blob came to be in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchReport {
    /// Who delivered the last byte; `None` when the blob was here already.
    pub from: Option<NodeId>,
    /// How many bytes came over the network from that source.
    pub received_bytes: u64,
    /// Sources that sent wrong bytes before: theirs alone, and certain.
    pub liars: Vec<NodeId>,
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
    /// No source delivered it, and this one sent bytes that are not the blob, by itself.
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
    blobs: BlobStore,
    pool: Pool,
    flights: Flights,
    running: Semaphore,
}

impl Fetcher {
    pub fn new(endpoint: iroh::Endpoint, blobs: BlobStore) -> Self {
        let running = Semaphore::new(FETCH_COUNT_MAX);
        Self { blobs, pool: Pool::new(endpoint), flights: Flights::default(), running }
    }

    pub async fn fetch(
        &self,
        blob: BlobRef,
        sources: &[Source],
    ) -> Result<FetchReport, FetchError> {
        if blob.size_bytes > BLOB_SIZE_BYTES_MAX {
            return Err(FetchError::TooLarge { blob });
        }
        if self.blobs.blob(blob.reference) == Some(blob) {
            return Ok(already_here());
        }
        // Whoever comes second waits here, and then finds the blob stored.
        let flight = self.flights.board(blob.reference).await;
        if self.blobs.blob(blob.reference) == Some(blob) {
            return Ok(already_here());
        }
        let _permit = self.running.acquire().await.expect("the semaphore is never closed");
        let mut failures = Vec::new();
        for source in sources.iter().take(SOURCE_COUNT_MAX) {
            let attempt = Attempt { blobs: &self.blobs, pool: &self.pool, blob, source };
            let mut outcome = attempt.run(flight.clone()).await;
            if matches!(outcome, Err(SourceError::MixedBytes)) {
                outcome = attempt.run(flight.clone()).await;
            }
            let peer = source.peer.node_id;
            match outcome {
                Ok(received_bytes) => {
                    let liars = liars(&failures);
                    return Ok(FetchReport { from: Some(peer), received_bytes, liars });
                }
                // No other source helps against a full disk.
                Err(SourceError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(peer = %format_args!("{peer:#}"), blob = %format_args!("{:#}", blob.reference), %error, "source failed");
                    failures.push(SourceFailure { peer, error });
                }
            }
        }
        match liars(&failures).first() {
            Some(&peer) => Err(FetchError::WrongBytes { peer, blob }),
            None => Err(FetchError::Unavailable { blob, failures }),
        }
    }
}

fn already_here() -> FetchReport {
    FetchReport { from: None, received_bytes: 0, liars: Vec::new() }
}

fn liars(failures: &[SourceFailure]) -> Vec<NodeId> {
    let lied = |failure: &&SourceFailure| matches!(failure.error, SourceError::WrongBytes);
    failures.iter().filter(lied).map(|failure| failure.peer).collect()
}
