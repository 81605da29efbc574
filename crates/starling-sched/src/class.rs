//! Classes: tasks of one class need the same of a node, so what fits is decided per class, not per task.

use starling_plan::{CostModel, PlanShape, TaskCost};
use starling_types::{Millis, Po2, TaskKind};

/// One class for the leaves of each po2, and one for joins.
pub(crate) const CLASS_COUNT: usize = (Po2::MAX - Po2::MIN + 2) as usize;

/// The class of joins: the last.
const JOIN: usize = CLASS_COUNT - 1;

/// The number of a class, below [`CLASS_COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(usize);

impl Class {
    /// The class of the leaves of this po2.
    pub(crate) fn of_leaf(po2: Po2) -> Self {
        Self((po2.get() - Po2::MIN) as usize)
    }

    /// All classes in the order in which their tasks are given out: leaves before joins, and among the
    /// leaves the largest first.
    pub(crate) fn by_precedence() -> impl Iterator<Item = Self> {
        (0..JOIN).rev().chain([JOIN]).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// The class as a set of one.
    fn bit(self) -> u16 {
        1 << self.0
    }
}

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClassSet(u16);

const _: () = assert!(CLASS_COUNT <= u16::BITS as usize, "a class set is 16 bits");

impl ClassSet {
    pub(crate) fn contains(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Class> {
        (0..CLASS_COUNT).map(Class).filter(move |class| self.contains(*class))
    }
}

impl FromIterator<Class> for ClassSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        Self(classes.into_iter().fold(0, |set, class| set | class.bit()))
    }
}

/// What the tasks of one class need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    pub(crate) kind: TaskKind,
    pub(crate) po2: Option<Po2>,
    pub(crate) cost: TaskCost,
}

impl Demand {
    /// How long a node of this speed should take.
    pub(crate) fn expected(&self, speed_permille: u32) -> Millis {
        Millis(self.cost.work.0.saturating_mul(1000) / u64::from(speed_permille.max(1)))
    }
}

/// What every class of a job needs.
#[derive(Debug, Clone)]
pub(crate) struct Demands([Demand; CLASS_COUNT]);

impl Demands {
    pub(crate) fn new(shape: PlanShape, cost: &CostModel) -> Self {
        Self(std::array::from_fn(|index| {
            let po2 = (index != JOIN).then(|| {
                Po2::try_from(Po2::MIN + index as u32).expect("a class is within the po2s")
            });
            let kind = if po2.is_some() { shape.leaf_kind() } else { TaskKind::Join };
            Demand { kind, po2, cost: cost.cost(kind, po2) }
        }))
    }

    pub(crate) fn of(&self, class: Class) -> &Demand {
        &self.0[class.0]
    }
}
