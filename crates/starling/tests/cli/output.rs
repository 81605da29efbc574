//! What goes where: results to stdout and nothing else, plain lines to a stderr that is not a terminal.

use std::{fs::File, process::Stdio};

use crate::harness::{Home, guest, input};

#[test]
fn execute_prints_one_json_object_with_what_it_would_cost() {
    let home = Home::new();
    let ran =
        home.run(&["execute", &guest("sha-chain"), "--input", &input("sha-chain-100"), "--json"]);
    let executed = ran.json();
    assert_eq!(ran.stdout.lines().count(), 1);
    assert_eq!(executed["exit_code"], "Halted(0)");
    // The journal begins with the length of the chain.
    assert!(executed["journal"].as_str().unwrap().starts_with("64000000"));
    assert_eq!(executed["segments"], 2);
    assert_eq!(executed["segments_by_po2"]["18"], 2);
    assert_eq!(executed["total_cycles"], 2 << 18);
    for field in ["user_cycles", "largest_segment_blob_bytes", "estimated_core_seconds_to_prove"] {
        assert!(executed[field].as_u64().unwrap() > 0, "{field}: {executed}");
    }
    assert!(executed["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn execute_without_json_prints_a_line_for_each_field() {
    let home = Home::new();
    let ran = home.run(&["execute", &guest("fail"), "--input", &input("fail-ok")]);
    let lines: Vec<Vec<&str>> = ran
        .succeeds()
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).collect())
        .collect();
    assert_eq!((lines[0][0], *lines[0].last().unwrap()), ("exit code", "Halted(0)"));
    assert_eq!((lines[1][0], *lines[1].last().unwrap()), ("journal", "6f6b"));
}

#[test]
fn the_input_can_come_from_stdin() {
    let home = Home::new();
    let mut command = home.command(&["execute", &guest("sha-chain"), "--input", "-", "--json"]);
    command.stdin(File::open(input("sha-chain-100")).unwrap());
    let executed = home.start_command(command).wait().json();
    assert!(executed["journal"].as_str().unwrap().starts_with("64000000"));
}

#[test]
fn what_the_guest_prints_goes_to_stderr() {
    let home = Home::new();
    let ran = home.run(&["execute", &guest("fail"), "--input", &input("fail-not-utf8"), "--json"]);
    assert_eq!(ran.json()["journal"], "6f6b");
    assert!(ran.stderr.contains("not UTF-8: "), "{ran:#?}");
}

#[test]
fn a_verbose_log_neither_reaches_stdout_nor_changes_what_the_guest_does() {
    let home = Home::new();
    let input = input("fail-not-utf8");
    let mut command = home.command(&["execute", &guest("fail"), "--input", &input, "--json"]);
    command.env("RUST_LOG", "trace");
    assert_eq!(home.start_command(command).wait().json()["journal"], "6f6b");
}

#[test]
fn doctor_says_what_the_machine_has() {
    let home = Home::new();
    let found = home.run(&["doctor", "--quick", "--json"]).json();
    for field in [
        "version",
        "zkvm",
        "cpu",
        "memory_for_proving",
        "memory_bound",
        "capacity",
        "data_dir_disk",
        "groth16",
        "udp",
    ] {
        assert!(!found[field].as_str().unwrap().is_empty(), "{field}: {found}");
    }
    assert_eq!(found["problems"].as_array().map(Vec::len), Some(0));
}

#[test]
fn what_is_wrong_with_the_machine_is_an_error_object_beside_what_it_has() {
    let home = Home::new();
    let ran = home.run(&["doctor", "--quick", "--json", "--data-dir", "/proc/starling"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:#?}");
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(found["problems"][0].as_str().unwrap().contains("can't write to /proc"), "{found}");
    assert_eq!((&found["error"]["code"], &found["error"]["class"]), (&1.into(), &"failed".into()));
    assert!(found["error"]["message"].as_str().unwrap().contains("/proc"), "{found}");
    assert!(found["capacity"].is_string(), "{found}");
}

#[test]
fn help_says_which_segments_fit_this_machine_and_how_they_are_proved() {
    let home = Home::new();
    for command in ["node", "prove"] {
        let help = home.run(&[command, "--help"]).stdout;
        assert!(help.contains("This machine: "), "{help}");
        assert!(help.contains(" of memory for proving, "), "{help}");
        assert!(help.contains("The memory is 75 % of "), "{help}");
    }
}

#[test]
fn without_a_terminal_progress_is_plain_timestamped_lines() {
    let home = Home::new();
    let ran = home.prove(&[&guest("sha-chain"), "--input", &input("sha-chain-100")]);
    ran.fails(4, &[]);
    assert!(!ran.stderr.contains(['\x1b', '\r']), "{ran:#?}");
    let progress: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with('[')).collect();
    assert!(progress.len() >= 2, "{ran:#?}");
    for line in &progress {
        let (seconds, _) = line[1..].split_once("s] ").unwrap();
        assert!(seconds.trim().parse::<f64>().is_ok(), "{line}");
    }
    let last = progress.last().unwrap();
    assert!(last.contains("executed 2 segments, prove 0/2, join 0/1"), "{last}");
    assert!(last.contains("waiting: no node is connected"), "{last}");
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let home = Home::new();
    let guest = guest("sha-chain");
    let mut child = home
        .command(&["inspect", &guest])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let home = Home::new();
    let guest = guest("sha-chain");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output =
        home.command(&["inspect", &guest]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.starts_with("error: can't write the result to stdout: No space left"),
        "{stderr}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_is_lost_and_nothing_else() {
    let home = Home::new();
    let (guest, panics) = (guest("fail"), input("fail-panic"));
    let prove = ["prove", &guest, "--input", &panics, "--local", "0", "--bind", "127.0.0.1:0"];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = home.command(&prove).stderr(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_nothing_to_act_on_from_guests_and_files_and_a_file_gets_their_very_bytes() {
    let home = Home::new();
    let (guest, not_utf8) = (guest("fail"), input("fail-not-utf8"));
    let execute = ["execute", &guest, "--input", &not_utf8];
    let output = home.command(&execute).output().unwrap();
    let exact = b"not UTF-8: \xff\xfe\x80\n";
    assert!(output.stderr.windows(exact.len()).any(|bytes| bytes == exact), "{output:?}");

    let screen = |args: &[&str]| String::from_utf8(home.on_terminal(args, &[])).unwrap();
    let shown = screen(&execute);
    assert!(shown.contains(r"not UTF-8: \xff\xfe\x80"), "{shown}");

    // A panic on request, whose message turns text round.
    let panics = home.write("panics", "\u{1}turn \u{202e}round".as_bytes());
    let shown = screen(&["execute", &guest, "--input", &panics]);
    assert!(shown.contains(r"turn \u202eround") && !shown.contains('\u{202e}'), "{shown:?}");

    let shown = screen(&["inspect", "no\u{1b}[35msuch\u{7}file"]);
    assert!(shown.contains(r"no\u001b[35msuch\u0007file"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[35m") && !shown.contains('\u{7}'), "{shown:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn no_color_takes_the_colours_out_of_a_terminal() {
    let home = Home::new();
    let guest = guest("fail");
    let prove = ["prove", &guest, "--local", "0", "--bind", "127.0.0.1:0", "--timeout", "1"];
    let coloured = |no_color: Option<&str>| {
        let envs: Vec<_> = no_color.map(|value| ("NO_COLOR", value)).into_iter().collect();
        let screen = String::from_utf8_lossy(&home.on_terminal(&prove, &envs)).into_owned();
        assert!(screen.contains("the guest panicked"), "{screen}");
        // Colours and weights are escape sequences that end in `m`; moving the cursor ends otherwise.
        screen.split("\x1b[").skip(1).any(|sequence| {
            sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        })
    };
    assert!(coloured(None));
    assert!(coloured(Some("")), "an empty NO_COLOR asks for nothing");
    assert!(!coloured(Some("1")));
}

#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_an_error_and_help_that_nobody_reads_is_none() {
    let home = Home::new();
    for option in ["--help", "--version"] {
        let shown = |stdout: Stdio| {
            home.command(&[option]).stdout(stdout).stderr(Stdio::piped()).output().unwrap()
        };
        let full = shown(File::options().write(true).open("/dev/full").unwrap().into());
        let said = String::from_utf8(full.stderr).unwrap();
        assert_eq!(full.status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: can't write to stdout: No space left"), "{said}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let unread = shown(writer.into());
        assert_eq!((unread.status.code(), unread.stderr), (Some(0), vec![]));
    }
}
