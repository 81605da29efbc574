//! The supervisor with a real child, which proves nothing: how it works, dies, hangs, lies, and what it may use.

#![allow(clippy::unwrap_used)]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use starling_child::{
    InputFile, ProveFailure, ProverConfig, ProverProcess, Sandbox, SandboxPolicy, TaskWork,
    TimeLimits, WorkReport,
};
use starling_fake::{SYSTEMS, Sum, TRY_COUNT};
use starling_types::{FailureClass, IndexRange, KindCode, MemoryBytes, Profile, Task};
use tempfile::TempDir;

/// No step of a test takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(manners: &str) -> ProverConfig {
    let program = env!("CARGO_BIN_EXE_starling-fake-prover");
    ProverConfig {
        params: manners.into(),
        ..ProverConfig::new(SYSTEMS[0], program, [SYSTEMS[0].into()])
    }
}

/// A folder for blobs, and a child with these manners.
struct Bench {
    folder: TempDir,
    prover: ProverProcess,
}

impl Bench {
    fn new(manners: &str) -> Self {
        Self::with(config(manners))
    }

    fn with(config: ProverConfig) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), prover: ProverProcess::new(config) }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn work(&self, index: u32) -> TaskWork {
        TaskWork {
            task: Task { kind: KindCode(1), range: IndexRange::single(index) },
            arguments: vec![1, 2, 3],
            inputs: vec![InputFile::input(self.put("raw", b"raw"))],
            output: self.folder.path().join("result"),
            profile: Profile::Usual,
            memory_limit: None,
        }
    }

    async fn prove(&mut self, work: &TaskWork) -> Result<Sum, ProveFailure> {
        self.prover.run(work, PATIENCE).await?;
        Ok(Sum::decode(&std::fs::read(&work.output).unwrap()).unwrap())
    }
}

#[tokio::test]
async fn a_task_is_bytes_in_and_bytes_out_and_tells_how_far_it_is() {
    let mut bench = Bench::new("pace=1200");
    let work = bench.work(7);
    let mut told = Vec::new();
    let limits = TimeLimits::total(PATIENCE);
    let report =
        bench.prover.run_watched(&work, limits, |permille| told.push(permille)).await.unwrap();
    let result = std::fs::read(&work.output).unwrap();
    let expected = Sum::of_challenged(7, b"raw", &work.arguments);
    assert_eq!(expected.compare(&result), Ok(()));
    assert_eq!(told, [250, 500, 750, 999]);
    assert_eq!((report.step_ms("hash"), report.reproved), (1200, 0));
    assert!(report.peak_memory.is_none_or(|peak| peak > MemoryBytes::from_mib(1)));
    let files = std::fs::read_dir(bench.folder.path()).unwrap().count();
    assert_eq!(files, 2, "the input and the result, and nothing half written");
}

#[tokio::test]
async fn a_child_that_dies_costs_its_task_and_the_next_gets_another() {
    let mut bench = Bench::new("dies-of=2");
    let work = bench.work(0);
    bench.prove(&work).await.unwrap();
    let failure = bench.prove(&work).await.unwrap_err();
    assert!(
        matches!(&failure, ProveFailure::Crashed { status, .. } if status.to_string().contains("SIGABRT")),
        "{failure}"
    );
    bench.prove(&work).await.unwrap();
}

#[tokio::test]
async fn a_child_that_hangs_is_stopped_when_it_has_stood_still_for_too_long() {
    let mut bench = Bench::new("hangs");
    let started = Instant::now();
    let work = bench.work(0);
    let limits = TimeLimits { standstill: Duration::from_secs(1), total: 2 * PATIENCE };
    let failure = bench.prover.run_watched(&work, limits, |_| {}).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::StoodStill { .. }), "{failure}");
    assert!(started.elapsed() < PATIENCE);
}

#[tokio::test]
async fn inputs_that_are_not_what_they_should_be_are_refused_and_the_child_stays() {
    let mut bench = Bench::new("dies-of=3");
    let work = bench.work(0);
    let missing = TaskWork { inputs: vec![InputFile::input("/nonexistent")], ..work.clone() };
    let damaged = InputFile::input(bench.put("damaged", b"FAKE"));
    let damaged = TaskWork { inputs: vec![damaged], ..work.clone() };
    for work in [missing, damaged] {
        let failure = bench.prove(&work).await.unwrap_err();
        assert_eq!(failure.class(), FailureClass::Input, "{failure}");
    }
    bench.prove(&work).await.unwrap();
    // It is the third that reaches the same child: of what is missing it never hears.
    assert!(matches!(bench.prove(&work).await, Err(ProveFailure::Crashed { .. })));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_child_beyond_its_memory_costs_only_the_task() {
    let mut bench = Bench::new(&format!("hoards={}", 300 << 20));
    let work = bench.work(0);
    let small = TaskWork { memory_limit: Some(MemoryBytes::from_mib(100)), ..work.clone() };
    let failure = bench.prove(&small).await.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Memory, "{failure}");
    assert!(failure.to_string().contains("limit 100 MiB"), "{failure}");
    bench.prove(&work).await.unwrap();
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_limit_of_one_task_is_lifted_for_the_next_of_the_same_child() {
    let mut bench = Bench::new(&format!("hoards={},dies-of=4", 300 << 20));
    let work = bench.work(0);
    let limited = |mib| TaskWork { memory_limit: Some(MemoryBytes::from_mib(mib)), ..work.clone() };
    for work in [limited(600), limited(1200), work.clone()] {
        bench.prove(&work).await.unwrap();
    }
    assert!(matches!(bench.prove(&work).await, Err(ProveFailure::Crashed { .. })), "one child");
}

/// What such a prover was allowed: the names of what it tried.
async fn allowed(sandbox: SandboxPolicy) -> (Vec<String>, Option<Sandbox>, WorkReport) {
    let mut bench = Bench::with(ProverConfig { sandbox, ..config("trespasses") });
    let work = bench.work(0);
    let report = bench.prover.run(&work, PATIENCE).await.unwrap();
    let told = std::fs::read_to_string(&work.output).unwrap();
    let done = told.lines().filter_map(|line| line.strip_suffix(": done")).map(str::to_owned);
    (done.collect(), bench.prover.sandbox().cloned(), report)
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_prover_that_is_taken_over_reaches_no_file_network_program_or_process() {
    let (done, sandbox, report) = allowed(SandboxPolicy::Try).await;
    let what_provers_need = ["start a thread", "signal itself"];
    match sandbox.unwrap() {
        Sandbox::Full => assert_eq!(done, what_provers_need),
        // Kernels and containers differ; each of the two layers shuts files by itself.
        Sandbox::Partial { missing } => {
            eprintln!("only a part of the sandbox is here: {missing}");
            assert!(!done.iter().any(|name| name.contains("file")), "{done:?}");
        }
        Sandbox::None { why } => eprintln!("there is no sandbox here: {why}"),
    }
    // What it uses is still measured.
    assert!(report.peak_memory.is_some_and(|peak| peak > MemoryBytes::from_mib(32)));
    assert!(report.cpu_ms.is_some());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn without_a_sandbox_a_prover_can_do_what_its_user_can() {
    let (done, sandbox, _) = allowed(SandboxPolicy::Off).await;
    assert_eq!(done.len(), TRY_COUNT, "{done:?}");
    assert!(matches!(sandbox, Some(Sandbox::None { .. })));
}

#[tokio::test]
async fn where_a_sandbox_is_required_there_is_a_whole_one_or_no_prover() {
    let mut bench = Bench::with(ProverConfig { sandbox: SandboxPolicy::Require, ..config("") });
    let work = bench.work(0);
    match bench.prove(&work).await {
        Ok(_) => assert_eq!(bench.prover.sandbox(), Some(&Sandbox::Full)),
        Err(failure) => assert!(failure.to_string().contains("one is required"), "{failure}"),
    }
}

#[tokio::test]
async fn a_prover_that_cannot_start_says_why() {
    let mut bench = Bench::new("sings");
    let work = bench.work(0);
    let failure = bench.prove(&work).await.unwrap_err();
    assert!(matches!(failure, ProveFailure::NotProver { .. }), "{failure}");
    assert!(failure.to_string().contains("sings"), "{failure}");
    let other = ProverConfig { system: SYSTEMS[1].into(), ..config("") };
    let failure = Bench::with(other).prove(&work).await.unwrap_err();
    assert!(failure.to_string().contains("it proves for fake/1, not fake/2"), "{failure}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_prover_in_mid_proof_ends_when_its_parent_is_gone() {
    use std::os::unix::process::ExitStatusExt as _;

    let mut child = Command::new(env!("CARGO_BIN_EXE_starling-fake-prover"))
        .arg(SYSTEMS[0])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, r#"{{"threads":null,"params":"hangs","sandbox":"try"}}"#).unwrap();
    writeln!(
        stdin,
        r#"{{"id":1,"task":{{"kind":1,"range":{{"start":0,"end":1}}}},"arguments":"","inputs":[{{"role":"input","size_bytes":3}}],"profile":"usual"}}"#
    )
    .unwrap();
    stdin.write_all(b"raw").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "the child hangs in its proof");
    drop(stdin);
    let closed = Instant::now();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(closed.elapsed() < Duration::from_secs(5), "{:?}", closed.elapsed());
}
