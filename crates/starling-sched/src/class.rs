//! Sets of classes: what fits is decided per class of tasks, not per task.

use starling_plan::{Class, Demand};
use starling_types::Millis;

/// The most classes that a plan may have: a set of them is one word.
pub(crate) const CLASS_COUNT_MAX: usize = u64::BITS as usize;

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClassSet(u64);

impl ClassSet {
    pub(crate) fn contains(self, class: Class) -> bool {
        self.0 & (1 << class.0) != 0
    }
}

impl FromIterator<Class> for ClassSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        Self(classes.into_iter().fold(0, |set, class| set | 1 << class.0))
    }
}

/// What the classes of a plan need, by their number.
#[derive(Debug, Clone)]
pub(crate) struct Demands {
    demands: Vec<Demand>,
    /// All classes, those with the least work first.
    cheapest_first: Vec<Class>,
}

impl Demands {
    /// # Panics
    /// When there are more than [`CLASS_COUNT_MAX`]: a plan is code of ours.
    pub(crate) fn new(demands: &[Demand]) -> Self {
        assert!(demands.len() <= CLASS_COUNT_MAX, "a plan has at most {CLASS_COUNT_MAX} classes");
        let mut cheapest_first: Vec<Class> = (0..demands.len() as u8).map(Class).collect();
        cheapest_first.sort_by_key(|class| demands[usize::from(class.0)].cost.work);
        Self { demands: demands.to_vec(), cheapest_first }
    }

    pub(crate) fn count(&self) -> usize {
        self.demands.len()
    }

    /// All classes in the order in which their tasks are given out.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> + use<> {
        (0..self.demands.len() as u8).map(Class)
    }

    /// The classes one after the other, the one with the least work first; `None` behind the last.
    pub(crate) fn nth_cheapest(&self, index: usize) -> Option<Class> {
        self.cheapest_first.get(index).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Class, &Demand)> {
        self.classes().zip(&self.demands)
    }

    pub(crate) fn of(&self, class: Class) -> &Demand {
        &self.demands[usize::from(class.0)]
    }
}

/// How long a node of this speed should take for a task.
pub(crate) fn expected(demand: &Demand, speed_permille: u32) -> Millis {
    Millis(demand.cost.work.0.saturating_mul(1000) / u64::from(speed_permille.max(1)))
}
