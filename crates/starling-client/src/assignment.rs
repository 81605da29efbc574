//! What a client tells a node that it has started, on one line of the node's stdin: whom to prove for, under which key, and who
//! else may come.
//!
//! None of it is in the node's arguments or its environment. Every user of a machine can read the arguments of all processes,
//! and a ticket is all that it takes to find a client. The key is the client's to make, so that it knows its nodes before they
//! come.

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, ErrorKind},
};

use serde::{Deserialize, Serialize};
use starling_proto::Ticket;
use starling_types::NodeId;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The longest line: a ticket, and the ids of 1,024 nodes, which are 67 bytes each.
const LINE_SIZE_BYTES_MAX: u64 = 128 << 10;

/// What a node is told that a client has started.
#[derive(Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The client to prove for.
    pub client: Ticket,
    /// The secret key that the client knows the node by.
    pub secret_key: [u8; 32],
    /// The only peers that may reach the node; anybody when `None`.
    pub only: Option<BTreeSet<NodeId>>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Line {
    client: String,
    secret_key: String,
    only: Option<BTreeSet<NodeId>>,
}

impl Assignment {
    /// The line, with its end.
    pub(crate) fn to_line(&self) -> String {
        let Self { client, secret_key, only } = self;
        let (client, secret_key) = (client.to_string(), hex::encode(secret_key));
        let line = Line { client, secret_key, only: only.clone() };
        let json = serde_json::to_string(&line).expect("two texts and a list of texts are JSON");
        json + "\n"
    }

    /// Reads the line. What follows it is left.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] when there is no whole line, [`ErrorKind::InvalidData`] when it is no assignment, and what
    /// the operating system says.
    pub async fn read(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        let mut line = String::new();
        input.take(LINE_SIZE_BYTES_MAX).read_line(&mut line).await?;
        if !line.ends_with('\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Self::parse(&line).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn parse(line: &str) -> Option<Self> {
        let Line { client, secret_key, only } = serde_json::from_str(line).ok()?;
        let mut key = [0; 32];
        hex::decode_to_slice(secret_key, &mut key).ok()?;
        Some(Self { client: client.parse().ok()?, secret_key: key, only })
    }
}

impl fmt::Debug for Assignment {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = self.client.0.node_id;
        f.debug_struct("Assignment").field("client", &client).field("only", &self.only).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use starling_proto::PeerAddr;

    use super::*;

    fn assignment(count: u32) -> Assignment {
        let id = |index: u32| {
            let mut id = [0xff; 32];
            id[..4].copy_from_slice(&index.to_be_bytes());
            NodeId(id)
        };
        let client = PeerAddr { direct: vec![], ..PeerAddr::new(NodeId([1; 32])) };
        let only = Some((0..count).map(id).collect());
        Assignment { client: Ticket(client), secret_key: [0xab; 32], only }
    }

    #[tokio::test]
    async fn an_assignment_is_read_as_it_was_written_and_what_follows_is_left() {
        for open in [false, true] {
            let mut given = assignment(1024);
            given.only = given.only.filter(|_| !open);
            let text = given.to_line() + "more";
            let mut input = text.as_bytes();
            assert_eq!(Assignment::read(&mut input).await.unwrap(), given);
            assert_eq!(input, b"more");
        }
    }

    #[tokio::test]
    async fn half_a_line_one_without_an_end_and_one_that_is_no_assignment_are_refused() {
        let whole = assignment(1).to_line();
        let (endless, short_key) = ("a".repeat(1 << 20), whole.replace("abab", "ab"));
        let cases = [
            ("", ErrorKind::UnexpectedEof),
            (&whole[..whole.len() - 1], ErrorKind::UnexpectedEof),
            (endless.as_str(), ErrorKind::UnexpectedEof),
            ("{}\n", ErrorKind::InvalidData),
            (short_key.as_str(), ErrorKind::InvalidData),
        ];
        for (line, kind) in cases {
            let error = Assignment::read(&mut line.as_bytes()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{:.80}", line);
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let shown = format!("{:?}", assignment(1));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }
}
