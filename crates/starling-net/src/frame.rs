//! Messages on a stream: each preceded by its size, a little-endian u32 that is checked before
//! anything is read for it.
//!
//! `tokio_util`'s `LengthDelimitedCodec` would not do: it makes room for a whole frame as soon as a peer has said its
//! size, where here memory grows with what arrives; and its errors tell neither the size nor why a stream ended.

use bytes::{Buf, Bytes, BytesMut};
use iroh::endpoint::{ReadError, RecvStream};
use starling_proto::{DecodeError, Message};
use thiserror::Error;

const SIZE_PREFIX_BYTES: usize = size_of::<u32>();

/// The most that is taken from the stream at once.
const READ_SIZE_BYTES: usize = 64 * 1024;

/// Bytes on a stream that are not what the protocol asks for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A message is too large or wrong.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stream ended within a message.
    #[error("the stream ended within a message, after {received_bytes} bytes of it")]
    Truncated {
        /// What came of the message, its size prefix included.
        received_bytes: usize,
    },
}

/// Why there is no next message.
#[derive(Debug)]
pub(crate) enum FrameError {
    Protocol(ProtocolError),
    Read(ReadError),
}

/// The bytes of `message` with their size before them.
///
/// # Errors
/// When no peer would accept the message.
pub(crate) fn encode<M: Message>(message: &M) -> Result<Bytes, DecodeError> {
    let body = message.encode();
    if body.len() > M::SIZE_BYTES_MAX {
        return Err(too_large::<M>(body.len()));
    }
    let size = u32::try_from(body.len()).expect("every limit of a message is far below 4 GiB");
    Ok([&size.to_le_bytes()[..], &body].concat().into())
}

fn too_large<M: Message>(size_bytes: usize) -> DecodeError {
    DecodeError::TooLarge { message: M::NAME, size_bytes, size_bytes_max: M::SIZE_BYTES_MAX }
}

/// Takes messages off a stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    stream: RecvStream,
    /// What has been read and not returned: at most one message and [`READ_SIZE_BYTES`].
    buffer: BytesMut,
}

impl FrameReader {
    pub fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    /// The next message, or `None` when the stream has ended behind the last. Nothing is lost when the
    /// future is dropped early.
    pub async fn next<M: Message>(&mut self) -> Result<Option<M>, FrameError> {
        loop {
            if let Some(body) = take_frame::<M>(&mut self.buffer).map_err(FrameError::protocol)? {
                return M::decode(&body).map(Some).map_err(FrameError::protocol);
            }
            match self.stream.read_chunk(READ_SIZE_BYTES).await.map_err(FrameError::Read)? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    let received_bytes = self.buffer.len();
                    return Err(FrameError::protocol(ProtocolError::Truncated { received_bytes }));
                }
            }
        }
    }

    /// The stream, and what was already read of it beyond the last message.
    pub fn into_parts(self) -> (RecvStream, Bytes) {
        (self.stream, self.buffer.freeze())
    }
}

impl FrameError {
    fn protocol(error: impl Into<ProtocolError>) -> Self {
        Self::Protocol(error.into())
    }
}

fn take_frame<M: Message>(buffer: &mut BytesMut) -> Result<Option<Bytes>, DecodeError> {
    let Some(prefix) = buffer.first_chunk::<SIZE_PREFIX_BYTES>() else { return Ok(None) };
    let size_bytes = u32::from_le_bytes(*prefix) as usize;
    if size_bytes > M::SIZE_BYTES_MAX {
        return Err(too_large::<M>(size_bytes));
    }
    if buffer.len() < SIZE_PREFIX_BYTES + size_bytes {
        return Ok(None);
    }
    buffer.advance(SIZE_PREFIX_BYTES);
    Ok(Some(buffer.split_to(size_bytes).freeze()))
}
