//! How far the tasks under way are, and how long the rest of a job should take: for people to see. It rests on what nodes say of
//! themselves, so it decides nothing.

use std::collections::BTreeMap;

use starling_plan::{Order, Plan};
use starling_types::{Millis, Progress};

use crate::{Scheduler, lease::DONE_PERMILLE};

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

impl<P: Plan> Scheduler<P> {
    /// What is under way, by class.
    pub(crate) fn under_way(&self) -> Vec<UnderWay> {
        let mut classes = vec![UnderWay::default(); self.demands.count()];
        for (class, done_permille) in self.leases.under_way() {
            classes[usize::from(class.0)].add(done_permille);
        }
        classes
    }

    /// How far the plan is, with what is done of the tasks under way.
    pub(crate) fn progress(&self, under_way: &[UnderWay]) -> Progress {
        let mut progress = self.plan.progress();
        for ((_, demand), under_way) in self.demands.iter().zip(under_way) {
            let stage = progress.stages.iter_mut().find(|stage| stage.kind == demand.kind);
            if let Some(stage) = stage {
                stage.partly_permille += under_way.done_permille;
            }
        }
        progress
    }

    /// All work left at the speed of all slots; but no less than what must be done one after the other at the
    /// speed of a mean slot: a largest leaf and the joins above it, beside that a largest keccak proof and the
    /// unions above it; then the resolves and the unwrap. What nodes say they have done of a task is not left.
    pub(crate) fn eta(&self, under_way: &[UnderWay]) -> Option<Millis> {
        let (slots, speed) = self.nodes.total_speed();
        if slots == 0 {
            return None;
        }
        let mut work = 0;
        let mut trees: BTreeMap<u8, u128> = BTreeMap::new();
        let mut last = 0;
        for class in self.demands.classes() {
            let demand = self.demands.of(class);
            let under_way = &under_way[usize::from(class.0)];
            let left = self.plan.left(class);
            let each = u128::from(demand.cost.work.0);
            let done = part(each, under_way.done_permille.into());
            let all = (each * u128::from(left)).saturating_sub(done);
            work += all;
            // Above what runs side by side on the lowest level, all others wait.
            match demand.order {
                _ if left == 0 => {}
                Order::Leaves(tree) => {
                    let slowest = trees.entry(tree).or_default();
                    *slowest = under_way.slowest_left(left, each).max(*slowest);
                }
                Order::Merges { tree, width } => {
                    let above = each * levels(left, width).saturating_sub(1);
                    let lowest = under_way.slowest_left(left.div_ceil(2), each);
                    *trees.entry(tree).or_default() += lowest + above;
                }
                Order::Chain => last += all,
            }
        }
        let speed = u128::from(speed.max(1));
        let spread = work * 1000 / speed;
        let chain = trees.into_values().max().unwrap_or(0) + last;
        let in_sequence = chain * 1000 * u128::from(slots) / speed;
        Some(Millis(u64::try_from(spread.max(in_sequence)).unwrap_or(u64::MAX)))
    }
}

/// So many thousandths of `all`.
fn part(all: u128, permille: u128) -> u128 {
    all * permille / u128::from(DONE_PERMILLE)
}

/// How many levels a tree of merges of `width` has of which so many are left: of pairs, each level leaves half of them.
fn levels(left: u32, width: u32) -> u128 {
    (left.checked_ilog(width.max(2)).map_or(0, |levels| levels + 1)).into()
}
