//! Guests that fail, each in its way: the error is the guest's own, and the job is kept as failed.

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
        &["did not end within 2000000 cycles", "--cycle-limit"],
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
    home.prove(&[&guest, "--input", &input]).fails(1, &["Halted(7)", "only successful executions"]);
    // Looking at what it does is no failure.
    let executed = home.run(&["execute", &guest, "--input", &input, "--json"]).json();
    assert_eq!(executed["exit_code"], "Halted(7)");
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
