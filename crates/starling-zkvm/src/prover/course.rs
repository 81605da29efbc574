//! How far a task is, from the phases of its proofs that are over. Pure: no clock runs here.
//!
//! Each phase of a proof has its typical share of the proof's time, each proof its typical time, so that what is over of
//! both is a share of the task. The shares are those of one core with AVX2 or AVX-512 and never exact: what they make is
//! for people to see.

use starling_types::{Po2, TaskKind};

/// All of a task, in thousandths.
const DONE_PERMILLE: u32 = 1000;

/// The farthest that a task is before its receipt is written.
const DONE_PERMILLE_MAX: u32 = DONE_PERMILLE - 1;

/// A phase, by the name of its span in `starling-fastprove`.
struct Phase {
    name: &'static str,
    /// How often it comes in one proof.
    times: u32,
    /// Its share of the proof's time, all times together, in thousandths.
    permille: u32,
}

const fn phase(name: &'static str, times: u32, permille: u32) -> Phase {
    Phase { name, times, permille }
}

/// The cosets of the domain, over each of which the constraints are evaluated once.
const COSETS: u32 = 4;

const SEGMENT: &[Phase] = &[
    phase("witness", 1, 60),
    phase("commit code", 1, 3),
    phase("commit data", 1, 320),
    phase("accum", 1, 25),
    phase("commit accum", 1, 160),
    phase("constraints", COSETS, 370),
    phase("commit check", 1, 37),
    phase("deep", 1, 12),
    phase("fri", 1, 13),
];

const KECCAK: &[Phase] = &[
    phase("preflight", 1, 10),
    phase("data", 1, 60),
    phase("commit data", 1, 460),
    phase("constraints", COSETS, 300),
    phase("commit check", 1, 70),
    phase("deep", 1, 65),
    phase("fri", 1, 35),
];

const RECURSION: &[Phase] = &[
    phase("run", 1, 3),
    phase("data", 1, 5),
    phase("commit data", 1, 473),
    phase("accum", 1, 4),
    phase("commit accum", 1, 91),
    phase("constraints", COSETS, 244),
    phase("commit check", 1, 109),
    phase("deep", 1, 40),
    phase("fri", 1, 28),
    phase("verify", 1, 3),
];

/// A segment's proof takes so long for each row, in nanoseconds of the reference core.
const SEGMENT_ROW_NS: u64 = 51_000;

/// A keccak proof takes so long for each row.
const KECCAK_ROW_NS: u64 = 150_000;

/// A proof of a recursion program takes so long.
const RECURSION_NS: u64 = 6_000_000_000;

/// One proof of a task.
struct Proof {
    phases: &'static [Phase],
    /// Its typical time, in nanoseconds. Only ratios count.
    weight: u64,
}

/// A task under way.
pub(super) struct Course {
    proofs: Vec<Proof>,
    /// The proof under way.
    current: usize,
    /// How often each of its phases has ended.
    ended: Vec<u32>,
}

impl Course {
    /// A task of this kind, its segment or keccak proof of this size, of which nothing is done.
    pub(super) fn new(kind: TaskKind, po2: Po2) -> Self {
        let rows = po2.cycles();
        let segment = Proof { phases: SEGMENT, weight: rows * SEGMENT_ROW_NS };
        let keccak = Proof { phases: KECCAK, weight: rows * KECCAK_ROW_NS };
        let recursion = Proof { phases: RECURSION, weight: RECURSION_NS };
        let proofs = match kind {
            TaskKind::Prove => vec![segment],
            TaskKind::Lift => vec![segment, recursion],
            TaskKind::Keccak => vec![keccak, recursion],
            TaskKind::LiftReceipt
            | TaskKind::Join
            | TaskKind::Union
            | TaskKind::Resolve
            | TaskKind::Unwrap => vec![recursion],
        };
        let mut course = Self { proofs, current: 0, ended: Vec::new() };
        course.begin_proof();
        course
    }

    /// Which proof is under way, from 0.
    pub(super) fn proof(&self) -> usize {
        self.current
    }

    /// A phase of the proof under way is over. Others than those that are known change nothing, nor do those that come
    /// again, when a proof is made twice.
    pub(super) fn phase_ended(&mut self, name: &str) {
        let phases = self.proofs.get(self.current).map_or(&[][..], |proof| proof.phases);
        for (phase, ended) in phases.iter().zip(&mut self.ended) {
            if phase.name == name {
                *ended = (*ended + 1).min(phase.times);
            }
        }
    }

    /// The proof under way is over, whatever phases it had.
    pub(super) fn proof_ended(&mut self) {
        self.current = (self.current + 1).min(self.proofs.len());
        self.begin_proof();
    }

    fn begin_proof(&mut self) {
        let phases = self.proofs.get(self.current).map_or(0, |proof| proof.phases.len());
        self.ended = vec![0; phases];
    }

    /// How far the task is, in thousandths: never less far than it was.
    pub(super) fn done_permille(&self) -> u32 {
        let all: u64 = self.proofs.iter().map(|proof| proof.weight).sum();
        let before: u64 = self.proofs.iter().take(self.current).map(|proof| proof.weight).sum();
        let within = self.proofs.get(self.current).map_or(0, |proof| {
            let counted = proof.phases.iter().zip(&self.ended);
            let permille: u64 =
                counted.map(|(phase, ended)| u64::from(phase.permille * ended / phase.times)).sum();
            proof.weight / u64::from(DONE_PERMILLE) * permille
        });
        let done = (before + within) * u64::from(DONE_PERMILLE) / all.max(1);
        u32::try_from(done).unwrap_or(DONE_PERMILLE_MAX).min(DONE_PERMILLE_MAX)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn po2(value: u32) -> Po2 {
        value.try_into().unwrap()
    }

    fn run(course: &mut Course, phases: &[Phase]) {
        for phase in phases {
            for _ in 0..phase.times {
                let before = course.done_permille();
                course.phase_ended(phase.name);
                assert!(course.done_permille() >= before);
            }
        }
    }

    #[test]
    fn the_shares_of_a_proof_are_all_of_it_and_each_phase_has_one() {
        for phases in [SEGMENT, KECCAK, RECURSION] {
            assert_eq!(phases.iter().map(|phase| phase.permille).sum::<u32>(), DONE_PERMILLE);
            let mut names: Vec<_> = phases.iter().map(|phase| phase.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), phases.len());
            assert!(phases.iter().all(|phase| phase.permille > 0 && phase.times > 0));
        }
    }

    #[test]
    fn a_task_is_as_far_as_what_is_over_of_its_proofs() {
        let mut join = Course::new(TaskKind::Join, po2(18));
        assert_eq!(join.done_permille(), 0);
        join.phase_ended("commit data");
        assert_eq!(join.done_permille(), 473);
        join.phase_ended("constraints");
        assert_eq!(join.done_permille(), 473 + 244 / 4);
        run(&mut join, RECURSION);
        assert_eq!(join.done_permille(), 999, "the receipt is not written");

        // 3.3 s of 9.3 s.
        let mut lift = Course::new(TaskKind::Lift, po2(16));
        run(&mut lift, SEGMENT);
        let proved = lift.done_permille();
        assert!((340..370).contains(&proved), "{proved}");
        lift.proof_ended();
        assert_eq!((lift.done_permille(), lift.proof()), (proved, 1));
        run(&mut lift, RECURSION);
        lift.proof_ended();
        assert_eq!(lift.done_permille(), 999);
    }

    #[test]
    fn a_prover_that_tells_of_no_phases_is_as_far_as_the_proofs_that_are_over() {
        let mut lift = Course::new(TaskKind::Lift, po2(18));
        lift.phase_ended("something else");
        assert_eq!(lift.done_permille(), 0);
        lift.proof_ended();
        assert!((680..700).contains(&lift.done_permille()), "{}", lift.done_permille());
    }

    #[test]
    fn a_proof_that_is_made_twice_is_never_less_far_and_never_more_than_done() {
        let mut course = Course::new(TaskKind::Keccak, po2(14));
        run(&mut course, KECCAK);
        let once = course.done_permille();
        run(&mut course, KECCAK);
        assert_eq!(course.done_permille(), once);
        for _ in 0..5 {
            course.proof_ended();
            course.phase_ended("fri");
        }
        assert_eq!(course.done_permille(), 999);
    }
}
