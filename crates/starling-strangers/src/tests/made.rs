//! Seeds that follow from the types of this release. Those of the wire are the golden bytes of `starling-proto`.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use prost::Message as _;
use risc0_zkvm::{Digest, FakeReceipt, InnerReceipt, MaybePruned, Receipt, ReceiptClaim};
use starling_client::{
    ExecutionSummary, Facts, Given, JobEvent, JobProgress, Written, ZkvmEvent, rules,
};
use starling_types::{
    BlobRef, ImageId, Incarnation, IndexRange, JobId, NodeId, Po2, Reference, TaskId,
};
use starling_zkvm::{
    AssumptionId, BlobKind, Emitted, ExecuteOptions, ExitCode, Guest, KeccakRequest, OutputParts,
    SegmentClaim, execute,
};

use crate::forged;

#[path = "../../../starling-zkvm/tests/tiny/mod.rs"]
mod tiny;

/// The seeds of some targets, by their names.
pub(super) type Made = BTreeMap<&'static str, Vec<(&'static str, Vec<u8>)>>;

/// Bytes of a blob before what it holds.
const HEADER_BYTES: usize = 6;

/// A seal that is far too short, and its words are field elements.
const SEAL: [u32; 4] = [1, 2, 3, 4];

pub(super) fn seeds() -> Made {
    let segment = segment();
    let frame = segment[HEADER_BYTES..].to_vec();
    let elf = tiny::elf(3, 0);
    let program_header = elf[52..].to_vec();
    [
        ("child_lines", child_lines()),
        ("control_lines", vec![("progress", progress()), ("written", written())]),
        ("guest_binary", vec![("elf", elf), ("program-header", program_header)]),
        ("hosted_wire", hosted_wire()),
        (
            "job_log",
            vec![
                ("whole", job_log()),
                ("restarted", restarted()),
                ("empty-range", result_of_nothing()),
            ],
        ),
        ("receipt_blob", receipt_contents()),
        ("receipt_file", receipt_files()),
        ("segment_blob", vec![("segment", content(&segment)), ("keccak", keccak_request())]),
        ("small_files", small_files()),
        ("verify_task", verify_task()),
        ("zstd_frame", frames(frame)),
    ]
    .into()
}

/// The segment of a guest that ends at once, as a blob.
fn segment() -> Vec<u8> {
    let guest = Guest::parse(tiny::program(1, 0)).unwrap();
    let mut segments = Vec::new();
    let keep = |emitted| {
        if let Emitted::Segment(segment) = emitted {
            segments.push(segment.bytes);
        }
        Ok(())
    };
    let options = ExecuteOptions::new(Po2::try_from(16).unwrap(), [7; 32]);
    execute(&guest, options, keep, &AtomicBool::new(false)).unwrap();
    segments.remove(0)
}

/// What a blob holds in its frame.
fn content(blob: &[u8]) -> Vec<u8> {
    zstd::bulk::decompress(&blob[HEADER_BYTES..], 1 << 20).unwrap()
}

fn frames(frame: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    // A frame of one segment, no checksum, whose content has 2^40 bytes, and one raw block of four.
    let huge = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1_u64 << 40).to_le_bytes(), &[0x21, 0, 0]];
    let small = zstd::bulk::compress(b"no segment", 1).unwrap();
    let two = [&small[..], &small].concat();
    vec![
        ("segment", frame),
        ("huge", [huge.concat(), b"leaf".to_vec()].concat()),
        ("small", small),
        ("two", two),
    ]
}

fn keccak_request() -> Vec<u8> {
    let digest = Digest::from([5; 8]);
    let request = KeccakRequest {
        claim_digest: digest,
        po2: 14,
        control_root: digest,
        input: vec![[7; 25], [8; 25]],
    };
    bincode::serialize(&request).unwrap()
}

fn receipt_contents() -> Vec<(&'static str, Vec<u8>)> {
    let seal = || SEAL.to_vec();
    vec![
        ("segment", bincode::serialize(&forged::segment_receipt(seal())).unwrap()),
        ("succinct", bincode::serialize(&forged::succinct_receipt(seal())).unwrap()),
        ("work", bincode::serialize(&forged::work_receipt(seal())).unwrap()),
        ("assumption", bincode::serialize(&forged::assumption_receipt(seal())).unwrap()),
        ("blob", forged::fold(BlobKind::AssumptionReceipt, b"no receipt")),
    ]
}

fn receipt_files() -> Vec<(&'static str, Vec<u8>)> {
    let claim = MaybePruned::Value(forged::claim().to_receipt_claim());
    let fake = InnerReceipt::Fake(FakeReceipt::<ReceiptClaim>::new(claim));
    let succinct = InnerReceipt::Succinct(forged::succinct_receipt(SEAL.to_vec()));
    let file = |inner| bincode::serialize(&Receipt::new(inner, b"journal".to_vec())).unwrap();
    // The type cannot be constructed elsewhere; in bincode it is its variant and these fields.
    let (journal, parameters) = (b"journal".to_vec(), Digest::ZERO);
    let segments = vec![forged::segment_receipt(SEAL.to_vec())];
    let composite = (0_u32, segments, Vec::<Digest>::new(), parameters, journal, parameters);
    vec![
        ("fake", file(fake)),
        ("succinct", file(succinct)),
        ("composite", bincode::serialize(&composite).unwrap()),
    ]
}

/// The first two bytes say how many words a seal has, the rest is repeated to fill it.
fn verify_task() -> Vec<(&'static str, Vec<u8>)> {
    let seal = |word_count: u16, words: &[u32]| {
        let words: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        [&word_count.to_le_bytes()[..], &words].concat()
    };
    let mut seeds = receipt_contents();
    seeds.extend([
        ("seal-short", seal(4, &SEAL)),
        ("seal-long", seal(u16::MAX, &SEAL)),
        // No field element is as large as the modulus.
        ("seal-out-of-field", seal(60_000, &[15 * (1 << 27) + 1, u32::MAX])),
    ]);
    seeds
}

fn small_files() -> Vec<(&'static str, Vec<u8>)> {
    let speed = "3 2 16 80000 40000 risc0/a54dc85a/2\n3 3 - 10000 10000 risc0/a54dc85a/2\n";
    vec![
        ("lock", b"4711 starling prove fib.bin".to_vec()),
        ("lock-without-purpose", b"12 ".to_vec()),
        ("speed", speed.into()),
        // Its name was read without what it ended in, once it was written again.
        ("speed-with-returns", b"1 2 - 3 4 a\r\r\n".to_vec()),
    ]
}

fn child_lines() -> Vec<(&'static str, Vec<u8>)> {
    let of_parent = concat!(
        r#"{"threads":2,"params":"","sandbox":"try"}"#,
        "\n",
        r#"{"id":7,"task":{"kind":3,"range":{"start":0,"end":2}},"arguments":"1400","#,
        r#""inputs":[{"role":"input","size_bytes":4},{"role":"input","size_bytes":0}],"profile":"frugal"}"#,
        "\nleaf"
    );
    let proved = concat!(
        r#"{"system":"hash/1","sandbox":"full"}"#,
        "\n",
        r#"{"id":7,"progress":420}"#,
        "\n",
        r#"{"id":7,"ok":{"steps":[{"name":"prove","elapsed_ms":5}],"peak_memory":1024,"cpu_ms":9},"result_bytes":4}"#,
        "\nleaf"
    );
    let refused = r#"{"id":7,"error":{"class":"input","message":"no segment"}}"#;
    vec![
        ("parent", of_parent.into()),
        ("proved", proved.into()),
        ("refused", format!("{refused}\n").into()),
    ]
}

/// One field of a message in protobuf, of bytes.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2];
    prost::encode_length_delimiter(bytes.len(), &mut field).unwrap();
    field.extend(bytes);
    field
}

fn hosted_wire() -> Vec<(&'static str, Vec<u8>)> {
    let words = |word: u8| field(1, &[word; 8]);
    let succinct = [
        field(2, &[1; 16]),
        field(3, &words(2)),
        field(4, &field(2, &words(3))),
        field(5, &field(2, &words(4))),
        field(6, b"poseidon2"),
        field(7, &words(5)),
    ];
    let receipt = field(2, &succinct.concat());
    let variable = [field(1, b"NAME"), field(2, b"value")].concat();
    let environment = [
        field(2, &variable),
        field(3, b"channel"),
        field(4, &[0, 7]),
        field(5, &[1, 2]),
        field(8, b"argument"),
        field(11, &field(1, &field(1, &receipt))),
        field(15, &[1; 32]),
    ];
    let request = field(1, &field(1, &environment.concat()));
    // Version 3.1.0: three numbers.
    let hello = field(1, &[0x08, 3, 0x10, 1]);
    let sized = [&(hello.len() as u32).to_le_bytes()[..], &hello].concat();
    vec![
        ("request", request),
        ("hello", hello),
        ("hello-with-its-size", sized),
        ("answer", field(1, b"what a file holds")),
        ("failure", field(2, &"the cable is cut".to_owned().encode_to_vec())),
    ]
}

fn progress() -> Vec<u8> {
    line(&JobProgress::default())
}

fn written() -> Vec<u8> {
    let facts = Facts {
        image_id: ImageId([3; 32]),
        exit_code: "Halted(0)".into(),
        journal: Some("0102".into()),
        journal_bytes: 2,
        claim_digest: starling_types::ClaimDigest([4; 32]),
        receipt_kind: "succinct".into(),
        segments: 1,
        keccaks: 0,
        assumptions: 0,
        user_cycles: 5,
        total_cycles: 8,
        seconds: 1.5,
        job: JobId([1; JobId::SIZE_BYTES]),
    };
    line(&Written { facts, receipt: "/tmp/receipt.bin".into(), work_receipt: None })
}

fn line(message: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}

fn blob(byte: u8) -> BlobRef {
    BlobRef { reference: Reference([byte; 32]), size_bytes: 10 }
}

fn assumption() -> AssumptionId {
    AssumptionId { claim: Digest::from([6; 8]), control_root: Digest::from([1; 8]) }
}

/// A job of two segments and a keccak proof, from its beginning to its receipt.
fn job_log() -> Vec<u8> {
    let given = ZkvmEvent::Given { receipts: vec![Given { id: assumption(), blob: blob(9) }] };
    let output = OutputParts { journal: Digest::from([9; 8]), assumptions: Vec::new() };
    let summary = ExecutionSummary {
        exit_code: ExitCode::Halted(0),
        segment_count: 2,
        keccak_count: 1,
        journal: blob(8),
        output: Some(output),
        assumed: Vec::new(),
        user_cycles: 5,
        total_cycles: 8,
    };
    let assumed = starling_client::AssumedFrom::Keccak;
    let done = ZkvmEvent::Done { receipt: blob(20), work_receipt: None, seconds: 1.5 };
    let both = TaskId::Join(IndexRange::new(0, 2).unwrap());
    let events = [
        rules::created(None),
        given.into(),
        JobEvent::ClientStarted { incarnation: Incarnation(1) },
        segment_stored(0),
        segment_stored(1),
        accepted(TaskId::Lift(0), 30, true),
        keccak_stored(),
        ZkvmEvent::Assumed { assumptions: vec![(assumption(), assumed)] }.into(),
        ZkvmEvent::ExecutionEnded(summary).into(),
        JobEvent::ResultConfirmed { task: TaskId::Lift(0).into() },
        accepted(TaskId::Lift(1), 31, false),
        accepted(both, 32, false),
        accepted(TaskId::Keccak(0), 33, false),
        JobEvent::ResultLost { blob: Reference([33; 32]) },
        accepted(TaskId::Keccak(0), 34, false),
        accepted(TaskId::Resolve(0), 35, false),
        done.into(),
    ];
    lines(&events)
}

/// What follows `created` where a job starts over and fails.
fn restarted() -> Vec<u8> {
    let events = [
        JobEvent::ClientStarted { incarnation: Incarnation(1) },
        segment_stored(0),
        accepted(TaskId::Lift(0), 30, true),
        JobEvent::ResultRevoked { task: TaskId::Lift(0).into() },
        JobEvent::Restarted { reason: "segment 0 differs".into() },
        segment_stored(0),
        JobEvent::Failed { message: "it differs again".into() },
        JobEvent::Cancelled,
    ];
    lines(&events)
}

/// A result of a range that begins behind its end: reading one was a panic once.
fn result_of_nothing() -> Vec<u8> {
    let result = accepted(TaskId::Resolve(0), 35, false);
    let line = String::from_utf8(line(&result)).unwrap();
    let empty = line.replace(r#""start":0,"#, r#""start":4294967295,"#);
    assert_ne!(empty, line, "a range is written in another way");
    empty.into_bytes()
}

fn segment_stored(index: u32) -> JobEvent {
    let digest = |n: u32| Digest::from([n; 8]);
    let claim = SegmentClaim {
        pre: digest(index),
        post: digest(index + 1),
        exit_code: ExitCode::SystemSplit,
        input: Digest::ZERO,
        output: Digest::ZERO,
    };
    let (po2, blob) = (Po2::SMALLEST, blob(10 + index as u8));
    ZkvmEvent::SegmentStored { index, po2, blob, claim, work: None }.into()
}

fn keccak_stored() -> JobEvent {
    let (po2, blob) = (Po2::SMALLEST, blob(15));
    ZkvmEvent::KeccakStored { index: 0, po2, blob, assumption: assumption() }.into()
}

fn accepted(task: TaskId, byte: u8, is_provisional: bool) -> JobEvent {
    let node = NodeId([7; 32]);
    JobEvent::ResultAccepted { task: task.into(), blob: blob(byte), node, is_provisional }
}

fn lines(events: &[JobEvent]) -> Vec<u8> {
    events.iter().flat_map(|event| [line(event), b"\n".to_vec()].concat()).collect()
}
