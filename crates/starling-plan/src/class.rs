//! The classes of the zkVM's tasks: the tasks of one class all need the same.

use starling_types::{Po2, TaskKind};

use crate::{Class, PlanShape};

/// The po2 of the smallest keccak proof (risc0-circuit-keccak `KECCAK_PO2_RANGE`).
pub const KECCAK_PO2_MIN: u32 = 14;

/// The po2 of the largest keccak proof (risc0-circuit-keccak `KECCAK_PO2_RANGE`).
pub const KECCAK_PO2_MAX: u32 = 18;

/// How many po2s a segment can have.
pub const SEGMENT_PO2_COUNT: usize = (Po2::MAX - Po2::MIN + 1) as usize;

/// How many po2s a keccak proof can have.
pub const KECCAK_PO2_COUNT: usize = (KECCAK_PO2_MAX - KECCAK_PO2_MIN + 1) as usize;

/// Tasks of one class need the same memory and work, so what fits is decided for a class, not for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskClass {
    /// What begins with a segment of this po2, or with its receipt.
    Leaf(Po2),
    /// A keccak proof of this po2.
    Keccak(Po2),
    /// A union.
    Union,
    /// A join.
    Join,
    /// A resolve.
    Resolve,
    /// The unwrap.
    Unwrap,
}

impl TaskClass {
    /// How many classes there are.
    pub const COUNT: usize = SEGMENT_PO2_COUNT + KECCAK_PO2_COUNT + 4;

    /// All classes in the order in which their tasks are given out: leaves first, since they are the farthest
    /// from the end; among them the largest, since they take longest.
    pub fn by_precedence() -> impl Iterator<Item = Self> + Clone {
        let descending =
            |min: u32, max: u32| (min..=max).rev().filter_map(|po2| Po2::try_from(po2).ok());
        descending(Po2::MIN, Po2::MAX)
            .map(Self::Leaf)
            .chain(descending(KECCAK_PO2_MIN, KECCAK_PO2_MAX).map(Self::Keccak))
            .chain([Self::Union, Self::Join, Self::Resolve, Self::Unwrap])
    }

    /// Its place in [`Self::by_precedence`].
    pub fn class(self) -> Class {
        let place = match self {
            Self::Leaf(po2) => Po2::MAX - po2.get(),
            Self::Keccak(po2) => {
                SEGMENT_PO2_COUNT as u32 + KECCAK_PO2_MAX.saturating_sub(po2.get())
            }
            Self::Union => (Self::COUNT - 4) as u32,
            Self::Join => (Self::COUNT - 3) as u32,
            Self::Resolve => (Self::COUNT - 2) as u32,
            Self::Unwrap => (Self::COUNT - 1) as u32,
        };
        Class(place as u8)
    }

    /// The class at this place.
    pub fn at(class: Class) -> Option<Self> {
        Self::by_precedence().nth(class.0.into())
    }

    /// The kind of the class's tasks in a job of this shape.
    pub fn kind(self, shape: PlanShape) -> TaskKind {
        match self {
            Self::Leaf(_) => shape.leaf_kind(),
            Self::Keccak(_) => TaskKind::Keccak,
            Self::Union => TaskKind::Union,
            Self::Join => TaskKind::Join,
            Self::Resolve => TaskKind::Resolve,
            Self::Unwrap => TaskKind::Unwrap,
        }
    }

    /// The po2 of the segment or of the keccak proof; `None` where the cost does not depend on one.
    pub fn po2(self) -> Option<Po2> {
        match self {
            Self::Leaf(po2) | Self::Keccak(po2) => Some(po2),
            Self::Union | Self::Join | Self::Resolve | Self::Unwrap => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_class_is_listed_once_leaves_first_and_the_largest_of_them_first_of_all() {
        let listed: Vec<_> = TaskClass::by_precedence().collect();
        assert_eq!(listed.len(), TaskClass::COUNT);
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), TaskClass::COUNT);
        for (place, class) in (0..).zip(&listed) {
            assert_eq!((class.class(), TaskClass::at(Class(place))), (Class(place), Some(*class)));
        }
        let po2s: Vec<_> = listed.iter().map(|class| class.po2().map(Po2::get)).collect();
        let expected = (13..=24).rev().chain((14..=18).rev()).map(Some);
        assert_eq!(po2s, expected.chain([None; 4]).collect::<Vec<_>>());
        let kinds = listed.iter().map(|class| class.kind(PlanShape::Compress));
        let mut kinds: Vec<_> = kinds.collect();
        kinds.dedup();
        use TaskKind::{Join, Keccak, LiftReceipt, Resolve, Union, Unwrap};
        assert_eq!(kinds, [LiftReceipt, Keccak, Union, Join, Resolve, Unwrap]);
    }
}
