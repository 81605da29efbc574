//! What the zkVM's tasks need of a prover that costs so much, as the core asks for it.

use starling_cost::{CostModel, Costs};
use starling_node_core::{Need, Needs};
use starling_types::{Po2, TaskKind};

/// The speed of a thread that has proved nothing yet with Starling's own prover, in thousandths of the reference core's.
const SPEED_GUESS_PERMILLE: u64 = 500;

/// The table of all tasks that there can be.
pub fn needs_of(costs: Costs) -> Needs {
    let sizes = || (Po2::MIN..=Po2::MAX).filter_map(|po2| Po2::try_from(po2).ok());
    let all = TaskKind::ALL.into_iter().flat_map(|kind| sizes().map(move |po2| (kind, po2)));
    all.map(|(kind, po2)| {
        let need = Need {
            usual: costs.usual.memory(kind, Some(po2)),
            frugal: costs.frugal.memory(kind, Some(po2)),
            // In what clients count, whatever prover and profile it is done with.
            work: CostModel::ADMISSION.work_ms(kind, Some(po2)),
        };
        ((kind, po2), need)
    })
    .collect()
}

/// The speed of a slot that has proved nothing yet, in thousandths of the reference core's.
pub fn speed_guess(threads: u32, costs: &Costs) -> u32 {
    let join_ms = |costs: &Costs| costs.usual.work_ms(TaskKind::Join, None).0;
    let (ours, its) = (join_ms(&Costs::FAST), join_ms(costs));
    let permille = u64::from(threads) * SPEED_GUESS_PERMILLE * ours / its.max(1);
    u32::try_from(permille.max(1)).unwrap_or(u32::MAX)
}
