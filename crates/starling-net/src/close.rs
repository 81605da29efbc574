//! Why connections are closed: the codes of the wire, and what a peer's code means here.

use iroh::endpoint::{Connection, ConnectionError, VarInt};

/// Everything was said.
pub(crate) const DONE: u32 = 0;
/// The other side broke the protocol; the reason says how.
pub(crate) const PROTOCOL: u32 = 1;
/// There are too many connections already.
pub(crate) const BUSY: u32 = 2;
/// The other side has stopped reading or answering.
pub(crate) const STALLED: u32 = 3;
/// This process has a list of its peers, and the other side is not on it.
pub(crate) const NOT_FOR_YOU: u32 = 4;

/// A close frame must fit into one packet.
const REASON_SIZE_BYTES_MAX: usize = 512;

/// Closes `connection` with a reason for the peer's log.
pub(crate) fn close(connection: &Connection, code: u32, reason: &str) {
    // Closing it once more would hide what the peer said when it closed it.
    if connection.close_reason().is_some() {
        return;
    }
    let end = reason.floor_char_boundary(REASON_SIZE_BYTES_MAX);
    connection.close(VarInt::from_u32(code), &reason.as_bytes()[..end]);
}

/// How a connection came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should, by the peer.
    Done,
    /// By this side.
    Here,
    /// By the peer, which complains.
    Refused(String),
    /// By neither.
    Lost(String),
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close)
                if close.error_code == VarInt::from_u32(DONE) =>
            {
                Self::Done
            }
            ConnectionError::ApplicationClosed(close) => {
                // A stranger's words: no control characters, and quoted on display.
                let reason = String::from_utf8_lossy(&close.reason);
                let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
                Self::Refused(reason)
            }
            ConnectionError::LocallyClosed => Self::Here,
            error => Self::Lost(error.to_string()),
        }
    }
}
