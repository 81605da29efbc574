//! How far a task is, from the phases of its proofs that are over. Pure: no clock runs here.
//!
//! Each phase of a proof has its typical share of the proof's time, each proof its typical time, so that what is over of
//! both is a share of the task. The shares are the system's, and never exact: what they make is for people to see.

/// All of a task, in thousandths.
const DONE_PERMILLE: u32 = 1000;

/// The farthest that a task is before its receipt is written.
const DONE_PERMILLE_MAX: u32 = DONE_PERMILLE - 1;

/// A phase of a proof, by the name in its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// The name.
    pub name: &'static str,
    /// How often it comes in one proof.
    pub times: u32,
    /// Its share of the proof's time, all times together, in thousandths.
    pub permille: u32,
}

/// The phase `name`, which comes so many times and takes such a share of a proof, in thousandths.
pub const fn phase(name: &'static str, times: u32, permille: u32) -> Phase {
    Phase { name, times, permille }
}

/// One proof of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// What it is made of.
    pub phases: &'static [Phase],
    /// Its typical time, in nanoseconds. Only ratios count.
    pub weight: u64,
}

/// A task under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    proofs: Vec<Proof>,
    /// The proof under way.
    current: usize,
    /// How often each of its phases has ended.
    ended: Vec<u32>,
}

impl Course {
    /// A task that is made of these proofs, of which nothing is done.
    pub fn new(proofs: Vec<Proof>) -> Self {
        let mut course = Self { proofs, current: 0, ended: Vec::new() };
        course.begin_proof();
        course
    }

    /// Which proof is under way, from 0.
    pub fn proof(&self) -> usize {
        self.current
    }

    /// A phase of the proof under way is over. Others than those that are known change nothing, nor do those that come
    /// again, when a proof is made twice.
    pub fn phase_ended(&mut self, name: &str) {
        let phases = self.proofs.get(self.current).map_or(&[][..], |proof| proof.phases);
        for (phase, ended) in phases.iter().zip(&mut self.ended) {
            if phase.name == name {
                *ended = (*ended + 1).min(phase.times);
            }
        }
    }

    /// The proof under way is over, whatever phases it had.
    pub fn proof_ended(&mut self) {
        self.current = (self.current + 1).min(self.proofs.len());
        self.begin_proof();
    }

    fn begin_proof(&mut self) {
        let phases = self.proofs.get(self.current).map_or(0, |proof| proof.phases.len());
        self.ended = vec![0; phases];
    }

    /// How far the task is, in thousandths: never less far than it was.
    pub fn done_permille(&self) -> u32 {
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
    use super::*;

    const HASHING: &[Phase] = &[phase("commit", 1, 400), phase("constraints", 4, 600)];
    const JOINING: &[Phase] = &[phase("commit", 1, 1000)];

    fn course() -> Course {
        let first = Proof { phases: HASHING, weight: 3_000 };
        Course::new(vec![first, Proof { phases: JOINING, weight: 1_000 }])
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
    fn a_task_is_as_far_as_what_is_over_of_its_proofs() {
        let mut course = course();
        assert_eq!(course.done_permille(), 0);
        course.phase_ended("commit");
        assert_eq!(course.done_permille(), 300);
        course.phase_ended("constraints");
        assert_eq!(course.done_permille(), 412);
        run(&mut course, HASHING);
        assert_eq!(course.done_permille(), 750);
        course.proof_ended();
        assert_eq!((course.done_permille(), course.proof()), (750, 1));
        run(&mut course, JOINING);
        assert_eq!(course.done_permille(), 999, "the result is not written");
    }

    #[test]
    fn a_prover_that_tells_of_no_phases_is_as_far_as_the_proofs_that_are_over() {
        let mut course = course();
        course.phase_ended("something else");
        assert_eq!(course.done_permille(), 0);
        course.proof_ended();
        assert_eq!(course.done_permille(), 750);
        assert_eq!(Course::default().done_permille(), 0, "of a task that nothing is known of");
    }

    #[test]
    fn a_proof_that_is_made_twice_is_never_less_far_and_never_more_than_done() {
        let mut course = course();
        run(&mut course, HASHING);
        let once = course.done_permille();
        run(&mut course, HASHING);
        assert_eq!(course.done_permille(), once);
        for _ in 0..5 {
            course.proof_ended();
            course.phase_ended("commit");
        }
        assert_eq!(course.done_permille(), 999);
    }
}
