//! What the keccak circuit's crate keeps to itself, compiled from its source as the build script found it: the taps,
//! the circuit's name and sizes, and for tests the constraints as the verifier evaluates them.
#![allow(clippy::all, missing_docs)]

use risc0_zkp::adapter::TapsProvider;
use risc0_zkp::taps::TapSet;

/// The circuit: what the published files hang their traits on.
pub struct CircuitImpl;

mod taps {
    include!(concat!(env!("STARLING_KECCAK_SOURCE"), "/taps.rs"));
}

mod info {
    include!(concat!(env!("STARLING_KECCAK_SOURCE"), "/info.rs"));
}

#[cfg(test)]
mod poly_ext {
    include!(concat!(env!("STARLING_KECCAK_SOURCE"), "/poly_ext.rs"));
}

impl TapsProvider for CircuitImpl {
    fn get_taps(&self) -> &'static TapSet<'static> {
        taps::TAPSET
    }
}
