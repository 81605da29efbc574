//! Lift, join, resolve, union and the others: what `risc0_zkvm` offers under these names, with the same meaning.

use std::fmt::{Debug, Display};

use risc0_circuit_recursion::control_id::ALLOWED_CONTROL_ROOT;
use risc0_circuit_rv32im::{CircuitImpl as Rv32im, RV32IM_SEAL_VERSION};
use risc0_zkp::adapter::CircuitInfo as _;
use risc0_zkp::core::digest::Digest;
use risc0_zkp::core::hash::hash_suite_from_name;
use risc0_zkvm::sha::Digestible as _;
use risc0_zkvm::{
    Assumption, DeserializeOwned, MaybePruned, ReceiptClaim, SegmentReceipt, SuccinctReceipt,
    UnionClaim, Unknown, WorkClaim,
};
use starling_babybear::vector::Isa;

use super::Seed;
use super::claim::merge;
use super::code::{Code, Programs};
use super::error::ProveError;
use super::library::{Library, make};
use super::machine::Run;
use super::options::Options;
use super::program::{HashFn, ProgramId};
use super::proof::prove;
use super::receipt::Membership;
use super::tape::{Encode, Tape, check_hashfn, control_root};
use crate::phase::phase;
use crate::pool::Pool;
use crate::stark::{Engine, MemoryPlan};

/// Proves recursion programs, on the threads of the current rayon pool.
///
/// Every receipt that it returns was accepted by the stock verifier.
pub struct Prover {
    isa: Isa,
    pool: Pool,
    plan: MemoryPlan,
    library: Library,
    seeds: Box<dyn Fn() -> Seed + Send + Sync>,
}

impl Prover {
    /// A prover whose programs come from `programs`: that returns the code of the program of a name
    /// ([`ProgramId::file_name`]) as its crate ships it ([`Code::from_words`]); what it returns is checked.
    ///
    /// All that is random comes from `seeds`, which is asked once for each proof and has to draw from the system's
    /// generator, or one as good. The same seed makes the same proof.
    pub fn new<E: Display>(
        options: Options,
        programs: impl Fn(&str) -> Result<Vec<u32>, E> + Send + Sync + 'static,
        seeds: impl Fn() -> Seed + Send + Sync + 'static,
    ) -> Self {
        Self {
            isa: options.isa,
            pool: Pool::new(options.pool_bytes),
            plan: options.plan,
            library: Library::new(Programs::new(programs), options.programs_kept),
            seeds: Box::new(seeds),
        }
    }

    /// Gives the memory that is kept for the next proof back to the system; programs stay ready.
    pub fn release_memory(&self) {
        self.pool.trim();
    }

    /// Verifies a segment's receipt in a recursion program, whatever the segment's size: the receipt can be joined.
    ///
    /// # Errors
    /// When the segment's receipt is wrong, or of a size that the stock verifier does not allow.
    pub fn lift(
        &self,
        segment: &SegmentReceipt,
    ) -> Result<SuccinctReceipt<ReceiptClaim>, ProveError> {
        let (tape, po2) = lift_tape(segment)?;
        self.run(ProgramId::Lift { po2 }, &tape, |output| {
            merge(&decode_claim(output)?, &segment.claim).map(Into::into)
        })
    }

    /// As [`Prover::lift`], and counts the work.
    ///
    /// # Errors
    /// As [`Prover::lift`].
    pub fn lift_povw(
        &self,
        segment: &SegmentReceipt,
    ) -> Result<SuccinctReceipt<WorkClaim<ReceiptClaim>>, ProveError> {
        let (tape, po2) = lift_tape(segment)?;
        self.run(ProgramId::LiftPovw { po2 }, &tape, |output| {
            let work = decode_work(output)?;
            let expected =
                WorkClaim { claim: segment.claim.clone().into(), work: work.work.clone() };
            merge(&work, &expected).map(Into::into)
        })
    }

    /// One receipt for two neighbouring parts of a session.
    ///
    /// # Errors
    /// When either receipt is wrong, or the second does not begin where the first ends.
    pub fn join(
        &self,
        left: &SuccinctReceipt<ReceiptClaim>,
        right: &SuccinctReceipt<ReceiptClaim>,
    ) -> Result<SuccinctReceipt<ReceiptClaim>, ProveError> {
        let tape = pair_tape(left, right)?;
        let expected = left.claim.join(&right.claim).map_err(unfit)?;
        self.run(ProgramId::Join, &tape, |output| merge(&decode_claim(output)?.into(), &expected))
    }

    /// As [`Prover::join`], for receipts with counted work.
    ///
    /// # Errors
    /// As [`Prover::join`].
    pub fn join_povw(
        &self,
        left: &SuccinctReceipt<WorkClaim<ReceiptClaim>>,
        right: &SuccinctReceipt<WorkClaim<ReceiptClaim>>,
    ) -> Result<SuccinctReceipt<WorkClaim<ReceiptClaim>>, ProveError> {
        let tape = pair_tape(left, right)?;
        let expected = left.claim.join(&right.claim).map_err(unfit)?;
        self.run(ProgramId::JoinPovw, &tape, |output| {
            merge(&decode_work(output)?.into(), &expected)
        })
    }

    /// Removes the first assumption from `conditional`, which `assumption` proves.
    ///
    /// # Errors
    /// When either receipt is wrong, or `assumption` is not what `conditional` assumes first.
    pub fn resolve<Claim: risc0_binfmt::Digestible + Debug>(
        &self,
        conditional: &SuccinctReceipt<ReceiptClaim>,
        assumption: &SuccinctReceipt<Claim>,
    ) -> Result<SuccinctReceipt<ReceiptClaim>, ProveError> {
        let tape = resolve_tape(conditional, &conditional.claim, assumption)?;
        let expected = conditional.claim.resolve(&assumption.claim).map_err(unfit)?;
        self.run(ProgramId::Resolve, &tape, |output| {
            merge(&decode_claim(output)?.into(), &expected)
        })
    }

    /// As [`Prover::resolve`], for a receipt with counted work.
    ///
    /// # Errors
    /// As [`Prover::resolve`].
    pub fn resolve_povw<Claim: risc0_binfmt::Digestible + Debug>(
        &self,
        conditional: &SuccinctReceipt<WorkClaim<ReceiptClaim>>,
        assumption: &SuccinctReceipt<Claim>,
    ) -> Result<SuccinctReceipt<WorkClaim<ReceiptClaim>>, ProveError> {
        let claim = &conditional.claim.as_value().map_err(unfit)?.claim;
        let tape = resolve_tape(conditional, claim, assumption)?;
        let expected = conditional.claim.resolve(&assumption.claim).map_err(unfit)?;
        self.run(ProgramId::ResolvePovw, &tape, |output| {
            merge(&decode_work(output)?.into(), &expected)
        })
    }

    /// Drops the count of work from a receipt.
    ///
    /// # Errors
    /// When the receipt is wrong.
    pub fn unwrap_povw(
        &self,
        receipt: &SuccinctReceipt<WorkClaim<ReceiptClaim>>,
    ) -> Result<SuccinctReceipt<ReceiptClaim>, ProveError> {
        let mut tape = Tape::default();
        tape.push_poseidon2(&control_root("receipt", receipt)?);
        tape.push_receipt("receipt", receipt)?;
        let expected = &receipt.claim.as_value().map_err(unfit)?.claim;
        self.run(ProgramId::UnwrapPovw, &tape, |output| {
            merge(&decode_claim(output)?.into(), expected)
        })
    }

    /// One receipt for two of anything.
    ///
    /// # Errors
    /// When either receipt is wrong.
    pub fn union(
        &self,
        one: &SuccinctReceipt<Unknown>,
        other: &SuccinctReceipt<Unknown>,
    ) -> Result<SuccinctReceipt<UnionClaim>, ProveError> {
        let mut sides = [one, other].map(|receipt| (receipt, Digest::ZERO, Digest::ZERO));
        for (receipt, root, assumption) in &mut sides {
            *root = control_root("receipt", receipt)?;
            let claim = receipt.claim.digest();
            *assumption = Assumption { claim, control_root: *root }.digest();
        }
        sides.sort_by_key(|(_, _, assumption)| *assumption);

        let mut tape = Tape::default();
        tape.push_poseidon2(&ALLOWED_CONTROL_ROOT);
        for (receipt, root, _) in sides {
            tape.push_opaque_receipt(receipt, root == Digest::ZERO);
        }
        let claim = UnionClaim { left: sides[0].2, right: sides[1].2 };
        self.run(ProgramId::Union, &tape, |_| Ok(claim.into()))
    }

    /// The same claim proved with `hashfn`: Poseidon2 again, SHA-256 for verifiers outside of the field, or Poseidon
    /// over BN254 for Groth16. The verifier of the latter two must be told to allow that program alone, with the root of
    /// `receipt`'s programs inside of it, as `risc0_zkvm` does for its `identity_p254`.
    ///
    /// # Errors
    /// When the receipt is wrong.
    pub fn identity(
        &self,
        receipt: &SuccinctReceipt<ReceiptClaim>,
        hashfn: HashFn,
    ) -> Result<SuccinctReceipt<ReceiptClaim>, ProveError> {
        let root = control_root("receipt", receipt)?;
        let mut tape = Tape::default();
        tape.push_poseidon2(&root);
        tape.push_receipt("receipt", receipt)?;
        let claim = |output: &[u32]| merge(&decode_claim(output)?.into(), &receipt.claim);
        let id = ProgramId::Identity;
        if hashfn == HashFn::Poseidon2 {
            return self.run(id, &tape, claim);
        }
        let control_id = id.control_id(hashfn)?;
        self.with_engine(hashfn, |engine| {
            let allowed = [control_id];
            let membership =
                Membership::custom(control_id, &allowed, Some(root), hashfn, engine.suite())?;
            let ready = self.library.get(engine, id, hashfn)?;
            let run = phase("run", || Run::new(&ready.program, tape.words()))?;
            let claim = claim(&run.output)?;
            let seal = prove(engine, &ready, run, (self.seeds)())?;
            membership.receipt(&id.file_name(), seal, claim)
        })
    }

    /// Proves a program that is not among the circuit's own: the keccak accelerator's, say. `input` are the words
    /// that it reads, and `allowed` the programs that its receipt's verifier allows, `control_id` among them. It is not kept:
    /// its rows go as soon as they are decoded, the rest with the proof.
    ///
    /// # Errors
    /// When the program is not what `control_id` says, or does not accept the input.
    pub fn prove_zkr(
        &self,
        code: Code,
        control_id: Digest,
        allowed: &[Digest],
        input: &[u32],
    ) -> Result<SuccinctReceipt<Unknown>, ProveError> {
        let hashfn = HashFn::Poseidon2;
        let name = control_id.to_string();
        self.with_engine(hashfn, |engine| {
            let membership = Membership::custom(control_id, allowed, None, hashfn, engine.suite())?;
            let ready = phase("program", || {
                self.library.make_room(engine);
                make(engine, name.clone(), code, control_id)
            })?;
            let run = phase("run", || Run::new(&ready.program, input))?;
            let seal = prove(engine, &ready, run, (self.seeds)())?;
            phase("verify", || membership.opaque_receipt(&name, seal, engine.suite()))
        })
    }

    /// Proves `id` on `tape`, with Poseidon2; `claim` makes the receipt's claim from the program's output.
    fn run<Claim>(
        &self,
        id: ProgramId,
        tape: &Tape,
        claim: impl FnOnce(&[u32]) -> Result<MaybePruned<Claim>, ProveError>,
    ) -> Result<SuccinctReceipt<Claim>, ProveError>
    where
        Claim: risc0_binfmt::Digestible + Debug + DeserializeOwned + Send,
    {
        let control_id = id.control_id(HashFn::Poseidon2)?;
        self.with_engine(HashFn::Poseidon2, |engine| {
            let membership = Membership::standard(control_id, engine.suite())?;
            let ready = phase("program", || self.library.get(engine, id, HashFn::Poseidon2))?;
            let run = phase("run", || Run::new(&ready.program, tape.words()))?;
            let claim = claim(&run.output)?;
            let seal = prove(engine, &ready, run, (self.seeds)())?;
            phase("verify", || membership.receipt(&id.file_name(), seal, claim))
        })
    }

    fn with_engine<T>(
        &self,
        hashfn: HashFn,
        work: impl FnOnce(&Engine) -> Result<T, ProveError>,
    ) -> Result<T, ProveError> {
        let suite = hash_suite_from_name(hashfn.name())
            .ok_or(ProveError::HashFn { hashfn: hashfn.name() })?;
        let engine = Engine::new(self.isa, suite, self.pool.clone());
        work(&engine.with_plan(self.plan))
    }
}

/// What a lift reads, and the po2 of its program.
fn lift_tape(segment: &SegmentReceipt) -> Result<(Tape, usize), ProveError> {
    let role = "segment's receipt";
    check_hashfn(role, &segment.hashfn)?;
    let unfit = |reason: String| ProveError::Input { role, reason };
    let Some((version, seal)) = segment.seal.split_first() else {
        return Err(unfit("its seal is empty".into()));
    };
    if *version != RV32IM_SEAL_VERSION {
        return Err(unfit(format!(
            "its seal has version {version}, programs verify {RV32IM_SEAL_VERSION}"
        )));
    }
    // The circuit's globals come first, then the po2.
    let po2 =
        seal.get(Rv32im::OUTPUT_SIZE).ok_or_else(|| unfit("its seal ends too early".into()))?;
    let mut tape = Tape::default();
    tape.push_poseidon2(&ALLOWED_CONTROL_ROOT);
    tape.push(seal);
    Ok((tape, *po2 as usize))
}

/// What the programs read that verify two receipts of one session.
fn pair_tape<Claim: Encode>(
    left: &SuccinctReceipt<Claim>,
    right: &SuccinctReceipt<Claim>,
) -> Result<Tape, ProveError> {
    let root = control_root("left receipt", left)?;
    let right_root = control_root("right receipt", right)?;
    if root != right_root {
        return Err(ProveError::Unfit(format!(
            "programs of the left receipt are allowed by {root}, those of the right one by {right_root}"
        )));
    }
    let mut tape = Tape::default();
    tape.push_poseidon2(&root);
    tape.push_receipt("left receipt", left)?;
    tape.push_receipt("right receipt", right)?;
    Ok(tape)
}

/// What the programs read that remove an assumption; `claim` is that of `conditional`, without counted work.
fn resolve_tape<Conditional: Encode, Claim: risc0_binfmt::Digestible>(
    conditional: &SuccinctReceipt<Conditional>,
    claim: &MaybePruned<ReceiptClaim>,
    assumption: &SuccinctReceipt<Claim>,
) -> Result<Tape, ProveError> {
    let root = control_root("conditional receipt", conditional)?;
    let assumption_root = control_root("receipt of the assumption", assumption)?;

    let output = claim.as_value().map_err(unfit)?.output.as_value().map_err(unfit)?;
    let output = output.as_ref().ok_or_else(|| ProveError::Unfit("there is no output".into()))?;
    let mut assumptions = output.assumptions.as_value().map_err(unfit)?.clone();
    let head = assumptions.first().ok_or_else(|| ProveError::Unfit("nothing is assumed".into()))?;
    let head = head.as_value().map_err(unfit)?.clone();
    let proved = assumption.claim.digest();
    if head.claim != proved {
        return Err(ProveError::Unfit(format!(
            "assumed first is {}, proved is {proved}",
            head.claim
        )));
    }
    // Zeros stand for the programs that the conditional receipt itself may come from.
    let own_root = head.control_root == Digest::ZERO;
    let expected = if own_root { root } else { head.control_root };
    if expected != assumption_root {
        return Err(ProveError::Unfit(format!(
            "the assumption wants a program allowed by {expected}, its receipt's is allowed by {assumption_root}"
        )));
    }
    assumptions.resolve(&head.digest()).map_err(unfit)?;

    let mut tape = Tape::default();
    tape.push_poseidon2(&root);
    tape.push_receipt("conditional receipt", conditional)?;
    tape.push_opaque_receipt(assumption, own_root);
    tape.push_sha256(&assumptions.digest());
    tape.push_sha256(&output.journal.digest());
    Ok(tape)
}

fn decode_claim(output: &[u32]) -> Result<ReceiptClaim, ProveError> {
    ReceiptClaim::decode(&mut output.iter().copied().collect()).map_err(unfit)
}

fn decode_work(output: &[u32]) -> Result<WorkClaim<ReceiptClaim>, ProveError> {
    WorkClaim::decode_from_seal(&mut output.iter().copied().collect()).map_err(unfit)
}

fn unfit(reason: impl std::fmt::Display) -> ProveError {
    ProveError::Unfit(format!("{reason:#}"))
}
