//! The processes of a fake network, as their parents see them.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
};

/// A process that is killed, as by `kill -9`, when this is dropped.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a node: `programs` is the folder with the programs of this crate, `ticket` the client's, `dir` the node's own folder,
/// `key` what its key is made of.
///
/// # Errors
/// When it can't be started.
pub fn node(
    programs: &Path,
    ticket: &str,
    dir: &Path,
    key: u8,
    manners: &str,
) -> io::Result<Running> {
    let child = Command::new(programs.join("starling-fake-node"))
        .args([ticket.as_ref(), dir.as_os_str(), key.to_string().as_ref(), manners.as_ref()])
        .stdin(Stdio::null())
        .spawn()?;
    Ok(Running(child))
}

/// Logs to stderr if `RUST_LOG` says what: nothing otherwise, since the programs of tests share one stderr.
pub fn log_as_told() {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
        log.with_writer(io::stderr).init();
    }
}

/// A UDP port of the loopback interface that nobody uses at this moment.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
