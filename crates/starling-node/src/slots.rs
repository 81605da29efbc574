//! The slots of a node: each is a prover process that works on one task at a time.
//!
//! A slot and the memory of its task are taken before a lease is accepted, and given back when the
//! task is over, whatever became of it. So a node never works on more than it said it could hold,
//! also when several clients grant it leases that would fit one by one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_types::MemoryBytes;
use starling_zkvm::{ProverConfig, ProverProcess};

/// The slots of a node. Clones share them.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Mutex<Free>>,
}

struct Free {
    provers: Vec<ProverProcess>,
    memory: MemoryBytes,
}

impl Slots {
    /// `count` slots that share `memory`; their processes are started when they are first needed.
    pub(crate) fn new(count: u32, memory: MemoryBytes, config: &ProverConfig) -> Self {
        let provers = (0..count).map(|_| ProverProcess::new(config.clone())).collect();
        Self { free: Arc::new(Mutex::new(Free { provers, memory })) }
    }

    /// A free slot for a task that needs `memory`, if there is one and there is as much.
    pub(crate) fn try_take(&self, memory: MemoryBytes) -> Option<Slot> {
        let mut free = self.lock();
        let rest = MemoryBytes(free.memory.0.checked_sub(memory.0)?);
        let prover = free.provers.pop()?;
        free.memory = rest;
        Some(Slot { prover: Some(prover), memory, slots: self.clone() })
    }

    /// What is free.
    pub(crate) fn free(&self) -> Unused {
        let free = self.lock();
        Unused { slots: free.provers.len(), memory: free.memory }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        // A panic elsewhere leaves both whole: each change is a single step.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What nothing works with at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unused {
    pub(crate) slots: usize,
    pub(crate) memory: MemoryBytes,
}

/// A taken slot; dropping it gives it back.
pub(crate) struct Slot {
    prover: Option<ProverProcess>,
    memory: MemoryBytes,
    slots: Slots,
}

impl Slot {
    /// The slot's prover process.
    pub(crate) fn prover(&mut self) -> &mut ProverProcess {
        self.prover.as_mut().expect("a slot has its prover until it is dropped")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(prover) = self.prover.take() {
            let mut free = self.slots.lock();
            free.provers.push(prover);
            free.memory = MemoryBytes(free.memory.0.saturating_add(self.memory.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_taken_with_its_memory_and_given_back_with_it() {
        let config = ProverConfig::new("unused", []);
        let slots = Slots::new(2, MemoryBytes(100), &config);
        let first = slots.try_take(MemoryBytes(60)).expect("free");
        assert!(slots.try_take(MemoryBytes(60)).is_none(), "a slot is free, its memory is not");
        let second = slots.try_take(MemoryBytes(40)).expect("free");
        assert!(slots.try_take(MemoryBytes(0)).is_none(), "memory is free, no slot is");
        drop(first);
        assert_eq!(slots.free(), Unused { slots: 1, memory: MemoryBytes(60) });
        assert!(slots.try_take(MemoryBytes(60)).is_some());
        drop(second);
    }
}
