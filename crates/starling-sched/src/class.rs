//! The classes of tasks by number, and what each needs of a node: what fits is decided per class, not per task.

use starling_plan::{CostModel, PlanShape, TaskClass, TaskCost};
use starling_types::{Millis, Po2, TaskKind};

/// How many classes there are.
pub(crate) const CLASS_COUNT: usize = TaskClass::COUNT;

/// The number of a class: its place in [`TaskClass::by_precedence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(usize);

impl Class {
    /// All classes in the order in which their tasks are given out.
    pub(crate) fn by_precedence() -> impl Iterator<Item = Self> {
        (0..CLASS_COUNT).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// The class as a set of one.
    fn bit(self) -> u32 {
        1 << self.0
    }
}

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ClassSet(u32);

const _: () = assert!(CLASS_COUNT <= u32::BITS as usize, "a class set is 32 bits");

impl ClassSet {
    pub(crate) fn contains(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Class> {
        Class::by_precedence().filter(move |class| self.contains(*class))
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
    pub(crate) class: TaskClass,
    pub(crate) kind: TaskKind,
    pub(crate) cost: TaskCost,
}

impl Demand {
    /// How long a node of this speed should take.
    pub(crate) fn expected(&self, speed_permille: u32) -> Millis {
        Millis(self.cost.work.0.saturating_mul(1000) / u64::from(speed_permille.max(1)))
    }

    /// The po2 of the segment that is proved. A keccak proof has a po2 of its own, and to lift a receipt takes
    /// the same whatever its segment was.
    pub(crate) fn segment_po2(&self) -> Option<Po2> {
        match self.kind {
            TaskKind::Prove | TaskKind::Lift => self.class.po2(),
            _ => None,
        }
    }

    /// Whether the tasks read receipts that other tasks made.
    pub(crate) fn reads_results(&self) -> bool {
        match self.class {
            TaskClass::Leaf(_) | TaskClass::Keccak(_) => false,
            TaskClass::Union | TaskClass::Join | TaskClass::Resolve | TaskClass::Unwrap => true,
        }
    }

    /// Whether the tasks are for nothing when the job assumes no keccak root.
    pub(crate) fn serves_keccak(&self) -> bool {
        matches!(self.class, TaskClass::Keccak(_) | TaskClass::Union)
    }
}

/// What every class of a job needs.
#[derive(Debug, Clone)]
pub(crate) struct Demands([Demand; CLASS_COUNT]);

impl Demands {
    pub(crate) fn new(shape: PlanShape, cost: &CostModel) -> Self {
        let mut classes = TaskClass::by_precedence();
        Self(std::array::from_fn(|_| {
            let class = classes.next().expect("there are as many classes as are listed");
            let kind = class.kind(shape);
            Demand { class, kind, cost: cost.cost(kind, class.po2()) }
        }))
    }

    pub(crate) fn of(&self, class: Class) -> &Demand {
        &self.0[class.0]
    }
}
