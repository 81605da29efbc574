//! Commands that share a data directory with a process that is stopped, is asked for what it must not do, or has other limits.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    harness::{Home, Process, Ran, WAITING, guest, input},
    jobs::{executed_client, second_client},
};

/// How long a command may take to end: what leaving takes, on a machine that builds and tests.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// What is said of a job that another command asked for.
const GOES_ON: &str = "the job goes on, since another command asked for it first";

/// What is said of one whose owner is not heard.
const WAITS: &str = ": waiting for its answer";

/// The number of links in the job of `executed_client`, whose command line `second_client` repeats then.
const OWNERS_LINKS: u32 = 100;

/// Starts a command for a job with so many links.
fn prove(home: &Home, links: u32, more: &[&str]) -> Process {
    let (guest, input) = (guest("sha-chain"), home.write("links", &links.to_le_bytes()));
    home.start(&[&["prove", &guest, "--input", &input], more].concat())
}

/// Waits for the end of a command, which comes soon after `limit` from `since` on, and not before.
#[track_caller]
fn ends_after(process: Process, since: Instant, limit_seconds: u64) -> Ran {
    let ran = process.wait();
    let (took, limit) = (since.elapsed(), Duration::from_secs(limit_seconds));
    assert!((limit..limit + ENDS_WITHIN).contains(&took), "{took:?}: {ran:#?}");
    ran
}

/// Stops a process by SIGINT, which it heeds soon.
#[track_caller]
fn interrupted(process: Process) -> Ran {
    let since = Instant::now();
    process.signal("INT");
    ends_after(process, since, 0)
}

/// The phases of the jobs that there are.
fn phases(home: &Home) -> Vec<String> {
    let listed = home.listed();
    listed.iter().map(|job| job["phase"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn until_phases(home: &Home, expected: &[&str]) {
    let since = Instant::now();
    while phases(home) != expected {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", phases(home));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_command_for_a_job_that_another_asked_for_keeps_to_its_own_limits_and_leaves_the_job_running() {
    let home = Home::new();
    let mut owner = executed_client(&home);
    let limits = [
        (["--timeout", "2"], "not done after 2 s, the --timeout of this command"),
        (["--node-wait", "2"], "no node could take the work for 2 s: no node is connected"),
    ];
    for (limit, why) in limits {
        let since = Instant::now();
        let (client, _) = second_client(&home, OWNERS_LINKS, &limit);
        ends_after(client, since, 2).fails(4, &[why, GOES_ON]);
    }
    let (client, _) = second_client(&home, OWNERS_LINKS, &[]);
    interrupted(client).fails(130, &["stopped", GOES_ON]);
    assert_eq!(phases(&home), ["running"]);
    assert!(owner.is_running());
}

#[test]
fn a_command_that_handed_its_job_over_stops_it_at_its_own_limit_and_the_owner_goes_on() {
    let home = Home::new();
    let mut owner = executed_client(&home);
    let since = Instant::now();
    let (client, job) = second_client(&home, 3, &["--timeout", "2"]);
    let resume = format!("starling job resume {job}");
    ends_after(client, since, 2).fails(4, &["the --timeout of this command", &resume]);
    until_phases(&home, &["running", "open"]);
    assert!(owner.is_running());
}

#[test]
fn the_limits_of_whoever_asked_first_are_not_those_of_who_asked_later() {
    let home = Home::new();
    let _owner = executed_client(&home);
    let (first, _) = second_client(&home, 3, &["--timeout", "3"]);
    let (mut second, _) = second_client(&home, 3, &[]);
    first.wait().fails(4, &["the --timeout of this command"]);
    second.wait_for("this run of the job was ended by another command; going on");
    until_phases(&home, &["running", "running"]);
    interrupted(second).fails(130, &["starling job resume"]);
    until_phases(&home, &["running", "open"]);
}

#[test]
fn nobody_hands_a_job_to_a_process_that_is_stopped_and_nobody_waits_for_it_without_a_word() {
    let home = Home::new();
    let owner = executed_client(&home);
    let job = home.listed()[0]["job"].as_str().unwrap().to_owned();
    owner.signal("STOP");
    let named = format!("in use by process {} (starling prove", owner.id());
    let mend = format!("`kill -CONT {}` continues a stopped process", owner.id());
    let since = Instant::now();
    let timed = prove(&home, 3, &["--timeout", "4"]);
    let ran = ends_after(timed, since, 4);
    ran.fails(4, &["the --timeout of this command", "the job was not begun"]);
    assert!(ran.stderr.contains(&named) && ran.stderr.contains(WAITS), "{ran:#?}");
    let mut stopped = prove(&home, 4, &[]);
    stopped.wait_for(WAITS);
    interrupted(stopped).fails(130, &["stopped; the job was not begun"]);
    let since = Instant::now();
    let mut cancel = home.start(&["job", "cancel", &job]);
    let patient = prove(&home, 5, &[]);
    cancel.wait_for(WAITS);
    ends_after(cancel, since, 10).fails(1, &[&mend, "has said nothing for 10 s"]);
    ends_after(patient, since, 10).fails(1, &[&mend]);
    owner.signal("CONT");
    // What was said to it comes before this question.
    assert_eq!(phases(&home), ["running"], "nothing was handed over");
}

#[test]
fn a_command_that_leaves_an_owner_which_was_stopped_meanwhile_ends_and_its_job_does_too() {
    let home = Home::new();
    let owner = executed_client(&home);
    let (client, _) = second_client(&home, 3, &[]);
    owner.signal("STOP");
    let mend = format!("`kill -CONT {}` continues a stopped process", owner.id());
    interrupted(client).fails(130, &["it was told to stop the job", &mend]);
    owner.signal("CONT");
    until_phases(&home, &["running", "open"]);
}

#[test]
fn a_command_that_waits_for_its_input_heeds_its_limit_and_its_user() {
    let home = Home::new();
    let guest = guest("sha-chain");
    let start = |more: &[&str]| {
        let mut command =
            home.command(&[&["prove", &guest, "--input", "-"], more, &WAITING].concat());
        // The pipe stays open as long as the process is held here.
        command.stdin(Stdio::piped());
        home.start_command(command)
    };
    let since = Instant::now();
    ends_after(start(&["--timeout", "2"]), since, 2).fails(4, &["the job was not begun"]);
    let mut stopped = start(&[]);
    stopped.wait_for("this client's ticket");
    interrupted(stopped).fails(130, &["the job was not begun"]);
}

#[test]
fn a_receipt_that_goes_to_what_only_this_process_has_is_not_written_by_another() {
    let home = Home::new();
    let _owner = executed_client(&home);
    // Where there is none, as in some containers, there is nothing to mistake.
    if std::path::Path::new("/dev/tty").exists() {
        let own = prove(&home, 3, &["--receipt", "/dev/tty"]).wait();
        own.fails(2, &["/dev/tty", "it is not a file", "another --data-dir"]);
    }
    assert_eq!(home.listed().len(), 1);
}

#[test]
fn a_job_that_is_kept_on_this_machine_is_not_handed_to_an_owner_that_strangers_may_come_to() {
    let home = Home::new();
    let _owner = executed_client(&home);
    let kept = prove(&home, 3, &["--local", "1"]).wait();
    kept.fails(2, &["--local 1 keeps the job on this machine", "another --data-dir"]);
    assert_eq!(home.listed().len(), 1);
    let mut told = prove(&home, 3, &["--disk-budget", "1GiB", "--listen"]);
    told.wait_for("--listen, --disk-budget ignored, because that process decides this");
    told.wait_for("the process that owns this data directory proves the job");
}

/// The blobs of what a job was asked with are put back by a command that has the files.
#[test]
fn a_job_whose_guest_is_lost_says_so_and_the_same_command_puts_it_back() {
    let home = Home::new();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    home.prove(&[&guest, "--input", &input]).fails(4, &["no node"]);
    let job = home.listed()[0]["job"].as_str().unwrap().to_owned();
    let blobs = home.data_dir().join("blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    let resume = ["job", "resume", &job, "--node-wait", "1"];
    let mend = "the same `starling prove` or `compress`, with the same files, puts it back";
    home.run(&[&resume[..], &WAITING].concat()).fails(1, &["the guest that job", &job, mend]);
    home.prove(&[&guest, "--input", &input]).fails(4, &["no node"]);
    home.run(&[&resume[..], &WAITING].concat()).fails(4, &["no node"]);
}
