//! Command lines that are refused before anything happens.

use crate::harness::{Home, guest, input};

#[test]
fn no_arguments_show_the_usage_on_stderr() {
    let home = Home::new();
    let mut command = home.command(&[]);
    command.env_remove("STARLING_DATA_DIR");
    let ran = home.start_command(command).wait();
    assert_eq!(ran.status.code(), Some(2), "{ran:#?}");
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("Usage: starling"), "{ran:#?}");
    assert!(!ran.stderr.contains("prover process"), "shows what is not for people: {ran:#?}");
}

#[test]
fn help_and_version_are_results() {
    let home = Home::new();
    for args in [&["--help"][..], &["prove", "--help"], &["--version"]] {
        let ran = home.run(args);
        assert!(ran.succeeds().stdout.contains("starling"), "{ran:#?}");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn an_unknown_flag_is_named() {
    let home = Home::new();
    home.run(&["prove", &guest("sha-chain"), "--bogus"])
        .fails(2, &["--bogus", "Usage: starling prove"]);
    home.run(&["fly"]).fails(2, &["fly", "Usage: starling"]);
}

#[test]
fn a_segment_size_that_cannot_be_proved_is_refused_before_a_job_exists() {
    let home = Home::new();
    for po2 in ["12", "13", "23", "25", "huge"] {
        for command in ["prove", "execute"] {
            let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
            home.run(&[command, &guest, "--input", &input, "--segment-po2", po2])
                .fails(2, &[po2, "--segment-po2", "14 to 22"]);
        }
    }
    assert!(home.jobs().is_empty());
}

#[test]
fn values_that_are_no_values_say_what_would_be() {
    let home = Home::new();
    for (flag, value, expected) in [
        ("--disk-budget", "5parsecs", "GiB"),
        ("--join", "garbage", "a ticket begins with"),
        ("--join", "starlingabc", "copy it again"),
        ("--bind", "nowhere", "socket address"),
        ("--relay", "no url", "https://"),
        ("--receipt-kind", "snark", "groth16"),
        ("--cycle-limit", "many", "invalid digit"),
    ] {
        let ran = home.run(&["prove", &guest("sha-chain"), flag, value]);
        ran.fails(2, &[flag, value, expected]);
    }
    assert!(home.jobs().is_empty());
}

#[test]
fn a_prover_that_this_build_does_not_have_says_how_to_get_it() {
    let home = Home::new();
    let args = |prover| ["prove".into(), guest("sha-chain"), "--prover".into(), prover];
    let refused = |prover: &str, expected: &str| {
        let args = args(prover.to_owned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        home.run(&args).fails(2, &["--prover", prover, expected]);
    };
    refused("slow", "there are `fast`");
    if cfg!(not(feature = "stock")) {
        refused("stock", "cargo build --release -p starling --features stock");
    }
    assert!(home.jobs().is_empty());
}

#[test]
fn a_job_that_no_node_could_ever_reach_is_refused() {
    let home = Home::new();
    home.run(&["prove", &guest("sha-chain"), "--local", "0"])
        .fails(2, &["--local 0", "--listen", "--join"]);
    assert!(home.jobs().is_empty());
}

#[test]
fn a_job_id_that_is_none_is_refused() {
    let home = Home::new();
    for command in ["show", "resume", "cancel"] {
        home.run(&["job", command, "xyz"]).fails(2, &["32 hex digits", "starling job list"]);
    }
}
