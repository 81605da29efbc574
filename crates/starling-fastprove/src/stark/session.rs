//! One proof, from its first commitment to its seal.

use std::sync::Arc;

use super::engine::Engine;
use super::group::Group;
use super::members::Members;
use super::transcript::Transcript;
use super::{Circuit, NonZeroRemainder, deep, fri};
use crate::phase::phase;
use crate::pool::Buffer;

/// A proof in the making.
///
/// The caller writes to the transcript what the circuit's protocol begins with (for RISC Zero's circuits: the
/// hashes of the proof system's and the circuit's names, then the globals and the po2), commits every group, and
/// finishes.
pub struct Session<'a, C> {
    engine: &'a Engine,
    circuit: &'a C,
    po2: usize,
    transcript: Transcript,
    members: Members,
}

impl<'a, C: Circuit> Session<'a, C> {
    /// Begins a proof of `circuit` over 2^po2 cycles, with an empty transcript.
    pub fn new(engine: &'a Engine, circuit: &'a C, po2: usize) -> Self {
        Self {
            engine,
            circuit,
            po2,
            transcript: Transcript::new(engine.suite()),
            members: Members::new(circuit.taps().num_groups()),
        }
    }

    /// Where the verifier's challenges come from, and the seal grows.
    pub fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }

    /// Commits to the trace of group `index`: columns of 2^po2 words, as many as the taps have. The trace's memory
    /// is taken.
    ///
    /// # Panics
    ///
    /// On another shape, or when the group is committed already.
    pub fn commit(&mut self, index: usize, trace: Buffer) {
        self.commit_own(index, trace, None);
    }

    /// As [`Session::commit`], for a trace that will be [recalled](Session::recall): keeps a copy until then, if the
    /// engine has room for that.
    ///
    /// # Panics
    ///
    /// As [`Session::commit`].
    pub fn commit_to_recall(&mut self, index: usize, trace: Buffer) {
        let pool = self.engine.pool();
        let copy = self.engine.plan().trace_kept.then(|| pool.take_copy(&trace));
        self.commit_own(index, trace, copy);
    }

    /// As [`Session::commit`], for a trace whose words need not be elements. A proof of it is worth nothing but to be
    /// compared with that of a prover that commits to the same words.
    ///
    /// # Panics
    ///
    /// As [`Session::commit`].
    pub fn commit_any(&mut self, index: usize, trace: Buffer) {
        self.commit_by(index, trace, None, Group::commit_any);
    }

    fn commit_own(&mut self, index: usize, trace: Buffer, copy: Option<Buffer>) {
        self.commit_by(index, trace, copy, Group::commit_trace);
    }

    fn commit_by(
        &mut self,
        index: usize,
        trace: Buffer,
        copy: Option<Buffer>,
        commit: fn(&Engine, Buffer, usize, usize) -> Group,
    ) {
        let columns = self.circuit.taps().group_size(index);
        self.check(index, columns, trace.len() / columns);
        let spare_max = self.members.spare_left(self.engine);
        let group = commit(self.engine, trace, columns, spare_max);
        self.members.add_own(index, group, copy).commit(&mut self.transcript);
    }

    /// Commits to group `index` with zeros in all of its columns; see [`Group::zero`].
    ///
    /// # Panics
    ///
    /// When the group is committed already.
    pub fn commit_zero(&mut self, index: usize) {
        let (columns, rows) = (self.circuit.taps().group_size(index), 1 << self.po2);
        self.check(index, columns, rows);
        let group = Group::zero(self.engine, columns, rows);
        self.members.add_own(index, group, None).commit(&mut self.transcript);
    }

    /// Commits to group `index`, made before with an engine of the same suite.
    ///
    /// # Panics
    ///
    /// When its shape isn't the circuit's, or the group is committed already.
    pub fn commit_ready(&mut self, index: usize, group: Arc<Group>) {
        self.check(index, group.columns(), group.rows());
        self.members.add_shared(index, group).commit(&mut self.transcript);
    }

    fn check(&self, index: usize, columns: usize, rows: usize) {
        assert_eq!(columns, self.circuit.taps().group_size(index), "columns of group {index}");
        assert_eq!(rows, 1 << self.po2, "rows of group {index}");
        assert!(!self.members.contains(index), "group {index} is committed already");
    }

    /// Shows the trace that group `index` was committed with to `read`; what that returns. The trace is the copy that
    /// was kept, which is given back afterwards, or else is computed from the coefficients.
    ///
    /// # Panics
    ///
    /// When the group was not committed with a trace.
    pub fn recall<T>(&mut self, index: usize, read: impl FnOnce(&[u32]) -> T) -> T {
        let trace = self.members.trace(self.engine, index);
        let result = read(trace.expect("the group was committed with a trace"));
        self.members.rest(self.engine, index);
        result
    }

    /// Proves that the committed groups and `globals` satisfy the circuit; the seal. Whether they do shows when the
    /// seal is verified, not here.
    ///
    /// # Errors
    ///
    /// When what was computed does not fit together: a fault of this machine or of this crate.
    ///
    /// # Panics
    ///
    /// When a group was not committed.
    pub fn finish(self, globals: &[&[u32]]) -> Result<Vec<u32>, NonZeroRemainder> {
        let Self { engine, circuit, po2, mut transcript, mut members } = self;
        let check = phase("commit check", || {
            deep::commit_check(engine, circuit, po2, &mut members, globals, &mut transcript)
        });
        let mut groups = members.groups();
        groups.push(&check);
        let polynomial = phase("deep", || {
            deep::quotient(engine, circuit.taps(), po2, &groups, &mut transcript)
        })?;
        phase("fri", || fri::prove(engine, polynomial, &groups, &mut transcript));
        Ok(transcript.into_seal())
    }
}
