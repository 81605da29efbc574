//! Receipts that others give, as what a job goes on proving with: the receipt of something that a guest assumes,
//! and the parts of a composite receipt that is to be compressed.

use risc0_binfmt::Digestible as _;
use risc0_circuit_rv32im::CircuitImpl as Rv32im;
use risc0_zkp::{adapter::CircuitInfo as _, core::hash::sha::Impl as Sha256};
use risc0_zkvm::{
    CompositeReceipt, InnerAssumptionReceipt, InnerReceipt, Receipt, ReceiptClaim, SegmentReceipt,
    SegmentReceiptVerifierParameters, SuccinctReceipt, Unknown,
};
use starling_types::Po2;

use super::{ReceiptError, check, file::check_depth, kind_of};
use crate::{
    AssumptionId, OutputParts, SegmentClaim, Work, codec,
    verify::{INCLUSION_DIGESTS, assumption_context, verifier_context},
};

/// A receipt that resolves what a guest assumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAssumption {
    /// What it proves.
    pub id: AssumptionId,
    /// The encoded receipt ([`codec::decode_assumption_receipt`] reads it).
    pub bytes: Vec<u8>,
}

/// A composite receipt, taken apart.
#[derive(Debug, Clone)]
pub struct CompositeParts {
    /// The receipts of all segments, in order.
    pub segments: Vec<SegmentPart>,
    /// What the guest put out; `None` when it ended without an output.
    pub output: Option<OutputParts>,
    /// The receipts of what it assumed, in the order of `output`'s list.
    pub assumptions: Vec<GivenAssumption>,
}

/// A segment's receipt, with what it proves.
#[derive(Debug, Clone)]
pub struct SegmentPart {
    /// The receipt; its index is its place among the segments.
    pub receipt: SegmentReceipt,
    /// What it claims.
    pub claim: SegmentClaim,
    /// The size of the segment.
    pub po2: Po2,
    /// The work that lifting it counts; `None` when its work is not counted for anyone.
    pub work: Option<Work>,
}

impl CompositeParts {
    /// The claim of the whole receipt, with all that the guest assumed.
    pub fn claim(&self) -> Option<SegmentClaim> {
        let (first, last) = (self.segments.first()?, self.segments.last()?);
        Some(first.claim.join(&last.claim))
    }
}

/// The receipt of a session as what resolves the assumption of it.
///
/// # Errors
/// When it does not verify, or is of a kind that nothing can be resolved with.
pub fn given_assumption(receipt: &Receipt) -> Result<GivenAssumption, ReceiptError> {
    check_usable(&receipt.inner, "cannot be assumed")?;
    match &receipt.inner {
        InnerReceipt::Succinct(succinct) => {
            check(|| receipt.verify_integrity_with_context(&verifier_context()))?;
            pruned(succinct.clone())
        }
        inner => Err(ReceiptError::WrongKind {
            kind: kind_of(inner),
            obstacle: "cannot be assumed as it is",
            hint: "compress it to a succinct one first",
        }),
    }
}

fn pruned(root: SuccinctReceipt<ReceiptClaim>) -> Result<GivenAssumption, ReceiptError> {
    let id = AssumptionId::of_receipt(root.claim.digest::<Sha256>());
    encoded(id, root.into_unknown())
}

/// A receipt from a host's environment as what resolves `assumed`.
pub fn resolving(
    assumed: &AssumptionId,
    receipt: &SuccinctReceipt<Unknown>,
) -> Result<GivenAssumption, ReceiptError> {
    let id = assumed.proof();
    check(|| receipt.verify_integrity_with_context(&assumption_context(id.control_root)))?;
    encoded(id, receipt.clone())
}

/// The composite receipts among those of what a composite receipt's guest assumed, with their places: they are to be
/// compressed before it.
///
/// # Errors
/// When one does not hold its journal, which makes a receipt of it.
pub fn nested_composites(receipt: &Receipt) -> Result<Vec<(usize, Receipt)>, ReceiptError> {
    let InnerReceipt::Composite(composite) = &receipt.inner else { return Ok(Vec::new()) };
    let mut nested = Vec::new();
    for (place, assumption) in composite.assumption_receipts.iter().enumerate() {
        let InnerAssumptionReceipt::Composite(inner) = assumption else { continue };
        let claim = check(|| inner.claim())?;
        let output = claim.output.as_value().ok().and_then(Option::as_ref);
        let journal = match output.map(|output| output.journal.as_value()) {
            Some(Ok(journal)) => journal.clone(),
            None => Vec::new(),
            Some(Err(_)) => {
                return Err(invalid(
                    "a composite receipt of what it assumes has its journal pruned",
                ));
            }
        };
        nested.push((place, Receipt::new(InnerReceipt::Composite(inner.clone()), journal)));
    }
    Ok(nested)
}

/// The same composite receipt with `compressed` in the place of the composite one that it was made of.
///
/// # Errors
/// When there is no such place, or `compressed` is not succinct.
pub fn replace_nested(
    mut receipt: Receipt,
    place: usize,
    compressed: Receipt,
) -> Result<Receipt, ReceiptError> {
    let InnerReceipt::Succinct(succinct) = compressed.inner else {
        return Err(invalid("what was compressed is not succinct"));
    };
    let InnerReceipt::Composite(composite) = &mut receipt.inner else {
        return Err(invalid("only a composite receipt holds others"));
    };
    let slot = composite.assumption_receipts.get_mut(place);
    let slot = slot.ok_or_else(|| invalid("it holds no such receipt"))?;
    *slot = InnerAssumptionReceipt::Succinct(succinct.into_unknown());
    Ok(receipt)
}

/// Takes a composite receipt apart, to be compressed.
///
/// # Errors
/// When it does not verify, is not composite, or holds a receipt of an assumption that nothing can be resolved with: a
/// composite one must be compressed before ([`nested_composites`]).
pub fn open_composite(receipt: &Receipt) -> Result<CompositeParts, ReceiptError> {
    check_usable(&receipt.inner, "cannot be compressed by joins")?;
    let InnerReceipt::Composite(composite) = &receipt.inner else {
        return Err(ReceiptError::WrongKind {
            kind: kind_of(&receipt.inner),
            obstacle: "has no segments to compress",
            hint: "it is succinct already",
        });
    };
    // Verifying recurses as deep as the receipt nests.
    check_depth(&composite.assumption_receipts, 1)
        .map_err(|reason| ReceiptError::Invalid { reason })?;
    check(|| receipt.verify_integrity_with_context(&verifier_context()))?;
    open(composite)
}

/// The parts of a receipt that was verified.
fn open(composite: &CompositeReceipt) -> Result<CompositeParts, ReceiptError> {
    let last = composite.segments.last().ok_or_else(|| invalid("it has no segments"))?;
    let output = match last.claim.output.as_value() {
        Ok(Some(output)) => Some(
            OutputParts::of(output)
                .ok_or_else(|| invalid("the list of what it assumes is pruned"))?,
        ),
        Ok(None) => None,
        Err(_) => return Err(invalid("its output is pruned")),
    };
    let mut segments: Vec<_> =
        (0..).zip(&composite.segments).map(open_segment).collect::<Result<_, _>>()?;
    if let (Some(last), Some(output)) = (segments.last_mut(), &output) {
        // Without the journal, as any segment's receipt: it may be far larger than all that is proved from here.
        last.receipt.claim.output = Some(output.to_output()).into();
    }
    let assumed = output.as_ref().map_or(&[][..], |output| &output.assumptions);
    let assumptions = assumed
        .iter()
        .zip(&composite.assumption_receipts)
        .map(|(assumed, receipt)| open_assumption(assumed, receipt))
        .collect::<Result<_, _>>()?;
    Ok(CompositeParts { segments, output, assumptions })
}

fn open_segment((index, receipt): (u32, &SegmentReceipt)) -> Result<SegmentPart, ReceiptError> {
    let claim = SegmentClaim::of_receipt(&receipt.claim)
        .ok_or_else(|| invalid("a segment's states are pruned"))?;
    // The seal: its version, the circuit's globals, then the po2.
    let po2 = receipt.seal.get(1 + Rv32im::OUTPUT_SIZE).copied();
    let po2 = po2.and_then(|po2| Po2::try_from(po2).ok());
    let po2 = po2.ok_or_else(|| invalid("a segment's seal shows no size"))?;
    let nonce = check(|| receipt.povw_nonce())?;
    let mut receipt = receipt.clone();
    // What the verifier does not look at: a number, where the receipt's place is what counts, and the name of the verifier.
    receipt.index = index;
    receipt.verifier_parameters = SegmentReceiptVerifierParameters::default().digest::<Sha256>();
    // What it knows by its digest alone is opened as far as what comes next needs it, by whomever it was written.
    receipt.claim = claim.to_receipt_claim();
    Ok(SegmentPart { receipt, claim, po2, work: Work::of_nonce(&nonce, po2) })
}

fn open_assumption(
    assumed: &AssumptionId,
    receipt: &InnerAssumptionReceipt,
) -> Result<GivenAssumption, ReceiptError> {
    let wrong = |kind, hint| ReceiptError::WrongKind {
        kind,
        obstacle: "is given for what the guest assumed, but cannot be resolved",
        hint,
    };
    const PROVE_AGAIN: &str = "prove it again as a succinct one";
    match receipt {
        InnerAssumptionReceipt::Succinct(receipt) => resolving(assumed, receipt),
        InnerAssumptionReceipt::Composite(_) => Err(wrong("composite", "compress it before")),
        InnerAssumptionReceipt::Groth16(_) => Err(wrong("groth16", PROVE_AGAIN)),
        InnerAssumptionReceipt::Fake(_) => Err(wrong("fake", PROVE_AGAIN)),
        _ => Err(wrong("unknown", PROVE_AGAIN)),
    }
}

/// Refuses what recursion cannot take up.
fn check_usable(receipt: &InnerReceipt, obstacle: &'static str) -> Result<(), ReceiptError> {
    let hint = match receipt {
        InnerReceipt::Composite(_) | InnerReceipt::Succinct(_) => return Ok(()),
        InnerReceipt::Groth16(_) => "give the succinct receipt that it was made of",
        InnerReceipt::Fake(_) => "it was made in development mode and proves nothing: prove it",
        _ => "prove it again with this release",
    };
    Err(ReceiptError::WrongKind { kind: kind_of(receipt), obstacle, hint })
}

/// A receipt that verifies, as a prover writes it: of the index of its program the verifier reads as many bits as there are
/// digests beside it, and a recursion program all.
///
/// # Errors
/// When its program is shown to be allowed in a way that no recursion program takes.
pub fn written_anew<Claim>(
    mut receipt: SuccinctReceipt<Claim>,
) -> Result<SuccinctReceipt<Claim>, ReceiptError> {
    let inclusion = &mut receipt.control_inclusion_proof;
    if inclusion.digests.len() != INCLUSION_DIGESTS {
        return Err(invalid("its program is shown to be allowed in a tree of another depth"));
    }
    inclusion.index %= 1 << INCLUSION_DIGESTS;
    Ok(receipt)
}

fn encoded(
    id: AssumptionId,
    receipt: SuccinctReceipt<Unknown>,
) -> Result<GivenAssumption, ReceiptError> {
    let bytes = codec::encode_assumption_receipt(&written_anew(receipt)?)
        .map_err(|error| ReceiptError::Invalid { reason: error.to_string() })?;
    Ok(GivenAssumption { id, bytes })
}

fn invalid(reason: &str) -> ReceiptError {
    ReceiptError::Invalid { reason: reason.into() }
}
