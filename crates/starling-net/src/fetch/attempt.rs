//! One source's try at delivering a blob: the network on this side, the disk in a thread of its own.

use std::time::Duration;

use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, VarInt};
use n0_future::time::timeout;
use starling_proto::{BlobHeader, BlobRequest};
use starling_store::{BlobStore, Pin, ReceiveError, StoreError};
use starling_types::BlobRef;
use thiserror::Error;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use super::Source;
use crate::{
    close,
    frame::{self, FrameError, FrameReader, ProtocolError},
    limits::{
        BLOB_BYTES_PER_SECOND_MIN, BLOB_CHUNK_QUEUE_COUNT_MAX, BLOB_CHUNK_SIZE_BYTES,
        BLOB_IDLE_TIMEOUT, BLOB_MESSAGE_TIMEOUT,
    },
    pool::{ConnectError, Pool},
};

/// Why a source did not deliver.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It does not have the blob.
    #[error("does not have it")]
    Absent,
    /// It does not serve the blob.
    #[error("refuses to serve it")]
    Refused,
    /// It has a blob of that name and another size. Either it or whoever told the size is wrong.
    #[error("has {actual_bytes} bytes where {expected_bytes} are expected")]
    WrongSize {
        /// What was expected.
        expected_bytes: u64,
        /// What the source says.
        actual_bytes: u64,
    },
    /// It answered with something that is no answer.
    #[error("broke the protocol: {0}")]
    Protocol(ProtocolError),
    /// The connection broke before the end.
    #[error("broke off: {reason}")]
    Broken {
        /// What the transport says.
        reason: String,
    },
    /// It was too slow.
    #[error("stalled")]
    Stalled,
    /// It sent bytes that are not the blob.
    #[error("sent bytes that are not the blob")]
    WrongBytes,
    /// This machine could not store the blob.
    #[error(transparent)]
    Store(StoreError),
}

/// What goes to the thread that writes.
enum Piece {
    Bytes(Bytes),
    /// All has come: check and store it.
    End,
}

pub(super) struct Attempt<'a> {
    pub blobs: &'a BlobStore,
    pub pool: &'a Pool,
    pub blob: BlobRef,
    pub source: &'a Source,
    /// What the transfer may take, where that is less than any may.
    pub limit: Option<Duration>,
}

impl Attempt<'_> {
    /// Fetches the blob from this source, from its first byte to its last.
    pub async fn run(&self) -> Result<Pin, SourceError> {
        let (pieces, received) = mpsc::channel(BLOB_CHUNK_QUEUE_COUNT_MAX);
        let (blobs, blob) = (self.blobs.clone(), self.blob);
        let writer = spawn_blocking(move || store(&blobs, blob, received));
        let transferred = self.transfer(&pieces).await;
        drop(pieces);
        // The writer's word comes first: when it stops, the transfer only notices that.
        let stored = finish(writer).await?;
        transferred?;
        stored.ok_or_else(|| broken("given up"))
    }

    async fn transfer(&self, pieces: &mpsc::Sender<Piece>) -> Result<(), SourceError> {
        let allowed = Duration::from_secs(self.blob.size_bytes / BLOB_BYTES_PER_SECOND_MIN);
        let allowed = BLOB_IDLE_TIMEOUT * 2 + allowed;
        let allowed = self.limit.map_or(allowed, |limit| limit.min(allowed));
        timeout(allowed, self.receive(pieces)).await.map_err(|_| SourceError::Stalled)??;
        // The writer is gone only when it has failed.
        let _ = pieces.send(Piece::End).await;
        Ok(())
    }

    async fn receive(&self, pieces: &mpsc::Sender<Piece>) -> Result<(), SourceError> {
        let connection = self.connect().await?;
        let request = BlobRequest { reference: self.blob.reference };
        let asked = timeout(BLOB_MESSAGE_TIMEOUT, ask(&connection, request)).await;
        let (header, mut stream, mut chunk) = asked.map_err(|_| SourceError::Stalled)??;
        self.check(header)?;
        loop {
            // One send too many at the end is what tells the writer of bytes beyond the size.
            if !chunk.is_empty() && pieces.send(Piece::Bytes(chunk)).await.is_err() {
                let _ = stream.stop(VarInt::from_u32(close::PROTOCOL));
                return Ok(());
            }
            let read = timeout(BLOB_IDLE_TIMEOUT, stream.read_chunk(BLOB_CHUNK_SIZE_BYTES)).await;
            chunk = match read.map_err(|_| SourceError::Stalled)?.map_err(broken)? {
                Some(bytes) => bytes,
                None => return Ok(()),
            };
        }
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        match &self.source.via {
            Some(via) if !via.is_closed() => Ok(via.connection().clone()),
            _ => self.pool.connect(&self.source.peer).await,
        }
    }

    fn check(&self, header: BlobHeader) -> Result<(), SourceError> {
        let expected_bytes = self.blob.size_bytes;
        match header {
            BlobHeader::Found { size_bytes } if size_bytes == expected_bytes => Ok(()),
            BlobHeader::Found { size_bytes } => {
                Err(SourceError::WrongSize { expected_bytes, actual_bytes: size_bytes })
            }
            BlobHeader::Absent => Err(SourceError::Absent),
            BlobHeader::Refused => Err(SourceError::Refused),
        }
    }
}

/// The answer to `request`: its header, the stream behind it, and what was read of that already.
async fn ask(
    connection: &Connection,
    request: BlobRequest,
) -> Result<(BlobHeader, RecvStream, Bytes), SourceError> {
    let (mut send, recv) = connection.open_bi().await.map_err(broken)?;
    let request = frame::encode(&request).expect("a request is a few bytes");
    send.write_all(&request).await.map_err(broken)?;
    // Nothing more comes from here; an error would show in the answer too.
    let _ = send.finish();
    let mut frames = FrameReader::new(recv);
    match frames.next().await {
        Ok(Some(header)) => {
            let (stream, rest) = frames.into_parts();
            Ok((header, stream, rest))
        }
        Ok(None) => Err(broken("no answer")),
        Err(FrameError::Protocol(error)) => Err(SourceError::Protocol(error)),
        Err(FrameError::Read(error)) => Err(broken(error)),
    }
}

fn broken(error: impl ToString) -> SourceError {
    SourceError::Broken { reason: error.to_string() }
}

/// Writes what is received; blocks. `None` when the transfer was given up.
fn store(
    blobs: &BlobStore,
    blob: BlobRef,
    mut received: mpsc::Receiver<Piece>,
) -> Result<Option<Pin>, ReceiveError> {
    let mut incoming = blobs.receive(blob)?;
    while let Some(piece) = received.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => incoming.write(&bytes)?,
            Piece::End => return incoming.finish().map(Some),
        }
    }
    Ok(None)
}

async fn finish(
    writer: JoinHandle<Result<Option<Pin>, ReceiveError>>,
) -> Result<Option<Pin>, SourceError> {
    let stored = writer.await.map_err(|error| broken(format!("storing it failed: {error}")))?;
    stored.map_err(|error| match error {
        ReceiveError::Store(error) => SourceError::Store(error),
        ReceiveError::WrongBytes { .. } | ReceiveError::TooLong { .. } => SourceError::WrongBytes,
        ReceiveError::Incomplete { .. } => broken("the stream ended early"),
    })
}
