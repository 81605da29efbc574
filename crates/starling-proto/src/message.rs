//! What all messages have in common: native on both ends, protobuf in between, never over its limit.

use crate::error::{DecodeError, FieldError};

/// A message of the wire. What [`decode`](Self::decode) returns was checked field by field.
pub trait Message: Sized {
    /// The message's name in errors.
    const NAME: &'static str;

    /// The largest message that is decoded, in bytes.
    const SIZE_BYTES_MAX: usize;

    /// The bytes of the message. Texts are cleaned and cut to what a peer accepts.
    fn encode(&self) -> Vec<u8>;

    /// The message in `bytes`.
    ///
    /// # Errors
    /// When `bytes` are too many, no protobuf, or a field is missing, too long or out of range. The
    /// error says which.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// Decodes protobuf within the limit of `M`, then checks it with `read`.
pub(crate) fn decode_as<M: Message, W: prost::Message + Default>(
    bytes: &[u8],
    read: impl FnOnce(W) -> Result<M, FieldError>,
) -> Result<M, DecodeError> {
    decode_within(M::NAME, M::SIZE_BYTES_MAX, bytes, read)
}

/// Decodes at most `size_bytes_max` bytes of protobuf, then checks them with `read`.
pub(crate) fn decode_within<T, W: prost::Message + Default>(
    message: &'static str,
    size_bytes_max: usize,
    bytes: &[u8],
    read: impl FnOnce(W) -> Result<T, FieldError>,
) -> Result<T, DecodeError> {
    if bytes.len() > size_bytes_max {
        let size_bytes = bytes.len();
        return Err(DecodeError::TooLarge { message, size_bytes, size_bytes_max });
    }
    let wire = W::decode(bytes).map_err(|source| DecodeError::Malformed { message, source })?;
    read(wire).map_err(|error| error.of(message))
}
