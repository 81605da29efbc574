//! One source's try at delivering a blob: pieces are read off the network, and go to the store one by one.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use iroh::endpoint::{Connection, RecvStream};
use n0_future::time::{Instant, timeout};
use starling_blobs::{Blobs, Incoming, Pin, ReceiveError, StoreError};
use starling_proto::{BlobHeader, BlobRequest};
use starling_types::BlobRef;
use thiserror::Error;

use super::{Source, pace::Pace};
use crate::{
    blocking::blocking,
    dial::ConnectError,
    frame::{self, FrameError, FrameReader, ProtocolError},
    limits::{BLOB_CHUNK_SIZE_BYTES, BLOB_IDLE_TIMEOUT, BLOB_MESSAGE_TIMEOUT, transfer_time_max},
    pool::Pool,
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
    /// It serves too many others now. It is asked again for a while before this is said.
    #[error("is busy")]
    Busy,
    /// It has a blob of that name and another size. Either it or whoever told the size is wrong.
    #[error("has {actual_bytes} bytes where {expected_bytes} are expected")]
    WrongSize {
        /// What was expected.
        expected_bytes: u64,
        /// What the source says.
        actual_bytes: u64,
    },
    /// It answered with something that is not an answer.
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

pub(super) struct Attempt<'a> {
    pub blobs: &'a Arc<dyn Blobs>,
    pub pool: &'a Pool,
    pub blob: BlobRef,
    pub source: &'a Source,
    /// What the transfer may take, where that is less than any may.
    pub limit: Option<Duration>,
}

impl Attempt<'_> {
    /// Fetches the blob from this source, from its first byte to its last.
    pub async fn run(&self) -> Result<Pin, SourceError> {
        let allowed = transfer_time_max(self.blob.size_bytes);
        let allowed = self.limit.map_or(allowed, |limit| limit.min(allowed));
        let received = timeout(allowed, self.receive()).await;
        let incoming = received.map_err(|_| SourceError::Stalled)??;
        store(move || incoming.finish()).await
    }

    /// All that the source sends, in the store, but neither checked nor kept yet.
    async fn receive(&self) -> Result<Incoming, SourceError> {
        let connection = self.connect().await?;
        let request = BlobRequest { reference: self.blob.reference };
        let asked = timeout(BLOB_MESSAGE_TIMEOUT, ask(&connection, request)).await;
        let (header, mut stream, rest) = asked.map_err(|_| SourceError::Stalled)??;
        self.check(header)?;
        let (blobs, blob) = (self.blobs.clone(), self.blob);
        let mut incoming = store(move || Ok(blobs.receive(blob)?)).await?;
        let (mut piece, mut pace) = (BytesMut::from(rest), Pace::default());
        loop {
            // One byte more than are missing: it is what tells of a blob that is too long.
            let missing_bytes = usize::try_from(incoming.missing_bytes()).unwrap_or(usize::MAX);
            let enough_bytes = missing_bytes.saturating_add(1).min(BLOB_CHUNK_SIZE_BYTES);
            let has_ended = fill(&mut piece, enough_bytes, &mut stream, &mut pace).await?;
            let bytes = piece.split().freeze();
            incoming = store(move || incoming.write(&bytes).map(|()| incoming)).await?;
            if has_ended {
                return Ok(incoming);
            }
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
            BlobHeader::Busy => Err(SourceError::Busy),
        }
    }
}

/// The answer to `request`: its header, the stream behind it, and what was read of that already.
async fn ask(
    connection: &Connection,
    request: BlobRequest,
) -> Result<(BlobHeader, RecvStream, Bytes), SourceError> {
    let (mut send, recv) = connection.open_bi().await.map_err(broken)?;
    let request = frame::encode(&request).expect("a request is a reference, and below every limit");
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

/// Reads until `piece` has `enough_bytes`, or the stream has ended, which is what it says.
async fn fill(
    piece: &mut BytesMut,
    enough_bytes: usize,
    stream: &mut RecvStream,
    pace: &mut Pace,
) -> Result<bool, SourceError> {
    while piece.len() < enough_bytes {
        let since = Instant::now();
        let read = timeout(BLOB_IDLE_TIMEOUT, stream.read_chunk(BLOB_CHUNK_SIZE_BYTES)).await;
        match read.map_err(|_| SourceError::Stalled)?.map_err(broken)? {
            Some(bytes) if pace.keeps_up(since.elapsed(), bytes.len()) => {
                piece.extend_from_slice(&bytes);
            }
            Some(_) => return Err(SourceError::Stalled),
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// Does something with the store.
async fn store<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReceiveError> + Send + 'static,
) -> Result<T, SourceError> {
    let done = blocking(work).await;
    let done = done.map_err(|error| broken(format!("storing it failed: {error}")))?;
    done.map_err(|error| match error {
        ReceiveError::Store(error) => SourceError::Store(error),
        ReceiveError::WrongBytes { .. } | ReceiveError::TooLong { .. } => SourceError::WrongBytes,
        ReceiveError::Incomplete { .. } => broken("the stream ended early"),
    })
}
