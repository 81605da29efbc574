//! Results that were made: told to their clients until judged, and kept for others to fetch.
//!
//! They go when their job or client is over, when the client has been away for too long, and, the oldest first,
//! when there are too many: first those that their clients have fetched and accepted.

use std::collections::BTreeMap;

use starling_proto::{Done, LeaseId};
use starling_types::{BlobRef, NodeId};

use crate::limits::RESULT_COUNT_MAX;

/// A result.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) client: NodeId,
    pub(crate) done: Done,
    /// Whether the client has accepted it.
    pub(crate) accepted: bool,
}

/// The results, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    kept: BTreeMap<u64, Kept>,
    names: BTreeMap<(NodeId, LeaseId), u64>,
    next: u64,
    bytes: u64,
    bytes_max: u64,
}

impl Results {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { kept: BTreeMap::new(), names: BTreeMap::new(), next: 0, bytes: 0, bytes_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn contains(&self, client: NodeId, lease: LeaseId) -> bool {
        self.names.contains_key(&(client, lease))
    }

    /// Keeps a result; returns what has to go for it. Its lease has no other.
    pub(crate) fn insert(&mut self, client: NodeId, done: Done) -> Vec<BlobRef> {
        self.bytes = self.bytes.saturating_add(done.result.size_bytes);
        self.names.insert((client, done.lease), self.next);
        self.kept.insert(self.next, Kept { client, done, accepted: false });
        self.next += 1;
        let mut gone = Vec::new();
        // The newest stays in any case: its client has not heard of it yet.
        while self.kept.len() > 1
            && (self.kept.len() > RESULT_COUNT_MAX || self.bytes > self.bytes_max)
        {
            let accepted = self.kept.iter().find(|(_, kept)| kept.accepted);
            let Some(&oldest) = accepted.or(self.kept.iter().next()).map(|(key, _)| key) else {
                break;
            };
            gone.extend(self.take(oldest));
        }
        gone
    }

    /// Those of a client that it has not judged.
    pub(crate) fn unjudged(&self, client: NodeId) -> impl Iterator<Item = &Done> {
        let of_client = self.kept.values().filter(move |kept| kept.client == client);
        of_client.filter(|kept| !kept.accepted).map(|kept| &kept.done)
    }

    pub(crate) fn accept(&mut self, client: NodeId, lease: LeaseId) {
        let name = self.names.get(&(client, lease));
        if let Some(kept) = name.and_then(|key| self.kept.get_mut(key)) {
            kept.accepted = true;
        }
    }

    pub(crate) fn remove(&mut self, client: NodeId, lease: LeaseId) -> Option<BlobRef> {
        let key = *self.names.get(&(client, lease))?;
        self.take(key)
    }

    /// Removes those that `gone` wants removed.
    pub(crate) fn remove_where(&mut self, gone: impl Fn(&Kept) -> bool) -> Vec<BlobRef> {
        let keys: Vec<_> =
            self.kept.iter().filter(|(_, kept)| gone(kept)).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| self.take(key)).collect()
    }

    fn take(&mut self, key: u64) -> Option<BlobRef> {
        let kept = self.kept.remove(&key)?;
        self.names.remove(&(kept.client, kept.done.lease));
        self.bytes -= kept.done.result.size_bytes.min(self.bytes);
        Some(kept.done.result)
    }
}

#[cfg(test)]
mod tests {
    use starling_types::{Epoch, JobId, MemoryBytes, Reference};

    use super::*;

    const CLIENT: NodeId = NodeId([1; 32]);

    fn lease(epoch: u64) -> LeaseId {
        LeaseId { job: JobId([1; 16]), epoch: Epoch(epoch) }
    }

    fn done(epoch: u64, size_bytes: u64) -> Done {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&epoch.to_le_bytes());
        let result = BlobRef { reference: Reference(name), size_bytes };
        Done { lease: lease(epoch), result, prove_ms: 1, peak_memory: MemoryBytes(1) }
    }

    #[test]
    fn when_there_are_too_many_bytes_the_oldest_accepted_goes_first() {
        let mut results = Results::new(100);
        assert_eq!(results.insert(CLIENT, done(1, 40)), vec![]);
        assert_eq!(results.insert(CLIENT, done(2, 40)), vec![]);
        results.accept(CLIENT, lease(2));
        assert_eq!(results.insert(CLIENT, done(3, 40)), vec![done(2, 40).result]);
        assert_eq!(results.insert(CLIENT, done(4, 40)), vec![done(1, 40).result]);
        assert_eq!(
            results.insert(CLIENT, done(5, 400)),
            [3, 4].map(|epoch| done(epoch, 40).result)
        );
        assert_eq!(results.unjudged(CLIENT).count(), 1, "the newest stays in any case");
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let mut results = Results::new(u64::MAX);
        for epoch in 0..2 * RESULT_COUNT_MAX as u64 {
            results.insert(CLIENT, done(epoch, 1));
        }
        assert_eq!((results.len(), results.names.len()), (RESULT_COUNT_MAX, RESULT_COUNT_MAX));
        assert_eq!(results.remove_where(|_| true).len(), RESULT_COUNT_MAX);
        assert_eq!((results.names.len(), results.bytes), (0, 0));
    }
}
