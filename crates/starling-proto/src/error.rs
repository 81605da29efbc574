//! Why bytes from a peer were refused: always the message, the field and the value that is wrong.

use thiserror::Error;

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The message was not looked at: it is too large.
    #[error("{message} of {size_bytes} bytes exceeds the limit of {size_bytes_max} bytes")]
    TooLarge {
        /// The message expected.
        message: &'static str,
        /// What there is.
        size_bytes: usize,
        /// What is allowed.
        size_bytes_max: usize,
    },
    /// The bytes are not protobuf of this schema.
    #[error("{message} is malformed: {source}")]
    Malformed {
        /// The message expected.
        message: &'static str,
        /// What the protobuf decoder says.
        source: prost::DecodeError,
    },
    /// A field holds what it must not.
    #[error("{message}.{field} {problem}")]
    Field {
        /// The message expected.
        message: &'static str,
        /// The path of the field within it: `grant.inputs[1].blob`.
        field: String,
        /// What is wrong with the field.
        problem: FieldProblem,
    },
}

/// What is wrong with a field of a message. Reads on behind the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldProblem {
    /// Nothing is there, or only something that this version does not know.
    #[error("is missing or of a kind that this version does not know")]
    Missing,
    /// Bytes of the wrong number.
    #[error("has {actual} bytes where {expected} are expected")]
    Size {
        /// What there is.
        actual: usize,
        /// What there must be.
        expected: usize,
    },
    /// A text that is too long.
    #[error("has {size_bytes} bytes, at most {size_bytes_max} are allowed")]
    TooLong {
        /// What there is.
        size_bytes: usize,
        /// What is allowed.
        size_bytes_max: usize,
    },
    /// A list that is too long.
    #[error("has {count} entries, at most {count_max} are allowed")]
    TooMany {
        /// What there is.
        count: usize,
        /// What is allowed.
        count_max: usize,
    },
    /// A list without an entry.
    #[error("is empty")]
    Empty,
    /// A number out of its range.
    #[error("is {value}, expected {min} to {max}")]
    OutOfRange {
        /// The number.
        value: u64,
        /// The smallest that is allowed.
        min: u64,
        /// The largest that is allowed.
        max: u64,
    },
    /// An enum value of no known meaning.
    #[error("is {value}, which this version does not know")]
    Unknown {
        /// The value.
        value: i32,
    },
    /// A task that is about nothing.
    #[error("is about nothing: {start}..{end}")]
    EmptyRange {
        /// The first index.
        start: u32,
        /// The one after the last.
        end: u32,
    },
    /// Bytes that are not an ed25519 public key.
    #[error("is not an ed25519 public key")]
    NotAKey,
    /// A text that is not an IP address and port.
    #[error("is {text:?}, expected IP:PORT")]
    NotAnAddr {
        /// The text, cleaned.
        text: String,
    },
    /// A text that is not the URL of a relay.
    #[error("is {text:?}, expected an http or https URL")]
    NotARelayUrl {
        /// The text, cleaned.
        text: String,
    },
}

/// A refused field before its message is known. Built from the inside out.
#[derive(Debug)]
pub(crate) struct FieldError {
    path: String,
    problem: FieldProblem,
}

impl FieldError {
    pub fn new(field: impl Into<String>, problem: FieldProblem) -> Self {
        Self { path: field.into(), problem }
    }

    /// The same error, seen from the message that holds `outer`.
    pub fn within(mut self, outer: impl std::fmt::Display) -> Self {
        self.path = format!("{outer}.{}", self.path);
        self
    }

    pub fn of(self, message: &'static str) -> DecodeError {
        DecodeError::Field { message, field: self.path, problem: self.problem }
    }
}
