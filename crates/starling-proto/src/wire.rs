//! The generated protobuf structs, exactly as they travel. Nothing in them is checked yet, so they do
//! not leave this crate.

#![allow(missing_docs, clippy::unwrap_used, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/starling.v1.rs"));
