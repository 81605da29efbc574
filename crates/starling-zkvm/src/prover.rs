//! The zkVM's prover: segments, keccak requests and receipts in, receipts out.
//!
//! [`RiscZero`] is what a prover child runs ([`starling_child::serve`]); [`config`] says how to start one. Every receipt is
//! verified before it leaves.

mod course;
mod tasks;

use std::path::PathBuf;

use starling_child::{Phases, Proved, Prover, ProverConfig, Refusal, Setup, Work};
use starling_types::{SystemName, TaskId};

use crate::{
    Backend,
    backend::{self, Provers},
    task::TaskArguments,
    zkvm,
};

/// The steps of tasks, as a [`WorkReport`](starling_child::WorkReport) tells of them.
pub mod step {
    /// A segment or keccak permutations are proved.
    pub const PROVE: &str = "prove";
    /// That is lifted. The stock prover proves and lifts keccak in one.
    pub const LIFT: &str = "lift";
    /// Receipts are joined, united, resolved or unwrapped.
    pub const JOIN: &str = "join";
}

/// What proves the zkVM's tasks.
pub struct RiscZero(Provers);

impl Prover for RiscZero {
    fn system() -> SystemName {
        zkvm()
    }

    fn ready(setup: &Setup) -> Result<Self, String> {
        let backend = match setup.params.as_str() {
            "" => Backend::default(),
            name => Backend::ALL
                .iter()
                .copied()
                .find(|backend| backend.name() == name)
                .ok_or_else(|| format!("this build has no prover {name:?}"))?,
        };
        Provers::new(backend, setup.threads).map(Self).map_err(|error| format!("{error:#}"))
    }

    fn prove(&mut self, work: &Work<'_>, phases: &Phases) -> Result<Proved, Refusal> {
        let task = TaskId::try_from(work.task)
            .map_err(|task| Refusal::task(format!("there is no {task} here")))?;
        let arguments = TaskArguments::decode(work.arguments)
            .map_err(|error| Refusal::task(error.to_string()))?;
        phases.expect(course::course_of(task.kind(), arguments.po2_max));
        tasks::prove(&mut self.0, phases, work, task, arguments).map_err(|mut refusal| {
            let again = self.0.reproved();
            if again > 0 {
                refusal.message.push_str(&format!("; proved {} times", again + 1));
            }
            refusal
        })
    }
}

/// How to start a child that proves with `backend`: `args` must make `program` serve [`RiscZero`]. One that dies of an instruction
/// which the processor does not have is followed by one with the next narrower vectors.
pub fn config(
    program: impl Into<PathBuf>,
    args: impl IntoIterator<Item = String>,
    backend: Backend,
) -> ProverConfig {
    let narrower = backend::narrower_vectors().into_iter();
    ProverConfig {
        params: backend.name().into(),
        narrower: narrower.map(|name| (backend::VARIABLE.to_owned(), name.to_owned())).collect(),
        ..ProverConfig::new(zkvm(), program, args)
    }
}
