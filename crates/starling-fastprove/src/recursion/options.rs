//! How a prover uses the machine: its vectors, its memory.

use starling_babybear::vector::Isa;

use crate::stark::MemoryPlan;

/// How a [`Prover`](super::Prover) uses the machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vectors to compute with. Default: the widest that the machine has.
    pub isa: Isa,
    /// Programs kept ready for the next proof. Default: 2, for a node that lifts segments of one size and joins them.
    pub programs_kept: usize,
    /// What of a proof is in memory at a time. Default: everything but two of the four cosets of values.
    pub plan: MemoryPlan,
    /// Memory that is kept mapped between proofs rather than given back, as long as all that is in use and all that is
    /// kept are at most this. Default: 1 GiB, what one proof takes at its peak and two programs.
    pub pool_bytes: usize,
}

/// How much memory a [`Prover`](super::Prover) takes for its speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The default of [`Options`]: 0.9 GB.
    Usual,
    /// Less than 300 MiB, for a machine of 512 MB: one program is kept ready, columns are turned from one form to the other
    /// in place, and a proof takes hardly longer.
    Frugal,
}

/// All that a frugal proof holds at a time of buffers and trees.
const FRUGAL_POOL_BYTES: usize = 228 << 20;

impl Options {
    /// Takes as much memory as `profile` says.
    pub fn with_profile(self, profile: Profile) -> Self {
        match profile {
            Profile::Usual => {
                let Self { programs_kept, plan, pool_bytes, .. } = Self::default();
                Self { programs_kept, plan, pool_bytes, ..self }
            }
            Profile::Frugal => Self {
                programs_kept: 1,
                plan: MemoryPlan::LEAST,
                pool_bytes: FRUGAL_POOL_BYTES,
                ..self
            },
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            isa: Isa::best(),
            programs_kept: 2,
            plan: MemoryPlan { cosets_kept: 2, ..MemoryPlan::EVERYTHING },
            pool_bytes: 1 << 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuits::{GroupKind, RECURSION};
    use crate::recursion::RECURSION_PO2;
    use crate::stark::Held;

    #[test]
    fn a_frugal_proof_fits_what_its_pool_keeps() {
        let plan = Options::default().with_profile(Profile::Frugal).plan;
        let demand = RECURSION.demand(RECURSION_PO2, 0, |kind| match kind {
            GroupKind::Code => Held::Shared { cosets_kept: 0 },
            GroupKind::Data | GroupKind::Accum => Held::Own,
        });
        let peak_bytes = demand.peak_bytes(plan);
        assert!(peak_bytes <= FRUGAL_POOL_BYTES, "{} MiB", peak_bytes >> 20);
        // Not far below: what is kept for nothing is missing elsewhere.
        assert!(peak_bytes + (8 << 20) > FRUGAL_POOL_BYTES, "{} MiB", peak_bytes >> 20);
    }

    #[test]
    fn a_profile_leaves_vectors_alone() {
        let options = Options { isa: Isa::Scalar, ..Options::default() };
        for profile in [Profile::Frugal, Profile::Usual] {
            assert_eq!(options.clone().with_profile(profile).isa, Isa::Scalar);
        }
    }
}
