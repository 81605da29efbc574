//! Fixed-width ids, printed as lower-case hex: `Display` is whole, `{:#}` is short enough for a log line. In JSON they
//! are that hex too, and nothing else is read.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// Hex digits that `{:#}` prints of an id: enough to tell the ids of one job apart by eye.
const SHORT_HEX_DIGITS: usize = 8;

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a {kind}: expected {hex_digits} hex digits, got {actual}")]
pub struct ParseIdError {
    /// What was expected, in words.
    pub kind: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// The number of hex digits that the id has.
    pub hex_digits: usize,
    /// What the text has instead: its length, or where it stops being hex.
    pub actual: String,
}

/// Bytes of a fixed number that are hex in text, with everything but `Debug`.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $size:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $size]);

        impl $name {
            /// The size of the id in bytes.
            pub const SIZE_BYTES: usize = $size;

            /// The id held by `bytes`, or `None` when their count is not [`Self::SIZE_BYTES`].
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes of the id.
            pub fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = hex::encode(self.0);
                f.write_str(if f.alternate() { &digits[..SHORT_HEX_DIGITS] } else { &digits })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let mut bytes = [0; $size];
                hex::decode_to_slice(digits, &mut bytes).map_err(|error| ParseIdError {
                    kind: $kind,
                    text: text.chars().take(80).collect(),
                    hex_digits: 2 * $size,
                    actual: match error {
                        hex::FromHexError::InvalidHexCharacter { c, index } => {
                            format!("{c:?} at digit {index}")
                        }
                        _ => format!("{} digits", digits.len()),
                    },
                })?;
                Ok(Self(bytes))
            }
        }
    };
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $size:literal, $kind:literal) => {
        hex_bytes! { $(#[$doc])* $name, $size, $kind }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:#})", stringify!($name), self)
            }
        }
    };
}

hex_id! {
    /// The Swarm reference of a blob: the address of its root chunk, which is a keccak256 digest.
    Reference, 32, "Swarm reference"
}

hex_id! {
    /// The name of a job. It is derived from what the job asks for, so that the same request finds
    /// the same job again.
    JobId, 16, "job id"
}

hex_id! {
    /// The ed25519 public key that a client or a node proves to hold when it connects.
    NodeId, 32, "node id"
}

hex_id! {
    /// The name of a work log: an Ethereum address, for which verifiable work (PoVW) is counted.
    WorkLogId, 20, "work log id"
}

hex_id! {
    /// What a guest is called that the zkVM runs: the digest of its memory at the start.
    ImageId, 32, "image id"
}

hex_id! {
    /// The digest of what a receipt claims.
    ClaimDigest, 32, "claim digest"
}

hex_id! {
    /// One run of a host program, drawn at random: no two are known to be the same.
    HostRunId, 16, "id of a host's run"
}

hex_bytes! {
    /// What all the randomness of a job's execution is drawn from: secret, since what a guest is given as random follows from
    /// it. It is kept with the job and said to nobody.
    JobSeed, 32, "job's seed"
}

impl fmt::Debug for JobSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobSeed(secret)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_id_prints_whole_or_short_and_parses_back() {
        let id = JobId(*b"0123456789abcdef");
        assert_eq!(id.to_string(), "30313233343536373839616263646566");
        assert_eq!(format!("{id:#}"), "30313233");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("0x{id}").parse(), Ok(id));
    }

    #[test]
    fn a_seed_is_hex_in_the_log_and_hidden_where_things_are_debugged() {
        let seed = JobSeed([0xab; 32]);
        assert_eq!(serde_json::to_string(&seed).unwrap(), format!("\"{}\"", "ab".repeat(32)));
        assert!(!format!("{seed:?}").contains("ab"));
    }

    #[test]
    fn an_id_is_hex_in_json_and_nothing_else_is_read() {
        let id = JobId(*b"0123456789abcdef");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, r#""30313233343536373839616263646566""#);
        assert_eq!(serde_json::from_str::<JobId>(&json).unwrap(), id);
        let bytes = serde_json::to_string(&id.0).unwrap();
        assert!(serde_json::from_str::<JobId>(&bytes).is_err(), "{bytes}");
        assert!(serde_json::from_str::<JobId>(r#""3031""#).is_err());
    }

    #[test]
    fn a_bad_id_is_refused_with_what_is_wrong_in_it() {
        let short = "abcd".parse::<Reference>().unwrap_err();
        assert_eq!(
            short.to_string(),
            r#""abcd" is not a Swarm reference: expected 64 hex digits, got 4 digits"#
        );
        let not_hex = "zz".repeat(16).parse::<JobId>().unwrap_err();
        assert!(not_hex.to_string().ends_with("got 'z' at digit 0"), "{not_hex}");
    }
}
