//! What tasks need of one prover: what its system's side says to the node that has it.

use std::collections::BTreeMap;

use crate::{KindCode, MemoryBytes, MemoryTable, Millis, Po2, Profile};

/// What one task needs of a prover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The memory that is kept for it.
    pub memory: MemoryBytes,
    /// What the prover's process may allocate for it, all in all: a task beyond that is not what it says it is.
    pub limit: MemoryBytes,
    /// How memory is traded for time: so much of it is what `memory` says.
    pub profile: Profile,
    /// The work, in milliseconds of the reference core: what speeds are counted in.
    pub work: Millis,
}

/// What tasks need of a prover, by kind and by the po2 that this depends on. What is not in it is not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    table: BTreeMap<(KindCode, Option<Po2>), Need>,
}

impl Needs {
    /// What a task of this kind and size needs; `None` for one that is not taken.
    pub fn of(&self, kind: KindCode, po2: Option<Po2>) -> Option<Need> {
        self.table.get(&(kind, po2)).copied()
    }

    /// As a client is told.
    pub fn stated(&self) -> BTreeMap<KindCode, MemoryTable> {
        let mut kinds = BTreeMap::<KindCode, MemoryTable>::new();
        for (&(kind, po2), need) in &self.table {
            let table = kinds.entry(kind).or_default();
            match po2 {
                Some(po2) => drop(table.by_po2.insert(po2, need.memory)),
                None => table.any = Some(need.memory),
            }
        }
        kinds
    }
}

impl FromIterator<((KindCode, Option<Po2>), Need)> for Needs {
    fn from_iter<T: IntoIterator<Item = ((KindCode, Option<Po2>), Need)>>(needs: T) -> Self {
        Self { table: needs.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_of_each_kind_is_its_memory_at_each_size() {
        let need = |mib| Need {
            memory: MemoryBytes::from_mib(mib),
            limit: MemoryBytes::from_mib(2 * mib),
            profile: Profile::Usual,
            work: Millis(1),
        };
        let sized = (KindCode(2), Some(Po2::SMALLEST));
        let needs: Needs = [(sized, need(3)), ((KindCode(3), None), need(5))].into_iter().collect();
        assert_eq!(needs.of(KindCode(2), None), None, "it has a size");
        let [of_sized, of_other] = [3, 5].map(MemoryBytes::from_mib);
        let by_po2 = [(Po2::SMALLEST, of_sized)].into();
        let stated = [
            (KindCode(2), MemoryTable { by_po2, any: None }),
            (KindCode(3), MemoryTable { any: Some(of_other), ..MemoryTable::default() }),
        ];
        assert_eq!(needs.stated(), stated.into());
    }
}
