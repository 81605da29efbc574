//! What `ARCHITECTURE.md` and `docs/security.md` say is so: the map of crates, the table of invariants, and what is said to be
//! bounded or out of others' reach.

#![allow(clippy::unwrap_used)]

mod invariants;
mod map;
mod security;

use std::path::{Path, PathBuf};

/// The workspace.
fn root() -> PathBuf {
    // Asked for when it runs: a cache of builds may have this program from another checkout.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs tests with it");
    Path::new(&here).join("../..").canonicalize().unwrap()
}
