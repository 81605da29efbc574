//! What the zkVM's plan does when a receipt proves false, or a blob is gone. Each of its receipts is checked by itself, so
//! this happens after a check that was not strict enough, and on a damaged disk.

use starling_types::{BlobRef, IndexRange, Reference, Task, TaskId};

use super::ZkvmPlan;
use crate::{PlanError, Revoked, joins::Dissolved};

impl ZkvmPlan {
    /// Takes a receipt back that proved false, and all that was made of it.
    pub fn revoke(&mut self, task: TaskId) -> Result<Revoked, PlanError> {
        self.check_known(task)?;
        let revoked = match task {
            TaskId::Prove(_) | TaskId::Lift(_) | TaskId::LiftReceipt(_) | TaskId::Join(_) => {
                self.revoke_segments(task.range())
            }
            TaskId::Keccak(_) | TaskId::Union(_) => self.revoke_keccaks(task.range()),
            TaskId::Resolve(index) => self.resolves.is_accepted(task).then(|| {
                let chain = self.resolves.revoke_above(index);
                self.resume_chain(chain)
            }),
            TaskId::Unwrap => self.resolves.revoke_unwrapped().then(Revoked::default),
        };
        self.begin_resolves();
        revoked.ok_or(PlanError::NotAccepted { task: task.into() })
    }

    fn revoke_segments(&mut self, range: IndexRange) -> Option<Revoked> {
        if !self.joins.is_accepted(range) {
            return None;
        }
        // All of the chain is made of all segments.
        let mut revoked = Revoked::default();
        if self.resolves.has_begun() {
            revoked.dissolved.extend(self.resolves.reset().map(Task::from));
            if let Some(all) = self.all_segments() {
                self.joins.put_back(all);
            }
        }
        let dissolved = self.joins.revoke(range)?;
        let bare: Vec<BlobRef> =
            dissolved.bare.iter().filter_map(|index| self.segments.revoke(*index)).collect();
        revoked.note(dissolved, bare, TaskId::Join);
        Some(revoked)
    }

    fn revoke_keccaks(&mut self, range: IndexRange) -> Option<Revoked> {
        let dissolved = self.unions.revoke(range)?;
        let bare: Vec<BlobRef> =
            dissolved.bare.iter().filter_map(|index| self.keccaks.revoke(*index)).collect();
        let chain = self.resolves.revoke_keccak();
        let mut revoked = self.resume_chain(chain);
        revoked.note(dissolved, bare, TaskId::Union);
        Some(revoked)
    }

    /// After the chain lost its last receipts. If none is left though it had begun, everything is proved anew.
    fn resume_chain(&mut self, (running, receipt): (Option<TaskId>, Option<BlobRef>)) -> Revoked {
        let mut revoked = Revoked::default();
        revoked.dissolved.extend(running.map(Task::from));
        revoked.reread.extend(receipt);
        let all = self
            .all_segments()
            .filter(|_| !self.resolves.has_begun() && self.joins.piece_count() == 0);
        for index in all.into_iter().flat_map(|all| all.start()..all.end()) {
            revoked.reread.extend(self.segments.revoke(index));
        }
        revoked
    }

    /// Says that a blob is missing or damaged.
    pub fn lost(&mut self, blob: Reference) -> Revoked {
        self.segments.set_missing(blob, true);
        self.keccaks.set_missing(blob, true);
        let mut revoked = Revoked::default();
        if self.resolves.unwrapped_is(blob) {
            self.resolves.revoke_unwrapped();
        }
        match self.resolves.set_missing(blob, true) {
            Some(count) if count > 0 => {
                let chain = self.resolves.revoke_above(count - 1);
                revoked.add(self.resume_chain(chain));
            }
            _ => {}
        }
        // Once something is resolved, the receipts that it was made of are done with.
        let joins_count = self.resolves.resolved_count() == 0;
        for range in self.joins.read_with(blob).into_iter().filter(|_| joins_count) {
            revoked.add(self.revoke_segments(range).unwrap_or_default());
        }
        if self.needs_keccaks() {
            for range in self.unions.standing_with(blob) {
                revoked.add(self.revoke_keccaks(range).unwrap_or_default());
            }
        }
        self.begin_resolves();
        revoked
    }

    /// Says that a segment, a keccak request or the receipt of an assumption is there again.
    pub fn found(&mut self, blob: Reference) {
        self.segments.set_missing(blob, false);
        self.keccaks.set_missing(blob, false);
        self.resolves.set_missing(blob, false);
    }
}

impl Revoked {
    pub(crate) fn note<T: Into<Task>>(
        &mut self,
        dissolved: Dissolved,
        bare: Vec<BlobRef>,
        name: impl Fn(IndexRange) -> T,
    ) {
        self.dissolved.extend(dissolved.running.into_iter().map(|range| name(range).into()));
        self.reread.extend(dissolved.orphans);
        self.reread.extend(bare);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.dissolved.extend(other.dissolved);
        self.reread.extend(other.reread);
    }
}
