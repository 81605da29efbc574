//! Children here are shell scripts: what matters is how they die.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use starling_types::{INPUT_COUNT_MAX, IndexRange, KindCode, Profile, Task};

use super::*;
use crate::{InputFile, RESULT_BYTES_MAX};

const PATIENCE: Duration = Duration::from_secs(20);

/// A child that says that it is ready and then runs `script` for its first request.
fn child(script: &str) -> ProverProcess {
    let ready = r#"read line; echo '{"system":"hash/1","sandbox":"full"}'"#;
    shell(&format!("{ready}; read line; {script}"))
}

fn shell(script: &str) -> ProverProcess {
    let args = ["-c".to_string(), script.to_string()];
    ProverProcess::new(ProverConfig::new("hash/1", "/bin/sh", args))
}

thread_local! {
    /// Where this test's results go: each runs on a thread of its own.
    static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
}

fn work() -> TaskWork {
    TaskWork {
        task: Task { kind: KindCode(1), range: IndexRange::single(0) },
        arguments: vec![20],
        inputs: vec![InputFile::input("/dev/null")],
        output: FOLDER.with(|folder| folder.path().join("result")),
        profile: Profile::Usual,
        memory_limit: None,
    }
}

const DONE: &str =
    r#"{"id":1,"ok":{"steps":[{"name":"hash","elapsed_ms":5}],"peak_memory":1048576}}"#;

#[tokio::test]
async fn an_answer_becomes_a_report() {
    let report = child(&format!("echo '{DONE}'; read line")).run(&work(), PATIENCE).await.unwrap();
    assert_eq!(report.step_ms("hash"), 5);
    assert_eq!(report.peak_memory, Some(MemoryBytes::from_mib(1)));
}

#[tokio::test]
async fn a_task_tells_how_far_it_is_before_it_is_done() {
    let on_the_way = [100, 420, 1000].map(|p| format!(r#"echo '{{"id":1,"progress":{p}}}'"#));
    let mut told = Vec::new();
    let report = child(&format!("{}; echo '{DONE}'; read line", on_the_way.join("; ")))
        .run_watched(&work(), TimeLimits::total(PATIENCE), |permille| told.push(permille))
        .await
        .unwrap();
    assert_eq!((told, report.step_ms("hash")), (vec![100, 420, 1000], 5));
}

#[tokio::test]
async fn a_child_that_gets_no_farther_or_too_far_is_not_listened_to() {
    for wrong in ["[420,420]", "[420,100]", "[0]", "[1001]"] {
        let lines: Vec<u32> = serde_json::from_str(wrong).unwrap();
        let lines = lines.iter().map(|p| format!(r#"echo '{{"id":1,"progress":{p}}}'"#));
        let script = format!("{}; echo '{DONE}'; exit 3", lines.collect::<Vec<_>>().join("; "));
        let failure = child(&script).run(&work(), PATIENCE).await.unwrap_err();
        assert!(matches!(failure, ProveFailure::Crashed { .. }), "{wrong}: {failure}");
    }
}

#[tokio::test]
async fn a_proof_that_was_made_twice_is_reported() {
    let done = DONE.replace("}}", r#","reproved":1,"cpu_ms":9}}"#);
    let report = child(&format!("echo '{done}'; read line")).run(&work(), PATIENCE).await.unwrap();
    assert_eq!((report.reproved, report.cpu_ms, report.phases), (1, Some(9), vec![]));
}

#[tokio::test]
async fn a_result_is_as_long_as_announced_and_no_more_is_taken_on_a_childs_word() {
    let answer = |bytes: u64| format!(r#"{{"id":1,"ok":{{}},"result_bytes":{bytes}}}"#);
    let five = format!("echo '{}'; printf proof; read line", answer(5));
    let work = work();
    child(&five).run(&work, PATIENCE).await.unwrap();
    assert_eq!(std::fs::read(&work.output).unwrap(), b"proof");
    std::fs::remove_file(&work.output).unwrap();
    let short = format!("echo '{}'; printf proof", answer(6));
    let long = format!("echo '{}'; exec cat /dev/zero", answer(RESULT_BYTES_MAX + 1));
    for script in [short, long] {
        let failure = child(&script).run(&work, PATIENCE).await.unwrap_err();
        assert!(matches!(failure, ProveFailure::Crashed { .. }), "{failure}");
        assert!(!work.output.exists(), "nothing half is left");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_child_inherits_nothing_of_its_parents_environment_that_it_does_not_need() {
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok(), "a test has more than a child may have");
    let mut prover = child("tr '\\0' '\\n' </proc/$$/environ >&2; pwd >&2; exit 3");
    prover.config.env.push(("GIVEN".into(), "yes".into()));
    prover.config.threads = Some(3);
    let ProveFailure::Crashed { stderr_tail, .. } =
        prover.run(&work(), PATIENCE).await.unwrap_err()
    else {
        panic!("it ends by itself")
    };
    let (variables, folder) = stderr_tail.rsplit_once('\n').unwrap();
    assert_eq!(folder, "/");
    let names: Vec<&str> =
        variables.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected = [MMAP_THRESHOLD, "GIVEN", "RAYON_NUM_THREADS"];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
    let surplus = |name: &&&str| !expected.contains(name) && !INHERITED.contains(name);
    assert_eq!(names.iter().find(surplus), None);
}

#[tokio::test]
async fn the_child_stays_for_the_next_task_only_when_told_to() {
    let second = DONE.replace(r#""id":1"#, r#""id":2"#);
    let twice = format!("echo '{DONE}'; read line; echo '{second}'; read line");
    let mut prover = child(&twice);
    prover.run(&work(), PATIENCE).await.unwrap();
    prover.run(&work(), PATIENCE).await.unwrap();

    // The script knows only id 1 first: a child that was started anew answers the wrong id.
    let mut prover = child(&twice);
    prover.config.keep_warm = false;
    prover.run(&work(), PATIENCE).await.unwrap();
    assert!(prover.run(&work(), PATIENCE).await.is_err());
}

#[tokio::test]
async fn a_refusal_keeps_its_class_and_the_child() {
    let refused =
        r#"{"id":1,"error":{"class":"input","message":"the blob holds segment 3, not 0"}}"#;
    let mut prover = child(&format!("echo '{refused}'; read line"));
    let failure = prover.run(&work(), PATIENCE).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Input);
    assert_eq!(failure.to_string(), "the blob holds segment 3, not 0");
    assert!(prover.idle.is_some());
}

#[tokio::test]
async fn a_crash_is_reported_with_its_last_words_and_the_next_run_starts_anew() {
    let mut prover = child("echo assertion failed: cycles >&2; exit 101");
    for _ in 0..2 {
        match prover.run(&work(), PATIENCE).await.unwrap_err() {
            ProveFailure::Crashed { status, stderr_tail } => {
                assert_eq!(status, Ended::Code(101));
                assert_eq!(stderr_tail, "assertion failed: cycles");
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_signal_is_told_apart_from_lack_of_memory() {
    let failure = child("kill -SEGV $$").run(&work(), PATIENCE).await.unwrap_err();
    assert!(failure.to_string().contains("SIGSEGV"), "{failure}");
    let failure = child("kill -KILL $$").run(&work(), PATIENCE).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::Killed { .. }), "{failure}");
    let script = "echo memory allocation of 268435456 bytes failed >&2; kill -ABRT $$";
    let mut prover = child(script);
    let limited = TaskWork { memory_limit: Some(MemoryBytes::from_mib(512)), ..work() };
    let failure = prover.run(&limited, PATIENCE).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Memory);
    assert_eq!(
        failure.to_string(),
        "the prover ran out of memory (limit 512 MiB): memory allocation of 268435456 bytes failed"
    );
}

#[tokio::test]
async fn a_child_that_dies_of_an_unknown_instruction_is_followed_by_one_that_makes_do_with_fewer() {
    // It takes the vectors that it is told, and dies of the widest: one as it starts, one as it proves.
    let script = format!(
        r#"[ -z "$VECTORS" ] && kill -ILL $$; read line; echo '{{"system":"hash/1","sandbox":"full"}}'
        read line; [ "$VECTORS" = wide ] && kill -ILL $$; [ "$VECTORS" = narrow ] || exit 3
        echo '{}'; read line"#,
        DONE.replace(r#""id":1"#, r#""id":3"#)
    );
    let mut prover = shell(&script);
    prover.config.narrower =
        ["wide", "narrow"].map(|value| ("VECTORS".to_owned(), value.to_owned())).into();
    for _ in 0..2 {
        let failure = prover.run(&work(), PATIENCE).await.unwrap_err();
        assert_eq!(failure.class(), FailureClass::Node, "{failure}");
        assert!(failure.to_string().contains("SIGILL"), "{failure}");
    }
    prover.run(&work(), PATIENCE).await.unwrap();
    assert_eq!(prover.illegal_count, 2);
}

#[tokio::test]
async fn a_child_that_has_no_fewer_instructions_to_make_do_with_fails_as_often_as_it_is_asked() {
    let mut prover = child("kill -ILL $$");
    for _ in 0..2 {
        let failure = prover.run(&work(), PATIENCE).await.unwrap_err();
        assert!(matches!(failure, ProveFailure::Crashed { .. }), "{failure}");
    }
    assert_eq!(prover.illegal_count, 0);
}

#[tokio::test]
async fn the_line_that_says_that_memory_was_short_is_quoted_whatever_follows_it() {
    // What `RUST_BACKTRACE=1` adds, and more of it than is kept.
    let backtrace =
        "i=0; while [ $i -lt 500 ]; do echo \"  $i: rayon_core::join\"; i=$((i+1)); done >&2";
    let script =
        format!("echo memory allocation of 64 bytes failed >&2; {backtrace}; kill -ABRT $$");
    match child(&script).run(&work(), PATIENCE).await.unwrap_err() {
        ProveFailure::OutOfMemory { detail, .. } => {
            assert_eq!(detail, "memory allocation of 64 bytes failed");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn threads_that_cannot_be_started_are_lack_of_memory_at_the_start_and_later() {
    let denied = "Resource temporarily unavailable (os error 11)";
    let at_start = shell(&format!("echo 'error: cannot start 4 threads: {denied}' >&2; exit 1"));
    let panic = r#"failed to spawn thread: Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" }"#;
    let later = child(&format!("echo '{panic}' >&2; echo '   0: frame' >&2; exit 101"));
    for mut prover in [at_start, later] {
        let failure = prover.run(&work(), PATIENCE).await.unwrap_err();
        assert_eq!(failure.class(), FailureClass::Memory, "{failure}");
        assert!(failure.to_string().contains("pids.max"), "{failure}");
    }
}

#[tokio::test]
async fn what_a_child_survived_is_not_what_it_dies_of_later() {
    let script = format!(
        "echo Cannot allocate memory >&2; sleep 0.3; echo '{DONE}'; read line; kill -SEGV $$"
    );
    let mut prover = child(&script);
    prover.run(&work(), PATIENCE).await.unwrap();
    let failure = prover.run(&work(), PATIENCE).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::Crashed { .. }), "{failure}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_killed_child_lacked_memory_only_where_its_group_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("memory.events");
    let counted = |kills, limits| format!("oom {limits}\noom_kill {kills}\n");
    // The shell is seen to take more than half of this, and less than half of the other.
    let [small, large] = [MemoryBytes(64 << 10), MemoryBytes::from_mib(1 << 20)];
    for (kills, limits, limit, class) in [
        (1, 1, small, FailureClass::Memory),
        (1, 1, large, FailureClass::Node),
        (1, 0, small, FailureClass::Node),
        (0, 0, small, FailureClass::Node),
    ] {
        std::fs::write(&events, counted(0, 0)).unwrap();
        let after = folder.path().join("after");
        std::fs::write(&after, counted(kills, limits)).unwrap();
        let (after, path) = (after.display(), events.display());
        let mut prover = child(&format!("sleep 1.5; cat {after} > {path}; kill -KILL $$"));
        prover.groups = Groups::of_file(events.clone());
        let limited = TaskWork { memory_limit: Some(limit), ..work() };
        let failure = prover.run(&limited, PATIENCE).await.unwrap_err();
        assert_eq!(failure.class(), class, "{failure}");
        let killed = matches!(failure, ProveFailure::Killed { .. });
        assert_eq!(killed, class == FailureClass::Node, "{failure}");
    }
}

#[tokio::test]
async fn a_child_that_overstays_is_killed() {
    let started = Instant::now();
    let deadline = Duration::from_millis(500);
    let failure = child("exec sleep 60").run(&work(), deadline).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::Deadline { .. }), "{failure}");
    assert!(started.elapsed() < PATIENCE);
}

/// A child that tells of itself every half second, six times, and is done.
fn slow() -> ProverProcess {
    let step = |permille| format!(r#"sleep 0.5; echo '{{"id":1,"progress":{permille}}}'"#);
    let steps: Vec<_> = (1..=6).map(step).collect();
    child(&format!("{}; echo '{DONE}'; read line", steps.join("; ")))
}

#[tokio::test]
async fn a_child_that_gets_on_may_take_longer_than_it_may_stand_still_but_not_without_end() {
    let standstill = Duration::from_secs(2);
    let started = Instant::now();
    let limits = TimeLimits { standstill, total: PATIENCE };
    slow().run_watched(&work(), limits, |_| {}).await.unwrap();
    assert!(started.elapsed() > standstill);
    let limits = TimeLimits { total: standstill, ..limits };
    let failure = slow().run_watched(&work(), limits, |_| {}).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::Deadline { .. }), "{failure}");
    // One that stops after its first steps.
    let script = r#"echo '{"id":1,"progress":1}'; exec sleep 60"#;
    let limits = TimeLimits { standstill: Duration::from_millis(500), total: PATIENCE };
    let failure = child(script).run_watched(&work(), limits, |_| {}).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::StoodStill { .. }), "{failure}");
}

#[tokio::test]
async fn a_dropped_run_takes_the_child_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let mut prover = child(&format!("echo $$ > {}; exec sleep 60", pid_file.display()));
    let work = work();
    let run = timeout(Duration::from_millis(700), prover.run(&work, PATIENCE));
    assert!(run.await.is_err(), "the child sleeps");
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
    let gone = Instant::now();
    // Reaped, or dead and waiting for it.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(gone.elapsed() < PATIENCE, "the child is still alive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_program_that_is_no_prover_is_named() {
    let failure = shell("echo usage: sh >&2; exit 2").run(&work(), PATIENCE).await.unwrap_err();
    let shown = failure.to_string();
    assert!(shown.contains("/bin/sh is not a prover"), "{shown}");
    assert!(shown.contains("usage: sh"), "{shown}");
    let other = r#"read line; echo '{"system":"hash/0","sandbox":"full"}'; read line"#;
    let failure = shell(other).run(&work(), PATIENCE).await.unwrap_err();
    assert!(failure.to_string().contains("proves for hash/0, not hash/1"), "{failure}");
    let config = ProverConfig::new("hash/1", "/nonexistent/prover", []);
    let failure = ProverProcess::new(config).run(&work(), PATIENCE).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::Spawn { .. }), "{failure}");
}

#[tokio::test]
async fn only_the_end_of_a_talkative_child_is_kept() {
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1";
    match child(script).run(&work(), PATIENCE).await.unwrap_err() {
        ProveFailure::Crashed { stderr_tail, .. } => {
            assert!(stderr_tail.len() <= ProverConfig::STDERR_TAIL_BYTES);
            assert!(stderr_tail.ends_with("line 1999"), "{stderr_tail}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_task_that_does_not_fit_into_a_line_is_refused_before_a_child_is_asked() {
    let mut prover = child("read line");
    let inputs = vec![InputFile::input("leaf"); INPUT_COUNT_MAX + 1];
    let arguments = vec![0; ARGUMENTS_BYTES_MAX + 1];
    for work in [TaskWork { inputs, ..work() }, TaskWork { arguments, ..work() }] {
        let failure = prover.run(&work, PATIENCE).await.unwrap_err();
        assert_eq!(failure.class(), FailureClass::Task, "{failure}");
        assert!(prover.idle.is_none(), "no child was started");
    }
}
