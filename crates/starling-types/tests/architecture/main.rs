//! What `ARCHITECTURE.md` says is so: its map of crates and its table of invariants.

#![allow(clippy::unwrap_used)]

mod invariants;
mod map;

use std::path::{Path, PathBuf};

/// The workspace.
fn root() -> PathBuf {
    // Asked for when it runs: a cache of builds may have this program from another checkout.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs tests with it");
    Path::new(&here).join("../..").canonicalize().unwrap()
}
