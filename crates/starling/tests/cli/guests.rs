//! Guests that fail, each in its way: the error is the guest's own, and the job is kept as failed. And what guests
//! are given besides the bytes of their input.

use std::time::Instant;

use crate::harness::{Home, guest, input};

/// A limit that an endless guest reaches within a second.
const CYCLE_LIMIT: &str = "2000000";

/// Runs the guest `name` by both commands and expects the same failure of both.
#[track_caller]
fn fails_everywhere(name: &str, args: &[&str], texts: &[&str]) {
    let home = Home::new();
    let guest = guest(name);
    home.run(&[&["execute", guest.as_str()], args].concat()).fails(1, texts);
    home.prove(&[&[guest.as_str()], args].concat()).fails(1, texts);
    let jobs = home.jobs();
    assert_eq!(jobs[0]["phase"], "failed", "{jobs:?}");
    let error = jobs[0]["error"].as_str().unwrap();
    assert!(error.contains(texts[0]), "no {:?} in: {error}", texts[0]);
}

#[test]
fn a_guest_that_panics_is_quoted() {
    fails_everywhere(
        "fail",
        &["--input", &input("fail-panic")],
        &["the guest panicked", "the input asks for a panic"],
    );
}

#[test]
fn a_guest_that_never_ends_is_stopped_by_the_cycle_limit() {
    fails_everywhere(
        "fail",
        &["--input", &input("fail-endless"), "--cycle-limit", CYCLE_LIMIT],
        &["did not end within 2000000 user cycles", "--cycle-limit"],
    );
}

#[test]
fn an_input_too_short_is_reported_in_the_words_of_the_guest() {
    fails_everywhere("sha-chain", &[], &["the guest panicked", "input too short"]);
}

#[test]
fn a_read_beyond_the_end_of_the_input_comes_with_a_hint() {
    fails_everywhere(
        "fail",
        &["--input", &input("fail-read-beyond")],
        &["panicked", "check --input"],
    );
}

#[test]
fn a_guest_that_exits_with_a_failure_is_not_proved() {
    let home = Home::new();
    let (guest, input) = (guest("fail"), input("fail-exit-7"));
    home.prove(&[&guest, "--input", &input]).fails(
        1,
        &[
            "Halted(7)",
            "journal of 2 bytes (6f6b)",
            "only executions that succeed",
            "--prove-guest-errors",
        ],
    );
    // Looking at what it does is not a failure.
    let executed = home.run(&["execute", &guest, "--input", &input, "--json"]).json();
    assert_eq!(executed["exit_code"], "Halted(7)");
}

#[test]
fn a_paused_guest_is_refused_where_no_receipt_can_say_so() {
    let (home, guest, input) = (Home::new(), guest("fail"), input("fail-pause"));
    home.prove(&[&guest, "--input", &input]).fails(1, &["paused", "--receipt-kind composite"]);
}

#[test]
fn a_failed_job_fails_again_the_same_way() {
    let home = Home::new();
    let (guest, input) = (guest("fail"), input("fail-panic"));
    for _ in 0..2 {
        home.prove(&[&guest, "--input", &input]).fails(1, &["the input asks for a panic"]);
    }
    assert_eq!(home.jobs().len(), 1);
}

#[test]
fn an_endless_guest_does_not_hold_up_the_end_of_its_job() {
    let home = Home::new();
    let started = Instant::now();
    home.prove(&[&guest("fail"), "--input", &input("fail-endless")]).fails(4, &["no node"]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn a_guest_gets_its_arguments_and_its_environment() {
    let (home, echo) = (Home::new(), guest("echo"));
    // Way 2 of the guest: its arguments, then the variables that the input names.
    let input = home.write("input", b"\x02COLOUR\nSIZE\nMISSING\n");
    let args =
        ["--arg", "--verbose", "--arg", "two words", "--env", "COLOUR=blue", "--env", "SIZE="];
    let args = [&["execute", &echo, "--input", &input, "--json"], &args[..]].concat();
    let journal = hex::decode(home.run(&args).json()["journal"].as_str().unwrap()).unwrap();
    assert_eq!(
        String::from_utf8(journal).unwrap(),
        "arg --verbose\narg two words\nenv COLOUR=blue\nenv SIZE=\nenv MISSING\n"
    );
    home.run(&["execute", &echo, "--env", "=blue"]).fails(2, &["KEY=VALUE"]);
}

#[test]
fn a_value_that_others_are_not_to_see_on_the_command_line_comes_from_the_environment() {
    let (home, echo) = (Home::new(), guest("echo"));
    let input = home.write("input", b"\x02STARLING_TEST_SECRET\n");
    let args = ["execute", &echo, "--input", &input, "--env", "STARLING_TEST_SECRET", "--json"];
    let mut command = home.command(&args);
    command.env("STARLING_TEST_SECRET", "x=y z");
    let journal = home.start_command(command).wait().json();
    let journal = hex::decode(journal["journal"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(journal).unwrap(), "env STARLING_TEST_SECRET=x=y z\n");
    home.run(&args).fails(2, &["STARLING_TEST_SECRET", "has no such variable"]);
}

#[test]
fn a_guest_reads_frames_behind_its_input() {
    let (home, echo) = (Home::new(), guest("echo"));
    let frame = |name, bytes: &[u8]| home.write(name, bytes);
    // Way 1 of the guest: frames, as many as the first one says.
    let input = home.write("input", &[1, 0, 0, 0, 2]);
    let (one, two) = (frame("one", b"first frame"), frame("two", b""));
    let args = ["execute", &echo, "--input", &input, "--frame", &one, "--frame", &two];
    let journal = home.run(&[&args[..], &["--json"]].concat()).json();
    let journal = hex::decode(journal["journal"].as_str().unwrap()).unwrap();
    let size = |at: usize| u32::from_le_bytes(journal[at..at + 4].try_into().unwrap());
    assert_eq!((size(0), size(4), size(4 + 36)), (2, 11, 0));
    home.run(&["execute", &echo, "--frame", "nowhere"]).fails(2, &["frame nowhere"]);
}

#[test]
fn a_receipt_that_nobody_gave_is_named_by_its_image_id() {
    let home = Home::new();
    let image_id = "ab".repeat(32);
    // One receipt of that program, with the journal "ok".
    let mut verified = 1_u32.to_le_bytes().to_vec();
    verified.extend(hex::decode(&image_id).unwrap());
    verified.extend(2_u32.to_le_bytes());
    verified.extend(b"ok");
    let input = home.write("input", &verified);
    home.prove(&[&guest("compose"), "--input", &input])
        .fails(1, &["was not given", &format!("image id {image_id}"), "--assumption"]);
    let jobs = home.jobs();
    assert_eq!(jobs[0]["phase"], "failed", "{jobs:?}");
}

#[test]
fn what_is_given_as_a_receipt_is_looked_at_before_the_job_begins() {
    let home = Home::new();
    let garbage = home.write("garbage", b"no receipt at all");
    let compose = guest("compose");
    home.prove(&[&compose, "--assumption", &garbage]).fails(2, &["garbage", "not a receipt"]);
    home.prove(&[&compose, "--assumption", "nowhere"]).fails(2, &["nowhere"]);
    assert_eq!(home.jobs().len(), 0);
}

#[test]
fn keccak_batches_are_counted_and_their_size_is_checked() {
    let (home, keccak) = (Home::new(), guest("keccak"));
    let input = home.write("input", &100_u32.to_le_bytes());
    let args = ["execute", &keccak, "--input", &input, "--json"];
    // 81 permutations fill a proof of 2^14 cycles.
    let executed = home.run(&[&args[..], &["--keccak-po2", "14"]].concat()).json();
    assert_eq!((&executed["keccaks"], &executed["assumptions"]), (&2.into(), &1.into()));
    home.run(&["execute", &keccak, "--keccak-po2", "19"]).fails(2, &["14 to 2^18"]);
}

#[test]
fn work_is_counted_for_an_address_and_in_joined_receipts_only() {
    let home = Home::new();
    let sha = guest("sha-chain");
    home.prove(&[&sha, "--povw", "12ab"]).fails(2, &["work log id", "40 hex digits"]);
    let address = "c2".repeat(20);
    home.prove(&[&sha, "--povw", &address, "--receipt-kind", "composite"]).fails(2, &["succinct"]);
}
