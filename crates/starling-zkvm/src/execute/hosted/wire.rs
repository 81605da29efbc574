//! What RISC Zero's client and a server that executes for it say to each other: those messages of `protos/api.proto` in its
//! crate that are used here. A `oneof` there is several optional fields here.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
};

use prost::Message;

/// The most bytes of a message: what a host's environment holds comes in one.
const MESSAGE_BYTES_MAX: u32 = 1 << 30;

/// Writes a message, its size before it.
pub(super) fn send(to: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let size = u32::try_from(message.encoded_len()).map_err(io::Error::other)?;
    let mut bytes = size.to_le_bytes().to_vec();
    message.encode(&mut bytes).map_err(io::Error::other)?;
    to.write_all(&bytes)
}

/// Reads a message.
pub(super) fn receive<T: Message + Default>(from: &mut impl Read) -> io::Result<T> {
    let mut size = [0; 4];
    from.read_exact(&mut size)?;
    let size = u32::from_le_bytes(size);
    if size > MESSAGE_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {size} bytes")));
    }
    let mut bytes = Vec::new();
    if from.take(size.into()).read_to_end(&mut bytes)? < size as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    T::decode(bytes.as_slice()).map_err(io::Error::other)
}

/// The first message of either side, and what it says.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Hello {
    #[prost(message, optional, tag = "1")]
    pub version: Option<Version>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HelloReply {
    #[prost(message, optional, tag = "1")]
    pub ok: Option<Hello>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Version {
    #[prost(uint64, tag = "1")]
    pub major: u64,
    #[prost(uint64, tag = "2")]
    pub minor: u64,
    #[prost(uint64, tag = "3")]
    pub patch: u64,
    #[prost(string, tag = "4")]
    pub pre: String,
    #[prost(string, tag = "5")]
    pub build: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(message, optional, tag = "1")]
    pub execute: Option<Execute>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Execute {
    #[prost(message, optional, tag = "1")]
    pub env: Option<Environment>,
}

/// What a host program gave its guest.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Environment {
    #[prost(map = "string, string", tag = "2")]
    pub env_vars: HashMap<String, String>,
    #[prost(string, repeated, tag = "3")]
    pub slice_ios: Vec<String>,
    #[prost(uint32, repeated, tag = "4")]
    pub read_fds: Vec<u32>,
    #[prost(uint32, repeated, tag = "5")]
    pub write_fds: Vec<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub segment_limit_po2: Option<u32>,
    #[prost(uint64, optional, tag = "7")]
    pub session_limit: Option<u64>,
    #[prost(string, repeated, tag = "8")]
    pub args: Vec<String>,
    #[prost(message, optional, tag = "9")]
    pub trace_events: Option<Empty>,
    #[prost(string, tag = "10")]
    pub pprof_out: String,
    #[prost(message, repeated, tag = "11")]
    pub assumptions: Vec<Assumption>,
    #[prost(uint32, optional, tag = "14")]
    pub keccak_max_po2: Option<u32>,
    #[prost(bytes = "vec", tag = "15")]
    pub povw_job_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Assumption {
    #[prost(message, optional, tag = "1")]
    pub proven: Option<Asset>,
}

/// Bytes: those of an [`InnerReceipt`].
#[derive(Clone, PartialEq, Message)]
pub(super) struct Asset {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub inline: Option<Vec<u8>>,
}

/// A receipt, if it is a succinct one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct InnerReceipt {
    #[prost(message, optional, tag = "2")]
    pub succinct: Option<Succinct>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Succinct {
    #[prost(bytes = "vec", tag = "2")]
    pub seal: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub control_id: Option<Words>,
    #[prost(message, optional, tag = "4")]
    pub claim: Option<Claim>,
    #[prost(message, optional, tag = "5")]
    pub inclusion: Option<Inclusion>,
    #[prost(string, tag = "6")]
    pub hashfn: String,
    #[prost(message, optional, tag = "7")]
    pub verifier_parameters: Option<Words>,
}

/// A digest.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Words {
    #[prost(uint32, repeated, tag = "1")]
    pub words: Vec<u32>,
}

/// The claim of what a guest may assume, which is always pruned.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Claim {
    #[prost(message, optional, tag = "2")]
    pub pruned: Option<Words>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Inclusion {
    #[prost(uint32, tag = "1")]
    pub index: u32,
    #[prost(message, repeated, tag = "2")]
    pub digests: Vec<Words>,
}

/// What the server wants of the client, or why it ended.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Reply {
    #[prost(message, optional, tag = "1")]
    pub ok: Option<Callback>,
    #[prost(message, optional, tag = "2")]
    pub error: Option<Failure>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Failure {
    #[prost(string, tag = "1")]
    pub reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Callback {
    #[prost(message, optional, tag = "1")]
    pub io: Option<Io>,
    #[prost(message, optional, tag = "3")]
    pub done: Option<Done>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Io {
    #[prost(message, optional, tag = "1")]
    pub file: Option<FileIo>,
    #[prost(message, optional, tag = "2")]
    pub channel: Option<ChannelIo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileIo {
    #[prost(uint32, tag = "1")]
    pub fd: u32,
    #[prost(message, optional, tag = "2")]
    pub command: Option<Command>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Command {
    #[prost(uint32, optional, tag = "1")]
    pub read: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub write: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ChannelIo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub from_guest: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct IoReply {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub ok: Option<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    pub error: Option<Failure>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Done {
    #[prost(message, optional, tag = "1")]
    pub session: Option<Session>,
}

/// What the client is told in the end, and nobody looks at.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Session {
    #[prost(message, optional, tag = "3")]
    pub exit_code: Option<ExitCode>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExitCode {
    #[prost(uint32, optional, tag = "1")]
    pub halted: Option<u32>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_published_protocol() {
        let command = Command { read: Some(0), write: None };
        let file = FileIo { fd: 3, command: Some(command) };
        let io = Io { file: Some(file), channel: None };
        let reply = Reply { ok: Some(Callback { io: Some(io), done: None }), error: None };
        let mut bytes = Vec::new();
        send(&mut bytes, &reply).unwrap();
        let fields = [0x0a, 10, 0x0a, 8, 0x0a, 6, 0x08, 3, 0x12, 2, 0x08, 0];
        assert_eq!(bytes, [&12_u32.to_le_bytes()[..], &fields].concat());
        assert_eq!(receive::<Reply>(&mut bytes.as_slice()).unwrap(), reply);
    }

    #[test]
    fn a_message_that_is_too_large_or_cut_off_is_an_error() {
        assert!(receive::<Reply>(&mut u32::MAX.to_le_bytes().as_slice()).is_err());
        assert!(receive::<Reply>(&mut [9, 0, 0, 0, 1].as_slice()).is_err());
        assert!(receive::<Reply>(&mut [1, 0, 0, 0, 0xff].as_slice()).is_err());
    }
}
