//! How commands end under `--json`: whatever the end, stdout has one JSON object, and the exit code is the documented one.

use std::process::Stdio;

use risc0_zkvm::{Digest, FakeReceipt, InnerReceipt, Receipt, ReceiptClaim};

use crate::harness::{Home, Process, WAITING, elf, guest, input};

/// `ebreak`, at which the machine ends a program.
const EBREAK: u32 = 0x0010_0073;

/// Every command, with as much behind it as makes it one.
const COMMANDS: [&[&str]; 17] = [
    &["prove", "guest"],
    &["compress", "receipt"],
    &["node"],
    &["verify", "receipt", "--image-id", "id"],
    &["inspect", "file"],
    &["execute", "guest"],
    &["job", "list"],
    &["job", "show", "0"],
    &["job", "resume", "0"],
    &["job", "cancel", "0"],
    &["job", "prune"],
    &["job", "recover"],
    &["doctor"],
    &["bench", "tasks"],
    &["bench", "job"],
    &["bench", "versus"],
    &["prover", "none"],
];

/// A receipt file that proves nothing, as RISC Zero's development mode makes it.
fn fake_receipt(home: &Home) -> String {
    let claim = ReceiptClaim::ok(Digest::from([7; 8]), b"ok".to_vec());
    let receipt = Receipt::new(InnerReceipt::Fake(FakeReceipt::new(claim)), b"ok".to_vec());
    home.write("fake.receipt", &bincode::serialize(&receipt).unwrap())
}

#[test]
fn an_option_that_no_command_has_is_an_object_of_every_command() {
    let home = Home::new();
    for command in COMMANDS {
        let error = home.run(&[command, &["--nonsense", "--json"]].concat()).failure(2);
        assert_eq!(error["class"], "usage", "{command:?}: {error}");
    }
}

#[test]
fn every_failure_under_json_is_one_object_with_its_code_and_its_class() {
    let home = Home::new();
    let text = home.write("text", b"hello hello hello");
    let packed = home.write("packed.gz", b"\x1f\x8b\x08\0\0\0\0\0");
    let fault = home.write("fault.elf", &elf(&[EBREAK]));
    let fake = fake_receipt(&home);
    let (fail, chain, compose) = (guest("fail"), guest("sha-chain"), guest("compose"));
    let [panic, exit_7, endless, verified] =
        ["fail-panic", "fail-exit-7", "fail-endless", "compose-1"].map(input);
    let id = "ab".repeat(32);
    let limit = ["--cycle-limit", "100000"];
    let limited =
        |command: &'static str| [&[command, &fail, "--input", &endless][..], &limit].concat();
    let (prove_limited, execute_limited) = (limited("prove"), limited("execute"));
    let cases: &[(&[&str], i32, &str)] = &[
        // A word that is none, or a value.
        (&["no-such-command"], 2, "usage"),
        (&["job"], 2, "usage"),
        (&["prove", &chain, "--env", ""], 2, "usage"),
        (&["prove", &chain, "--segment-po2", "13"], 2, "usage"),
        (&["prove", &chain, "--local", "0"], 2, "usage"),
        (&["node", "--memory", "1B"], 2, "usage"),
        (&["node", "--join", "garbage"], 2, "usage"),
        (&["verify", &text, "--image-id", "12"], 2, "usage"),
        (&["compress", &fake, "--receipt-kind", "composite"], 2, "usage"),
        // A file that is missing, or something else.
        (&["prove", "gone"], 2, "usage"),
        (&["execute", "gone"], 2, "usage"),
        (&["execute", &chain, "--input", "gone"], 2, "usage"),
        (&["compress", "gone"], 2, "usage"),
        (&["prove", &chain, "--assumption", "gone"], 2, "usage"),
        (&["verify", "gone", "--image-id", &id], 2, "usage"),
        (&["inspect", "gone"], 2, "usage"),
        (&["prove", &text], 2, "not_a_guest"),
        (&["execute", &text], 2, "not_a_guest"),
        (&["execute", &packed], 2, "not_a_guest"),
        (&["compress", &text], 2, "not_a_receipt"),
        (&["prove", &chain, "--assumption", &text], 2, "not_a_receipt"),
        (&["verify", &text, "--image-id", &id], 2, "not_a_receipt"),
        (&["verify", &packed, "--image-id", &id], 2, "not_a_receipt"),
        (&["verify", &fail, "--image-id", &id], 2, "not_a_receipt"),
        (&["inspect", &text], 2, "not_a_receipt"),
        (&["job", "list", "--data-dir", &text], 2, "usage"),
        (&["node", "--data-dir", &text], 2, "usage"),
        (&["doctor", "--quick", "--data-dir", &text], 2, "usage"),
        // No job.
        (&["job", "show", "0123"], 2, "usage"),
        (&["job", "resume", "0123"], 2, "usage"),
        (&["job", "cancel", "0123"], 2, "usage"),
        // What the guest does.
        (&["execute", &fail, "--input", &panic], 1, "guest_panicked"),
        (&["execute", &fault], 1, "guest_fault"),
        (&execute_limited, 1, "cycle_limit"),
        (&["execute", &compose, "--input", &verified], 1, "unknown_assumption"),
        // What proves nothing.
        (&["verify", &fake, "--image-id", &id], 3, "invalid_receipt"),
    ];
    for (args, code, class) in cases {
        let error = home.run(&[args, &["--json"][..]].concat()).failure(*code);
        assert_eq!(error["class"], *class, "{args:?}: {error}");
    }
    // Wherever the flag stands.
    assert_eq!(home.run(&["--json", "inspect", "gone"]).failure(2)["class"], "usage");

    // Of a job, with its name and with what to do.
    let one_link = input("sha-chain-1");
    let of_prove: &[(&[&str], i32, &str)] = &[
        (&["prove", &fail, "--input", &exit_7], 1, "guest_failed"),
        (&["prove", &chain], 1, "guest_panicked"),
        (&["prove", &fault], 1, "guest_fault"),
        (&prove_limited, 1, "cycle_limit"),
        (&["prove", &compose, "--input", &verified], 1, "unknown_assumption"),
        (&["prove", &chain, "--input", &one_link], 4, "no_capacity"),
    ];
    for (args, code, class) in of_prove {
        let error = home.prove(&[&args[1..], &["--json"]].concat()).failure(*code);
        assert_eq!(error["class"], *class, "{args:?}: {error}");
        let job = error["job"].as_str().unwrap_or_else(|| panic!("{args:?}: {error}"));
        assert!(home.listed().iter().any(|listed| listed["job"] == job), "{args:?}: {error}");
    }
    let error = home.prove(&[&fail, "--input", &exit_7, "--json"]).failure(1);
    assert!(error["hint"].as_str().unwrap().contains("--prove-guest-errors"), "{error}");
    let endless = ["prove", &fail, "--input", &endless, "--timeout", "1", "--json"];
    assert_eq!(home.run(&[&endless[..], &WAITING].concat()).failure(4)["class"], "out_of_time");
}

/// Ends a command by Ctrl-C once it would hear that.
#[cfg(target_os = "linux")]
#[track_caller]
fn interrupted(process: Process) {
    process.wait_for_handler();
    process.signal("INT");
    let error = process.wait().failure(130);
    assert_eq!(error["class"], "interrupted", "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_command_answers_too_whatever_it_waits_for() {
    let home = Home::new();
    let (fail, endless) = (guest("fail"), input("fail-endless"));
    let id = "ab".repeat(32);
    interrupted(home.start(&["execute", &fail, "--input", &endless, "--json"]));
    let prove = ["prove", &fail, "--input", &endless, "--json"];
    interrupted(home.start(&[&prove[..], &WAITING].concat()));
    // What reads a pipe to which nobody writes.
    for args in [
        &["verify", "-", "--image-id", &id, "--json"][..],
        &["inspect", "/dev/stdin", "--json"],
        &["execute", &fail, "--frame", "-", "--json"],
        &["execute", &fail, "--input", "-", "--json"],
    ] {
        let (silent, _open) = std::io::pipe().unwrap();
        let mut command = home.command(args);
        command.stdin(Stdio::from(silent));
        interrupted(home.start_command(command));
    }
    // A node that is told to end has done what it is for.
    let mut node = home.start(&["node", "--loopback", "--json"]);
    node.wait_for("waiting for jobs");
    node.signal("INT");
    assert!(node.wait().json()["ticket"].is_string());
}

#[test]
fn a_guest_that_ends_badly_is_executed_without_failure_and_one_is_told_what_prove_would_say() {
    let home = Home::new();
    let ran = home.run(&["execute", &guest("fail"), "--input", &input("fail-exit-7"), "--json"]);
    assert_eq!(ran.json()["exit_code"], "Halted(7)");
    assert!(ran.stderr.contains("ended with Halted(7): `prove` needs --prove-guest-errors"));
    let ran = home.run(&["execute", &guest("fail"), "--input", &input("fail-pause"), "--json"]);
    assert!(ran.stderr.contains("--receipt-kind composite"), "{ran:#?}");
    let ran = home.run(&["execute", &guest("fail"), "--input", &input("fail-ok"), "--json"]);
    assert!(!ran.stderr.contains("the guest ended"), "{ran:#?}");
}

#[test]
fn a_word_for_the_guest_that_looks_like_the_flag_asks_for_nothing() {
    let home = Home::new();
    let ran = home.run(&["execute", &guest("fail"), "--arg", "--json"]);
    assert_eq!((ran.status.code(), ran.stdout.as_str()), (Some(1), ""), "{ran:#?}");
}

#[test]
fn every_class_of_failures_is_in_the_documents() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let class = std::fs::read_to_string(format!("{here}src/class.rs")).unwrap();
    let docs = std::fs::read_to_string(format!("{here}../../docs/running.md")).unwrap();
    let (_, listed) = class.split_once("pub enum Class {").unwrap();
    let lines = listed.lines().take_while(|line| *line != "}").map(str::trim);
    let names: Vec<_> = lines.filter_map(|line| line.strip_suffix(',')).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let mut snake = String::new();
        for char in name.chars() {
            if char.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(char.to_lowercase());
        }
        assert!(docs.contains(&format!("| `{snake}` |")), "docs/running.md has no `{snake}`");
    }
}
