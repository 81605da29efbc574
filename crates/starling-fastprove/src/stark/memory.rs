//! What of a proof is in memory at a time, and what that comes to.
//!
//! A group of columns is needed in ten forms: as a trace, as coefficients, and by its values in each of the four cosets
//! of the domain, once when it is hashed and once when it is constrained. A [`MemoryPlan`] says which of them wait in memory
//! for their next use and which are computed again; the seal is the same. [`Demand::peak_bytes`] goes through a proof step
//! by step and adds up what a plan takes, [`MemoryPlan::for_budget`] finds the fastest plan for a given memory. Both
//! are arithmetic: nothing is measured, nothing allocated.

use risc0_zkp::INV_RATE;
use risc0_zkp::core::digest::DIGEST_WORDS;
use risc0_zkp::taps::TapSet;
use starling_babybear::poly::PLANES;

use super::merkle::LEAVES_PER_NODE;

/// Words of each row of a trace that a group's leaves take until its tree is built.
const LEAF_WORDS: usize = INV_RATE * DIGEST_WORDS;

/// And those of the kept part of its tree, where each layer is half of the one below.
const TREE_WORDS: usize = 2 * LEAF_WORDS / LEAVES_PER_NODE;

/// The check polynomial in all cosets, or in its pieces.
const CHECK_WORDS: usize = PLANES * INV_RATE;

/// FRI's polynomial, its evaluations in the first round with their leaves, and 1/15 more for the rounds after it.
const FRI_WORDS: usize = (PLANES + PLANES * INV_RATE + LEAF_WORDS / 16) * 16 / 15;

/// A transform's blocks, and the column that is opened.
const THREAD_WORDS: usize = 2;

/// What of a proof is in memory at a time. The more, the sooner is it proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// How many of the [`INV_RATE`] cosets of values each group keeps from its commitment to its openings, rather than to
    /// compute them again, once for the constraints and once for the openings. Each is as large as the trace.
    pub cosets_kept: usize,
    /// How many columns at a time, of all groups together, may be in memory by their coefficients while they also are by
    /// their values in a coset. The others are turned from values to values in place, which is two transforms rather
    /// than one.
    pub spare_columns: usize,
    /// Whether a trace that will be recalled is copied when it is committed, rather than computed back.
    pub trace_kept: bool,
}

impl MemoryPlan {
    /// Nothing is computed twice.
    pub const EVERYTHING: Self =
        Self { cosets_kept: INV_RATE, spare_columns: usize::MAX, trace_kept: true };

    /// Nothing is there twice.
    pub const LEAST: Self = Self { cosets_kept: 0, spare_columns: 0, trace_kept: false };

    /// The fastest plan that takes at most `budget_bytes` for proofs of `demand`; [`MemoryPlan::LEAST`] where
    /// none does.
    ///
    /// Word by word, a spare column saves some seven transforms of it, a trace that is kept one or two, and a coset that is
    /// kept two: spare room comes first, a copy of the trace where it fits beside it, then cosets.
    pub fn for_budget(demand: &Demand, budget_bytes: usize) -> Self {
        let fits = |plan: &Self| demand.peak_bytes(*plan) <= budget_bytes;
        let spare_columns = demand.own_columns();
        let cosets = (0..=INV_RATE).rev();
        let mut ample = cosets.flat_map(|cosets_kept| {
            [true, false].map(|trace_kept| Self { cosets_kept, spare_columns, trace_kept })
        });
        if let Some(plan) = ample.find(fits) {
            return plan;
        }
        let scarce = (0..=spare_columns).rev();
        let mut scarce = scarce.map(|spare_columns| Self { spare_columns, ..Self::LEAST });
        scarce.find(fits).unwrap_or(Self::LEAST)
    }
}

/// How a group of columns gets into a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Committed with its trace, for this proof alone.
    Own,
    /// And the trace is recalled, while the next group is filled in.
    Recalled,
    /// Made before, as coefficients and so many cosets of values.
    Shared {
        /// How many.
        cosets_kept: usize,
    },
    /// All its words are 0.
    Zero,
}

/// What a plan has to cover: the columns of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The binary logarithm of the trace's rows.
    pub po2: usize,
    /// How many columns each group has, and how they get into the proof, in the order of the commitments.
    pub groups: Vec<(usize, Held)>,
    /// How many sets of rows the taps distinguish.
    pub combos: usize,
    /// Threads that prove.
    pub threads: usize,
}

impl Demand {
    /// The demand of a circuit with these `taps`, whose groups are committed in the order of `groups`.
    pub fn new(taps: &TapSet<'_>, po2: usize, groups: &[(usize, Held)], threads: usize) -> Self {
        let groups = groups.iter().map(|&(index, held)| (taps.group_size(index), held)).collect();
        Self { po2, groups, combos: taps.combos_size(), threads }
    }

    /// Columns that are this proof's own.
    fn own_columns(&self) -> usize {
        let own = self.groups.iter().filter(|(_, held)| matches!(held, Held::Own | Held::Recalled));
        own.map(|(columns, _)| columns).sum()
    }

    /// The most bytes that a proof with `plan` holds at a time: buffers of its pool, trees, and what its threads work in;
    /// not what the caller has beside them. The largest of
    ///
    /// * for each group, its commitment: all columns so far, leaves, spare room, cosets that are kept;
    /// * beside it, the trace that the next group is filled in from;
    /// * the constraints: all columns, spare room, values of what is shared, the check polynomial twice;
    /// * its commitment, the mixed columns, and FRI.
    pub fn peak_bytes(&self, plan: MemoryPlan) -> usize {
        let words = Walk::new(plan).through(self) + THREAD_WORDS * self.threads;
        (words << self.po2) * size_of::<u32>()
    }
}

/// Words a row that a proof holds, step by step.
struct Walk {
    plan: MemoryPlan,
    live: usize,
    peak: usize,
    /// The spare room that each own group has.
    spares: Vec<usize>,
    /// What was kept of a trace until it is recalled.
    copy: usize,
}

impl Walk {
    fn new(plan: MemoryPlan) -> Self {
        let plan = MemoryPlan { cosets_kept: plan.cosets_kept.min(INV_RATE), ..plan };
        Self { plan, live: 0, peak: 0, spares: Vec::new(), copy: 0 }
    }

    /// Notes a moment at which `more` is held for a while.
    fn hold(&mut self, more: usize) {
        self.peak = self.peak.max(self.live + more);
    }

    /// Spare room for a group of `columns`.
    fn spare(&self, columns: usize) -> usize {
        columns.min(self.plan.spare_columns.saturating_sub(self.spares.iter().sum()))
    }

    fn through(mut self, demand: &Demand) -> usize {
        let all_kept = self.plan.cosets_kept == INV_RATE;
        let mut scratch = 0;
        let mut recalled = None;
        for &(columns, held) in &demand.groups {
            match held {
                Held::Zero => scratch += columns,
                Held::Shared { cosets_kept } => {
                    self.live += columns * (1 + cosets_kept) + TREE_WORDS;
                    scratch += if cosets_kept < INV_RATE { columns } else { 0 };
                }
                Held::Own | Held::Recalled => {
                    self.live += columns;
                    if let Some(columns) = recalled {
                        self.recall(columns, all_kept);
                    }
                    recalled = (held == Held::Recalled).then_some(columns);
                    self.copy = recalled.filter(|_| self.plan.trace_kept).unwrap_or(0);
                    self.commit(columns, all_kept);
                }
            }
        }
        if !all_kept {
            // Groups that have room keep it; the others take what is left.
            let left: usize = self.plan.spare_columns.saturating_sub(self.spares.iter().sum());
            let without = demand.own_columns() - self.spares.iter().sum::<usize>();
            scratch += left.min(without);
        }
        self.hold(self.copy + self.spares.iter().sum::<usize>() + scratch + CHECK_WORDS + PLANES);

        self.live += CHECK_WORDS;
        self.hold(CHECK_WORDS.min(self.plan.spare_columns) + LEAF_WORDS + TREE_WORDS);
        self.live += TREE_WORDS;
        self.hold(PLANES * (demand.combos + 2));
        self.hold(FRI_WORDS);
        self.peak
    }

    /// The trace of the group before, of `columns`, is read while this one is filled in; then the room that it had is
    /// given back.
    fn recall(&mut self, columns: usize, all_kept: bool) {
        // Where all cosets are kept, the columns rest as coefficients until now.
        let turned = if all_kept && self.copy == 0 { self.spare(columns) } else { 0 };
        self.hold(self.copy + self.spares.iter().sum::<usize>() + turned);
        self.copy = 0;
        if let Some(spare) = self.spares.last_mut() {
            *spare = 0;
        }
    }

    fn commit(&mut self, columns: usize, all_kept: bool) {
        let spare = if all_kept { 0 } else { self.spare(columns) };
        self.spares.push(spare);
        let kept = self.plan.cosets_kept * columns;
        let spares: usize = self.spares.iter().sum();
        self.hold(self.copy + spares + kept + LEAF_WORDS + TREE_WORDS);
        self.live += kept + TREE_WORDS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rv32im's: code, data, accumulators.
    fn rv32im(po2: usize) -> Demand {
        let groups = vec![(1, Held::Zero), (211, Held::Recalled), (103, Held::Own)];
        Demand { po2, groups, combos: 4, threads: 2 }
    }

    #[test]
    fn a_budget_is_kept_and_used() {
        let demand = rv32im(18);
        let least = demand.peak_bytes(MemoryPlan::LEAST);
        let everything = demand.peak_bytes(MemoryPlan::EVERYTHING);
        let mut last = MemoryPlan::LEAST;
        for percent in 0..=100 {
            let budget = least + (everything - least) / 100 * percent;
            let plan = MemoryPlan::for_budget(&demand, budget);
            assert!(demand.peak_bytes(plan) <= budget, "{plan:?}");
            assert!(plan.cosets_kept >= last.cosets_kept, "{plan:?} after {last:?}");
            if plan.cosets_kept == last.cosets_kept && !plan.trace_kept && !last.trace_kept {
                assert!(plan.spare_columns >= last.spare_columns, "{plan:?} after {last:?}");
            }
            last = plan;
        }
        let plan = MemoryPlan::for_budget(&demand, everything);
        assert_eq!((plan.cosets_kept, plan.trace_kept), (INV_RATE, true));
    }

    #[test]
    fn where_nothing_fits_the_least_is_tried() {
        assert_eq!(MemoryPlan::for_budget(&rv32im(20), 0), MemoryPlan::LEAST);
    }

    #[test]
    fn memory_grows_with_what_is_kept() {
        let demand = rv32im(16);
        let peak = |cosets_kept, spare_columns, trace_kept| {
            demand.peak_bytes(MemoryPlan { cosets_kept, spare_columns, trace_kept })
        };
        for cosets in 0..INV_RATE {
            assert!(peak(cosets, 314, false) < peak(cosets + 1, 314, false));
            assert!(peak(cosets, 0, false) < peak(cosets, 314, false));
            assert!(peak(cosets, 314, false) <= peak(cosets, 314, true));
        }
    }

    #[test]
    fn the_least_plans_of_the_circuits_fit_small_machines() {
        const MIB: usize = 1 << 20;
        let keccak = |po2| Demand {
            po2,
            groups: vec![(1, Held::Zero), (1096, Held::Own), (1, Held::Zero)],
            combos: 3,
            threads: 2,
        };
        for (demand, mib) in
            [(rv32im(16), 96), (rv32im(18), 384), (rv32im(20), 1536), (keccak(17), 600)]
        {
            let peak = demand.peak_bytes(MemoryPlan::LEAST);
            assert!(peak <= mib * MIB, "{} MiB for {demand:?}", peak / MIB);
        }
    }
}
