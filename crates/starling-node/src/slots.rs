//! The slots of a node: each is a prover process that works on one task at a time.
//!
//! A slot is taken before a lease is accepted and given back when its task is over, whatever became
//! of it, so that a node never works on more than it said it could hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_zkvm::{ProverConfig, ProverProcess};

/// The slots of a node. Clones share them.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Mutex<Vec<ProverProcess>>>,
}

impl Slots {
    /// `count` slots, whose processes are started when they are first needed.
    pub(crate) fn new(count: u32, config: &ProverConfig) -> Self {
        let free = (0..count).map(|_| ProverProcess::new(config.clone())).collect();
        Self { free: Arc::new(Mutex::new(free)) }
    }

    /// A free slot, if there is one.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        let prover = self.lock().pop()?;
        Some(Slot { prover: Some(prover), slots: self.clone() })
    }

    /// How many slots are free.
    pub(crate) fn free_count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ProverProcess>> {
        // A panic elsewhere leaves the list whole: it is only pushed to and popped from.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A taken slot; dropping it gives it back.
pub(crate) struct Slot {
    prover: Option<ProverProcess>,
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
            self.slots.lock().push(prover);
        }
    }
}
