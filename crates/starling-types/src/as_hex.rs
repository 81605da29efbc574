//! Bytes as lower-case hex, for `#[serde(with = "starling_types::as_hex")]`: what people and JSON see of them.

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

/// Writes the bytes as one string.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

/// Reads them back.
///
/// # Errors
/// When it is not a string of hex digits.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
}
