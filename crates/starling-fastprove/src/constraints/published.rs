//! The constraints of RISC Zero's circuits, as built.
//!
//! The lists of globals are in the order in which the verifier hands them to them: first the circuit's own, then the mix.

use std::sync::LazyLock;

use risc0_zkp::adapter::TapsProvider;
use risc0_zkp::taps::TapSet;

use super::keccak::CircuitImpl as Keccak;
use super::{Constraints, RunningSums};

/// Reads what the build script wrote of a circuit when it is first asked for.
macro_rules! constraints {
    ($name:literal, $circuit:expr) => {
        LazyLock::new(|| {
            let bytecode = include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".constraints"));
            Constraints::new(bytecode, $circuit.get_taps()).expect(concat!(
                "the bytecode and the taps are those of one release of the circuit ",
                $name
            ))
        })
    };
}

static RECURSION: LazyLock<Constraints> =
    constraints!("recursion", risc0_circuit_recursion::CIRCUIT);
static RV32IM: LazyLock<Constraints> = constraints!("rv32im", risc0_circuit_rv32im::CircuitImpl);
static KECCAK: LazyLock<Constraints> = constraints!("keccak", Keccak);

static RV32IM_SUMS: LazyLock<RunningSums> = LazyLock::new(|| {
    let bytecode = include_bytes!(concat!(env!("OUT_DIR"), "/rv32im.sums"));
    RunningSums::new(bytecode, risc0_circuit_rv32im::CircuitImpl.get_taps())
        .expect("the running sums and the taps are those of one release of the circuit rv32im")
});

/// The constraints of the recursion circuit.
#[must_use]
pub fn recursion() -> &'static Constraints {
    &RECURSION
}

/// The constraints of the circuit that segments are proved with.
#[must_use]
pub fn rv32im() -> &'static Constraints {
    &RV32IM
}

/// The running sums in the accumulators of the circuit that segments are proved with.
#[must_use]
pub fn rv32im_sums() -> &'static RunningSums {
    &RV32IM_SUMS
}

/// The constraints of the keccak circuit.
#[must_use]
pub fn keccak() -> &'static Constraints {
    &KECCAK
}

/// The taps of the keccak circuit, which its crate does not show.
#[must_use]
pub fn keccak_taps() -> &'static TapSet<'static> {
    Keccak.get_taps()
}
