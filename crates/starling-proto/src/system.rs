//! Proof systems, as nodes offer them and as clients want them: kinds of tasks are numbers that each system gives a meaning.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{KindCode, MemoryBytes, MemoryTable, SystemName};

use crate::{
    error::FieldError,
    field,
    limits::{NEED_COUNT_MAX, SYSTEM_COUNT_MAX, TASK_KIND_COUNT_MAX},
    wire,
};

/// A proof system, and what of it a node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The name by which systems are compared, such as `risc0/a54dc85a/2`.
    pub system: SystemName,
    /// The kinds of task that the node takes, and what its own prover needs for them; at least one.
    pub kinds: BTreeMap<KindCode, MemoryTable>,
    /// How fast one of its slots proves them, in thousandths of the reference core.
    pub speed_permille: u32,
}

/// A proof system, and what of it a client wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name by which systems are compared.
    pub system: SystemName,
    /// The kinds of task that there are; at least one.
    pub kinds: BTreeSet<KindCode>,
}

impl Offer {
    pub(crate) fn to_wire(&self) -> wire::Offer {
        let kinds = self
            .kinds
            .iter()
            .map(|(kind, table)| wire::OfferedKind { kind: kind.0, needs: needs_to_wire(table) });
        wire::Offer {
            system: field::outgoing_text(self.system.as_str()),
            kinds: kinds.collect(),
            speed_permille: self.speed_permille,
        }
    }

    fn from_wire(offer: &wire::Offer) -> Result<Self, FieldError> {
        let system = field::system("system", &offer.system)?;
        let kinds = field::some_of("kinds", &offer.kinds, TASK_KIND_COUNT_MAX)?;
        let kinds = field::each("kinds", kinds, |offered| {
            Ok((field::kind("kind", offered.kind)?, table(&offered.needs)?))
        })?;
        let speed_permille = offer.speed_permille;
        Ok(Self { system, kinds: kinds.into_iter().collect(), speed_permille })
    }
}

impl Wanted {
    pub(crate) fn to_wire(&self) -> wire::Wanted {
        let kinds = self.kinds.iter().map(|kind| kind.0).collect();
        wire::Wanted { system: field::outgoing_text(self.system.as_str()), kinds }
    }

    fn from_wire(wanted: &wire::Wanted) -> Result<Self, FieldError> {
        let system = field::system("system", &wanted.system)?;
        let kinds = field::some_of("kinds", &wanted.kinds, TASK_KIND_COUNT_MAX)?;
        let kinds = field::each("kinds", kinds, |kind| field::kind("kind", *kind))?;
        Ok(Self { system, kinds: kinds.into_iter().collect() })
    }
}

pub(crate) fn offers(systems: &[wire::Offer]) -> Result<Vec<Offer>, FieldError> {
    let systems = field::some_of("systems", systems, SYSTEM_COUNT_MAX)?;
    field::each("systems", systems, Offer::from_wire)
}

pub(crate) fn wanted(systems: &[wire::Wanted]) -> Result<Vec<Wanted>, FieldError> {
    let systems = field::some_of("systems", systems, SYSTEM_COUNT_MAX)?;
    field::each("systems", systems, Wanted::from_wire)
}

fn needs_to_wire(table: &MemoryTable) -> Vec<wire::Need> {
    let any = table.any.map(|memory| (0, memory));
    let sized = table.by_po2.iter().map(|(po2, memory)| (po2.get(), *memory));
    let need = |(po2, MemoryBytes(memory_bytes))| wire::Need { po2, memory_bytes };
    any.into_iter().chain(sized).map(need).collect()
}

/// Of two figures for one size the last counts.
fn table(needs: &[wire::Need]) -> Result<MemoryTable, FieldError> {
    let mut table = MemoryTable::default();
    let needs = field::at_most("needs", needs, NEED_COUNT_MAX)?;
    let needs = field::each("needs", needs, |need| {
        let po2 = if need.po2 == 0 { None } else { Some(field::po2("po2", need.po2)?) };
        Ok((po2, MemoryBytes(need.memory_bytes)))
    })?;
    for (po2, memory) in needs {
        match po2 {
            Some(po2) => drop(table.by_po2.insert(po2, memory)),
            None => table.any = Some(memory),
        }
    }
    Ok(table)
}
