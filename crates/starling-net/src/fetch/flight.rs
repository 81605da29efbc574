//! One transfer for each blob at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use starling_types::Reference;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Which blobs are being fetched.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flights: Mutex<HashMap<Reference, Weak<AsyncMutex<()>>>>,
}

/// The right to fetch a blob.
pub(super) type Flight = OwnedMutexGuard<()>;

impl Flights {
    /// Waits until nobody else fetches `reference`.
    pub async fn board(&self, reference: Reference) -> Flight {
        let lock = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            // Cheap, since only a few are ever alive.
            flights.retain(|_, flight| flight.strong_count() > 0);
            match flights.get(&reference).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    flights.insert(reference, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}
