//! How a prover uses the machine: its cores, its vectors, its memory.

use starling_babybear::vector::Isa;

use crate::stark::MemoryPlan;

/// How a [`Prover`](super::Prover) uses the machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that prove. Default: as many as the machine has cores.
    pub threads: usize,
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
    /// At most 300 MiB, for a machine of 512 MB: one program is kept ready, columns are turned from one form to the other in
    /// place, and a proof takes a fifth longer.
    Frugal,
}

/// Columns whose coefficients the frugal profile puts aside: as many as fit beside a proof's others in its memory.
const FRUGAL_SPARE_COLUMNS: usize = 24;

/// All that a frugal proof holds at a time of buffers and trees.
const FRUGAL_POOL_BYTES: usize = 244 << 20;

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
                plan: MemoryPlan { spare_columns: FRUGAL_SPARE_COLUMNS, ..MemoryPlan::LEAST },
                pool_bytes: FRUGAL_POOL_BYTES,
                ..self
            },
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            isa: Isa::best(),
            programs_kept: 2,
            plan: MemoryPlan { cosets_kept: 2, ..MemoryPlan::EVERYTHING },
            pool_bytes: 1 << 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use risc0_circuit_recursion::{REGISTER_GROUP_ACCUM, REGISTER_GROUP_CTRL, REGISTER_GROUP_DATA};
    use risc0_zkvm::RECURSION_PO2;

    use super::*;
    use crate::recursion::circuit::Recursion;
    use crate::stark::{Circuit as _, Demand, Held};

    #[test]
    fn a_frugal_proof_fits_what_its_pool_keeps() {
        let plan = Options::default().with_profile(Profile::Frugal).plan;
        let groups = [
            (REGISTER_GROUP_CTRL, Held::Shared { cosets_kept: 0 }),
            (REGISTER_GROUP_DATA, Held::Own),
            (REGISTER_GROUP_ACCUM, Held::Own),
        ];
        let demand = Demand::new(Recursion.taps(), RECURSION_PO2, &groups, 0);
        let peak_bytes = demand.peak_bytes(plan);
        assert!(peak_bytes <= FRUGAL_POOL_BYTES, "{} MiB", peak_bytes >> 20);
        // Not far below: each column more is a transform less.
        let more = MemoryPlan { spare_columns: plan.spare_columns + 8, ..plan };
        assert!(demand.peak_bytes(more) > FRUGAL_POOL_BYTES);
    }

    #[test]
    fn a_profile_leaves_threads_and_vectors_alone() {
        let options = Options { threads: 3, isa: Isa::Scalar, ..Options::default() };
        for profile in [Profile::Frugal, Profile::Usual] {
            let options = options.clone().with_profile(profile);
            assert_eq!((options.threads, options.isa), (3, Isa::Scalar));
        }
    }
}
