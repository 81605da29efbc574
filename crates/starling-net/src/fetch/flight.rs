//! One transfer for each blob at a time, as long as it makes progress. Others that ask for the same blob wait for it a little, then
//! go to their own sources. As soon as one transfer has brought the blob, all who wait for it know.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use n0_future::time::timeout;
use starling_types::Reference;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::Notified};

/// Which blobs are being fetched.
#[derive(Debug, Default)]
pub(super) struct Flights {
    flights: Mutex<HashMap<Reference, Weak<Shared>>>,
}

/// One fetch of a blob.
#[derive(Debug)]
pub(super) struct Flight {
    shared: Arc<Shared>,
    /// Of the first; of those that would not wait for it, none.
    _seat: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Shared {
    seat: Arc<Semaphore>,
    landed: Notify,
}

impl Flights {
    /// Waits until nobody else fetches `reference`, or for as long as `patience` lasts.
    pub async fn board(&self, reference: Reference, patience: Duration) -> Flight {
        let shared = self.shared(reference);
        let seat = timeout(patience, shared.seat.clone().acquire_owned()).await;
        // Never closed: an error is a seat that is not to be had.
        let _seat = seat.ok().and_then(Result::ok);
        Flight { shared, _seat }
    }

    fn shared(&self, reference: Reference) -> Arc<Shared> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // Cheap, since only a few are ever alive.
        flights.retain(|_, flight| flight.strong_count() > 0);
        if let Some(shared) = flights.get(&reference).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::new(Shared { seat: Arc::new(Semaphore::new(1)), landed: Notify::new() });
        flights.insert(reference, Arc::downgrade(&shared));
        shared
    }
}

impl Flight {
    /// Waits until another fetch has brought the blob, from the call on.
    pub fn landed(&self) -> Notified<'_> {
        self.shared.landed.notified()
    }

    /// The blob is here.
    pub fn land(&self) {
        self.shared.landed.notify_waiters();
    }
}
