//! Limits on the threads of a user: what does not suffice is said, what is little suffices, and nothing hangs.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use crate::harness::{Home, Ran, WAITING, guest, input};

/// The first id of the users of these tests, of whom nothing else runs: a limit counts all threads of its user.
const USERS: u32 = 0x7000_0000;

/// Threads with which every command works: those of `threads.rs`, and the one that a process begins with.
const ENOUGH: u32 = 22 + 1;

/// Runs a command with at most so many threads, as a user who has no others; none where this process may not do that.
fn run_with(home: &Home, threads: u32, args: &[&str]) -> Option<Ran> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let program = home.path().join("starling");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_starling"), &program).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }
    // Inputs and guests may lie where that user may not read.
    let ours = home.command(args);
    let mut command = Command::new("prlimit");
    command.arg(format!("--nproc={threads}")).arg(program).args(ours.get_args());
    command.current_dir(home.path()).env("STARLING_DATA_DIR", home.data_dir());
    let user = USERS + std::process::id();
    command.uid(user).gid(user);
    Some(home.start_command(command).wait())
}

/// Copies a file to where another user can read it.
fn copied(home: &Home, name: &str, path: &str) -> String {
    home.write(name, &fs::read(path).unwrap())
}

#[test]
fn too_few_threads_are_told_and_few_suffice() {
    let home = Home::new();
    let fail = copied(&home, "fail.bin", &guest("fail"));
    let ok = copied(&home, "ok", &input("fail-ok"));
    let execute = ["execute", &fail, "--input", &ok, "--json"];
    for threads in [1, 2, 3, 4, 6, 10, ENOUGH - 1] {
        let Some(ran) = run_with(&home, threads, &execute) else {
            eprintln!("skipped: only root can be another user");
            return;
        };
        ran.fails(1, &["threads and needs", "ulimit -u", "pids.max"]);
    }
    let ran = run_with(&home, ENOUGH, &execute).unwrap();
    assert_eq!(ran.json()["journal"], "6f6b");

    // The whole of a client, which waits for nodes in vain.
    let prove = [&["prove", &fail, "--input", &ok, "--node-wait", "1", "--json"], &WAITING[..]];
    let error = run_with(&home, ENOUGH, &prove.concat()).unwrap().failure(4);
    assert_eq!(error["class"], "no_capacity", "{error}");
}
