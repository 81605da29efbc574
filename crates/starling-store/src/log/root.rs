//! A root by itself: blobs that must stay, independently of the events of jobs.

use std::collections::BTreeSet;

use starling_types::Reference;

use super::{Entry, EventLog, LogError};
use crate::{Pin, roots::RootName};

/// A named set of blobs that must stay. It is durable; each change is made when it returns, and made once however
/// often it is asked for. These calls wait for the disk.
#[derive(Debug)]
pub struct Root<'a> {
    log: &'a EventLog,
    name: RootName,
}

impl<'a> Root<'a> {
    pub(super) fn new(log: &'a EventLog, name: RootName) -> Self {
        Self { log, name }
    }

    /// What it names.
    pub fn references(&self) -> BTreeSet<Reference> {
        self.log.roots().get(&self.name)
    }

    /// Names these blobs too.
    ///
    /// # Errors
    /// As [`EventLog::hand_over`].
    pub fn add(&self, pins: impl IntoIterator<Item = Pin>) -> Result<(), LogError> {
        self.change(Entry::of_root(self.name.clone()).holding(pins))
    }

    /// Names these blobs and no others.
    ///
    /// # Errors
    /// As [`EventLog::hand_over`].
    pub fn replace(&self, pins: impl IntoIterator<Item = Pin>) -> Result<(), LogError> {
        self.change(Entry::of_root(self.name.clone()).holding_only([]).holding(pins))
    }

    /// Names nothing any more.
    ///
    /// # Errors
    /// As [`EventLog::hand_over`].
    pub fn remove(&self) -> Result<(), LogError> {
        self.replace([])
    }

    fn change(&self, entry: Entry) -> Result<(), LogError> {
        self.log.append_blocking(entry).map(|_| ())
    }
}
