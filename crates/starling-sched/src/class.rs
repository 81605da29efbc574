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
pub(crate) struct Demands(Vec<Demand>);

impl Demands {
    /// # Panics
    /// When there are more than [`CLASS_COUNT_MAX`]: a plan is code of ours.
    pub(crate) fn new(demands: &[Demand]) -> Self {
        assert!(demands.len() <= CLASS_COUNT_MAX, "a plan has at most {CLASS_COUNT_MAX} classes");
        Self(demands.to_vec())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// All classes in the order in which their tasks are given out.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> + use<> {
        (0..self.0.len() as u8).map(Class)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Class, &Demand)> {
        self.classes().zip(&self.0)
    }

    pub(crate) fn of(&self, class: Class) -> &Demand {
        &self.0[usize::from(class.0)]
    }
}

/// How long a node of this speed should take for a task.
pub(crate) fn expected(demand: &Demand, speed_permille: u32) -> Millis {
    Millis(demand.cost.work.0.saturating_mul(1000) / u64::from(speed_permille.max(1)))
}
