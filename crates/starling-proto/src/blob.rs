//! Asking for a blob, and the head of the answer.

use prost::Message as _;
use starling_types::Reference;

use crate::{
    error::{DecodeError, FieldError, FieldProblem},
    field,
    limits::{BLOB_MESSAGE_SIZE_BYTES_MAX, BLOB_SIZE_BYTES_MAX},
    message::{Message, decode_as},
    wire,
};

/// A request for the bytes of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRequest {
    /// The blob.
    pub reference: Reference,
}

/// What precedes the bytes of a blob, or stands in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobHeader {
    /// The bytes follow.
    Found {
        /// How many there are.
        size_bytes: u64,
    },
    /// The peer does not have the blob.
    Absent,
    /// The peer does not serve the blob.
    Refused,
    /// The peer serves too many others to do so soon. To be asked again later.
    Busy,
}

impl Message for BlobRequest {
    const NAME: &'static str = "BlobRequest";
    const SIZE_BYTES_MAX: usize = BLOB_MESSAGE_SIZE_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        let reference = self.reference.0.into();
        wire::BlobRequest { reference }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_as(bytes, |wire: wire::BlobRequest| {
            Ok(Self { reference: field::reference("reference", &wire.reference)? })
        })
    }
}

impl Message for BlobHeader {
    const NAME: &'static str = "BlobHeader";
    const SIZE_BYTES_MAX: usize = BLOB_MESSAGE_SIZE_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        let (status, size_bytes) = match *self {
            Self::Found { size_bytes } => (wire::BlobStatus::Found, size_bytes),
            Self::Absent => (wire::BlobStatus::Absent, 0),
            Self::Refused => (wire::BlobStatus::Refused, 0),
            Self::Busy => (wire::BlobStatus::Busy, 0),
        };
        wire::BlobHeader { status: status.into(), size_bytes }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_as(bytes, |wire: wire::BlobHeader| match wire::BlobStatus::try_from(wire.status) {
            Ok(wire::BlobStatus::Found) => {
                let size_bytes =
                    field::in_range("size_bytes", wire.size_bytes, 0, BLOB_SIZE_BYTES_MAX)?;
                Ok(Self::Found { size_bytes })
            }
            Ok(wire::BlobStatus::Absent) => Ok(Self::Absent),
            Ok(wire::BlobStatus::Refused) => Ok(Self::Refused),
            Ok(wire::BlobStatus::Busy) => Ok(Self::Busy),
            Ok(wire::BlobStatus::Unspecified) | Err(_) => {
                Err(FieldError::new("status", FieldProblem::Unknown { value: wire.status }))
            }
        })
    }
}
