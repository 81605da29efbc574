//! What the zkVM's tasks are made of, for people to see how far one is.
//!
//! Each phase of a proof has its typical share of the proof's time, each proof its typical time: those of one core with
//! AVX2 or AVX-512, and never exact.

use starling_child::{Course, Phase, Proof, phase};
use starling_types::{Po2, TaskKind};

/// The cosets of the domain, over each of which the constraints are evaluated once.
const COSETS: u32 = 4;

const SEGMENT: &[Phase] = &[
    phase("preflight", 1, 5),
    phase("witness", 1, 60),
    phase("commit code", 1, 3),
    phase("commit data", 1, 320),
    phase("accum", 1, 25),
    phase("commit accum", 1, 160),
    phase("constraints", COSETS, 365),
    phase("commit check", 1, 37),
    phase("deep", 1, 12),
    phase("fri", 1, 13),
];

const KECCAK: &[Phase] = &[
    phase("preflight", 1, 1),
    phase("witness", 1, 15),
    phase("commit data", 1, 610),
    phase("constraints", COSETS, 280),
    phase("commit check", 1, 40),
    phase("deep", 1, 24),
    phase("fri", 1, 30),
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

/// A task of this kind, its segment or keccak proof of this size, of which nothing is done.
pub(super) fn course_of(kind: TaskKind, po2: Po2) -> Course {
    let rows = po2.cycles();
    let segment = Proof { phases: SEGMENT, weight: rows * SEGMENT_ROW_NS };
    let keccak = Proof { phases: KECCAK, weight: rows * KECCAK_ROW_NS };
    let recursion = Proof { phases: RECURSION, weight: RECURSION_NS };
    Course::new(match kind {
        TaskKind::Prove => vec![segment],
        TaskKind::Lift => vec![segment, recursion],
        TaskKind::Keccak => vec![keccak, recursion],
        TaskKind::LiftReceipt
        | TaskKind::Join
        | TaskKind::Union
        | TaskKind::Resolve
        | TaskKind::Unwrap => vec![recursion],
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_shares_of_a_proof_are_all_of_it_and_each_phase_has_one() {
        for phases in [SEGMENT, KECCAK, RECURSION] {
            assert_eq!(phases.iter().map(|phase| phase.permille).sum::<u32>(), 1000);
            let mut names: Vec<_> = phases.iter().map(|phase| phase.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), phases.len());
            assert!(phases.iter().all(|phase| phase.permille > 0 && phase.times > 0));
        }
    }

    #[test]
    fn a_lift_is_as_far_as_its_segment_is_large() {
        let after_the_segment = |po2: u32| {
            let mut lift = course_of(TaskKind::Lift, po2.try_into().unwrap());
            lift.proof_ended();
            lift.done_permille()
        };
        // 3.3 s of 9.3 s, and 13.4 s of 19.4 s.
        assert!((340..370).contains(&after_the_segment(16)), "{}", after_the_segment(16));
        assert!((680..700).contains(&after_the_segment(18)), "{}", after_the_segment(18));
    }
}
