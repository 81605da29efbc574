//! What an attacker tries who has taken a prover over: files, the network, other programs, other processes.

use std::{
    fs::{self, File},
    io,
    net::{TcpListener, UdpSocket},
    os::unix::net::{UnixDatagram, UnixStream},
    process::Command,
    thread,
};

use rustix::process::Pid;

type Try = fn() -> io::Result<()>;

/// How much is tried.
pub const TRY_COUNT: usize = 14;

/// What is tried, and what a prover has a right to: a line for each, `NAME: done` or `NAME: refused`, and why.
pub(crate) fn report() -> String {
    let tries: [(&str, Try); TRY_COUNT] = [
        ("read a file", || File::open("/etc/passwd").map(drop)),
        ("read the program", || File::open("/proc/self/exe").map(drop)),
        ("list a folder", || fs::read_dir("/").map(drop)),
        ("write a file", write_a_file),
        ("bind a UDP port", || UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("bind a TCP port", || TcpListener::bind("127.0.0.1:0").map(drop)),
        ("make a Unix socket", || UnixDatagram::unbound().map(drop)),
        ("make a pair of sockets", || UnixStream::pair().map(drop)),
        ("start a program", || Command::new("/bin/true").status().map(drop)),
        ("signal the parent", signal_the_parent),
        ("look into the parent", look_into_the_parent),
        ("set the parent's priority", set_the_parents_priority),
        ("start a thread", start_a_thread),
        ("signal itself", signal_itself),
    ];
    let told = tries.map(|(name, attempt)| match attempt() {
        Ok(()) => format!("{name}: done"),
        Err(error) => format!("{name}: refused, {error}"),
    });
    told.join("\n")
}

fn write_a_file() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("starling-trespass-{}", std::process::id()));
    fs::write(&path, "here")?;
    fs::remove_file(path)
}

fn parent() -> io::Result<Pid> {
    rustix::process::getppid().ok_or_else(|| io::Error::other("this process has no parent"))
}

/// With no signal at all: whether one could be sent.
fn signal_the_parent() -> io::Result<()> {
    Ok(rustix::process::test_kill_process(parent()?)?)
}

/// Its environment, which is in its memory.
fn look_into_the_parent() -> io::Result<()> {
    fs::read(format!("/proc/{}/environ", parent()?.as_raw_pid())).map(drop)
}

/// To what it is: that needs no right but to name it.
fn set_the_parents_priority() -> io::Result<()> {
    let parent = Some(parent()?);
    let priority = rustix::process::getpriority_process(parent)?;
    Ok(rustix::process::setpriority_process(parent, priority)?)
}

fn signal_itself() -> io::Result<()> {
    Ok(rustix::process::test_kill_process(rustix::process::getpid())?)
}

fn start_a_thread() -> io::Result<()> {
    let started =
        thread::Builder::new().spawn(|| std::hint::black_box(vec![1_u8; 33 << 20]).len())?;
    started.join().map(drop).map_err(|_| io::Error::other("it panicked"))
}
