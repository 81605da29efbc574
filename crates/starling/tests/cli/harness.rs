//! A home of its own for each test, and processes that never outlive it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Every command here ends within seconds; one that does not hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The user and the group that own nothing.
#[cfg(unix)]
const NOBODY: u32 = 65_534;

/// How often a file or a process is looked at.
const POLL_PERIOD: Duration = Duration::from_millis(20);

/// The arguments that make a client wait for nodes that never come, without leaving this machine.
pub const WAITING: [&str; 5] = ["--local", "0", "--listen", "--bind", "127.0.0.1:0"];

/// The path of a shipped guest.
pub fn guest(name: &str) -> String {
    format!("{}/../../guests/bin/{name}.bin", env!("CARGO_MANIFEST_DIR"))
}

/// The path of a shipped input.
pub fn input(name: &str) -> String {
    format!("{}/../../guests/inputs/{name}.bin", env!("CARGO_MANIFEST_DIR"))
}

/// A working directory with a data directory in it, which every command of the test uses.
pub struct Home {
    dir: TempDir,
    started: std::cell::Cell<u32>,
}

impl Home {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), started: std::cell::Cell::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Writes a file into the working directory.
    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command, ready to run, whatever the environment of the test.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_starling")), args)
    }

    fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("STARLING_DATA_DIR", self.data_dir())
            .env_remove("RUST_LOG")
            .env_remove("NO_COLOR")
            // Tests side by side would leave each other no memory.
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end that may read the data directory and write nothing there.
    #[cfg(unix)]
    pub fn run_read_only(&self, args: &[&str]) -> Ran {
        use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
        let set_mode = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let set_modes = |of_dirs, of_files| {
            set_mode(&self.data_dir(), 0o755);
            for entry in fs::read_dir(self.data_dir()).unwrap() {
                let path = entry.unwrap().path();
                set_mode(&path, if path.is_dir() { of_dirs } else { of_files });
            }
            set_mode(&self.data_dir(), of_dirs);
        };
        set_mode(self.path(), 0o755);
        set_modes(0o555, 0o444);
        let mut command = self.command(args);
        if rustix::process::geteuid().is_root() {
            // To root nothing is denied, and nobody may reach no program of root's.
            let program = self.path().join("starling");
            if !program.exists() {
                fs::copy(env!("CARGO_BIN_EXE_starling"), &program).unwrap();
            }
            command = self.command_of(&program, args);
            command.uid(NOBODY).gid(NOBODY);
        }
        let ran = self.start_command(command).wait();
        set_modes(0o755, 0o600);
        ran
    }

    pub fn start(&self, args: &[&str]) -> Process {
        self.start_command(self.command(args))
    }

    /// Starts `command`, with its output in files.
    pub fn start_command(&self, mut command: Command) -> Process {
        let count = self.started.get();
        self.started.set(count + 1);
        let stdout = self.dir.path().join(format!("{count}.stdout"));
        let stderr = self.dir.path().join(format!("{count}.stderr"));
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Process { child: command.spawn().unwrap(), stdout, stderr }
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args).wait()
    }

    /// What a command sends to a terminal, which util-linux's `script` makes, and nothing else of the environment but `envs`.
    #[cfg(target_os = "linux")]
    pub fn on_terminal(&self, args: &[&str], envs: &[(&str, &str)]) -> Vec<u8> {
        let words = [&[env!("CARGO_BIN_EXE_starling")], args].concat();
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-c", &quoted.join(" "), "/dev/null"])
            .current_dir(self.path())
            .env("STARLING_DATA_DIR", self.data_dir())
            .env("TERM", "xterm")
            .env_remove("RUST_LOG")
            .env_remove("NO_COLOR")
            .envs(envs.iter().copied())
            .stdin(Stdio::null());
        command.output().unwrap().stdout
    }

    /// A `prove` that nobody helps, and what it ends with.
    pub fn prove(&self, args: &[&str]) -> Ran {
        self.run(&[&["prove"], args, &WAITING, &["--node-wait", "1"]].concat())
    }

    /// The jobs as `job list` has them.
    pub fn listed(&self) -> Vec<Value> {
        jobs_of(self.run(&["job", "list", "--json"]).json())
    }

    /// The jobs as `job show` has them, in the order of the list.
    pub fn jobs(&self) -> Vec<Value> {
        let show =
            |job: &Value| self.run(&["job", "show", job["job"].as_str().unwrap(), "--json"]).json();
        self.listed().iter().map(show).collect()
    }

    /// The sizes of all blobs in the data directory, together.
    pub fn blob_bytes(&self) -> u64 {
        fn size_of(dir: &Path) -> u64 {
            let Ok(entries) = fs::read_dir(dir) else { return 0 };
            entries
                .map(|entry| {
                    let entry = entry.unwrap();
                    let metadata = entry.metadata().unwrap();
                    if metadata.is_dir() { size_of(&entry.path()) } else { metadata.len() }
                })
                .sum()
        }
        size_of(&self.data_dir().join("blobs"))
    }
}

/// A running command.
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line of stderr contains `text`; what follows it on that line.
    pub fn wait_for(&mut self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let log = fs::read_to_string(&self.stderr).unwrap();
            // Only whole lines: the last one may still be on its way.
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            if let Some((_, rest)) = whole.lines().find_map(|line| line.split_once(text)) {
                return rest.trim().to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("ended ({status}) before it said {text:?}:\n{log}");
            }
            assert!(started.elapsed() < DEADLINE, "never said {text:?}:\n{log}");
            std::thread::sleep(POLL_PERIOD);
        }
    }

    /// Waits until it has a handler of its own for Ctrl-C, without which it would end with nothing said.
    #[cfg(target_os = "linux")]
    pub fn wait_for_handler(&self) {
        const SIGINT: u32 = 2;
        let status = format!("/proc/{}/status", self.id());
        eventually(|| {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            caught.is_some_and(|mask| mask & 1 << (SIGINT - 1) != 0)
        });
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name, as `kill` does.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args(["-s", name, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub fn wait(mut self) -> Ran {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                started.elapsed() < DEADLINE,
                "still running:\n{}",
                fs::read_to_string(&self.stderr).unwrap()
            );
            std::thread::sleep(POLL_PERIOD);
        };
        Ran {
            status,
            stdout: fs::read_to_string(&self.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A program without a kernel: an ELF for the zkVM with nothing but these instructions.
pub fn elf(code: &[u32]) -> Vec<u8> {
    const START: u32 = 0x0020_0800;
    const HEADERS_BYTES: u32 = 52 + 32;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |halves: &[u16], words: &[u32]| {
        elf.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    // An executable for RISC-V, with one segment that is loaded.
    put(&[2, 243], &[1, START, 52, 0, 0]);
    put(&[52, 32, 1, 0, 0, 0], &[]);
    let size_bytes = 4 * code.len() as u32;
    put(&[], &[1, HEADERS_BYTES, START, START, size_bytes, size_bytes, 5, 4]);
    put(&[], code);
    elf
}

/// Waits until it is so.
#[track_caller]
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < DEADLINE, "it never comes to that");
        std::thread::sleep(POLL_PERIOD);
    }
}

/// The jobs in what `job list --json` prints.
pub fn jobs_of(list: Value) -> Vec<Value> {
    match list {
        Value::Object(mut list) => match list.remove("jobs") {
            Some(Value::Array(jobs)) => jobs,
            other => panic!("no jobs: {other:?}"),
        },
        other => panic!("no list: {other}"),
    }
}

impl Ran {
    /// Asserts that the command failed as it should: with this exit code, an error that has all of
    /// `texts`, and nothing on stdout, where only results go, but under `--json` that error.
    #[track_caller]
    pub fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        if !self.stdout.is_empty() {
            self.failure(code);
        }
        let (_, error) = self.stderr.rsplit_once("error: ").unwrap_or_else(|| panic!("{self:#?}"));
        for text in texts {
            assert!(error.contains(text), "no {text:?} in: {error}");
        }
        assert!(!self.stderr.contains("RUST_BACKTRACE"), "it panicked: {self:#?}");
    }

    /// Asserts success.
    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// The error in the one JSON object on stdout of a command that failed under `--json` with this exit code: the same as on
    /// stderr.
    #[track_caller]
    pub fn failure(&self, code: i32) -> Value {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        let mut answer: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one object ({error}): {self:#?}"));
        let error = answer["error"].take();
        assert_eq!(error["code"], code, "{self:#?}");
        let message = error["message"].as_str().unwrap_or_else(|| panic!("{self:#?}"));
        let first = message.lines().next().unwrap_or_default();
        assert!(!first.is_empty() && self.stderr.contains(first), "{self:#?}");
        error
    }

    /// The one JSON value on stdout of a command that succeeded.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.succeeds().stdout).unwrap()
    }
}
