//! Receipts around finished proofs, and the judgement of the stock verifier on them.

use std::fmt::Debug;

use risc0_circuit_recursion::control_id::ALLOWED_CONTROL_IDS;
use risc0_circuit_recursion::{CIRCUIT, CircuitImpl};
use risc0_zkp::adapter::{CircuitInfo as _, PROOF_SYSTEM_INFO};
use risc0_zkp::core::digest::{DIGEST_SHORTS, Digest};
use risc0_zkp::core::hash::HashSuite;
use risc0_zkp::field::baby_bear::{BabyBear, BabyBearElem as Elem};
use risc0_zkp::verify::VerificationError;
use risc0_zkvm::sha::Digestible as _;
use risc0_zkvm::{
    DeserializeOwned, MaybePruned, SuccinctReceipt, SuccinctReceiptVerifierParameters, Unknown,
    VerifierContext,
};

use super::allowed::Inclusion;
use super::error::ProveError;
use super::program::HashFn;

/// Which programs a receipt may come from, and that its own is one of them.
pub(crate) struct Membership {
    hashfn: HashFn,
    control_id: Digest,
    inclusion: Inclusion,
    parameters: SuccinctReceiptVerifierParameters,
}

impl Membership {
    /// A program among those that the stock verifier allows.
    ///
    /// # Errors
    /// When it is none of them: a lift of a segment that is too large, say.
    pub fn standard(control_id: Digest, suite: &HashSuite<BabyBear>) -> Result<Self, ProveError> {
        let inclusion = inclusion(ALLOWED_CONTROL_IDS, control_id, suite)?;
        let parameters = SuccinctReceiptVerifierParameters::default();
        Ok(Self { hashfn: HashFn::Poseidon2, control_id, inclusion, parameters })
    }

    /// A program among `allowed`; `inner_root` is the root of those that the receipts in it may come from, if that
    /// is another.
    pub fn custom(
        control_id: Digest,
        allowed: &[Digest],
        inner_root: Option<Digest>,
        hashfn: HashFn,
        suite: &HashSuite<BabyBear>,
    ) -> Result<Self, ProveError> {
        let inclusion = inclusion(allowed, control_id, suite)?;
        let parameters = SuccinctReceiptVerifierParameters {
            control_root: inclusion.root(&control_id, suite.hashfn.as_ref()),
            inner_control_root: inner_root,
            proof_system_info: PROOF_SYSTEM_INFO,
            circuit_info: CircuitImpl::CIRCUIT_INFO,
        };
        Ok(Self { hashfn, control_id, inclusion, parameters })
    }

    /// The receipt of `claim` around `seal`, which the stock verifier accepts.
    pub fn receipt<Claim>(
        self,
        program: &str,
        seal: Vec<u32>,
        claim: impl Into<MaybePruned<Claim>>,
    ) -> Result<SuccinctReceipt<Claim>, ProveError>
    where
        Claim: risc0_binfmt::Digestible + Debug + DeserializeOwned,
    {
        let context = VerifierContext::empty()
            .with_suites(VerifierContext::default_hash_suites())
            .with_succinct_verifier_parameters(self.parameters.clone());
        let receipt = self.assemble(seal, claim.into());
        let checked = receipt.verify_integrity_with_context(&context);
        checked.map_err(|error| unverified(program, &error))?;
        Ok(receipt)
    }

    /// The receipt around `seal` of a program whose claim nobody here knows: its digest is in the seal.
    ///
    /// Only the seal is verified. What it says about inner receipts is for who knows the program.
    pub fn opaque_receipt(
        self,
        program: &str,
        seal: Vec<u32>,
        suite: &HashSuite<BabyBear>,
    ) -> Result<SuccinctReceipt<Unknown>, ProveError> {
        let check_program = |_, control_id: &Digest| {
            let control_id = *control_id;
            let expected = control_id == self.control_id;
            expected.then_some(()).ok_or(VerificationError::ControlVerificationError { control_id })
        };
        risc0_zkp::verify::verify(&CIRCUIT, suite, &seal, check_program)
            .map_err(|error| unverified(program, &error))?;
        let claim = claim_digest(&seal);
        Ok(self.assemble(seal, MaybePruned::Pruned(claim)))
    }

    fn assemble<Claim: DeserializeOwned>(
        self,
        seal: Vec<u32>,
        claim: MaybePruned<Claim>,
    ) -> SuccinctReceipt<Claim> {
        let mut receipt = blank();
        receipt.seal = seal;
        receipt.control_id = self.control_id;
        receipt.claim = claim;
        receipt.hashfn = self.hashfn.name().into();
        receipt.verifier_parameters = self.parameters.digest();
        receipt.control_inclusion_proof.index = self.inclusion.index;
        receipt.control_inclusion_proof.digests = self.inclusion.digests;
        receipt
    }
}

fn inclusion(
    allowed: &[Digest],
    control_id: Digest,
    suite: &HashSuite<BabyBear>,
) -> Result<Inclusion, ProveError> {
    Inclusion::of(&control_id, allowed, suite.hashfn.as_ref()).map_err(|reason| {
        ProveError::Unfit(format!("program {control_id} is not allowed: {reason}"))
    })
}

/// The second digest that a program sets, of the claim. (The first is the root of allowed programs.)
fn claim_digest(seal: &[u32]) -> Digest {
    let halves = &seal[DIGEST_SHORTS..2 * DIGEST_SHORTS];
    let half = |word: u32| Elem::new_raw(word).as_u32();
    let mut words = halves.chunks_exact(2).map(|pair| half(pair[0]) | half(pair[1]) << 16);
    Digest::from(std::array::from_fn(|_| words.next().unwrap_or(0)))
}

/// A receipt of nothing. The type cannot be constructed outside of its crate; its fields can be set.
fn blank<Claim: DeserializeOwned>() -> SuccinctReceipt<Claim> {
    let claim = MaybePruned::<Unknown>::Pruned(Digest::ZERO);
    let proof = (0_u32, Vec::<Digest>::new());
    let fields = (Vec::<u32>::new(), Digest::ZERO, claim, "", Digest::ZERO, proof);
    let words = risc0_zkvm::serde::to_vec(&fields).expect("words take all that these fields are");
    risc0_zkvm::serde::from_slice(&words).expect("these are the fields of a receipt")
}

fn unverified(program: &str, error: &VerificationError) -> ProveError {
    ProveError::Unverified { program: program.into(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use risc0_zkvm::{ReceiptClaim, UnionClaim, WorkClaim};

    use super::*;

    #[test]
    fn blank_receipts_exist_for_every_claim() {
        assert!(blank::<ReceiptClaim>().seal.is_empty());
        assert!(blank::<WorkClaim<ReceiptClaim>>().seal.is_empty());
        assert!(blank::<UnionClaim>().seal.is_empty());
        assert!(blank::<Unknown>().control_inclusion_proof.digests.is_empty());
    }
}
