//! How far the tasks under way are, and how long what is left of a job should still take: for people to see. Nodes say
//! themselves how far they are, so nothing is decided by it.

use starling_plan::TaskClass;
use starling_types::Millis;

use crate::{
    PartlyDone, Scheduler,
    class::{CLASS_COUNT, Class},
    lease::DONE_PERMILLE,
};

/// The tasks of one class that are under way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UnderWay {
    count: u32,
    /// What is done of all of them, in thousandths of a task.
    done_permille: u64,
    /// What is left of the one that is least far.
    most_left_permille: u32,
}

impl UnderWay {
    fn add(&mut self, done_permille: u32) {
        self.count += 1;
        self.done_permille += u64::from(done_permille);
        self.most_left_permille = self.most_left_permille.max(DONE_PERMILLE - done_permille);
    }

    /// What is left of the slowest of `count` tasks that can run side by side: all of it, unless all are under way.
    fn slowest_left(&self, count: u32, each: u128) -> u128 {
        if self.count < count { each } else { part(each, self.most_left_permille.into()) }
    }
}

impl Scheduler {
    /// What is under way, by class.
    pub(crate) fn under_way(&self) -> [UnderWay; CLASS_COUNT] {
        let mut classes = [UnderWay::default(); CLASS_COUNT];
        for (class, done_permille) in self.leases.under_way() {
            classes[class.index()].add(done_permille);
        }
        classes
    }

    /// What is done of it, by kind.
    pub(crate) fn partly_done(&self, under_way: &[UnderWay; CLASS_COUNT]) -> PartlyDone {
        let mut partly = PartlyDone::default();
        for class in Class::by_precedence() {
            let kind = match self.demands.of(class).class {
                TaskClass::Leaf(_) => &mut partly.leaves_permille,
                TaskClass::Join => &mut partly.joins_permille,
                TaskClass::Keccak(_) => &mut partly.keccaks_permille,
                TaskClass::Resolve => &mut partly.resolves_permille,
                TaskClass::Union | TaskClass::Unwrap => continue,
            };
            *kind += under_way[class.index()].done_permille;
        }
        partly
    }

    /// All work left at the speed of all slots; but no less than what must be done one after the other at the
    /// speed of a mean slot: a largest leaf and the joins above it, beside that a largest keccak proof and the
    /// unions above it; then the resolves and the unwrap. What nodes say they have done of a task is not left.
    pub(crate) fn eta(&self, under_way: &[UnderWay; CLASS_COUNT]) -> Option<Millis> {
        let (slots, speed) = self.nodes.total_speed();
        if slots == 0 {
            return None;
        }
        let mut work = 0;
        let mut trees = [0; 2];
        let mut last = 0;
        for class in Class::by_precedence() {
            let demand = self.demands.of(class);
            let under_way = &under_way[class.index()];
            let left = self.plan.left(demand.class);
            let each = u128::from(demand.cost.work.0);
            let done = part(each, under_way.done_permille.into());
            let all = (each * u128::from(left)).saturating_sub(done);
            work += all;
            // Above what runs side by side on the lowest level, all others wait.
            let levels = || {
                let above = each * levels(left).saturating_sub(1);
                under_way.slowest_left(left.div_ceil(2), each) + above
            };
            match demand.class {
                _ if left == 0 => {}
                TaskClass::Leaf(_) => {
                    trees[0] = under_way.slowest_left(left, each).max(trees[0]);
                }
                TaskClass::Keccak(_) => {
                    trees[1] = under_way.slowest_left(left, each).max(trees[1]);
                }
                TaskClass::Join => trees[0] += levels(),
                TaskClass::Union => trees[1] += levels(),
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

/// So many thousandths of `all`.
fn part(all: u128, permille: u128) -> u128 {
    all * permille / u128::from(DONE_PERMILLE)
}

/// How many levels a tree has of which so many inner nodes are left: each level leaves half of them.
fn levels(left: u32) -> u128 {
    (u32::BITS - left.leading_zeros()).into()
}
