//! How long what is left of a job should still take.

use starling_plan::TaskClass;
use starling_types::Millis;

use crate::Scheduler;

impl Scheduler {
    /// All work left at the speed of all slots; but no less than what must be done one after the other at the
    /// speed of a mean slot: a largest leaf and the joins above it, beside that a largest keccak proof and the
    /// unions above it; then the resolves and the unwrap.
    pub(crate) fn eta(&self) -> Option<Millis> {
        let (slots, speed) = self.nodes.total_speed();
        if slots == 0 {
            return None;
        }
        let mut work = 0;
        let mut trees = [0; 2];
        let mut last = 0;
        for demand in self.demands.iter() {
            let left = self.plan.left(demand.class);
            let each = u128::from(demand.cost.work.0);
            let all = each * u128::from(left);
            work += all;
            match demand.class {
                _ if left == 0 => {}
                TaskClass::Leaf(_) => trees[0] = each.max(trees[0]),
                TaskClass::Keccak(_) => trees[1] = each.max(trees[1]),
                TaskClass::Join => trees[0] += each * levels(left),
                TaskClass::Union => trees[1] += each * levels(left),
                TaskClass::Resolve | TaskClass::Unwrap => last += all,
            }
        }
        let speed = u128::from(speed.max(1));
        let spread = work * 1000 / speed;
        let chain = trees[0].max(trees[1]) + last;
        let in_sequence = chain * 1000 * u128::from(slots) / speed;
        Some(Millis(u64::try_from(spread.max(in_sequence)).unwrap_or(u64::MAX)))
    }
}

/// How many levels a tree has of which so many inner nodes are left: each level leaves half of them.
fn levels(left: u32) -> u128 {
    (u32::BITS - left.leading_zeros()).into()
}
