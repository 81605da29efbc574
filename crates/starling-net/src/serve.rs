//! Handing out blobs: one request a stream, answered from the store, slowly if the peer is slow, but
//! never for ever. Who would have to wait for long is told so at once, and asks elsewhere or again.

use std::{io::Read as _, sync::Arc};

use bytes::Bytes;
use iroh::{
    endpoint::{Connection, RecvStream, SendStream, VarInt},
    protocol::{AcceptError, ProtocolHandler},
};
use n0_future::{task::JoinSet, time::timeout};
use starling_blobs::{Blobs, ReadBlob, StoreError};
use starling_proto::{BlobHeader, BlobRequest, limits::BLOB_SIZE_BYTES_MAX};
use thiserror::Error;
use tracing::debug;

use crate::{
    blocking::blocking,
    close,
    frame::{self, FrameError, FrameReader, ProtocolError},
    limits::{
        BLOB_CHUNK_SIZE_BYTES, BLOB_CONNECTION_COUNT_MAX, BLOB_IDLE_TIMEOUT, BLOB_MESSAGE_TIMEOUT,
        BLOB_STREAM_COUNT_MAX, SERVE_COUNT_MAX, SERVE_COUNT_PER_PEER_MAX, SERVE_WAIT_MAX,
        transfer_time_max,
    },
    places::{Merit, Places, Who},
    turns::{Shares, Turns, Whose},
};

/// Serves blobs of one store, on connections of either protocol.
#[derive(Debug, Clone)]
pub(crate) struct BlobServer {
    blobs: Arc<dyn Blobs>,
    places: Places<Connection>,
    /// The places of nodes: they say who works.
    nodes: Places<Connection>,
    turns: Turns,
}

/// How a connection came about on which blobs are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Came<'a> {
    /// This process has dialed the peer, to work for it.
    Dialed,
    /// The peer has dialed this process, to work for it.
    ForWork,
    /// The peer has dialed this process for blobs. Each request keeps it its place.
    ForBlobs(&'a Merit<Connection>),
}

/// Why a request was not answered in full. Only logged: the asker goes elsewhere.
#[derive(Debug, Error)]
enum ServeError {
    #[error("the request did not arrive in time")]
    NoRequest,
    #[error("the peer stopped reading")]
    Stalled,
    #[error("the request is wrong: {0}")]
    Protocol(ProtocolError),
    #[error("the stream broke: {0}")]
    Stream(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read a blob: {0}")]
    Read(#[from] std::io::Error),
}

impl BlobServer {
    pub fn new(blobs: Arc<dyn Blobs>, nodes: Places<Connection>) -> Self {
        let places = Places::new(BLOB_CONNECTION_COUNT_MAX);
        let turns = Turns::new(Shares::new(SERVE_COUNT_MAX, SERVE_COUNT_PER_PEER_MAX));
        Self { blobs, places, nodes, turns }
    }

    /// Serves every stream that the peer opens on `connection`, until it is closed.
    pub async fn serve(&self, connection: &Connection, came: Came<'_>) {
        let mut streams = JoinSet::new();
        let who = Who::of(connection);
        loop {
            // Not accepting is what makes the peer wait: it may open only so many streams.
            while streams.len() >= BLOB_STREAM_COUNT_MAX {
                streams.join_next().await;
            }
            let accepted = tokio::select! {
                accepted = connection.accept_bi() => accepted,
                Some(_) = streams.join_next() => continue,
            };
            let Ok((send, recv)) = accepted else { return };
            if let Came::ForBlobs(merit) = came {
                merit.works();
            }
            let server = self.clone();
            let (peer, is_chosen) = (who.peer, matches!(came, Came::Dialed));
            streams.spawn(async move {
                let whose = || match is_chosen {
                    true => Whose::chosen(peer),
                    false => server.nodes.whose(who),
                };
                if let Err(error) = server.answer(whose, send, recv).await {
                    debug!(peer = %format_args!("{peer:#}"), %error, "blob not served");
                }
            });
        }
    }

    async fn answer(
        &self,
        whose: impl Fn() -> Whose,
        mut send: SendStream,
        recv: RecvStream,
    ) -> Result<(), ServeError> {
        let answered = self.try_answer(whose, &mut send, recv).await;
        // A stream that is only dropped would end as if all had been sent.
        match answered {
            Ok(()) => drop(send.finish()),
            Err(_) => drop(send.reset(VarInt::from_u32(close::PROTOCOL))),
        }
        answered
    }

    async fn try_answer(
        &self,
        whose: impl Fn() -> Whose,
        send: &mut SendStream,
        recv: RecvStream,
    ) -> Result<(), ServeError> {
        let mut frames = FrameReader::new(recv);
        let request = timeout(BLOB_MESSAGE_TIMEOUT, frames.next::<BlobRequest>());
        let request = match request.await.map_err(|_| ServeError::NoRequest)? {
            Ok(Some(request)) => request,
            Ok(None) => return Err(ServeError::NoRequest),
            Err(FrameError::Protocol(error)) => return Err(ServeError::Protocol(error)),
            Err(FrameError::Read(error)) => return Err(ServeError::Stream(error.to_string())),
        };
        // Looked at now: the peer may have got a lease since it connected.
        let Some(_turn) = self.turns.take_within(whose(), SERVE_WAIT_MAX).await else {
            return write(send, &encoded(BlobHeader::Busy)).await;
        };
        let (header, blob) = self.look_up(request).await?;
        write(send, &encoded(header)).await?;
        match blob {
            Some(blob) => {
                // Who reads a little now and then holds its place no longer than an honest reader of a bad link.
                let time = transfer_time_max(blob.pin().size_bytes);
                timeout(time, copy(blob, send)).await.map_err(|_| ServeError::Stalled)?
            }
            None => Ok(()),
        }
    }

    /// What to answer, and the blob, which is sound: a damaged one is absent.
    async fn look_up(
        &self,
        request: BlobRequest,
    ) -> Result<(BlobHeader, Option<Box<dyn ReadBlob>>), ServeError> {
        let blobs = self.blobs.clone();
        let look_up = move || {
            let Some(blob) = blobs.open(request.reference)? else {
                return Ok((BlobHeader::Absent, None));
            };
            let size_bytes = blob.pin().size_bytes;
            if size_bytes > BLOB_SIZE_BYTES_MAX {
                return Ok((BlobHeader::Refused, None));
            }
            Ok((BlobHeader::Found { size_bytes }, Some(blob)))
        };
        blocking(look_up).await?
    }
}

fn encoded(header: BlobHeader) -> Bytes {
    frame::encode(&header).expect("a status and a number are below every limit")
}

/// Sends what `blob` holds.
async fn copy(mut blob: Box<dyn ReadBlob>, send: &mut SendStream) -> Result<(), ServeError> {
    loop {
        let read = move || {
            let mut chunk = Vec::with_capacity(BLOB_CHUNK_SIZE_BYTES);
            blob.by_ref().take(BLOB_CHUNK_SIZE_BYTES as u64).read_to_end(&mut chunk)?;
            Ok::<_, std::io::Error>((blob, chunk))
        };
        let chunk;
        (blob, chunk) = blocking(read).await??;
        if chunk.is_empty() {
            return Ok(());
        }
        write(send, &chunk).await?;
    }
}

async fn write(send: &mut SendStream, bytes: &[u8]) -> Result<(), ServeError> {
    let written = timeout(BLOB_IDLE_TIMEOUT, send.write_all(bytes)).await;
    written.map_err(|_| ServeError::Stalled)?.map_err(|error| ServeError::Stream(error.to_string()))
}

impl ProtocolHandler for BlobServer {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let Ok((place, left)) = self.places.enter(Who::of(&connection), connection.clone()) else {
            close::close(&connection, close::BUSY, "too many blob connections; try later");
            return Ok(());
        };
        if let Some(left) = left {
            close::close(&left, close::BUSY, "others wait for your place; come back later");
        }
        self.serve(&connection, Came::ForBlobs(&place.merit())).await;
        Ok(())
    }
}
