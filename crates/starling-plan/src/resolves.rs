//! The tasks at the end of a job, each of which needs the one before: a resolve for each assumption, in the
//! order of the list, then the unwrap of a job that counts its work.
//!
//! The chain begins with the receipt of all segments. From then on it holds one receipt, with fewer
//! assumptions each time. A job that counts work delivers the last of them beside the unwrapped one, so an
//! unwrapped receipt does not replace it.

use std::collections::{BTreeMap, BTreeSet};

use starling_types::{BlobRef, Reference, TaskId};

use crate::{Accepted, Assumed, Outcome};

/// The chain of resolves, and the unwrap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolves {
    counts_work: bool,
    /// What the job assumes, head first; `None` before the execution has ended.
    assumed: Option<Vec<Assumed>>,
    /// The first and the last place among them of the root of the keccak proofs.
    keccak_places: Option<(u32, u32)>,
    /// The last place of each given assumption, by its receipt.
    given_places: BTreeMap<Reference, u32>,
    /// By how many assumptions are resolved in it, the receipts of all segments. The last is the one that counts; those
    /// before stand again when it proves false.
    receipts: BTreeMap<u32, BlobRef>,
    /// Receipts of given assumptions that are missing.
    missing: BTreeSet<Reference>,
    /// The receipt without its count of work.
    unwrapped: Option<BlobRef>,
    running: Option<TaskId>,
}

impl Resolves {
    /// Lets the chain end with an unwrap.
    pub(crate) fn count_work(&mut self) {
        self.counts_work = true;
    }

    pub(crate) fn counts_work(&self) -> bool {
        self.counts_work
    }

    /// Says what the job assumes.
    pub(crate) fn end(&mut self, assumed: Vec<Assumed>) {
        self.keccak_places = None;
        self.given_places.clear();
        for (place, assumed) in (0..).zip(&assumed) {
            match assumed {
                Assumed::Keccak => {
                    let first = self.keccak_places.map_or(place, |(first, _)| first);
                    self.keccak_places = Some((first, place));
                }
                Assumed::Given(blob) => drop(self.given_places.insert(blob.reference, place)),
            }
        }
        self.assumed = Some(assumed);
    }

    /// What the job assumes, once that is known.
    pub(crate) fn assumed(&self) -> Option<&[Assumed]> {
        self.assumed.as_deref()
    }

    /// How many resolves the job has, as far as that is known.
    pub(crate) fn count(&self) -> u32 {
        self.assumed.as_ref().map_or(0, |assumed| assumed.len() as u32)
    }

    pub(crate) fn resolved_count(&self) -> u32 {
        self.receipts.last_key_value().map_or(0, |(count, _)| *count)
    }

    fn receipt(&self) -> Option<BlobRef> {
        self.receipts.last_key_value().map(|(_, receipt)| *receipt)
    }

    /// The assumptions that are not resolved.
    fn assumed_still(&self) -> &[Assumed] {
        self.assumed().and_then(|all| all.get(self.resolved_count() as usize..)).unwrap_or(&[])
    }

    /// Whether a keccak root is assumed still, or may yet be.
    pub(crate) fn needs_keccaks(&self) -> bool {
        let is_left = |(_, last)| last >= self.resolved_count();
        self.assumed.is_none() || self.keccak_places.is_some_and(is_left)
    }

    /// Whether a keccak root is among what the job assumes, resolved or not.
    pub(crate) fn assumes_keccaks(&self) -> bool {
        self.keccak_places.is_some()
    }

    /// Begins with the receipt of all segments.
    pub(crate) fn begin(&mut self, receipt: BlobRef) {
        self.receipts.insert(0, receipt);
    }

    /// Whether the receipt of all segments is here, or one that was made of it.
    pub(crate) fn has_begun(&self) -> bool {
        !self.receipts.is_empty()
    }

    /// The task that can be started and what it reads, given the receipt of the keccak root where there is one.
    pub(crate) fn next(&self, keccak_root: Option<BlobRef>) -> Option<(TaskId, Vec<BlobRef>)> {
        let due = self.due(keccak_root).filter(|_| self.running.is_none())?;
        let is_missing = due.1.iter().any(|input| self.missing.contains(&input.reference));
        (!is_missing).then_some(due)
    }

    /// The task whose inputs are there, running or not.
    fn due(&self, keccak_root: Option<BlobRef>) -> Option<(TaskId, Vec<BlobRef>)> {
        self.assumed.as_ref()?;
        let receipt = self.receipt()?;
        match self.assumed_still().first() {
            Some(Assumed::Given(assumption)) => {
                Some((TaskId::Resolve(self.resolved_count()), vec![receipt, *assumption]))
            }
            Some(Assumed::Keccak) => {
                Some((TaskId::Resolve(self.resolved_count()), vec![receipt, keccak_root?]))
            }
            None if self.is_unwrap_left() => Some((TaskId::Unwrap, vec![receipt])),
            None => None,
        }
    }

    /// Whether the job has an unwrap that is not accepted.
    pub(crate) fn is_unwrap_left(&self) -> bool {
        self.counts_work && self.unwrapped.is_none()
    }

    pub(crate) fn running_count(&self) -> u32 {
        self.running.is_some().into()
    }

    pub(crate) fn is_accepted(&self, task: TaskId) -> bool {
        match task {
            TaskId::Resolve(index) => index < self.resolved_count(),
            _ => task == TaskId::Unwrap && self.unwrapped.is_some(),
        }
    }

    /// Whether the task was the next and did not run; it runs then.
    pub(crate) fn start(&mut self, task: TaskId, keccak_root: Option<BlobRef>) -> bool {
        let is_next = self.next(keccak_root).is_some_and(|(next, _)| next == task);
        if is_next {
            self.running = Some(task);
        }
        is_next
    }

    /// Whether the task ran; it can be started anew then.
    pub(crate) fn release(&mut self, task: TaskId) -> bool {
        self.running.take_if(|running| *running == task).is_some()
    }

    /// Takes the receipt of a task of this chain; `None` when one of its inputs is not there yet.
    pub(crate) fn accept(
        &mut self,
        task: TaskId,
        receipt: BlobRef,
        keccak_root: Option<BlobRef>,
    ) -> Option<Accepted> {
        if !self.is_accepted(task) {
            self.due(keccak_root).filter(|(due, _)| *due == task)?;
            self.running = None;
        }
        Some(self.restore(task, receipt))
    }

    /// Takes the receipt of a task of this chain for that of all before it. Nothing runs.
    pub(crate) fn restore(&mut self, task: TaskId, receipt: BlobRef) -> Accepted {
        if self.is_accepted(task) {
            return Accepted::AlreadyAccepted;
        }
        if let TaskId::Resolve(index) = task {
            self.receipts.insert(index + 1, receipt);
        } else {
            self.unwrapped = Some(receipt);
        }
        Accepted::New
    }

    /// Takes the receipts with more than `count` assumptions resolved back, and the unwrapped one with them. The task
    /// that ran, if it read one of them; and the receipt that counts now, if that is another than before.
    pub(crate) fn revoke_above(&mut self, count: u32) -> (Option<TaskId>, Option<BlobRef>) {
        if self.resolved_count() <= count {
            return (None, None);
        }
        let running = self.running.take();
        self.receipts.split_off(&(count + 1));
        self.unwrapped = None;
        (running, self.receipt())
    }

    /// Takes all back that was made of keccak proofs: their root, or what it was made of, proved false.
    pub(crate) fn revoke_keccak(&mut self) -> (Option<TaskId>, Option<BlobRef>) {
        let Some((place, _)) = self.keccak_places else { return (None, None) };
        let reads_root = |task: &mut TaskId| *task == TaskId::Resolve(place);
        let (running, receipt) = self.revoke_above(place);
        (running.or(self.running.take_if(reads_root)), receipt)
    }

    /// Takes the unwrapped receipt back; whether there was one.
    pub(crate) fn revoke_unwrapped(&mut self) -> bool {
        self.unwrapped.take().is_some()
    }

    /// Takes everything back: the receipt of all segments proved false, or what it was made of. The task that ran.
    pub(crate) fn reset(&mut self) -> Option<TaskId> {
        self.receipts.clear();
        self.unwrapped = None;
        self.running.take()
    }

    /// Says whether a blob is missing. Of one that is a receipt of this chain: how many assumptions are resolved in it.
    pub(crate) fn set_missing(&mut self, blob: Reference, is_missing: bool) -> Option<u32> {
        let place = self.given_places.get(&blob);
        if !is_missing {
            self.missing.remove(&blob);
        } else if place.is_some_and(|place| *place >= self.resolved_count()) {
            self.missing.insert(blob);
        }
        let last = self.receipts.last_key_value();
        last.filter(|(_, receipt)| is_missing && receipt.reference == blob).map(|(count, _)| *count)
    }

    /// Whether the unwrapped receipt is this blob.
    pub(crate) fn unwrapped_is(&self, blob: Reference) -> bool {
        self.unwrapped.is_some_and(|unwrapped| unwrapped.reference == blob)
    }

    /// What the job delivers, once the chain is at its end.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let last = self.receipt().filter(|_| self.count() == self.resolved_count())?;
        if self.counts_work {
            return Some(Outcome::Succinct { receipt: self.unwrapped?, work: Some(last) });
        }
        Some(Outcome::Succinct { receipt: last, work: None })
    }

    /// The blobs that may still be read.
    pub(crate) fn live_blobs(&self) -> impl Iterator<Item = BlobRef> + '_ {
        let given = self.assumed_still().iter().filter_map(|assumed| match assumed {
            Assumed::Given(blob) => Some(*blob),
            Assumed::Keccak => None,
        });
        given.chain(self.receipt()).chain(self.unwrapped)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::Reference;

    use super::*;

    fn blob(name: u8) -> BlobRef {
        BlobRef { reference: Reference([name; 32]), size_bytes: 1 }
    }

    /// A chain of which the receipt of all segments is `blob(1)`.
    fn begun(assumed: &[Assumed]) -> Resolves {
        let mut chain = Resolves::default();
        chain.end(assumed.to_vec());
        chain.begin(blob(1));
        chain
    }

    #[test]
    fn nothing_is_next_before_the_execution_has_ended_and_all_segments_are_one() {
        let mut chain = Resolves::default();
        assert_eq!(chain.next(Some(blob(9))), None);
        chain.end(vec![Assumed::Given(blob(5))]);
        assert_eq!(chain.next(Some(blob(9))), None);
        chain.begin(blob(1));
        let inputs = vec![blob(1), blob(5)];
        assert_eq!(chain.next(None), Some((TaskId::Resolve(0), inputs)));
    }

    #[test]
    fn each_resolve_reads_what_the_one_before_left_and_the_next_assumption() {
        let mut chain = begun(&[Assumed::Given(blob(5)), Assumed::Keccak]);
        assert_eq!(chain.accept(TaskId::Resolve(1), blob(8), Some(blob(9))), None, "too early");
        assert_eq!(chain.accept(TaskId::Resolve(0), blob(2), None), Some(Accepted::New));
        assert_eq!(chain.next(None), None, "the keccak root is not there");
        let (task, inputs) = chain.next(Some(blob(9))).unwrap();
        assert_eq!((task, inputs), (TaskId::Resolve(1), vec![blob(2), blob(9)]));
        assert_eq!(chain.outcome(), None);
        chain.accept(task, blob(3), Some(blob(9))).unwrap();
        let outcome = Outcome::Succinct { receipt: blob(3), work: None };
        assert_eq!(chain.outcome(), Some(outcome));
        assert_eq!(chain.next(Some(blob(9))), None);
    }

    #[test]
    fn a_running_task_is_not_next_and_a_released_one_is_again() {
        let mut chain = begun(&[Assumed::Given(blob(5))]);
        let task = TaskId::Resolve(0);
        assert!(!chain.start(TaskId::Unwrap, None));
        assert!(chain.start(task, None) && !chain.start(task, None));
        assert_eq!((chain.next(None), chain.running_count()), (None, 1));
        assert!(!chain.release(TaskId::Resolve(1)));
        assert!(chain.release(task) && !chain.release(task));
        assert_eq!(chain.next(None).map(|(next, _)| next), Some(task));
    }

    #[test]
    fn a_job_that_counts_work_delivers_the_unwrapped_receipt_and_the_one_before() {
        let mut chain = begun(&[Assumed::Given(blob(5))]);
        chain.count_work();
        chain.accept(TaskId::Resolve(0), blob(2), None).unwrap();
        assert_eq!(chain.next(None), Some((TaskId::Unwrap, vec![blob(2)])));
        assert_eq!(chain.outcome(), None);
        assert_eq!(chain.accept(TaskId::Unwrap, blob(3), None), Some(Accepted::New));
        let again = chain.accept(TaskId::Unwrap, blob(4), None);
        assert_eq!(again, Some(Accepted::AlreadyAccepted));
        let outcome = Outcome::Succinct { receipt: blob(3), work: Some(blob(2)) };
        assert_eq!(chain.outcome(), Some(outcome));
        assert_eq!(chain.live_blobs().collect::<Vec<_>>(), [blob(2), blob(3)]);
    }

    #[test]
    fn a_restored_resolve_covers_those_before_and_their_assumptions() {
        let mut chain = Resolves::default();
        let given = |name| Assumed::Given(blob(name));
        chain.end(vec![given(5), Assumed::Keccak, given(6)]);
        assert!(chain.needs_keccaks());
        assert_eq!(chain.restore(TaskId::Resolve(1), blob(3)), Accepted::New);
        assert_eq!(chain.restore(TaskId::Resolve(0), blob(2)), Accepted::AlreadyAccepted);
        assert!(chain.has_begun() && !chain.needs_keccaks());
        assert_eq!(chain.live_blobs().collect::<Vec<_>>(), [blob(6), blob(3)]);
        assert_eq!(chain.next(None), Some((TaskId::Resolve(2), vec![blob(3), blob(6)])));
    }

    #[test]
    fn an_unwrapped_receipt_that_was_restored_waits_for_the_work_receipt() {
        let mut chain = Resolves::default();
        chain.count_work();
        chain.end(vec![]);
        assert_eq!(chain.restore(TaskId::Unwrap, blob(3)), Accepted::New);
        assert_eq!((chain.outcome(), chain.next(None)), (None, None));
        chain.begin(blob(1));
        let outcome = Outcome::Succinct { receipt: blob(3), work: Some(blob(1)) };
        assert_eq!((chain.outcome(), chain.next(None)), (Some(outcome), None));
    }
}
