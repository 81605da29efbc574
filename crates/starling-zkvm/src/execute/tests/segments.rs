//! The segments of every shipped guest, which hold all that the host answered, beside what was recorded under the stock
//! executor's system calls.

use std::{collections::BTreeMap, path::PathBuf};

use risc0_zkp::core::hash::sha::Sha256 as _;
use serde::Serialize;

use super::*;

/// A guest, and what it reads.
pub(super) struct Case {
    pub guest: &'static str,
    pub input: &'static str,
    pub po2: u32,
}

const fn case(guest: &'static str, input: &'static str) -> Case {
    Case { guest, input, po2: PO2 }
}

pub(super) const CASES: &[Case] = &[
    case("bigint", "bigint-256-1"),
    case("compose", "compose-0"),
    case("ecdsa", "ecdsa-1"),
    case("echo", "echo-all"),
    case("echo", "echo-environment"),
    case("echo", "echo-frames"),
    case("echo", "echo-hash"),
    Case { guest: "evm-transfer", input: "evm-1", po2: 18 },
    case("fail", "fail-exit-7"),
    case("fail", "fail-journal-1-mib"),
    case("fail", "fail-not-utf8"),
    case("fail", "fail-ok"),
    case("fail", "fail-pause-3"),
    case("keccak", "keccak-200"),
    case("sha-chain", "sha-chain-1"),
    case("sha-ecall", "sha-chain-1"),
];

impl Case {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.guest, self.input)
    }

    pub(super) fn options(&self) -> ExecuteOptions {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../guests/inputs");
        let input = std::fs::read(folder.join(self.input).with_extension("bin")).unwrap();
        ExecuteOptions {
            args: vec!["one".into(), "two words".into()],
            env: BTreeMap::from([("NAME".into(), "value".into())]),
            keccak_po2: 14,
            ..options(&input, self.po2)
        }
    }
}

/// What the circuit's segments are, as one digest.
pub(super) fn digest_of(segments: &[impl Serialize]) -> Digest {
    *Sha256::hash_bytes(&bincode::serialize(segments).unwrap())
}

/// That of the segments that leave.
pub(super) fn ours(case: &Case) -> Digest {
    let (_, segments) = run(&guest(&format!("{}.bin", case.guest)), case.options()).unwrap();
    let decode = |segment: &SegmentOut| decode_segment(&segment.bytes).unwrap().circuit;
    digest_of(&segments.iter().map(decode).collect::<Vec<_>>())
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/segments.json")
}

/// Keeps what was recorded.
#[cfg(feature = "stock")]
pub(super) fn write(recorded: &BTreeMap<String, String>) {
    std::fs::create_dir_all(path().parent().unwrap()).unwrap();
    std::fs::write(path(), serde_json::to_string_pretty(recorded).unwrap() + "\n").unwrap();
}

/// What was recorded, by the name of the case.
pub(super) fn recorded() -> BTreeMap<String, String> {
    serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap()
}

#[test]
fn segments_of_every_guest_are_those_that_were_recorded() {
    let recorded = recorded();
    for case in CASES {
        assert_eq!(ours(case).to_string(), recorded[&case.name()], "{}", case.name());
    }
}
