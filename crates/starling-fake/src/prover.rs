//! The prover that hashes.

use std::time::Duration;

use starling_child::{
    Course, Input, Phases, Proof, Proved, Prover, Refusal, Role, Setup, StepTime, Work,
};
use starling_types::SystemName;

use crate::{Manners, SYSTEMS, Sum, trespass};

/// The largest input that is read.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// In so many parts a task's time passes, and it tells of each.
const PARTS: u32 = 4;

/// Proves nothing, by its [`Manners`], for one of the [`SYSTEMS`].
#[derive(Debug)]
pub struct Hashing<const SYSTEM: usize> {
    manners: Manners,
    task_count: u32,
}

impl<const SYSTEM: usize> Prover for Hashing<SYSTEM> {
    fn system() -> SystemName {
        SYSTEMS[SYSTEM].into()
    }

    fn ready(setup: &Setup) -> Result<Self, String> {
        let manners = setup.params.parse::<Manners>().map_err(|error| error.to_string())?;
        Ok(Self { manners, task_count: 0 })
    }

    fn prove(&mut self, work: &Work<'_>, phases: &Phases) -> Result<Proved, Refusal> {
        let Manners { pace, result_bytes, salt, hoards, lies, hangs_at, dies_of, trespasses } =
            self.manners;
        self.task_count += 1;
        phases.expect(Course::new(vec![Proof { phases: &[], weight: 1_000 }; PARTS as usize]));
        let hoard = vec![1_u8; hoards.0 as usize];
        for _ in 0..PARTS {
            std::thread::sleep(pace / PARTS);
            phases.proof_ended();
        }
        std::hint::black_box(&hoard);
        if hangs_at > 0 && hangs_at <= self.task_count {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        if self.task_count == dies_of {
            std::process::abort();
        }
        if trespasses {
            let blob = trespass::report().into_bytes();
            return Ok(Proved { blob, ..Proved::default() });
        }
        let sum = sum_of(work)?;
        let sum = if lies { sum.falsified() } else { sum };
        let blob = sum.encode(0);
        let padding_bytes = result_bytes.saturating_sub(blob.len());
        let step = StepTime { name: "hash".into(), elapsed_ms: pace.as_millis() as u64 };
        let mut blob = sum.encode(padding_bytes);
        if salt > 0 {
            blob.extend(salt.to_le_bytes());
        }
        Ok(Proved { blob, steps: vec![step], reproved: 0 })
    }
}

/// What the task's result is.
fn sum_of(work: &Work<'_>) -> Result<Sum, Refusal> {
    let read = |input: &Input| {
        let bytes = input.blob.read(INPUT_BYTES_MAX);
        bytes.map_err(|error| Refusal::input(error.to_string()))
    };
    let (challenges, inputs): (Vec<_>, Vec<_>) =
        work.inputs.iter().partition(|input| input.role == Role::Challenge);
    let inputs = inputs.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let challenges = challenges.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if let [raw] = &inputs[..]
        && !Sum::is_one(raw)
    {
        // What else a task is told is a challenge, and part of what it is about.
        let challenge = [work.arguments, &challenges.concat()].concat();
        return Ok(Sum::of_challenged(work.task.range.start(), raw, &challenge));
    }
    let sum =
        |bytes: &Vec<u8>| Sum::decode(bytes).map_err(|error| Refusal::input(error.to_string()));
    let sums = inputs.iter().map(sum).collect::<Result<Vec<_>, _>>()?;
    let Some((first, others)) = sums.split_first() else {
        return Err(Refusal::task("the task has no input"));
    };
    if others.is_empty() {
        return Ok(first.finish());
    }
    let all = others.iter().try_fold(*first, |all, next| all.joined(*next));
    all.ok_or_else(|| Refusal::input("the inputs do not follow each other"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use starling_types::{FailureClass, IndexRange, KindCode, Profile, Task};

    use super::*;

    fn prove(index: u32, inputs: &[Vec<u8>]) -> Result<Sum, Refusal> {
        let mut prover = Hashing::<0>::ready(&Setup::default()).unwrap();
        let input = |bytes: &Vec<u8>| Input { role: Role::Input, blob: Box::new(bytes.clone()) };
        let inputs: Vec<_> = inputs.iter().map(input).collect();
        let work = Work {
            task: Task { kind: KindCode(1), range: IndexRange::single(index) },
            arguments: &[],
            inputs: &inputs,
            profile: Profile::Usual,
            memory_limit: None,
        };
        let proved = prover.prove(&work, &Phases::default())?;
        Ok(Sum::decode(&proved.blob).unwrap())
    }

    #[test]
    fn raw_data_is_hashed_results_are_added_and_one_result_is_finished() {
        let [left, right] = [3, 4].map(|index| prove(index, &[b"raw".to_vec()]).unwrap());
        assert_eq!(left, Sum::of_raw(3, b"raw"));
        let both = prove(3, &[left.encode(0), right.encode(9)]).unwrap();
        assert_eq!(Some(both), left.joined(right));
        assert_eq!(prove(0, &[both.encode(0)]), Ok(both.finish()));
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused_as_such() {
        let [first, third] = [0, 2].map(|index| Sum::of_raw(index, b"raw").encode(0));
        for inputs in [vec![first.clone(), third], vec![first.clone(), b"raw".to_vec()]] {
            assert_eq!(prove(0, &inputs).unwrap_err().class, FailureClass::Input);
        }
        assert_eq!(prove(0, &[]).unwrap_err().class, FailureClass::Task);
        assert_eq!(prove(0, &[first[..9].to_vec()]).unwrap_err().class, FailureClass::Input);
    }
}
