//! One proof, from its first commitment to its seal.

use std::sync::Arc;

use super::engine::Engine;
use super::group::Group;
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
    groups: Vec<Option<Arc<Group>>>,
}

impl<'a, C: Circuit> Session<'a, C> {
    /// Begins a proof of `circuit` over 2^po2 cycles, with an empty transcript.
    pub fn new(engine: &'a Engine, circuit: &'a C, po2: usize) -> Self {
        Self {
            engine,
            circuit,
            po2,
            transcript: Transcript::new(engine.suite()),
            groups: vec![None; circuit.taps().num_groups()],
        }
    }

    /// Where the verifier's challenges come from, and the seal grows.
    pub fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }

    /// Commits to the trace of group `index`: columns of 2^po2 words, as many as the taps have. The trace's memory
    /// is taken; who needs the values afterwards keeps a copy.
    ///
    /// # Panics
    ///
    /// On another shape, or when the group is committed already.
    pub fn commit(&mut self, index: usize, trace: Buffer) {
        let columns = self.circuit.taps().group_size(index);
        self.commit_ready(index, Arc::new(Group::from_trace(self.engine, trace, columns)));
    }

    /// Commits to group `index`, made before with an engine of the same suite.
    ///
    /// # Panics
    ///
    /// When its shape isn't the circuit's, or the group is committed already.
    pub fn commit_ready(&mut self, index: usize, group: Arc<Group>) {
        let taps = self.circuit.taps();
        assert_eq!(group.columns(), taps.group_size(index), "columns of group {index}");
        assert_eq!(group.rows(), 1 << self.po2, "rows of group {index}");
        assert!(self.groups[index].is_none(), "group {index} is committed already");
        group.commit(&mut self.transcript);
        self.groups[index] = Some(group);
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
        let Self { engine, circuit, po2, mut transcript, groups } = self;
        let mut groups: Vec<Arc<Group>> = groups
            .into_iter()
            .map(|group| group.expect("every group is committed before the proof is finished"))
            .collect();

        let check = phase("commit check", || {
            deep::commit_check(engine, circuit, po2, &groups, globals, &mut transcript)
        });
        groups.push(Arc::new(check));
        let polynomial = phase("deep", || {
            deep::quotient(engine, circuit.taps(), po2, &groups, &mut transcript)
        })?;
        phase("fri", || fri::prove(engine, polynomial, &groups, &mut transcript));
        Ok(transcript.into_seal())
    }
}
