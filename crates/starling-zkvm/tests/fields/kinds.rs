//! How receipts of each kind come in, what is kept of them, and what is proved of that next.

use std::{io::Write as _, path::Path};

use risc0_binfmt::Digestible as _;
use risc0_zkp::core::{digest::digest, hash::sha::Impl as Sha256};
use risc0_zkvm::{
    Groth16Receipt, Groth16ReceiptVerifierParameters, InnerAssumptionReceipt, MaybePruned,
};
use starling_types::TaskId;
use starling_zkvm::{
    BlobKind, Digest, Expected, InnerReceipt, Receipt, ReceiptClaim, SegmentClaim, SuccinctReceipt,
    Unknown,
    codec::{self, CodecError},
    receipt::{
        CompositeParts, ReceiptError, assemble_composite, assemble_succinct, encode_receipt,
        given_assumption, nested_composites, open_composite, read_receipt, receipt_info,
        replace_nested, resolving, verify_receipt,
    },
    verify::verifier_context,
    verify_task,
};

use crate::{
    changes::Depth,
    recorded::{ASSUMING, COUNTED, Kept, delivered, given, pair, prove_as, resolved, union_id},
    tree::Node,
};

/// What is kept of a receipt that comes in as this bincode, or why it is refused.
type Take = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, String>>;

/// Proves the next task of what is kept, and has that judged.
type GoOn = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// A real receipt, and the way of its kind.
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) tree: Node,
    pub(crate) depth: Depth,
    take: Take,
    /// Where nothing else may be kept than of the real one, there is nothing to go on with.
    go_on: Option<GoOn>,
}

impl Kind {
    pub(crate) fn take(&self, content: &[u8]) -> Result<Vec<u8>, String> {
        (self.take)(content)
    }

    pub(crate) fn go_on(&self, kept: &[u8]) -> Result<(), String> {
        let Some(go_on) = &self.go_on else { return Err("it is taken for something else".into()) };
        go_on(kept)
    }

    fn with_depth(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }
}

/// The name of a kind, and how it is made.
type Made = (&'static str, fn(String) -> Kind);

/// The kinds, by their names.
pub(crate) const KINDS: &[Made] = &[
    ("segment", |name| result(name, Kept::Segment0, lifted_or_delivered)),
    ("segment that assumes", |name| {
        let go_on = next(TaskId::LiftReceipt(0), |blob| vec![blob], Kept::AssumingLift.expected());
        result(name, Kept::AssumingSegment, go_on).with_depth(Depth::LIGHT)
    }),
    ("lift", |name| result(name, Kept::Lift0, joined())),
    ("join", |name| result(name, Kept::Join, delivered_alike).with_depth(Depth::LIGHT)),
    ("lift that assumes", |name| {
        let inputs = |blob| vec![blob, given().bytes];
        let go_on = next(TaskId::Resolve(0), inputs, Kept::Resolve0.expected());
        result(name, Kept::AssumingLift, go_on)
    }),
    ("resolve", |name| {
        let inputs = |blob| vec![blob, Kept::Union.read()];
        let go_on = next(TaskId::Resolve(1), inputs, Expected::Claim(resolved(2)));
        result(name, Kept::Resolve0, go_on).with_depth(Depth::LIGHT)
    }),
    ("work", |name| {
        let go_on = next(TaskId::Unwrap, |blob| vec![blob], Kept::Unwrap0.expected());
        result(name, Kept::WorkLift0, go_on)
    }),
    ("unwrap", |name| result(name, Kept::Unwrap0, joined()).with_depth(Depth::LIGHT)),
    ("keccak", |name| {
        let inputs = |blob| vec![blob, Kept::Keccak.read()];
        let go_on = next(TaskId::Union(pair()), inputs, Kept::Union.expected());
        result(name, Kept::Keccak, go_on)
    }),
    ("union", |name| {
        let inputs = |blob| vec![Kept::Resolve0.read(), blob];
        let go_on = next(TaskId::Resolve(1), inputs, Expected::Claim(resolved(2)));
        result(name, Kept::Union, go_on).with_depth(Depth::LIGHT)
    }),
    ("given", |name| {
        file(name, &delivered(), |receipt| {
            let given = given_assumption(&receipt)?;
            Ok([format!("{:?}", given.id).into_bytes(), given.bytes].concat())
        })
        .with_depth(Depth::LIGHT)
    }),
    ("host's", hosts),
    ("composite", |name| {
        let opened = opened(COUNTED.execution.claim);
        file(name, &composite(), opened).with_depth(Depth::LIGHT)
    }),
    ("composite that assumes", |name| {
        let opened = opened(ASSUMING.execution.claim);
        file(name, &nested(), opened).with_depth(Depth::LEAST)
    }),
    ("verified succinct", |name| {
        file(name, &delivered(), said_of(COUNTED.image_id)).with_depth(Depth::LIGHT)
    }),
    ("verified composite", |name| {
        file(name, &composite(), said_of(COUNTED.image_id)).with_depth(Depth::LIGHT)
    }),
    ("verified groth16", |name| {
        let depth = Depth { drawn: 64, ..Depth::LIGHT };
        file(name, &groth16(), said_of(GROTH16_IMAGE_ID)).with_depth(depth)
    }),
];

/// The result of a task, which is kept as it came.
fn result(name: String, kept: Kept, go_on: impl Fn(&[u8]) -> Result<(), String> + 'static) -> Kind {
    let blob = kept.read();
    let kind = BlobKind::of(&blob).unwrap();
    fn shown<T: serde::Serialize>(decoded: Result<T, CodecError>) -> Node {
        Node::of(&decoded.unwrap())
    }
    let tree = match kind {
        BlobKind::SegmentReceipt => shown(codec::decode_segment_receipt(&blob)),
        BlobKind::SuccinctReceipt => shown(codec::decode_succinct_receipt(&blob)),
        BlobKind::WorkReceipt => shown(codec::decode_work_receipt(&blob)),
        BlobKind::AssumptionReceipt => shown(codec::decode_assumption_receipt(&blob)),
        BlobKind::Segment | BlobKind::KeccakRequest => panic!("{kind} is no receipt"),
    };
    assert!(codec::seal(kind, &tree.bytes()) == blob, "a tree is not what it was made of");
    let (task, expected) = (kept.task(), kept.expected());
    let take = move |content: &[u8]| {
        let blob = codec::seal(kind, content);
        verify_task(task, &blob, &expected).map_err(|refusal| refusal.to_string())?;
        Ok(blob)
    };
    Kind { name, tree, depth: Depth::WHOLE, take: Box::new(take), go_on: Some(Box::new(go_on)) }
}

/// A lift that counts if RISC Zero's verifier accepts it and its claim is the right one: what it is judged by where nobody asks
/// for more.
pub(crate) fn judged_by_the_verifier_alone() -> Kind {
    let expected = COUNTED.claim(0).digest();
    let take = move |content: &[u8]| {
        let blob = codec::seal(BlobKind::SuccinctReceipt, content);
        let receipt = codec::decode_succinct_receipt(&blob).map_err(|error| error.to_string())?;
        receipt
            .verify_integrity_with_context(&verifier_context())
            .map_err(|error| error.to_string())?;
        (receipt.claim.digest::<Sha256>() == expected).then_some(blob).ok_or("another claim".into())
    };
    Kind { take: Box::new(take), ..result("lift".into(), Kept::Lift0, joined()) }
}

/// The task that comes next, of these inputs.
fn next(
    task: TaskId,
    inputs: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + 'static,
    expected: Expected,
) -> impl Fn(&[u8]) -> Result<(), String> + 'static {
    move |blob| prove_as(task, false, inputs(blob.into()), &expected).map(drop)
}

fn joined() -> impl Fn(&[u8]) -> Result<(), String> {
    let inputs = |blob| vec![blob, Kept::Lift1.read()];
    next(TaskId::Join(pair()), inputs, Kept::Join.expected())
}

/// A receipt of the first segment is lifted, or goes into a composite receipt that verifies, and of which the same is proved.
fn lifted_or_delivered(blob: &[u8]) -> Result<(), String> {
    prove_as(TaskId::LiftReceipt(0), false, vec![blob.into()], &Kept::Lift0.expected())?;
    let composite = composite_of(blob)?;
    composite.verify(COUNTED.image_id).map_err(|error| error.to_string())?;
    let parts = open_composite(&composite).map_err(|error| error.to_string())?;
    let same = parts_of(&open_composite(&self::composite()).unwrap());
    (parts_of(&parts) == same).then_some(()).ok_or("something else is proved of it".into())
}

/// The receipt over all segments is delivered as the real one is, word for word.
fn delivered_alike(blob: &[u8]) -> Result<(), String> {
    let root = codec::decode_succinct_receipt(blob).map_err(|error| error.to_string())?;
    let execution = COUNTED.execution.clone();
    let receipt = assemble_succinct(root, execution).map_err(|error| error.to_string())?;
    let alike = bytes_of(&receipt) == bytes_of(&delivered());
    alike.then_some(()).ok_or("something else is delivered".into())
}

/// A receipt that comes in as a file, and of which `take` says what is kept.
fn file(
    name: String,
    receipt: &Receipt,
    take: impl Fn(Receipt) -> Result<Vec<u8>, ReceiptError> + 'static,
) -> Kind {
    let tree = Node::of(receipt);
    assert!(tree.bytes() == bytes_of(receipt), "a tree is not what it was made of");
    let take = move |content: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let path: &Path = file.path();
        read_receipt(path).and_then(&take).map_err(|error| error.to_string())
    };
    Kind { name, tree, depth: Depth::WHOLE, take: Box::new(take), go_on: None }
}

/// What a verified receipt says; of what it is made makes no difference.
fn said_of(image_id: Digest) -> impl Fn(Receipt) -> Result<Vec<u8>, ReceiptError> + 'static {
    move |receipt| {
        verify_receipt(&receipt, image_id)?;
        let info = receipt_info(&receipt)?;
        let said = (info.kind, info.segment_count, info.claim_digest, info.journal);
        Ok(format!("{said:?}").into_bytes())
    }
}

/// What is proved of a composite receipt of this execution, and of that within it before.
///
/// A composite receipt is of whatever its segments are of: without its last it proves that the guest came so far, and says that
/// it was split there. What is made of it says so too, and nobody who knows what he wants takes it for the whole.
fn opened(claim: SegmentClaim) -> impl Fn(Receipt) -> Result<Vec<u8>, ReceiptError> + 'static {
    let parts = move |receipt: &Receipt, claim: SegmentClaim| {
        let parts = open_composite(receipt)?;
        let of_another = || ReceiptError::Invalid { reason: "it is of another execution".into() };
        (parts.claim() == Some(claim)).then(|| parts_of(&parts)).ok_or_else(of_another)
    };
    move |mut receipt| {
        let mut all = Vec::new();
        for (place, inner) in nested_composites(&receipt)? {
            all.extend(parts(&inner, COUNTED.execution.claim)?);
            // What the job of the one within it makes of the same parts.
            receipt = replace_nested(receipt, place, delivered())?;
        }
        all.extend(parts(&receipt, claim)?);
        Ok(all)
    }
}

/// All that goes on from there.
fn parts_of(parts: &CompositeParts) -> Vec<u8> {
    let CompositeParts { segments, output, assumptions } = parts;
    let mut all = format!("{output:?}").into_bytes();
    for segment in segments {
        all.extend(codec::encode_segment_receipt(&segment.receipt).unwrap());
        all.extend(format!("{:?}", (segment.claim, segment.po2, segment.work)).into_bytes());
    }
    for given in assumptions {
        all.extend(format!("{:?}", given.id).into_bytes());
        all.extend(&given.bytes);
    }
    all
}

fn bytes_of(receipt: &Receipt) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_receipt(receipt, &mut bytes).unwrap();
    bytes
}

fn composite() -> Receipt {
    composite_of(&Kept::Segment0.read()).unwrap()
}

/// The composite receipt of two segments, of which this is the first.
fn composite_of(first: &[u8]) -> Result<Receipt, String> {
    let read = codec::decode_segment_receipt;
    let segments = vec![
        read(first).map_err(|error| error.to_string())?,
        read(&Kept::Segment1.read()).unwrap(),
    ];
    assemble_composite(segments, vec![], COUNTED.execution.clone())
        .map_err(|error| error.to_string())
}

/// A composite receipt with those of what it assumes, a composite one and a succinct one.
fn nested() -> Receipt {
    let segment = codec::decode_segment_receipt(&Kept::AssumingSegment.read()).unwrap();
    let assumed = [given().bytes, Kept::Union.read()]
        .map(|blob| codec::decode_assumption_receipt(&blob).unwrap());
    let execution = ASSUMING.execution.clone();
    let mut receipt = assemble_composite(vec![segment], assumed.into(), execution).unwrap();
    let InnerReceipt::Composite(outer) = &mut receipt.inner else { panic!("it is composite") };
    let InnerReceipt::Composite(inner) = composite().inner else { panic!("it is composite") };
    outer.assumption_receipts[0] = InnerAssumptionReceipt::Composite(inner);
    receipt
}

/// What a host program has in its environment for what its guest assumes.
fn hosts(name: String) -> Kind {
    let receipt = codec::decode_assumption_receipt(&Kept::Union.read()).unwrap();
    let take = |content: &[u8]| {
        let receipt: SuccinctReceipt<Unknown> =
            bincode::deserialize(content).map_err(|error| error.to_string())?;
        let given = resolving(&union_id(), &receipt).map_err(|error| error.to_string())?;
        Ok([format!("{:?}", given.id).into_bytes(), given.bytes].concat())
    };
    let tree = Node::of(&receipt);
    Kind { name, tree, depth: Depth::LIGHT, take: Box::new(take), go_on: None }
}

/// A Groth16 receipt takes RISC Zero's container to make. This one RISC Zero has published for those who verify such receipts of
/// its release 3.0, whose programs and Groth16 key are those of this one (`risc0-ethereum`, Apache-2.0).
const GROTH16_SEAL: &str = "\
    2ccb718fd9092cc11546eeded62a44d3ed274076dd3ec154fae8739f3432050b2005be2c5dbe6c08bfd04b30601a4625\
    40962bc26a2f38c5cfc0a4d76d8f1b8015e690a1b230081234867edeedb2f98bcdf33d0471c2aa5e8db63b72333f8715\
    27eb5d1fcf0a7af50fb8f42e8699e2c4eda3cd93f4e2a930096ae78e38bea4020c5c3d963dc453b4b302170e47c0cf53\
    382255143c8fcef474d8b6eaaa8daaaf092c2f650809a3afbd122ef128cb882c2de7a6ccddd2e544b645fa3fedf6bcc9\
    2e09be04876a07778231fd5b93305d35fd8af23f040a11682a8c64130370804f28f07a76fa538755276e42c04b5f7eb9\
    7b04b68b65fa50e3181a0452069a3667";

const GROTH16_IMAGE_ID: Digest =
    digest!("11d264ed8dfdee222b820f0278e4d7f55d4b69a5472253a471c102265a91ea1a");

fn groth16() -> Receipt {
    let journal = b"just a simple receipt".to_vec();
    let claim = ReceiptClaim::ok(GROTH16_IMAGE_ID, journal.clone());
    let parameters = Groth16ReceiptVerifierParameters::default().digest::<Sha256>();
    let seal = (0..GROTH16_SEAL.len()).step_by(2);
    let seal = seal.map(|at| u8::from_str_radix(&GROTH16_SEAL[at..at + 2], 16).unwrap()).collect();
    let inner = Groth16Receipt::new(seal, MaybePruned::Value(claim), parameters);
    Receipt::new(InnerReceipt::Groth16(inner), journal)
}
