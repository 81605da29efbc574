//! Ctrl-C: where there is something to put in order, the first asks for that, and the second ends the process at once; else the
//! first does.

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Code, CommandResult, Exit},
    terminal,
};

/// What comes of a command that nobody has to be told the end of: Ctrl-C, or a SIGTERM, ends it at once. It runs on a thread of
/// its own, since it may wait for whatever it reads, a pipe say.
pub async fn or_interrupted<F: Future<Output = CommandResult>>(
    command: impl FnOnce() -> F + Send + 'static,
) -> CommandResult {
    let runtime = Handle::current();
    let ended = tokio::select! {
        // First, so that a signal is heard before anything is begun.
        biased;
        () = interrupted() => None,
        ended = async { tokio::task::spawn_blocking(move || runtime.block_on(command())).await } => Some(ended),
    };
    match ended {
        None => Err(Exit::message(Code::Interrupted, "interrupted")),
        Some(Ok(result)) => result,
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(error.into()),
        },
    }
}

/// A token that the first Ctrl-C, or a SIGTERM, cancels.
pub fn stop_token(what: &'static str) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        interrupted().await;
        terminal::say(&format!(
            "stopping {what} and saying goodbye to its peers, which takes a few seconds at most; press Ctrl-C again to stop at once"
        ));
        stop.cancel();
        interrupted().await;
        Exit::message(Code::Interrupted, format!("stopped {what} at once")).answer();
        std::process::exit(Code::Interrupted as i32);
    });
    token
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}
