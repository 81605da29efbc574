//! What a task needs: memory while it runs, and work in all.

use starling_plan::{KECCAK_PO2_COUNT, KECCAK_PO2_MAX, KECCAK_PO2_MIN, SEGMENT_PO2_COUNT};
use starling_types::{MemoryBytes, Millis, Po2, Profile, TaskKind};

use crate::{TaskCost, figures};

/// What every task of a job needs, of one prover in one profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostModel {
    /// Proving a segment, by po2 from [`Po2::MIN`] on.
    pub prove: [TaskCost; SEGMENT_PO2_COUNT],
    /// Proving a segment and lifting its receipt in one task, likewise.
    pub lift: [TaskCost; SEGMENT_PO2_COUNT],
    /// Lifting a segment receipt that is there.
    pub lift_receipt: TaskCost,
    /// Joining two receipts.
    pub join: TaskCost,
    /// Proving a keccak request and lifting the proof, by po2 from
    /// [`KECCAK_PO2_MIN`] on.
    pub keccak: [TaskCost; KECCAK_PO2_COUNT],
    /// The union of two receipts.
    pub union: TaskCost,
    /// Resolving an assumption.
    pub resolve: TaskCost,
    /// Taking the count of work off a receipt.
    pub unwrap: TaskCost,
}

/// What tasks need of one prover, in each of its profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costs {
    /// With everything kept.
    pub usual: CostModel,
    /// With less memory: what is needed again is computed again.
    pub frugal: CostModel,
}

/// What a prover may allocate beyond what its task is counted for, as a part of it: other guests differ, and not everything
/// that is allocated is touched.
const LIMIT_MARGIN: u64 = 4;

/// And beside it: stacks of threads, arenas of the allocator, what a warm process still keeps of the task before.
const LIMIT_BASE: MemoryBytes = MemoryBytes::from_mib(256);

impl Costs {
    /// Those of Starling's own prover.
    pub const FAST: Self = Self { usual: figures::FAST_USUAL, frugal: figures::FAST_FRUGAL };

    /// Those of RISC Zero's prover, which has one profile.
    pub const STOCK: Self = Self { usual: figures::STOCK, frugal: figures::STOCK };

    /// Which of two versions of the figures these are: speeds that were measured by others are worth nothing.
    pub const REVISION: u32 = 4;

    /// What a process may allocate that proves a task of `memory`: a quarter more and 256 MiB. A task beyond that is not what
    /// it says it is.
    pub fn limit(memory: MemoryBytes) -> MemoryBytes {
        memory + MemoryBytes(memory.0 / LIMIT_MARGIN) + LIMIT_BASE
    }

    /// The costs in one profile.
    pub fn in_profile(&self, profile: Profile) -> &CostModel {
        match profile {
            Profile::Usual => &self.usual,
            Profile::Frugal => &self.frugal,
        }
    }

    /// How a prover that may use `memory` goes about a task: with everything kept, if that fits.
    pub fn profile_for(&self, memory: MemoryBytes, kind: TaskKind, po2: Option<Po2>) -> Profile {
        if self.usual.memory(kind, po2) <= memory { Profile::Usual } else { Profile::Frugal }
    }

    /// The largest po2 of the segments that a prover which may use `memory` can prove and lift in this profile.
    pub fn largest_po2(&self, memory: MemoryBytes, profile: Profile) -> Option<Po2> {
        let model = self.in_profile(profile);
        let po2s = (Po2::MIN..=Po2::MAX).rev().filter_map(|po2| Po2::try_from(po2).ok());
        po2s.into_iter().find(|po2| model.memory(TaskKind::Lift, Some(*po2)) <= memory)
    }
}

impl CostModel {
    /// What a client takes tasks for, whatever a node proves with: the least memory that a prover of this release gets by
    /// with, and the work as the reference core does it, which keeps everything. A node that proves frugally is
    /// that much slower.
    pub const ADMISSION: Self = figures::ADMISSION;

    /// What a task of this kind needs. A segment or a keccak proof whose po2 is not given is taken for the
    /// largest. So is a keccak proof of a po2 without such proofs, which a stranger may name.
    pub fn cost(&self, kind: TaskKind, po2: Option<Po2>) -> TaskCost {
        let segment = (po2.map_or(Po2::MAX, Po2::get) - Po2::MIN) as usize;
        match kind {
            TaskKind::Prove => self.prove[segment],
            TaskKind::Lift => self.lift[segment],
            TaskKind::LiftReceipt => self.lift_receipt,
            TaskKind::Join => self.join,
            TaskKind::Keccak => {
                let sizes = KECCAK_PO2_MIN..=KECCAK_PO2_MAX;
                let po2 = po2.map(Po2::get).filter(|po2| sizes.contains(po2));
                self.keccak[(po2.unwrap_or(KECCAK_PO2_MAX) - KECCAK_PO2_MIN) as usize]
            }
            TaskKind::Union => self.union,
            TaskKind::Resolve => self.resolve,
            TaskKind::Unwrap => self.unwrap,
        }
    }

    /// The memory that a task of this kind needs.
    pub fn memory(&self, kind: TaskKind, po2: Option<Po2>) -> MemoryBytes {
        self.cost(kind, po2).memory
    }

    /// The work of a task of this kind, in milliseconds of the reference core.
    pub fn work_ms(&self, kind: TaskKind, po2: Option<Po2>) -> Millis {
        self.cost(kind, po2).work
    }
}

impl Default for CostModel {
    fn default() -> Self {
        Self::ADMISSION
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn po2(value: u32) -> Po2 {
        value.try_into().unwrap()
    }

    /// Every model there is.
    fn models() -> [CostModel; 3] {
        [Costs::FAST.usual, Costs::FAST.frugal, Costs::STOCK.usual]
    }

    #[test]
    fn costs_never_shrink_as_the_po2_grows() {
        let grows = |a: &TaskCost, b: &TaskCost| a.memory <= b.memory && a.work < b.work;
        for CostModel { prove, lift, keccak, .. } in models() {
            assert!(prove.is_sorted_by(grows) && lift.is_sorted_by(grows));
            assert!(keccak.is_sorted_by(grows));
        }
    }

    #[test]
    fn a_task_that_proves_and_lifts_needs_the_memory_of_its_larger_half_and_the_work_of_both() {
        for model in models() {
            for value in Po2::MIN..=Po2::MAX {
                let cost = |kind| model.cost(kind, Some(po2(value)));
                let [prove, lift, recursion] =
                    [TaskKind::Prove, TaskKind::Lift, TaskKind::LiftReceipt].map(cost);
                assert_eq!(lift.work, prove.work + recursion.work);
                assert!(lift.memory >= prove.memory.max(recursion.memory));
                assert!(
                    lift.memory <= prove.memory.max(recursion.memory) + MemoryBytes::from_mib(200)
                );
            }
        }
    }

    #[test]
    fn frugal_takes_less_memory_and_not_less_time_for_every_task() {
        let Costs { usual, frugal } = Costs::FAST;
        for kind in TaskKind::ALL {
            for value in Po2::MIN..=Po2::MAX {
                let (usual, frugal) =
                    (usual.cost(kind, Some(po2(value))), frugal.cost(kind, Some(po2(value))));
                assert!(
                    frugal.memory < usual.memory && frugal.work >= usual.work,
                    "{kind} {value}"
                );
            }
        }
    }

    #[test]
    fn admission_asks_for_the_least_memory_and_counts_work_by_the_usual_profile() {
        let Costs { usual, frugal } = Costs::FAST;
        for kind in TaskKind::ALL {
            for value in Po2::MIN..=Po2::MAX {
                let cost = |model: &CostModel| model.cost(kind, Some(po2(value)));
                let admission = cost(&CostModel::ADMISSION);
                assert_eq!(admission.memory, cost(&frugal).memory, "{kind} {value}");
                assert_eq!(admission.work, cost(&usual).work, "{kind} {value}");
            }
        }
    }

    /// A page of the repository.
    fn page(name: &str) -> String {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::read_to_string(root.join(name)).unwrap()
    }

    /// The rows of the tables of `page` with this header, each as its cells.
    fn rows(page: &str, header: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut lines = page.lines();
        while lines.by_ref().any(|line| line == header) {
            let table = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
            let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
            rows.extend(table.map(|line| cells(line.trim_matches('|'))));
        }
        assert!(!rows.is_empty(), "{header}");
        rows
    }

    /// `prove 14` as a table says it, and `lift, usual`; a recursion proof has no po2.
    fn task(cell: &str) -> (TaskKind, Option<Po2>) {
        let mut words = cell.split(',').next().unwrap().split(' ');
        let kind = match words.next().unwrap() {
            "prove" => TaskKind::Prove,
            "lift" => TaskKind::Lift,
            "join" => TaskKind::Join,
            "keccak" => TaskKind::Keccak,
            other => panic!("what is {other:?}?"),
        };
        (kind, words.next().map(|value| po2(value.parse().unwrap())))
    }

    /// A number with anything behind it: a range, a thousands' comma within it.
    fn number(cell: &str) -> u64 {
        cell.split(' ').next().unwrap().replace(',', "").parse().unwrap()
    }

    /// Seconds with their decimals, as milliseconds.
    fn milliseconds(cell: &str) -> u64 {
        let cell = cell.split(' ').next().unwrap();
        let (seconds, decimals) = cell.split_once('.').unwrap_or((cell, ""));
        format!("{seconds}{decimals:0<3}").parse().unwrap()
    }

    /// What was measured of a task.
    struct Measured {
        model: CostModel,
        task: (TaskKind, Option<Po2>),
        mib: u64,
        /// Of CPU time, if that is said.
        ms: Option<u64>,
    }

    /// All that `BENCHMARKS.md` has.
    fn measured() -> Vec<Measured> {
        let page = page("BENCHMARKS.md");
        let Costs { usual, frugal } = Costs::FAST;
        let mut all = Vec::new();
        let mut add = |model: &CostModel, task, mib: &str, seconds: Option<&String>| {
            let ms = seconds.map(|seconds| milliseconds(seconds));
            all.push(Measured { model: model.clone(), task, mib: number(mib), ms });
        };
        let header = "| task | CPU s, usual | peak MiB, usual | CPU s, frugal | peak MiB, frugal |";
        for row in rows(&page, header) {
            add(&usual, task(&row[0]), &row[2], Some(&row[1]));
            add(&frugal, task(&row[0]), &row[4], Some(&row[3]));
        }
        let header = "| po2 | prover | CPU s | times as fast as stock | peak MiB |";
        for row in rows(&page, header).into_iter().filter(|row| row[1] == "stock") {
            add(&Costs::STOCK.usual, task(&format!("prove {}", row[0])), &row[4], Some(&row[2]));
        }
        all
    }

    /// A limit set by a figure below that would end every such task. Seconds are those of a busy machine.
    #[test]
    fn no_figure_is_below_what_was_measured_nor_far_above() {
        let measured = measured();
        assert!(measured.len() > 20, "{} figures were measured", measured.len());
        for Measured { model, task: (kind, po2), mib, ms } in measured {
            let TaskCost { memory, work } = model.cost(kind, po2);
            let (least, most) = (MemoryBytes::from_mib(mib), MemoryBytes::from_mib(mib * 3 / 2));
            let is_near = (least..=most).contains(&memory);
            assert!(is_near, "{kind} {po2:?}: {memory} are said, {mib} MiB measured");
            if let Some(ms) = ms {
                let is_near = (ms * 2 / 3..=ms * 3 / 2).contains(&work.0);
                assert!(is_near, "{kind} {po2:?}: {} ms are said, {ms} measured", work.0);
            }
        }
    }

    #[test]
    fn the_page_on_costs_has_the_figures() {
        let header = "| task | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 |";
        let table = rows(&page("docs/costs.md"), header);
        assert_eq!(table.len(), 8);
        for row in table {
            let (kind, _) = task(&row[0]);
            let model = match row[0].split_once(", ").unwrap().1 {
                "usual" => Costs::FAST.usual,
                "frugal" => Costs::FAST.frugal,
                "stock" => Costs::STOCK.usual,
                other => panic!("what is {other:?}?"),
            };
            let said = (Po2::MIN + 1..).zip(&row[1..]).filter(|(_, cell)| !cell.is_empty());
            for (value, cell) in said {
                let figure = model.memory(kind, Some(po2(value)));
                let said = MemoryBytes::from_mib(number(cell));
                // Rounded: by a hundredth and a MiB at most.
                let rounding = figure.0 / 100 + (1 << 20);
                assert!(said.0.abs_diff(figure.0) <= rounding, "{}: {said}, {figure}", row[0]);
            }
        }
    }

    #[test]
    fn small_machines_can_take_part() {
        let fits = |mib, kind, value| {
            let need = CostModel::ADMISSION.memory(kind, Some(po2(value)));
            need <= MemoryBytes::from_mib(mib)
        };
        // What machines of 512 MB, 1 GB and 4 GB can spare.
        assert!(fits(290, TaskKind::Join, 18) && fits(290, TaskKind::LiftReceipt, 18));
        assert!(fits(640, TaskKind::Lift, 18));
        assert!(fits(2600, TaskKind::Lift, 20));
    }

    #[test]
    fn the_memory_decides_the_profile_of_each_task() {
        let costs = Costs::FAST;
        let lift = |mib, value| {
            costs.profile_for(MemoryBytes::from_mib(mib), TaskKind::Lift, Some(po2(value)))
        };
        let need = costs.usual.memory(TaskKind::Lift, Some(po2(18))).0.div_ceil(1 << 20);
        assert_eq!(lift(need, 18), Profile::Usual);
        assert_eq!(lift(need - 1, 18), Profile::Frugal);
        assert_eq!(lift(need, 19), Profile::Frugal);
        assert_eq!(lift(0, 14), Profile::Frugal, "the least that there is");
        let largest = |profile| costs.largest_po2(MemoryBytes::from_mib(need), profile);
        assert_eq!(largest(Profile::Usual), Some(po2(18)));
        assert!(largest(Profile::Frugal) > Some(po2(18)));
        assert_eq!(costs.largest_po2(MemoryBytes::from_mib(100), Profile::Frugal), None);
    }

    #[test]
    fn a_keccak_proof_of_no_known_size_costs_what_the_largest_does() {
        let model = CostModel::ADMISSION;
        let cost = |po2| model.cost(TaskKind::Keccak, po2);
        assert_eq!(cost(Some(po2(14))), model.keccak[0]);
        for largest in [None, Some(po2(13)), Some(po2(18)), Some(po2(24))] {
            assert_eq!(cost(largest), model.keccak[4], "{largest:?}");
        }
    }
}
