//! Roots, named sets of blobs that must stay, in memory. The log has their table on the disk
//! (`log/schema.rs`); this copy changes with each of its commits, and at no other time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use starling_types::{JobId, Reference};

use crate::Pin;

/// How the names of jobs' roots begin.
const OF_JOB: &str = "job/";

/// The name of a root: what needs the blobs, and which of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootName(String);

impl RootName {
    /// The name of no root.
    pub(crate) fn none() -> Self {
        Self(String::new())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whose it is, if it is a job's.
    fn job(&self) -> Option<JobId> {
        self.0.strip_prefix(OF_JOB)?.parse().ok()
    }

    /// A name as it was stored.
    pub(crate) fn stored(name: String) -> Self {
        Self(name)
    }
}

impl From<JobId> for RootName {
    fn from(job: JobId) -> Self {
        Self(format!("{OF_JOB}{job}"))
    }
}

impl Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of a root: of what it names, it keeps `keep`, or all, and it names `add` besides.
#[derive(Debug, Default)]
pub(crate) struct RootChange {
    pub keep: Option<BTreeSet<Reference>>,
    /// Pinned until the change is on the disk and in [`RootSets`].
    pub add: Vec<Pin>,
}

/// What all roots name.
#[derive(Debug, Default)]
pub(crate) struct RootSets {
    sets: Mutex<Sets>,
}

#[derive(Debug, Default)]
struct Sets {
    names: BTreeMap<RootName, BTreeSet<Reference>>,
    /// How many roots name a blob.
    counts: BTreeMap<Reference, usize>,
    /// What no root names any more: garbage is looked for among these.
    let_go: BTreeSet<Reference>,
}

impl RootSets {
    /// What `name` names.
    pub fn get(&self, name: &RootName) -> BTreeSet<Reference> {
        self.lock().names.get(name).cloned().unwrap_or_default()
    }

    /// Whether a root names this blob.
    pub fn hold(&self, reference: Reference) -> bool {
        self.lock().counts.contains_key(&reference)
    }

    /// The jobs whose roots name anything.
    pub fn jobs(&self) -> BTreeSet<JobId> {
        self.lock().names.keys().filter_map(RootName::job).collect()
    }

    /// What its last root has let go since this was asked the last time. Some of it may be named again.
    pub fn take_let_go(&self) -> BTreeSet<Reference> {
        mem::take(&mut self.lock().let_go)
    }

    /// Names a blob that the disk says is named.
    pub fn load(&self, name: RootName, reference: Reference) {
        self.lock().add(name, reference);
    }

    /// Applies a change that is on the disk.
    pub fn apply(&self, name: &RootName, change: &RootChange) {
        let mut sets = self.lock();
        if let Some(keep) = &change.keep {
            sets.keep(name, keep);
        }
        for pin in &change.add {
            sets.add(name.clone(), pin.reference);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sets> {
        // Nothing under the lock panics half-way through a change.
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sets {
    fn add(&mut self, name: RootName, reference: Reference) {
        if self.names.entry(name).or_default().insert(reference) {
            *self.counts.entry(reference).or_default() += 1;
        }
    }

    fn keep(&mut self, name: &RootName, keep: &BTreeSet<Reference>) {
        let Some(named) = self.names.get_mut(name) else { return };
        for dropped in named.extract_if(.., |reference| !keep.contains(reference)) {
            if let Some(count) = self.counts.get_mut(&dropped) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&dropped);
                    self.let_go.insert(dropped);
                }
            }
        }
        if named.is_empty() {
            self.names.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_let_go_by_the_last_root_that_names_it_and_that_is_told_once() {
        let [first, second] = [1, 2].map(|job| RootName::from(JobId([job; 16])));
        let [a, b] = [1, 2].map(|byte| Reference([byte; 32]));
        let sets = RootSets::default();
        for (name, reference) in [(&first, a), (&first, a), (&second, a), (&second, b)] {
            sets.load(name.clone(), reference);
        }
        let nothing = RootChange { keep: Some(BTreeSet::new()), add: Vec::new() };
        let held = || [a, b].map(|reference| sets.hold(reference));
        sets.apply(&first, &nothing);
        assert_eq!((held(), sets.take_let_go()), ([true, true], [].into()));
        let only_a = RootChange { keep: Some([a].into()), add: Vec::new() };
        sets.apply(&second, &only_a);
        assert_eq!((held(), sets.take_let_go()), ([true, false], [b].into()));
        sets.apply(&second, &nothing);
        assert_eq!((held(), sets.take_let_go()), ([false, false], [a].into()));
    }
}
