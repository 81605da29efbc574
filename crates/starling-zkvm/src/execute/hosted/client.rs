//! A host's environment from the other side: RISC Zero's client is asked to execute in it, and the server that it
//! connects to is this process.
//!
//! An environment shows what is in it to that client alone. It starts a server by its path, with a port to connect to,
//! and lets it read, write and call in the environment until it is done. Here what is started is a shell script that
//! says the port and ends; a thread of this process connects to it.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use risc0_zkvm::{ApiClient, Asset, AssetRequest, Bytes, ExecutorEnv};

use super::wire::{
    Callback, ChannelIo, Command, Done, Environment, ExitCode, Failure, FileIo, Hello, HelloReply,
    Io, IoReply, Reply, Request, Session, receive, send,
};
use crate::execute::calls::Sink;

/// Writes the port, its last argument, to where it is looked for, all at once.
const SCRIPT: &str = "#!/bin/sh\necho \"$2\" >\"$0.new\" && mv \"$0.new\" \"$0.port\"\n";

/// How long the client has to start the script, which has the port at once. It gives up as soon itself.
const START_MAX: Duration = Duration::from_secs(10);

/// How often the port is looked for.
const START_POLL: Duration = Duration::from_millis(2);

/// Lets `serve` execute in `env`, on a thread of its own, and returns what it returns. `folder` takes a script for as
/// long as it runs.
///
/// # Errors
/// When the client cannot be served: a file system without scripts, say. The text says why.
pub(super) fn serve_in<T: Send>(
    env: &ExecutorEnv<'_>,
    folder: &Path,
    serve: impl FnOnce(Environment, Remote) -> T + Send,
) -> Result<T, String> {
    let scratch = tempfile::tempdir_in(folder)
        .map_err(|error| format!("cannot write to {}: {error}", folder.display()))?;
    let script = scratch.path().join("server");
    let write = || {
        fs::write(&script, SCRIPT)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700))
    };
    write().map_err(|error| format!("cannot write {}: {error}", script.display()))?;
    let version = risc0_zkvm::get_version().map_err(|error| error.to_string())?;
    let client = ApiClient::new_sub_process_compat(&script, version)
        .map_err(|error| format!("{error:#}"))?;

    let given_up = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (environment, remote) = connect(&script, &given_up)?;
            let served = serve(environment, remote.clone());
            remote.finish();
            Ok(served)
        });
        // The program is known here.
        let (program, segments) = (Asset::Inline(Bytes::new()), AssetRequest::Inline);
        let told = client.execute(env, program, segments, |_, _| Ok(()));
        given_up.store(true, Ordering::Relaxed);
        let served: io::Result<T> = match server.join() {
            Ok(served) => served,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        served.map_err(|error| match told {
            Err(told) => format!("{told:#} ({error})"),
            Ok(_) => error.to_string(),
        })
    })
}

/// Connects to the client and takes its request.
fn connect(script: &Path, given_up: &AtomicBool) -> io::Result<(Environment, Remote)> {
    let port = wait_for_port(&script.with_extension("port"), given_up)?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let hello: Hello = receive(&mut stream)?;
    send(&mut stream, &HelloReply { ok: Some(hello) })?;
    let request: Request = receive(&mut stream)?;
    let environment = request.execute.and_then(|execute| execute.env);
    let environment = environment.ok_or_else(|| io::Error::other("no request to execute"))?;
    Ok((environment, Remote(Arc::new(Mutex::new(stream)))))
}

fn wait_for_port(path: &PathBuf, given_up: &AtomicBool) -> io::Result<u16> {
    let started = Instant::now();
    while started.elapsed() < START_MAX && !given_up.load(Ordering::Relaxed) {
        match fs::read_to_string(path) {
            Ok(port) => return port.trim().parse().map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        std::thread::sleep(START_POLL);
    }
    Err(io::Error::other("the script that says the port did not run"))
}

/// The client, which answers from its environment.
#[derive(Clone)]
pub(super) struct Remote(Arc<Mutex<TcpStream>>);

impl Remote {
    /// A panic elsewhere leaves a connection that fails.
    fn stream(&self) -> MutexGuard<'_, TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, io: Io) -> io::Result<Vec<u8>> {
        let mut stream = self.stream();
        send(
            &mut *stream,
            &Reply { ok: Some(Callback { io: Some(io), done: None }), error: None },
        )?;
        let IoReply { ok, error } = receive(&mut *stream)?;
        let reason = |failure: Option<Failure>| failure.map(|failure| failure.reason);
        ok.ok_or_else(|| io::Error::other(reason(error).unwrap_or_default()))
    }

    fn on_file(&self, fd: u32, command: Command) -> io::Result<Vec<u8>> {
        self.ask(Io { file: Some(FileIo { fd, command: Some(command) }), channel: None })
    }

    /// Answers a call of the host's own.
    pub(super) fn call(&self, name: &str, from_guest: Vec<u8>) -> io::Result<Vec<u8>> {
        let channel = ChannelIo { name: name.into(), from_guest };
        self.ask(Io { file: None, channel: Some(channel) })
    }

    /// What `fd` of the environment holds.
    pub(super) fn file(&self, fd: u32) -> RemoteFile {
        RemoteFile { remote: self.clone(), fd }
    }

    /// Lets the client return. It may be gone already.
    fn finish(&self) {
        let session = Session { exit_code: Some(ExitCode { halted: Some(0) }) };
        let done = Callback { io: None, done: Some(Done { session: Some(session) }) };
        let _ = send(&mut *self.stream(), &Reply { ok: Some(done), error: None });
    }
}

/// A file descriptor of an environment.
pub(super) struct RemoteFile {
    remote: Remote,
    fd: u32,
}

impl Read for RemoteFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = u32::try_from(buf.len()).unwrap_or(u32::MAX);
        let bytes = self.remote.on_file(self.fd, Command { read: Some(wanted), write: None })?;
        let into = buf.get_mut(..bytes.len());
        into.ok_or_else(|| io::Error::other("more was read than asked for"))?
            .copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Write for RemoteFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.remote.on_file(self.fd, Command { read: None, write: Some(bytes.to_vec()) })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for RemoteFile {}
