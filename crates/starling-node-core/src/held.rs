//! How much a node holds at one moment: what tests bound and people look at.

use starling_types::MemoryBytes;

use crate::core::Core;

/// How much a node holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Slots that are taken.
    pub slots: usize,
    /// Their memory.
    pub memory: MemoryBytes,
    /// Accepted leases of which something may still run.
    pub leases: usize,
    /// Those of them that are not over.
    pub live: usize,
    /// Results that are kept.
    pub results: usize,
    /// Blobs that are needed.
    pub blobs: usize,
    /// Clients that are known.
    pub clients: usize,
    /// Connections and attempts at them.
    pub links: usize,
    /// Clients that are left alone for a while.
    pub resting: usize,
}

impl Core {
    /// What is held at one moment, for tests and for people: leases with a slot, their memory, leases in all,
    /// results, and blobs.
    pub fn held(&self) -> Held {
        let free = self.slots.free();
        Held {
            slots: self.slots.count() - free.slots,
            memory: MemoryBytes(self.slots.memory().0 - free.memory.0),
            leases: self.works.all().count(),
            live: self.works.live().count(),
            results: self.results.len(),
            blobs: self.blobs.count(),
            clients: self.clients.len(),
            links: self.sessions.len(),
            resting: self.resting.len(),
        }
    }
}
