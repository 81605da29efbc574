//! The input of a recursion program: the words that its instructions read, in their order.

use risc0_zkp::core::digest::Digest;
use risc0_zkp::core::hash::HashSuite;
use risc0_zkp::core::hash::poseidon2::Poseidon2HashSuite;
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem as Elem};
use risc0_zkvm::{ReceiptClaim, SuccinctReceipt, WorkClaim};

use super::error::ProveError;
use super::program::HashFn;

/// Digests in the proof that a program is one of those that are allowed.
const INCLUSION_DIGESTS: usize = 8;

/// The words that a program reads.
#[derive(Debug, Default)]
pub(crate) struct Tape(Vec<u32>);

/// A claim that a program takes apart.
pub(crate) trait Encode {
    /// The claim as the words of its program's encoding.
    fn encode(&self) -> Result<Vec<u32>, String>;
}

impl Encode for ReceiptClaim {
    fn encode(&self) -> Result<Vec<u32>, String> {
        let mut words = Vec::new();
        ReceiptClaim::encode(self, &mut words).map_err(|error| error.to_string())?;
        Ok(words)
    }
}

impl Encode for WorkClaim<ReceiptClaim> {
    fn encode(&self) -> Result<Vec<u32>, String> {
        let mut words = Vec::new();
        self.encode_to_seal(&mut words).map_err(|error| error.to_string())?;
        Ok(words)
    }
}

impl Tape {
    pub fn words(&self) -> &[u32] {
        &self.0
    }

    /// Words as they are.
    pub fn push(&mut self, words: &[u32]) {
        self.0.extend_from_slice(words);
    }

    /// Numbers, as elements.
    fn push_numbers(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.0.extend(numbers.into_iter().map(|number| Elem::new(number).as_u32_montgomery()));
    }

    /// A digest of elements.
    pub fn push_poseidon2(&mut self, digest: &Digest) {
        self.push(digest.as_words());
    }

    /// A digest of bytes: 16-bit words, since 32 bits are more than an element holds.
    pub fn push_sha256(&mut self, digest: &Digest) {
        self.push_numbers(digest.as_words().iter().flat_map(|word| [word & 0xffff, word >> 16]));
    }

    /// A receipt's seal, and that its program is one of those allowed.
    fn push_seal<Claim>(&mut self, receipt: &SuccinctReceipt<Claim>) {
        self.push(&receipt.seal);
        self.push_numbers([receipt.control_inclusion_proof.index]);
        for digest in &receipt.control_inclusion_proof.digests {
            self.push_poseidon2(digest);
        }
    }

    /// A receipt whose claim the program takes apart.
    pub fn push_receipt<Claim: Encode>(
        &mut self,
        role: &'static str,
        receipt: &SuccinctReceipt<Claim>,
    ) -> Result<(), ProveError> {
        self.push_seal(receipt);
        let claim = receipt.claim.as_value();
        let claim = claim.map_err(|error| error.to_string()).and_then(Encode::encode);
        self.push_numbers(claim.map_err(|reason| ProveError::Input { role, reason })?);
        Ok(())
    }

    /// A receipt of whatever; `no_root` if the claim about it leaves open which programs are allowed.
    pub fn push_opaque_receipt<Claim>(&mut self, receipt: &SuccinctReceipt<Claim>, no_root: bool) {
        self.push_seal(receipt);
        self.push_numbers([no_root.into()]);
    }
}

/// The root of the tree of programs that are allowed to have made `receipt`.
///
/// # Errors
/// When the receipt is of another hash function than Poseidon2, which is all that programs verify, or when the proof
/// that its program is allowed is malformed.
pub(crate) fn control_root<Claim>(
    role: &'static str,
    receipt: &SuccinctReceipt<Claim>,
) -> Result<Digest, ProveError> {
    check_hashfn(role, &receipt.hashfn)?;
    let suite: HashSuite<BabyBear> = Poseidon2HashSuite::new_suite();
    let proof = &receipt.control_inclusion_proof;
    let unfit = |reason: String| ProveError::Input { role, reason };
    if proof.digests.len() != INCLUSION_DIGESTS {
        let count = proof.digests.len();
        return Err(unfit(format!(
            "its control inclusion proof has {count} digests, expected {INCLUSION_DIGESTS}"
        )));
    }
    if proof.index >= 1 << INCLUSION_DIGESTS {
        // Programs take it as an element, bits that no verifier looks at included.
        let index = proof.index;
        return Err(unfit(format!("its program is at place {index} of 2^{INCLUSION_DIGESTS}")));
    }
    // The hash function panics on others.
    let mut digests = proof.digests.iter().chain([&receipt.control_id]);
    if let Some(digest) = digests.find(|digest| !suite.hashfn.is_digest_valid(digest)) {
        return Err(unfit(format!("{digest} is not a Poseidon2 digest")));
    }
    Ok(proof.root(&receipt.control_id, suite.hashfn.as_ref()))
}

/// Refuses receipts of other hash functions than Poseidon2.
pub(crate) fn check_hashfn(role: &'static str, hashfn: &str) -> Result<(), ProveError> {
    let expected = HashFn::Poseidon2.name();
    if hashfn == expected {
        return Ok(());
    }
    let reason = format!("it is of hash function {hashfn}, programs verify {expected} alone");
    Err(ProveError::Input { role, reason })
}
