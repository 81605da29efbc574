//! Whatever comes as a line of the control socket is a message or an error.

#![allow(clippy::unwrap_used)]

use std::{ffi::OsStr, fmt::Debug, os::unix::ffi::OsStrExt as _, sync::LazyLock};

use clap::Parser as _;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde::de::DeserializeOwned;
use starling_client::Facts;
use starling_types::{ClaimDigest, ImageId, ReceiptKind};

use super::*;
use crate::{args::GuestArgs, order::ProveOrder};

/// How many lines are tried in each way.
const CASES: u32 = 2000;

#[derive(clap::Parser)]
struct Asked {
    #[command(flatten)]
    guest: GuestArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// A line of each message that is said.
static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let words = ["prove", "guest.bin", "--arg", "a \"b\"", "--env", "K=v", "--timeout", "9"];
    let Asked { guest, run } = Asked::parse_from(words);
    let order = ProveOrder {
        guest,
        kind: ReceiptKind::Succinct,
        prove_guest_errors: true,
        work_log: None,
        fresh: false,
    };
    let job = JobId([1; JobId::SIZE_BYTES]);
    let asked = [
        Request::Run {
            order: Order::Prove(Box::new(order)),
            receipt: "a/b".into(),
            run: run.clone(),
        },
        Request::Run { order: Order::Resume { job }, receipt: "a/b".into(), run },
        Request::Cancel { job: JobKey::from(job) },
        Request::Prune { idle: Duration::from_millis(7) },
        Request::Running,
    ];
    let host = Host { is_reachable: true, sandbox: Some(SandboxPolicy::default()) };
    let answers = [
        Reply::Here(host),
        Reply::Lives,
        Reply::Started { job, is_known: false },
        Reply::JobProgress(JobProgress::default()),
        Reply::Said("the guest's \u{1b}[31m words".into()),
        Reply::Delivered(written(job)),
        Reply::Cancelled { freed_bytes: 7 },
        Reply::Pruned(Pruned { jobs: 1, freed_bytes: 7 }),
        Reply::Running([(job, JobProgress::default())].into()),
        Reply::Failed(Exit::message(Code::NoCapacity, "no node")),
        Reply::RunEnds,
    ];
    let asked = asked.iter().map(serde_json::to_string);
    asked.chain(answers.iter().map(serde_json::to_string)).map(Result::unwrap).collect()
});

fn written(job: JobId) -> Written {
    let facts = Facts {
        image_id: ImageId([1; 32]),
        exit_code: "Halted(0)".into(),
        journal: Some("6f6b".into()),
        journal_bytes: 2,
        claim_digest: ClaimDigest([2; 32]),
        receipt_kind: "succinct".into(),
        segments: 1,
        keccaks: 0,
        assumptions: 0,
        user_cycles: 1,
        total_cycles: 1 << 16,
        seconds: 1.5,
        job,
    };
    // A path of bytes that are no text.
    let receipt = PathBuf::from(OsStr::from_bytes(b"a/\xff"));
    Written { facts, receipt, work_receipt: Some("a/work".into()) }
}

/// Reads a line as `T`; what is read must be written so that it is read the same.
fn check<T: Serialize + DeserializeOwned + Debug>(line: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<T>(line) else { return false };
    let written = serde_json::to_string(&read).unwrap();
    assert!(!written.contains('\n'), "a message takes more than a line: {written}");
    let again: T = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    true
}

fn check_any(line: &[u8]) -> bool {
    let is_request = check::<Request>(line);
    check::<Reply>(line) || is_request
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for line in &*LINES {
        assert!(check_any(line.as_bytes()), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_line_that_is_damaged_is_a_message_or_an_error(
        line in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        end in any::<Index>(),
    ) {
        let mut line = line.get(&LINES).clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(line.len());
            line[at] = byte;
        }
        check_any(&line);
        check_any(&line[..end.index(line.len())]);
    }

    #[test]
    fn a_line_of_any_bytes_is_a_message_or_an_error(line in vec(any::<u8>(), 0..200)) {
        check_any(&line);
    }
}
