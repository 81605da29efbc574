//! Tickets: a peer's address as one word that people copy, paste and sometimes mistype.
//!
//! `starling` + base32 of: a version byte, the protobuf of the address, four bytes of checksum.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD_NOCASE;
use prost::Message as _;
use sha3::{Digest, Keccak256};
use thiserror::Error;

use crate::{PeerAddr, error::DecodeError, limits::TICKET_SIZE_BYTES_MAX, message::decode_within};

/// What every ticket begins with, so that people and programs know one when they see it.
const PREFIX: &str = "starling";

/// The format of what follows the prefix.
const VERSION: u8 = 1;

/// One mistyped ticket in four billion passes; it then names a peer that does not answer.
const CHECKSUM_SIZE_BYTES: usize = 4;

/// Where to reach a peer, as text: `Display` and `FromStr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(pub PeerAddr);

/// A text that is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseTicketError {
    /// It does not begin like one.
    #[error("{text:?} is not a ticket: a ticket begins with \"{PREFIX}\"")]
    NoTicket {
        /// The text as given, cut.
        text: String,
    },
    /// It is far too long.
    #[error("the ticket has {size_bytes} characters, at most {TICKET_SIZE_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        size_bytes: usize,
    },
    /// A character that no ticket has.
    #[error(
        "the ticket has {character:?} at position {position}, which no ticket contains; copy it again"
    )]
    BadCharacter {
        /// The character.
        character: char,
        /// Where it is, counted from 1.
        position: usize,
    },
    /// The checksum is wrong, or the ticket is cut off.
    #[error("the ticket is mistyped or incomplete: its checksum is wrong; copy it again, whole")]
    BadChecksum,
    /// It comes from another version of the program.
    #[error(
        "the ticket is of version {version}, this program knows version {VERSION}; update the older of the two programs"
    )]
    UnknownVersion {
        /// Its version.
        version: u8,
    },
    /// It is well-formed, but not an address.
    #[error("the ticket holds no usable address: {0}")]
    Decode(#[from] DecodeError),
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend(self.0.to_wire().encode_to_vec());
        bytes.extend(checksum(&bytes));
        write!(f, "{PREFIX}{}", BASE32_NOPAD_NOCASE.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        let text = text.trim();
        if text.len() > TICKET_SIZE_BYTES_MAX {
            return Err(ParseTicketError::TooLong { size_bytes: text.len() });
        }
        let encoded = strip_prefix(text)
            .ok_or_else(|| ParseTicketError::NoTicket { text: text.chars().take(80).collect() })?;
        if let Some((index, character)) =
            text.char_indices().find(|(_, c)| !matches!(c, 'a'..='z' | 'A'..='Z' | '2'..='7'))
        {
            return Err(ParseTicketError::BadCharacter { character, position: index + 1 });
        }
        // Of the right characters, base32 refuses only a length that no ticket has.
        let bytes = BASE32_NOPAD_NOCASE
            .decode(encoded.as_bytes())
            .map_err(|_| ParseTicketError::BadChecksum)?;
        let (checked, sum) = bytes.split_last_chunk().ok_or(ParseTicketError::BadChecksum)?;
        if *sum != checksum(checked) {
            return Err(ParseTicketError::BadChecksum);
        }
        match checked.split_first() {
            Some((&VERSION, addr)) => Ok(Self(decode_addr(addr)?)),
            Some((&version, _)) => Err(ParseTicketError::UnknownVersion { version }),
            None => Err(ParseTicketError::BadChecksum),
        }
    }
}

fn strip_prefix(text: &str) -> Option<&str> {
    let (prefix, rest) = text.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

fn decode_addr(bytes: &[u8]) -> Result<PeerAddr, DecodeError> {
    decode_within("Ticket", TICKET_SIZE_BYTES_MAX, bytes, |addr| PeerAddr::from_wire(&addr))
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_SIZE_BYTES] {
    let digest = Keccak256::digest(bytes);
    *digest.first_chunk().expect("a digest has 32 bytes")
}
