//! RISC Zero's circuits as a table: all that tells one proof of the [`stark`] from another.
//!
//! A row ([`Entry`]) is a `stark::Circuit`, and knows what its proofs begin with, which groups of columns they commit
//! to and how many globals and challenges there are. Where the columns come from is not its concern. A circuit of
//! another release becomes a row of its own; if its protocol is another, a [`Transcript`] of its own as well.

use risc0_zkp::adapter::{CircuitInfo, PROOF_SYSTEM_INFO, ProtocolInfo, TapsProvider as _};
use risc0_zkp::core::hash::HashSuite;
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem as Elem};
use risc0_zkp::taps::TapSet;

use crate::constraints::keccak::CircuitImpl as KeccakImpl;
use crate::constraints::{self, Constraints, Domain, Evaluation};
use crate::phase::phase;
use crate::stark::{self, Circuit, Demand, EvalCheck, Held};

/// The recursion circuit: lift, join, resolve and the others are programs of it.
pub static RECURSION: Entry = Entry {
    name: "recursion",
    taps: || risc0_circuit_recursion::CIRCUIT.get_taps(),
    constraints: constraints::recursion,
    transcript: Transcript::V1 {
        info: risc0_circuit_recursion::CircuitImpl::CIRCUIT_INFO,
        seal_version: None,
    },
    groups: &[(GroupKind::Code, 1), (GroupKind::Data, 2), (GroupKind::Accum, 0)],
    globals: risc0_circuit_recursion::CircuitImpl::OUTPUT_SIZE,
    mix: risc0_circuit_recursion::CircuitImpl::MIX_SIZE,
};

/// The circuit of a RISC-V processor, whose proofs are those of segments.
pub static RV32IM: Entry = Entry {
    name: "rv32im",
    taps: || risc0_circuit_rv32im::CircuitImpl.get_taps(),
    constraints: constraints::rv32im,
    transcript: Transcript::V1 {
        info: risc0_circuit_rv32im::CircuitImpl::CIRCUIT_INFO,
        seal_version: Some(risc0_circuit_rv32im::RV32IM_SEAL_VERSION),
    },
    groups: &[(GroupKind::Code, 1), (GroupKind::Data, 2), (GroupKind::Accum, 0)],
    globals: risc0_circuit_rv32im::CircuitImpl::OUTPUT_SIZE,
    mix: risc0_circuit_rv32im::CircuitImpl::MIX_SIZE,
};

/// The circuit of Keccak's permutation. Its groups `accum` and `code` are a column of zeros each.
pub static KECCAK: Entry = Entry {
    name: "keccak",
    taps: constraints::keccak_taps,
    constraints: constraints::keccak,
    transcript: Transcript::V1 { info: KeccakImpl::CIRCUIT_INFO, seal_version: None },
    groups: &[(GroupKind::Code, 1), (GroupKind::Data, 2), (GroupKind::Accum, 0)],
    globals: KeccakImpl::OUTPUT_SIZE,
    mix: KeccakImpl::MIX_SIZE,
};

/// One circuit.
#[derive(Debug)]
pub struct Entry {
    /// What it is called in errors and logs.
    pub name: &'static str,
    taps: fn() -> &'static TapSet<'static>,
    constraints: fn() -> &'static Constraints,
    /// The protocol of its proofs.
    pub transcript: Transcript,
    /// Its groups of columns in the order of their commitments: what each holds, and its index in the taps.
    pub groups: &'static [(GroupKind, usize)],
    /// How many globals it has: what a proof shows of its trace.
    pub globals: usize,
    /// How many challenges its accumulators want.
    pub mix: usize,
}

/// In which order things are committed to and drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transcript {
    /// The hashes of the proof system's name, of the circuit's, and of the globals with the po2; the globals and the po2;
    /// groups `code` and `data`; the mix is drawn; group `accum`.
    ///
    /// The circuits of later releases have none of the names, no group `code`, and draw a mix before each group: that
    /// would be another variant (`docs/fast-proving.md` says where it goes).
    V1 {
        /// What the transcript calls the circuit.
        info: ProtocolInfo,
        /// A word that the seal begins with and the verifier's challenges do not depend on.
        seal_version: Option<u32>,
    },
}

/// What a group of columns holds. Not every circuit has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// Columns that the verifier knows.
    Code,
    /// Columns that depend on nothing that is drawn.
    Data,
    /// Columns that depend on the mix.
    Accum,
}

impl Entry {
    /// The columns that the constraints read.
    #[must_use]
    pub fn taps(&self) -> &'static TapSet<'static> {
        (self.taps)()
    }

    /// The circuit's constraints.
    #[must_use]
    pub fn constraints(&self) -> &'static Constraints {
        (self.constraints)()
    }

    /// The index in the taps of the group that holds this.
    ///
    /// # Panics
    ///
    /// When the circuit has none.
    #[must_use]
    pub fn group(&self, kind: GroupKind) -> usize {
        let found = self.groups.iter().find(|(known, _)| *known == kind);
        let (_, index) =
            found.unwrap_or_else(|| panic!("the circuit {} has no group {kind:?}", self.name));
        *index
    }

    /// What a proof over 2^po2 rows wants of memory, on so many threads, where each group gets into it as `held` says.
    #[must_use]
    pub fn demand(&self, po2: usize, threads: usize, held: impl Fn(GroupKind) -> Held) -> Demand {
        let groups: Vec<_> = self.groups.iter().map(|&(kind, at)| (at, held(kind))).collect();
        Demand::new(self.taps(), po2, &groups, threads)
    }

    /// How many columns a group has.
    ///
    /// # Panics
    ///
    /// When there is no such group.
    #[must_use]
    pub fn columns(&self, group: usize) -> usize {
        self.taps().group_size(group)
    }

    /// Writes what a proof over 2^po2 cycles begins with to its empty transcript. `globals` are in Montgomery form.
    ///
    /// # Panics
    ///
    /// When there are not as many globals as the circuit has.
    pub fn open(
        &self,
        transcript: &mut stark::Transcript,
        suite: &HashSuite<BabyBear>,
        po2: usize,
        globals: &[u32],
    ) {
        assert_eq!(globals.len(), self.globals, "globals of the circuit {}", self.name);
        match self.transcript {
            Transcript::V1 { info, seal_version } => {
                if let Some(version) = seal_version {
                    transcript.write_u32_slice(&[version]);
                }
                // The po2 is not in Montgomery form.
                let header: Vec<Elem> =
                    globals.iter().copied().chain([po2 as u32]).map(Elem::new_raw).collect();
                let hashfn = &suite.hashfn;
                transcript.commit(&hashfn.hash_elem_slice(&PROOF_SYSTEM_INFO.encode()));
                transcript.commit(&hashfn.hash_elem_slice(&info.encode()));
                transcript.commit(&hashfn.hash_elem_slice(&header));
                transcript.write_field_elem_slice(&header);
            }
        }
    }

    /// Draws the challenges for the accumulators: after groups `code` and `data`, and before `accum`.
    #[must_use]
    pub fn draw_mix(&self, transcript: &mut stark::Transcript) -> Vec<u32> {
        match self.transcript {
            Transcript::V1 { .. } => {
                (0..self.mix).map(|_| transcript.random_elem().as_u32_montgomery()).collect()
            }
        }
    }
}

impl Circuit for Entry {
    fn taps(&self) -> &TapSet<'_> {
        (self.taps)()
    }

    /// The globals that a session is finished with are the mix, then the circuit's own.
    fn eval_check(&self, call: EvalCheck<'_>) {
        let EvalCheck { isa, check, groups, globals, poly_mix, po2, coset } = call;
        let &[mix, own] = globals else {
            panic!("a proof of {} has two lists of globals, not {}", self.name, globals.len())
        };
        // The prover counts them in another order than the verifier, whose constraints these are.
        let globals = &[own, mix];
        let domain = Domain::Coset(coset);
        let evaluation = Evaluation { isa, po2, domain, groups, globals, poly_mix };
        phase("constraints", || self.constraints().eval_check(check, &evaluation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_those_that_the_circuits_are_published_with() {
        let shape = |entry: &Entry| {
            let kinds = [GroupKind::Accum, GroupKind::Code, GroupKind::Data];
            let columns = kinds.map(|kind| entry.columns(entry.group(kind)));
            (columns, entry.taps().tap_size(), entry.taps().reg_count(), entry.globals, entry.mix)
        };
        assert_eq!(shape(&RECURSION), ([12, 23, 128], 643, 163, 32, 20));
        assert_eq!(shape(&RV32IM), ([103, 1, 211], 790, 315, 90, 36));
        assert_eq!(shape(&KECCAK), ([1, 1, 1096], 3631, 1098, 17, 4));
    }
}
