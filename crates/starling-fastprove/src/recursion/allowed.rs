//! That a program is one of those that a verifier allows: a path in a Merkle tree over their control ids.

use risc0_zkp::core::digest::Digest;
use risc0_zkp::core::hash::HashFn;
use risc0_zkp::field::baby_bear::BabyBear;

/// The depth of the tree. Its leaves after the last program are zero.
const DEPTH: u32 = 8;

/// The path from a program to the root.
#[derive(Clone, Debug)]
pub(crate) struct Inclusion {
    /// Which of the leaves the program is.
    pub index: u32,
    /// The digests beside the path, from the leaf upwards.
    pub digests: Vec<Digest>,
}

impl Inclusion {
    /// The path from `control_id` to the root of `allowed`, in their order.
    ///
    /// # Errors
    /// When there are too many programs, or when `control_id` is none of them.
    pub fn of(
        control_id: &Digest,
        allowed: &[Digest],
        hashfn: &dyn HashFn<BabyBear>,
    ) -> Result<Self, String> {
        let leaves_max = 1_usize << DEPTH;
        // One leaf stays empty, as RISC Zero has it.
        if allowed.len() >= leaves_max {
            return Err(format!("{} programs are more than a tree has room for", allowed.len()));
        }
        let index = allowed.iter().position(|allowed| allowed == control_id);
        let index = index.ok_or_else(|| "it is none of those that are".to_owned())?;
        let mut level = allowed.to_vec();
        level.resize(leaves_max, Digest::ZERO);
        let mut digests = Vec::with_capacity(DEPTH as usize);
        let mut at = index;
        while level.len() > 1 {
            digests.push(level[at ^ 1]);
            at /= 2;
            let (pairs, _) = level.as_chunks();
            level = pairs.iter().map(|[left, right]| *hashfn.hash_pair(left, right)).collect();
        }
        // Less than `leaves_max`.
        Ok(Self { index: index as u32, digests })
    }

    /// The root that the path ends in, when it begins at `control_id`.
    pub fn root(&self, control_id: &Digest, hashfn: &dyn HashFn<BabyBear>) -> Digest {
        let step = |(below, at): (Digest, u32), beside: &Digest| {
            let above = if at & 1 == 0 {
                hashfn.hash_pair(&below, beside)
            } else {
                hashfn.hash_pair(beside, &below)
            };
            (*above, at >> 1)
        };
        self.digests.iter().fold((*control_id, self.index), step).0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use risc0_circuit_recursion::control_id::{ALLOWED_CONTROL_IDS, ALLOWED_CONTROL_ROOT};
    use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;

    use super::*;

    #[test]
    fn paths_of_all_programs_end_in_the_published_root() {
        let hashfn = Poseidon2HashSuite::new_suite().hashfn;
        for (at, id) in ALLOWED_CONTROL_IDS.iter().enumerate() {
            let path = Inclusion::of(id, &ALLOWED_CONTROL_IDS, hashfn.as_ref()).unwrap();
            assert_eq!((path.index as usize, path.digests.len()), (at, DEPTH as usize));
            assert_eq!(path.root(id, hashfn.as_ref()), ALLOWED_CONTROL_ROOT);
        }
    }

    #[test]
    fn a_program_that_is_not_allowed_has_no_path() {
        let hashfn = Poseidon2HashSuite::new_suite().hashfn;
        let of = |allowed: &[Digest]| Inclusion::of(&Digest::ZERO, allowed, hashfn.as_ref());
        assert!(of(&ALLOWED_CONTROL_IDS).unwrap_err().contains("none of those"));
        assert!(of(&[Digest::ZERO; 256]).unwrap_err().contains("more than a tree has room for"));
    }
}
