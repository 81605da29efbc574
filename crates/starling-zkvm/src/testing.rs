//! What the unit tests share: shipped guests, a tiny one, and damaged bytes.

#![allow(clippy::unwrap_used)]

use std::path::Path;

pub(crate) use self::damage::damaged;
use crate::Guest;

#[path = "../../starling-claims/src/testing/damage.rs"]
mod damage;

#[path = "../tests/tiny/mod.rs"]
pub(crate) mod tiny;

/// How much larger a segment can be once decoded than its content was.
pub(crate) const DECODED_TIMES_MAX: u64 = 6;

/// The bytes of a shipped guest.
pub(crate) fn guest_bytes(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/bin");
    std::fs::read(folder.join(name)).unwrap()
}

/// A shipped guest.
pub(crate) fn guest(name: &str) -> Guest {
    Guest::parse(guest_bytes(name)).unwrap()
}

/// A guest that ends at once.
pub(crate) fn halting_guest() -> Guest {
    Guest::parse(tiny::program(1, 0)).unwrap()
}
