//! What is appended, and what is read back.

use serde::Serialize;
use starling_types::{JobId, Reference};

use super::{JobKey, LogError};
use crate::{
    Pin,
    roots::{RootChange, RootName},
};

/// The largest body of an event. Events name blobs, they do not hold them; a mebibyte is a thousand
/// times what an event needs, and small enough to read a log of them back.
pub const BODY_SIZE_BYTES_MAX: usize = 1 << 20;

/// Events of one job, and what becomes of its root with them: all of it is written, or nothing.
#[derive(Debug)]
pub struct Entry {
    /// None for a root without a job.
    pub(super) job: Option<JobKey>,
    pub(super) at_ms: u64,
    pub(super) anew: bool,
    pub(super) events: Vec<NewEvent>,
    pub(super) root: RootName,
    pub(super) change: RootChange,
}

/// An event to be appended.
#[derive(Debug)]
pub(super) struct NewEvent {
    pub kind: &'static str,
    pub body: String,
}

impl Entry {
    /// No events yet, of `job`, that happened at `at_ms`: milliseconds since 1970.
    pub fn of_job(job: JobId, at_ms: u64) -> Self {
        Self { job: Some(job.into()), at_ms, ..Self::of_root(job.into()) }
    }

    /// In place of what stands under `key`, whatever that is: nothing. No root goes with it.
    pub(super) fn forgetting(key: JobKey) -> Self {
        let root = RootName::none();
        Self { job: Some(key), anew: true, ..Self::of_root(root) }
    }

    /// A change of a root that is not a job's.
    pub(super) fn of_root(root: RootName) -> Self {
        let (events, change) = (Vec::new(), RootChange::default());
        Self { job: None, at_ms: 0, anew: false, events, root, change }
    }

    /// With one more event, whose body is `body` as JSON.
    ///
    /// # Errors
    /// When `body` has no JSON form, or exceeds [`BODY_SIZE_BYTES_MAX`].
    pub fn event(mut self, kind: &'static str, body: &impl Serialize) -> Result<Self, LogError> {
        let body = serde_json::to_string(body)
            .map_err(|cause| LogError::Encode { kind: kind.to_owned(), cause })?;
        if body.len() > BODY_SIZE_BYTES_MAX {
            return Err(LogError::BodyTooLarge { kind: kind.to_owned(), size_bytes: body.len() });
        }
        self.events.push(NewEvent { kind, body });
        Ok(self)
    }

    /// In place of all that the log has of the job, its root included; numbering starts over.
    #[must_use]
    pub fn anew(mut self) -> Self {
        self.anew = true;
        self.holding_only([])
    }

    /// With these blobs in the root.
    #[must_use]
    pub fn holding(mut self, pins: impl IntoIterator<Item = Pin>) -> Self {
        self.change.add.extend(pins);
        self
    }

    /// With nothing left of what the root named but these, and what [`Self::holding`] adds.
    #[must_use]
    pub fn holding_only(mut self, keep: impl IntoIterator<Item = Reference>) -> Self {
        self.change.keep = Some(keep.into_iter().collect());
        self
    }
}

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number among the events of its job, from 1.
    pub seq: u64,
    /// What kind of event it is.
    pub kind: String,
    /// Its body as JSON text.
    pub body: String,
    /// When it happened, by its writer's clock, in milliseconds since 1970.
    pub at_ms: u64,
}
