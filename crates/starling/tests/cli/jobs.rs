//! Jobs between their runs: listed, stopped, resumed, cancelled; one client for a data directory.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio};

use serde_json::Value;

use crate::harness::{Home, Process, WAITING, eventually, guest, input, jobs_of};

/// Starts a client that waits for nodes, and waits until its guest has run.
pub fn executed_client(home: &Home) -> Process {
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let mut client =
        home.start(&[&["prove", &guest, "--input", &input, "--json"], &WAITING[..]].concat());
    client.wait_for("the guest has run to its end");
    client
}

#[test]
fn a_data_directory_without_jobs_lists_none_and_stays_untouched() {
    let home = Home::new();
    assert_eq!(home.run(&["job", "list", "--json"]).succeeds().stdout, "{\"jobs\":[]}\n");
    assert_eq!(home.run(&["job", "list"]).succeeds().stdout, "");
    assert!(!home.data_dir().exists());
}

#[test]
fn an_unknown_job_is_no_job() {
    let home = Home::new();
    for command in ["show", "resume", "cancel"] {
        home.run(&["job", command, "0123"])
            .fails(2, &["no job begins with 0123", "starling job list"]);
    }
}

#[test]
fn a_damaged_job_log_is_an_error_and_stays_as_it_is() {
    let home = Home::new();
    let log = home.data_dir().join("starling.db");
    fs::create_dir(home.data_dir()).unwrap();
    fs::write(&log, "garbage").unwrap();
    home.run(&["job", "list"]).fails(1, &["starling.db", "not a database"]);
    home.prove(&[&guest("sha-chain")]).fails(1, &["starling.db", "not a database"]);
    assert_eq!(fs::read(&log).unwrap(), b"garbage");
}

#[test]
fn a_directory_of_something_else_is_no_directory_without_jobs() {
    let home = Home::new();
    fs::create_dir(home.data_dir()).unwrap();
    assert_eq!(home.run(&["job", "list"]).succeeds().stdout, "");
    fs::write(home.data_dir().join("thesis"), "precious").unwrap();
    for command in [&["list"][..], &["show", "01"], &["prune"], &["recover"]] {
        let ran = home.run(&[&["job"], command, &["--json"]].concat());
        ran.fails(1, &["is no data directory", "--data-dir"]);
        assert!(ran.stdout.contains("\"class\":\"data_dir\""), "{ran:#?}");
    }
    assert_eq!(fs::read_dir(home.data_dir()).unwrap().count(), 1, "nothing is made in it");
}

#[test]
fn jobs_are_shown_without_the_values_of_the_guests_environment() {
    let home = Home::new();
    home.prove(&[&guest("sha-chain"), "--env", "TOKEN=s3cret"]).fails(1, &[]);
    let list = home.run(&["job", "list", "--json"]);
    let job = list.json()["jobs"][0]["job"].as_str().unwrap().to_owned();
    let shown = home.run(&["job", "show", &job, "--json"]);
    assert_eq!(shown.json()["asked"]["arguments"]["log"]["env"], serde_json::json!(["TOKEN"]));
    for said in [list.stdout, shown.stdout, home.run(&["job", "show", &job]).stdout] {
        assert!(!said.contains("s3cret") && !said.is_empty(), "{said}");
    }
}

#[test]
fn a_data_directory_that_is_not_there_is_named_where_its_jobs_are_asked_for() {
    let home = Home::new();
    for command in ["list", "prune"] {
        let ran = home.run(&["job", command, "--data-dir", "mistyped"]);
        assert!(
            ran.succeeds().stderr.contains("there is no data directory mistyped yet"),
            "{ran:#?}"
        );
    }
    assert!(!home.path().join("mistyped").exists());
}

#[test]
fn jobs_that_are_over_are_forgotten_and_those_that_can_go_on_stay() {
    let home = Home::new();
    assert_eq!(home.run(&["job", "prune", "--json"]).json()["jobs"], 0);
    assert!(!home.data_dir().exists());
    let open = stopped_job(&home);
    let links = home.write("few links", &4_u32.to_le_bytes());
    home.prove(&[&guest("sha-chain"), "--input", &links]).fails(4, &["no node"]);
    let ids = home.listed();
    let other = ids.iter().find(|job| job["job"] != open.as_str()).unwrap()["job"].clone();
    home.run(&["job", "cancel", other.as_str().unwrap()]).succeeds();
    let prune = |days: &str| home.run(&["job", "prune", "--older", days, "--json"]).json();
    assert_eq!((&prune("1")["jobs"], home.listed().len()), (&0.into(), 2), "it was today");
    // The owner does it, where there is one.
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let mut owner = home.start(&[&["prove", &guest, "--input", &input], &WAITING[..]].concat());
    owner.wait_for("no node is connected");
    assert_eq!((&prune("0")["jobs"], home.listed().len()), (&1.into(), 1));
    assert!(owner.is_running());
    assert_eq!(home.listed()[0]["job"], open.as_str());
}

/// A data directory whose store has what a job that is done leaves there: the bytes of a receipt of this image id, which proves
/// nothing, and other blobs.
fn with_a_finished_receipt(home: &Home, image_id: [u8; 32]) -> Vec<u8> {
    use risc0_zkvm::{FakeReceipt, InnerReceipt, MaybePruned, Receipt, ReceiptClaim};
    let claim = ReceiptClaim::ok(risc0_zkvm::Digest::from(image_id), b"ok".to_vec());
    let inner = InnerReceipt::Fake(FakeReceipt::new(MaybePruned::from(claim)));
    let receipt = bincode::serialize(&Receipt::new(inner, b"ok".to_vec())).unwrap();
    let dir = starling_store::DataDir::open(&home.data_dir(), "a test").unwrap();
    let (log, budget) = (dir.log().unwrap(), starling_store::DiskBudget::up_to(1 << 30));
    let blobs = dir.blobs_of(&log, budget).unwrap();
    for bytes in [&receipt[..], b"a segment", b"\x01\0\0\0 no receipt"] {
        blobs.put(bytes).unwrap();
    }
    receipt
}

#[test]
fn finished_receipts_are_written_to_files_where_the_log_is_ruined_and_the_directory_is_of_use_again()
 {
    let home = Home::new();
    let receipt = with_a_finished_receipt(&home, [7; 32]);
    let sound = ["nothing is wrong with the job log"];
    home.run(&["job", "recover"]).fails(2, &sound);
    let log = home.data_dir().join("starling.db");
    fs::write(&log, "garbage").unwrap();
    home.run(&["job", "list"]).fails(1, &["starling job recover"]);
    home.run(&["job", "recover", "--out", "nowhere"]).fails(2, &["is no directory"]);
    let recovered = home.run(&["job", "recover", "--json"]).json();
    let found = recovered["receipts"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{recovered}");
    let file = home.path().join(found[0]["file"].as_str().unwrap());
    assert_eq!(fs::read(&file).unwrap(), receipt);
    assert_eq!(found[0]["image_id"], "07".repeat(32));
    let shown = home.run(&["inspect", file.to_str().unwrap(), "--json"]).json();
    assert_eq!(shown["what"], "fake receipt");
    assert_eq!(fs::read(recovered["log"].as_str().unwrap()).unwrap(), b"garbage");
    let blobs = fs::read_dir(recovered["blobs"].as_str().unwrap()).unwrap();
    assert!(blobs.count() > 0, "they are there for a backup of the log");
    assert_eq!(home.run(&["job", "list"]).succeeds().stdout, "");
    home.prove(&[&guest("sha-chain")]).fails(1, &[]);
    home.run(&["job", "recover"]).fails(2, &sound);
}

#[test]
fn a_directory_whose_log_is_gone_is_not_begun_anew_over_its_blobs() {
    let home = Home::new();
    let receipt = with_a_finished_receipt(&home, [7; 32]);
    fs::remove_file(home.data_dir().join("starling.db")).unwrap();
    let prove: &[&str] = &["prove", &guest("sha-chain"), "--input", &input("sha-chain-100")];
    let commands: [&[&str]; 5] = [
        &["job", "list"],
        &["job", "show", "01"],
        &["job", "prune"],
        &["job", "cancel", "01"],
        prove,
    ];
    for command in commands {
        home.run(command)
            .fails(1, &["it is gone, and blobs that it named are here", "starling job recover"]);
    }
    let recovered = home.run(&["job", "recover", "--json"]).json();
    let file = home.path().join(recovered["receipts"][0]["file"].as_str().unwrap());
    assert_eq!(fs::read(file).unwrap(), receipt);
    assert_eq!(
        (&recovered["log"], home.run(&["job", "list"]).succeeds().stdout.as_str()),
        (&serde_json::Value::Null, "")
    );
}

#[test]
fn an_owner_whose_log_is_taken_away_takes_no_other_job_and_the_log_can_be_put_back() {
    let home = Home::new();
    let owner = executed_client(&home);
    fs::rename(home.data_dir().join("starling.db"), home.path().join("taken")).unwrap();
    home.run(&["job", "list"]).fails(1, &["it is gone"]);
    let other = ["prove", &guest("sha-chain"), "--input", &input("sha-chain-1")];
    home.run(&other).fails(1, &["was moved, removed or replaced", "put it back"]);
    owner.signal("INT");
    owner.wait().fails(130, &[]);
    fs::rename(home.path().join("taken"), home.data_dir().join("starling.db")).unwrap();
    assert_eq!(home.jobs().len(), 1);
}

/// Changes one event of the log as only something other than Starling does.
fn tamper(home: &Home, change: &str) {
    let log = rusqlite::Connection::open(home.data_dir().join("starling.db")).unwrap();
    assert_eq!(log.execute(change, []).unwrap(), 1, "{change}");
}

/// A job that has executed its guest and was stopped.
fn stopped_job(home: &Home) -> String {
    let client = executed_client(home);
    client.signal("INT");
    client.wait();
    home.jobs()[0]["job"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_whose_log_lacks_an_event_is_seen_shown_begun_anew_and_cancelled_and_no_more() {
    let home = Home::new();
    let job = stopped_job(&home);
    tamper(&home, "DELETE FROM events WHERE seq = 3");
    let listed = home.listed().remove(0);
    assert_eq!((&listed["job"], &listed["phase"]), (&job.as_str().into(), &"damaged".into()));
    let text = home.run(&["job", "list"]).succeeds().stdout.clone();
    assert!(text.contains("damaged") && text.contains("events is missing"), "{text}");
    let shown = home.run(&["job", "show", &job, "--json"]).json();
    let error = shown["error"].as_str().unwrap();
    for word in ["event 3 of job", "no longer says what was proved", "--fresh", "job cancel"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(
        (&shown["last_phase"], &shown["receipt_kind"]),
        (&"open".into(), &"succinct".into())
    );
    let lost = ["event 3 of job", "no longer says what was proved", "--fresh"];
    home.run(&["job", "resume", &job]).fails(1, &lost);
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    home.prove(&[&guest, "--input", &input]).fails(1, &lost);
    home.prove(&[&guest, "--input", &input, "--fresh"]).fails(4, &["no node"]);
    assert_eq!((home.jobs().len(), &home.jobs()[0]["phase"]), (1, &"open".into()));
    tamper(&home, "DELETE FROM events WHERE seq = 1");
    let held = home.blob_bytes();
    assert!(held > 0);
    assert_eq!(home.run(&["job", "cancel", &job, "--json"]).json()["freed_bytes"], held);
    assert_eq!((home.listed().len(), home.blob_bytes()), (0, 0));
}

#[test]
fn what_is_damaged_of_a_job_is_begun_anew_and_given_up_through_the_owner_of_the_directory() {
    let home = Home::new();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let job = stopped_job(&home);
    // The owner works on another job.
    let links = home.write("few links", &4_u32.to_le_bytes());
    let mut owner = home.start(&[&["prove", &guest, "--input", &links], &WAITING[..]].concat());
    owner.wait_for("the guest has run to its end");
    tamper(&home, &format!("DELETE FROM events WHERE seq = 2 AND job = x'{job}'"));
    home.prove(&[&guest, "--input", &input]).fails(1, &["event 2 of job", "--fresh"]);
    home.run(&["job", "resume", &job]).fails(1, &["event 2 of job", "--fresh"]);
    home.prove(&[&guest, "--input", &input, "--fresh"]).fails(4, &["no node"]);
    assert_eq!(home.run(&["job", "show", &job, "--json"]).json()["phase"], "open");
    // An id that has lost half of itself.
    let half = &job[..16];
    let log = rusqlite::Connection::open(home.data_dir().join("starling.db")).unwrap();
    log.execute(&format!("UPDATE events SET job = x'{half}' WHERE job = x'{job}'"), []).unwrap();
    let stray = home.run(&["job", "show", half, "--json"]).json();
    assert_eq!((&stray["job"], &stray["phase"]), (&half.into(), &"damaged".into()));
    home.run(&["job", "resume", half]).fails(2, &["is damaged in the log", "job cancel"]);
    let freed = home.run(&["job", "cancel", half, "--json"]).json();
    assert!(freed["freed_bytes"].as_u64() > Some(0), "{freed}");
    assert_eq!((home.listed().len(), owner.is_running()), (1, true));
}

#[cfg(unix)]
#[test]
fn jobs_are_looked_at_where_nothing_may_be_written() {
    let home = Home::new();
    let job = stopped_job(&home);
    let [wal, shm] = ["starling.db-wal", "starling.db-shm"].map(|name| home.data_dir().join(name));
    // The last reader could make these, and leaves them.
    if shm.exists() {
        assert_eq!(fs::metadata(&wal).unwrap().len(), 0, "all is in the log itself");
        for file in [&wal, &shm] {
            fs::remove_file(file).unwrap();
        }
    }
    let list = jobs_of(home.run_read_only(&["job", "list", "--json"]).json());
    assert_eq!(list[0]["job"], job.as_str());
    let shown = home.run_read_only(&["job", "show", &job, "--json"]).json();
    assert_eq!((&shown["segments"], &shown["phase"]), (&2.into(), &"open".into()));
    assert!(!shm.exists(), "it could be written to");
    // What a killed process had not put into the log itself yet lies beside it.
    let owner = home.start(&[&["job", "resume", &job], &WAITING[..]].concat());
    eventually(|| home.jobs()[0]["runs"] == 2);
    owner.signal("KILL");
    owner.wait();
    assert!(fs::metadata(&wal).unwrap().len() > 0);
    let shown = home.run_read_only(&["job", "show", &job, "--json"]).json();
    assert_eq!(shown["runs"], 2);
    fs::remove_file(&shm).unwrap();
    let beside = ["starling.db-wal", "can't be read while the directory is not writable"];
    home.run_read_only(&["job", "list"]).fails(1, &beside);
}

#[test]
fn digits_that_two_jobs_begin_with_are_not_enough() {
    let home = Home::new();
    let guest = guest("fail");
    let mut first_digits = BTreeSet::new();
    // Jobs that fail at once, until two share their first digit: the 17th at the latest.
    let shared = (0..17)
        .find_map(|number| {
            let input = home.write("panic", format!("\u{1}{number}").as_bytes());
            home.prove(&[&guest, "--input", &input]).fails(1, &["panicked"]);
            let digit = home.jobs().last().unwrap()["job"].as_str().unwrap()[..1].to_owned();
            (!first_digits.insert(digit.clone())).then_some(digit)
        })
        .unwrap();
    for command in ["show", "resume", "cancel"] {
        home.run(&["job", command, &shared]).fails(2, &["2 jobs begin with", "give more digits"]);
    }
}

#[test]
fn ctrl_c_stops_the_job_cleanly_and_says_how_to_resume_it() {
    let home = Home::new();
    let client = executed_client(&home);
    client.signal("INT");
    let ran = client.wait();
    let jobs = home.jobs();
    let job = jobs[0]["job"].as_str().unwrap();
    ran.fails(130, &[&format!("starling job resume {job}")]);
    assert!(ran.stderr.contains("press Ctrl-C again to stop at once"), "{ran:#?}");
    assert_eq!(jobs[0]["phase"], "open");
    assert_eq!(jobs[0]["executed"], true);
    assert_eq!(jobs[0]["segments"], 2);
    let listed = &home.listed()[0];
    for field in ["job", "phase", "image_id", "receipt_kind", "asked", "created_at_unix_ms"] {
        assert_eq!(listed[field], jobs[0][field], "{field}");
    }
    assert_eq!((&listed["nodes"], &listed["error"]), (&Value::Null, &Value::Null));
}

/// A client whose input is a pipe that says nothing.
fn reading_client(home: &Home, temp: &Path) -> Process {
    let guest = guest("sha-chain");
    let mut command = home.command(&[&["prove", &guest, "--input", "-"], &WAITING[..]].concat());
    command.stdin(Stdio::piped()).env("TMPDIR", temp);
    home.start_command(command)
}

#[test]
fn ctrl_c_ends_a_command_that_waits_for_its_input() {
    let home = Home::new();
    let temp = tempfile::tempdir().unwrap();
    let mut client = reading_client(&home, temp.path());
    client.wait_for("this client's ticket: ");
    client.signal("INT");
    client.wait().fails(130, &["the job was not begun"]);
    // The same where the input goes to another process, by a file.
    let mut owner = executed_client(&home);
    let client = reading_client(&home, temp.path());
    eventually(|| fs::read_dir(temp.path()).unwrap().next().is_some());
    client.signal("INT");
    client.wait().fails(130, &["the job was not begun"]);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "what was read is left behind");
    assert!(owner.is_running() && home.jobs().len() == 1);
}

#[test]
fn a_job_that_runs_is_listed_and_shown_as_running_and_open_once_its_process_is_gone() {
    let home = Home::new();
    let client = executed_client(&home);
    // It is told a moment after it is logged.
    eventually(|| !home.listed()[0]["receipts_total"].is_null());
    let listed = home.listed().remove(0);
    let shown = home.jobs().remove(0);
    for job in [&listed, &shown] {
        assert_eq!((&job["phase"], &job["nodes"]), (&"running".into(), &0.into()), "{job}");
    }
    // Two segments, their join and nothing more.
    assert_eq!((&listed["receipts_accepted"], &listed["receipts_total"]), (&0.into(), &3.into()));
    let text = home.run(&["job", "list"]).succeeds().stdout.clone();
    assert!(text.contains("running") && text.contains("0 of 3 receipts, 0 nodes"), "{text}");
    client.signal("KILL");
    client.wait();
    let listed = home.listed().remove(0);
    assert_eq!((&listed["phase"], &listed["nodes"]), (&"open".into(), &Value::Null));
    let text = home.run(&["job", "list"]).succeeds().stdout.clone();
    assert!(text.contains("open") && !text.contains("receipts"), "{text}");
}

/// Starts another command in the directory of `executed_client`, which hands its job over; with the job's id.
pub fn second_client(home: &Home, links: u32, more: &[&str]) -> (Process, String) {
    let (guest, input) = (guest("sha-chain"), home.write("links", &links.to_le_bytes()));
    let prove = ["prove", &guest, "--input", &input];
    let mut client = home.start(&[&prove[..], more, &WAITING].concat());
    let handed = "the process that owns this data directory proves the job with its nodes job=";
    let job = client.wait_for(handed);
    (client, job)
}

#[test]
fn a_second_client_on_a_data_directory_hands_its_job_to_the_first() {
    let home = Home::new();
    let mut owner = executed_client(&home);
    let (client, job) = second_client(&home, 3, &["--node-wait", "1"]);
    // It ends as it would by itself, and the other goes on.
    client.wait().fails(4, &["no node is connected", "give the same command again"]);
    let jobs = home.jobs();
    assert_eq!(jobs.len(), 2);
    assert_eq!((&jobs[1]["job"], &jobs[1]["executed"]), (&job.as_str().into(), &true.into()));
    assert_eq!((&jobs[0]["phase"], &jobs[1]["phase"]), (&"running".into(), &"open".into()));
    assert!(owner.is_running());
    // A file that is not there is refused where it was named.
    home.prove(&["no-such-guest"]).fails(2, &["no-such-guest"]);
}

#[test]
fn ctrl_c_stops_the_job_that_was_handed_over_and_no_other() {
    let home = Home::new();
    let mut owner = executed_client(&home);
    let (client, job) = second_client(&home, 3, &[]);
    client.signal("INT");
    client.wait().fails(130, &[&format!("starling job resume {job}")]);
    assert!(owner.is_running());
    // A command that looks at a job of another command leaves it alone.
    let (client, same) = second_client(&home, 100, &[]);
    assert_eq!(same, home.jobs()[0]["job"].as_str().unwrap());
    client.signal("INT");
    client.wait().fails(130, &["the job goes on"]);
    assert!(owner.is_running());
}

#[test]
fn a_job_is_cancelled_and_resumed_while_another_process_runs_it() {
    let home = Home::new();
    let owner = executed_client(&home);
    let (client, job) = second_client(&home, 3, &[]);
    // A guest that still runs holds what it reads.
    eventually(|| home.jobs()[1]["executed"] == true);
    assert!(home.run(&["job", "cancel", &job, "--json"]).json()["freed_bytes"].as_u64() > Some(0));
    client.wait().fails(1, &["was cancelled"]);
    let (client, job) = second_client(&home, 4, &["--node-wait", "1"]);
    client.wait().fails(4, &["no node"]);
    let resume = ["job", "resume", &job, "--node-wait", "1"];
    home.run(&[&resume[..], &WAITING].concat()).fails(4, &["no node"]);
    assert_eq!(home.jobs()[2]["runs"], 2);
    // The owner's own, too; then nothing keeps it.
    let first = home.jobs()[0]["job"].as_str().unwrap().to_owned();
    home.run(&["job", "cancel", &first]).succeeds();
    owner.wait().fails(1, &["was cancelled"]);
}

#[test]
fn a_client_whose_owner_is_killed_takes_the_directory_over() {
    let home = Home::new();
    let owner = executed_client(&home);
    let (mut client, _) = second_client(&home, 3, &["--node-wait", "3"]);
    // The client knows its job before the owner begins to run it.
    eventually(|| home.jobs()[1]["runs"] == 1);
    owner.signal("KILL");
    client.wait_for("going on here");
    client.wait_for("this client's ticket: ");
    client.wait().fails(4, &["no node is connected"]);
    // Both can be gone on with.
    let jobs = home.jobs();
    assert!(jobs.iter().all(|job| job["phase"] == "open"));
    assert_eq!((&jobs[0]["runs"], &jobs[1]["runs"]), (&1.into(), &2.into()));
    assert!(!home.data_dir().join("control").exists());
}

#[test]
fn an_owner_that_is_done_stays_for_the_jobs_of_others() {
    let home = Home::new();
    let owner = executed_client(&home);
    let (client, _) = second_client(&home, 3, &["--node-wait", "4"]);
    let first = home.jobs()[0]["job"].as_str().unwrap().to_owned();
    home.run(&["job", "cancel", &first]).succeeds();
    client.wait().fails(4, &["no node is connected"]);
    let owner = owner.wait();
    owner.fails(1, &["was cancelled"]);
    assert!(owner.stderr.contains("still proves jobs of other commands: 1"), "{owner:#?}");
}

#[test]
fn a_cancelled_job_frees_its_space_and_is_not_resumed() {
    let home = Home::new();
    let client = executed_client(&home);
    client.signal("TERM");
    assert_eq!(client.wait().status.code(), Some(130));
    let job = home.jobs()[0]["job"].as_str().unwrap().to_owned();
    let held = home.blob_bytes();
    assert!(held > 0);

    let cancelled = home.run(&["job", "cancel", &job, "--json"]).json();
    assert_eq!(cancelled["job"], job.as_str());
    assert_eq!(cancelled["freed_bytes"], held);
    assert_eq!(home.blob_bytes(), 0);
    assert_eq!(home.jobs()[0]["phase"], "cancelled");
    // Once more is harmless.
    assert_eq!(home.run(&["job", "cancel", &job, "--json"]).json()["freed_bytes"], 0);

    home.run(&["job", "resume", &job]).fails(2, &["was cancelled", "starling prove"]);
    home.prove(&[&guest("sha-chain"), "--input", &input("sha-chain-100")]).fails(4, &["no node"]);
    assert_eq!(home.jobs()[0]["phase"], "open");
}

#[test]
fn a_disk_budget_too_small_for_the_guest_leaves_nothing_behind() {
    let home = Home::new();
    home.prove(&[&guest("sha-chain"), "--disk-budget", "10KiB"])
        .fails(1, &["no space", "10240 bytes of the disk budget", "--disk-budget"]);
    assert!(home.jobs().is_empty());
    assert_eq!(home.blob_bytes(), 0);
}

#[test]
fn a_job_that_its_disk_budget_can_never_hold_ends_within_seconds_and_goes_on_under_a_larger_one() {
    let home = Home::new();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    let args = ["prove", &guest, "--input", &input, "--disk-budget", "160KiB"];
    let mut waiting = home.start(&[&args[..], &WAITING].concat());
    waiting.wait_for("no room on the disk");
    let jobs = home.jobs();
    assert_eq!((&jobs[0]["phase"], &jobs[0]["executed"]), (&"running".into(), &false.into()));
    let job = jobs[0]["job"].as_str().unwrap();
    let dir = home.data_dir().join("blobs").display().to_string();
    waiting.wait().fails(
        1,
        &[
            "the job can't go on",
            "no space for ",
            "of the 163840 bytes of the disk budget",
            "--disk-budget",
            &dir,
        ],
    );
    assert!(home.blob_bytes() <= 160 << 10);
    let shown = home.run(&["job", "show", job, "--json"]).json();
    assert_eq!((&shown["phase"], &shown["lacks_room"]), (&"open".into(), &serde_json::Value::Null));
    let prove = home.prove(&[&guest, "--input", &input, "--disk-budget", "1MiB"]);
    prove.fails(4, &["no node is connected"]);
    assert_eq!(home.jobs()[0]["executed"], true);
}
