//! The built command line, driven as a user drives it: wrong arguments, wrong files, failing guests,
//! missing nodes, and what it prints where. Nothing here proves; `tests/network.rs` does.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod arguments;
mod docs;
mod ends;
mod files;
mod guests;
mod harness;
mod jobs;
mod nodes;
mod output;
mod owner;
mod reach;
#[cfg(target_os = "linux")]
mod threads;
